// SPDX-License-Identifier: Apache-2.0
#include "src/train/device_kernels.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <map>
#include <string>

#include "src/train/device_cases.h"
#include "src/train/device_emulation.h"
#include "src/train/device_kernels.cu"
#include "src/train/device_optimizer.h"
#include "src/train/network.h"
#include "src/train/operations.h"

namespace foldstream::train {
namespace {

class EmulatedRunner : public KernelRunner {
 private:
  void launch(const std::string& kernel, int64_t blocks, const void* work) const override {
    using Of = void (*)(CodesWork);
    static const std::map<std::string, Of, std::less<>> kOfCodes = {
        {"moments_float", moments_float},
        {"moments_half", moments_half},
        {"codes_float", codes_float},
        {"codes_half", codes_half},
        {"pooled_codes_half", pooled_codes_half},
        {"gradient_sums_float", gradient_sums_float},
        {"gradient_sums_half", gradient_sums_half},
        {"pooled_gradient_sums_half", pooled_gradient_sums_half},
        {"gradient_float", gradient_float},
        {"gradient_half", gradient_half},
        {"pooled_gradient_half", pooled_gradient_half}};
    if (kernel == "adam") {
      emulate(blocks, [&] { adam(*static_cast<const AdamWork*>(work)); });
    } else if (kernel == "samples") {
      emulate(blocks, [&] { samples(*static_cast<const SamplesWork*>(work)); });
    } else {
      const Of of = kOfCodes.at(kernel);
      emulate(blocks, [&] { of(*static_cast<const CodesWork*>(work)); });
    }
  }
  static void emulate(int64_t blocks, const std::function<void()>& kernel) {
    emulation::Threads::all().run(blocks, kernel);
  }
};

struct Case {
  std::vector<int64_t> shape;
  int bits;
  bool is_signed;
  Estimator estimator;
  double width, value;
  int64_t window;
};

class NormalizedCodesTest : public testing::TestWithParam<Case> {};

// Against batch normalization, pool and quantizer as operations of their own, in floats. In
// bfloat16 the operands are the same numbers, and results differ by their last rounding.
TEST_P(NormalizedCodesTest, AgreesWithTheOperations) {
  const Case& c = GetParam();
  const EmulatedRunner runner;
  torch::manual_seed(7);
  const int64_t channels = c.shape[1];
  const bool half = c.shape.size() == 4;
  torch::Tensor x = torch::randn(c.shape) * 5 + 2;
  if (half) x = x.to(torch::kBFloat16).contiguous(torch::MemoryFormat::ChannelsLast);
  Quantizer quantizer;
  quantizer.bits = c.bits;
  quantizer.is_signed = c.is_signed;
  quantizer.narrow = c.is_signed;
  quantizer.estimator = c.estimator;
  quantizer.width = c.width;
  quantizer.value = c.value;
  const torch::Tensor weight = torch::rand({channels}) + 0.5, bias = torch::randn({channels}) * 0.3;
  struct Side {
    torch::Tensor x, weight, bias, mean, variance, out;
  };
  const auto side = [&](const torch::Tensor& operand) {
    return Side{operand.detach().clone().requires_grad_(true),
                weight.clone().requires_grad_(true),
                bias.clone().requires_grad_(true),
                torch::full({channels}, 1.5),
                torch::full({channels}, 9.0),
                {}};
  };
  const auto by = [](const Side& side) {
    return Normalization{side.weight, side.bias, side.mean, side.variance, 0.1, 1e-4};
  };
  Side expected = side(x.to(torch::kFloat).contiguous()), found = side(x);
  torch::Tensor values = normalized(expected.x, by(expected));
  if (c.window > 1) values = torch::max_pool2d(values, c.window, c.window);
  expected.out = quantized(values, c.value, quantizer);
  const NormalizedCodes how{.by = by(found),
                            .quantizer = &quantizer,
                            .window = c.window,
                            .finished = torch::zeros({1}, torch::kInt)};
  ASSERT_TRUE(kernels_take(found.x, c.window));
  found.out = normalized_codes(runner, found.x, how);
  // Values at a threshold may fall to either side.
  const torch::Tensor same = found.out.to(torch::kFloat).eq(expected.out);
  EXPECT_GT(same.to(torch::kFloat).mean().item<double>(), 0.9999);
  const torch::Tensor slope = torch::randn(expected.out.sizes()).to(torch::kBFloat16);
  expected.out.backward(slope.to(torch::kFloat));
  found.out.backward(half ? slope.contiguous(torch::MemoryFormat::ChannelsLast)
                          : slope.to(torch::kFloat));
  EXPECT_EQ(how.finished.item<int>(), 0);
  const auto close = [](const torch::Tensor& a, const torch::Tensor& b, double tolerance) {
    const double size = b.abs().max().item<double>();
    EXPECT_LE((a.to(torch::kFloat) - b).abs().max().item<double>(), tolerance * size);
  };
  close(found.mean, expected.mean, 1e-5);
  close(found.variance, expected.variance, 1e-5);
  close(found.weight.grad(), expected.weight.grad(), 1e-4);
  close(found.bias.grad(), expected.bias.grad(), 1e-4);
  close(found.x.grad(), expected.x.grad(), half ? 5e-3 : 1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, NormalizedCodesTest,
    testing::Values(Case{{40, 64}, 1, true, Estimator::straight, 1, 1, 1},
                    Case{{41, 24}, 2, true, Estimator::triangle, 1.5, 0.5, 1},
                    Case{{3, 1024}, 4, false, Estimator::straight, 1, 0.25, 1},
                    Case{{5, 64, 9, 7}, 1, true, Estimator::triangle, 1, 1, 1},
                    Case{{2, 512, 3, 3}, 2, true, Estimator::straight, 1.5, 1, 1},
                    Case{{3, 64, 12, 10}, 2, true, Estimator::straight, 1, 1, 2},
                    Case{{4, 136, 4, 6}, 1, true, Estimator::triangle, 1, 1, 2},
                    Case{{4, 128, 2, 2}, 3, true, Estimator::triangle, 1, 1, 2}));

TEST(NormalizedCodesTest, WhatIsNoNumberStaysSo) {
  const EmulatedRunner runner;
  Quantizer quantizer;
  quantizer.bits = 2;
  const auto vector = [](double value) { return torch::full({8}, value); };
  const NormalizedCodes how{.by = {vector(1), vector(0), vector(0), vector(1), 0.1, 1e-4},
                            .quantizer = &quantizer,
                            .window = 1,
                            .finished = torch::zeros({1}, torch::kInt)};
  torch::Tensor x = torch::randn({16, 8});
  x[3][5] = std::nan("");
  const torch::Tensor out = normalized_codes(runner, x, how);
  EXPECT_TRUE(out.select(1, 5).isnan().all().item<bool>());
  EXPECT_FALSE(out.select(1, 4).isnan().any().item<bool>());
}

TEST(AdamKernelTest, AgreesWithTheOperations) {
  const EmulatedRunner runner;
  std::vector<Parameter> one = parameters(37, 20, false), other = parameters(37, 20, false);
  DeviceOptimizer by_kernel(one, false, &runner), by_operations(other, false, nullptr);
  for (int64_t step = 1; step <= 10; ++step) {
    for (size_t i = 0; i < one.size(); ++i) {
      const torch::Tensor gradient = torch::randn(one[i].value.sizes());
      one[i].leaf().mutable_grad() = gradient;
      other[i].leaf().mutable_grad() = gradient.clone();
    }
    const torch::Tensor numbers = DeviceOptimizer::numbers(AdamStep(0.05, 0.01, step));
    by_kernel.step(one, numbers);
    by_operations.step(other, numbers);
  }
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_FALSE(one[i].leaf().grad().defined());
    EXPECT_TRUE(torch::allclose(one[i].value, other[i].value, 1e-5, 1e-6)) << i;
    EXPECT_TRUE(torch::allclose(one[i].first, other[i].first, 1e-5, 1e-6)) << i;
    EXPECT_TRUE(torch::allclose(one[i].second, other[i].second, 1e-5, 1e-6)) << i;
    if (!one[i].codes.defined()) continue;
    EXPECT_TRUE(torch::equal(one[i].codes,
                             quantized(one[i].value, one[i].quantizer->value, *one[i].quantizer)))
        << i;
  }
}

// Where the kernels take a layer's operand, and where they don't and its layers are computed one by
// one: convolutions have floats here.
TEST(NetworkByKernelsTest, GivesTheGradientsOfTheOperations) {
  const Recipe recipe = parse_recipe(R"(
name = "r"
input = [1, 8, 8]
classes = 3
[data]
set = "mnist"
validation = 1
[training]
epochs = 1
[quantizer.q]
bits = 2
[[layer]]
type = "quantize"
quantizer = "q"
[[layer]]
type = "conv"
channels = 8
kernel = 3
weights = "q"
[[layer]]
type = "batch_norm"
[[layer]]
type = "quantize"
quantizer = "q"
[[layer]]
type = "max_pool"
kernel = 2
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
units = 16
weights = "q"
[[layer]]
type = "batch_norm"
[[layer]]
type = "quantize"
quantizer = "q"
[[layer]]
type = "linear"
units = 3
weights = "q"
[[layer]]
type = "tensor_norm"
)",
                                     "r.toml");
  // Counts what it runs.
  class CountingRunner : public KernelRunner {
   public:
    mutable std::map<std::string, int> counts;

   private:
    void launch(const std::string& kernel, int64_t blocks, const void* work) const override {
      ++counts[kernel];
      runner_.run(kernel, blocks, *static_cast<const CodesWork*>(work));
    }
    EmulatedRunner runner_;
  };
  const CountingRunner runner;
  Network plain(recipe, 1, torch::kCPU), joined(recipe, 1, torch::kCPU, true, &runner);
  torch::manual_seed(5);
  const torch::Tensor x = torch::randn({30, 1, 8, 8}), slope = torch::randn({30, 3});
  const torch::Tensor expected = plain.forward(x, true), found = joined.forward(x, true);
  EXPECT_TRUE(torch::allclose(found, expected, 1e-4, 1e-4));
  expected.backward(slope);
  found.backward(slope);
  EXPECT_EQ(runner.counts, (std::map<std::string, int>{{"moments_float", 1},
                                                       {"codes_float", 1},
                                                       {"gradient_sums_float", 1},
                                                       {"gradient_float", 1}}));
  // A step that goes nowhere leaves the gradients in its moments.
  plain.step(0, 0, 1);
  joined.step(0, 0, 1);
  const State one = plain.state(true), other = joined.state(true);
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_TRUE(torch::allclose(other[i].second, one[i].second, 1e-3, 1e-5)) << one[i].first;
  }
  EXPECT_TRUE(torch::allclose(joined.forward(x, false), plain.forward(x, false), 1e-3, 1e-3));
}

TEST(SamplesKernelTest, GivesTheFloatsOfFillBatch) {
  const EmulatedRunner runner;
  Augmentation none, moved;
  moved.shift = 4;
  moved.flip = true;
  for (const Augmentation& augment : {none, moved}) {
    expect_floats_of_fill_batch(images(true), augment, &runner);
  }
}

TEST(KernelsTakeTest, WhatIsInTheOrderTheyRead) {
  const auto planes = [](std::vector<int64_t> shape) {
    return torch::zeros(shape, torch::kBFloat16).contiguous(torch::MemoryFormat::ChannelsLast);
  };
  EXPECT_TRUE(kernels_take(planes({2, 8, 4, 4}), 2));
  EXPECT_FALSE(kernels_take(planes({2, 8, 5, 4}), 2));
  EXPECT_FALSE(kernels_take(planes({2, 12, 4, 4}), 1));
  EXPECT_FALSE(kernels_take(planes({2, 2048, 4, 4}), 1));
  EXPECT_FALSE(kernels_take(planes({2, 8, 6, 6}), 3));
  EXPECT_FALSE(kernels_take(torch::zeros({2, 8, 4, 4}, torch::kBFloat16), 1));
  EXPECT_FALSE(kernels_take(planes({2, 8, 4, 4}).to(torch::kFloat), 1));
  EXPECT_TRUE(kernels_take(torch::zeros({2, 8}), 1));
}

}  // namespace
}  // namespace foldstream::train
