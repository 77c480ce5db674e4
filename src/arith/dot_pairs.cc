// SPDX-License-Identifier: Apache-2.0
#include "src/arith/dot_pairs.h"

#include <fmt/format.h>

#include "src/arith/bit_heap.h"
#include "src/util/error.h"

namespace foldstream::arith {
namespace {

constexpr int kMostBits = 8;    // of a factor: two weights and a product apart fill 25 bits
constexpr int kWorthBits = 10;  // of a product
constexpr int kMultiplierLatency = 2;

bool is_signed(const Type& type) { return type.coding == Coding::kSigned; }

bool is_number(const Type& type) {
  return (type.coding == Coding::kSigned || type.coding == Coding::kUnsigned) && type.bits >= 2 &&
         type.bits <= kMostBits;
}

}  // namespace

bool dot_pairs_fit(const Type& weight, const Type& activation) {
  return is_number(weight) && is_number(activation) && weight.bits + activation.bits >= kWorthBits;
}

DotPairs::DotPairs(DotSpec spec) : spec_(std::move(spec)) {
  FOLDSTREAM_CHECK(spec_.rows >= 1 && spec_.lanes >= 1);
  FOLDSTREAM_CHECK(is_number(spec_.weight) && is_number(spec_.activation));
  const int lanes = spec_.lanes, weight_bits = spec_.weight.bits;
  const int activation_bits = spec_.activation.bits, product_bits = weight_bits + activation_bits;
  const bool negative = is_signed(spec_.weight) || is_signed(spec_.activation);

  // Two rows. A product's sign bit counts -2**b: as its complement it counts as much and 2**b more.
  const std::string pair_name = spec_.name + "_pair";
  SvModule pair(pair_name,
                fmt::format("Two rows of {}: {} products each, summed without the rows' constants.",
                            spec_.name, lanes),
                "");
  Circuit circuit(pair, spec_.family);
  BitHeap low(circuit, {"low", spec_.levels_per_register});
  BitHeap high(circuit, {"high", spec_.levels_per_register});
  for (int lane = 0; lane < lanes; ++lane) {
    const std::string products[] = {fmt::format("low_{}", lane), fmt::format("high_{}", lane)};
    for (const std::string& name : products) pair.wire(name, product_bits);
    const auto weight = [&](int row) {
      return SvModule::slice("weights_i", 2 * lanes * weight_bits,
                             (row * lanes + lane) * weight_bits, weight_bits);
    };
    pair.instance("fst_product_pair", fmt::format("u_product_{}", lane),
                  {{"WeightBits", std::to_string(weight_bits)},
                   {"WeightSigned", is_signed(spec_.weight) ? "1'b1" : "1'b0"},
                   {"ActivationBits", std::to_string(activation_bits)},
                   {"ActivationSigned", is_signed(spec_.activation) ? "1'b1" : "1'b0"}},
                  {{"clk_i", "clk_i"},
                   {"weight0_i", weight(0)},
                   {"weight1_i", weight(1)},
                   {"activation_i", SvModule::slice("activations_i", lanes * activation_bits,
                                                    lane * activation_bits, activation_bits)},
                   {"low_o", products[0]},
                   {"high_o", products[1]}});
    for (int row = 0; row < 2; ++row) {
      BitHeap& heap = row == 0 ? low : high;
      for (int bit = 0; bit < product_bits; ++bit) {
        const Net net{SvModule::bit(products[row], product_bits, bit), kMultiplierLatency};
        heap.add(bit, net, negative && bit == product_bits - 1);
      }
    }
    if (negative) {
      high.add(0, {SvModule::bit(products[0], product_bits, product_bits - 1), kMultiplierLatency});
    }
  }
  std::vector<Net> both = low.sum();
  std::vector<Net> upper = high.sum();
  partial_width_ = static_cast<int>(std::max(both.size(), upper.size()));
  const int latency = std::max(both[0].stage, upper[0].stage);
  both.resize(partial_width_, Net::zero());
  upper.resize(partial_width_, Net::zero());
  both.insert(both.end(), upper.begin(), upper.end());
  for (Net& net : both) net = circuit.delayed(net, latency);
  circuit.finish();
  pair.assign("partial_o", Circuit::concat(both));
  pair.input("clk_i");
  pair.input("weights_i", 2 * lanes * weight_bits);
  pair.input("activations_i", lanes * activation_bits);
  pair.output("partial_o", 2 * partial_width_);
  const std::string timing = fmt::format("Latency {}, interval 1.", latency);
  pair.set_timing(timing);

  const int rows = spec_.rows, row_weights = lanes * weight_bits;
  SvModule top(spec_.name,
               fmt::format("{} dot products of {} {} weights times activations of {}, by pairs.",
                           rows, lanes, spec_.weight.text(), spec_.activation.text()),
               timing);
  top.input("clk_i");
  top.input("weights_i", rows * row_weights);
  top.input("activations_i", lanes * activation_bits);
  top.output("partial_o", rows * partial_width_);
  for (int row = 0; row < rows; row += 2) {
    const bool single = row + 1 == rows;
    const int count = single ? 1 : 2;
    std::string weights =
        SvModule::slice("weights_i", rows * row_weights, row * row_weights, count * row_weights);
    std::string partial = SvModule::slice("partial_o", rows * partial_width_, row * partial_width_,
                                          count * partial_width_);
    if (single) {  // a row without a partner
      weights = fmt::format("{}'({})", 2 * row_weights, weights);
      top.wire("unused_partial", partial_width_);
      partial = SvModule::concat({"unused_partial", partial});
    }
    top.instance(pair_name, fmt::format("u_rows_{}", row), {},
                 {{"clk_i", "clk_i"},
                  {"weights_i", weights},
                  {"activations_i", "activations_i"},
                  {"partial_o", partial}});
  }
  module_.name = spec_.name;
  module_.sources = {{pair_name, pair.text()}, {spec_.name, top.text()}};
  module_.ports = top.ports();
  module_.latency = latency;
  module_.cost = rows / 2.0 * circuit.cost();
}

std::int64_t DotPairs::row_constant(std::span<const std::int64_t> row) const {
  const bool negative = is_signed(spec_.weight) || is_signed(spec_.activation);
  const std::int64_t more = std::int64_t{1} << (spec_.weight.bits + spec_.activation.bits - 1);
  return negative ? -more * static_cast<std::int64_t>(row.size()) : 0;
}

std::vector<bool> DotPairs::stored_bits(std::span<const std::int64_t> beat) const {
  FOLDSTREAM_CHECK(static_cast<int>(beat.size()) == spec_.lanes);
  std::vector<bool> bits;
  for (const std::int64_t w : beat) {
    const std::uint64_t word = spec_.weight.encode(w);
    for (int i = 0; i < spec_.weight.bits; ++i) bits.push_back((word >> i & 1) != 0);
  }
  return bits;
}

}  // namespace foldstream::arith
