// SPDX-License-Identifier: Apache-2.0
// The flow from a model's graph to the three parts that run it: the host's head, the hardware core,
// the host's tail.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/ir/eval.h"
#include "src/ir/graph.h"
#include "src/passes/streamline.h"

namespace foldstream {

struct CompileOptions {
  StreamlineOptions streamline;
  bool standalone_thresholds = false;  // keep thresholds out of the matrix-vector units
};

// head: model inputs -> operands of the core, then values that the tail needs from the head.
// core: inputs, views and hardware nodes only.
// tail: results of the core, then those values -> model outputs.
struct Parts {
  Graph head, core, tail;

  Parts clone() const { return {head.clone(), core.clone(), tail.clone()}; }
};

struct FlowStep {
  std::string name;  // "import", "streamline", ...
  Graph graph;
};

struct Compiled {
  std::vector<FlowStep> steps;  // the whole graph after each step; the first is the model itself
  std::vector<Finding> findings;
  std::vector<std::string> notes;  // what an option would make hardware of
  Parts parts;
};

// The integers behind float inputs, as the options --input-type and --input-scale say: "u8" and 255
// for pixels divided by 255; "bipolar"; nothing for "". Throws Error.
std::optional<InputFormat> input_format(const std::string& type_name, double scale);

// Throws Error when no node becomes hardware, or when float arithmetic lies between hardware nodes,
// naming the node, the reason and the remedy.
Compiled compile(const Graph& model, const CompileOptions& options);

// The streamlined graph and its findings alone; never throws for what blocks hardware (`inspect`).
Compiled streamline_only(const Graph& model, const CompileOptions& options);

// Cuts a streamlined graph; `findings` give the reasons in errors.
Parts partition(const Graph& lowered, const std::vector<Finding>& findings);

// The three parts as one graph again, whose outputs are the model's and then the core's results.
Graph join(const Parts& parts);

// Runs frames through the three parts. Thread-safe; the parts must outlive it.
class PartsRunner {
 public:
  // What computes the core for one frame: operands in, results out.
  using CoreEngine = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

  explicit PartsRunner(const Parts& parts);

  std::vector<Tensor> run(
      const std::vector<Tensor>& inputs) const;  // the core by the meaning of its operators
  std::vector<Tensor> run(const std::vector<Tensor>& inputs, const CoreEngine& core) const;

  const Evaluator& core() const { return core_; }

 private:
  Evaluator head_, core_, tail_;
};

}  // namespace foldstream
