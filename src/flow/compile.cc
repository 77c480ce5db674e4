// SPDX-License-Identifier: Apache-2.0
#include "src/flow/compile.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "src/ir/op.h"
#include "src/ir/pass.h"
#include "src/ir/verify.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

enum class Side { head, core, tail };

const Finding* find_reason(const std::vector<Finding>& findings, const std::string& node) {
  for (const Finding& finding : findings) {
    if (finding.node == node && !finding.reason.empty()) return &finding;
  }
  return nullptr;
}

[[noreturn]] void throw_blocked(const Node& hardware, const Node& host,
                                const std::vector<Finding>& findings) {
  // The reason stands with the node that first left the integers, which may lie before `host`.
  const Node* at = &host;
  while (true) {
    if (const Finding* finding = find_reason(findings, at->name)) {
      throw Error(fmt::format("node '{}' ({}) blocks hardware before '{}': {}", finding->node,
                              finding->op, hardware.name, finding->reason),
                  finding->remedy);
    }
    const Node* before = nullptr;
    for (const Value& value : at->in) {
      if (value.node->op->kind != Op::Kind::constant) before = value.node;
    }
    if (before == nullptr) break;
    at = before;
  }
  throw Error(fmt::format("{} needs float arithmetic between hardware nodes: {}",
                          describe(hardware), describe(host)),
              "quantize the values before it");
}

std::map<const Node*, Side> choose_sides(const Graph& graph, const std::vector<Finding>& findings) {
  std::map<const Node*, Side> sides;
  for (const Node& node : graph.nodes) {
    Side side = Side::head;
    const Node* tail = nullptr;
    bool after_core = false;
    for (const Value& value : node.in) {
      const Side operand = sides.at(value.node);
      after_core = after_core || operand != Side::head;
      if (operand == Side::tail) tail = value.node;
    }
    if (node.op->kind == Op::Kind::hardware) {
      if (tail != nullptr) throw_blocked(node, *tail, findings);
      side = Side::core;
    } else if (after_core) {
      side = node.op->kind == Op::Kind::view && tail == nullptr && !node.out[0].is_float
                 ? Side::core
                 : Side::tail;
    }
    sides[&node] = side;
  }
  return sides;
}

// Whether the first node that takes the model's input divides it by 255.
bool divides_by_255(const Node& input, const Graph& model) {
  for (const Node& node : model.nodes) {
    bool takes_input = false, has_factor = false;
    for (const Value& operand : node.in) {
      takes_input = takes_input || operand.node == &input;
      const Tensor* value = operand.node->tensor("value");
      if (value == nullptr || !value->type.is_float || value->count() != 1) continue;
      const auto x = static_cast<float>(value->reals[0]);
      has_factor = x == 255.0f || x == 1 / 255.0f;
    }
    if (takes_input) return has_factor;
  }
  return false;
}

// Layers stay on the host where nothing says that a float input holds integers. Names them, and the
// option that says so, if pixels would make hardware of them.
std::optional<std::string> note_on_input(const Graph& model, const Graph& head,
                                         const StreamlineOptions& options) {
  if (options.every_input || !options.inputs.empty()) return std::nullopt;
  // The model up to the quantizers that the host computes.
  std::set<std::string_view> quantizers;
  for (const Output& output : head.outputs) {
    if (output.value.node->op->kind == Op::Kind::edge) quantizers.insert(output.value.node->name);
  }
  Graph before = model.clone();
  before.outputs.clear();
  for (Node& node : before.nodes) {
    if (quantizers.contains(node.name)) before.outputs.push_back({node.name, {&node, 0}});
  }
  before.remove_dead();
  const Node* input = nullptr;
  for (const Node& node : before.nodes) {
    if (node.op->kind != Op::Kind::input || !node.out[0].is_float) continue;
    if (input != nullptr) return std::nullopt;
    input = &node;
  }
  if (input == nullptr) return std::nullopt;
  StreamlineOptions pixels;
  pixels.every_input = InputFormat{};
  const Streamlined as_pixels = streamline(before, pixels);
  std::string layers;
  for (const Node& node : as_pixels.graph.nodes) {
    if (node.op->kind != Op::Kind::hardware) continue;
    layers += fmt::format("{}'{}' ({})", layers.empty() ? "" : ", ", node.name, node.op->name);
  }
  if (layers.empty()) return std::nullopt;
  return fmt::format(
      "the input '{}' is float, so what comes before its first quantizer stays on the host; if it "
      "holds {} makes hardware of that: {}",
      input->name,
      divides_by_255(*input, before)
          ? "pixels 0 to 255, as the division by 255 suggests, the option '--input-type u8'"
          : "integers 0 to 255 divided by S, the option '--input-type u8 --input-scale S'",
      layers);
}

}  // namespace

Parts partition(const Graph& lowered, const std::vector<Finding>& findings) {
  const std::map<const Node*, Side> sides = choose_sides(lowered, findings);
  Parts parts;
  parts.head.name = lowered.name + "_head";
  parts.core.name = lowered.name;
  parts.tail.name = lowered.name + "_tail";
  const auto graph_of = [&](Side side) -> Graph& {
    return side == Side::head ? parts.head : side == Side::core ? parts.core : parts.tail;
  };
  std::map<Value, Value> in_part[3];
  std::set<std::string> boundary_names;
  // Values that cross a cut become an output of one part and an input of the next, under one name.
  std::vector<Output> head_to_core, core_to_tail, head_to_tail;
  const auto cross = [&](const Value& value, Side to) -> Value {
    auto& known = in_part[static_cast<int>(to)];
    if (const auto it = known.find(value); it != known.end()) return it->second;
    const Side from = sides.at(value.node);
    if (value.node->op->kind == Op::Kind::constant) {  // cheaper to repeat than to pass
      Node& copy = graph_of(to).add(*value.node->op, {}, value.node->name, value.node->attr,
                                    value.node->data);
      return known[value] = {&copy, 0};
    }
    std::string name = value.node->name;
    for (int i = 1; !boundary_names.insert(name).second; ++i)
      name = fmt::format("{}_{}", value.node->name, i);
    Node& input =
        graph_of(to).add(require_op("input"), {}, name,
                         {{"type", element_name(value.type())}, {"shape", value.type().shape}});
    auto& crossings = from == Side::core ? core_to_tail
                      : to == Side::core ? head_to_core
                                         : head_to_tail;
    crossings.push_back({name, in_part[static_cast<int>(from)].at(value)});
    return known[value] = {&input, 0};
  };
  const auto operand = [&](const Value& value, Side to) {
    const auto& known = in_part[static_cast<int>(to)];
    const auto it = known.find(value);
    return it != known.end() ? it->second : cross(value, to);
  };
  // The tail is built last, so that its inputs can be ordered: first everything from the core, then
  // from the head.
  for (const Side side : {Side::head, Side::core}) {
    for (const Node& node : lowered.nodes) {
      if (sides.at(&node) != side) continue;
      std::vector<Value> in;
      for (const Value& value : node.in) in.push_back(operand(value, side));
      Node& copy = graph_of(side).add(*node.op, std::move(in), node.name, node.attr, node.data);
      for (size_t port = 0; port < node.out.size(); ++port) {
        in_part[static_cast<int>(side)][{const_cast<Node*>(&node), static_cast<int>(port)}] = {
            &copy, static_cast<int>(port)};
      }
    }
  }
  for (const Side from : {Side::core, Side::head}) {
    const auto needed = [&](const Value& value) {
      if (sides.at(value.node) == from && value.node->op->kind != Op::Kind::constant)
        cross(value, Side::tail);
    };
    for (const Node& node : lowered.nodes) {
      if (sides.at(&node) != Side::tail) continue;
      for (const Value& value : node.in) needed(value);
    }
    for (const Output& output : lowered.outputs) needed(output.value);
  }
  for (const Node& node : lowered.nodes) {
    if (sides.at(&node) != Side::tail) continue;
    std::vector<Value> in;
    for (const Value& value : node.in) in.push_back(operand(value, Side::tail));
    Node& copy = parts.tail.add(*node.op, std::move(in), node.name, node.attr, node.data);
    for (size_t port = 0; port < node.out.size(); ++port) {
      in_part[static_cast<int>(Side::tail)][{const_cast<Node*>(&node), static_cast<int>(port)}] = {
          &copy, static_cast<int>(port)};
    }
  }
  for (const Output& output : lowered.outputs) {
    parts.tail.outputs.push_back({output.name, operand(output.value, Side::tail)});
  }
  parts.head.outputs = std::move(head_to_core);
  parts.head.outputs.insert(parts.head.outputs.end(), head_to_tail.begin(), head_to_tail.end());
  parts.core.outputs = std::move(core_to_tail);
  for (const Graph* part : {&parts.head, &parts.core, &parts.tail}) verify(*part);
  return parts;
}

std::optional<InputFormat> input_format(const std::string& type_name, double scale) {
  if (!(scale > 0) || !std::isfinite(scale)) {
    throw Error(fmt::format("--input-scale is {}, but must be positive", scale));
  }
  if (type_name == "bipolar") {
    if (scale != 1) throw Error("--input-scale with bipolar inputs", "leave it out");
    return InputFormat{1, false, 0.5, -1};
  } else if (!type_name.empty()) {
    const Type type = parse_element(type_name);
    if (type.is_float) {
      throw Error(fmt::format("--input-type is '{}', but must be an integer", type_name),
                  "use u8 for pixels");
    }
    return InputFormat{type.bits, type.is_signed, scale};
  } else if (scale != 1) {
    throw Error("--input-scale without --input-type", "add --input-type u8 for pixels");
  }
  return std::nullopt;
}

Compiled streamline_only(const Graph& model, const CompileOptions& options) {
  Compiled compiled;
  compiled.steps.push_back({"import", model.clone()});
  Graph folded = model.clone();
  const bool has_folded = run_pass(*find_pass("fold_constants"), folded);
  Streamlined streamlined = streamline(folded, options.streamline);
  compiled.findings = std::move(streamlined.findings);
  if (has_folded) compiled.steps.push_back({"fold_constants", std::move(folded)});
  run_pass(*find_pass("fold_pads"), streamlined.graph);
  compiled.steps.push_back({"streamline", std::move(streamlined.graph)});
  if (!options.standalone_thresholds) {
    Graph fused = compiled.steps.back().graph.clone();
    if (run_pass(*find_pass("fuse_thresholds"), fused))
      compiled.steps.push_back({"fuse_thresholds", std::move(fused)});
  }
  return compiled;
}

Compiled compile(const Graph& model, const CompileOptions& options) {
  Compiled compiled = streamline_only(model, options);
  const Graph& lowered = compiled.steps.back().graph;
  bool has_hardware = false;
  for (const Node& node : lowered.nodes)
    has_hardware = has_hardware || node.op->kind == Op::Kind::hardware;
  if (!has_hardware) {
    std::string reason = "the model has no quantized layer";
    std::string remedy = "quantize activations and weights to 1 to 8 bits and export QONNX";
    for (const Finding& finding : compiled.findings) {
      if (finding.reason.empty()) continue;
      reason = fmt::format("node '{}' ({}): {}", finding.node, finding.op, finding.reason);
      remedy = finding.remedy;
      break;
    }
    throw Error(fmt::format("no part of '{}' becomes hardware: {}", model.name, reason), remedy);
  }
  compiled.parts = partition(lowered, compiled.findings);
  run_pass(*find_pass("scale_thresholds"), compiled.parts.core);
  if (const auto note = note_on_input(model, compiled.parts.head, options.streamline)) {
    compiled.notes.push_back(*note);
  }
  return compiled;
}

Graph join(const Parts& parts) {
  Graph whole;
  whole.name = parts.core.name;
  // Copies a part whose inputs, in order, are these values; gives its outputs.
  const auto append = [&](const Graph& part, const std::vector<Value>* inputs) {
    std::map<const Node*, Node*> copies;
    const auto copied = [&](const Value& value) {
      return Value{copies.at(value.node), value.port};
    };
    std::map<const Node*, Value> given;
    size_t next = 0;
    for (const Node& node : part.nodes) {
      if (inputs != nullptr && node.op->kind == Op::Kind::input) {
        given[&node] = inputs->at(next++);
        continue;
      }
      std::vector<Value> in;
      for (const Value& value : node.in) {
        in.push_back(given.contains(value.node) ? given.at(value.node) : copied(value));
      }
      copies[&node] = &whole.add(*node.op, std::move(in), node.name, node.attr, node.data);
    }
    std::vector<Value> outputs;
    for (const Output& output : part.outputs) {
      const auto it = given.find(output.value.node);
      outputs.push_back(it != given.end() ? it->second : copied(output.value));
    }
    return outputs;
  };
  const std::vector<Value> from_head = append(parts.head, nullptr);
  std::vector<Value> to_core, to_tail;
  for (const Node& node : parts.core.nodes) {
    if (node.op->kind == Op::Kind::input) to_core.push_back(from_head.at(to_core.size()));
  }
  const std::vector<Value> from_core = append(parts.core, &to_core);
  to_tail = from_core;
  to_tail.insert(to_tail.end(), from_head.begin() + static_cast<std::ptrdiff_t>(to_core.size()),
                 from_head.end());
  const std::vector<Value> results = append(parts.tail, &to_tail);
  for (size_t i = 0; i < results.size(); ++i) {
    whole.outputs.push_back({parts.tail.outputs[i].name, results[i]});
  }
  for (size_t i = 0; i < from_core.size(); ++i) {
    whole.outputs.push_back({parts.core.outputs[i].name, from_core[i]});
  }
  return whole;
}

PartsRunner::PartsRunner(const Parts& parts)
    : head_(parts.head), core_(parts.core), tail_(parts.tail) {}

std::vector<Tensor> PartsRunner::run(const std::vector<Tensor>& inputs) const {
  return run(inputs, [this](const std::vector<Tensor>& operands) { return core_.run(operands); });
}

std::vector<Tensor> PartsRunner::run(const std::vector<Tensor>& inputs,
                                     const CoreEngine& core) const {
  const std::vector<Tensor> from_head = head_.run(inputs);
  const auto cut = from_head.begin() + static_cast<std::ptrdiff_t>(core_.inputs().size());
  std::vector<Tensor> to_tail = core({from_head.begin(), cut});
  to_tail.insert(to_tail.end(), cut, from_head.end());
  return tail_.run(to_tail);
}

}  // namespace foldstream
