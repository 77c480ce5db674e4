// SPDX-License-Identifier: Apache-2.0
#include "src/ir/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {

const Type& Value::type() const {
  FOLDSTREAM_CHECK(node != nullptr && port >= 0 && port < static_cast<int>(node->out.size()));
  return node->out[port];
}

std::string describe(const Node& node) {
  return fmt::format("node '{}' ({})", node.name, node.op->name);
}

namespace {

template <class T>
const T* find_attr(const Node& node, std::string_view key) {
  const auto it = node.attr.find(key);
  if (it == node.attr.end()) return nullptr;
  const T* value = std::get_if<T>(&it->second);
  if (value == nullptr) throw Error(fmt::format("attribute '{}' has the wrong kind", key));
  return value;
}

}  // namespace

int64_t Node::integer(std::string_view key) const {
  const int64_t* value = find_attr<int64_t>(*this, key);
  if (value == nullptr) throw Error(fmt::format("attribute '{}' is missing", key));
  return *value;
}

int64_t Node::integer(std::string_view key, int64_t absent) const {
  const int64_t* value = find_attr<int64_t>(*this, key);
  return value == nullptr ? absent : *value;
}

double Node::real(std::string_view key, double absent) const {
  const double* value = find_attr<double>(*this, key);
  return value == nullptr ? absent : *value;
}

std::string Node::text(std::string_view key, std::string_view absent) const {
  const std::string* value = find_attr<std::string>(*this, key);
  return value == nullptr ? std::string(absent) : *value;
}

std::vector<int64_t> Node::integers(std::string_view key, std::vector<int64_t> absent) const {
  const auto* value = find_attr<std::vector<int64_t>>(*this, key);
  return value == nullptr ? absent : *value;
}

const Tensor* Node::tensor(std::string_view key) const {
  const auto it = data.find(key);
  return it == data.end() ? nullptr : &it->second;
}

std::vector<Type> inferred_types(const Node& node) {
  try {
    std::vector<Type> out = node.op->infer(node);
    for (const Type& type : out) {
      if (!checked_element_count(type.shape)) {
        throw Error(fmt::format("its result {} has too many elements", to_string(type)));
      }
    }
    return out;
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", describe(node), error.what()), error.help());
  }
}

void infer_node(Node& node) { node.out = inferred_types(node); }

Node& Graph::add(const Op& op, std::vector<Value> in, std::string node_name,
                 std::map<std::string, Attr, std::less<>> attr,
                 std::map<std::string, Tensor, std::less<>> data) {
  Node node{&op, std::move(in), std::move(attr), std::move(data), {}, std::move(node_name)};
  infer_node(node);
  return nodes.emplace_back(std::move(node));
}

Graph Graph::clone() const {
  Graph copy;
  copy.name = name;
  std::unordered_map<const Node*, Node*> map;
  for (const Node& node : nodes) {
    Node& twin = copy.nodes.emplace_back(node);
    for (Value& value : twin.in) value.node = map.at(value.node);
    map[&node] = &twin;
  }
  for (const Output& output : outputs) {
    copy.outputs.push_back({output.name, {map.at(output.value.node), output.value.port}});
  }
  return copy;
}

void Graph::replace(Value old, Value by) {
  for (Node& node : nodes) std::replace(node.in.begin(), node.in.end(), old, by);
  for (Output& output : outputs) {
    if (output.value == old) output.value = by;
  }
}

bool Graph::remove_dead() {
  std::set<const Node*> live;
  for (const Output& output : outputs) live.insert(output.value.node);
  for (size_t i = nodes.size(); i-- > 0;) {
    const Node& node = nodes[i];
    if (node.op->kind == Op::Kind::input) live.insert(&node);
    if (!live.contains(&node)) continue;
    for (const Value& value : node.in) live.insert(value.node);
  }
  if (live.size() == nodes.size()) return false;
  std::deque<Node> kept;
  std::unordered_map<const Node*, Node*> map;
  for (Node& node : nodes) {
    if (!live.contains(&node)) continue;
    const Node* before = &node;
    Node& moved = kept.emplace_back(std::move(node));
    for (Value& value : moved.in) value.node = map.at(value.node);
    map[before] = &moved;
  }
  for (Output& output : outputs) output.value.node = map.at(output.value.node);
  nodes = std::move(kept);
  return true;
}

std::map<Value, std::vector<Node*>> Graph::users() {
  std::map<Value, std::vector<Node*>> result;
  for (Node& node : nodes) {
    for (const Value& value : node.in) result[value].push_back(&node);
  }
  return result;
}

}  // namespace foldstream
