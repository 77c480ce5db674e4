// SPDX-License-Identifier: Apache-2.0
#include "src/arith/ordering.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "src/util/error.h"

namespace foldstream::arith {
namespace {

constexpr std::size_t kTableInputs = 5;

// Of each number the bit of one weight: a signal, or a constant above a number without a sign.
struct Digit {
  std::string a, b;
};

std::string digit_of(const Type& type, const std::string& port, int weight) {
  if (weight < type.bits) return SvModule::bit(port, type.bits, weight);
  return type.coding == Coding::kSigned ? SvModule::bit(port, type.bits, type.bits - 1) : "1'b0";
}

// Digits that are compared together, and what they look at.
struct Stage {
  std::vector<Digit> digits;  // lowest first
  std::vector<std::string> inputs;
};

std::vector<std::string> with(std::vector<std::string> inputs, const Digit& digit) {
  for (const std::string& net : {digit.a, digit.b}) {
    if (net[0] != '1' && std::find(inputs.begin(), inputs.end(), net) == inputs.end()) {
      inputs.push_back(net);
    }
  }
  return inputs;
}

}  // namespace

Generated ordering(const OrderingSpec& spec) {
  SvModule module(spec.name,
                  fmt::format("Whether {} is {} {}.", spec.a.text(),
                              spec.equal ? "equal to" : "at least", spec.b.text()),
                  "Combinational.");
  module.input("a_i", spec.a.bits);
  module.input("b_i", spec.b.bits);
  module.output("result_o");
  const bool a_signed = spec.a.coding == Coding::kSigned,
             b_signed = spec.b.coding == Coding::kSigned;
  // One bit more than a number without a sign has where the other has one.
  const int bits = std::max(spec.a.bits + (b_signed && !a_signed ? 1 : 0),
                            spec.b.bits + (a_signed && !b_signed ? 1 : 0));
  std::vector<Stage> stages(1);
  for (int weight = 0; weight < bits; ++weight) {
    Digit digit{digit_of(spec.a, "a_i", weight), digit_of(spec.b, "b_i", weight)};
    // The larger of two signs is that of the less.
    if (weight == bits - 1 && (a_signed || b_signed)) std::swap(digit.a, digit.b);
    std::vector<std::string> inputs = with(stages.back().inputs, digit);
    if (inputs.size() > kTableInputs) {
      stages.emplace_back();
      inputs = with({}, digit);
    }
    stages.back().digits.push_back(digit);
    stages.back().inputs = std::move(inputs);
  }
  std::vector<bool> pass, verdict;
  std::vector<std::string> address;  // most significant first
  for (const Stage& stage : stages) {
    for (std::uint32_t word = 0; word < 1U << kTableInputs; ++word) {
      const auto value = [&](const std::string& net) {
        const auto found = std::find(stage.inputs.begin(), stage.inputs.end(), net);
        return found != stage.inputs.end() && (word >> (found - stage.inputs.begin()) & 1) != 0;
      };
      bool differs = false, greater = false;
      for (const Digit& digit : stage.digits) {
        const bool a = value(digit.a), b = value(digit.b);
        if (a == b) continue;
        differs = true, greater = a;
      }
      pass.push_back(!differs);
      verdict.push_back(differs && greater && !spec.equal);
    }
    std::vector<std::string> inputs = stage.inputs;
    inputs.resize(kTableInputs, "1'b0");
    address.insert(address.begin(), inputs.rbegin(), inputs.rend());
  }
  module.instance("fst_compare_chain", "u_compare",
                  {{"Stages", std::to_string(stages.size())},
                   {"Pass", SvModule::constant(pass)},
                   {"Verdict", SvModule::constant(verdict)}},
                  {{"address_i", SvModule::concat(address)}, {"verdict_o", "result_o"}});
  Generated generated = alone(module);
  generated.cost.luts = static_cast<double>(stages.size());
  generated.cost.carries = static_cast<double>((stages.size() + 3) / 4);
  return generated;
}

}  // namespace foldstream::arith
