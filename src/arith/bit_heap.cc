// SPDX-License-Identifier: Apache-2.0
#include "src/arith/bit_heap.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <deque>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <utility>

#include "src/util/error.h"

namespace foldstream::arith {
namespace {

// What a pair of stages of fst_counter_chain adds: so many bits of the lower and of the upper
// weight.
struct Shape {
  int lower, upper;
};
constexpr std::array<Shape, 3> kShapes = {{{6, 0}, {4, 1}, {2, 2}}};
// Of bits in a word that is added, in families of plain additions: shorter additions are tables.
constexpr int kLeastWord = 3;
constexpr int kProductStages = 8;  // two carry blocks: longer chains would set the delay

int bits_for(std::int64_t maximum) { return std::bit_width(static_cast<std::uint64_t>(maximum)); }

// One counter of a plan: a full adder where `kinds` is empty, else a chain of pairs of stages.
struct Counter {
  int weight;
  std::vector<int> kinds;
  int stages;
};

struct Plan {
  std::vector<std::vector<Counter>> levels;
  std::optional<Counter> last;
  int luts = 0;
};

using Heights = std::vector<int>;

int height(const Heights& heights, int weight) {
  return weight < static_cast<int>(heights.size()) ? heights[weight] : 0;
}

// What a counter takes from the columns above its weight, and how far that shrinks the heap.
struct Fit {
  std::array<int, 4> taken{};
  int stages = 0;
  int outputs = 0;
  int removed = 0;
};

Fit fit_of(const Heights& heights, int weight, const std::vector<int>& kinds) {
  Fit fit;
  int maximum = 0;
  if (kinds.empty()) {
    fit.taken[0] = std::min(3, height(heights, weight));
    fit.stages = 1;
    maximum = fit.taken[0];
  } else {
    fit.stages = 2 * static_cast<int>(kinds.size());
    for (std::size_t k = 0; k < kinds.size(); ++k) {
      const Shape shape = kShapes[kinds[k]];
      const int at = weight + 2 * static_cast<int>(k);
      fit.taken[2 * k] = std::min(shape.lower + (k == 0 ? 1 : 0), height(heights, at));
      fit.taken[2 * k + 1] = std::min(shape.upper, height(heights, at + 1));
      maximum += (fit.taken[2 * k] + 2 * fit.taken[2 * k + 1]) << (2 * k);
    }
    if (kinds.back() == 2 && fit.taken[fit.stages - 1] == 0) --fit.stages;
  }
  fit.outputs = bits_for(maximum);
  fit.removed = -fit.outputs;
  for (const int taken : fit.taken) fit.removed += taken;
  return fit;
}

const std::vector<std::vector<int>>& counter_kinds() {
  static const std::vector<std::vector<int>> kinds = [] {
    std::vector<std::vector<int>> all = {{}};
    for (int lower = 0; lower < 3; ++lower) {
      all.push_back({lower});
      for (int upper = 0; upper < 3; ++upper) all.push_back({lower, upper});
    }
    return all;
  }();
  return kinds;
}

// The one chain that adds what is left, if it can.
std::optional<Counter> last_chain(const Heights& heights) {
  int low = 0;
  const int size = static_cast<int>(heights.size());
  while (low < size && heights[low] <= 1) ++low;
  if (low == size) return Counter{0, {}, 0};
  int high = size - 1;
  while (heights[high] == 0) --high;
  Counter chain{low, {}, high - low + 1};
  for (int w = low; w <= high; w += 2) {
    const int lower = heights[w] - (w == low ? 1 : 0);
    const int upper = height(heights, w + 1);
    int kind = 2;
    if (lower > 2 || upper > 2) kind = upper == 0 ? 0 : 1;
    if (lower > kShapes[kind].lower || upper > kShapes[kind].upper) return std::nullopt;
    chain.kinds.push_back(kind);
  }
  // A last stage without a partner adds two bits only.
  if (chain.stages % 2 == 1 && chain.kinds.back() != 2) ++chain.stages;
  return chain;
}

// How many bits a counter must remove for each LUT, in the first levels and then on.
using Demands = std::array<double, 3>;

// Places counters that meet the level's demand; where none does, the best there is.
Plan plan_counters(Heights heights, const Demands& demands, int width) {
  Plan plan;
  for (;;) {
    plan.last = last_chain(heights);
    if (plan.last) {
      plan.luts += plan.last->stages;
      return plan;
    }
    Heights next(width, 0);
    std::vector<Counter> level;
    double demand = demands[std::min(plan.levels.size(), demands.size() - 1)];
    while (level.empty()) {
      double best_missed = 0;
      for (int w = 0; w < width; ++w) {
        for (;;) {
          double best = 0;
          const std::vector<int>* best_kinds = nullptr;
          Fit best_fit;
          for (const std::vector<int>& kinds : counter_kinds()) {
            if (w + 2 * static_cast<int>(kinds.size()) > width) continue;
            const Fit fit = fit_of(heights, w, kinds);
            const double value = static_cast<double>(fit.removed) / fit.stages;
            if (fit.removed > 0 &&
                (value > best || (value == best && fit.removed > best_fit.removed))) {
              best = value;
              best_kinds = &kinds;
              best_fit = fit;
            }
          }
          if (best_kinds == nullptr) break;
          if (best < demand) {
            best_missed = std::max(best_missed, best);
            break;
          }
          for (int i = 0; i < 4; ++i) {
            if (best_fit.taken[i] > 0) heights[w + i] -= best_fit.taken[i];
          }
          for (int i = 0; i < best_fit.outputs && w + i < width; ++i) ++next[w + i];
          level.push_back({w, *best_kinds, best_fit.stages});
          plan.luts += best_fit.stages;
        }
      }
      FOLDSTREAM_CHECK(!level.empty() || best_missed > 0);
      demand = best_missed;
    }
    for (int w = 0; w < width; ++w) next[w] += heights[w];
    heights = std::move(next);
    plan.levels.push_back(std::move(level));
  }
}

Plan find_best_plan(const Heights& heights, int width) {
  constexpr std::array<double, 5> kDemands = {2.0, 1.75, 1.5, 1.3, 1.0};
  constexpr int kManyBits = 128;  // beyond it the plans differ by little and take long
  Plan best;
  bool first = true;
  const auto consider = [&](const Demands& demands) {
    Plan plan = plan_counters(heights, demands, width);
    if (first || plan.luts < best.luts ||
        (plan.luts == best.luts && plan.levels.size() < best.levels.size())) {
      best = std::move(plan);
      first = false;
    }
  };
  const bool many = std::accumulate(heights.begin(), heights.end(), 0) > kManyBits;
  for (const double a : kDemands) {
    if (many) {
      consider({a, a, a});
      continue;
    }
    for (const double b : kDemands) {
      for (const double c : kDemands) consider({a, b, c});
    }
  }
  return best;
}

// The rows of a matrix, and the foldings that a search prices, ask for few different heaps many
// times.
Plan best_plan(const Heights& heights, int width) {
  static std::mutex mutex;
  static std::map<std::pair<Heights, int>, Plan> plans;
  const std::pair key(heights, width);
  {
    const std::lock_guard lock(mutex);
    if (const auto known = plans.find(key); known != plans.end()) return known->second;
  }
  Plan plan = find_best_plan(heights, width);
  const std::lock_guard lock(mutex);
  return plans.emplace(key, std::move(plan)).first->second;
}

}  // namespace

struct BitHeap::ProductChain {
  Gate gate;
  int weight = 0;
  std::vector<std::array<Product, 2>> stages;  // a missing product has a zero gate input
};

void BitHeap::add(int weight, const Net& bit, bool complement) {
  FOLDSTREAM_CHECK(weight >= 0 && weight < 62);
  if (bit.constant()) {
    if ((bit.name == "1'b1") != complement) add_constant(std::int64_t{1} << weight);
    return;
  }
  if (static_cast<int>(columns_.size()) <= weight) columns_.resize(weight + 1);
  columns_[weight].push_back({bit, complement});
  maximum_ += std::int64_t{1} << weight;
}

void BitHeap::add_product(int weight, Gate gate, const Net& a, const Net& b, const Net& c,
                          bool complement) {
  FOLDSTREAM_CHECK(weight >= 0 && weight < 62);
  if (static_cast<int>(products_.size()) <= weight) products_.resize(weight + 1);
  products_[weight].push_back({gate, a, b, c, complement});
  maximum_ += std::int64_t{1} << weight;
}

void BitHeap::add_constant(std::int64_t value) {
  FOLDSTREAM_CHECK(value >= 0);
  for (int weight = 0; value >> weight != 0; ++weight) {
    if ((value >> weight & 1) == 0) continue;
    if (static_cast<int>(columns_.size()) <= weight) columns_.resize(weight + 1);
    columns_[weight].push_back({Net::one(), false});
  }
  maximum_ += value;
}

int BitHeap::first_stage() const {
  int stage = 0;
  for (const auto& column : columns_) {
    for (const Bit& bit : column) stage = std::max(stage, bit.net.stage);
  }
  for (const auto& column : products_) {
    for (const Product& p : column) stage = std::max({stage, p.a.stage, p.b.stage, p.c.stage});
  }
  return stage;
}

// Chains that take two products a stage, as long as columns follow one another: a chain of n stages
// turns 2n products into n + 1 bits with n tables, which do the gating too.
std::vector<BitHeap::ProductChain> BitHeap::plan_products() {
  std::vector<ProductChain> chains;
  for (const Gate gate : {Gate::kAnd, Gate::kEqual, Gate::kSignedAnd}) {
    const int size = static_cast<int>(products_.size());
    std::vector<std::deque<Product>> left(size);
    for (int w = 0; w < size; ++w) {
      for (const Product& p : products_[w]) {
        if (p.gate == gate) left[w].push_back(p);
      }
    }
    const auto take = [&](int w, bool plain) -> std::optional<Product> {
      const auto found = std::find_if(left[w].begin(), left[w].end(),
                                      [&](const Product& p) { return !plain || !p.complement; });
      if (found == left[w].end()) return std::nullopt;
      const Product p = *found;
      left[w].erase(found);
      return p;
    };
    const Product none{gate, Net::zero(), Net::zero(), Net::zero(), false};
    for (int low = 0; low < size;) {
      if (left[low].empty()) {
        ++low;
        continue;
      }
      ProductChain chain;
      chain.gate = gate;
      chain.weight = low;
      for (int w = low; w < size && w - low < kProductStages && !left[w].empty(); ++w) {
        // The second product of a stage with a shared table input can not be complemented; see
        // fst_product_chain.
        std::optional<Product> second = take(w, gate == Gate::kSignedAnd);
        std::optional<Product> first = take(w, false);
        if (!first) std::swap(first, second);
        if (!first) break;
        chain.stages.push_back({*first, second.value_or(none)});
      }
      chains.push_back(std::move(chain));
    }
  }
  return chains;
}

BitHeap::Outputs BitHeap::outputs(int weight, int count, int useful, const std::string& level,
                                  int stage) {
  useful = std::min({useful, width_ - weight, count});
  const std::string stem = fmt::format("{}{}_w{}", options_.stem, level, weight);
  Outputs outputs;
  std::vector<std::string> target;  // most significant first
  if (useful < count) {
    target.push_back(circuit_.vector("unused_" + stem, count - useful, stage).name);
  }
  if (useful > 0) {
    auto [name, bits] = circuit_.vector(stem, useful, stage);
    target.push_back(std::move(name));
    outputs.bits = std::move(bits);
  }
  outputs.target = SvModule::concat(target);
  return outputs;
}

void BitHeap::add_to(std::vector<std::vector<Bit>>& columns, int weight, const Outputs& outputs) {
  for (std::size_t i = 0; i < outputs.bits.size(); ++i) {
    columns[weight + i].push_back({outputs.bits[i], false});
  }
}

void BitHeap::emit(const ProductChain& chain, int level, int stage,
                   std::vector<std::vector<Bit>>& next) {
  const int stages = static_cast<int>(chain.stages.size());
  std::vector<Net> a, b, c;
  std::vector<bool> negate;
  std::int64_t maximum = 0;
  for (int s = 0; s < stages; ++s) {
    for (const Product& p : chain.stages[s]) {
      // A missing product has two zeros for inputs: low under every gate but kEqual, which takes
      // unequal ones.
      const bool missing = p.a.constant() && p.b.constant();
      a.push_back(circuit_.delayed(p.a, stage));
      b.push_back(missing && chain.gate == Gate::kEqual ? Net::one()
                                                        : circuit_.delayed(p.b, stage));
      c.push_back(circuit_.delayed(p.c, stage));
      negate.push_back(p.complement);
      if (!missing) maximum += std::int64_t{1} << s;
    }
  }
  // Take a bit of the lowest column as the carry: it is added without a table.
  Net carry = Net::zero();
  if (chain.weight < static_cast<int>(columns_.size())) {
    auto& column = columns_[chain.weight];
    const auto found = std::find_if(column.begin(), column.end(), [&](const Bit& bit) {
      return !bit.complement && bit.net.stage <= stage;
    });
    if (found != column.end()) {
      carry = circuit_.delayed(found->net, stage);
      column.erase(found);
      maximum += 1;
    }
  }
  const Outputs out =
      outputs(chain.weight, stages + 1, bits_for(maximum), fmt::format("_l{}", level), stage);
  SvBindings parameters = {{"Stages", std::to_string(stages)},
                           {"Gate", std::to_string(static_cast<int>(chain.gate))}};
  if (std::find(negate.begin(), negate.end(), true) != negate.end())
    parameters.emplace_back("Negate", SvModule::constant(negate));
  SvModule& module = circuit_.module();
  module.instance("fst_product_chain",
                  module.fresh(fmt::format("multiply_l{}_w{}", level, chain.weight)), parameters,
                  {{"a_i", Circuit::concat(a)},
                   {"b_i", Circuit::concat(b)},
                   {"c_i", chain.gate == Gate::kSignedAnd ? Circuit::concat(c) : "'0"},
                   {"carry_i", carry.name},
                   {"sum_o", out.target}});
  circuit_.cost().luts += stages;
  circuit_.cost().carries += (stages + 3) / 4;
  add_to(next, chain.weight, out);
}

// Removes a bit from a column; `plain` asks for one whose complement is not meant, which an
// inverter provides if it must.
Net BitHeap::take(int weight, int stage, bool plain, bool* complement) {
  auto& column = columns_[weight];
  FOLDSTREAM_CHECK(!column.empty());
  auto chosen = column.begin();
  if (plain) {
    const auto found =
        std::find_if(column.begin(), column.end(), [](const Bit& bit) { return !bit.complement; });
    if (found != column.end()) chosen = found;
  } else {
    // Leave the plain ones to those who need them.
    const auto found =
        std::find_if(column.begin(), column.end(), [](const Bit& bit) { return bit.complement; });
    if (found != column.end()) chosen = found;
  }
  const Bit bit = *chosen;
  column.erase(chosen);
  *complement = bit.complement;
  if (plain && bit.complement) {
    *complement = false;
    return circuit_.delayed(circuit_.inverted(bit.net), stage);
  }
  return circuit_.delayed(bit.net, stage);
}

void BitHeap::emit_full_adder(int weight, int level, int stage,
                              std::vector<std::vector<Bit>>& next) {
  std::vector<Net> bits;
  std::vector<bool> invert;
  for (int i = 0; i < 3; ++i) {
    bool complement = false;
    bits.push_back(take(weight, stage, false, &complement));
    invert.push_back(complement);
  }
  const Outputs out = outputs(weight, 2, 2, fmt::format("_l{}", level), stage);
  SvModule& module = circuit_.module();
  SvBindings parameters;
  if (std::find(invert.begin(), invert.end(), true) != invert.end())
    parameters.emplace_back("Invert", SvModule::constant(invert));
  module.instance("fst_full_adder", module.fresh(fmt::format("add_l{}_w{}", level, weight)),
                  parameters, {{"bits_i", Circuit::concat(bits)}, {"sum_o", out.target}});
  circuit_.cost().luts += 1;
  add_to(next, weight, out);
}

void BitHeap::emit_counter(int weight, const std::vector<int>& kinds, int stages, bool last,
                           int level, int stage, std::vector<std::vector<Bit>>& next) {
  const auto available = [&](int w) {
    return w < static_cast<int>(columns_.size()) ? static_cast<int>(columns_[w].size()) : 0;
  };
  bool complement = false;
  std::int64_t maximum = 0;
  // The carry first: it and the sixth input of a pair can not be inverted.
  Net carry = Net::zero();
  if (available(weight) > 0) {
    carry = take(weight, stage, true, &complement);
    maximum += 1;
  }
  std::vector<Net> bits;
  std::vector<bool> invert;
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    const Shape shape = kShapes[kinds[k]];
    std::vector<Net> six(6, Net::zero());
    std::vector<bool> inverted(6, false);
    const int at = weight + 2 * static_cast<int>(k);
    const auto fill = [&](int w, int first, int count, bool sixth) {
      const int number = std::min(count, available(w));
      if (sixth && number == 6) {
        six[5] = take(w, stage, true, &complement);
        maximum += std::int64_t{1} << (w - weight);
      }
      for (int i = 0; i < number - (sixth && number == 6 ? 1 : 0); ++i) {
        six[first + i] = take(w, stage, false, &complement);
        inverted[first + i] = complement;
        maximum += std::int64_t{1} << (w - weight);
      }
    };
    fill(at, 0, shape.lower, kinds[k] == 0);
    if (at + 1 < weight + stages) fill(at + 1, shape.lower, shape.upper, false);
    bits.insert(bits.end(), six.begin(), six.end());
    invert.insert(invert.end(), inverted.begin(), inverted.end());
  }
  std::vector<bool> shapes;
  for (const int kind : kinds) {
    shapes.push_back((kind & 1) != 0);
    shapes.push_back((kind & 2) != 0);
  }
  const Outputs out =
      outputs(weight, stages + 1, bits_for(maximum), last ? "" : fmt::format("_l{}", level), stage);
  SvModule& module = circuit_.module();
  SvBindings parameters = {{"Stages", std::to_string(stages)}};
  if (std::find(shapes.begin(), shapes.end(), true) != shapes.end())
    parameters.emplace_back("Shape", SvModule::constant(shapes));
  if (std::find(invert.begin(), invert.end(), true) != invert.end())
    parameters.emplace_back("Invert", SvModule::constant(invert));
  module.instance(
      "fst_counter_chain",
      module.fresh(last ? "add_last" : fmt::format("add_l{}_w{}", level, weight)), parameters,
      {{"bits_i", Circuit::concat(bits)}, {"carry_i", carry.name}, {"sum_o", out.target}});
  circuit_.cost().luts += stages;
  circuit_.cost().carries += (stages + 3) / 4;
  add_to(next, weight, out);
}

std::vector<Net> BitHeap::sum(int width) {
  width_ = std::max(1, std::min(width, bits_for(maximum_)));
  if (circuit_.family() == Family::kGeneric) return sum_generic(width_);
  int stage = first_stage();
  int level = 0;
  columns_.resize(std::max<std::size_t>(columns_.size(), width_));
  columns_.resize(width_);  // what is above does not show in the residue
  std::vector<std::vector<Bit>> next;
  const auto begin_level = [&] { next.assign(width_ + kProductStages + 1, {}); };
  const auto end_level = [&] {
    for (int w = 0; w < width_; ++w) {
      columns_[w].insert(columns_[w].end(), next[w].begin(), next[w].end());
    }
    ++level;
    const int levels = level + options_.levels_before;
    if (options_.levels_per_register > 0 && levels % options_.levels_per_register == 0) ++stage;
  };

  // Products in steps, so that the later ones take outputs of the earlier as carries; in one step
  // where registers after each would hold back the inputs of the later.
  const std::vector<ProductChain> chains = plan_products();
  const std::size_t steps = options_.levels_per_register == 1 ? 1 : options_.product_steps;
  for (std::size_t step = 0, done = 0; done < chains.size(); ++step) {
    const std::size_t end =
        std::min(chains.size(), (chains.size() * (step + 1) + steps - 1) / steps);
    begin_level();
    for (; done < end; ++done) emit(chains[done], level, stage, next);
    end_level();
  }

  Heights heights;
  for (const auto& column : columns_) heights.push_back(static_cast<int>(column.size()));
  const Plan plan = best_plan(heights, width_);
  for (const std::vector<Counter>& counters : plan.levels) {
    begin_level();
    for (const Counter& counter : counters) {
      if (counter.kinds.empty()) {
        emit_full_adder(counter.weight, level, stage, next);
      } else {
        emit_counter(counter.weight, counter.kinds, counter.stages, false, level, stage, next);
      }
    }
    end_level();
  }
  if (plan.last->stages > 0) {
    begin_level();
    emit_counter(plan.last->weight, plan.last->kinds, plan.last->stages, true, level, stage, next);
    for (int w = 0; w < width_; ++w) {
      FOLDSTREAM_CHECK(w < plan.last->weight || columns_[w].empty());
      columns_[w].insert(columns_[w].end(), next[w].begin(), next[w].end());
    }
  }
  std::vector<Net> result;
  for (int w = 0; w < width_; ++w) {
    FOLDSTREAM_CHECK(columns_[w].size() <= 1);
    bool complement = false;
    result.push_back(columns_[w].empty() ? Net::zero() : take(w, stage, true, &complement));
    result.back().stage = stage;
  }
  return result;
}

// The bits of each weight, products included.
std::vector<std::vector<Net>> BitHeap::plain_columns(int width, int stage) {
  SvModule& module = circuit_.module();
  std::vector<std::vector<Net>> columns(static_cast<std::size_t>(width));
  for (int w = 0; w < width; ++w) {
    auto& bits = columns[static_cast<std::size_t>(w)];
    if (w < static_cast<int>(columns_.size())) {
      for (const Bit& bit : columns_[w])
        bits.push_back(
            {(bit.complement ? "!" : "") + circuit_.delayed(bit.net, stage).name, stage});
    }
    if (w >= static_cast<int>(products_.size())) continue;
    // One vector operation for all products of a kind.
    for (const Gate gate : {Gate::kAnd, Gate::kEqual, Gate::kSignedAnd}) {
      for (const bool complement : {false, true}) {
        std::vector<Net> a, b, c;
        for (const Product& p : products_[w]) {
          if (p.gate != gate || p.complement != complement) continue;
          a.push_back(circuit_.delayed(p.a, stage));
          b.push_back(circuit_.delayed(p.b, stage));
          c.push_back(circuit_.delayed(p.c, stage));
        }
        if (a.empty()) continue;
        const std::string name = module.fresh(fmt::format("{}_products_w{}", options_.stem, w));
        const int count = static_cast<int>(a.size());
        module.wire(name, count);
        std::string value =
            gate == Gate::kAnd     ? fmt::format("{} & {}", Circuit::concat(a), Circuit::concat(b))
            : gate == Gate::kEqual ? fmt::format("{} ~^ {}", Circuit::concat(a), Circuit::concat(b))
                                   : fmt::format("{} & ({} ^ {})", Circuit::concat(a),
                                                 Circuit::concat(b), Circuit::concat(c));
        module.assign(name, complement ? fmt::format("~({})", value) : value);
        circuit_.cost().luts += count;
        for (int i = 0; i < count; ++i) bits.push_back({SvModule::bit(name, count, i), stage});
      }
    }
  }
  return columns;
}

// Words of a bit of each of several weights, as long as there are such; what is left of a weight is
// counted.
std::vector<BitHeap::Word> BitHeap::words_of(std::vector<std::vector<Net>> columns, int stage) {
  const int width = static_cast<int>(columns.size());
  std::vector<Word> words;
  for (int low = 0; low < width;) {
    int end = low;
    while (end < width && !columns[static_cast<std::size_t>(end)].empty()) ++end;
    if (end - low < kLeastWord) {
      if (end > low) words.push_back(count_of(columns[static_cast<std::size_t>(low)], low, stage));
      ++low;
      continue;
    }
    Word& word = words.emplace_back(Word{low, {}});
    for (int w = low; w < end; ++w) {
      auto& column = columns[static_cast<std::size_t>(w)];
      word.bits.push_back(std::move(column.back()));
      column.pop_back();
    }
  }
  return words;
}

BitHeap::Word BitHeap::count_of(std::vector<Net>& bits, int weight, int stage) {
  SvModule& module = circuit_.module();
  const int count = static_cast<int>(bits.size());
  Word word{weight, std::move(bits)};
  bits.clear();
  if (count == 1) return word;
  const std::string plane = module.fresh(fmt::format("{}_bits_w{}", options_.stem, weight));
  module.wire(plane, count);
  module.assign(plane, Circuit::concat(word.bits));
  const int count_width = bits_for(count);
  const std::string name = module.fresh(fmt::format("{}_count_w{}", options_.stem, weight));
  module.wire(name, count_width);
  module.instance("fst_popcount", module.fresh("count_" + plane),
                  {{"Width", std::to_string(count)}}, {{"bits_i", plane}, {"count_o", name}});
  circuit_.cost().luts += 1.7 * count;
  word.bits.clear();
  for (int i = 0; i < count_width; ++i)
    word.bits.push_back({SvModule::bit(name, count_width, i), stage});
  return word;
}

// Two words as one: side by side where they don't meet, else their sum above the bits that one has
// alone. Kept as a net of its own: synthesis would gather additions that follow each other, and
// count their bits in tables instead of on carry chains, at more than twice as many.
BitHeap::Word BitHeap::add(Word first, Word second, int width, int stage) {
  if (second.low < first.low) std::swap(first, second);
  const int end = first.low + static_cast<int>(first.bits.size());
  Word sum{first.low, {}};
  const int alone = std::min(second.low, end) - first.low;
  sum.bits.assign(first.bits.begin(), first.bits.begin() + alone);
  if (second.low >= end) {
    sum.bits.resize(static_cast<std::size_t>(second.low - first.low), Net::zero());
    sum.bits.insert(sum.bits.end(), second.bits.begin(), second.bits.end());
    return sum;
  }
  first.bits.erase(first.bits.begin(), first.bits.begin() + alone);
  const auto longest = static_cast<int>(std::max(first.bits.size(), second.bits.size()));
  const int bits = std::min(longest + 1, width - second.low);
  for (Word* word : {&first, &second})
    word->bits.resize(static_cast<std::size_t>(bits), Net::zero());
  SvModule& module = circuit_.module();
  const std::string name = module.fresh(fmt::format("{}_w{}", options_.stem, second.low));
  module.kept_wire(name, bits);
  module.assign(name,
                fmt::format("{} + {}", Circuit::concat(first.bits), Circuit::concat(second.bits)));
  circuit_.cost().luts += bits;
  circuit_.cost().carries += (bits + 3) / 4;
  for (int i = 0; i < bits; ++i) sum.bits.push_back({SvModule::bit(name, bits, i), stage});
  return sum;
}

// What plain_columns() has as a complement, as a net.
Net BitHeap::plain(const Net& bit) {
  return bit.name[0] == '!' ? circuit_.inverted({bit.name.substr(1), bit.stage}) : bit;
}

// Additions of words, level by level, by the language's +.
std::vector<Net> BitHeap::sum_generic(int width) {
  int stage = first_stage();
  std::vector<Word> words = words_of(plain_columns(width, stage), stage);
  for (int level = 1 + options_.levels_before; words.size() > 1; ++level) {
    std::stable_sort(words.begin(), words.end(), [](const Word& a, const Word& b) {
      return std::pair(a.low, a.bits.size()) < std::pair(b.low, b.bits.size());
    });
    std::vector<Word> sums;
    for (std::size_t i = 0; i + 1 < words.size(); i += 2)
      sums.push_back(add(std::move(words[i]), std::move(words[i + 1]), width, stage));
    if (words.size() % 2 != 0) sums.push_back(std::move(words.back()));
    words = std::move(sums);
    if (words.size() == 1 || options_.levels_per_register == 0 ||
        level % options_.levels_per_register != 0)
      continue;
    ++stage;
    for (Word& word : words) {
      for (Net& bit : word.bits) {
        bit = circuit_.delayed(plain(bit), stage);
      }
    }
  }
  std::vector<Net> result(static_cast<std::size_t>(width), Net{"1'b0", stage});
  if (!words.empty()) {
    for (std::size_t i = 0; i < words[0].bits.size(); ++i)
      result[static_cast<std::size_t>(words[0].low) + i] = plain(words[0].bits[i]);
  }
  return result;
}

}  // namespace foldstream::arith
