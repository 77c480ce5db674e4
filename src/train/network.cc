// SPDX-License-Identifier: Apache-2.0
#include "src/train/network.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/train/byte_layers.h"
#include "src/train/device_optimizer.h"
#include "src/train/muon.h"
#include "src/train/normalization.h"
#include "src/train/operations.h"
#include "src/util/error.h"

namespace foldstream::train {
namespace {

using Kind = LayerSpec::Kind;

constexpr int64_t kManyWeights = 1 << 14;  // of a linear layer that is worth codes in bytes

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

// A vector along axis 0.
torch::Tensor along_rows(const torch::Tensor& vector, int64_t rank) {
  if (vector.dim() == 0) return vector;
  std::vector<int64_t> shape(rank, 1);
  shape[0] = -1;
  return vector.reshape(shape);
}

}  // namespace

int codes_from(const Recipe& recipe, const LayerSpec& layer) {
  int index = layer.from;
  while (index >= 0 && (recipe.layers[index].kind == Kind::max_pool ||
                        recipe.layers[index].kind == Kind::flatten)) {
    index = recipe.layers[index].from;
  }
  return index >= 0 && recipe.layers[index].kind == Kind::quantize ? index : -1;
}

State copy_of(const State& state) {
  State copy;
  for (const auto& [name, tensor] : state) copy.emplace_back(name, tensor.clone());
  return copy;
}

void Parameter::refresh() {
  if (!codes.defined()) return;
  const torch::NoGradGuard no_gradient;
  codes.copy_(quantized(value, quantizer->value, *quantizer));
}

Network::Network(const Recipe& recipe, uint64_t seed, torch::Device device, bool kernels,
                 const KernelRunner* runner)
    : recipe_(recipe),
      device_(device),
      half_(device.is_cuda() && recipe.precision == Precision::bfloat16),
      runner_(runner) {
  torch::manual_seed(seed);
  for (const LayerSpec& layer : recipe_.layers) add_layer(layer);
  if (recipe_.optimizer == Optimizer::muon) choose_muon();
  only_pooled_ = only_pooled(recipe_);
  if (!kernels) device_optimizer_ = std::make_unique<DeviceOptimizer>(parameters_, half_, runner_);
  join_layers();
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

void Network::join_layers() {
  const std::vector<LayerSpec>& layers = recipe_.layers;
  const auto takers = [&](int index) {
    std::vector<int> some;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (layers[i].from == index || layers[i].with == index) some.push_back(static_cast<int>(i));
    }
    return some;
  };
  for (size_t i = 0; i < layers.size(); ++i) {
    const LayerSpec& norm = layers[i];
    if (norm.kind != Kind::batch_norm) continue;
    const std::vector<int> codes = takers(static_cast<int>(i));
    if (codes.size() != 1 || layers[codes[0]].kind != Kind::quantize ||
        layers[codes[0]].quantizer->scale != Quantizer::Scale::constant) {
      continue;
    }
    int last = codes[0];
    int64_t window = 1;
    const std::vector<int> behind = takers(last);
    if (std::ranges::any_of(behind, [&](int j) { return pools_codes(recipe_, layers[j]); })) {
      const LayerSpec& pool = layers[behind[0]];
      window = pool.kernel[0];
      const auto all = [](const Shape& sizes, int64_t size) {
        return std::ranges::all_of(sizes, [&](int64_t one) { return one == size; });
      };
      if (behind.size() != 1 || !all(pool.kernel, window) || !all(pool.stride, window) ||
          !all(pool.padding, 0)) {
        continue;
      }
      last = behind[0];
    }
    NormalizedCodes how{.by = normalization(norm),
                        .quantizer = &*layers[codes[0]].quantizer,
                        .window = window,
                        .finished = torch::zeros({1}, torch::dtype(torch::kInt).device(device_))};
    joints_.emplace(last, Joint{static_cast<int>(i), std::move(how)});
    joined_.insert(static_cast<int>(i));
  }
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
  // The largest code is that of the largest value. Of the codes many are equal, and the gradient
  // would go to the first of them.
  const auto coded = [&](const LayerSpec& layer, const torch::Tensor& from) {
    if (!pools_codes(recipe_, layer)) return run_on(layer, from);
    return run_on(recipe_.layers[layer.from], run_on(layer, from));
  };
  const auto joint = [&](const Joint& joint, const LayerSpec& layer) {
    const LayerSpec& norm = recipe_.layers[joint.norm];
    const torch::Tensor from = result(norm.from);
    if (runner_ != nullptr && kernels_take(from, joint.how.window)) {
      return normalized_codes(*runner_, from, joint.how);
    }
    if (in_memory(from)) return normalized_codes(from, joint.how);
    return coded(layer, run_on(norm, from));
  };
  for (size_t i = 0; i < recipe_.layers.size(); ++i) {
    const int index = static_cast<int>(i);
    const LayerSpec& layer = recipe_.layers[i];
    if (only_pooled_[i] || (pass.training && joined_.contains(index))) {
      results.emplace_back();
    } else if (pass.training && joints_.contains(index)) {
      results.push_back(joint(joints_.at(index), layer));
    } else {
      results.push_back(coded(
          layer,
          result(pools_codes(recipe_, layer) ? recipe_.layers[layer.from].from : layer.from)));
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
      return max_pooled(x, layer.kernel, layer.stride, layer.padding);
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
    // Products on tensor cores take eight channels at a time.
    const int64_t missing = -x.size(1) & 7;
    if (planes && layer.groups == 1 && missing > 0) {
      x = torch::constant_pad_nd(x, {0, 0, 0, 0, 0, missing});
      weights = torch::constant_pad_nd(weights, {0, 0, 0, 0, 0, missing});
    }
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
          std::lround(weights.largest())};
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

Normalization Network::normalization(const LayerSpec& layer) const {
  return {.weight = parameter(layer.name + ".weight").value,
          .bias = parameter(layer.name + ".bias").value,
          .running_mean = buffers_.at(layer.name + ".mean"),
          .running_variance = buffers_.at(layer.name + ".variance"),
          .momentum = layer.momentum,
          .epsilon = layer.epsilon};
}

torch::Tensor Network::normalize(const LayerSpec& layer, const torch::Tensor& x, bool training) {
  const Normalization by = normalization(layer);
  const bool whole = layer.kind == Kind::tensor_norm;
  if (training) {
    const torch::Tensor y = normalized(whole ? x.reshape({1, 1, -1}) : x, by);
    return whole ? y.view_as(x) : y;
  }
  const torch::Tensor deviation = (by.running_variance + layer.epsilon).sqrt();
  if (whole) return (x - by.running_mean) / deviation * by.weight + by.bias;
  const torch::Tensor factor = deviation.reciprocal() * by.weight;
  const torch::Tensor offset = by.bias - by.running_mean * factor;
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

State Network::state(bool optimizer) {
  State all;
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

State Network::scales() {
  State some;
  for (const std::string& name : calibrated_) {
    const std::string flag = name + ".calibrated";
    some.emplace_back(name, parameter(name).value.detach());
    some.emplace_back(flag, buffers_.at(flag));
  }
  return some;
}

void Network::load(const State& values) {
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
