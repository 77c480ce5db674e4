// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/ir/onnx_node.h"
#include "src/rtl/pointwise.h"
#include "src/rtl/rom.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr int kMostBits = 31;
// Constants of so few folds are part of the adder's tables, of more come from a memory.
constexpr int64_t kFewFolds = 4;

const Tensor& constants(const Node& node) { return pointwise::constants(node, "c", kMostBits); }

std::vector<Type> infer(const Node& node) {
  pointwise::check_operand(node);
  const Type& in = node.in_type(0);
  if (in.bits > kMostBits) {
    throw Error(fmt::format("an operand of {} bits", in.bits), "legal are up to 31 bits");
  }
  const auto [least, most] =
      std::minmax_element(constants(node).ints.begin(), constants(node).ints.end());
  return {type_for_range(in.min() + *least, in.max() + *most, in.shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const std::vector<int64_t>& c = constants(node).ints;
  Tensor out = make_zero(node.out[0]);
  pointwise::for_each_run(node, [&](int64_t channel, int64_t first, int64_t count) {
    const int64_t addend = c[c.size() == 1 ? 0 : channel];
    for (int64_t i = first; i < first + count; ++i) out.ints[i] = in[0]->ints[i] + addend;
  });
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node(
      "", "Add",
      {sink.input(0), sink.constant(pointwise::along_axis(node, constants(node)), "constants")},
      {sink.output(0)});
}

Rhythm rhythm(const Node& node, Family) { return pointwise::rhythm(node, 1); }

Cost cost(const Node& node, Family family) {
  Cost cost = pointwise::frame_cost(node, rhythm(node, family));
  const Stream out = pointwise::ports(node).out[0];
  const Tensor& c = constants(node);
  const int64_t folds = pointwise::channel_folds(node);
  if (folds > kFewFolds) {
    cost += plan_rom(out.lanes * c.type.bits, folds).cost;
    cost.lut += static_cast<double>(out.lanes) * adder_luts(node.in_type(0), c.type, out.bits);
    return cost;
  }
  // What is the same in all folds is part of the carry chain; above operand and constants is one
  // bit, however many of the sum there are.
  const int64_t bits = std::min<int64_t>(out.bits, std::max(node.in_type(0).bits, c.type.bits));
  for (int64_t lane = 0; lane < out.lanes; ++lane) {
    const std::vector<int64_t> own = pointwise::lane_constants(node, c.ints, lane);
    int64_t differs = 0;
    for (const int64_t value : own) differs |= value ^ own[0];
    cost.lut += std::popcount(static_cast<uint64_t>(differs & ((int64_t{1} << bits) - 1)));
  }
  return cost;
}

// A lane's constant of so many bits, by the index of its fold.
std::string chosen(SvModule& module, const Node& node, const pointwise::Computation& beat,
                   int64_t lane, int bits) {
  std::vector<bool> table;
  for (const int64_t value : pointwise::lane_constants(node, constants(node).ints, lane)) {
    for (int b = 0; b < bits; ++b) table.push_back((value >> b & 1) != 0);
  }
  if (beat.fold.empty()) return SvModule::constant(table);
  const std::string name = fmt::format("Constants{}", lane);
  module.localparam(fmt::format("bit [{}:0]", table.size() - 1), name, SvModule::constant(table));
  return fmt::format("{}[{}*{}+:{}]", name, bits, beat.fold, bits);
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Stream out = pointwise::ports(node).out[0];
  const Tensor& c = constants(node);
  const auto bits = static_cast<int>(out.bits), width = static_cast<int>(out.width());
  std::vector<RomWord> words;
  if (pointwise::channel_folds(node) > kFewFolds) {
    words = pointwise::constant_words(node, c.ints, c.type.bits);
  }
  return pointwise::emit(
      node, rhythm(node, family), instance, "Addition of constants", 0, words,
      [&](SvModule& module, const pointwise::Computation& beat, auto&) {
        module.wire("result", width);
        for (int64_t lane = 0; lane < out.lanes; ++lane) {
          // Modulo 2**bits neither operand's sign matters once it has that many bits.
          const std::string addend =
              words.empty() ? chosen(module, node, beat, lane, bits)
                            : pointwise::lane_value(c.type, out.lanes, beat, lane, bits);
          module.assign(
              SvModule::slice("result", width, static_cast<int>(lane) * bits, bits),
              fmt::format("{} + {}", pointwise::lane_value(node, beat, lane, bits), addend));
        }
        return std::string("result");
      });
}

std::map<std::string, int64_t> counts(const Node& node) {
  const Tensor& c = *node.tensor("c");
  return {{fmt::format("param_constant_{}b", c.type.bits), c.count()}};
}

}  // namespace

extern const Op op_add_constant;
const Op op_add_constant{.name = "add_constant",
                         .doc = "each element plus the constant of its channel",
                         .kind = Op::Kind::hardware,
                         .to_onnx = to_onnx,
                         .infer = infer,
                         .eval = eval,
                         .pointwise = true,
                         .folds = pointwise::folds,
                         .ports = pointwise::ports,
                         .rhythm = rhythm,
                         .cost = cost,
                         .emit = emit,
                         .counts = counts,
                         .finn_name = "ChannelwiseOp"};

}  // namespace foldstream
