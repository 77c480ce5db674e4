// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/arith/linear.h"
#include "src/arith/thresholding.h"
#include "src/ir/onnx_node.h"
#include "src/rtl/pointwise.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr int kMultiplierBits = 31;
constexpr int kAddendBits = 62;
constexpr int64_t kMostShift = 62;

int64_t shift(const Node& node) { return node.integer("shift"); }

struct Constants {
  explicit Constants(const Node& node)
      : multiplier(pointwise::constants(node, "multiplier", kMultiplierBits).ints),
        addend(pointwise::constants(node, "addend", kAddendBits).ints) {}

  int64_t multiplier_of(int64_t channel) const {
    return multiplier[multiplier.size() == 1 ? 0 : channel];
  }
  int64_t addend_of(int64_t channel) const { return addend[addend.size() == 1 ? 0 : channel]; }
  int64_t count() const { return static_cast<int64_t>(std::max(multiplier.size(), addend.size())); }

  const std::vector<int64_t>&multiplier, &addend;
};

// Of x * multiplier + addend over every channel.
std::pair<int64_t, int64_t> sum_range(const Node& node) {
  const Constants constants(node);
  const Type& in = node.in_type(0);
  int64_t lo = INT64_MAX, hi = INT64_MIN;
  for (int64_t c = 0; c < constants.count(); ++c) {
    const auto [least, most] =
        std::minmax({in.min() * constants.multiplier_of(c), in.max() * constants.multiplier_of(c)});
    lo = std::min(lo, least + constants.addend_of(c));
    hi = std::max(hi, most + constants.addend_of(c));
  }
  return {lo, hi};
}

std::vector<Type> infer(const Node& node) {
  pointwise::check_operand(node);
  const Type& in = node.in_type(0);
  if (in.bits > 31) {
    throw Error(fmt::format("an operand of {} bits", in.bits), "legal are up to 31 bits");
  }
  if (shift(node) < 0 || shift(node) > kMostShift) {
    throw Error(fmt::format("shift = {}", shift(node)), "legal values are 0 to 62");
  }
  const int64_t lo = node.integer("lo"), hi = node.integer("hi");
  if (lo > hi) throw Error(fmt::format("lo = {} above hi = {}", lo, hi));
  const auto [least, most] = sum_range(node);
  const auto level = [&](int64_t sum) { return std::clamp(sum >> shift(node), lo, hi); };
  return {type_for_range(level(least), level(most), in.shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Constants constants(node);
  const int64_t lo = node.integer("lo"), hi = node.integer("hi"), by = shift(node);
  Tensor out = make_zero(node.out[0]);
  pointwise::for_each_run(node, [&](int64_t channel, int64_t first, int64_t count) {
    const int64_t multiplier = constants.multiplier_of(channel);
    const int64_t addend = constants.addend_of(channel);
    for (int64_t i = first; i < first + count; ++i) {
      out.ints[i] = std::clamp((in[0]->ints[i] * multiplier + addend) >> by, lo, hi);
    }
  });
  return {std::move(out)};
}

// The shift as a division that rounds down. Float tensors hold sums of up to 24 bits exactly,
// double ones those of up to 53.
void to_onnx(const Node& node, OnnxSink& sink) {
  constexpr int64_t kDouble = 11, kFloat = 1;
  const auto constant = [&](const Tensor& tensor, const char* hint) {
    const Tensor shaped = pointwise::along_axis(node, tensor);
    return sink.constant(make_doubles(shaped.type.shape, {shaped.ints.begin(), shaped.ints.end()}),
                         hint);
  };
  const auto single = [&](double value, const char* hint) {
    return sink.constant(make_doubles({}, {value}), hint);
  };
  const Type wide = double_type(node.in_type(0).shape);
  std::string at = sink.input(0);
  const auto step = [&](const char* type, const char* hint, std::vector<std::string> more,
                        std::map<std::string, Attr, std::less<>> attr = {}) {
    const std::string next = sink.temporary(hint, wide);
    more.insert(more.begin(), at);
    sink.node("", type, more, {next}, std::move(attr));
    at = next;
  };
  step("Cast", "wide", {}, {{"to", kDouble}});
  step("Mul", "product", {constant(*node.tensor("multiplier"), "multiplier")});
  step("Add", "sum", {constant(*node.tensor("addend"), "addend")});
  step("Mul", "scaled", {single(1.0 / static_cast<double>(int64_t{1} << shift(node)), "scale")});
  step("Floor", "level", {});
  step("Clip", "clipped",
       {single(static_cast<double>(node.integer("lo")), "lo"),
        single(static_cast<double>(node.integer("hi")), "hi")});
  sink.node("", "Cast", {at}, {sink.output(0)}, {{"to", kFloat}});
}

// Products of the same constants in every beat are shifts and additions; others rest in a register
// of their own before the addends come to them.
bool has_fixed_constants(const Node& node) { return pointwise::channel_folds(node) == 1; }

int64_t latency(const Node& node) { return has_fixed_constants(node) ? 1 : 2; }

Rhythm rhythm(const Node& node, Family) { return pointwise::rhythm(node, 1 + latency(node)); }

// The sum, with at least one bit above those shifted out.
Type sum_type(const Node& node) {
  const auto [least, most] = sum_range(node);
  Type type = type_for_range(least, most, {});
  type.bits = std::max(type.bits, static_cast<int>(shift(node)) + 1);
  return type;
}

arith::LinearSpec sum_spec(const Node& node, Family family) {
  const Constants constants(node);
  const Type& in = node.in_type(0);
  arith::LinearSpec spec;
  spec.operands = {{in.is_signed ? arith::Coding::kSigned : arith::Coding::kUnsigned, in.bits}};
  for (int64_t lane = 0; lane < pointwise::ports(node).in[0].lanes; ++lane) {
    spec.factors.push_back({constants.multiplier_of(lane)});
    spec.addend.push_back(constants.addend_of(lane));
  }
  spec.sum_bits = sum_type(node).bits;
  spec.family = arith::family_of(family);
  return spec;
}

Cost cost(const Node& node, Family family) {
  const Ports streams = pointwise::ports(node);
  const Stream &in = streams.in[0], &out = streams.out[0];
  const auto lanes = static_cast<double>(in.lanes);
  const int sum_bits = sum_type(node).bits;
  Cost cost = pointwise::frame_cost(node, rhythm(node, family));
  if (has_fixed_constants(node)) {
    const arith::Cost sum = arith::linear(sum_spec(node, family)).cost;
    cost.lut += sum.luts;
    cost.ff += lanes * static_cast<double>(sum_bits - shift(node)) + sum.flip_flops;
  } else {
    const int multiplier_bits = node.tensor("multiplier")->type.bits;
    const Cost product = product_cost(in.bits, multiplier_bits, family);
    cost.lut += lanes * product.lut, cost.dsp += lanes * product.dsp;
    const int64_t constant_bits = multiplier_bits + node.tensor("addend")->type.bits;
    cost += chosen_constants_cost(pointwise::channel_folds(node), in.lanes * constant_bits);
    // A DSP block holds beat, product and sum in registers of its own.
    if (product.dsp == 1) {
      cost.ff -= static_cast<double>(in.width());
    } else {
      cost.lut += lanes * sum_bits, cost.ff += 2 * lanes * sum_bits;
    }
  }
  cost.lut +=
      lanes * (static_cast<double>(sum_bits - shift(node)) / 5 + static_cast<double>(out.bits));
  return cost;
}

// The levels of a lane, clamped, from its bits of the sums above those shifted out.
std::string clamped(SvModule& module, const Node& node, const std::string& level, int level_bits,
                    int64_t lane) {
  const Type sum = sum_type(node), &out = node.out[0];
  const auto [sum_least, sum_most] = sum_range(node);
  const int64_t least = sum_least >> shift(node), most = sum_most >> shift(node);
  const int64_t lo = node.integer("lo"), hi = node.integer("hi");
  const Type both = type_for_range(std::min(least, lo), std::max(most, hi), {});
  const std::string value = fmt::format("level_{}", lane);
  module.wire(value, both.bits);
  module.assign(value, sum.is_signed && both.bits > level_bits
                           ? fmt::format("{}'($signed({}))", both.bits, level)
                           : fmt::format("{}'({})", both.bits, level));
  const auto compared = [&](const char* sign, int64_t bound) {
    // A literal without a sign would make the comparison one without.
    if (!both.is_signed) {
      return fmt::format("{} {} {}", value, sign, SvModule::number(both.bits, bound));
    }
    const std::string number =
        bound < 0 ? SvModule::number(both.bits, bound) : fmt::format("{}'sd{}", both.bits, bound);
    return fmt::format("$signed({}) {} {}", value, sign, number);
  };
  const auto constant = [&](int64_t number) {
    std::vector<bool> bits;
    for (int b = 0; b < out.bits; ++b) bits.push_back((number >> b & 1) != 0);
    return SvModule::constant(bits);
  };
  std::string result = SvModule::slice(value, both.bits, 0, out.bits);
  // Bounds at a power of two show in the bits above them.
  if (most > hi) {
    const bool by_bits = lo >= 0 && (hi & (hi + 1)) == 0 && both.bits - 1 > out.bits;
    const std::string above =
        by_bits ? "|" + SvModule::slice(value, both.bits, out.bits,
                                        both.bits - out.bits - (both.is_signed ? 1 : 0))
                : compared(">", hi);
    result = fmt::format("{} ? {} : {}", above, constant(hi), result);
  }
  if (least < lo) {
    const std::string below =
        lo == 0 ? SvModule::bit(value, both.bits, both.bits - 1) : compared("<", lo);
    result = fmt::format("{} ? {} : {}", below, constant(lo), result);
  }
  return result;
}

// Sums by shifts and additions, from a generated module.
std::string fixed_sums(SvModule& module, const Node& node, Family family,
                       const pointwise::Computation& beat, std::vector<TextFile>& modules) {
  arith::LinearSpec spec = sum_spec(node, family);
  spec.name = module.name() + "_sum";
  const arith::Generated sum = arith::linear(spec);
  const int width = static_cast<int>(spec.factors.size()) * spec.sum_bits;
  module.wire("sum", width);
  module.instance(sum.name, "u_sum", {}, {{"operand0_i", beat.value}, {"sum_o", "sum"}});
  for (const arith::SvSource& source : sum.sources) {
    modules.push_back({source.name + ".sv", source.text});
  }
  return delayed_data(module, "sum", width, 1);
}

// Sums by multipliers, with the constants of the beat's channels.
std::string multiplied_sums(SvModule& module, const Node& node,
                            const pointwise::Computation& beat) {
  const Constants constants(node);
  const auto lanes = static_cast<int>(pointwise::ports(node).in[0].lanes);
  const int bits = sum_type(node).bits, width = lanes * bits;
  const Type &in = node.in_type(0), &factor = node.tensor("multiplier")->type;
  const int in_bits = in.bits + (in.is_signed ? 0 : 1);
  const int factor_bits = factor.bits + (factor.is_signed ? 0 : 1);
  module.wire("product", width);
  module.wire("sum", width);
  for (int lane = 0; lane < lanes; ++lane) {
    const std::string multiplier = pointwise::lane_constant(
        module, node, beat, constants.multiplier, "Multipliers", lane, factor_bits);
    module.assign(SvModule::slice("product", width, lane * bits, bits),
                  fmt::format("{}'($signed({}) * $signed({}))", bits,
                              pointwise::lane_value(node, beat, lane, in_bits), multiplier));
  }
  const std::string product = delayed_data(module, "product", width, 1);
  pointwise::Computation later = beat;
  later.fold = delayed_data(module, beat.fold, beat.fold_width, 1);
  for (int lane = 0; lane < lanes; ++lane) {
    module.assign(SvModule::slice("sum", width, lane * bits, bits),
                  fmt::format("{} + {}", SvModule::slice(product, width, lane * bits, bits),
                              pointwise::lane_constant(module, node, later, constants.addend,
                                                       "Addends", lane, bits)));
  }
  return delayed_data(module, "sum", width, 1);
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Stream out = pointwise::ports(node).out[0];
  const auto width = static_cast<int>(out.width()), out_bits = static_cast<int>(out.bits);
  const auto lanes = static_cast<int>(out.lanes);
  return pointwise::emit(
      node, rhythm(node, family), instance, "Requantization", latency(node),
      [&](SvModule& module, const pointwise::Computation& beat, std::vector<TextFile>& modules) {
        const std::string sums = has_fixed_constants(node)
                                     ? fixed_sums(module, node, family, beat, modules)
                                     : multiplied_sums(module, node, beat);
        const int bits = sum_type(node).bits, by = static_cast<int>(shift(node));
        module.wire("result", width);
        for (int lane = 0; lane < lanes; ++lane) {
          const std::string level =
              SvModule::slice(sums, lanes * bits, lane * bits + by, bits - by);
          module.assign(SvModule::slice("result", width, lane * out_bits, out_bits),
                        clamped(module, node, level, bits - by, lane));
        }
        return std::string("result");
      });
}

std::map<std::string, int64_t> counts(const Node& node) {
  std::map<std::string, int64_t> counts;
  for (const char* key : {"multiplier", "addend"}) {
    const Tensor& tensor = *node.tensor(key);
    counts[fmt::format("param_constant_{}b", tensor.type.bits)] += tensor.count();
  }
  return counts;
}

}  // namespace

extern const Op op_requantize;
const Op op_requantize{.name = "requantize",
                       .doc =
                           "each element times a factor plus a constant of its channel, shifted "
                           "right and clamped",
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
                       .finn_name = "Requant"};

}  // namespace foldstream
