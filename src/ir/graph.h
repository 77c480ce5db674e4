// SPDX-License-Identifier: Apache-2.0
// The one graph of Foldstream. A node of any kind - a float operator as read from ONNX, an integer
// operator that becomes hardware - is the same struct; what it means is in its Op (op.h).
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "src/ir/type.h"

namespace foldstream {

struct Op;
struct Node;

// The port-th result of a node.
struct Value {
  Node* node = nullptr;
  int port = 0;
  bool operator==(const Value&) const = default;
  auto operator<=>(const Value&) const = default;
  explicit operator bool() const { return node != nullptr; }
  const Type& type() const;
};

using Attr = std::variant<int64_t, double, std::string, std::vector<int64_t>>;

struct Node {
  const Op* op = nullptr;                           // what it computes
  std::vector<Value> in;                            // from where
  std::map<std::string, Attr, std::less<>> attr;    // how: kernel, stride, pe, simd ...
  std::map<std::string, Tensor, std::less<>> data;  // with which constants
  std::vector<Type> out;                            // written by op->infer, never by hand
  std::string name;  // from the source model, for messages and instance names

  int64_t integer(std::string_view key) const;  // the attribute must be there
  int64_t integer(std::string_view key, int64_t absent) const;
  double real(std::string_view key, double absent) const;
  std::string text(std::string_view key, std::string_view absent) const;
  std::vector<int64_t> integers(std::string_view key, std::vector<int64_t> absent) const;
  const Tensor* tensor(std::string_view key) const;  // null when absent
  const Type& in_type(size_t port) const { return in.at(port).type(); }
};

struct Output {
  std::string name;
  Value value;
};

struct Graph {
  std::string name;
  std::deque<Node> nodes;  // topological order; addresses are stable under add()
  std::vector<Output> outputs;

  Graph() = default;
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;
  Graph(const Graph&) = delete;  // nodes point at each other: use clone()
  Graph& operator=(const Graph&) = delete;

  // Appends a node and infers its types; throws Error, naming the node, when it is not legal.
  Node& add(const Op& op, std::vector<Value> in, std::string name,
            std::map<std::string, Attr, std::less<>> attr = {},
            std::map<std::string, Tensor, std::less<>> data = {});
  Graph clone() const;
  // Rewires every use of `old`, outputs included.
  void replace(Value old, Value by);
  // Drops nodes that no output depends on; graph inputs stay. True if it dropped any.
  bool remove_dead();
  // Uses of each value, in node order; graph outputs don't count.
  std::map<Value, std::vector<Node*>> users();
};

// What op->infer gives for the node's present inputs; an Error gains the node's name.
std::vector<Type> inferred_types(const Node& node);
// Stores them in the node.
void infer_node(Node& node);

std::string describe(const Node& node);  // "node 'fc1' (mvau)"

}  // namespace foldstream
