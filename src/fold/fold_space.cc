// SPDX-License-Identifier: Apache-2.0
#include "src/fold/fold_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <set>

#include "src/cost/cost.h"
#include "src/ir/op.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/rtl/rom.h"
#include "src/sim/first_frame.h"
#include "src/sim/stream_graph.h"
#include "src/util/error.h"
#include "src/util/parallel.h"

namespace foldstream {
namespace {

// Dearer than any folding there is, even on a part that lacks a resource.
constexpr double kDearest = 1e100;
// Entries of the largest table that elimination may build.
constexpr size_t kTableLimit = 4'000'000;

bool exceeds(const Amounts& used, const Amounts& most) {
  for (size_t r = 0; r < used.size(); ++r) {
    if (used[r] > most[r]) return true;
  }
  return false;
}

double overflow(const Amounts& used, const Amounts& most) {
  double sum = 0;
  for (size_t r = 0; r < used.size(); ++r) {
    if (used[r] > most[r]) sum += most[r] > 0 ? used[r] / most[r] - 1 : used[r];
  }
  return sum;
}

void set(const FoldSpace::Choice& choice, Node& node) {
  for (const auto& [name, value] : choice.attrs) node.attr[name] = value;
  for (const auto& [name, value] : choice.place) node.attr[name] = value;
}

FoldSpace::Solution nothing(bool exact) {
  FoldSpace::Solution solution;
  solution.exact = exact;
  return solution;
}

}  // namespace

Amounts amounts(const Cost& cost) {
  return {cost.lut, cost.ff, cost.bram18, cost.uram, cost.dsp, cost.stream};
}

double Worth::of(const Amounts& used, double parallel) const {
  double sum = of_parallel * parallel;
  for (size_t r = 0; r < used.size(); ++r) {
    if (used[r] > 0) sum += used[r] * price[r];  // nothing of what isn't there costs nothing
  }
  return std::min(sum, kDearest);
}

FoldSpace::FoldSpace(Graph& core, Family family, int64_t limit, const WeightPlaces& places)
    : family_(family), limit_(limit), places_(places) {
  for (Node& node : core.nodes) {
    if (node.op->kind == Op::Kind::hardware) nodes_.push_back(&node);
  }
  if (nodes_.empty()) throw Error(fmt::format("'{}' has no hardware node to fold", core.name));
  choices_.resize(nodes_.size());
  least_.assign(nodes_.size(), INT64_MAX);
  enumerate({true, places});
  connect(core);
}

void FoldSpace::allow(const WeightPlaces& places) {
  const Added added{false,
                    {.ultra = places.ultra && !places_.ultra,
                     .loads = places.loads && !places_.loads,
                     .streamed = places_.streamed > 0 ? 0 : places.streamed}};
  places_ = places;
  if (!added.places.ultra && !added.places.loads && added.places.streamed <= 0) return;
  enumerate(added);
  sizes_.clear(), sides_.clear(), priced_.clear(), ways_.clear();
}

void FoldSpace::connect(Graph& core) {
  std::map<const Node*, size_t> index;
  for (size_t i = 0; i < nodes_.size(); ++i) index[nodes_[i]] = i;
  // Users of each stream; views pass it on.
  std::map<Value, std::vector<std::optional<Joint::End>>> users;
  for (const Node* node : nodes_) {
    for (size_t port = 0; port < node->in.size(); ++port)
      users[stream_origin(node->in[port])].push_back(Joint::End{index.at(node), false, port});
  }
  for (const Output& output : core.outputs)
    users[stream_origin(output.value)].push_back(std::nullopt);
  feeds_.resize(nodes_.size());
  for (size_t i = 0; i < nodes_.size(); ++i) feeds_[i].resize(nodes_[i]->in.size());
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
      Feed feed;
      if (from->is_output) feed.node = from->node, feed.port = from->port;
      if (ends.size() > 1) feed.fan = fans_.size();
      if (end && !is_from) {
        feed.joint = joints_.size();
        joints_.push_back({*from, *end, value.type()});
      }
      if (end)
        feeds_[end->node][end->port] = feed;
      else
        ends_.push_back(feed);
    }
    if (ends.size() > 1) fans_.push_back({*from, static_cast<int64_t>(ends.size()), value.type()});
  }
}

std::pair<int64_t, const Node*> FoldSpace::floor() const {
  std::pair<int64_t, const Node*> result{0, nullptr};
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (least_[i] > result.first) result = {least_[i], nodes_[i]};
  }
  return result;
}

std::vector<int64_t> FoldSpace::intervals() const {
  std::set<int64_t> steps;
  for (const auto& choices : choices_) {
    for (const Choice& choice : choices) steps.insert(choice.steps);
  }
  return {steps.lower_bound(floor().first), steps.end()};
}

FoldSpace::Allowed FoldSpace::within(int64_t cycles, const Amounts& most) const {
  Allowed allowed;
  for (const auto& choices : choices_) {
    auto& mine = allowed.emplace_back();
    for (size_t c = 0; c < choices.size(); ++c) {
      if (choices[c].steps <= cycles && !exceeds(choices[c].used, most)) mine.push_back(c);
    }
  }
  return allowed;
}

// Tries the foldings on the node itself, whose weights are too large to copy.
void FoldSpace::enumerate(const Added& added) {
  parallel_for(nodes_.size(), [&](size_t i) {
    Node& node = *nodes_[i];
    const auto attr = node.attr;
    enumerate(i, added, 0, {});
    node.attr = attr;
    if (least_[i] == INT64_MAX) throw Error(fmt::format("{} has no legal folding", describe(node)));
  });
}

// What to set for each place that its weights may have as it is folded; nothing for the first.
std::vector<std::vector<std::pair<std::string, Attr>>> FoldSpace::places_of(
    const Node& node, const Added& added) const {
  std::vector<std::vector<std::pair<std::string, Attr>>> places;
  if (added.as_it_is) places.emplace_back();
  if (node.op->memories == nullptr) return places;
  const auto& [ultra_ram, loads, streamed] = added.places;
  const MemoryPlace place = memory_place(node);
  const bool may_be_ultra = place == MemoryPlace::writable && ultra_ram;
  const bool may_move = place == MemoryPlace::inside && (loads || streamed > 0);
  if (!may_be_ultra && !may_move) return places;
  const std::vector<MemoryShape> memories = node.op->memories(node, family_);
  if (may_be_ultra) {
    Node ultra;
    ultra.op = node.op, ultra.attr = node.attr;
    ultra.attr["ultra"] = int64_t{1};
    if (std::any_of(memories.begin(), memories.end(),
                    [&](const MemoryShape& memory) { return in_ultra_ram(ultra, memory); })) {
      places.push_back({{"ultra", int64_t{1}}});
    }
    return places;
  }
  if (memories.size() != 1 || plan_rom(memories[0].width, memories[0].depth).block_bits == 0) {
    return places;
  }
  if (loads) places.push_back({{"memory", std::string("loaded")}});
  if (streamed > 0 && memories[0].reads > 0) {
    places.push_back({{"memory", std::string("streamed")}});
  }
  return places;
}

// A streamed memory may have attributes to fold by, besides those so many that the node has anyway.
void add_stream_folds(Node& node, size_t attrs,
                      std::vector<std::vector<std::pair<std::string, Attr>>>& places) {
  if (places.empty() || places.back().empty() ||
      places.back()[0].second != Attr(std::string("streamed"))) {
    return;
  }
  const auto streamed = places.back();
  const auto before = node.attr;
  for (const auto& [name, value] : streamed) node.attr[name] = value;
  const std::vector<Fold> folds = node.op->folds(node);
  node.attr = before;
  for (size_t f = attrs; f < folds.size(); ++f) {
    for (size_t v = 1; v < folds[f].legal.size(); ++v) {
      places.push_back(streamed);
      places.back().emplace_back(folds[f].attr, folds[f].legal[v]);
    }
  }
}

// Attribute by attribute, because the legal values of one may depend on those before it.
void FoldSpace::enumerate(size_t i, const Added& added, size_t depth,
                          std::vector<std::pair<std::string, int64_t>> attrs) {
  Node& node = *nodes_[i];
  const std::vector<Fold> folds =
      node.op->folds == nullptr ? std::vector<Fold>{} : node.op->folds(node);
  if (depth < folds.size()) {
    for (int64_t value : folds[depth].legal) {
      node.attr[folds[depth].attr] = value;
      attrs.emplace_back(folds[depth].attr, value);
      enumerate(i, added, depth + 1, attrs);
      attrs.pop_back();
    }
    return;
  }
  auto places = places_of(node, added);
  add_stream_folds(node, depth, places);
  if (places.empty()) return;
  Choice choice;
  const Ports ports = node.op->ports(node);
  for (const Stream& stream : ports.in) choice.lanes.push_back(stream.lanes);
  for (const Stream& stream : ports.out) choice.lanes.push_back(stream.lanes);
  choice.priced = node.op->least_cost == nullptr;
  for (const auto& attr : attrs) choice.parallel *= static_cast<double>(attr.second);
  choice.attrs = std::move(attrs);
  const auto attr = node.attr;
  for (auto& place : places) {
    for (const auto& [name, value] : place) node.attr[name] = value;
    choice.steps = node.op->rhythm(node, family_).steps();
    least_[i] = std::min(least_[i], choice.steps);
    if (choice.steps > limit_) {
      node.attr = attr;
      continue;
    }
    choice.used = amounts(least_node_cost(node, family_));
    choice.place = std::move(place);
    choices_[i].push_back(choice);
    node.attr = attr;
  }
}

void FoldSpace::price(size_t i, size_t c) {
  Node& node = *nodes_[i];
  Choice& choice = choices_[i][c];
  const auto attr = node.attr;
  set(choice, node);
  const Amounts used = amounts(node_cost(node, family_));
  for (size_t r = 0; r < used.size(); ++r) {
    // Sums in another order may differ in their last bits.
    FOLDSTREAM_CHECK(used[r] >= choice.used[r] - 1e-9 * (1 + used[r]));
  }
  choice.used = used;
  choice.priced = true;
  node.attr = attr;
}

FoldSpace::Solution FoldSpace::solve(const Allowed& allowed, const Worth& worth,
                                     const Amounts& most, bool with_excess) {
  constexpr int64_t kOverhead = 2000;  // of a round, in entries
  price_joints();
  // What the ways add to choices and to entries of terms; empty where nothing.
  std::vector<std::vector<double>> of_choice(nodes_.size()), of_entry(priced_.size());
  for (size_t w = 0; w < worth.of_way.size(); ++w) {
    if (worth.of_way[w] == 0) continue;
    const auto add = [&](const std::vector<std::vector<double>>& from, auto& to) {
      for (size_t i = 0; i < from.size(); ++i) {
        if (from[i].empty()) continue;
        to[i].resize(from[i].size());
        for (size_t e = 0; e < from[i].size(); ++e) to[i][e] += worth.of_way[w] * from[i][e];
        work_ += static_cast<int64_t>(from[i].size());
      }
    };
    add(ways_[w].of_choice, of_choice);
    add(ways_[w].of_entry, of_entry);
  }
  const auto worth_of = [&](size_t i, size_t c) {
    const Choice& choice = choices_[i][c];
    const double alone = worth.of(choice.used, choice.parallel);
    return of_choice[i].empty() ? alone : alone + of_choice[i][c];
  };
  const auto worth_between = [&](size_t t, size_t entry) {
    const double alone = worth.of(priced_[t].used[entry], 0);
    return of_entry[t].empty() ? alone : alone + of_entry[t][entry];
  };
  while (true) {
    work_ += kOverhead;
    std::vector<MinSum::Table> tables;
    std::vector<std::vector<size_t>> picked;  // by node and entry of its table
    for (size_t i = 0; i < nodes_.size(); ++i) {
      MinSum::Table table(sides_[i].entries, kInfinite);
      std::vector<size_t> pick(sides_[i].entries, SIZE_MAX);
      for (const size_t c : allowed[i]) {
        if (exceeds(choices_[i][c].used, most)) continue;
        const double mine = worth_of(i, c);
        const size_t entry = sides_[i].entry[c];
        if (mine < table[entry]) table[entry] = mine, pick[entry] = c;
      }
      work_ += static_cast<int64_t>(allowed[i].size());
      tables.push_back(std::move(table));
      picked.push_back(std::move(pick));
    }
    for (size_t t = 0; t < priced_.size(); ++t) {
      const PricedTerm& priced = priced_[t];
      MinSum::Table table;
      for (size_t e = 0; e < priced.used.size(); ++e)
        table.push_back(exceeds(priced.used[e], most) ? kInfinite : worth_between(t, e));
      work_ += static_cast<int64_t>(table.size());
      tables.push_back(std::move(table));
    }
    const Minimum minimum = sum_->minimise(tables, with_excess);
    work_ += sum_->work() * (with_excess ? 2 : 1);
    Solution solution;
    solution.exact = minimum.exact;
    solution.value = minimum.value;
    std::vector<std::pair<size_t, size_t>> unpriced;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const size_t c = picked[i][entry_of(sides_[i].variables, solution.value)];
      if (c == SIZE_MAX) return nothing(minimum.exact);
      if (!choices_[i][c].priced) unpriced.emplace_back(i, c);
      solution.choice.push_back(c);
    }
    if (!unpriced.empty()) {
      parallel_for(unpriced.size(),
                   [&](size_t k) { price(unpriced[k].first, unpriced[k].second); });
      continue;
    }
    const auto add = [&](const Amounts& used) {
      for (size_t r = 0; r < used.size(); ++r) solution.used[r] += used[r];
    };
    solution.worth = 0;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const Choice& choice = choices_[i][solution.choice[i]];
      add(choice.used);
      solution.parallel += choice.parallel;
      solution.worth += worth_of(i, solution.choice[i]);
    }
    for (size_t t = 0; t < priced_.size(); ++t) {
      const size_t entry = entry_of(priced_[t].scope, solution.value);
      const Amounts& used = priced_[t].used[entry];
      if (exceeds(used, most)) return nothing(minimum.exact);
      add(used);
      solution.worth += worth_between(t, entry);
    }
    if (with_excess && minimum.exact) {
      for (size_t i = 0; i < nodes_.size(); ++i) {
        auto& mine = solution.excess.emplace_back();
        for (const size_t c : allowed[i]) {
          const size_t entry = sides_[i].entry[c];
          mine.push_back(exceeds(choices_[i][c].used, most)
                             ? kInfinite
                             : minimum.excess[i][entry] + worth_of(i, c) - tables[i][entry]);
        }
      }
    }
    return solution;
  }
}

size_t FoldSpace::entry_of(const std::vector<size_t>& scope,
                           const std::vector<size_t>& value) const {
  size_t entry = 0;
  for (const size_t v : scope) entry = entry * sizes_[v] + value[v];
  return entry;
}

void FoldSpace::set_values(size_t i, size_t entry, std::vector<size_t>& value) const {
  const std::vector<size_t>& mine = sides_[i].variables;
  for (size_t k = mine.size(); k-- > 0; entry /= sizes_[mine[k]])
    value[mine[k]] = entry % sizes_[mine[k]];
}

// What the terms that depend on a node's lanes take.
Amounts FoldSpace::around(size_t i, const std::vector<size_t>& value) const {
  Amounts sum{};
  for (const size_t t : sides_[i].terms) {
    const Amounts& used = priced_[t].used[entry_of(priced_[t].scope, value)];
    for (size_t r = 0; r < sum.size(); ++r) sum[r] += used[r];
  }
  return sum;
}

// The exchange of one node's folding that leaves least over, the cheapest of those; none that
// leaves less than `over`: no node.
FoldSpace::Exchange FoldSpace::best_exchange(const Solution& solution, const Allowed& allowed,
                                             const Worth& worth, const Amounts& most, double over) {
  Amounts share{};  // of a budget that one of a resource takes
  for (size_t r = 0; r < most.size(); ++r) share[r] = most[r] > 0 ? 1 / most[r] : 1;
  Exchange best;
  best.over = over;
  double cheapest = kInfinite;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const std::vector<Choice>& choices = choices_[i];
    const size_t old = solution.choice[i];
    Amounts others = solution.used;
    const Amounts around_old = around(i, solution.value);
    for (size_t r = 0; r < others.size(); ++r) others[r] -= choices[old].used[r] + around_old[r];
    std::vector<size_t> value = solution.value;
    std::vector<std::optional<Amounts>> beside(sides_[i].entries);  // the others and what is around
    work_ += static_cast<int64_t>(2 * allowed[i].size());
    for (const size_t c : allowed[i]) {
      if (c == old) continue;
      std::optional<Amounts>& rest = beside[sides_[i].entry[c]];
      if (!rest) {
        set_values(i, sides_[i].entry[c], value);
        rest = around(i, value);
        for (size_t r = 0; r < others.size(); ++r) (*rest)[r] += others[r];
      }
      double left = 0;
      for (size_t r = 0; r < share.size() && left <= best.over; ++r)
        left += std::max(0.0, (*rest)[r] + choices[c].used[r] - most[r]) * share[r];
      if (left > best.over || (left == best.over && best.node == SIZE_MAX)) continue;
      Amounts used = *rest;
      for (size_t r = 0; r < used.size(); ++r) used[r] += choices[c].used[r];
      const double worth_of = worth.of(used, 0);
      if (left < best.over || worth_of < cheapest)
        cheapest = worth_of, best = {.node = i, .choice = c, .over = left, .used = used};
    }
  }
  return best;
}

std::optional<FoldSpace::Solution> FoldSpace::repaired(Solution solution, const Allowed& allowed,
                                                       const Worth& worth, const Amounts& most) {
  for (double over = overflow(solution.used, most); over > 0;) {
    const Exchange best = best_exchange(solution, allowed, worth, most, over);
    if (best.node == SIZE_MAX) return std::nullopt;
    const Choice& before = choices_[best.node][solution.choice[best.node]];
    const Choice& after = choices_[best.node][best.choice];
    if (!after.priced) {
      price(best.node, best.choice);
      continue;
    }
    over = best.over;
    solution.used = best.used;
    solution.parallel += after.parallel - before.parallel;
    solution.choice[best.node] = best.choice;
    set_values(best.node, sides_[best.node].entry[best.choice], solution.value);
  }
  // Added up anew: not by differences, whose last bits depend on the way.
  solution.used = {};
  const auto add = [&](const Amounts& used) {
    for (size_t r = 0; r < used.size(); ++r) solution.used[r] += used[r];
  };
  for (size_t i = 0; i < nodes_.size(); ++i) add(choices_[i][solution.choice[i]].used);
  for (const PricedTerm& term : priced_) add(term.used[entry_of(term.scope, solution.value)]);
  if (exceeds(solution.used, most)) return std::nullopt;
  solution.worth = worth.of(solution.used, solution.parallel);
  solution.excess.clear();
  return solution;
}

void FoldSpace::apply(const Solution& solution, Graph& core) const {
  size_t i = 0;
  for (Node& node : core.nodes) {
    if (node.op->kind != Op::Kind::hardware) continue;
    set(choices_[i][solution.choice[i]], node);
    ++i;
  }
  FOLDSTREAM_CHECK(i == nodes_.size());
}

// Gives every port of every node a variable. Ports that always have the same lanes share one; so
// do all ports of a node with too many combinations.
void FoldSpace::make_variables() {
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

bool FoldSpace::try_groups(size_t i, const std::vector<std::vector<size_t>>& groups) {
  Side side;
  side.ports.resize(choices_[i].empty() ? 0 : choices_[i][0].lanes.size());
  side.entry.assign(choices_[i].size(), 0);
  std::vector<size_t> sizes;
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
    side.entries *= values.size();
    if (side.entries > kTableLimit && groups.size() > 1) return false;
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

const FoldSpace::PortLanes& FoldSpace::at(const Joint::End& end) const {
  const size_t outputs_from = nodes_[end.node]->in.size();
  return sides_[end.node].ports[end.is_output ? outputs_from + end.port : end.port];
}

// The lanes of both ends for every entry of what stands between them.
template <class Visit>
void FoldSpace::each_entry(const Joint& joint, const Visit& visit) const {
  const PortLanes &a = at(joint.a), &b = at(joint.b);
  if (a.variable == b.variable) {  // one node takes a value twice
    for (size_t v = 0; v < a.lanes.size(); ++v) visit(a.lanes[v], b.lanes[v]);
    return;
  }
  for (int64_t from : a.lanes) {
    for (int64_t to : b.lanes) visit(from, to);
  }
}

// What converters and forks cost, for all lanes of their ends; once, and each kind once.
void FoldSpace::price_joints() {
  if (!sides_.empty()) return;
  make_variables();
  using Key = std::tuple<int, int64_t, int64_t, int64_t>;  // bits, elements, and two of lanes
  std::map<Key, std::pair<const Type*, Amounts>> converters, forks;
  const auto key_of = [](const Type& type, int64_t from, int64_t to) {
    return Key{type.bits, type.count(), from, to};
  };
  for (const Fan& fan : fans_) {
    for (int64_t lanes : at(fan.end).lanes)
      forks.try_emplace(key_of(fan.type, fan.branches, lanes), &fan.type, Amounts{});
  }
  for (const Joint& joint : joints_) {
    each_entry(joint, [&](int64_t from, int64_t to) {
      if (from != to) converters.try_emplace(key_of(joint.type, from, to), &joint.type, Amounts{});
    });
  }
  const auto price_all = [&](auto& kinds, const auto& cost) {
    std::vector<std::pair<const Key, std::pair<const Type*, Amounts>>*> entries;
    for (auto& entry : kinds) entries.push_back(&entry);
    constexpr size_t kShare = 64;  // entries to a piece of work
    parallel_for((entries.size() + kShare - 1) / kShare, [&](size_t share) {
      for (size_t e = share * kShare; e < std::min(entries.size(), (share + 1) * kShare); ++e) {
        const auto& [bits, count, first, second] = entries[e]->first;
        entries[e]->second.second =
            amounts(cost(*entries[e]->second.first, first, second, family_));
      }
    });
  };
  price_all(forks, fork_cost);
  price_all(converters, converter_cost);
  for (const Fan& fan : fans_) {
    const PortLanes& end = at(fan.end);
    PricedTerm term{{end.variable}, {}};
    for (int64_t lanes : end.lanes)
      term.used.push_back(forks.at(key_of(fan.type, fan.branches, lanes)).second);
    priced_.push_back(std::move(term));
  }
  for (const Joint& joint : joints_) {
    const PortLanes &a = at(joint.a), &b = at(joint.b);
    PricedTerm term{{a.variable}, {}};
    if (a.variable != b.variable) term.scope.push_back(b.variable);
    each_entry(joint, [&](int64_t from, int64_t to) {
      term.used.push_back(from == to ? Amounts{}
                                     : converters.at(key_of(joint.type, from, to)).second);
    });
    priced_.push_back(std::move(term));
  }
  for (Side& side : sides_) {
    for (size_t t = 0; t < priced_.size(); ++t) {
      const auto is_mine = [&](size_t v) {
        return std::find(side.variables.begin(), side.variables.end(), v) != side.variables.end();
      };
      if (std::any_of(priced_[t].scope.begin(), priced_[t].scope.end(), is_mine))
        side.terms.push_back(t);
    }
  }
  std::vector<MinSum::Scope> scopes;
  for (const Side& side : sides_) scopes.push_back(side.variables);
  for (const PricedTerm& term : priced_) scopes.push_back(term.scope);
  sum_.emplace(sizes_, std::move(scopes), kTableLimit);
}

// With the shortest queue, which is the quickest memory.
const Rhythm& FoldSpace::rhythm(size_t i, size_t c) {
  rhythms_.resize(nodes_.size());
  rhythms_[i].resize(choices_[i].size());
  std::optional<Rhythm>& known = rhythms_[i][c];
  if (!known) {
    Node& node = *nodes_[i];
    const auto attr = node.attr;
    set(choices_[i][c], node);
    node.attr["queue"] = int64_t{1};
    known = node.op->rhythm(node, family_);
    node.attr = attr;
  }
  return *known;
}

const Rhythm& FoldSpace::converter(const Joint& joint, int64_t from, int64_t to) {
  const auto [it, is_new] =
      converters_.try_emplace({joint.type.bits, joint.type.count(), from, to});
  if (is_new) it->second = converter_rhythm(joint.type, from, to, family_);
  return it->second;
}

// The first frame of a folding: when every beat is visible, and why the last one is so late.
class FoldSpace::FirstFrame {
 public:
  FirstFrame(FoldSpace& space, const Solution& solution)
      : space_(space), solution_(solution), out_(space.nodes_.size()) {
    forked_.resize(space.fans_.size());
    in_.resize(space.nodes_.size()), converted_.resize(space.nodes_.size());
    for (size_t i = 0; i < space.nodes_.size(); ++i) {
      converted_[i].resize(space.feeds_[i].size());
      for (size_t port = 0; port < space.feeds_[i].size(); ++port)
        in_[i].push_back(arrivals(i, port));
      out_[i] = first_frame(rhythm(i), in_[i], beats_out(i));
      for (const Arrivals& beats : out_[i]) space.work_ += static_cast<int64_t>(beats.size());
    }
    for (const Feed& end : space.ends_) {
      const int64_t last = given(end).back();
      if (last > last_ || last_ < 0) last_ = last, end_ = end;
    }
    // The frame begins with the first beat taken from any of the host's streams.
    int64_t begin = std::numeric_limits<int64_t>::max();
    for (size_t i = 0; i < space.nodes_.size(); ++i) {
      for (size_t port = 0; port < space.feeds_[i].size(); ++port) {
        const Feed& feed = space.feeds_[i][port];
        if (feed.node != SIZE_MAX) continue;
        const int64_t taken = feed.fan != SIZE_MAX ? 0 : first_take(rhythm(i), port);
        if (taken < begin) begin = taken, begins_ = {i, port};
      }
    }
    latency_ = last_ - begin;
  }

  int64_t latency() const { return latency_; }

  Way way() {
    std::vector<Step> steps;  // from the last to the first
    size_t i = end_.node, output = end_.port;
    if (end_.fan != SIZE_MAX) steps.push_back(fork(end_));
    int64_t element = space_.nodes_[i]->out[output].count() - 1;
    while (true) {
      const int64_t beat = element / lanes_out(i, output);
      const Cause cause = cause_of(rhythm(i), in_[i], beats_out(i), output, beat);
      const WayIn& from = cause.from;
      const bool begins = !from.port || in_[i][*from.port] == nullptr;
      // The last element of the beat stands for it.
      const int64_t taken = begins ? 0 : (from.beat + 1) * lanes_in(i, *from.port) - 1;
      Step step{.node = i, .term = SIZE_MAX, .cycles = {}};
      for (size_t c = 0; c < space_.choices_[i].size(); ++c) {
        const Choice& choice = space_.choices_[i][c];
        WayIn at = from;
        if (at.port) at.beat = taken / choice.lanes[*at.port];
        const int64_t given = element / choice.lanes[space_.feeds_[i].size() + output];
        const Rhythm& rhythm = space_.rhythm(i, c);
        step.cycles.push_back(least_delay(rhythm, at, output, given));
        for (const Block& block : rhythm.frame)
          space_.work_ += static_cast<int64_t>(block.phases.size());
      }
      step.is_at_least(solution_.choice[i], cause.cycles);
      steps.push_back(std::move(step));
      if (begins) break;
      const Feed& feed = space_.feeds_[i][*from.port];
      element = feed.joint == SIZE_MAX ? taken : through_joint(feed, i, *from.port, taken, steps);
      if (feed.fan != SIZE_MAX) {
        if (feed.node == SIZE_MAX) {
          steps.push_back(host_fork(feed, element));
          break;
        }
        steps.push_back(fork(feed));
      }
      i = feed.node, output = feed.port;
    }
    return added_up(steps);
  }

 private:
  // What choices of a node, or entries of a term, add to a way; none: the way doesn't lead there.
  struct Step {
    size_t node = SIZE_MAX, term = SIZE_MAX;
    std::vector<std::optional<int64_t>> cycles;
    void is_at_least(size_t which, int64_t found) {
      cycles[which] = std::max(cycles[which].value_or(found), found);
    }
  };

  const Rhythm& rhythm(size_t i) { return space_.rhythm(i, solution_.choice[i]); }
  const Choice& chosen(size_t i) const { return space_.choices_[i][solution_.choice[i]]; }
  int64_t lanes_in(size_t i, size_t port) const { return chosen(i).lanes[port]; }
  int64_t lanes_out(size_t i, size_t port) const {
    return chosen(i).lanes[space_.feeds_[i].size() + port];
  }
  int64_t lanes(const Joint::End& end) const {
    return end.is_output ? lanes_out(end.node, end.port) : lanes_in(end.node, end.port);
  }
  std::vector<int64_t> beats_out(size_t i) const {
    std::vector<int64_t> beats;
    for (size_t port = 0; port < space_.nodes_[i]->out.size(); ++port)
      beats.push_back(space_.nodes_[i]->out[port].count() / lanes_out(i, port));
    return beats;
  }

  // A fork passes beats on one after the other as they come.
  int64_t fork_depth(const Fan& fan) const {
    return fork_rhythm(fan.type, fan.branches, lanes(fan.end), space_.family_).depth;
  }

  // Behind the fork, where there is one.
  const Arrivals& given(const Feed& feed) {
    if (feed.fan == SIZE_MAX) return out_[feed.node][feed.port];
    Arrivals& forked = forked_[feed.fan];
    if (!forked.empty()) return forked;
    const Fan& fan = space_.fans_[feed.fan];
    const int64_t depth = fork_depth(fan);
    if (feed.node == SIZE_MAX) {
      for (int64_t beat = 0; beat < fan.type.count() / lanes(fan.end); ++beat)
        forked.push_back(beat + depth);
    } else {
      for (const int64_t cycle : out_[feed.node][feed.port]) forked.push_back(cycle + depth);
    }
    return forked;
  }

  const Arrivals* arrivals(size_t i, size_t port) {
    const Feed& feed = space_.feeds_[i][port];
    if (feed.node == SIZE_MAX && feed.fan == SIZE_MAX) return nullptr;
    const Arrivals& beats = given(feed);
    if (feed.joint == SIZE_MAX) return &beats;
    const Joint& joint = space_.joints_[feed.joint];
    const int64_t from = lanes(joint.a), to = lanes(joint.b);
    if (from == to) return &beats;
    converted_[i][port] = std::move(
        first_frame(space_.converter(joint, from, to), {&beats}, {joint.type.count() / to})[0]);
    return &converted_[i][port];
  }

  // Back through what stands between two nodes: the element before it.
  int64_t through_joint(const Feed& feed, size_t i, size_t port, int64_t element,
                        std::vector<Step>& steps) {
    const Joint& joint = space_.joints_[feed.joint];
    const int64_t from = lanes(joint.a), to = lanes(joint.b);
    int64_t before = element;
    Cause cause;
    if (from != to) {
      cause = cause_of(space_.converter(joint, from, to), {&given(feed)},
                       {static_cast<int64_t>(in_[i][port]->size())}, 0, element / to);
      FOLDSTREAM_CHECK(cause.from.port.has_value());
      before = (cause.from.beat + 1) * from - 1;
    }
    Step step{.node = SIZE_MAX, .term = space_.fans_.size() + feed.joint, .cycles = {}};
    space_.each_entry(joint, [&](int64_t wide, int64_t narrow) {
      if (wide != narrow) {
        step.cycles.push_back(least_delay(space_.converter(joint, wide, narrow), {0, before / wide},
                                          0, element / narrow));
        return;
      }
      // Beats are a cycle apart at least.
      const int64_t beats = element / narrow - before / wide;
      step.cycles.push_back(beats < 0 ? std::nullopt : std::optional(beats));
    });
    step.is_at_least(space_.entry_of(space_.priced_[step.term].scope, solution_.value),
                     cause.cycles);
    steps.push_back(std::move(step));
    return before;
  }

  Step fork(const Feed& feed) const {
    const Fan& fan = space_.fans_[feed.fan];
    Step step{.node = SIZE_MAX, .term = feed.fan, .cycles = {}};
    step.cycles.assign(space_.priced_[feed.fan].used.size(), fork_depth(fan));
    return step;
  }

  Step host_fork(const Feed& feed, int64_t element) const {
    const Fan& fan = space_.fans_[feed.fan];
    Step step{.node = SIZE_MAX, .term = feed.fan, .cycles = {}};
    for (const int64_t lanes : space_.at(fan.end).lanes)
      step.cycles.push_back(element / lanes + fork_depth(fan));
    return step;
  }

  // Where a way doesn't lead through a choice, it takes away what stands before, so that nothing is
  // claimed.
  Way added_up(const std::vector<Step>& steps) {
    Way way;
    way.of_choice.resize(space_.nodes_.size());
    way.of_entry.resize(space_.priced_.size());
    double before = 0;
    for (size_t s = steps.size(); s-- > 0;) {
      const Step& step = steps[s];
      auto& values = step.node != SIZE_MAX ? way.of_choice[step.node] : way.of_entry[step.term];
      double most = -before;
      values.resize(step.cycles.size(), 0);
      for (size_t e = 0; e < values.size(); ++e) {
        const double mine = step.cycles[e] ? static_cast<double>(*step.cycles[e]) : -before;
        values[e] += mine;
        most = std::max(most, mine);
      }
      before += most;
    }
    const auto& [node, port] = begins_;
    if (space_.feeds_[node][port].fan == SIZE_MAX) {
      auto& values = way.of_choice[node];
      values.resize(space_.choices_[node].size(), 0);
      for (size_t c = 0; c < values.size(); ++c)
        values[c] -= static_cast<double>(first_take(space_.rhythm(node, c), port));
    }
    return way;
  }

  FoldSpace& space_;
  const Solution& solution_;
  std::vector<std::vector<Arrivals>> out_;        // by node and output
  std::vector<Arrivals> forked_;                  // by fan
  std::vector<std::vector<Arrivals>> converted_;  // by node and input
  std::vector<Inputs> in_;                        // by node
  Feed end_;                                      // of the output that ends last
  std::pair<size_t, size_t> begins_;              // node and input that take the first beat
  int64_t last_ = -1, latency_ = 0;
};

int64_t FoldSpace::latency(const Solution& solution, int64_t most) {
  FirstFrame frame(*this, solution);
  if (frame.latency() > most) ways_.push_back(frame.way());
  return frame.latency();
}

double FoldSpace::delay(size_t way, const Solution& solution) const {
  double sum = 0;
  const Way& mine = ways_[way];
  for (size_t i = 0; i < mine.of_choice.size(); ++i) {
    if (!mine.of_choice[i].empty()) sum += mine.of_choice[i][solution.choice[i]];
  }
  for (size_t t = 0; t < mine.of_entry.size(); ++t) {
    if (!mine.of_entry[t].empty())
      sum += mine.of_entry[t][entry_of(priced_[t].scope, solution.value)];
  }
  return sum;
}

}  // namespace foldstream
