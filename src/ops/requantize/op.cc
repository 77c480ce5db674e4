// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

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
                       .pointwise = true};

}  // namespace foldstream
