// SPDX-License-Identifier: Apache-2.0
#include "src/arith/constant_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "src/arith/bit_heap.h"
#include "src/arith/shared_pairs.h"
#include "src/arith/threshold_search.h"
#include "src/util/error.h"

namespace foldstream::arith {
namespace {

constexpr int kShareRounds =
    3;  // parities of 27 bits at most: deeper ones cost levels and save little
// Pairs of pairs; deeper ones save a thousandth of the tables of 64 by 64 weights of 8 bits.
constexpr int kPairLevels = 2;
constexpr int kShareMinimum = 6;  // rows that pay for a group's tables at half a LUT each
constexpr int kSumTableBits = 6;  // of a sum whose thresholds become a table
constexpr int kTableBits = 8;     // live input bits of a row that may be looked up whole

int bits_for(std::int64_t maximum) { return std::bit_width(static_cast<std::uint64_t>(maximum)); }

// An activation, or a sum of two words: bits, or their complements, from the lowest on, and what
// they leave out.
struct Word {
  struct Bit {
    int net;
    bool complement;
  };
  std::vector<Bit> bits;
  std::int64_t offset = 0;
  int stage = 0;
  int levels = 0;  // of logic behind its bits in that stage
  // What its bits leave out, or their complements of its negative.
  std::int64_t left_out(bool complement) const {
    return complement ? -offset - ((std::int64_t{1} << bits.size()) - 1) : offset;
  }
};

// What a row adds: words in signed digits, so that they are few; then bits, or their complements,
// at weights; and a constant. The row is the negative of what was asked for where that needs fewer
// complements.
struct Row {
  std::vector<Digit> digits;
  std::vector<std::map<int, bool>> columns;  // [weight]: net -> complement
  std::int64_t constant = 0;
  bool negated = false;
  int levels = 0;  // of logic behind its bits in their last stage
};

// value * word, in the non-adjacent form.
void add_digits(std::vector<Digit>& digits, std::int64_t value, int word) {
  for (int weight = 0; value != 0; ++weight, value /= 2) {
    if (value % 2 == 0) continue;
    const std::int64_t digit = (value & 3) == 1 ? 1 : -1;
    value -= digit;
    digits.push_back({word, weight, digit < 0});
  }
}

class Matrix {
 public:
  // `pair_levels`: how many additions deep pairs of activations may be that rows have in common.
  Matrix(const ConstantMatrixSpec& spec, int pair_levels)
      : spec_(spec),
        pair_levels_(pair_levels),
        rows_(static_cast<int>(spec.weights.size())),
        columns_(static_cast<int>(spec.weights.at(0).size())),
        module_(spec.name,
                fmt::format("{} by {} constant weights times activations of {}{}.", rows_, columns_,
                            spec.activation.text(),
                            spec.thresholds.empty()
                                ? ""
                                : fmt::format(", {} thresholds a row", spec.thresholds[0].size())),
                ""),
        circuit_(module_, spec.family) {
    FOLDSTREAM_CHECK(columns_ >= 1 && spec.activation.coding != Coding::kTernary);
    for (const auto& row : spec.weights) FOLDSTREAM_CHECK(static_cast<int>(row.size()) == columns_);
    FOLDSTREAM_CHECK(spec.bias.empty() || static_cast<int>(spec.bias.size()) == rows_);
    FOLDSTREAM_CHECK(spec.thresholds.empty() || static_cast<int>(spec.thresholds.size()) == rows_);
    FOLDSTREAM_CHECK(spec.inverted.empty() || static_cast<int>(spec.inverted.size()) == rows_);
  }

  ConstantMatrix generate() {
    for (int i = 0; i < columns_ * spec_.activation.bits; ++i) {
      nets_.push_back({SvModule::bit("activations_i", columns_ * spec_.activation.bits, i), 0});
    }
    parity_.resize(nets_.size());
    used_.assign(nets_.size(), false);
    if (spec_.thresholds.empty()) {
      std::int64_t low = 0, high = 0;
      for (int r = 0; r < rows_; ++r) {
        const auto [row_low, row_high] = range(r);
        low = std::min(low, row_low);
        high = std::max(high, row_high);
      }
      sum_width_ = 1 + std::max(bits_for(high), bits_for(-low - (low < 0 ? 1 : 0)));
    }
    std::vector<Row> rows;
    const std::vector<int> makers = equal_rows();
    for (int r = 0; r < rows_; ++r)
      rows.push_back(constant(r) || makers[r] != r ? Row() : row_of(r));
    const std::vector<Word> words = share_words(rows);
    for (Row& row : rows) add_bits(row, words);
    share(rows);
    std::vector<std::vector<Net>> results;
    for (int r = 0; r < rows_; ++r)
      results.push_back(makers[r] == r ? build(rows[r], r) : results[makers[r]]);
    int stage = 0;
    for (const auto& result : results) {
      for (const Net& bit : result) stage = std::max(stage, bit.stage);
    }
    if (spec_.register_result) ++stage;
    std::vector<Net> out;
    for (const auto& result : results) {
      for (const Net& bit : result) out.push_back(circuit_.delayed(bit, stage));
    }
    circuit_.finish();
    const std::string port = spec_.thresholds.empty() ? "sums_o" : "result_o";
    module_.assign(port, Circuit::concat(out));
    std::vector<std::string> unused;
    for (std::size_t i = used_.size(); i-- > 0;) {
      if (!used_[i])
        unused.push_back(
            SvModule::bit("activations_i", static_cast<int>(used_.size()), static_cast<int>(i)));
    }
    if (!unused.empty()) {
      module_.comment("activations that every row multiplies by zero");
      module_.wire("unused_activations");
      module_.assign("unused_activations", "^" + SvModule::concat(unused));
    }
    if (stage > 0) {
      module_.input("clk_i");
      if (circuit_.cost().flip_flops == 0) {
        module_.wire("unused_clock");
        module_.assign("unused_clock", "clk_i");
      }
    }
    module_.input("activations_i", columns_ * spec_.activation.bits);
    module_.output(port, static_cast<int>(out.size()));
    module_.set_timing(fmt::format("Latency {}, interval 1.", stage));
    ConstantMatrix matrix;
    matrix.module.name = spec_.name;
    matrix.module.sources = {{spec_.name, module_.text()}};
    matrix.module.ports = module_.ports();
    matrix.module.latency = stage;
    matrix.module.cost = circuit_.cost();
    matrix.sum_width = sum_width_;
    matrix.report = report_;
    return matrix;
  }

 private:
  std::int64_t bias(int r) const { return spec_.bias.empty() ? 0 : spec_.bias[r]; }
  bool inverted(int r) const { return !spec_.inverted.empty() && spec_.inverted[r]; }
  std::vector<std::int64_t> thresholds(int r) const {
    return spec_.thresholds.empty() ? std::vector<std::int64_t>() : spec_.thresholds[r];
  }

  // Equal rows are made once: for each row, the one that is made for it.
  std::vector<int> equal_rows() const {
    std::map<std::tuple<std::vector<std::int64_t>, std::int64_t, std::vector<std::int64_t>, bool>,
             int>
        known;
    std::vector<int> makers;
    for (int r = 0; r < rows_; ++r) {
      makers.push_back(known.try_emplace({spec_.weights[r], bias(r), thresholds(r), inverted(r)}, r)
                           .first->second);
    }
    return makers;
  }

  std::pair<std::int64_t, std::int64_t> range(int r) const {
    std::int64_t low = bias(r), high = bias(r);
    for (const std::int64_t w : spec_.weights[r]) {
      const std::int64_t a = w * spec_.activation.minimum(), b = w * spec_.activation.maximum();
      low += std::min(a, b);
      high += std::max(a, b);
    }
    return {low, high};
  }

  // Whether the activations can not change the result.
  bool constant(int r) const {
    const auto [low, high] = range(r);
    if (spec_.thresholds.empty()) return low == high;
    const auto& limits = spec_.thresholds[r];
    return std::all_of(limits.begin(), limits.end(),
                       [low = low, high = high](std::int64_t t) { return t <= low || t > high; });
  }

  Row row_of(int r) const {
    Row row;
    row.constant = bias(r);
    const bool bipolar = spec_.activation.coding == Coding::kBipolar;
    for (int c = 0; c < columns_; ++c) {
      const std::int64_t w = spec_.weights[r][c];
      add_digits(row.digits, bipolar ? 2 * w : w, c);
      if (bipolar) row.constant -= w;
    }
    // Only a comparison can undo the sign for nothing.
    if (spec_.thresholds.empty()) return row;
    const bool is_signed = spec_.activation.coding == Coding::kSigned;
    std::int64_t complements = 0;  // more than plain bits
    for (const Digit& digit : row.digits)
      complements += (digit.negative ? 1 : -1) * (spec_.activation.bits - (is_signed ? 2 : 0));
    if (complements > 0) {
      row.negated = true;
      row.constant = -row.constant;
      for (Digit& digit : row.digits) digit.negative = !digit.negative;
    }
    return row;
  }

  std::vector<int> live_columns(int r) const {
    std::vector<int> live;
    for (int c = 0; c < columns_; ++c) {
      if (spec_.weights[r][c] != 0) live.push_back(c);
    }
    return live;
  }

  // The activations, and pairs of words that several rows add. Rows that may be looked up whole
  // have no part in them.
  std::vector<Word> share_words(std::vector<Row>& rows) {
    const int per = spec_.activation.bits;
    std::vector<Word> words(static_cast<std::size_t>(columns_));
    const bool is_signed = spec_.activation.coding == Coding::kSigned;
    for (int c = 0; c < columns_; ++c) {
      for (int j = 0; j < per; ++j)
        words[c].bits.push_back({c * per + j, is_signed && j == per - 1});
      if (is_signed) words[c].offset = -(std::int64_t{1} << (per - 1));
    }
    if (pair_levels_ == 0) return words;
    std::vector<std::size_t> takers;
    std::vector<std::vector<Digit>> digits;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const auto live = static_cast<int>(live_columns(static_cast<int>(r)).size());
      if (live * per <= kTableBits) continue;
      takers.push_back(r);
      digits.push_back(std::move(rows[r].digits));
    }
    SharedPairs shared = share_pairs(
        std::move(digits), std::vector<int>(static_cast<std::size_t>(columns_), per), pair_levels_);
    report_.pairs = static_cast<int>(shared.pairs.size());
    if (!shared.pairs.empty()) module_.comment("pairs that several rows add, made once");
    for (const SharedPair& pair : shared.pairs) words.push_back(word_of(pair, words));
    for (std::size_t k = 0; k < takers.size(); ++k)
      rows[takers[k]].digits = std::move(shared.rows[k]);
    return words;
  }

  Word word_of(const SharedPair& pair, const std::vector<Word>& words) {
    const Word &first = words[pair.first], &second = words[pair.second];
    const int first_shift = std::max(0, -pair.shift), second_shift = std::max(0, pair.shift);
    Word word;
    word.offset = first.offset << first_shift;
    word.offset += second.left_out(pair.complement) << second_shift;
    word.stage = std::max(first.stage, second.stage);
    for (const Word* part : {&first, &second}) {
      if (part->stage == word.stage) word.levels = std::max(word.levels, part->levels);
    }
    BitHeap heap(circuit_, {fmt::format("pair{}", words.size() - columns_)});
    add_to(heap, first, first_shift, false);
    add_to(heap, second, second_shift, pair.complement);
    std::vector<Net> sum = heap.sum();
    ++word.levels;
    if (spec_.levels_per_register > 0 && word.levels >= spec_.levels_per_register) {
      ++word.stage, word.levels = 0;
      for (Net& bit : sum) bit = circuit_.delayed(bit, word.stage);
    }
    for (Net& bit : sum) {
      word.bits.push_back({static_cast<int>(nets_.size()), false});
      nets_.push_back(std::move(bit));
    }
    parity_.resize(nets_.size());
    return word;
  }

  void add_to(BitHeap& heap, const Word& word, int shift, bool complement) {
    for (const Word::Bit& bit : word.bits)
      heap.add(shift++, use(bit.net), bit.complement != complement);
  }

  // The digits as bits: -x is the complements of its bits, less the most that they are.
  static void add_bits(Row& row, const std::vector<Word>& words) {
    int stage = 0;
    for (const auto& [index, shift, negative] : row.digits) {
      const Word& word = words[index];
      if (row.columns.size() < word.bits.size() + static_cast<std::size_t>(shift))
        row.columns.resize(word.bits.size() + static_cast<std::size_t>(shift));
      for (std::size_t j = 0; j < word.bits.size(); ++j)
        row.columns[static_cast<std::size_t>(shift) + j].emplace(
            word.bits[j].net, word.bits[j].complement != negative);
      row.constant += word.left_out(negative) << shift;
      if (word.stage > stage) stage = word.stage, row.levels = 0;
      if (word.stage == stage) row.levels = std::max(row.levels, word.levels);
    }
  }

  // Where rows add the same three nets at the same weight, with whatever complements, the count of
  // the three is made once for each pattern: its parity (the same for all, up to complement) and
  // its majority (one of four, up to complement).
  void share(std::vector<Row>& rows) {
    const int activation_bits = columns_ * spec_.activation.bits;
    for (int round = 0; round < kShareRounds; ++round) {
      const int levels = spec_.levels_per_register;
      const int stage = levels > 0 ? round / levels : 0;
      int weights = 0;
      for (const Row& row : rows) weights = std::max(weights, static_cast<int>(row.columns.size()));
      std::map<std::array<int, 3>, int> parity_of, made;
      bool any = false;
      const int fresh = static_cast<int>(nets_.size());
      for (int w = 0; w < weights; ++w) {
        // The nets by how many rows add them here: bits of activations, then what the round before
        // made.
        std::map<int, int> uses;
        for (const Row& row : rows) {
          if (w >= static_cast<int>(row.columns.size())) continue;
          for (const auto& entry : row.columns[w]) {
            const int net = entry.first;
            if (net < fresh && (round == 0 ? net < activation_bits : parity_[net])) ++uses[net];
          }
        }
        std::vector<int> dense;
        for (const auto& [net, count] : uses) {
          if (count >= kShareMinimum) dense.push_back(net);
        }
        for (std::size_t i = 0; i + 3 <= dense.size(); i += 3) {
          const std::array<int, 3> group = {dense[i], dense[i + 1], dense[i + 2]};
          std::vector<Row*> takers;
          for (Row& row : rows) {
            if (w >= static_cast<int>(row.columns.size())) continue;
            const auto& column = row.columns[w];
            if (std::all_of(group.begin(), group.end(),
                            [&](int net) { return column.count(net) != 0; }))
              takers.push_back(&row);
          }
          if (static_cast<int>(takers.size()) < kShareMinimum) continue;
          if (!any)
            module_.comment(
                fmt::format("counts of three, made once for all rows: round {}", round + 1));
          any = true;
          take_group(group, w, stage, takers);
        }
      }
      if (!any) return;
    }
  }

  void take_group(const std::array<int, 3>& group, int w, int stage,
                  const std::vector<Row*>& takers) {
    std::vector<Net> inputs;
    for (const int net : group) inputs.push_back(circuit_.delayed(use(net), stage));
    // Functions of the three: 0 the parity, 1 + p the majority with the nets of pattern p
    // complemented, p in {0, 1, 2, 4}.
    std::map<int, int> functions;
    const auto function = [&](int key) { return functions.try_emplace(key, -1).first; };
    function(0);
    const auto normal = [](int pattern) {
      return std::has_single_bit(static_cast<unsigned>(pattern)) || pattern == 0 ? pattern
                                                                                 : pattern ^ 7;
    };
    const auto pattern_of = [&](const Row& row) {
      int pattern = 0;
      for (int i = 0; i < 3; ++i) pattern |= (row.columns[w].at(group[i]) ? 1 : 0) << i;
      return pattern;
    };
    for (const Row* row : takers) function(1 + normal(pattern_of(*row)));
    for (auto at = functions.begin(); at != functions.end();) {
      std::vector<bool> tables[2] = {std::vector<bool>(32), std::vector<bool>(32)};
      std::vector<Net> outputs;
      for (int k = 0; k < 2; ++k) {
        if (at == functions.end()) {
          outputs.push_back(circuit_.wire("unused_count", stage));
          continue;
        }
        const int key = at->first;
        for (int a = 0; a < 32; ++a) {
          const int bits = (a & 7) ^ (key == 0 ? 0 : key - 1);
          tables[k][a] = key == 0 ? std::popcount(static_cast<unsigned>(bits)) % 2 != 0
                                  : std::popcount(static_cast<unsigned>(bits)) >= 2;
        }
        const std::string stem = key == 0 ? "parity"
                                          : fmt::format("majority_{}{}{}", (key - 1) & 1,
                                                        (key - 1) >> 1 & 1, (key - 1) >> 2);
        outputs.push_back(circuit_.wire(stem, stage));
        at->second = static_cast<int>(nets_.size());
        nets_.push_back(outputs.back());
        parity_.resize(nets_.size());
        parity_.back() = key == 0;
        ++at;
      }
      module_.instance(
          "fst_table_pair", module_.fresh("count_" + outputs[0].name),
          {{"Table0", SvModule::constant(tables[0])}, {"Table1", SvModule::constant(tables[1])}},
          {{"address_i",
            SvModule::concat({"2'd0", inputs[2].name, inputs[1].name, inputs[0].name})},
           {"data_o", Circuit::concat(outputs)}});
      circuit_.cost().luts += 1;
    }
    for (Row* row : takers) {
      const int pattern = pattern_of(*row);
      for (const int net : group) row->columns[w].erase(net);
      if (static_cast<int>(row->columns.size()) <= w + 1) row->columns.resize(w + 2);
      row->columns[w].emplace(functions.at(0),
                              std::popcount(static_cast<unsigned>(pattern)) % 2 != 0);
      row->columns[w + 1].emplace(functions.at(1 + normal(pattern)), normal(pattern) != pattern);
      shared_.insert(row);
    }
  }

  Net use(int net) {
    if (net < static_cast<int>(used_.size())) used_[net] = true;
    return nets_[net];
  }

  std::vector<Net> build(const Row& row, int r) {
    module_.comment(fmt::format("row {}", r));
    const std::vector<std::int64_t> limits = thresholds(r);
    const int result_bits =
        spec_.thresholds.empty() ? sum_width_ : bits_for(static_cast<std::int64_t>(limits.size()));
    const std::vector<int> live = live_columns(r);
    const int live_bits = static_cast<int>(live.size()) * spec_.activation.bits;
    if (constant(r)) {
      ++report_.constant_rows;
      const std::int64_t value = constant_matrix_reference(
          spec_, r, std::vector<std::int64_t>(columns_, spec_.activation.minimum()));
      std::vector<Net> result;
      for (int i = 0; i < result_bits; ++i)
        result.push_back((value >> i & 1) != 0 ? Net::one() : Net::zero());
      return result;
    }
    int digits = 0;
    for (const auto& column : row.columns) digits += static_cast<int>(column.size());
    if (live_bits <= kTableBits &&
        table_cost(live_bits, result_bits) <= heap_cost(digits, row, limits))
      return look_up(r, live, result_bits);

    ++(shared_.count(&row) != 0 ? report_.shared_rows : report_.heap_rows);
    BitHeap heap(circuit_, {fmt::format("row{}", r), spec_.levels_per_register, row.levels});
    for (std::size_t w = 0; w < row.columns.size(); ++w) {
      for (const auto& [net, complement] : row.columns[w])
        heap.add(static_cast<int>(w), use(net), complement);
    }
    if (spec_.thresholds.empty()) {
      heap.add_constant(row.constant & ((std::int64_t{1} << sum_width_) - 1));
      std::vector<Net> sum = heap.sum(sum_width_);
      while (static_cast<int>(sum.size()) < sum_width_) sum.push_back({"1'b0", sum[0].stage});
      return sum;
    }
    const std::vector<Net> sum = heap.sum();
    const int sum_bits = static_cast<int>(sum.size());
    const int sum_stage = sum[0].stage + (spec_.register_sums ? 1 : 0);
    if (sum_bits <= kSumTableBits) {
      // So short a sum chooses its result from a table.
      std::vector<std::string> address;
      for (int i = sum_bits; i-- > 0;) address.push_back(circuit_.delayed(sum[i], sum_stage).name);
      std::vector<std::vector<bool>> tables(result_bits);
      for (int code = 0; code < 64; ++code) {
        const std::int64_t value =
            (row.negated ? -1 : 1) * ((code & ((1 << sum_bits) - 1)) + row.constant);
        const auto reached = std::count_if(limits.begin(), limits.end(),
                                           [value](std::int64_t t) { return value >= t; });
        const auto count =
            inverted(r) ? static_cast<std::ptrdiff_t>(limits.size()) - reached : reached;
        for (int b = 0; b < result_bits; ++b) tables[b].push_back((count >> b & 1) != 0);
      }
      return tables_of(fmt::format("row{}_reached", r), address, sum_bits, tables, sum_stage);
    }
    ThresholdSearch search;
    search.stem = fmt::format("row{}_reached", r);
    search.value = [&](int low, int count, int stage) {
      std::vector<Net> bits;
      for (int i = low; i < low + count; ++i) bits.push_back(circuit_.delayed(sum[i], stage));
      return Circuit::concat(bits);
    };
    search.value_bits = sum_bits;
    search.value_stage = sum_stage;
    search.levels_per_register = 0;
    // -y >= 1 - t says that t is not reached.
    std::vector<std::int64_t> own;
    for (const std::int64_t t : limits) own.push_back((row.negated ? 1 - t : t) - row.constant);
    if (row.negated) std::reverse(own.begin(), own.end());
    search.thresholds = {own};
    search.inverted = {inverted(r) != row.negated};
    return search_thresholds(circuit_, search);
  }

  static double table_cost(int inputs, int outputs) {
    if (inputs <= 5) return (outputs + 1) / 2;
    return outputs * std::max(1, 1 << (inputs - 6));
  }

  double heap_cost(int digits, const Row& row, const std::vector<std::int64_t>& limits) const {
    std::int64_t maximum = 0;
    for (std::size_t w = 0; w < row.columns.size(); ++w)
      maximum += static_cast<std::int64_t>(row.columns[w].size()) << w;
    const int width = bits_for(maximum);
    double cost = std::max(0, digits - width) * 0.6 + width * 0.3;
    for (int level = 0; level < bits_for(static_cast<std::int64_t>(limits.size())); ++level)
      cost += (width + 4 - std::min(4, level)) / std::max(1, 5 - level);
    return cost;
  }

  // The row as a table over its live inputs.
  std::vector<Net> look_up(int r, const std::vector<int>& live, int result_bits) {
    ++report_.table_rows;
    const int per = spec_.activation.bits;
    const int inputs = static_cast<int>(live.size()) * per;
    std::vector<std::string> address;  // most significant first
    for (auto column = live.rbegin(); column != live.rend(); ++column) {
      for (int j = per; j-- > 0;) address.push_back(use(*column * per + j).name);
    }
    std::vector<std::int64_t> activations(columns_, spec_.activation.maximum());
    std::vector<std::vector<bool>> tables(result_bits);
    const int size = 1 << inputs;
    for (int code = 0; code < std::max(size, 64); ++code) {
      for (std::size_t i = 0; i < live.size(); ++i) {
        activations[live[i]] =
            spec_.activation.decode(static_cast<std::uint64_t>(code % size) >> (i * per));
      }
      const std::int64_t value = constant_matrix_reference(spec_, r, activations);
      for (int b = 0; b < result_bits; ++b) tables[b].push_back((value >> b & 1) != 0);
    }
    return tables_of(fmt::format("row{}", r), address, inputs, tables, 0);
  }

  // One function of the same inputs for each table; tables of fewer than six inputs are repeated up
  // to 64 entries.
  std::vector<Net> tables_of(const std::string& stem, const std::vector<std::string>& address,
                             int inputs, const std::vector<std::vector<bool>>& tables, int stage) {
    const int count = static_cast<int>(tables.size());
    std::vector<Net> result;
    const auto padded = [&](int width) {
      std::vector<std::string> all = address;
      if (inputs < width) all.insert(all.begin(), fmt::format("{}'d0", width - inputs));
      return SvModule::concat(all);
    };
    for (int b = 0; b < count; ++b) {
      const std::string name = fmt::format("{}_b{}", stem, b);
      if (inputs <= 5) {
        const bool pair = b + 1 < count;
        const std::string other = pair ? fmt::format("{}_b{}", stem, b + 1) : "unused_" + stem;
        const std::vector<Net> outputs = {circuit_.wire(name, stage), circuit_.wire(other, stage)};
        const auto half = [&](int bit) {
          return SvModule::constant({tables[bit].begin(), tables[bit].begin() + 32});
        };
        module_.instance("fst_table_pair", module_.fresh(stem + "_look_up"),
                         {{"Table0", half(b)}, {"Table1", pair ? half(b + 1) : "32'd0"}},
                         {{"address_i", padded(5)}, {"data_o", Circuit::concat(outputs)}});
        result.push_back(outputs[0]);
        if (pair) result.push_back(outputs[1]);
        ++b;
        circuit_.cost().luts += 1;
      } else if (inputs == 6) {
        result.push_back(circuit_.wire(name, stage));
        module_.instance("fst_table", module_.fresh(stem + "_look_up"),
                         {{"Table", SvModule::constant(tables[b])}},
                         {{"address_i", padded(6)}, {"data_o", result.back().name}});
        circuit_.cost().luts += 1;
      } else {
        // Left to synthesis: tables and the multiplexers between them.
        const std::string table = fmt::format("Table{}", tables_++);
        module_.localparam(fmt::format("bit [{}:0]", tables[b].size() - 1), table,
                           SvModule::constant(tables[b]));
        result.push_back(circuit_.wire(name, stage));
        module_.assign(result.back().name, fmt::format("{}[{}]", table, SvModule::concat(address)));
        circuit_.cost().luts += static_cast<double>(tables[b].size()) / 64;
      }
    }
    return result;
  }

  const ConstantMatrixSpec& spec_;
  int pair_levels_;
  int rows_, columns_;
  SvModule module_;
  Circuit circuit_;
  std::vector<Net> nets_;     // the activations' bits, then what is shared
  std::vector<bool> used_;    // of the activations' bits
  std::vector<bool> parity_;  // nets that are parities of a group
  std::set<const Row*> shared_;
  int sum_width_ = 0;
  int tables_ = 0;
  ConstantMatrixReport report_;
};

}  // namespace

// Pairs pay where operands have several bits and rows are not few: what is cheaper shows when both
// are made.
ConstantMatrix constant_matrix(const ConstantMatrixSpec& spec) {
  if (spec.pairs) return Matrix(spec, *spec.pairs ? kPairLevels : 0).generate();
  ConstantMatrix plain = Matrix(spec, 0).generate();
  if (spec.activation.bits < 2) return plain;
  ConstantMatrix paired = Matrix(spec, kPairLevels).generate();
  return paired.module.cost.luts < plain.module.cost.luts ? paired : plain;
}

// Three rounds of sharing leave a row at least 14 bits to add of 27, and pairs of pairs of words of
// b bits b + 2 of 4 b, at no LUT of its own; a cell of a BitHeap leaves two bits fewer for each of
// its LUTs, or three where carries out of the sum are dropped. Rows that are made once, constant or
// looked up are left out.
double constant_matrix_least_luts(const ConstantMatrixSpec& spec) {
  const bool sums = spec.thresholds.empty();
  const Type& activation = spec.activation;
  const bool bipolar = activation.coding == Coding::kBipolar;
  const double b = activation.bits;
  const double kept = b < 2 ? 14.0 / 27 : std::min(14.0 / 27, (b + kPairLevels) / (4 * b));
  std::set<std::tuple<std::vector<std::int64_t>, std::vector<std::int64_t>>> known;
  double luts = 0;
  for (std::size_t r = 0; r < spec.weights.size(); ++r) {
    std::int64_t bits = 0, live = 0, low = 0, high = 0, most = 0;
    for (const std::int64_t w : spec.weights[r]) {
      // Digits of the non-adjacent form stand where w and 3 w differ.
      const auto value = static_cast<std::uint64_t>(w < 0 ? -w : w);
      bits += std::popcount(value ^ (3 * value)) * activation.bits;
      live += w != 0 ? activation.bits : 0;
      const std::int64_t a = w * activation.minimum(), b = w * activation.maximum();
      low += std::min(a, b), high += std::max(a, b);
      // What the digits add up to at most, with those of 2**k - 1 taken for k + 1 bits.
      most += static_cast<std::int64_t>(2 * value) << (bipolar ? 1 : activation.bits);
    }
    if (live <= kTableBits) continue;
    if (!spec.bias.empty()) low += spec.bias[r], high += spec.bias[r];
    if (!sums) {
      const auto& limits = spec.thresholds[r];
      if (std::all_of(limits.begin(), limits.end(),
                      [&](std::int64_t t) { return t <= low || t > high; }))
        continue;
    }
    if (!known.emplace(spec.weights[r], sums ? std::vector<std::int64_t>() : spec.thresholds[r])
             .second)
      continue;
    const double left = static_cast<double>(bits) * kept - bits_for(most);
    luts += std::max(0.0, left / (sums ? 3 : 2));
  }
  return luts;
}

std::int64_t constant_matrix_reference(const ConstantMatrixSpec& spec, int row,
                                       const std::vector<std::int64_t>& activations) {
  std::int64_t sum = spec.bias.empty() ? 0 : spec.bias[row];
  for (std::size_t c = 0; c < activations.size(); ++c) sum += spec.weights[row][c] * activations[c];
  if (spec.thresholds.empty()) return sum;
  std::int64_t reached = 0;
  for (const std::int64_t t : spec.thresholds[row]) reached += sum >= t ? 1 : 0;
  const bool inverted = !spec.inverted.empty() && spec.inverted[row];
  return inverted ? static_cast<std::int64_t>(spec.thresholds[row].size()) - reached : reached;
}

}  // namespace foldstream::arith
