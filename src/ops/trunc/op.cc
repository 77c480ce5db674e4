// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/quantizer.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"qonnx:Trunc"};
constexpr int64_t kMostBits = 32;

int64_t bits_operand(const OnnxNode& source, size_t port, std::string_view what) {
  const double bits = scalar_operand(source, port, what);
  if (!(bits >= 1 && bits <= kMostBits) || bits != std::floor(bits)) {
    throw Error(fmt::format("{} is {}, expected an integer from 1 to {}", what, bits, kMostBits));
  }
  return static_cast<int64_t>(bits);
}

// Version 1 has five operands (the result keeps the scale and is not clipped), version 2 has six.
std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 5, 6);
  const bool second = source.has(5);
  std::map<std::string, Attr, std::less<>> attr = {
      {"in_bits", bits_operand(source, 3, "the input bit width")},
      {"out_bits", bits_operand(source, second ? 5 : 4, "the output bit width")},
      {"rounding",
       std::string(rounding_name(parse_rounding(text_attr(source, "rounding_mode", "FLOOR"))))}};
  std::map<std::string, Tensor, std::less<>> data = {
      {"scale", float_operand(source, 1, "the scale")},
      {"zero", float_operand(source, 2, "the zero point")}};
  if (second) {
    data.emplace("out_scale", float_operand(source, 4, "the output scale"));
    attr["signed"] = int64_t{integer_attr(source, "signed", 1) != 0};
    attr["narrow"] = int64_t{integer_attr(source, "narrow", 0) != 0};
  }
  Node& node =
      graph.add(require_op("trunc"), {source.in[0]}, source.name, std::move(attr), std::move(data));
  return {{&node, 0}};
}

// What one element is divided by after its integer is recovered.
float divisor_of(const Node& node, float scale, float out_scale) {
  if (node.tensor("out_scale") == nullptr) {
    return std::ldexp(1.0F, static_cast<int>(node.integer("in_bits") - node.integer("out_bits")));
  }
  return std::ldexp(1.0F, static_cast<int>(std::nearbyint(std::log2(out_scale / scale))));
}

Coding base_coding(const Node& node) {
  Coding coding;
  coding.round_first = true;
  if (node.tensor("out_scale") != nullptr) {
    coding.bits = static_cast<int>(node.integer("out_bits"));
    coding.is_signed = node.integer("signed", 1) != 0;
    coding.narrow = node.integer("narrow", 0) != 0;
  }
  coding.rounding = parse_rounding(node.text("rounding", "FLOOR"));
  return coding;
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || !node.in_type(0).is_float) throw Error("takes one float operand");
  const Shape& shape = node.in_type(0).shape;
  const auto check = [&](std::string_view key, bool needed) {
    const Tensor* tensor = node.tensor(key);
    if (tensor == nullptr && !needed) return;
    if (tensor == nullptr || !tensor->type.is_float ||
        broadcast_shape(tensor->type.shape, shape) != shape) {
      throw Error(fmt::format("needs floats '{}' that fit its operand {}", key,
                              to_string(node.in_type(0))));
    }
    for (const double v : tensor->reals) {
      if (!std::isfinite(v) || (key != "zero" && v <= 0)) {
        throw Error(fmt::format("its {} holds {}", key, v),
                    "scales must be positive and finite, zero points finite");
      }
    }
  };
  check("scale", true);
  check("zero", true);
  check("out_scale", false);
  for (const std::string_view key : {"in_bits", "out_bits"}) {
    const int64_t bits = node.integer(key);
    if (bits < 1 || bits > kMostBits) {
      throw Error(fmt::format("{} is {}, expected 1 to {}", key, bits, kMostBits));
    }
  }
  const Coding coding = base_coding(node);
  if (coding.bits > 0 && coding.lowest() >= coding.highest()) {
    throw Error("its output bits leave no two levels");
  }
  return {float_type(shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Shape& shape = in[0]->type.shape;
  const bool second = node.tensor("out_scale") != nullptr;
  const Tensor &scale = *node.tensor("scale"), &zero = *node.tensor("zero");
  const Tensor& out_scale = second ? *node.tensor("out_scale") : scale;
  const std::vector<int64_t> scale_at = broadcast_offsets(scale.type.shape, shape);
  const std::vector<int64_t> zero_at = broadcast_offsets(zero.type.shape, shape);
  const std::vector<int64_t> out_at = broadcast_offsets(out_scale.type.shape, shape);
  Coding coding = base_coding(node);
  Tensor out = make_zero(float_type(shape));
  for (size_t i = 0; i < out.reals.size(); ++i) {
    const auto s = static_cast<float>(scale.reals[scale_at[i]]);
    const auto z = static_cast<float>(zero.reals[zero_at[i]]);
    const auto o = static_cast<float>(out_scale.reals[out_at[i]]);
    coding.scale = {s};
    coding.zero = {z};
    coding.divisor = {divisor_of(node, s, o)};
    const float level = coding.level(static_cast<float>(in[0]->reals[i]), 0);
    out.reals[i] = (level - (second ? z / coding.divisor[0] : z)) * o;
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const auto bits = [&](std::string_view key) {
    return sink.constant(make_floats({}, {static_cast<double>(node.integer(key))}), key);
  };
  std::vector<std::string> operands = {sink.input(0), sink.constant(*node.tensor("scale"), "scale"),
                                       sink.constant(*node.tensor("zero"), "zero"),
                                       bits("in_bits")};
  std::map<std::string, Attr, std::less<>> attributes = {
      {"rounding_mode", node.text("rounding", "FLOOR")}};
  if (const Tensor* out_scale = node.tensor("out_scale")) {
    operands.push_back(sink.constant(*out_scale, "out_scale"));
    attributes["signed"] = node.integer("signed", 1);
    attributes["narrow"] = node.integer("narrow", 0);
    sink.need_version("qonnx", 2);
  }
  operands.push_back(bits("out_bits"));
  sink.node("qonnx", "Trunc", std::move(operands), {sink.output(0)}, std::move(attributes));
}

// Whether every integer the operand can take is one of in_bits, signed or not.
bool fits_in_bits(const Node& node, const Lowering& lowering, const Coding& coding) {
  const std::optional<Traced> x = lowering.affine(0);
  if (!x) return false;
  const auto at = [](const auto& values, size_t c) { return values[values.size() == 1 ? 0 : c]; };
  const size_t channels = std::max({x->scale.size(), x->bias.size(), x->lo.size(), x->hi.size(),
                                    coding.scale.size(), coding.zero.size()});
  const double bound = std::ldexp(1.0, static_cast<int>(node.integer("in_bits")));
  for (size_t c = 0; c < channels; ++c) {
    for (const int64_t q : {at(x->lo, c), at(x->hi, c)}) {
      const double value = at(x->scale, c) * static_cast<double>(q) + at(x->bias, c);
      const double integer = value / at(coding.scale, c) + at(coding.zero, c);
      if (!(integer >= -bound && integer < bound)) return false;
    }
  }
  return true;
}

void lower(const Node& node, Lowering& lowering) {
  const bool second = node.tensor("out_scale") != nullptr;
  ChannelVectors channels(lowering, node.out[0].shape);
  std::vector<double> scale = channels.take(*node.tensor("scale"));
  std::vector<double> zero = channels.take(*node.tensor("zero"));
  std::vector<double> out_scale = second ? channels.take(*node.tensor("out_scale")) : scale;
  if (!channels.ok()) {
    return lowering.keep("its parameters vary along more than one axis",
                         "quantize along one channel axis");
  }
  Coding coding = base_coding(node);
  coding.scale = to_floats(scale);
  coding.zero = to_floats(zero);
  std::vector<double> out_zero;
  const size_t entries = std::max({scale.size(), zero.size(), out_scale.size()});
  const auto at = [](const auto& values, size_t c) { return values[values.size() == 1 ? 0 : c]; };
  for (size_t c = 0; c < entries; ++c) {
    coding.divisor.push_back(
        divisor_of(node, static_cast<float>(at(scale, c)), static_cast<float>(at(out_scale, c))));
    out_zero.push_back(second ? at(zero, c) / coding.divisor.back() : at(zero, c));
  }
  if (!second) {
    if (!fits_in_bits(node, lowering, coding)) {
      return lowering.keep("its operand may leave in_bits, and version 1 does not clip",
                           "export Trunc version 2, or quantize the operand to in_bits");
    }
    // Not clipped by the reference: wide enough for integers of in_bits, signed or not.
    coding.bits = static_cast<int>(std::min(node.integer("out_bits") + 1, kMostBits));
    coding.is_signed = true;
  }
  lower_quantizer(lowering, std::move(coding), channels.axis(), std::move(out_scale),
                  std::move(out_zero));
}

}  // namespace

extern const Op op_trunc;
const Op op_trunc{.name = "trunc",
                  .doc = "drops low bits: (round(clip(q / 2^k)) - zero / 2^k) * out_scale",
                  .onnx = kOnnx,
                  .import = import,
                  .to_onnx = to_onnx,
                  .infer = infer,
                  .eval = eval,
                  .lower = lower,
                  .takes_floats = true};

}  // namespace foldstream
