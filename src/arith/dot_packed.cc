// SPDX-License-Identifier: Apache-2.0
#include "src/arith/dot_packed.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <utility>

#include "src/arith/bit_heap.h"
#include "src/util/error.h"

namespace foldstream::arith {
namespace {

constexpr int kMostBits = 8;   // of a factor
constexpr int kWorthBits = 8;  // of a product
// A lane waits for those before it: two cycles in the block's own registers, one more before it.
constexpr int kLongestChain = 4;
constexpr int kSumBits = 48;

bool is_signed(const Type& type) { return type.coding == Coding::kSigned; }

bool is_number(const Type& type) {
  return (type.coding == Coding::kSigned || type.coding == Coding::kUnsigned) && type.bits >= 2 &&
         type.bits <= kMostBits;
}

int bits_for(std::int64_t maximum) { return std::bit_width(static_cast<std::uint64_t>(maximum)); }

std::int64_t most(int bits) { return (std::int64_t{1} << bits) - 1; }

// The widths of fst_packed_sums for a chain of so many lanes.
struct Chain {
  Chain(const DotSpec& spec, int rows, int spacing, int lanes) : lanes(lanes) {
    const std::int64_t activations = lanes * most(spec.activation.bits);
    const std::int64_t maximum = activations * most(spec.weight.bits);
    overlap = rows > 1 && bits_for(maximum) > spacing;
    field_bits = bits_for(maximum + (overlap ? 1 : 0));
    complement_bits = bits_for(activations);
    offset = is_signed(spec.weight) ? activations << (spec.weight.bits - 1) : 0;
    fits = (rows == 1 || field_bits <= spacing + (overlap ? 1 : 0)) &&
           (rows - 1) * spacing + field_bits <= kSumBits;
  }
  int lanes, field_bits, complement_bits;
  bool overlap, fits;
  std::int64_t offset;  // of each row's field
};

// A chain of the packing: the first ones are the longer.
int lanes_of(const Packing& packing, int lanes, int chain) {
  return lanes / packing.chains + (chain < lanes % packing.chains ? 1 : 0);
}

// About what the bits of all chains cost to add up, what the overlaps do, and what makes up for the
// weights' offsets.
double luts_of(const DotSpec& spec, const Packing& packing) {
  double group = 0, shared = 0;
  const int longer = spec.lanes % packing.chains;
  for (const auto& [first, count] : {std::pair{0, longer}, {longer, packing.chains - longer}}) {
    if (count == 0) continue;
    const Chain chain(spec, packing.rows, packing.spacing, lanes_of(packing, spec.lanes, first));
    if (packing.chains > 1) group += count * 0.55 * packing.rows * chain.field_bits;
    if (chain.overlap) {
      const double carry = chain.lanes == 1 ? 1.5 : chain.lanes <= 3 ? 3.5 : 4.5;
      group += count * (packing.rows - 1) * carry;
    }
    if (packing.borrow) shared += count * std::max(1, chain.lanes - 1) * (spec.activation.bits + 1);
  }
  return packing.groups * group + shared;
}

std::optional<Packing> packing_of(const DotSpec& spec, int rows, int chains, bool borrow) {
  Packing packing;
  packing.groups = (spec.rows + rows - 1) / rows;
  packing.rows = (spec.rows + packing.groups - 1) / packing.groups;
  packing.chains = chains;
  packing.borrow = borrow;
  packing.longest = lanes_of(packing, spec.lanes, 0);
  if (packing.rows != rows || packing.longest > kLongestChain) return std::nullopt;
  const int room = spec.multiplier_bits - spec.weight.bits - (borrow ? 0 : 1);
  if (rows > 1) packing.spacing = room / (rows - 1);
  if (!Chain(spec, rows, packing.spacing, packing.longest).fits) return std::nullopt;
  packing.multipliers = packing.groups * spec.lanes;
  packing.luts = luts_of(spec, packing);
  return packing;
}

}  // namespace

bool dot_packed_fits(const Type& weight, const Type& activation) {
  return is_number(weight) && is_number(activation) && weight.bits + activation.bits >= kWorthBits;
}

Packing find_packing(const DotSpec& spec) {
  std::optional<Packing> best;
  double least = std::numeric_limits<double>::infinity();
  const int most_rows = std::min(spec.own_activations ? 1 : spec.rows, spec.multiplier_bits);
  for (int rows = most_rows; rows >= 1; --rows) {
    for (int longest = std::min(kLongestChain, spec.lanes); longest >= 1; --longest) {
      const int chains = (spec.lanes + longest - 1) / longest;
      for (const bool borrow : {false, true}) {
        if (borrow && (rows == 1 || !is_signed(spec.weight))) continue;
        const std::optional<Packing> packing = packing_of(spec, rows, chains, borrow);
        if (!packing) continue;
        const double worth = kMultiplierLuts * packing->multipliers + packing->luts;
        if (worth < least) best = packing, least = worth;
      }
    }
  }
  FOLDSTREAM_CHECK(best);
  return *best;
}

int packed_registers(const Packing& packing) { return packing.longest + 1; }

// A group of rows, which comes once or more in the whole.
std::string DotPacked::emit_group() {
  const int rows = packing_.rows, lanes = spec_.lanes, weight_bits = spec_.weight.bits;
  const int activation_bits = spec_.activation.bits;
  SvModule group(spec_.name + "_group",
                 fmt::format("{} rows of {}: {} products each, summed without the rows' constants.",
                             rows, spec_.name, lanes),
                 "");
  Circuit circuit(group, spec_.family);
  std::vector<BitHeap> heaps;
  for (int row = 0; row < rows; ++row) {
    heaps.emplace_back(circuit,
                       BitHeap::Options{fmt::format("row{}", row), spec_.levels_per_register});
  }
  int first = 0, complement = 0, complements = 0;
  for (int i = 0; i < packing_.chains; ++i) {
    complements +=
        Chain(spec_, rows, packing_.spacing, lanes_of(packing_, lanes, i)).complement_bits;
  }
  for (int i = 0; i < packing_.chains; ++i) {
    const Chain chain(spec_, rows, packing_.spacing, lanes_of(packing_, lanes, i));
    // The first row's carry is always one, and without an overlap all are none.
    const std::string fields = fmt::format("fields_{}", i), carries = fmt::format("carries_{}", i);
    const std::string unused = fmt::format("unused_carries_{}", i);
    const int carried = chain.overlap ? rows - 1 : 0;
    group.wire(fields, rows * chain.field_bits);
    if (carried > 0) group.wire(carries, carried);
    group.wire(unused, rows - carried);
    std::vector<std::string> weights;
    for (int row = rows; row-- > 0;) {
      weights.push_back(SvModule::slice("weights_i", rows * lanes * weight_bits,
                                        (row * lanes + first) * weight_bits,
                                        chain.lanes * weight_bits));
    }
    group.instance(
        "fst_packed_sums", fmt::format("u_chain_{}", i),
        {{"Rows", std::to_string(rows)},
         {"Lanes", std::to_string(chain.lanes)},
         {"WeightBits", std::to_string(weight_bits)},
         {"WeightOffset", is_signed(spec_.weight) ? "1'b1" : "1'b0"},
         {"ActivationBits", std::to_string(activation_bits)},
         {"WideBits", std::to_string(spec_.multiplier_bits)},
         {"Spacing", std::to_string(packing_.spacing)},
         {"Overlap", chain.overlap ? "1'b1" : "1'b0"},
         {"Borrow", packing_.borrow ? "1'b1" : "1'b0"}},
        {{"clk_i", "clk_i"},
         {"weights_i", SvModule::concat(weights)},
         {"activations_i", SvModule::slice("activations_i", lanes * activation_bits,
                                           first * activation_bits, chain.lanes * activation_bits)},
         {"complement_i", packing_.borrow ? SvModule::slice("complements_i", complements,
                                                            complement, chain.complement_bits)
                                          : fmt::format("{}'d0", chain.complement_bits)},
         {"fields_o", fields},
         {"carries_o", carried > 0 ? SvModule::concat({carries, unused}) : unused}});
    const int stage = chain.lanes + 1;
    for (int row = 0; row < rows; ++row) {
      for (int bit = 0; bit < chain.field_bits; ++bit) {
        const int index = row * chain.field_bits + bit;
        heaps[row].add(
            bit, circuit.delayed({SvModule::bit(fields, rows * chain.field_bits, index), stage},
                                 packed_registers(packing_)));
      }
      // A field less its carry is the field and the carry's complement, less one.
      if (chain.overlap && row > 0) {
        heaps[row].add(0,
                       circuit.delayed({SvModule::bit(carries, carried, row - 1), stage},
                                       packed_registers(packing_)),
                       true);
      }
    }
    beat_constant_ += chain.offset + (chain.overlap ? 1 : 0);
    // What fst_packed_sums has beside its multipliers.
    Cost& cost = circuit.cost();
    cost.flip_flops +=
        (chain.lanes == kLongestChain ? 1 : 0) * (rows * weight_bits + activation_bits);
    if (chain.overlap) {
      cost.luts += (rows - 1) * (chain.lanes == 1 ? 1 : chain.lanes <= 3 ? 3 : 4);
      cost.flip_flops += (rows - 1) * (chain.lanes == 1 ? 4 : 1);
    }
    if (spec_.family == Family::kXilinx) {
      cost.multipliers += chain.lanes;
    } else {
      cost.luts += chain.lanes * 0.9 * rows * weight_bits * activation_bits;
    }
    first += chain.lanes, complement += chain.complement_bits;
  }
  std::vector<std::vector<Net>> sums;
  int latency = 0;
  for (BitHeap& heap : heaps) {
    sums.push_back(heap.sum());
    partial_width_ = std::max(partial_width_, static_cast<int>(sums.back().size()));
    latency = std::max(latency, sums.back()[0].stage);
  }
  std::vector<Net> partial;
  for (std::vector<Net>& sum : sums) {
    sum.resize(partial_width_, Net::zero());
    for (const Net& bit : sum) partial.push_back(circuit.delayed(bit, latency));
  }
  circuit.finish();
  group.assign("partial_o", Circuit::concat(partial));
  group.input("clk_i");
  group.input("weights_i", rows * lanes * weight_bits);
  group.input("activations_i", lanes * activation_bits);
  if (packing_.borrow) group.input("complements_i", complements);
  group.output("partial_o", rows * partial_width_);
  group.set_timing(fmt::format("Latency {}, interval 1.", latency));
  module_.latency = latency;
  module_.cost = static_cast<double>(spec_.rows) / rows * circuit.cost();
  module_.cost.multipliers = packing_.groups * circuit.cost().multipliers;
  return group.text();
}

DotPacked::DotPacked(DotSpec spec) : spec_(std::move(spec)) {
  FOLDSTREAM_CHECK(spec_.rows >= 1 && spec_.lanes >= 1);
  FOLDSTREAM_CHECK(is_number(spec_.weight) && is_number(spec_.activation));
  packing_ = find_packing(spec_);
  const std::string group = emit_group();

  const int rows = spec_.rows, lanes = spec_.lanes, row_weights = lanes * spec_.weight.bits;
  const int activation_bits = spec_.activation.bits;
  SvModule top(
      spec_.name,
      fmt::format("{} dot products of {} {} weights times activations of {}, {} rows to a "
                  "multiplier.",
                  rows, lanes, spec_.weight.text(), spec_.activation.text(), packing_.rows),
      fmt::format("Latency {}, interval 1.", module_.latency));
  top.input("clk_i");
  top.input("weights_i", rows * row_weights);
  const int sets = spec_.own_activations ? rows : 1, set_bits = lanes * activation_bits;
  top.input("activations_i", sets * set_bits);
  top.output("partial_o", rows * partial_width_);
  Circuit circuit(top, spec_.family);
  std::string activations = "activations_i";
  if (is_signed(spec_.activation)) {
    activations = "offset_activations";
    top.comment("activations as unsigned numbers, by an offset");
    top.wire(activations, sets * set_bits);
    std::vector<bool> mask(sets * set_bits);
    for (int lane = 0; lane < sets * lanes; ++lane) mask[(lane + 1) * activation_bits - 1] = true;
    top.assign(activations, "activations_i ^ " + SvModule::constant(mask));
    circuit.cost().luts += sets * lanes;
  }
  std::vector<Net> complements;
  if (packing_.borrow) {
    top.comment("the sum of each chain's complemented activations");
    for (int chain = 0, lane = 0; chain < packing_.chains; ++chain) {
      const int length = lanes_of(packing_, lanes, chain);
      BitHeap heap(circuit, {fmt::format("complement{}", chain)});
      for (int i = 0; i < length; ++i, ++lane) {
        for (int bit = 0; bit < activation_bits; ++bit) {
          heap.add(bit, {SvModule::bit(activations, set_bits, lane * activation_bits + bit), 0},
                   true);
        }
      }
      std::vector<Net> sum = heap.sum();
      sum.resize(Chain(spec_, packing_.rows, packing_.spacing, length).complement_bits,
                 Net::zero());
      complements.insert(complements.end(), sum.begin(), sum.end());
    }
  }
  top.comment("the rows");
  for (int row = 0; row < rows; row += packing_.rows) {
    const int count = std::min(packing_.rows, rows - row);
    std::string weights =
        SvModule::slice("weights_i", rows * row_weights, row * row_weights, count * row_weights);
    std::string partial = SvModule::slice("partial_o", rows * partial_width_, row * partial_width_,
                                          count * partial_width_);
    if (count < packing_.rows) {
      weights = fmt::format("{}'({})", packing_.rows * row_weights, weights);
      top.wire("unused_partial", (packing_.rows - count) * partial_width_);
      partial = SvModule::concat({"unused_partial", partial});
    }
    SvBindings connections = {
        {"clk_i", "clk_i"},
        {"weights_i", weights},
        {"activations_i", SvModule::slice(activations, sets * set_bits,
                                          spec_.own_activations ? row * set_bits : 0, set_bits)}};
    if (packing_.borrow) connections.emplace_back("complements_i", Circuit::concat(complements));
    connections.emplace_back("partial_o", partial);
    top.instance(spec_.name + "_group", fmt::format("u_rows_{}", row), {}, connections);
  }
  module_.name = spec_.name;
  module_.sources = {{spec_.name + "_group", group}, {spec_.name, top.text()}};
  module_.ports = top.ports();
  module_.cost += circuit.cost();
}

std::int64_t DotPacked::row_constant(std::span<const std::int64_t> row) const {
  std::int64_t constant = -beat_constant_ * static_cast<std::int64_t>(row.size()) / spec_.lanes;
  if (is_signed(spec_.activation)) {
    for (const std::int64_t w : row) constant -= w << (spec_.activation.bits - 1);
  }
  return constant;
}

std::vector<bool> DotPacked::stored_bits(std::span<const std::int64_t> beat) const {
  FOLDSTREAM_CHECK(static_cast<int>(beat.size()) == spec_.lanes);
  std::vector<bool> bits;
  for (const std::int64_t w : beat) {
    const std::uint64_t word = spec_.weight.encode(w);
    const int sign = is_signed(spec_.weight) ? spec_.weight.bits - 1 : -1;
    for (int i = 0; i < spec_.weight.bits; ++i) {
      bits.push_back(((word >> i & 1) != 0) != (i == sign));
    }
  }
  return bits;
}

}  // namespace foldstream::arith
