// SPDX-License-Identifier: Apache-2.0
#include "src/train/byte_layers.h"

#include <ATen/Parallel.h>
#include <torch/autograd.h>

#include <mutex>
#include <tuple>
#include <vector>

#include "src/train/kernels.h"

namespace foldstream::train {
namespace {

constexpr int64_t kSamples = 32;  // of a linear layer

float* floats(const torch::Tensor& tensor) { return tensor.data_ptr<float>(); }
uint8_t* bytes(const torch::Tensor& tensor) { return tensor.data_ptr<uint8_t>(); }
int8_t* signed_bytes(const torch::Tensor& tensor) { return tensor.data_ptr<int8_t>(); }

// Shares of the images, an image at least.
template <class F>
void by_images(int64_t images, const F& f) {
  at::parallel_for(0, images, 1, f);
}

torch::Tensor codes_of(const ByteOperand& x) {
  const torch::Tensor values = x.values.contiguous();
  torch::Tensor codes = torch::empty(values.sizes(), torch::kByte);
  at::parallel_for(0, values.numel(), kGrain, [&](int64_t begin, int64_t end) {
    to_bytes(floats(values) + begin, x.scale, x.range.lowest, bytes(codes) + begin, end - begin);
  });
  return codes;
}

torch::Tensor codes_of(const ByteWeights& weights) {
  const torch::Tensor values = weights.values.contiguous();
  torch::Tensor codes = torch::empty(values.sizes(), torch::kChar);
  const int64_t rows = values.size(0), columns = values.numel() / rows;
  for (int64_t r = 0; r < rows; ++r) {
    to_signed_bytes(floats(values) + r * columns, floats(weights.scales)[r],
                    signed_bytes(codes) + r * columns, columns);
  }
  return codes;
}

// What a gradient needs: of codes alone, or with the floats that they stand for.
struct Saved {
  torch::Tensor x, weights, codes, weight_codes, scales;
  ByteRange range;
  float scale = 1;
  bool x_rounded = false, weights_rounded = false;
};

void save(torch::autograd::AutogradContext& context, const Saved& saved) {
  const bool in_floats = !saved.x_rounded || !saved.weights_rounded;
  const torch::Tensor none;
  context.save_for_backward({in_floats ? saved.x : none, in_floats ? saved.weights : none,
                             saved.codes, saved.weight_codes, saved.scales});
  auto& data = context.saved_data;
  data["lowest"] = saved.range.lowest;
  data["highest"] = saved.range.highest;
  data["weight"] = saved.range.weight;
  data["scale"] = static_cast<double>(saved.scale);
  data["x rounded"] = saved.x_rounded;
  data["weights rounded"] = saved.weights_rounded;
}

Saved restore(const torch::autograd::AutogradContext& context) {
  const auto tensors = context.get_saved_variables();
  const auto& data = context.saved_data;
  return {tensors[0],
          tensors[1],
          tensors[2],
          tensors[3],
          tensors[4],
          {data.at("lowest").toInt(), data.at("highest").toInt(), data.at("weight").toInt()},
          static_cast<float>(data.at("scale").toDouble()),
          data.at("x rounded").toBool(),
          data.at("weights rounded").toBool()};
}

struct Convolution : torch::autograd::Function<Convolution> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weights, const ByteOperand& operand,
                               const ByteWeights& of_weights, std::vector<int64_t> padding,
                               bool rounded) {
    const ByteShape shape = byte_shape(x, weights, padding);
    const ByteRange& range = operand.range;
    const int64_t images = x.size(0);
    const torch::Tensor codes = codes_of(operand), weight_codes = codes_of(of_weights);
    std::vector<int64_t> sizes = x.sizes().vec();
    sizes[1] = shape.rows;
    sizes.back() = shape.out_width();
    if (sizes.size() == 4) sizes[2] = shape.out_height();
    torch::Tensor out = torch::empty(sizes, x.options());
    const ByteConvolution convolution(shape, range, signed_bytes(weight_codes),
                                      floats(of_weights.scales), operand.scale);
    by_images(images, [&](int64_t begin, int64_t end) {
      convolution.run(bytes(codes) + begin * shape.in(), floats(out) + begin * shape.out(),
                      end - begin);
    });
    save(*context, {x, weights, codes, weight_codes, of_weights.scales, range, operand.scale,
                    rounded && bytes_reach_operand(shape, range),
                    rounded && bytes_reach_weights(shape, range, images)});
    context->saved_data["padding"] = padding;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const Saved saved = restore(*context);
    const auto padding = context->saved_data.at("padding").toIntVector();
    const torch::Tensor gradient = gradients[0].contiguous();
    const ByteShape shape = byte_shape(saved.codes, saved.weight_codes, padding);
    const int64_t images = gradient.size(0);
    const bool of_x = context->needs_input_grad(0);
    const bool find_x = of_x && !saved.x_rounded;
    torch::Tensor to_x, to_weights, largest;
    if (find_x || !saved.weights_rounded) {
      const std::vector<int64_t> ones(padding.size(), 1), zeros(padding.size(), 0);
      std::tie(to_x, to_weights, std::ignore) =
          at::convolution_backward(gradient, saved.x, saved.weights, c10::nullopt, ones, padding,
                                   ones, false, zeros, 1, {find_x, !saved.weights_rounded, false});
    }
    if ((of_x && saved.x_rounded) || saved.weights_rounded) {
      largest = torch::empty({images, shape.rows});
      by_images(images, [&](int64_t begin, int64_t end) {
        largest_magnitudes(shape, floats(gradient) + begin * shape.out(), end - begin,
                           floats(largest) + begin * shape.rows);
      });
    }
    if (of_x && saved.x_rounded) {
      to_x = torch::empty(saved.codes.sizes());
      const ByteOperandGradient of(shape, saved.range, signed_bytes(saved.weight_codes),
                                   floats(saved.scales));
      by_images(images, [&](int64_t begin, int64_t end) {
        of.run(floats(gradient) + begin * shape.out(), floats(largest) + begin * shape.rows,
               floats(to_x) + begin * shape.in(), end - begin);
      });
    }
    if (saved.weights_rounded) {
      to_weights = torch::empty(saved.weight_codes.sizes());
      const ByteWeightGradient of(shape, saved.range, floats(largest), images);
      ByteWeightGradient::Sums sums = of.none();
      std::mutex mutex;
      by_images(images, [&](int64_t begin, int64_t end) {
        ByteWeightGradient::Sums own = of.none();
        of.add(bytes(saved.codes) + begin * shape.in(), floats(gradient) + begin * shape.out(),
               end - begin, own);
        const std::lock_guard lock(mutex);
        sums.add(own);
      });
      of.finish(sums, saved.scale, floats(to_weights));
    }
    const torch::Tensor none;
    return {to_x, to_weights, none, none, none, none};
  }
};

torch::Tensor signed_codes_of(const ByteOperand& x) {
  const torch::Tensor values = x.values.contiguous();
  torch::Tensor codes = torch::empty(values.sizes(), torch::kChar);
  at::parallel_for(0, values.numel(), kGrain, [&](int64_t begin, int64_t end) {
    to_signed_bytes(floats(values) + begin, x.scale, signed_bytes(codes) + begin, end - begin);
  });
  return codes;
}

struct Product : torch::autograd::Function<Product> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weights, const ByteOperand& operand,
                               const ByteWeights& of_weights, bool rounded) {
    const LinearShape shape{x.size(1), weights.size(0)};
    const int64_t samples = x.size(0);
    const torch::Tensor codes = signed_codes_of(operand), weight_codes = codes_of(of_weights);
    torch::Tensor out = torch::empty({samples, shape.rows});
    const ByteLinear linear(shape, operand.range, signed_bytes(weight_codes),
                            floats(of_weights.scales), operand.scale);
    at::parallel_for(0, samples, kSamples, [&](int64_t begin, int64_t end) {
      linear.run(signed_bytes(codes) + begin * shape.columns, floats(out) + begin * shape.rows,
                 end - begin);
    });
    save(*context, {x, weights, codes, weight_codes, of_weights.scales, operand.range,
                    operand.scale, rounded && bytes_reach_operand(shape, operand.range),
                    rounded && bytes_reach_weights(shape, operand.range, samples)});
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const Saved saved = restore(*context);
    const LinearShape shape{saved.codes.size(1), saved.weight_codes.size(0)};
    const torch::Tensor gradient = gradients[0].contiguous();
    const int64_t samples = gradient.size(0);
    torch::Tensor to_x, to_weights;
    if (context->needs_input_grad(0)) {
      if (saved.x_rounded) {
        to_x = torch::empty({samples, shape.columns});
        const ByteLinearOperandGradient of(shape, saved.range, signed_bytes(saved.weight_codes),
                                           floats(saved.scales));
        at::parallel_for(0, samples, kSamples, [&](int64_t begin, int64_t end) {
          of.run(floats(gradient) + begin * shape.rows, floats(to_x) + begin * shape.columns,
                 end - begin);
        });
      } else {
        to_x = gradient.mm(saved.weights);
      }
    }
    if (saved.weights_rounded) {
      to_weights = torch::empty({shape.rows, shape.columns});
      const ByteLinearWeightGradient of(shape, saved.range, signed_bytes(saved.codes),
                                        floats(gradient), samples, saved.scale);
      at::parallel_for(
          0, up(shape.rows, kByteRows) / kByteRows, 1, [&](int64_t begin, int64_t end) {
            of.run(floats(to_weights), begin * kByteRows, std::min(end * kByteRows, shape.rows));
          });
    } else {
      to_weights = gradient.t().mm(saved.x);
    }
    const torch::Tensor none;
    return {to_x, to_weights, none, none, none};
  }
};

}  // namespace

ByteShape byte_shape(const torch::Tensor& x, const torch::Tensor& weights,
                     torch::IntArrayRef padding) {
  ByteShape shape;
  shape.channels = x.size(1);
  shape.rows = weights.size(0);
  shape.width = x.size(-1);
  shape.kernel_width = weights.size(-1);
  shape.padding_width = padding.back();
  if (x.dim() == 4) {
    shape.height = x.size(2);
    shape.kernel_height = weights.size(2);
    shape.padding_height = padding[0];
  }
  return shape;
}

torch::Tensor convolve(const ByteOperand& x, const ByteWeights& weights, torch::IntArrayRef padding,
                       bool rounded) {
  return Convolution::apply(x.values, weights.values, x, weights, padding.vec(), rounded);
}

torch::Tensor multiply(const ByteOperand& x, const ByteWeights& weights, bool rounded) {
  return Product::apply(x.values, weights.values, x, weights, rounded);
}

}  // namespace foldstream::train
