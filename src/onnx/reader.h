// SPDX-License-Identifier: Apache-2.0
// Reads ONNX models into graphs: QONNX, FINN-ONNX and ordinary QDQ ONNX. Models come from anywhere:
// whatever the bytes are, the answer is a graph that satisfies the verifier or an Error that names
// the node or tensor. docs/onnx.md lists what is read.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "src/ir/graph.h"

namespace foldstream {

Graph read_model(const std::filesystem::path& path);

// `name` stands for the file in messages.
Graph read_model_bytes(std::string_view bytes, const std::string& name);

}  // namespace foldstream
