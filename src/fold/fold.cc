// SPDX-License-Identifier: Apache-2.0
#include "src/fold/fold.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>

#include "src/fold/min_sum.h"
#include "src/ir/op.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/sim/stream_graph.h"
#include "src/util/error.h"
#include "src/util/parallel.h"

namespace foldstream {
namespace {

// No folding with these lanes; dearer than any there is, even on a part that lacks a resource.
constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kDearest = 1e100;
// Entries of the largest table that elimination may build.
constexpr size_t kTableLimit = 4'000'000;
// Between equals, less hardware in parallel; too small to weigh against any resource.
constexpr double kTieBreak = 1e-15;

// One legal folding of one node.
struct Choice {
  std::vector<std::pair<std::string, int64_t>> attrs;
  std::vector<int64_t> lanes;  // by port, inputs first
  int64_t steps = 0;
  double parallel = 1;
  Cost cost;
};

// Two ports that carry the same elements: a converter stands between them when lanes differ.
struct Joint {
  struct End {
    size_t node;
    bool is_output;
    size_t port;
  };
  End a, b;
  Type type;
};

// A value with several users. `end` gives the width of the fork.
struct Fan {
  Joint::End end;
  int64_t branches;
  Type type;
};

// The lanes of a port: a function of one variable.
struct PortLanes {
  size_t variable = 0;
  std::vector<int64_t> lanes;  // by value
};

// The variables that the lanes of a node's ports depend on, and where its choices lie among the
// combinations of their values.
struct Side {
  std::vector<size_t> variables;
  std::vector<PortLanes> ports;  // inputs first
  std::vector<size_t> entry;     // by choice
};

// What stands between nodes, for every combination of values of one or two variables.
struct PricedTerm {
  std::vector<size_t> scope;
  std::vector<Cost> costs;
};

class FoldSpace {
 public:
  // Foldings of more than `limit` cycles are left out, unpriced.
  FoldSpace(Graph& core, Family family, int64_t limit = INT64_MAX)
      : family_(family), limit_(limit) {
    std::map<const Node*, size_t> index;
    for (Node& node : core.nodes) {
      if (node.op->kind != Op::Kind::hardware) continue;
      index[&node] = nodes_.size();
      nodes_.push_back(&node);
    }
    if (nodes_.empty()) throw Error(fmt::format("'{}' has no hardware node to fold", core.name));
    choices_.resize(nodes_.size());
    least_.assign(nodes_.size(), INT64_MAX);
    parallel_for(nodes_.size(), [&](size_t i) { enumerate(i); });
    // Users of each stream; views pass it on.
    std::map<Value, std::vector<std::optional<Joint::End>>> users;
    for (Node& node : core.nodes) {
      if (node.op->kind != Op::Kind::hardware) continue;
      for (size_t port = 0; port < node.in.size(); ++port)
        users[stream_origin(node.in[port])].push_back(Joint::End{index.at(&node), false, port});
    }
    for (const Output& output : core.outputs)
      users[stream_origin(output.value)].push_back(std::nullopt);
    for (const auto& [value, ends] : users) {
      // The width of a value from the host is that of its first user.
      std::optional<Joint::End> from;
      if (const auto it = index.find(value.node); it != index.end())
        from = Joint::End{it->second, true, static_cast<size_t>(value.port)};
      else
        from = ends.front();
      if (!from) continue;
      for (const auto& end : ends) {
        const bool is_from = end && end->node == from->node && end->port == from->port &&
                             end->is_output == from->is_output;
        if (end && !is_from) joints_.push_back({*from, *end, value.type()});
      }
      if (ends.size() > 1)
        fans_.push_back({*from, static_cast<int64_t>(ends.size()), value.type()});
    }
  }

  // The fewest cycles any folding can reach, and the node that can't do better.
  std::pair<int64_t, const Node*> floor() const {
    std::pair<int64_t, const Node*> result{0, nullptr};
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (least_[i] > result.first) result = {least_[i], nodes_[i]};
    }
    return result;
  }

  // Every interval that some folding has, ascending from the floor.
  std::vector<int64_t> intervals() const {
    std::set<int64_t> steps;
    for (const auto& choices : choices_) {
      for (const Choice& choice : choices) steps.insert(choice.steps);
    }
    return {steps.lower_bound(floor().first), steps.end()};
  }

  struct Solution {
    std::vector<size_t> choice;  // by node
    Cost cost;
    bool optimal = true;
  };

  // The cheapest folding under `price` in which no node needs more than `cycles`. The variables are
  // the lanes of the streams: of a node's foldings with the same lanes only the cheapest counts.
  Solution solve(int64_t cycles, const Price& price) {
    price_joints();
    std::vector<SumTerm> terms;
    std::vector<std::vector<size_t>> picked;  // by node and entry of its term
    for (size_t i = 0; i < nodes_.size(); ++i) {
      size_t entries = 1;
      for (size_t v : sides_[i].variables) entries *= sizes_[v];
      SumTerm term{sides_[i].variables, std::vector<double>(entries, kNever)};
      std::vector<size_t> pick(entries, SIZE_MAX);
      for (size_t c = 0; c < choices_[i].size(); ++c) {
        const Choice& choice = choices_[i][c];
        if (choice.steps > cycles) continue;
        const double worth =
            std::min(price.of(choice.cost) + kTieBreak * choice.parallel, kDearest);
        const size_t entry = sides_[i].entry[c];
        if (worth < term.table[entry]) term.table[entry] = worth, pick[entry] = c;
      }
      terms.push_back(std::move(term));
      picked.push_back(std::move(pick));
    }
    for (const PricedTerm& priced : priced_) {
      SumTerm term{priced.scope, {}};
      for (const Cost& cost : priced.costs)
        term.table.push_back(std::min(price.of(cost), kDearest));
      terms.push_back(std::move(term));
    }
    const Minimum minimum = minimise(sizes_, std::move(terms), kTableLimit);
    Solution solution;
    solution.optimal = minimum.exact;
    const auto entry_of = [&](const std::vector<size_t>& scope) {
      size_t entry = 0;
      for (size_t v : scope) entry = entry * sizes_[v] + minimum.value[v];
      return entry;
    };
    for (size_t i = 0; i < nodes_.size(); ++i) {
      solution.choice.push_back(picked[i][entry_of(sides_[i].variables)]);
      solution.cost += choices_[i].at(solution.choice[i]).cost;
    }
    for (const PricedTerm& priced : priced_) solution.cost += priced.costs[entry_of(priced.scope)];
    return solution;
  }

  // As solve, but where the cheapest exceeds the part in one resource, that is made dearer until
  // the folding fits or no other comes.
  Solution solve_within(int64_t cycles, const Part& part, double share) {
    constexpr int kRounds = 8;
    Price price = price_on(part);
    Solution first = solve(cycles, price);
    Solution now = first;
    for (int round = 0; round < kRounds && !fits(now.cost, part, share); ++round) {
      const std::vector<Use> uses = use_of(now.cost, part, share);
      double* const units[] = {&price.lut, &price.ff, &price.bram18, &price.uram, &price.dsp};
      for (size_t r = 0; r < uses.size(); ++r) {
        if (!uses[r].fits()) *units[r] *= 2 * uses[r].used / std::max(uses[r].available, 1.0);
      }
      now = solve(cycles, price);
    }
    return fits(now.cost, part, share) ? now : first;
  }

  FoldResult apply(const Solution& solution) {
    FoldResult result;
    result.cost = solution.cost;
    result.optimal = solution.optimal;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const Choice& choice = choices_[i][solution.choice[i]];
      for (const auto& [attr, value] : choice.attrs) nodes_[i]->attr[attr] = value;
      if (choice.steps > result.cycles) {
        result.cycles = choice.steps;
        result.bottleneck = nodes_[i]->name;
      }
    }
    return result;
  }

 private:
  // Tries the foldings on the node itself, whose weights are too large to copy.
  void enumerate(size_t i) {
    Node& node = *nodes_[i];
    const auto attr = node.attr;
    enumerate(i, 0, {});
    node.attr = attr;
    if (least_[i] == INT64_MAX) throw Error(fmt::format("{} has no legal folding", describe(node)));
  }

  // Attribute by attribute, because the legal values of one may depend on those before it.
  void enumerate(size_t i, size_t depth, std::vector<std::pair<std::string, int64_t>> attrs) {
    Node& node = *nodes_[i];
    const std::vector<Fold> folds =
        node.op->folds == nullptr ? std::vector<Fold>{} : node.op->folds(node);
    if (depth < folds.size()) {
      for (int64_t value : folds[depth].legal) {
        node.attr[folds[depth].attr] = value;
        attrs.emplace_back(folds[depth].attr, value);
        enumerate(i, depth + 1, attrs);
        attrs.pop_back();
      }
      return;
    }
    Choice choice;
    choice.steps = node.op->rhythm(node, family_).steps();
    least_[i] = std::min(least_[i], choice.steps);
    if (choice.steps > limit_) return;
    const Ports ports = node.op->ports(node);
    for (const Stream& stream : ports.in) choice.lanes.push_back(stream.lanes);
    for (const Stream& stream : ports.out) choice.lanes.push_back(stream.lanes);
    choice.cost = node_cost(node, family_);
    for (const auto& attr : attrs) choice.parallel *= static_cast<double>(attr.second);
    choice.attrs = std::move(attrs);
    choices_[i].push_back(std::move(choice));
  }

  // Gives every port of every node a variable. Ports that always have the same lanes share one; so
  // do all ports of a node with too many combinations.
  void make_variables() {
    sides_.resize(nodes_.size());
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const std::vector<Choice>& choices = choices_[i];
      const size_t ports = choices.empty() ? 0 : choices[0].lanes.size();
      std::vector<std::vector<size_t>> groups;
      for (size_t port = 0; port < ports; ++port) {
        const auto like = std::find_if(groups.begin(), groups.end(), [&](const auto& group) {
          return std::all_of(choices.begin(), choices.end(), [&](const Choice& choice) {
            return choice.lanes[port] == choice.lanes[group[0]];
          });
        });
        if (like == groups.end())
          groups.push_back({port});
        else
          like->push_back(port);
      }
      if (!try_groups(i, groups)) {
        std::vector<size_t> all(ports);
        std::iota(all.begin(), all.end(), size_t{0});
        FOLDSTREAM_CHECK(try_groups(i, {all}));
      }
    }
  }

  bool try_groups(size_t i, const std::vector<std::vector<size_t>>& groups) {
    Side side;
    side.ports.resize(choices_[i].empty() ? 0 : choices_[i][0].lanes.size());
    side.entry.assign(choices_[i].size(), 0);
    std::vector<size_t> sizes;
    size_t entries = 1;
    for (const std::vector<size_t>& group : groups) {
      std::map<std::vector<int64_t>, size_t> values;
      const auto lanes_of = [&](const Choice& choice) {
        std::vector<int64_t> lanes;
        for (size_t port : group) lanes.push_back(choice.lanes[port]);
        return lanes;
      };
      for (const Choice& choice : choices_[i]) values.emplace(lanes_of(choice), 0);
      size_t next = 0;
      for (auto& [lanes, value] : values) value = next++;
      entries *= values.size();
      if (entries > kTableLimit && groups.size() > 1) return false;
      for (size_t c = 0; c < choices_[i].size(); ++c)
        side.entry[c] = side.entry[c] * values.size() + values.at(lanes_of(choices_[i][c]));
      side.variables.push_back(sizes_.size() + sizes.size());
      sizes.push_back(values.size());
      for (size_t g = 0; g < group.size(); ++g) {
        PortLanes& port = side.ports[group[g]];
        port.variable = side.variables.back();
        for (const auto& [lanes, value] : values) port.lanes.push_back(lanes[g]);
      }
    }
    sizes_.insert(sizes_.end(), sizes.begin(), sizes.end());
    sides_[i] = std::move(side);
    return true;
  }

  const PortLanes& at(const Joint::End& end) const {
    const size_t outputs_from = nodes_[end.node]->in.size();
    return sides_[end.node].ports[end.is_output ? outputs_from + end.port : end.port];
  }

  // What converters and forks cost, for all lanes of their ends; once.
  void price_joints() {
    if (!sides_.empty()) return;
    make_variables();
    for (const Fan& fan : fans_) {
      const PortLanes& end = at(fan.end);
      PricedTerm term{{end.variable}, {}};
      for (int64_t lanes : end.lanes) term.costs.push_back(fan_cost(fan, lanes));
      priced_.push_back(std::move(term));
    }
    for (const Joint& joint : joints_) {
      const PortLanes &a = at(joint.a), &b = at(joint.b);
      if (a.variable == b.variable) {  // one node takes a value twice
        PricedTerm term{{a.variable}, {}};
        for (size_t v = 0; v < a.lanes.size(); ++v)
          term.costs.push_back(joint_cost(joint, a.lanes[v], b.lanes[v]));
        priced_.push_back(std::move(term));
        continue;
      }
      PricedTerm term{{a.variable, b.variable}, {}};
      for (int64_t from : a.lanes) {
        for (int64_t to : b.lanes) term.costs.push_back(joint_cost(joint, from, to));
      }
      priced_.push_back(std::move(term));
    }
  }

  Cost joint_cost(const Joint& joint, int64_t from, int64_t to) {
    if (from == to) return {};
    const auto [it, is_new] =
        converters_.try_emplace({joint.type.bits, joint.type.count(), from, to}, Cost{});
    if (is_new) it->second = converter_cost(joint.type, from, to, family_);
    return it->second;
  }

  Cost fan_cost(const Fan& fan, int64_t lanes) {
    const auto [it, is_new] =
        forks_.try_emplace({fan.type.bits, fan.type.count(), fan.branches, lanes}, Cost{});
    if (is_new) it->second = fork_cost(fan.type, fan.branches, lanes, family_);
    return it->second;
  }

  Family family_;
  int64_t limit_;
  std::vector<Node*> nodes_;
  std::vector<std::vector<Choice>> choices_;  // by node
  std::vector<int64_t> least_;                // cycles of its fastest folding, by node
  std::vector<Joint> joints_;
  std::vector<Fan> fans_;
  std::vector<size_t> sizes_;       // of the variables
  std::vector<Side> sides_;         // by node
  std::vector<PricedTerm> priced_;  // of fans and joints
  std::map<std::tuple<int, int64_t, int64_t, int64_t>, Cost> converters_, forks_;
};

}  // namespace

int64_t cycles_for_rate(double frames_per_second, double clock_mhz) {
  if (!(clock_mhz > 0)) throw Error(fmt::format("--clock: {} MHz is not positive", clock_mhz));
  if (!(frames_per_second > 0))
    throw Error(fmt::format("--fps: {} frames a second is not positive", frames_per_second));
  const double cycles = clock_mhz * 1e6 / frames_per_second;
  if (cycles < 1) {
    throw Error(
        fmt::format("--fps: {} frames a second at {} MHz leave {:.3g} cycles for a frame",
                    frames_per_second, clock_mhz, cycles),
        fmt::format("at most one frame a clock is possible: {} frames a second", clock_mhz * 1e6));
  }
  constexpr double kMost = 1e15;  // slower than any network, and far from overflow
  return static_cast<int64_t>(std::floor(std::min(cycles * (1 + 1e-12), kMost)));
}

FoldResult fold_for_cycles(Graph& core, int64_t cycles, const Part& part) {
  FoldSpace space(core, part.family, cycles);
  const auto [least, node] = space.floor();
  if (cycles < least) {
    throw Error(fmt::format("{} needs at least {} cycles a frame, the target leaves {}",
                            describe(*node), least, cycles),
                fmt::format("the nearest that can be reached is {} cycles a frame", least));
  }
  return space.apply(space.solve_within(cycles, part, 1));
}

FoldResult fold_max(Graph& core, const Part& part, double share) {
  if (!(share > 0 && share <= 1))
    throw Error(fmt::format("a share of {} of the part", share),
                "legal are values above 0, up to 1");
  FoldSpace space(core, part.family);
  const std::vector<int64_t> intervals = space.intervals();
  FoldSpace::Solution best = space.solve_within(intervals.back(), part, share);
  if (!fits(best.cost, part, share)) {
    throw Error(fmt::format("'{}' does not fit {} even at the lowest rate: {}", core.name,
                            part.name, exceeded(best.cost, part, share)),
                "choose a larger part, or let more of it be used");
  }
  size_t low = 0, high = intervals.size() - 1;  // high fits
  while (low < high) {
    const size_t middle = (low + high) / 2;
    FoldSpace::Solution trial = space.solve_within(intervals[middle], part, share);
    if (fits(trial.cost, part, share)) {
      best = std::move(trial);
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return space.apply(best);
}

std::pair<const Node*, int64_t> slowest_node(const Graph& core, Family family) {
  std::pair<const Node*, int64_t> result{nullptr, 0};
  for (const Node& node : core.nodes) {
    if (node.op->kind != Op::Kind::hardware) continue;
    const int64_t steps = node.op->rhythm(node, family).steps();
    if (steps > result.second) result = {&node, steps};
  }
  return result;
}

}  // namespace foldstream
