// SPDX-License-Identifier: Apache-2.0
#include "src/train/normalization.h"

#include <ATen/Parallel.h>
#include <torch/autograd.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/train/kernels.h"
#include "src/train/operations.h"

namespace foldstream::train {
namespace {

constexpr int64_t kTogether = 512;  // elements side by side that are worth a call of a loop

float* values(const torch::Tensor& tensor) { return tensor.data_ptr<float>(); }

Extent extent_of(const torch::Tensor& x) {
  return {x.size(0), x.size(1), x.numel() / (x.size(0) * x.size(1))};
}

template <class F>
void by_channels(const Extent& extent, const F& f) {
  at::parallel_for(0, extent.channels, std::max<int64_t>(1, kGrain / extent.per_channel()), f);
}

// What each channel of x is normalized by: (x - mean) * factor + bias, where factor is the weight
// times one over the standard deviation.
struct Statistics {
  torch::Tensor mean, deviation, factor;  // [channels]; the deviation is one over the standard one

  explicit Statistics(const torch::Tensor& like)
      : mean(torch::empty_like(like)),
        deviation(torch::empty_like(like)),
        factor(torch::empty_like(like)) {}
  Statistics(const torch::Tensor& mean, const torch::Tensor& deviation, const torch::Tensor& weight)
      : mean(mean), deviation(deviation), factor(deviation * weight) {}
};

void follow(float& running, float now, float share) {
  running = running * (1 - share) + now * share;
}

// Of channels `begin` to `end`; the running statistics follow, the variance over one less than the
// count.
void find_statistics(const Extent& extent, const torch::Tensor& x, const Normalization& by,
                     const Statistics& found, int64_t begin, int64_t end) {
  const auto count = static_cast<float>(extent.per_channel());
  const auto share = static_cast<float>(by.momentum);
  // The factor's place has the variance until then.
  float *const mean = values(found.mean), *const variance = values(found.factor);
  moments(extent, values(x), mean, variance, begin, end);
  for (int64_t c = begin; c < end; ++c) {
    follow(values(by.running_mean)[c], mean[c], share);
    follow(values(by.running_variance)[c], variance[c] * (count / (count - 1)), share);
    values(found.deviation)[c] = 1 / std::sqrt(variance[c] + static_cast<float>(by.epsilon));
    values(found.factor)[c] = values(by.weight)[c] * values(found.deviation)[c];
  }
}

// The gradients of a normalization, from that of its result: the operand's is
// gradient * factor + (x - mean) * slope + offset.
struct Slopes {
  torch::Tensor of_weight, of_bias, slope, offset;  // [channels]

  explicit Slopes(const torch::Tensor& like)
      : of_weight(torch::empty_like(like)),
        of_bias(torch::empty_like(like)),
        slope(torch::empty_like(like)),
        offset(torch::empty_like(like)) {}
};

void find_slopes(const Extent& extent, const torch::Tensor& x, const float* gradient,
                 const Statistics& statistics, const Slopes& found, int64_t begin, int64_t end) {
  const auto count = static_cast<float>(extent.per_channel());
  gradient_sums(extent, values(x), gradient, values(statistics.mean), values(found.of_bias),
                values(found.of_weight), begin, end);
  for (int64_t c = begin; c < end; ++c) {
    const float inverse = values(statistics.deviation)[c], factor = values(statistics.factor)[c];
    values(found.of_weight)[c] *= inverse;
    values(found.slope)[c] = -factor * inverse * values(found.of_weight)[c] / count;
    values(found.offset)[c] = -factor * values(found.of_bias)[c] / count;
  }
}

struct BatchNorm : torch::autograd::Function<BatchNorm> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               const Normalization& by) {
    const Extent extent = extent_of(x);
    const Statistics found(weight);
    torch::Tensor out = torch::empty_like(x);
    by_channels(extent, [&](int64_t begin, int64_t end) {
      find_statistics(extent, x, by, found, begin, end);
      train::normalize(extent, values(x), values(found.mean), values(found.factor), values(bias),
                       values(out), begin, end);
    });
    context->save_for_backward({x, weight, found.mean, found.deviation});
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &weight = saved[1];
    const Statistics statistics(saved[2], saved[3], weight);
    const torch::Tensor gradient = gradients[0].contiguous();
    const Extent extent = extent_of(x);
    const Slopes found(weight);
    torch::Tensor out = torch::empty_like(x);
    by_channels(extent, [&](int64_t begin, int64_t end) {
      find_slopes(extent, x, values(gradient), statistics, found, begin, end);
      normalize_gradient(extent, values(x), values(gradient), values(statistics.mean),
                         values(statistics.factor), values(found.slope), values(found.offset),
                         values(out), begin, end);
    });
    return {out, found.of_weight, found.of_bias, torch::Tensor()};
  }
};

// What neighbouring channels are normalized by.
struct Factors {
  const float *mean, *factor, *offset;
};

// Planes of neighbouring channels of one sample, on their way from an operand to codes and back.
class Planes {
 public:
  Planes(const Pool& pool, int64_t window, const Coder& coder, int64_t channels)
      : pool_(pool),
        pooled_(window > 1),
        coder_(coder),
        normal_(channels * pool.plane()),
        largest_(pooled_ ? channels * pool.out_plane() : 0) {}

  // From x, of so many channels. Where they are pooled, `places` become what max_pool chose.
  void codes(const float* x, const Factors& by, float* out, int32_t* places, int64_t channels) {
    normalize(x, by, pool_.plane(), channels);
    if (pooled_) max_pool(pool_, normal_.data(), largest_.data(), places, channels);
    quantize(coder_, pooled_ ? largest_.data() : normal_.data(), out, channels * pool_.out_plane());
  }

  // The gradient of what was normalized, from that of the codes.
  void gradient(const float* x, const Factors& by, const float* of_codes, const int32_t* places,
                float* out, int64_t channels) {
    const int64_t count = channels * pool_.out_plane();
    if (!pooled_) {
      normalize(x, by, pool_.plane(), channels);
      quantize_gradient(coder_, normal_.data(), of_codes, out, count);
      return;
    }
    chosen(pool_, x, places, largest_.data(), channels);
    normalize(largest_.data(), by, pool_.out_plane(), channels);
    quantize_gradient(coder_, normal_.data(), of_codes, largest_.data(), count);
    max_pool_gradient(pool_, largest_.data(), places, out, channels);
  }

 private:
  void normalize(const float* x, const Factors& by, int64_t inner, int64_t channels) {
    train::normalize({1, channels, inner}, x, by.mean, by.factor, by.offset, normal_.data(), 0,
                     channels);
  }

  Pool pool_;
  bool pooled_;
  Coder coder_;
  std::vector<float> normal_, largest_;
};

struct Codes : torch::autograd::Function<Codes> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               const NormalizedCodes* how) {
    const Extent extent = extent_of(x);
    const Pool pool = pool_behind(x, *how);
    const Statistics found(weight);
    torch::Tensor out = torch::empty(pooled_sizes(x, pool), x.options());
    const torch::Tensor places =
        torch::empty(how->window > 1 ? out.sizes() : torch::IntArrayRef({0}), torch::kInt);
    by_groups(extent, pool, *how, [&](int64_t begin, int64_t end, Planes& planes) {
      find_statistics(extent, x, how->by, found, begin, end);
      const Factors by = factors(found, bias, begin);
      for (int64_t i = 0; i < extent.outer; ++i) {
        const int64_t first = i * extent.channels + begin, at = first * pool.out_plane();
        planes.codes(values(x) + first * extent.inner, by, values(out) + at, behind(places, at),
                     end - begin);
      }
    });
    context->save_for_backward({x, weight, bias, found.mean, found.deviation, places});
    context->saved_data["how"] = reinterpret_cast<int64_t>(how);  // outlives the graph
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &places = saved[5];
    const Statistics statistics(saved[3], saved[4], weight);
    const auto* how = reinterpret_cast<const NormalizedCodes*>(context->saved_data["how"].toInt());
    const torch::Tensor gradient = gradients[0].contiguous();
    const Extent extent = extent_of(x);
    const Pool pool = pool_behind(x, *how);
    const Slopes found(weight);
    torch::Tensor out = torch::empty_like(x);
    by_groups(extent, pool, *how, [&](int64_t begin, int64_t end, Planes& planes) {
      const int64_t channels = end - begin;
      const Factors by = factors(statistics, bias, begin);
      // First the gradient of what was normalized, where the operand's will be.
      for (int64_t i = 0; i < extent.outer; ++i) {
        const int64_t first = i * extent.channels + begin, at = first * pool.out_plane();
        planes.gradient(values(x) + first * extent.inner, by, values(gradient) + at,
                        behind(places, at), values(out) + first * extent.inner, channels);
      }
      find_slopes(extent, x, values(out), statistics, found, begin, end);
      std::vector<float> slopes(channels * extent.inner);
      for (int64_t i = 0; i < extent.outer; ++i) {
        const int64_t first = (i * extent.channels + begin) * extent.inner;
        std::copy_n(values(out) + first, slopes.size(), slopes.data());
        normalize_gradient({1, channels, extent.inner}, values(x) + first, slopes.data(), by.mean,
                           by.factor, values(found.slope) + begin, values(found.offset) + begin,
                           values(out) + first, 0, channels);
      }
    });
    return {out, found.of_weight, found.of_bias, torch::Tensor()};
  }

 private:
  static Factors factors(const Statistics& of, const torch::Tensor& bias, int64_t begin) {
    return {values(of.mean) + begin, values(of.factor) + begin, values(bias) + begin};
  }
  // Null where nothing is pooled.
  static int32_t* behind(const torch::Tensor& places, int64_t at) {
    return places.numel() > 0 ? places.data_ptr<int32_t>() + at : nullptr;
  }
  static Pool pool_behind(const torch::Tensor& x, const NormalizedCodes& how) {
    if (x.dim() == 2) return {};
    const Shape windows(x.dim() - 2, how.window), zeros(x.dim() - 2, 0);
    return pool_of(x, windows, windows, zeros);
  }

  // f(begin, end, room for planes of so many channels).
  template <class F>
  static void by_groups(const Extent& extent, const Pool& pool, const NormalizedCodes& how,
                        const F& f) {
    const int64_t step = std::max<int64_t>(1, kTogether / extent.inner);
    const Coder coder(*how.quantizer, static_cast<float>(how.quantizer->value));
    by_channels(extent, [&](int64_t begin, int64_t end) {
      Planes planes(pool, how.window, coder, std::min(step, end - begin));
      for (int64_t c = begin; c < end; c += step) f(c, std::min(c + step, end), planes);
    });
  }
};

}  // namespace

torch::Tensor normalized(const torch::Tensor& x, const Normalization& by) {
  if (in_memory(x)) return BatchNorm::apply(x, by.weight, by.bias, by);
  return torch::batch_norm(x, by.weight, by.bias, by.running_mean, by.running_variance, true,
                           by.momentum, by.epsilon, false);
}

torch::Tensor normalized_codes(const torch::Tensor& x, const NormalizedCodes& how) {
  return Codes::apply(x, how.by.weight, how.by.bias, &how);
}

}  // namespace foldstream::train
