// SPDX-License-Identifier: Apache-2.0
#include "src/arith/linear.h"

#include <fmt/format.h>

#include "src/arith/bit_heap.h"
#include "src/util/error.h"

namespace foldstream::arith {
namespace {

struct Digit {
  int weight;
  bool negative;
};

// The fewest digits of -1, 0 and 1 that make the factor (its non-adjacent form).
std::vector<Digit> signed_digits(std::int64_t factor) {
  std::vector<Digit> digits;
  for (int weight = 0; factor != 0; ++weight, factor >>= 1) {
    if ((factor & 1) == 0) continue;
    const bool negative = (factor & 2) != 0;
    digits.push_back({weight, negative});
    factor += negative ? 1 : -1;
  }
  return digits;
}

}  // namespace

Generated linear(const LinearSpec& spec) {
  FOLDSTREAM_CHECK(!spec.operands.empty() && !spec.factors.empty());
  FOLDSTREAM_CHECK(spec.sum_bits >= 1 && spec.sum_bits <= 62);
  const auto lanes = static_cast<int>(spec.factors.size());
  SvModule module(
      spec.name,
      fmt::format("{} sums of {} operands times constants.", lanes, spec.operands.size()),
      "Combinational.");
  Circuit circuit(module, spec.family);
  std::vector<Net> result;
  std::vector<std::vector<bool>> used;
  for (const Type& operand : spec.operands) used.emplace_back(lanes * operand.bits);
  for (int lane = 0; lane < lanes; ++lane) {
    module.comment(fmt::format("lane {}", lane));
    BitHeap heap(circuit, {fmt::format("sum_{}", lane)});
    const std::int64_t modulus = std::int64_t{1} << spec.sum_bits;
    std::int64_t constant = spec.addend.empty() ? 0 : spec.addend[lane];
    for (std::size_t i = 0; i < spec.operands.size(); ++i) {
      const Type& type = spec.operands[i];
      for (const Digit& digit : signed_digits(spec.factors[lane][i])) {
        for (int bit = 0; bit < type.bits && bit + digit.weight < spec.sum_bits; ++bit) {
          const int weight = bit + digit.weight, index = lane * type.bits + bit;
          const std::string port = fmt::format("operand{}_i", i);
          const Net net{SvModule::bit(port, lanes * type.bits, index), 0};
          // -b is the complement of b less one.
          const bool sign = type.coding == Coding::kSigned && bit == type.bits - 1;
          const bool negative = digit.negative != sign;
          heap.add(weight, net, negative);
          if (negative) constant -= std::int64_t{1} << weight;
          used[i][index] = true;
        }
      }
    }
    heap.add_constant((constant % modulus + modulus) % modulus);
    std::vector<Net> sum = heap.sum(spec.sum_bits);
    sum.resize(spec.sum_bits, Net::zero());
    result.insert(result.end(), sum.begin(), sum.end());
  }
  circuit.finish();
  module.assign("sum_o", Circuit::concat(result));
  std::vector<std::string> unused;
  for (std::size_t i = 0; i < spec.operands.size(); ++i) {
    const std::string port = fmt::format("operand{}_i", i);
    const int width = lanes * spec.operands[i].bits;
    module.input(port, width);
    for (int index = 0; index < width; ++index) {
      if (!used[i][index]) unused.push_back(SvModule::bit(port, width, index));
    }
  }
  if (!unused.empty()) {
    module.comment("bits beyond the sum, and of operands times zero");
    module.wire("unused_inputs");
    module.assign("unused_inputs", "^" + SvModule::concat(unused));
  }
  module.output("sum_o", lanes * spec.sum_bits);
  Generated generated = alone(module);
  generated.cost = circuit.cost();
  return generated;
}

}  // namespace foldstream::arith
