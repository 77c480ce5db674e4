// SPDX-License-Identifier: Apache-2.0
#include "src/arith/dot_embedded.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/arith/bit_heap.h"
#include "src/util/error.h"

namespace foldstream::arith {
namespace {

constexpr int kPairInputs = 5;
constexpr int kTableInputs = 6;

int bits_for(std::int64_t maximum) { return std::bit_width(static_cast<std::uint64_t>(maximum)); }

// What a group of lanes of one row adds: a table over the activations' bits and the fold's, less
// the fold's minimum.
struct Group {
  int inputs = 0;                     // of the table: activations below, the fold above
  std::vector<std::int64_t> entries;  // by address
  std::vector<std::int64_t> minimum;  // by fold
  std::int64_t maximum = 0;
};

Group group_of(const DotEmbeddedSpec& spec, int row, int first, int count) {
  const int folds = static_cast<int>(spec.weights.size());
  const int per = spec.activation.bits;
  const int data = count * per;
  Group group;
  group.inputs = data + bits_for(folds - 1);
  group.entries.assign(std::size_t{1} << group.inputs, 0);
  const int step = spec.activation.coding == Coding::kBipolar ? 2 : 1;
  for (int f = 0; f < folds; ++f) {
    std::vector<std::int64_t> values;
    for (std::uint64_t code = 0; code < std::uint64_t{1} << data; ++code) {
      std::int64_t value = 0;
      for (int i = 0; i < count; ++i)
        value += spec.weights[f][row][first + i] * spec.activation.decode(code >> (i * per));
      values.push_back(value);
    }
    const std::int64_t minimum = *std::min_element(values.begin(), values.end());
    group.minimum.push_back(minimum);
    for (std::size_t code = 0; code < values.size(); ++code) {
      const std::int64_t above = (values[code] - minimum) / step;
      group.entries[(static_cast<std::size_t>(f) << data) + code] = above;
      group.maximum = std::max(group.maximum, above);
    }
  }
  return group;
}

// The largest entry of a group: what its activations move the sum by, in the fold where that is
// most.
std::int64_t group_maximum(const DotEmbeddedSpec& spec, int row, int first, int count) {
  const std::int64_t spread = spec.activation.coding == Coding::kBipolar
                                  ? 1
                                  : (std::int64_t{1} << spec.activation.bits) - 1;
  std::int64_t maximum = 0;
  for (const auto& fold : spec.weights) {
    std::int64_t sum = 0;
    for (int i = first; i < first + count; ++i)
      sum += fold[row][i] < 0 ? -fold[row][i] : fold[row][i];
    maximum = std::max(maximum, sum * spread);
  }
  return maximum;
}

int tables_for(int inputs, int bits) { return inputs <= kPairInputs ? (bits + 1) / 2 : bits; }

// Lanes to a table: what costs least over all rows, at half a LUT for adding each bit of their
// outputs.
int lanes_per_table(const DotEmbeddedSpec& spec) {
  const int fold_bits = bits_for(static_cast<std::int64_t>(spec.weights.size()) - 1);
  const int rows = static_cast<int>(spec.weights.at(0).size());
  const int lanes = static_cast<int>(spec.weights[0].at(0).size());
  int chosen = 1;
  double best = 0;
  for (int count = 1; count <= lanes && count * spec.activation.bits + fold_bits <= kTableInputs;
       ++count) {
    double cost = 0;
    for (int row = 0; row < rows; ++row) {
      for (int first = 0; first < lanes; first += count) {
        const int taken = std::min(count, lanes - first);
        const int bits = bits_for(group_maximum(spec, row, first, taken));
        cost += tables_for(taken * spec.activation.bits + fold_bits, bits) + 0.5 * bits;
      }
    }
    if (count == 1 || cost < best) best = cost, chosen = count;
  }
  return chosen;
}

}  // namespace

bool dot_embedded_fits(const Type& activation, int folds) {
  return activation.bits + bits_for(folds - 1) <= kTableInputs;
}

// A cell of a BitHeap leaves at most two bits fewer for each of its LUTs.
double dot_embedded_least_luts(const DotEmbeddedSpec& spec) {
  const int fold_bits = bits_for(static_cast<std::int64_t>(spec.weights.size()) - 1);
  const int rows = static_cast<int>(spec.weights.at(0).size());
  const int lanes = static_cast<int>(spec.weights[0].at(0).size());
  const int lanes_to_table = lanes_per_table(spec);
  double luts = 0;
  for (int row = 0; row < rows; ++row) {
    std::int64_t maximum = 0;
    int bits = 0;
    for (int first = 0; first < lanes; first += lanes_to_table) {
      const int count = std::min(lanes_to_table, lanes - first);
      const std::int64_t largest = group_maximum(spec, row, first, count);
      luts += tables_for(count * spec.activation.bits + fold_bits, bits_for(largest));
      bits += bits_for(largest), maximum += largest;
    }
    luts += std::max(0.0, (bits - bits_for(maximum)) / 2.0);
  }
  return luts;
}

DotEmbedded dot_embedded(const DotEmbeddedSpec& spec) {
  const int folds = static_cast<int>(spec.weights.size());
  const int rows = static_cast<int>(spec.weights.at(0).size());
  const int lanes = static_cast<int>(spec.weights[0].at(0).size());
  const int per = spec.activation.bits;
  const int fold_bits = bits_for(folds - 1);
  FOLDSTREAM_CHECK(spec.activation.coding != Coding::kTernary &&
                   dot_embedded_fits(spec.activation, folds));
  DotEmbedded dot;
  dot.scale = spec.activation.coding == Coding::kBipolar ? 2 : 1;
  dot.constant.assign(folds, std::vector<std::int64_t>(rows, 0));

  const int lanes_to_table = lanes_per_table(spec);

  SvModule module(
      spec.name,
      fmt::format(
          "{} dot products of {} lanes, activations of {}, with the weights of {} folds in tables.",
          rows, lanes, spec.activation.text(), folds),
      "");
  Circuit circuit(module, spec.family);
  std::vector<bool> used(lanes * per, false);
  bool fold_used = false;
  std::vector<std::vector<Net>> sums;
  for (int row = 0; row < rows; ++row) {
    module.comment(fmt::format("row {}", row));
    BitHeap heap(circuit, {fmt::format("row{}", row), spec.levels_per_register});
    for (int first = 0; first < lanes; first += lanes_to_table) {
      const int count = std::min(lanes_to_table, lanes - first);
      const Group group = group_of(spec, row, first, count);
      for (int f = 0; f < folds; ++f) dot.constant[f][row] += group.minimum[f];
      const int bits = bits_for(group.maximum);
      if (bits == 0) continue;
      for (int i = first * per; i < (first + count) * per; ++i) used[i] = true;
      fold_used = true;
      const bool pairs = group.inputs <= kPairInputs;
      std::vector<std::string> address;
      const int width = pairs ? kPairInputs : kTableInputs;
      if (group.inputs < width) address.push_back(fmt::format("{}'d0", width - group.inputs));
      if (fold_bits > 0) address.push_back("fold_i");
      address.push_back(SvModule::slice("activations_i", lanes * per, first * per, count * per));
      const auto table = [&](int bit) {
        std::vector<bool> entries;
        for (int a = 0; a < (pairs ? 32 : 64); ++a) {
          entries.push_back((group.entries[a % group.entries.size()] >> bit & 1) != 0);
        }
        return SvModule::constant(entries);
      };
      std::vector<Net> outputs;
      for (int b = 0; b < bits; ++b)
        outputs.push_back(circuit.wire(fmt::format("row{}_lane{}_w{}", row, first, b), 0));
      const std::string name = module.fresh(fmt::format("multiply_row{}_lane{}", row, first));
      for (int b = 0; b < bits; b += pairs ? 2 : 1) {
        const std::string instance = b == 0 ? name : module.fresh(name);
        if (pairs) {
          const bool both = b + 1 < bits;
          std::vector<Net> data = {
              outputs[b],
              both ? outputs[b + 1] : circuit.wire(fmt::format("unused_row{}", row), 0)};
          module.instance(
              "fst_table_pair", instance,
              {{"Table0", table(b)}, {"Table1", both ? table(b + 1) : "32'd0"}},
              {{"address_i", SvModule::concat(address)}, {"data_o", Circuit::concat(data)}});
        } else {
          module.instance("fst_table", instance, {{"Table", table(b)}},
                          {{"address_i", SvModule::concat(address)}, {"data_o", outputs[b].name}});
        }
        circuit.cost().luts += 1;
      }
      for (int b = 0; b < bits; ++b) heap.add(b, outputs[b]);
    }
    dot.partial_maximum = std::max(dot.partial_maximum, heap.maximum());
    sums.push_back(heap.sum());
  }
  dot.partial_width = std::max(1, bits_for(dot.partial_maximum));
  int stage = 0;
  for (const auto& sum : sums) stage = std::max(stage, sum[0].stage);
  std::vector<Net> out;
  for (auto& sum : sums) {
    sum.resize(dot.partial_width, Net::zero());
    for (const Net& bit : sum) out.push_back(circuit.delayed(bit, stage));
  }
  circuit.finish();
  module.assign("partial_o", Circuit::concat(out));
  std::vector<std::string> unused;
  for (int i = lanes * per; i-- > 0;) {
    if (!used[i]) unused.push_back(SvModule::bit("activations_i", lanes * per, i));
  }
  if (!fold_used && fold_bits > 0) unused.push_back("fold_i");
  if (!unused.empty()) {
    module.comment("inputs that no weight needs");
    module.wire("unused_inputs");
    module.assign("unused_inputs", "^" + SvModule::concat(unused));
  }
  if (stage > 0) module.input("clk_i");
  if (fold_bits > 0) module.input("fold_i", fold_bits);
  module.input("activations_i", lanes * per);
  module.output("partial_o", rows * dot.partial_width);
  module.set_timing(fmt::format("Latency {}, interval 1.", stage));
  dot.module.name = spec.name;
  dot.module.sources = {{spec.name, module.text()}};
  dot.module.ports = module.ports();
  dot.module.latency = stage;
  dot.module.cost = circuit.cost();
  return dot;
}

}  // namespace foldstream::arith
