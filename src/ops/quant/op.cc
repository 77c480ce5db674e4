// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <cmath>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/quantizer.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"qonnx:Quant", "qonnx:IntQuant"};

// The reference executor turns signed 1-bit codes into -1 and +1.
bool is_bipolar(const Node& node) {
  return node.integer("bits") == 1 && node.integer("signed") != 0;
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 4, 4);
  const double bits = scalar_operand(source, 3, "the bit width");
  if (!(bits >= 1 && bits <= 32) || bits != std::floor(bits)) {
    throw Error(fmt::format("the bit width is {}, expected an integer from 1 to 32", bits));
  }
  const Tensor& scale = float_operand(source, 1, "the scale");
  const Tensor& zero = float_operand(source, 2, "the zero point");
  Node& node = graph.add(
      require_op("quant"), {source.in[0]}, source.name,
      {{"bits", static_cast<int64_t>(bits)},
       {"signed", int64_t{integer_attr(source, "signed", 1) != 0}},
       {"narrow", int64_t{integer_attr(source, "narrow", 1) != 0}},
       {"rounding",
        std::string(rounding_name(parse_rounding(text_attr(source, "rounding_mode", "ROUND"))))}},
      {{"scale", scale}, {"zero", zero}});
  return {{&node, 0}};
}

Coding base_coding(const Node& node) {
  Coding coding;
  coding.bits = static_cast<int>(node.integer("bits"));
  coding.is_signed = node.integer("signed") != 0;
  coding.narrow = node.integer("narrow") != 0;
  coding.rounding = parse_rounding(node.text("rounding", "ROUND"));
  if (is_bipolar(node)) coding.thresholds = {{0.0F}};
  return coding;
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || !node.in_type(0).is_float) throw Error("takes one float operand");
  const int64_t bits = node.integer("bits");
  if (bits < 1 || bits > 32) {
    throw Error(fmt::format("the bit width is {}, expected an integer from 1 to 32", bits));
  }
  const Shape& shape = node.in_type(0).shape;
  for (const std::string_view key : {"scale", "zero"}) {
    const Tensor* tensor = node.tensor(key);
    if (tensor == nullptr || !tensor->type.is_float) {
      throw Error(fmt::format("needs floats '{}'", key));
    }
    if (broadcast_shape(tensor->type.shape, shape) != shape) {
      throw Error(fmt::format("its {} {} does not fit the operand {}", key, to_string(tensor->type),
                              to_string(node.in_type(0))));
    }
    for (const double v : tensor->reals) {
      if (!std::isfinite(v) || (key == "scale" && v <= 0)) {
        throw Error(fmt::format("its {} holds {}", key, v),
                    "scales must be positive and finite, zero points finite");
      }
    }
  }
  const Coding coding = base_coding(node);
  if (!is_bipolar(node) && coding.lowest() >= coding.highest()) {
    throw Error(fmt::format("{} narrow {} bit leaves no two levels",
                            coding.is_signed ? "signed" : "unsigned", bits));
  }
  return {float_type(shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Shape& shape = in[0]->type.shape;
  const Tensor &scale = *node.tensor("scale"), &zero = *node.tensor("zero");
  const std::vector<int64_t> scale_at = broadcast_offsets(scale.type.shape, shape);
  const std::vector<int64_t> zero_at = broadcast_offsets(zero.type.shape, shape);
  const Coding coding = base_coding(node);
  const bool bipolar = is_bipolar(node);
  Tensor out = make_zero(float_type(shape));
  for (size_t i = 0; i < out.reals.size(); ++i) {
    const auto s = static_cast<float>(scale.reals[scale_at[i]]);
    const auto z = static_cast<float>(zero.reals[zero_at[i]]);
    const float t = static_cast<float>(in[0]->reals[i]) / s + z;
    const float level = bipolar ? (t >= 0 ? 1.0F : -1.0F) : coding.level(t, 0);
    out.reals[i] = (level - z) * s;
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Tensor bits = make_floats({}, {static_cast<double>(node.integer("bits"))});
  sink.node("qonnx", "Quant",
            {sink.input(0), sink.constant(*node.tensor("scale"), "scale"),
             sink.constant(*node.tensor("zero"), "zero"), sink.constant(bits, "bits")},
            {sink.output(0)},
            {{"signed", node.integer("signed")},
             {"narrow", node.integer("narrow")},
             {"rounding_mode", node.text("rounding", "ROUND")}});
}

void lower(const Node& node, Lowering& lowering) {
  ChannelVectors channels(lowering, node.out[0].shape);
  std::vector<double> scale = channels.take(*node.tensor("scale"));
  std::vector<double> zero = channels.take(*node.tensor("zero"));
  if (!channels.ok()) {
    return lowering.keep("its scale and zero point vary along more than one axis",
                         "quantize along one channel axis");
  }
  Coding coding = base_coding(node);
  coding.scale = to_floats(scale);
  coding.zero = to_floats(zero);
  if (is_bipolar(node)) {
    // Codes 0 and 1 stand for -1 and +1: (2 code - 1 - zero) * scale.
    for (double& s : scale) s *= 2;
    for (double& z : zero) z = (1 + z) / 2;
  }
  lower_quantizer(lowering, std::move(coding), channels.axis(), std::move(scale), std::move(zero));
}

}  // namespace

extern const Op op_quant;
const Op op_quant{.name = "quant",
                  .doc = "uniform quantizer: (round(clip(x / scale + zero)) - zero) * scale",
                  .onnx = kOnnx,
                  .import = import,
                  .to_onnx = to_onnx,
                  .infer = infer,
                  .eval = eval,
                  .lower = lower,
                  .takes_floats = true};

}  // namespace foldstream
