// SPDX-License-Identifier: Apache-2.0
// What the scripts beside it drive: reads a model and runs, rewrites or prints it.
//   onnx_probe run MODEL PREFIX INPUT.npy...   each file holds one frame or several in a row;
//                                              writes PREFIX0.npy ...
//   onnx_probe integer MODEL PREFIX INPUT.npy...  the same after streamlining
//   onnx_probe rewrite MODEL OUTPUT.onnx       read and written again
//   onnx_probe edge MODEL OUTPUT.onnx          the same after streamlining
//   onnx_probe text MODEL                      the text form
//   onnx_probe lowered MODEL                   the text form after streamlining
#include <fmt/format.h>

#include <fstream>
#include <string>
#include <vector>

#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/ir/text.h"
#include "src/onnx/reader.h"
#include "src/onnx/writer.h"
#include "src/passes/streamline.h"
#include "src/util/error.h"
#include "src/util/npy.h"

namespace foldstream {
namespace {

// An input file holds one frame or several of them, one after the other.
std::vector<Tensor> frames_of(const NpyArray& array, const Type& type) {
  const bool is_float = array.kind == NpyArray::Kind::floats;
  const auto total = static_cast<int64_t>(is_float ? array.reals.size() : array.ints.size());
  const int64_t count = type.count();
  if (is_float != type.is_float || count == 0 || total % count != 0) {
    throw Error(fmt::format("an input array does not fit {}", to_string(type)));
  }
  std::vector<Tensor> frames;
  for (int64_t at = 0; at < total; at += count) {
    Tensor tensor{type, {}, {}};
    if (is_float) {
      tensor.reals.assign(array.reals.begin() + at, array.reals.begin() + at + count);
    } else {
      tensor.ints.assign(array.ints.begin() + at, array.ints.begin() + at + count);
    }
    frames.push_back(std::move(tensor));
  }
  return frames;
}

void run(const Graph& graph, const std::vector<std::string>& arguments) {
  const Evaluator evaluator(graph);
  std::vector<std::vector<Tensor>> inputs;
  for (size_t i = 3; i < arguments.size(); ++i) {
    inputs.push_back(frames_of(read_npy(arguments[i]), evaluator.inputs().at(i - 3)->out[0]));
  }
  const size_t frames = inputs.empty() ? 1 : inputs[0].size();
  std::vector<NpyArray> results(graph.outputs.size());
  for (size_t frame = 0; frame < frames; ++frame) {
    std::vector<Tensor> operands;
    for (const auto& input : inputs) operands.push_back(input.at(frame));
    const std::vector<Tensor> out = evaluator.run(operands);
    for (size_t i = 0; i < out.size(); ++i) {
      NpyArray& result = results[i];
      const Type& type = out[i].type;
      result.kind = type.is_float ? NpyArray::Kind::floats : NpyArray::Kind::integers;
      result.bytes = type.is_float ? 4 : 8;
      result.shape = {static_cast<int64_t>(frames)};
      result.shape.insert(result.shape.end(), type.shape.begin(), type.shape.end());
      result.reals.insert(result.reals.end(), out[i].reals.begin(), out[i].reals.end());
      result.ints.insert(result.ints.end(), out[i].ints.begin(), out[i].ints.end());
    }
  }
  for (size_t i = 0; i < results.size(); ++i) {
    write_npy(fmt::format("{}{}.npy", arguments.at(2), i), results[i]);
  }
}

void write(const Graph& graph, const std::string& path) {
  std::ofstream(path, std::ios::binary) << write_model(graph);
}

int main(const std::vector<std::string>& arguments) {
  try {
    const std::string& command = arguments.at(0);
    if (command == "run") {
      run(read_model(arguments.at(1)), arguments);
    } else if (command == "integer") {
      run(streamline(read_model(arguments.at(1)), {}).graph, arguments);
    } else if (command == "lowered") {
      fmt::print("{}", print(streamline(read_model(arguments.at(1)), {}).graph));
    } else if (command == "rewrite") {
      write(read_model(arguments.at(1)), arguments.at(2));
    } else if (command == "edge") {
      write(streamline(read_model(arguments.at(1)), {}).graph, arguments.at(2));
    } else {
      fmt::print("{}", print(read_model(arguments.at(1))));
    }
  } catch (const Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    if (!error.help().empty()) fmt::print(stderr, "help: {}\n", error.help());
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace foldstream

int main(int argc, char** argv) { return foldstream::main({argv + 1, argv + argc}); }
