// SPDX-License-Identifier: Apache-2.0
// Small models that the fuzzer starts from, made in code: every operator that is read is in one.
#pragma once

#include <onnx/onnx_pb.h>

#include <vector>

namespace foldstream {

std::vector<onnx::ModelProto> seed_models();

}  // namespace foldstream
