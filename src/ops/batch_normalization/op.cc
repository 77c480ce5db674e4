// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <memory>

#include "src/ir/kernel.h"
#include "src/ir/lowering.h"
#include "src/ir/onnx_node.h"
#include "src/source/channels_last.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"BatchNormalization", "channels_last:BatchNormalization"};
constexpr std::array<std::string_view, 4> kParameters = {"scale", "bias", "mean", "var"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 5, 5);
  if (integer_attr(source, "training_mode", 0) != 0) {
    throw Error("is in training mode", "export the model in evaluation mode");
  }
  if (integer_attr(source, "spatial", 1) != 1) throw Error("spatial = 0 is not supported");
  for (size_t output = 1; output < source.used.size(); ++output) {
    if (source.uses(output)) throw Error("only its first result is supported");
  }
  std::map<std::string, Tensor, std::less<>> data;
  for (size_t i = 0; i < kParameters.size(); ++i) {
    data.emplace(kParameters[i], float_operand(source, i + 1, kParameters[i]));
  }
  const bool last = source.domain == kChannelsLastDomain;
  const Value x = last ? channels_first(source.in[0], source.name + "_first", graph) : source.in[0];
  Node& node = graph.add(require_op("batch_normalization"), {x}, source.name,
                         {{"epsilon", real_attr(source, "epsilon", static_cast<double>(1e-5F))}},
                         std::move(data));
  const Value result{&node, 0};
  return {last ? channels_last(result, source.name + "_last", graph) : result};
}

// y = factor * x + offset, factor and offset rounded to float32 in the order of onnxruntime.
struct Affine {
  std::vector<float> factor, offset;
};

Affine affine_of(const Node& node) {
  const Tensor &scale = *node.tensor("scale"), &bias = *node.tensor("bias"),
               &mean = *node.tensor("mean"), &var = *node.tensor("var");
  const auto epsilon = static_cast<float>(node.real("epsilon", static_cast<double>(1e-5F)));
  Affine affine;
  for (int64_t c = 0; c < scale.count(); ++c) {
    const float inverse = 1.0F / std::sqrt(static_cast<float>(var.reals[c]) + epsilon);
    const float factor = inverse * static_cast<float>(scale.reals[c]);
    const float shift = static_cast<float>(mean.reals[c]) * factor;
    affine.factor.push_back(factor);
    affine.offset.push_back(static_cast<float>(bias.reals[c]) - shift);
  }
  return affine;
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || !node.in_type(0).is_float) throw Error("takes one float operand");
  const Shape& shape = node.in_type(0).shape;
  if (shape.size() < 2) {
    throw Error(fmt::format("its operand {} has no channel axis", to_string(node.in_type(0))));
  }
  for (const std::string_view key : kParameters) {
    const Tensor* tensor = node.tensor(key);
    if (tensor == nullptr || !tensor->type.is_float || tensor->type.shape != Shape{shape[1]}) {
      throw Error(fmt::format("its {} is {}, expected {}: one for each channel (axis 1) of {}", key,
                              tensor == nullptr ? "missing" : to_string(tensor->type),
                              to_string(float_type({shape[1]})), to_string(node.in_type(0))));
    }
  }
  const Affine affine = affine_of(node);
  for (size_t c = 0; c < affine.factor.size(); ++c) {
    if (!std::isfinite(affine.factor[c]) || !std::isfinite(affine.offset[c])) {
      throw Error(fmt::format("channel {} has no finite scale and bias", c),
                  "its variance plus epsilon must be positive");
    }
  }
  return {float_type(shape)};
}

// Elements side by side that share a channel.
int64_t inner_of(const Shape& shape) { return element_count({shape.begin() + 2, shape.end()}); }

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Affine affine = affine_of(node);
  const Shape& shape = in[0]->type.shape;
  const int64_t inner = inner_of(shape);
  Tensor out = make_zero(float_type(shape));
  for (int64_t i = 0; i < out.count(); ++i) {
    const int64_t c = i / inner % shape[1];
    const float scaled = static_cast<float>(in[0]->reals[i]) * affine.factor[c];
    out.reals[i] = scaled + affine.offset[c];
  }
  return {std::move(out)};
}

// The CPU twin, on floats as they lie.
class FloatKernel final : public Kernel {
 public:
  explicit FloatKernel(const Node& node)
      : affine_(affine_of(node)),
        inner_(inner_of(node.out[0].shape)),
        planes_(node.out[0].count() / inner_) {}

  void run(const KernelCall& call) const override {
    const auto* __restrict x = reinterpret_cast<const float*>(call.in[0]);
    auto* __restrict y = reinterpret_cast<float*>(call.out[0]);
    const auto channels = static_cast<int64_t>(affine_.factor.size());
    for (int64_t plane = 0; plane < call.frames * planes_; ++plane, x += inner_, y += inner_) {
      const float factor = affine_.factor[plane % channels];
      const float offset = affine_.offset[plane % channels];
      for (int64_t i = 0; i < inner_; ++i) y[i] = x[i] * factor + offset;
    }
  }

 private:
  Affine affine_;
  int64_t inner_, planes_;  // elements that share a channel; how many of those a frame has
};

std::unique_ptr<Kernel> make_kernel(const KernelSite& site) {
  if (site.in[0].constant != nullptr) return nullptr;
  return std::make_unique<FloatKernel>(site.node);
}

constexpr Kernels kKernels{.make = make_kernel};

void to_onnx(const Node& node, OnnxSink& sink) {
  std::vector<std::string> operands = {sink.input(0)};
  for (const std::string_view key : kParameters) {
    operands.push_back(sink.constant(*node.tensor(key), key));
  }
  sink.node("", "BatchNormalization", std::move(operands), {sink.output(0)},
            {{"epsilon", node.real("epsilon", static_cast<double>(1e-5F))}});
}

void lower(const Node& node, Lowering& lowering) {
  const auto affine = std::make_shared<const Affine>(affine_of(node));
  Step step;
  step.apply = [affine](float x, int64_t c) {
    const float scaled = x * affine->factor[c];
    return scaled + affine->offset[c];
  };
  step.direction = [affine](int64_t c) { return affine->factor[c] < 0 ? -1 : 1; };
  step.affine = [affine](int64_t c) {
    return std::pair<double, double>(affine->factor[c], affine->offset[c]);
  };
  lowering.step(0, 1, std::move(step));
}

}  // namespace

extern const Op op_batch_normalization;
const Op op_batch_normalization{
    .name = "batch_normalization",
    .doc = "(x - mean) / sqrt(var + epsilon) * scale + bias per channel, as one product and sum",
    .onnx = kOnnx,
    .import = import,
    .to_onnx = to_onnx,
    .infer = infer,
    .eval = eval,
    .lower = lower,
    .kernels = &kKernels};

}  // namespace foldstream
