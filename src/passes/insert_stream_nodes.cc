// SPDX-License-Identifier: Apache-2.0
#include "src/passes/insert_stream_nodes.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <vector>

#include "src/ir/op.h"
#include "src/ir/pass.h"

namespace foldstream {
namespace {

class Inserter {
 public:
  explicit Inserter(Graph& before) : before_(before) {
    after_.name = before.name;
    for (const Node& node : before.nodes) {
      names_.insert(node.name);
      if (node.op->kind == Op::Kind::hardware) ports_[&node] = node.op->ports(node);
    }
    for (Node& node : before.nodes) {
      for (size_t port = 0; port < node.in.size(); ++port)
        uses_[node.in[port]].push_back({&node, port});
    }
    for (const Output& output : before.outputs) uses_[output.value].push_back({});
  }

  bool run() {
    for (Node& node : before_.nodes) {
      std::vector<Value> in;
      int64_t through = 0;  // lanes of the stream that a view passes on
      for (size_t port = 0; port < node.in.size(); ++port) {
        const auto [value, lanes] = next_branch(node.in[port]);
        in.push_back(convert(value, lanes, node, port));
        through = lanes;
      }
      Node& copy = after_.add(*node.op, std::move(in), node.name, std::move(node.attr),
                              std::move(node.data));
      for (size_t port = 0; port < copy.out.size(); ++port) {
        int64_t lanes = 0;  // of a value from the host: whatever its user takes
        if (node.op->kind == Op::Kind::hardware) lanes = ports_.at(&node).out[port].lanes;
        if (node.op->kind == Op::Kind::view) lanes = through;
        supply({&node, static_cast<int>(port)}, {&copy, static_cast<int>(port)}, lanes);
      }
    }
    for (const Output& output : before_.outputs)
      after_.outputs.push_back({output.name, next_branch(output.value).first});
    before_ = std::move(after_);
    return added_;
  }

 private:
  struct Use {
    Node* node = nullptr;  // null: an output of the graph
    size_t port = 0;
  };
  struct Supply {
    std::vector<Value> branches;
    size_t next = 0;
    int64_t lanes = 0;
  };

  void supply(Value old, Value now, int64_t lanes) {
    Supply& supply = supplies_[old];
    const auto uses = uses_.find(old);
    const size_t count = uses == uses_.end() ? 0 : uses->second.size();
    if (count <= 1 || now.node->op->kind == Op::Kind::constant) {
      supply = {{now}, 0, lanes};
      return;
    }
    if (lanes == 0) lanes = wanted_lanes(old);
    Node& fork = after_.add(require_op("fork"), {now}, fresh(now.node->name + "_fork"),
                            {{"branches", static_cast<int64_t>(count)}, {"lanes", lanes}});
    for (size_t branch = 0; branch < count; ++branch)
      supply.branches.push_back({&fork, static_cast<int>(branch)});
    supply.lanes = lanes;
    added_ = true;
  }

  std::pair<Value, int64_t> next_branch(Value old) {
    Supply& supply = supplies_.at(old);
    const Value value = supply.branches[supply.next];
    if (supply.branches.size() > 1) ++supply.next;
    return {value, supply.lanes};
  }

  // Lanes that the first hardware user of a value takes.
  int64_t wanted_lanes(Value value) const {
    const auto uses = uses_.find(value);
    if (uses == uses_.end()) return 1;
    for (const Use& use : uses->second) {
      if (use.node == nullptr) continue;
      if (use.node->op->kind == Op::Kind::hardware) return ports_.at(use.node).in[use.port].lanes;
      if (use.node->op->kind == Op::Kind::view) return wanted_lanes({use.node, 0});
    }
    return 1;
  }

  Value convert(Value value, int64_t lanes, const Node& user, size_t port) {
    if (user.op->kind != Op::Kind::hardware || lanes == 0) return value;
    const int64_t wanted = ports_.at(&user).in[port].lanes;
    if (wanted == lanes) return value;
    const std::string suffix = user.in.size() == 1 ? "" : std::to_string(port);
    Node& converter =
        after_.add(require_op("width_converter"), {value}, fresh(user.name + "_width" + suffix),
                   {{"lanes_in", lanes}, {"lanes_out", wanted}});
    added_ = true;
    return {&converter, 0};
  }

  std::string fresh(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 1; !names_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  Graph& before_;
  Graph after_;
  std::map<const Node*, Ports> ports_;
  std::map<Value, std::vector<Use>> uses_;
  std::map<Value, Supply> supplies_;
  std::set<std::string> names_;
  bool added_ = false;
};

using Attrs = std::map<std::string, Attr, std::less<>>;

// Asks a node that stands alone, behind an input of this type.
template <class Ask>
auto asked_alone(const char* op_name, const Type& type, Attrs attr, const Ask& ask) {
  Graph graph;
  Node& input = graph.add(require_op("input"), {}, "in",
                          {{"type", element_name(type)}, {"shape", type.shape}});
  return ask(graph.add(require_op(op_name), {{&input, 0}}, "alone", std::move(attr)));
}

Cost cost_alone(const char* op_name, const Type& type, Attrs attr, Family family) {
  if (require_op(op_name).cost == nullptr) return {};
  return asked_alone(op_name, type, std::move(attr),
                     [&](const Node& node) { return node.op->cost(node, family); });
}

Rhythm rhythm_alone(const char* op_name, const Type& type, Attrs attr, Family family) {
  return asked_alone(op_name, type, std::move(attr),
                     [&](const Node& node) { return node.op->rhythm(node, family); });
}

Attrs converter_attrs(int64_t lanes_in, int64_t lanes_out) {
  return {{"lanes_in", lanes_in}, {"lanes_out", lanes_out}};
}
Attrs fork_attrs(int64_t branches, int64_t lanes) {
  return {{"branches", branches}, {"lanes", lanes}};
}

}  // namespace

bool insert_stream_nodes(Graph& core) { return Inserter(core).run(); }

Cost converter_cost(const Type& type, int64_t lanes_in, int64_t lanes_out, Family family) {
  return cost_alone("width_converter", type, converter_attrs(lanes_in, lanes_out), family);
}

Cost fork_cost(const Type& type, int64_t branches, int64_t lanes, Family family) {
  return cost_alone("fork", type, fork_attrs(branches, lanes), family);
}

Rhythm converter_rhythm(const Type& type, int64_t lanes_in, int64_t lanes_out, Family family) {
  return rhythm_alone("width_converter", type, converter_attrs(lanes_in, lanes_out), family);
}

Rhythm fork_rhythm(const Type& type, int64_t branches, int64_t lanes, Family family) {
  return rhythm_alone("fork", type, fork_attrs(branches, lanes), family);
}

void insert_fifos(Graph& core, const std::vector<FifoPlace>& places) {
  Graph after;
  after.name = core.name;
  std::set<std::string> names;
  for (const Node& node : core.nodes) names.insert(node.name);
  std::map<const Node*, Node*> now;
  const auto moved = [&](Value value) { return Value{now.at(value.node), value.port}; };
  for (Node& node : core.nodes) {
    std::vector<Value> in;
    for (size_t port = 0; port < node.in.size(); ++port) {
      in.push_back(moved(node.in[port]));
      for (const FifoPlace& place : places) {
        if (place.user != &node || place.port != port) continue;
        std::string name =
            fmt::format("{}_fifo{}", node.name, node.in.size() == 1 ? "" : std::to_string(port));
        while (!names.insert(name).second) name += '_';
        const int64_t lanes = node.op->ports(node).in[port].lanes;
        in.back() = {&after.add(require_op("fifo"), {in.back()}, name,
                                {{"lanes", lanes}, {"queue", place.beats}}),
                     0};
      }
    }
    Node& copy = after.nodes.emplace_back(node);
    copy.in = std::move(in);
    now[&node] = &copy;
  }
  for (const Output& output : core.outputs)
    after.outputs.push_back({output.name, moved(output.value)});
  core = std::move(after);
}

extern const Pass pass_insert_stream_nodes;
const Pass pass_insert_stream_nodes{"insert_stream_nodes",
                                    "put width converters and forks between folded nodes",
                                    insert_stream_nodes};

}  // namespace foldstream
