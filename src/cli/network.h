// SPDX-License-Identifier: Apache-2.0
// A model or a built design, and the engines that run frames through it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "src/cli/design.h"
#include "src/ir/graph.h"
#include "src/util/progress.h"

namespace foldstream {

using Frame = std::vector<Tensor>;  // operands or results, one a graph input or output

// ONNX, or the text form in a .fst file or "-" for standard input.
Graph load_model(const std::string& path);

enum class Engine { float_reference, integer };
Engine parse_engine(const std::string& name);

// Runs frames through one engine.
class EngineRunner {
 public:
  EngineRunner(const Graph& model, Engine engine, const DesignOptions& options);

  std::vector<Frame> run(const std::vector<Frame>& frames, Progress& progress) const;

 private:
  Engine engine_;
  Compiled compiled_;
  std::unique_ptr<Evaluator> reference_;
  std::unique_ptr<PartsRunner> parts_;
};

// The first element in which two results of a frame differ, in words; empty when they are equal.
std::string difference(const Graph& model, const Frame& found, const Frame& expected);

}  // namespace foldstream
