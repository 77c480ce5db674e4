// SPDX-License-Identifier: Apache-2.0
#include "src/flow/writable.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>

#include "src/fold/finn_names.h"
#include "src/ir/op.h"
#include "src/util/error.h"
#include "src/util/suggest.h"

namespace foldstream {
namespace {

bool has_memories(const Node& node) {
  return node.op->kind == Op::Kind::hardware && node.op->memories != nullptr;
}

// Throws Error, beginning with `what`, when no node has that name.
Node& find_node(Graph& core, const std::string& what, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [finn, node] : finn_names(core)) {
    if (node->name == name || finn == name) return const_cast<Node&>(*node);
    names.insert(names.end(), {node->name, finn});
  }
  throw Error(fmt::format("{}: no node is called '{}'", what, name), did_you_mean(name, names));
}

std::string nodes_with_memories(const Graph& core) {
  std::vector<std::string> names;
  for (const Node& node : core.nodes) {
    if (has_memories(node)) names.push_back(node.name);
  }
  return names.empty() ? std::string("no node has any")
                       : fmt::format("nodes that have: {}", fmt::join(names, ", "));
}

// Gives the constants that a memory holds as they are a type to hold in future.
void widen(Node& node, const Type& type, Family family) {
  std::set<std::string> tensors;
  const std::vector<MemoryShape> memories = node.op->memories(node, family);
  for (const MemoryField& field : memories.front().fields) tensors.insert(field.tensor);
  for (const std::string& name : tensors) {
    Tensor& tensor = node.data.at(name);
    for (const int64_t value : tensor.ints) {
      if (value < type.min() || value > type.max()) {
        throw Error(
            fmt::format("--writable-weights: {} of {} has {}, outside {}", name, describe(node),
                        value, element_name(type)),
            fmt::format("its type is {}; give one that holds it", element_name(tensor.type)));
      }
    }
    tensor.type = integer_type(type.bits, type.is_signed, tensor.type.shape);
  }
}

}  // namespace

void make_writable(Parts& parts, const std::vector<std::string>& choices, Family family) {
  constexpr const char* kWhat = "--writable-weights";
  Graph& core = parts.core;
  const auto make = [](Node& node) { node.attr["memory"] = std::string("writable"); };
  for (const std::string& choice : choices) {
    if (choice == "all") {
      bool any = false;
      for (Node& node : core.nodes) {
        if (has_memories(node)) make(node), any = true;
      }
      if (!any) throw Error(fmt::format("{}: no node of the design has weights", kWhat));
      continue;
    }
    const bool is_name =
        std::ranges::any_of(core.nodes, [&](const Node& node) { return node.name == choice; });
    const size_t colon = is_name ? std::string::npos : choice.rfind(':');
    std::optional<Type> type;
    if (colon != std::string::npos) {
      type = parse_element(choice.substr(colon + 1));
      if (type->is_float) {
        throw Error(fmt::format("{}: '{}' is no integer type", kWhat, choice.substr(colon + 1)),
                    "s4 for example");
      }
    }
    Node& node = find_node(core, kWhat, choice.substr(0, colon));
    if (!has_memories(node)) {
      throw Error(fmt::format("{}: {} has no weights", kWhat, describe(node)),
                  nodes_with_memories(core));
    }
    make(node);
    if (type) widen(node, *type, family);
  }
  settle_types(parts);
}

void settle_types(Parts& parts) {
  for (Node& node : parts.core.nodes) {
    if (node.op->kind != Op::Kind::input) infer_node(node);
  }
  size_t next = 0;
  for (Node& node : parts.tail.nodes) {
    if (node.op->kind == Op::Kind::input && next < parts.core.outputs.size()) {
      node.attr["type"] = element_name(parts.core.outputs[next++].value.type());
    }
    infer_node(node);
  }
}

bool any_writable(const Graph& core) {
  return std::any_of(core.nodes.begin(), core.nodes.end(),
                     [](const Node& node) { return memory_place(node) == MemoryPlace::writable; });
}

std::string write_constant(Graph& core, const std::string& name, const std::vector<int64_t>& shape,
                           std::vector<int64_t> values, Family family) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) {
    throw Error(fmt::format("--write: '{}' names no constant of a node", name),
                "expected NODE.CONSTANT, fc1.w for example");
  }
  Node& node = find_node(core, "--write", name.substr(0, dot));
  if (memory_place(node) != MemoryPlace::writable) {
    throw Error(fmt::format("--write: {} is not writable", describe(node)),
                fmt::format("build with --writable-weights {}", node.name));
  }
  const std::string key = name.substr(dot + 1);
  std::vector<std::string> known;
  bool saturates = false;
  for (const MemoryShape& memory : node.op->memories(node, family)) {
    for (const MemoryField& field : memory.fields) {
      known.push_back(field.tensor);
      saturates = saturates || (field.tensor == key && field.saturates);
    }
  }
  if (std::find(known.begin(), known.end(), key) == known.end()) {
    throw Error(fmt::format("--write: {} has no writable constant '{}'", describe(node), key),
                fmt::format("it has {}", fmt::join(known, ", ")));
  }
  Tensor& tensor = node.data.at(key);
  if (shape != tensor.type.shape) {
    throw Error(fmt::format("--write: {} has shape {}", name, to_string(shape)),
                fmt::format("expected {}", to_string(tensor.type.shape)));
  }
  // What saturates needs no type of its own.
  const Type type = saturates ? make_ints(shape, values).type : tensor.type;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < type.min() || values[i] > type.max()) {
      throw Error(fmt::format("--write: element {} of {} is {}, outside {} ({} to {})", i, name,
                              values[i], element_name(type), type.min(), type.max()),
                  fmt::format("types are fixed when a design is built: --writable-weights {}:s{}",
                              node.name, std::min(type.bits + 1, 16)));
    }
  }
  tensor = make_ints(type, std::move(values));
  infer_node(node);
  return node.name;
}

}  // namespace foldstream
