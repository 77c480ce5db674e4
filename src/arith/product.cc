// SPDX-License-Identifier: Apache-2.0
#include "src/arith/product.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "src/arith/bit_heap.h"
#include "src/util/error.h"

namespace foldstream::arith {
namespace {

constexpr int kTableInputs = 6;

bool is_bit(const Type& type) { return type.coding == Coding::kUnsigned && type.bits == 1; }

// Every bit is a function of all inputs; two functions of five inputs share a table.
std::vector<Net> looked_up(Circuit& circuit, const ProductSpec& spec) {
  const int inputs = spec.a.bits + spec.b.bits;
  std::vector<std::vector<bool>> tables(spec.product_bits);
  for (std::uint64_t address = 0; address < std::uint64_t{1} << kTableInputs; ++address) {
    const std::uint64_t a = address & ((1U << spec.a.bits) - 1);
    const std::uint64_t b = address >> spec.a.bits & ((1U << spec.b.bits) - 1);
    const std::int64_t value = spec.a.decode(a) * spec.b.decode(b);
    for (int bit = 0; bit < spec.product_bits; ++bit) {
      tables[bit].push_back((value >> bit & 1) != 0);
    }
  }
  SvModule& module = circuit.module();
  const auto address = [](int bits) { return fmt::format("{}'({{b_i, a_i}})", bits); };
  const bool pairs = inputs < kTableInputs;
  std::vector<Net> result;
  for (int bit = 0; bit < spec.product_bits; ++bit) {
    const std::string name = fmt::format("u_table_{}", bit);
    if (pairs && bit + 1 < spec.product_bits) {
      std::vector<bool>&low = tables[bit], &high = tables[++bit];
      low.resize(low.size() / 2), high.resize(high.size() / 2);
      const Vector pair = circuit.vector("product", 2, 0);
      module.instance("fst_table_pair", name,
                      {{"Table0", SvModule::constant(low)}, {"Table1", SvModule::constant(high)}},
                      {{"address_i", address(kTableInputs - 1)}, {"data_o", pair.name}});
      result.insert(result.end(), pair.bits.begin(), pair.bits.end());
    } else {
      result.push_back(circuit.wire("product", 0));
      module.instance("fst_table", name, {{"Table", SvModule::constant(tables[bit])}},
                      {{"address_i", address(kTableInputs)}, {"data_o", result.back().name}});
    }
    circuit.cost().luts += 1;
  }
  return result;
}

// Where one number is a bit, the other or nothing.
std::vector<Net> chosen(Circuit& circuit, const ProductSpec& spec) {
  const bool a_is_bit = is_bit(spec.a);
  const Type& other = a_is_bit ? spec.b : spec.a;
  const Vector bits = circuit.vector("product", std::min(other.bits, spec.product_bits), 0);
  const auto count = static_cast<int>(bits.bits.size());
  circuit.module().assign(
      bits.name, fmt::format("{} & {{{}{{{}}}}}",
                             SvModule::slice(a_is_bit ? "b_i" : "a_i", other.bits, 0, count), count,
                             a_is_bit ? "a_i" : "b_i"));
  circuit.cost().luts += count;
  std::vector<Net> result = bits.bits;
  result.resize(spec.product_bits, other.coding == Coding::kSigned ? result.back() : Net::zero());
  return result;
}

std::vector<Net> summed(Circuit& circuit, const ProductSpec& spec) {
  BitHeap heap(circuit, {"product"});
  const std::int64_t modulus = std::int64_t{1} << spec.product_bits;
  std::int64_t constant = 0;
  for (int i = 0; i < spec.a.bits; ++i) {
    for (int j = 0; j < spec.b.bits && i + j < spec.product_bits; ++j) {
      const bool a_sign = spec.a.coding == Coding::kSigned && i == spec.a.bits - 1;
      const bool b_sign = spec.b.coding == Coding::kSigned && j == spec.b.bits - 1;
      // -p is the complement of p less one.
      const bool negative = a_sign != b_sign;
      heap.add_product(i + j, Gate::kAnd, {SvModule::bit("a_i", spec.a.bits, i), 0},
                       {SvModule::bit("b_i", spec.b.bits, j), 0}, Net::zero(), negative);
      if (negative) constant -= std::int64_t{1} << (i + j);
    }
  }
  heap.add_constant((constant % modulus + modulus) % modulus);
  std::vector<Net> sum = heap.sum(spec.product_bits);
  sum.resize(spec.product_bits, Net::zero());
  return sum;
}

}  // namespace

Generated product(const ProductSpec& spec) {
  FOLDSTREAM_CHECK(spec.product_bits >= 1 && spec.product_bits <= spec.a.bits + spec.b.bits);
  FOLDSTREAM_CHECK(spec.product_bits <= 61);
  SvModule module(spec.name, fmt::format("A product of {} and {}.", spec.a.text(), spec.b.text()),
                  "Combinational.");
  module.input("a_i", spec.a.bits);
  module.input("b_i", spec.b.bits);
  module.output("product_o", spec.product_bits);
  Circuit circuit(module, spec.family);
  std::vector<Net> result = is_bit(spec.a) || is_bit(spec.b)            ? chosen(circuit, spec)
                            : spec.a.bits + spec.b.bits <= kTableInputs ? looked_up(circuit, spec)
                                                                        : summed(circuit, spec);
  circuit.finish();
  result.resize(spec.product_bits, Net::zero());
  module.assign("product_o", Circuit::concat(result));
  Generated generated = alone(module);
  generated.cost = circuit.cost();
  return generated;
}

}  // namespace foldstream::arith
