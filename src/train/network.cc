// SPDX-License-Identifier: Apache-2.0
#include "src/train/network.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/autograd.h>

#include <cmath>
#include <limits>

#include "src/train/byte_layers.h"
#include "src/train/device_optimizer.h"
#include "src/train/muon.h"
#include "src/util/error.h"

namespace foldstream::train {
namespace {

using Kind = LayerSpec::Kind;

constexpr int64_t kGrain = 1 << 15;        // elements that are worth a thread
constexpr int64_t kManyWeights = 1 << 14;  // of a linear layer that is worth codes in bytes

// Whether the kernels take it; others are computed by tensor operations.
bool in_memory(const torch::Tensor& x) {
  return x.is_cpu() && x.is_contiguous() && x.scalar_type() == torch::kFloat;
}

// max(0, 1 - distance / reach) / reach * step.
torch::Tensor triangle(const torch::Tensor& distance, double reach, double step) {
  return at::rsub(distance, step / reach, step / (reach * reach)).clamp_min_(0);
}

// The gradient through a quantizer as tensor operations, for devices that the kernels don't run
// on.
torch::Tensor through(const torch::Tensor& gradient, const torch::Tensor& x,
                      const Quantizer& quantizer, double scale) {
  const double lowest = quantizer.lowest(), highest = quantizer.highest();
  if (quantizer.estimator == Estimator::straight) {
    // What this passes lies between the bounds, and ours are included.
    constexpr float kEnd = std::numeric_limits<float>::infinity();
    const auto from = static_cast<float>(lowest * quantizer.width * scale);
    const auto to = static_cast<float>(highest * quantizer.width * scale);
    return at::hardtanh_backward(gradient, x, std::nextafter(from, -kEnd),
                                 std::nextafter(to, kEnd));
  }
  if (quantizer.bipolar()) {
    return triangle(x.abs(), quantizer.width * scale, 2 * scale).mul_(gradient);
  }
  const double reach = quantizer.width / 2;
  const torch::Tensor t = x / scale;
  const torch::Tensor threshold =
      (t.clamp(lowest + 0.5, highest - 0.5) - 0.5).round().clamp(lowest, highest - 1) + 0.5;
  return triangle((t - threshold).abs_(), reach, 1).mul_(gradient);
}

struct QuantizedValues : torch::autograd::Function<QuantizedValues> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const Quantizer& quantizer, double scale) {
    context->save_for_backward({x});
    context->saved_data["bits"] = int64_t{quantizer.bits};
    context->saved_data["signed"] = quantizer.is_signed;
    context->saved_data["narrow"] = quantizer.narrow;
    context->saved_data["estimator"] = static_cast<int64_t>(quantizer.estimator);
    context->saved_data["width"] = quantizer.width;
    context->saved_data["scale"] = scale;
    if (in_memory(x)) {
      torch::Tensor out = torch::empty_like(x);
      const Coder coder(quantizer, static_cast<float>(scale));
      const float* from = x.data_ptr<float>();
      float* to = out.data_ptr<float>();
      at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
        quantize(coder, from + begin, to + begin, end - begin);
      });
      return out;
    }
    if (quantizer.bipolar()) {
      const torch::Tensor high = torch::full({}, scale, x.options());
      return torch::where(x.ge(0), high, -high);
    }
    return (x / scale).clamp_(quantizer.lowest(), quantizer.highest()).round_().mul_(scale);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const torch::Tensor x = context->get_saved_variables()[0];
    Quantizer quantizer;
    quantizer.bits = static_cast<int>(context->saved_data["bits"].toInt());
    quantizer.is_signed = context->saved_data["signed"].toBool();
    quantizer.narrow = context->saved_data["narrow"].toBool();
    quantizer.estimator = static_cast<Estimator>(context->saved_data["estimator"].toInt());
    quantizer.width = context->saved_data["width"].toDouble();
    const double scale = context->saved_data["scale"].toDouble();
    if (!in_memory(x)) {
      return {through(gradients[0], x, quantizer, scale), torch::Tensor(), torch::Tensor()};
    }
    const torch::Tensor gradient = gradients[0].contiguous();
    torch::Tensor out = torch::empty_like(x);
    const Coder coder(quantizer, static_cast<float>(scale));
    const float *from = x.data_ptr<float>(), *slope = gradient.data_ptr<float>();
    float* to = out.data_ptr<float>();
    at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
      quantize_gradient(coder, from + begin, slope + begin, to + begin, end - begin);
    });
    return {out, torch::Tensor(), torch::Tensor()};
  }
};

// Batch normalization with the batch's statistics, of x [N, channels, ...] in memory; the running
// ones follow, the variance over one less than the count.
struct BatchNorm : torch::autograd::Function<BatchNorm> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               const torch::Tensor& running_mean,
                               const torch::Tensor& running_variance, double momentum,
                               double epsilon) {
    const Extent extent = extent_of(x);
    torch::Tensor mean = torch::empty_like(weight), variance = torch::empty_like(weight);
    torch::Tensor deviation = torch::empty_like(weight), factor = torch::empty_like(weight);
    const auto count = static_cast<float>(extent.per_channel());
    const auto share = static_cast<float>(momentum);
    torch::Tensor out = torch::empty_like(x);
    by_channels(extent, [&](int64_t begin, int64_t end) {
      moments(extent, values(x), values(mean), values(variance), begin, end);
      for (int64_t c = begin; c < end; ++c) {
        values(deviation)[c] = 1 / std::sqrt(values(variance)[c] + static_cast<float>(epsilon));
        values(factor)[c] = values(weight)[c] * values(deviation)[c];
        follow(values(running_mean)[c], values(mean)[c], share);
        follow(values(running_variance)[c], values(variance)[c] * (count / (count - 1)), share);
      }
      train::normalize(extent, values(x), values(mean), values(factor), values(bias), values(out),
                       begin, end);
    });
    context->save_for_backward({x, weight, mean, deviation});
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &deviation = saved[3];
    const torch::Tensor gradient = gradients[0].contiguous();
    const Extent extent = extent_of(x);
    const auto count = static_cast<float>(extent.per_channel());
    torch::Tensor of_weight = torch::empty_like(weight), of_bias = torch::empty_like(weight);
    torch::Tensor factor = torch::empty_like(weight), slope = torch::empty_like(weight);
    torch::Tensor offset = torch::empty_like(weight), out = torch::empty_like(x);
    by_channels(extent, [&](int64_t begin, int64_t end) {
      gradient_sums(extent, values(x), values(gradient), values(mean), values(of_bias),
                    values(of_weight), begin, end);
      for (int64_t c = begin; c < end; ++c) {
        const float inverse = values(deviation)[c];
        values(factor)[c] = values(weight)[c] * inverse;
        values(of_weight)[c] *= inverse;
        values(slope)[c] = -values(factor)[c] * inverse * values(of_weight)[c] / count;
        values(offset)[c] = -values(factor)[c] * values(of_bias)[c] / count;
      }
      normalize_gradient(extent, values(x), values(gradient), values(mean), values(factor),
                         values(slope), values(offset), values(out), begin, end);
    });
    const torch::Tensor none;
    return {out, of_weight, of_bias, none, none, none, none};
  }

 private:
  static Extent extent_of(const torch::Tensor& x) {
    return {x.size(0), x.size(1), x.numel() / (x.size(0) * x.size(1))};
  }
  static float* values(const torch::Tensor& tensor) { return tensor.data_ptr<float>(); }
  static void follow(float& running, float now, float share) {
    running = running * (1 - share) + now * share;
  }
  template <class F>
  static void by_channels(const Extent& extent, const F& f) {
    at::parallel_for(0, extent.channels, std::max<int64_t>(1, kGrain / extent.per_channel()), f);
  }
};

Pool pool_of(const torch::Tensor& x, const Shape& kernel, const Shape& stride,
             const Shape& padding) {
  const auto out = [](int64_t size, int64_t kernel, int64_t stride, int64_t padding) {
    return (size + 2 * padding - kernel) / stride + 1;
  };
  Pool pool;
  pool.width = x.size(-1);
  pool.kernel_width = kernel.back();
  pool.stride_width = stride.back();
  pool.padding_width = padding.back();
  if (kernel.size() == 2) {
    pool.height = x.size(2);
    pool.kernel_height = kernel[0];
    pool.stride_height = stride[0];
    pool.padding_height = padding[0];
  }
  pool.out_height = out(pool.height, pool.kernel_height, pool.stride_height, pool.padding_height);
  pool.out_width = out(pool.width, pool.kernel_width, pool.stride_width, pool.padding_width);
  return pool;
}

// Of x [N, channels, ...] in memory.
struct MaxPool : torch::autograd::Function<MaxPool> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const Shape& kernel, const Shape& stride, const Shape& padding) {
    const Pool pool = pool_of(x, kernel, stride, padding);
    std::vector<int64_t> sizes = {x.size(0), x.size(1)};
    if (x.dim() == 4) sizes.push_back(pool.out_height);
    sizes.push_back(pool.out_width);
    torch::Tensor out = torch::empty(sizes, x.options());
    torch::Tensor places = torch::empty(sizes, torch::kInt);
    by_planes(pool, x, [&](int64_t begin, int64_t end) {
      max_pool(pool, x.data_ptr<float>() + begin * pool.plane(),
               out.data_ptr<float>() + begin * pool.out_plane(),
               places.data_ptr<int32_t>() + begin * pool.out_plane(), end - begin);
    });
    context->save_for_backward({places});
    context->saved_data["x"] = x.sizes().vec();
    context->saved_data["kernel"] = kernel;
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto& data = context->saved_data;
    const torch::Tensor places = context->get_saved_variables()[0];
    const torch::Tensor gradient = gradients[0].contiguous();
    torch::Tensor out = torch::empty(data.at("x").toIntVector());
    const Pool pool = pool_of(out, data.at("kernel").toIntVector(), data.at("stride").toIntVector(),
                              data.at("padding").toIntVector());
    by_planes(pool, out, [&](int64_t begin, int64_t end) {
      max_pool_gradient(pool, gradient.data_ptr<float>() + begin * pool.out_plane(),
                        places.data_ptr<int32_t>() + begin * pool.out_plane(),
                        out.data_ptr<float>() + begin * pool.plane(), end - begin);
    });
    const torch::Tensor none;
    return {out, none, none, none};
  }

 private:
  template <class F>
  static void by_planes(const Pool& pool, const torch::Tensor& x, const F& f) {
    at::parallel_for(0, x.size(0) * x.size(1), std::max<int64_t>(1, kGrain / pool.plane()), f);
  }
};

torch::Tensor max_pooled(const torch::Tensor& x, const LayerSpec& layer) {
  if (in_memory(x)) return MaxPool::apply(x, layer.kernel, layer.stride, layer.padding);
  if (layer.kernel.size() == 1) {
    return torch::max_pool1d(x, layer.kernel, layer.stride, layer.padding);
  }
  return torch::max_pool2d(x, layer.kernel, layer.stride, layer.padding);
}

// Whether a layer takes bfloat16 where the pass has it; others are given floats.
bool in_half(const LayerSpec& layer) {
  switch (layer.kind) {
    case Kind::conv:
    case Kind::batch_norm:
    case Kind::relu:
    case Kind::max_pool:
    case Kind::add:
    case Kind::dropout:
      return true;
    case Kind::quantize:
      return layer.quantizer->scale == Quantizer::Scale::constant;
    default:
      return false;
  }
}

// Whether a pool takes the largest of a quantize layer's codes.
bool pools_codes(const Recipe& recipe, const LayerSpec& layer) {
  return layer.kind == Kind::max_pool && layer.from >= 0 &&
         recipe.layers[layer.from].kind == Kind::quantize;
}

// The quantize layers, as flags of all layers, whose codes nothing but pools takes.
std::vector<bool> only_pooled(const Recipe& recipe) {
  std::vector<bool> pooled(recipe.layers.size()), otherwise(recipe.layers.size());
  for (const LayerSpec& layer : recipe.layers) {
    if (layer.from >= 0) (pools_codes(recipe, layer) ? pooled : otherwise)[layer.from] = true;
    if (layer.with >= 0) otherwise[layer.with] = true;
  }
  for (size_t i = 0; i < pooled.size(); ++i) pooled[i] = pooled[i] && !otherwise[i];
  return pooled;
}

// The quantize layer whose codes a layer's operand has, moved or chosen among; -1 where values are
// other ones.
int codes_from(const Recipe& recipe, const LayerSpec& layer) {
  int index = layer.from;
  while (index >= 0 && (recipe.layers[index].kind == Kind::max_pool ||
                        recipe.layers[index].kind == Kind::flatten)) {
    index = recipe.layers[index].from;
  }
  return index >= 0 && recipe.layers[index].kind == Kind::quantize ? index : -1;
}

torch::Tensor power_of_two(const torch::Tensor& log_scale) {
  // The exponent is rounded; its gradient passes.
  return log_scale + (log_scale.round() - log_scale).detach();
}

// A vector along axis 1 of a tensor of `rank` axes.
torch::Tensor along_channels(const torch::Tensor& vector, int64_t rank) {
  std::vector<int64_t> shape(rank, 1);
  shape[1] = -1;
  return vector.reshape(shape);
}

// -1 and 1 for labels 0 and 1, [N, 1].
torch::Tensor signs(const torch::Tensor& labels) { return (labels * 2 - 1).unsqueeze(1); }

// A vector along axis 0.
torch::Tensor along_rows(const torch::Tensor& vector, int64_t rank) {
  if (vector.dim() == 0) return vector;
  std::vector<int64_t> shape(rank, 1);
  shape[0] = -1;
  return vector.reshape(shape);
}

}  // namespace

torch::Tensor quantized_codes(const torch::Tensor& x, const Quantizer& quantizer) {
  return quantized(x, 1, quantizer);
}

torch::Tensor quantized(const torch::Tensor& x, double scale, const Quantizer& quantizer) {
  // The kernels go over memory in order; elsewhere the order of the axes is kept as it is.
  return QuantizedValues::apply(x.is_cpu() ? x.contiguous() : x, quantizer, scale);
}

torch::Tensor quantized(const torch::Tensor& x, const torch::Tensor& scale,
                        const Quantizer& quantizer) {
  return quantized_codes(x / scale, quantizer) * scale;
}

torch::Tensor normalized(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias, const torch::Tensor& running_mean,
                         const torch::Tensor& running_variance, double momentum, double epsilon) {
  if (in_memory(x)) {
    return BatchNorm::apply(x, weight, bias, running_mean, running_variance, momentum, epsilon);
  }
  return torch::batch_norm(x, weight, bias, running_mean, running_variance, true, momentum, epsilon,
                           false);
}

torch::Tensor squared_hinge(const torch::Tensor& scores, const torch::Tensor& labels) {
  if (scores.size(1) == 1) return torch::relu(1 - scores * signs(labels)).square().mean();
  torch::Tensor target = torch::full_like(scores, -1);
  target.scatter_(1, labels.unsqueeze(1), 1);
  return torch::relu(1 - scores * target).square().mean();
}

torch::Tensor cross_entropy(const torch::Tensor& scores, const torch::Tensor& labels,
                            double temperature) {
  if (scores.size(1) == 1) return torch::softplus(-scores * signs(labels) / temperature).mean();
  return torch::cross_entropy_loss(scores / temperature, labels);
}

torch::Tensor distillation(const torch::Tensor& scores, const torch::Tensor& teacher_scores,
                           double temperature) {
  if (scores.size(1) == 1) {
    const torch::Tensor wanted = torch::sigmoid(teacher_scores / temperature);
    return torch::binary_cross_entropy_with_logits(scores / temperature, wanted) * temperature *
           temperature;
  }
  const torch::Tensor wanted = torch::softmax(teacher_scores / temperature, 1);
  return -(wanted * torch::log_softmax(scores / temperature, 1)).sum(1).mean() * temperature *
         temperature;
}

void Parameter::refresh() {
  if (!codes.defined()) return;
  const torch::NoGradGuard no_gradient;
  codes.copy_(quantized(value, quantizer->value, *quantizer));
}

Network::Network(const Recipe& recipe, uint64_t seed, torch::Device device, bool kernels)
    : recipe_(recipe),
      device_(device),
      half_(device.is_cuda() && recipe.precision == Precision::bfloat16) {
  torch::manual_seed(seed);
  for (const LayerSpec& layer : recipe_.layers) add_layer(layer);
  if (recipe_.optimizer == Optimizer::muon) choose_muon();
  only_pooled_ = only_pooled(recipe_);
  if (!kernels) device_optimizer_ = std::make_unique<DeviceOptimizer>(parameters_, half_);
}

Network::~Network() = default;

Parameter& Network::parameter(const std::string& name) { return parameters_[index_.at(name)]; }
const Parameter& Network::parameter(const std::string& name) const {
  return parameters_[index_.at(name)];
}

Parameter& Network::add(const std::string& name, torch::Tensor value) {
  Parameter parameter;
  parameter.name = name;
  parameter.value = value.to(device_).contiguous().requires_grad_(true);
  parameter.first = torch::zeros_like(value, device_);
  parameter.second = torch::zeros_like(value, device_);
  index_.emplace(name, parameters_.size());
  return parameters_.emplace_back(std::move(parameter));
}

// Between the first and the last weights.
void Network::choose_muon() {
  std::vector<Parameter*> weights;
  for (Parameter& parameter : parameters_) {
    if (parameter.weight) weights.push_back(&parameter);
  }
  for (size_t i = 1; i + 1 < weights.size(); ++i) weights[i]->muon = true;
}

void Network::add_layer(const LayerSpec& layer) {
  const int64_t channels = layer.in.empty() ? 1 : layer.in[0];
  switch (layer.kind) {
    case Kind::linear:
    case Kind::conv:
      add_weights(layer);
      break;
    case Kind::quantize:
      if (layer.quantizer->scale == Quantizer::Scale::learned) {
        add_scale(scale_name(layer), *layer.quantizer, channels);
      }
      break;
    case Kind::batch_norm:
    case Kind::tensor_norm: {
      const int64_t size = layer.kind == Kind::batch_norm ? channels : 1;
      add(layer.name + ".weight", torch::ones({size}));
      add(layer.name + ".bias", torch::zeros({size}));
      buffers_[layer.name + ".mean"] = torch::zeros({size}, device_);
      buffers_[layer.name + ".variance"] = torch::ones({size}, device_);
      break;
    }
    default:
      break;
  }
}

void Network::add_weights(const LayerSpec& layer) {
  std::vector<int64_t> shape = {layer.units, layer.in[0] / layer.groups};
  shape.insert(shape.end(), layer.kernel.begin(), layer.kernel.end());
  int64_t operands = 1;
  for (size_t d = 1; d < shape.size(); ++d) operands *= shape[d];
  const bool constant = layer.quantizer && layer.quantizer->scale == Quantizer::Scale::constant;
  // Behind a constant scale the whole range is used from the start; elsewhere the spread keeps the
  // variance of what passes through.
  const double spread = constant ? layer.quantizer->value * layer.quantizer->highest()
                                 : std::sqrt(6.0 / static_cast<double>(operands));
  Parameter& weights = add(layer.name + ".weight", (torch::rand(shape) * 2 - 1) * spread);
  weights.weight = true;
  if (constant) {
    weights.quantizer = layer.quantizer;
    weights.lowest = layer.quantizer->lowest() * layer.quantizer->value;
    weights.highest = layer.quantizer->highest() * layer.quantizer->value;
    weights.codes = torch::empty_like(weights.value).detach().requires_grad_(true);
    weights.refresh();
  } else if (layer.quantizer && layer.quantizer->scale == Quantizer::Scale::learned) {
    const torch::Tensor start =
        weights.value.detach().abs().mean() * 2 / std::sqrt(layer.quantizer->highest());
    add_scale(layer.name + ".scale", *layer.quantizer, layer.units);
    parameter(layer.name + ".scale").value.data().fill_(start.log2());
    buffers_[layer.name + ".scale.calibrated"].fill_(1);
  }
  if (layer.bias) add(layer.name + ".bias", torch::zeros({layer.units}));
}

void Network::add_scale(const std::string& name, const Quantizer& quantizer, int64_t channels) {
  if (index_.contains(name)) return;
  const std::vector<int64_t> shape =
      quantizer.per_channel ? std::vector<int64_t>{channels} : std::vector<int64_t>{};
  // The logarithm is trained: a scale stays positive.
  add(name, torch::full(shape, std::log2(quantizer.value), torch::kFloat));
  buffers_[name + ".calibrated"] = torch::zeros({}, device_);
}

std::string Network::scale_name(const LayerSpec& layer) {
  return layer.quantizer->shared ? "quantizer." + layer.quantizer->name + ".scale"
                                 : layer.name + ".scale";
}

// Of a quantizer whose scale isn't a constant.
torch::Tensor Network::scale_of(const LayerSpec& layer) const {
  const Quantizer& quantizer = *layer.quantizer;
  if (quantizer.scale == Quantizer::Scale::statistics) {
    const torch::Tensor magnitude = parameter(layer.name + ".weight").value.detach().abs();
    torch::Tensor most = quantizer.per_channel ? magnitude.flatten(1).amax(1) : magnitude.max();
    torch::Tensor scale = most.clamp_min(1e-8) / quantizer.highest();
    return quantizer.power_of_two ? scale.log2().ceil().exp2() : scale;
  }
  const torch::Tensor& log_scale = parameter(scale_name(layer)).value;
  return (quantizer.power_of_two ? power_of_two(log_scale) : log_scale).exp2();
}

torch::Tensor Network::used_weights(const LayerSpec& layer) const {
  const Parameter& weights = parameter(layer.name + ".weight");
  if (!layer.quantizer || weights.codes.defined()) return weights.leaf();
  return quantized(weights.value, along_rows(scale_of(layer), weights.value.dim()),
                   *layer.quantizer);
}

torch::Tensor Network::forward(const torch::Tensor& x, bool training) {
  return forward(x, Pass{.training = training, .half = training && half_, .wide = false});
}

torch::Tensor Network::scores(const torch::Tensor& x) {
  return forward(x, Pass{.training = false, .half = false, .wide = true});
}

torch::Tensor Network::teach(const torch::Tensor& x) {
  return forward(x, Pass{.training = false, .half = half_, .wide = false});
}

torch::Tensor Network::forward(const torch::Tensor& x, Pass pass) {
  std::vector<torch::Tensor> results;
  const bool planes = pass.half && x.dim() == 4;
  const torch::Tensor input = planes ? x.contiguous(torch::MemoryFormat::ChannelsLast) : x;
  const auto result = [&](int index) { return index < 0 ? input : results[index]; };
  const auto run_on = [&](const LayerSpec& layer, const torch::Tensor& from) {
    const auto operand = [&](const torch::Tensor& tensor) {
      return in_half(layer) ? tensor : tensor.to(torch::kFloat);
    };
    const torch::Tensor other =
        layer.kind == Kind::add ? operand(result(layer.with)) : torch::Tensor();
    return run(layer, operand(from), other, pass);
  };
  for (size_t i = 0; i < recipe_.layers.size(); ++i) {
    const LayerSpec& layer = recipe_.layers[i];
    if (only_pooled_[i]) {
      results.emplace_back();
    } else if (!pools_codes(recipe_, layer)) {
      results.push_back(run_on(layer, result(layer.from)));
    } else {
      // The largest code is that of the largest value. Of the codes many are equal, and the
      // gradient would go to the first of them.
      const LayerSpec& quantize = recipe_.layers[layer.from];
      results.push_back(run_on(quantize, run_on(layer, result(quantize.from))));
    }
  }
  return results.back().to(torch::kFloat);
}

torch::Tensor Network::run(const LayerSpec& layer, const torch::Tensor& x,
                           const torch::Tensor& other, Pass pass) {
  switch (layer.kind) {
    case Kind::affine:
      return (x * layer.mul).sub_(layer.sub);
    case Kind::quantize: {
      const Quantizer& quantizer = *layer.quantizer;
      if (quantizer.scale == Quantizer::Scale::constant) {
        return quantized(x, quantizer.value, quantizer);
      }
      if (pass.training) calibrate(layer, x);
      const torch::Tensor scale = scale_of(layer);
      return quantized(x, scale.dim() == 0 ? scale : along_channels(scale, x.dim()), quantizer);
    }
    case Kind::relu:
      return torch::relu(x);
    case Kind::linear:
    case Kind::conv:
      return product(layer, x, pass);
    case Kind::batch_norm:
    case Kind::tensor_norm:
      return normalize(layer, x, pass.training);
    case Kind::max_pool:
      return max_pooled(x, layer);
    case Kind::average_pool:
      return average(layer, x);
    case Kind::dropout:
      return torch::dropout(x, layer.rate, pass.training);
    case Kind::flatten:
      return x.flatten(1);
    case Kind::add:
      return x + other;
  }
  FOLDSTREAM_CHECK(false);
  return {};
}

torch::Tensor Network::product(const LayerSpec& layer, const torch::Tensor& operand,
                               Pass pass) const {
  torch::Tensor x = operand, weights = used_weights(layer);
  if (pass.half && layer.kind == Kind::conv) {
    x = x.to(torch::kBFloat16);
    const bool planes = weights.dim() == 4;
    weights =
        weights.to(torch::kBFloat16, false, false,
                   planes ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Preserve);
  }
  if (pass.wide) {
    x = x.to(torch::kDouble);
    weights = weights.to(torch::kDouble);
  }
  torch::Tensor y;
  if (!pass.wide && in_bytes(layer, x, weights)) {
    y = byte_product(layer, x, weights);
  } else if (layer.kind == Kind::linear) {
    y = x.mm(weights.t());
  } else if (layer.kernel.size() == 1) {
    y = torch::conv1d(x, weights, {}, layer.stride, layer.padding, 1, layer.groups);
  } else {
    y = torch::conv2d(x, weights, {}, layer.stride, layer.padding, 1, layer.groups);
  }
  if (pass.wide) y = y.to(torch::kFloat);
  if (!layer.bias) return y;
  return y + along_channels(parameter(layer.name + ".bias").value, y.dim());
}

ByteRange Network::byte_range(const LayerSpec& layer) const {
  const Quantizer& operand = *recipe_.layers[codes_from(recipe_, layer)].quantizer;
  const Quantizer& weights = *layer.quantizer;
  return {std::lround(operand.lowest()), std::lround(operand.highest()),
          std::lround(std::max(-weights.lowest(), weights.highest()))};
}

bool Network::in_bytes(const LayerSpec& layer, const torch::Tensor& x,
                       const torch::Tensor& weights) const {
  const int source = codes_from(recipe_, layer);
  if (device_optimizer_ || !x.is_cpu() || !layer.quantizer || source < 0 ||
      recipe_.layers[source].quantizer->per_channel) {
    return false;
  }
  const ByteRange range = byte_range(layer);
  if (layer.kind == Kind::linear) {
    return weights.numel() >= kManyWeights &&
           bytes_multiply({weights.size(1), weights.size(0)}, range);
  }
  return layer.groups == 1 &&
         std::ranges::all_of(layer.stride, [](int64_t stride) { return stride == 1; }) &&
         bytes_convolve(byte_shape(x, weights, layer.padding), range);
}

torch::Tensor Network::byte_product(const LayerSpec& layer, const torch::Tensor& x,
                                    const torch::Tensor& weights) const {
  const torch::Tensor scale = activation_scale(codes_from(recipe_, layer));
  const torch::Tensor scales = current_scale(layer).expand({layer.units});
  const ByteOperand operand{x, byte_range(layer), scale.item<float>()};
  const ByteWeights codes{weights, scales.contiguous()};
  const bool rounded = recipe_.gradients == Gradients::int8;
  return layer.kind == Kind::linear ? multiply(operand, codes, rounded)
                                    : convolve(operand, codes, layer.padding, rounded);
}

torch::Tensor Network::normalize(const LayerSpec& layer, const torch::Tensor& x, bool training) {
  const torch::Tensor& weight = parameter(layer.name + ".weight").value;
  const torch::Tensor& bias = parameter(layer.name + ".bias").value;
  const torch::Tensor& mean = buffers_.at(layer.name + ".mean");
  const torch::Tensor& variance = buffers_.at(layer.name + ".variance");
  const bool whole = layer.kind == Kind::tensor_norm;
  if (training) {
    const torch::Tensor y = normalized(whole ? x.reshape({1, 1, -1}) : x, weight, bias, mean,
                                       variance, layer.momentum, layer.epsilon);
    return whole ? y.view_as(x) : y;
  }
  const torch::Tensor deviation = (variance + layer.epsilon).sqrt();
  if (whole) return (x - mean) / deviation * weight + bias;
  const torch::Tensor factor = deviation.reciprocal() * weight;
  const torch::Tensor offset = bias - mean * factor;
  return x * along_channels(factor, x.dim()).to(x.dtype()) +
         along_channels(offset, x.dim()).to(x.dtype());
}

torch::Tensor Network::average(const LayerSpec& layer, const torch::Tensor& x) const {
  const bool one_axis = layer.kernel.size() == 1;
  const torch::Tensor mean =
      one_axis ? torch::avg_pool1d(x, layer.kernel, layer.stride, layer.padding, false, true)
               : torch::avg_pool2d(x, layer.kernel, layer.stride, layer.padding, false, true);
  const AveragePool pool = average_pool(layer, *recipe_.layers[layer.source].quantizer);
  const torch::Tensor scale =
      activation_scale(layer.source).detach() / static_cast<float>(pool.elements);
  const torch::Tensor sum = (mean.detach() / scale).round();
  const torch::Tensor cut =
      (sum / static_cast<float>(int64_t{1} << pool.shift)).floor().clamp(pool.lowest, pool.highest);
  const torch::Tensor exact = cut * (scale * static_cast<float>(int64_t{1} << pool.shift));
  return mean + (exact - mean).detach();
}

void Network::calibrate(const LayerSpec& layer, const torch::Tensor& x) {
  const std::string name = scale_name(layer);
  if (calibrated_.contains(name)) return;  // asking the buffer would wait for the device
  calibrated_.insert(name);
  torch::Tensor& calibrated = buffers_.at(name + ".calibrated");
  if (calibrated.item<float>() != 0) return;
  const torch::NoGradGuard no_gradient;
  const torch::Tensor magnitude = x.detach().abs();
  torch::Tensor mean = magnitude.mean();
  torch::Tensor& log_scale = parameter(name).value;
  if (log_scale.dim() == 1) mean = magnitude.transpose(0, 1).flatten(1).mean(1);
  const torch::Tensor scale = mean.clamp_min(1e-6) * 2 / std::sqrt(layer.quantizer->highest());
  log_scale.data().copy_(scale.log2());
  calibrated.fill_(1);
}

void update(Parameter& parameter, const torch::Tensor& gradient, const AdamStep& step) {
  if (parameter.muon) {
    const torch::NoGradGuard no_gradient;
    parameter.first.lerp_(gradient, 1 - kMuonMomentum);
    const torch::Tensor direction = muon_direction(gradient, parameter.first, false);
    parameter.value.mul_(1 - step.rate * step.decay)
        .sub_(direction * step.rate)
        .clamp_(parameter.lowest, parameter.highest);
    parameter.refresh();
    return;
  }
  const torch::Tensor contiguous = gradient.contiguous();
  const float* slope = contiguous.data_ptr<float>();
  float* value = parameter.value.data_ptr<float>();
  float* first = parameter.first.data_ptr<float>();
  float* second = parameter.second.data_ptr<float>();
  float* codes = parameter.codes.defined() ? parameter.codes.data_ptr<float>() : nullptr;
  const auto lowest = static_cast<float>(parameter.lowest);
  const auto highest = static_cast<float>(parameter.highest);
  at::parallel_for(0, parameter.value.numel(), kGrain, [&](int64_t begin, int64_t end) {
    if (codes != nullptr) {
      const Coder coder(*parameter.quantizer, static_cast<float>(parameter.quantizer->value));
      adam_quantized(step, coder, slope + begin, value + begin, first + begin, second + begin,
                     codes + begin, end - begin);
    } else {
      adam(step, slope + begin, value + begin, first + begin, second + begin, lowest, highest,
           end - begin);
    }
  });
}

void Network::step(double rate, double decay, int64_t steps) {
  FOLDSTREAM_CHECK(!device_optimizer_);
  for (Parameter& parameter : parameters_) {
    const torch::Tensor gradient = parameter.leaf().grad();
    if (!gradient.defined()) continue;
    update(parameter, gradient, AdamStep(rate, parameter.weight ? decay : 0, steps));
    parameter.leaf().mutable_grad().reset();  // the next one is taken over, not added
  }
}

void Network::step(const torch::Tensor& numbers) {
  FOLDSTREAM_CHECK(device_optimizer_ != nullptr);
  device_optimizer_->step(parameters_, numbers);
}

std::vector<std::pair<std::string, torch::Tensor>> Network::state(bool optimizer) {
  std::vector<std::pair<std::string, torch::Tensor>> all;
  for (const Parameter& parameter : parameters_) {
    all.emplace_back(parameter.name, parameter.value.detach());
    if (optimizer) {
      all.emplace_back(parameter.name + ".first", parameter.first);
      all.emplace_back(parameter.name + ".second", parameter.second);
    }
  }
  for (const auto& [name, buffer] : buffers_) all.emplace_back(name, buffer);
  return all;
}

std::vector<std::pair<std::string, torch::Tensor>> Network::scales() {
  std::vector<std::pair<std::string, torch::Tensor>> some;
  for (const std::string& name : calibrated_) {
    const std::string flag = name + ".calibrated";
    some.emplace_back(name, parameter(name).value.detach());
    some.emplace_back(flag, buffers_.at(flag));
  }
  return some;
}

void Network::load(const std::vector<std::pair<std::string, torch::Tensor>>& values) {
  const torch::NoGradGuard no_gradient;
  std::map<std::string, torch::Tensor> mine;
  for (auto& [name, tensor] : state(true)) mine.emplace(name, tensor);
  for (const auto& [name, value] : values) {
    const auto found = mine.find(name);
    FOLDSTREAM_CHECK(found != mine.end() && found->second.sizes() == value.sizes());
    found->second.copy_(value);
  }
  for (Parameter& parameter : parameters_) parameter.refresh();
}

torch::Tensor Network::weights(int index) const {
  const torch::NoGradGuard no_gradient;
  return used_weights(recipe_.layers[index]).detach().cpu().contiguous();
}

torch::Tensor Network::current_scale(const LayerSpec& layer) const {
  if (layer.quantizer->scale == Quantizer::Scale::constant) {
    return torch::full({}, layer.quantizer->value, torch::kFloat);
  }
  return scale_of(layer).detach().cpu().contiguous();
}

torch::Tensor Network::weight_scale(int index) const {
  return current_scale(recipe_.layers[index]);
}

torch::Tensor Network::activation_scale(int index) const {
  return current_scale(recipe_.layers[index]);
}

torch::Tensor Network::bias(int index) const {
  const LayerSpec& layer = recipe_.layers[index];
  if (!layer.bias) return {};
  return parameter(layer.name + ".bias").value.detach().cpu().contiguous();
}

torch::Tensor Network::norm(int index, const char* what) const {
  const std::string name = recipe_.layers[index].name + "." + what;
  const auto buffer = buffers_.find(name);
  return (buffer != buffers_.end() ? buffer->second : parameter(name).value).detach().cpu();
}

}  // namespace foldstream::train
