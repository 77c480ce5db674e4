// SPDX-License-Identifier: Apache-2.0
// The operator contract. Everything Foldstream knows about an operator is in one `Op`, in the
// folder src/ops/<name>/; engines ask the contract and never name an operator.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/hardware.h"

namespace foldstream {

struct OnnxNode;
class OnnxSink;
class Lowering;
struct Kernels;

struct Op {
  enum class Kind {
    input,     // a graph input
    constant,  // data only
    source,    // an operator of the model, float semantics
    edge,      // between host floats and hardware integers
    view,      // same elements in the same order under another shape; no hardware of its own
    hardware,  // integers, becomes a module
  };

  std::string_view name;  // also the folder
  std::string_view doc;   // one line
  Kind kind = Kind::source;

  // Reading and writing models. `onnx` lists the operator types read: "MatMul", or "qonnx:Quant"
  // for those of QONNX's domains. `import` appends nodes and returns one value per output; it
  // throws Error on what it doesn't support.
  std::span<const std::string_view> onnx = {};
  std::vector<Value> (*import)(const OnnxNode& source, Graph& graph) = nullptr;
  void (*to_onnx)(const Node& node, OnnxSink& sink) = nullptr;

  // Meaning. `infer` gives the result types and throws Error on an illegal node. `eval` computes
  // one frame; operands and results have the types that `infer` saw and gave.
  std::vector<Type> (*infer)(const Node& node) = nullptr;
  std::vector<Tensor> (*eval)(const Node& node, std::span<const Tensor* const> in) = nullptr;

  // Streamlining (source operators; lowering.h). Null: the operator stays at the edge.
  void (*lower)(const Node& node, Lowering& lowering) = nullptr;
  bool takes_floats =
      false;  // lower is called even where operand 0 is only known in float (quantizers)

  // Computes each element from the same element of operand 0 alone, with constants along the
  // attribute `axis` (the last axis when absent): order of elements and computation can be swapped.
  bool pointwise = false;

  // Hardware. All read the folding attributes of the node.
  std::vector<Fold> (*folds)(const Node& node) =
      nullptr;  // legal values; the first is the smallest hardware
  Ports (*ports)(const Node& node) =
      nullptr;  // throws Error, with the legal values, on illegal folding
  Rhythm (*rhythm)(const Node& node, Family family) = nullptr;
  Cost (*cost)(const Node& node, Family family) = nullptr;  // of the module: no memory outside it
  // In no resource more than `cost` says, without building what that counts; null where `cost` is
  // quick. The folding search asks `cost` only for foldings that this leaves in question.
  Cost (*least_cost)(const Node& node, Family family) = nullptr;
  Hardware (*emit)(const Node& node, Family family, const std::string& instance) = nullptr;
  // The memories that the node has outside its module (memory.h); of a node that has them inside,
  // those it would have with memory = "outside". Null: the operator has none that could be.
  std::vector<MemoryShape> (*memories)(const Node& node, Family family) = nullptr;
  // Multiply-accumulates and parameters of one frame, under FINN's keys ("op_mac_1bx1b",
  // "param_weight_1b").
  std::map<std::string, int64_t> (*counts)(const Node& node) = nullptr;
  std::string_view finn_name = {};  // FINN's name of the operator, for folding files: "MVAU"

  const Kernels* kernels = nullptr;  // of the CPU twin (kernel.h); null: it computes by `eval`
};

// Every operator, sorted by name.
std::span<const Op* const> ops();
const Op* find_op(std::string_view name);     // null when there is none
const Op& require_op(std::string_view name);  // ours by name; must exist
const Op* find_onnx_op(std::string_view domain, std::string_view type);

}  // namespace foldstream
