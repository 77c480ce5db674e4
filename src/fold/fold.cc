// SPDX-License-Identifier: Apache-2.0
#include "src/fold/fold.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "src/ir/op.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/sim/stream_graph.h"
#include "src/util/error.h"
#include "src/util/parallel.h"

namespace foldstream {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Entries of the largest table that elimination may build.
constexpr size_t kTableLimit = 4'000'000;
// Between equals, less hardware in parallel; too small to weigh against any resource.
constexpr double kTieBreak = 1e-15;

// One legal folding of one node.
struct Choice {
  std::vector<std::pair<std::string, int64_t>> attrs;
  std::vector<int64_t> lanes_in, lanes_out;  // by port
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

  // The cheapest folding under `price` in which no node needs more than `cycles`.
  Solution solve(int64_t cycles, const Price& price) {
    // What the neighbours see of a choice is its lanes: of those alike, only the cheapest counts.
    std::vector<std::vector<size_t>> domain(nodes_.size());
    std::vector<std::vector<double>> unary(nodes_.size());
    for (size_t i = 0; i < nodes_.size(); ++i) {
      std::map<std::pair<std::vector<int64_t>, std::vector<int64_t>>, std::pair<double, size_t>>
          best;
      for (size_t c = 0; c < choices_[i].size(); ++c) {
        const Choice& choice = choices_[i][c];
        if (choice.steps > cycles) continue;
        const double worth = price.of(choice.cost) + kTieBreak * choice.parallel;
        const auto [it, is_new] =
            best.try_emplace({choice.lanes_in, choice.lanes_out}, std::pair{worth, c});
        if (!is_new && worth < it->second.first) it->second = {worth, c};
      }
      for (const auto& [lanes, entry] : best) {
        domain[i].push_back(entry.second);
        unary[i].push_back(entry.first);
      }
    }
    for (const Fan& fan : fans_) {
      const size_t i = fan.end.node;
      for (size_t d = 0; d < domain[i].size(); ++d)
        unary[i][d] += price.of(fan_cost(fan, choices_[i][domain[i][d]]));
    }
    Solution solution;
    const std::vector<size_t> picked = eliminate(domain, unary, price, solution.optimal);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      solution.choice.push_back(domain[i][picked[i]]);
      solution.cost += choices_[i][solution.choice[i]].cost;
    }
    for (const Fan& fan : fans_)
      solution.cost += fan_cost(fan, choices_[fan.end.node][solution.choice[fan.end.node]]);
    for (const Joint& joint : joints_)
      solution.cost += joint_cost(joint, choices_[joint.a.node][solution.choice[joint.a.node]],
                                  choices_[joint.b.node][solution.choice[joint.b.node]]);
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
    for (const Stream& stream : ports.in) choice.lanes_in.push_back(stream.lanes);
    for (const Stream& stream : ports.out) choice.lanes_out.push_back(stream.lanes);
    choice.cost = node_cost(node, family_);
    for (const auto& attr : attrs) choice.parallel *= static_cast<double>(attr.second);
    choice.attrs = std::move(attrs);
    choices_[i].push_back(std::move(choice));
  }

  static int64_t lanes(const Joint::End& end, const Choice& choice) {
    return end.is_output ? choice.lanes_out[end.port] : choice.lanes_in[end.port];
  }

  Cost joint_cost(const Joint& joint, const Choice& a, const Choice& b) {
    const int64_t from = lanes(joint.a, a), to = lanes(joint.b, b);
    if (from == to) return {};
    const auto [it, is_new] =
        converters_.try_emplace({joint.type.bits, joint.type.count(), from, to}, Cost{});
    if (is_new) it->second = converter_cost(joint.type, from, to, family_);
    return it->second;
  }

  Cost fan_cost(const Fan& fan, const Choice& choice) {
    const int64_t width = lanes(fan.end, choice);
    const auto [it, is_new] =
        forks_.try_emplace({fan.type.bits, fan.type.count(), fan.branches, width}, Cost{});
    if (is_new) it->second = fork_cost(fan.type, fan.branches, width, family_);
    return it->second;
  }

  // A function of some nodes' choices; the last node of `scope` runs fastest in `table`.
  struct Factor {
    std::vector<size_t> scope;
    std::vector<double> table;
  };

  // Minimises the sum of all unary and joint prices exactly: one node after the other is replaced
  // by a table of the best it can do for each choice of its neighbours.
  std::vector<size_t> eliminate(const std::vector<std::vector<size_t>>& domain,
                                std::vector<std::vector<double>> unary, const Price& price,
                                bool& optimal) {
    const size_t count = nodes_.size();
    std::vector<size_t> size(count);
    for (size_t i = 0; i < count; ++i) size[i] = domain[i].size();
    std::vector<Factor> factors;
    for (size_t i = 0; i < count; ++i) factors.push_back({{i}, unary[i]});
    for (const Joint& joint : joints_) {
      const size_t a = joint.a.node, b = joint.b.node;
      if (a == b) {  // one node takes a value twice
        for (size_t i = 0; i < size[a]; ++i) {
          const Choice& choice = choices_[a][domain[a][i]];
          factors[a].table[i] += price.of(joint_cost(joint, choice, choice));
        }
        continue;
      }
      Factor factor{{a, b}, std::vector<double>(size[a] * size[b])};
      for (size_t i = 0; i < size[a]; ++i) {
        for (size_t j = 0; j < size[b]; ++j)
          factor.table[i * size[b] + j] =
              price.of(joint_cost(joint, choices_[a][domain[a][i]], choices_[b][domain[b][j]]));
      }
      factors.push_back(std::move(factor));
    }

    struct Step {
      size_t node;
      Factor best;  // over the neighbours: which value of the node is best
    };
    std::vector<Step> steps;
    std::vector<char> gone(count, 0);
    for (size_t round = 0; round < count; ++round) {
      // The node with the smallest table next.
      size_t node = count;
      size_t smallest = SIZE_MAX;
      std::vector<size_t> around;
      for (size_t i = 0; i < count; ++i) {
        if (gone[i]) continue;
        std::set<size_t> others;
        for (const Factor& factor : factors) {
          if (std::find(factor.scope.begin(), factor.scope.end(), i) == factor.scope.end())
            continue;
          others.insert(factor.scope.begin(), factor.scope.end());
        }
        others.erase(i);
        size_t entries = 1;
        for (size_t other : others) {
          entries = entries > kTableLimit ? entries : entries * size[other];
        }
        if (entries < smallest) {
          smallest = entries;
          node = i;
          around.assign(others.begin(), others.end());
        }
      }
      gone[node] = 1;
      std::vector<Factor> mine;
      std::erase_if(factors, [&](Factor& factor) {
        if (std::find(factor.scope.begin(), factor.scope.end(), node) == factor.scope.end())
          return false;
        mine.push_back(std::move(factor));
        return true;
      });
      if (smallest > kTableLimit) {
        // Too entangled: fix this node to what is cheapest by itself.
        optimal = false;
        const size_t value = static_cast<size_t>(
            std::min_element(unary[node].begin(), unary[node].end()) - unary[node].begin());
        for (Factor& factor : mine) {
          if (factor.scope.size() > 1) factors.push_back(restrict(factor, node, value, size));
        }
        steps.push_back({node, {{}, {static_cast<double>(value)}}});
        continue;
      }
      Factor rest{around, std::vector<double>(smallest, kInfinity)};
      Factor best{around, std::vector<double>(smallest, 0)};
      std::vector<size_t> value(count, 0);
      for (size_t entry = 0; entry < smallest; ++entry) {
        size_t left = entry;
        for (size_t k = around.size(); k-- > 0;) {
          value[around[k]] = left % size[around[k]];
          left /= size[around[k]];
        }
        for (size_t v = 0; v < size[node]; ++v) {
          value[node] = v;
          double sum = 0;
          for (const Factor& factor : mine) sum += lookup(factor, value, size);
          if (sum < rest.table[entry]) {
            rest.table[entry] = sum;
            best.table[entry] = static_cast<double>(v);
          }
        }
      }
      if (!around.empty()) factors.push_back(std::move(rest));
      steps.push_back({node, std::move(best)});
    }
    std::vector<size_t> value(count, 0);
    for (auto step = steps.rbegin(); step != steps.rend(); ++step)
      value[step->node] = static_cast<size_t>(lookup(step->best, value, size));
    return value;
  }

  static double lookup(const Factor& factor, const std::vector<size_t>& value,
                       const std::vector<size_t>& size) {
    size_t entry = 0;
    for (size_t node : factor.scope) entry = entry * size[node] + value[node];
    return factor.table[entry];
  }

  static Factor restrict(const Factor& factor, size_t node, size_t fixed,
                         const std::vector<size_t>& size) {
    Factor result;
    size_t entries = 1;
    for (size_t other : factor.scope) {
      if (other == node) continue;
      result.scope.push_back(other);
      entries *= size[other];
    }
    std::vector<size_t> value(size.size(), 0);
    value[node] = fixed;
    for (size_t entry = 0; entry < entries; ++entry) {
      size_t left = entry;
      for (size_t k = result.scope.size(); k-- > 0;) {
        value[result.scope[k]] = left % size[result.scope[k]];
        left /= size[result.scope[k]];
      }
      result.table.push_back(lookup(factor, value, size));
    }
    return result;
  }

  Family family_;
  int64_t limit_;
  std::vector<Node*> nodes_;
  std::vector<std::vector<Choice>> choices_;  // by node
  std::vector<int64_t> least_;                // cycles of its fastest folding, by node
  std::vector<Joint> joints_;
  std::vector<Fan> fans_;
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
