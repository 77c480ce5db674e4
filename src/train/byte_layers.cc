// SPDX-License-Identifier: Apache-2.0
#include "src/train/byte_layers.h"

#include <mutex>
#include <tuple>
#include <vector>

namespace foldstream::train {
namespace {

constexpr int64_t kGrain = 1 << 15;  // elements that are worth a thread

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
    const bool x_rounded = rounded && bytes_reach_operand(shape, range);
    const bool weights_rounded = rounded && bytes_reach_weights(shape, range, images);
    const bool in_floats = !x_rounded || !weights_rounded;
    const torch::Tensor none;
    context->save_for_backward(
        {in_floats ? x : none, in_floats ? weights : none, codes, weight_codes, of_weights.scales});
    context->saved_data["x rounded"] = x_rounded;
    context->saved_data["weights rounded"] = weights_rounded;
    context->saved_data["x"] = x.sizes().vec();
    context->saved_data["weights"] = weights.sizes().vec();
    context->saved_data["padding"] = padding;
    context->saved_data["lowest"] = range.lowest;
    context->saved_data["highest"] = range.highest;
    context->saved_data["weight"] = range.weight;
    context->saved_data["scale"] = static_cast<double>(operand.scale);
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &weights = saved[1], &codes = saved[2];
    const torch::Tensor &weight_codes = saved[3], &scales = saved[4];
    const auto& data = context->saved_data;
    const auto sizes = data.at("x").toIntVector(), weight_sizes = data.at("weights").toIntVector();
    const auto padding = data.at("padding").toIntVector();
    const ByteRange range{data.at("lowest").toInt(), data.at("highest").toInt(),
                          data.at("weight").toInt()};
    const torch::Tensor gradient = gradients[0].contiguous();
    const ByteShape shape = byte_shape(codes, weight_codes, padding);
    const int64_t images = sizes[0];
    const bool of_x = context->needs_input_grad(0);
    const bool x_rounded = data.at("x rounded").toBool();
    const bool weights_rounded = data.at("weights rounded").toBool();
    const bool find_x = of_x && !x_rounded;
    torch::Tensor to_x, to_weights, largest;
    if (find_x || !weights_rounded) {
      const std::vector<int64_t> ones(padding.size(), 1), zeros(padding.size(), 0);
      std::tie(to_x, to_weights, std::ignore) =
          at::convolution_backward(gradient, x, weights, c10::nullopt, ones, padding, ones, false,
                                   zeros, 1, {find_x, !weights_rounded, false});
    }
    if ((of_x && x_rounded) || weights_rounded) {
      largest = torch::empty({images, shape.rows});
      by_images(images, [&](int64_t begin, int64_t end) {
        largest_magnitudes(shape, floats(gradient) + begin * shape.out(), end - begin,
                           floats(largest) + begin * shape.rows);
      });
    }
    if (of_x && x_rounded) {
      to_x = torch::empty(sizes);
      const ByteOperandGradient of(shape, range, signed_bytes(weight_codes), floats(scales));
      by_images(images, [&](int64_t begin, int64_t end) {
        of.run(floats(gradient) + begin * shape.out(), floats(largest) + begin * shape.rows,
               floats(to_x) + begin * shape.in(), end - begin);
      });
    }
    if (weights_rounded) {
      to_weights = torch::empty(weight_sizes);
      const ByteWeightGradient of(shape, range, floats(largest), images);
      ByteWeightGradient::Sums sums = of.none();
      std::mutex mutex;
      by_images(images, [&](int64_t begin, int64_t end) {
        ByteWeightGradient::Sums own = of.none();
        of.add(bytes(codes) + begin * shape.in(), floats(gradient) + begin * shape.out(),
               end - begin, own);
        const std::lock_guard lock(mutex);
        sums.add(own);
      });
      of.finish(sums, static_cast<float>(data.at("scale").toDouble()), floats(to_weights));
    }
    const torch::Tensor none;
    return {to_x, to_weights, none, none, none, none};
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

}  // namespace foldstream::train
