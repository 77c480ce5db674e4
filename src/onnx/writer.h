// SPDX-License-Identifier: Apache-2.0
// Writes graphs as ONNX, at any stage: source nodes as the ONNX nodes they came from, integer nodes
// as ONNX and QONNX nodes that compute the same on integers carried in float tensors.
// docs/onnx.md says which.
#pragma once

#include <string>

#include "src/ir/graph.h"

namespace foldstream {

// The file's bytes; the same graph gives the same bytes.
std::string write_model(const Graph& graph);

}  // namespace foldstream
