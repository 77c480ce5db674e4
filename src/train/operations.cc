// SPDX-License-Identifier: Apache-2.0
#include "src/train/operations.h"

#include <ATen/Parallel.h>
#include <torch/autograd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "src/train/kernels.h"

namespace foldstream::train {
namespace {

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

// Of x [N, channels, ...] in memory.
struct MaxPool : torch::autograd::Function<MaxPool> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const Shape& kernel, const Shape& stride, const Shape& padding) {
    const Pool pool = pool_of(x, kernel, stride, padding);
    const Shape sizes = pooled_sizes(x, pool);
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

// -1 and 1 for labels 0 and 1, [N, 1].
torch::Tensor signs(const torch::Tensor& labels) { return (labels * 2 - 1).unsqueeze(1); }

}  // namespace

bool in_memory(const torch::Tensor& x) {
  return x.is_cpu() && x.is_contiguous() && x.scalar_type() == torch::kFloat;
}

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

torch::Tensor max_pooled(const torch::Tensor& x, const Shape& kernel, const Shape& stride,
                         const Shape& padding) {
  if (in_memory(x)) return MaxPool::apply(x, kernel, stride, padding);
  if (kernel.size() == 1) return torch::max_pool1d(x, kernel, stride, padding);
  return torch::max_pool2d(x, kernel, stride, padding);
}

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

Shape pooled_sizes(const torch::Tensor& x, const Pool& pool) {
  Shape sizes = x.sizes().vec();
  if (sizes.size() == 4) sizes[2] = pool.out_height;
  if (sizes.size() > 2) sizes.back() = pool.out_width;
  return sizes;
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

}  // namespace foldstream::train
