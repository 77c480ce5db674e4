// SPDX-License-Identifier: Apache-2.0
#include "src/train/exact_sums.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

namespace foldstream::train {
namespace {

using Kind = LayerSpec::Kind;

constexpr double kMostSteps = 1 << 24;  // integers up to it are float32

// Values that are multiples of `step`, a power of two, of magnitude at most `most`.
struct Grid {
  double step, most;
};

bool is_power_of_two(double value) {
  int exponent = 0;
  return value > 0 && std::frexp(value, &exponent) == 0.5;
}

// Scales, one or one a channel, if all are powers of two.
std::optional<std::vector<double>> exact_scales(const torch::Tensor& scale) {
  const float* data = scale.data_ptr<float>();
  std::vector<double> scales(data, data + scale.numel());
  if (!std::ranges::all_of(scales, is_power_of_two)) return std::nullopt;
  return scales;
}

std::optional<Grid> quantized(const torch::Tensor& scale, const Quantizer& quantizer) {
  const auto scales = exact_scales(scale);
  if (!scales) return std::nullopt;
  const auto [least, most] = std::ranges::minmax(*scales);
  return Grid{least, most * quantizer.largest()};
}

// The grid of a product's sums, if they are exact.
std::optional<Grid> product(const Network& network, int index, const std::optional<Grid>& x) {
  const LayerSpec& layer = network.recipe().layers[index];
  if (!x || !layer.quantizer) return std::nullopt;
  const auto scales = exact_scales(network.weight_scale(index));
  if (!scales) return std::nullopt;
  const torch::Tensor weights = network.weights(index);
  const int64_t row = weights.numel() / layer.units;
  const float* data = weights.data_ptr<float>();
  Grid sums{x->step * *std::ranges::min_element(*scales), 0};
  for (int64_t unit = 0; unit < layer.units; ++unit, data += row) {
    double magnitude = 0;
    for (int64_t i = 0; i < row; ++i) magnitude += std::abs(static_cast<double>(data[i]));
    const double scale = scales->at(scales->size() == 1 ? 0 : unit);
    if (magnitude * x->most > kMostSteps * scale * x->step) return std::nullopt;
    sums.most = std::max(sums.most, magnitude * x->most);
  }
  return sums;
}

}  // namespace

bool has_exact_sums(const Network& network) {
  const Recipe& recipe = network.recipe();
  std::vector<std::optional<Grid>> grids;  // of the layers' results; none where they are any floats
  for (size_t i = 0; i < recipe.layers.size(); ++i) {
    const LayerSpec& layer = recipe.layers[i];
    const auto index = static_cast<int>(i);
    const auto grid_of = [&](int from) { return from < 0 ? std::nullopt : grids[from]; };
    const std::optional<Grid> x = grid_of(layer.from);
    std::optional<Grid> result = x;
    switch (layer.kind) {
      case Kind::quantize:
        result = quantized(network.activation_scale(index), *layer.quantizer);
        break;
      case Kind::linear:
      case Kind::conv:
        result = product(network, index, x);
        if (!result) return false;
        if (layer.bias) result.reset();
        break;
      case Kind::average_pool: {
        const AveragePool pool = average_pool(layer, *recipe.layers[layer.source].quantizer);
        const auto elements = static_cast<double>(pool.elements);
        if (!x || x->most * elements > kMostSteps * x->step) return false;
        const double step = x->step / elements * std::ldexp(1.0, pool.shift);
        result.reset();
        if (is_power_of_two(elements)) {
          result = Grid{step, step * std::max(-pool.lowest, pool.highest)};
        }
        break;
      }
      case Kind::add: {
        const std::optional<Grid> other = grid_of(layer.with);
        result.reset();
        if (x && other) result = Grid{std::min(x->step, other->step), x->most + other->most};
        break;
      }
      case Kind::affine:
      case Kind::batch_norm:
      case Kind::tensor_norm:
        result.reset();
        break;
      default:
        break;
    }
    grids.push_back(result);
  }
  return true;
}

bool has_short_codes(const Recipe& recipe) {
  constexpr double kMostCode = 1 << 11;
  const auto fits = [](const Quantizer& quantizer) {
    return quantizer.scale == Quantizer::Scale::constant && is_power_of_two(quantizer.value) &&
           quantizer.largest() <= kMostCode;
  };
  return std::ranges::all_of(recipe.layers, [&](const LayerSpec& layer) {
    if (layer.kind == Kind::average_pool) return false;
    if (layer.kind != Kind::conv && layer.kind != Kind::linear) return true;
    const int source = codes_from(recipe, layer);
    if (source < 0 || !layer.quantizer) return false;
    const Quantizer& operand = *recipe.layers[source].quantizer;
    double row = static_cast<double>(layer.in[0] / layer.groups);
    for (const int64_t size : layer.kernel) row *= static_cast<double>(size);
    return fits(operand) && fits(*layer.quantizer) &&
           row * operand.largest() * layer.quantizer->largest() <= kMostSteps;
  });
}

}  // namespace foldstream::train
