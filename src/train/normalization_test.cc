// SPDX-License-Identifier: Apache-2.0
// Normalization against tensor operations, and what is one operation against one for each part.
#include "src/train/normalization.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <vector>

#include "src/train/operations.h"

namespace foldstream::train {
namespace {

// Results, gradients and running statistics of a normalization.
std::vector<torch::Tensor> of_normalization(const torch::Tensor& x, torch::ScalarType type) {
  const int64_t channels = x.size(1);
  torch::manual_seed(4);
  const auto some = [&] { return torch::rand({channels}).add(0.5).to(type); };
  const torch::Tensor operand = x.detach().clone().to(type).requires_grad_(true);
  const torch::Tensor weight = some().requires_grad_(true), bias = some().requires_grad_(true);
  const torch::Tensor mean = some(), variance = some();
  const torch::Tensor y = normalized(operand, {weight, bias, mean, variance, 0.1, 1e-4});
  (y * torch::randn(x.sizes()).to(type)).sum().backward();
  return {y.detach(), operand.grad(), weight.grad(), bias.grad(), mean, variance};
}

TEST(NormalizationTest, KernelsAndTensorOperationsAgree) {
  const std::vector<std::vector<int64_t>> shapes = {{100, 37},  {2, 1},       {1, 1, 250},
                                                    {5, 3, 21}, {4, 6, 9, 7}, {4, 6, 8, 4}};
  for (const std::vector<int64_t>& shape : shapes) {
    torch::manual_seed(6);
    const torch::Tensor x = torch::randn(shape) * 20 + 30;
    const auto kernels = of_normalization(x, torch::kFloat);
    const auto operations = of_normalization(x, torch::kDouble);  // no kernel
    for (size_t i = 0; i < kernels.size(); ++i) {
      EXPECT_TRUE(torch::allclose(kernels[i], operations[i].to(torch::kFloat), 1e-4, 1e-4))
          << torch::IntArrayRef(shape) << ": " << i << "\n"
          << kernels[i] - operations[i];
    }
  }
}

struct CodesCase {
  std::vector<int64_t> shape;
  int64_t window;
};

class NormalizedCodesInMemoryTest : public testing::TestWithParam<CodesCase> {};

// To the bit: what is trained doesn't depend on whether layers are joined.
TEST_P(NormalizedCodesInMemoryTest, EqualItsParts) {
  const auto& [shape, window] = GetParam();
  const int64_t channels = shape[1];
  for (const int bits : {1, 2, 4}) {
    for (const Estimator estimator : {Estimator::straight, Estimator::triangle}) {
      Quantizer quantizer;
      quantizer.bits = bits;
      quantizer.is_signed = bits < 4;
      quantizer.narrow = true;
      quantizer.estimator = estimator;
      quantizer.width = 1.5;
      quantizer.value = 2;
      const auto run = [&](bool joined) {
        torch::manual_seed(11);
        const torch::Tensor x = (torch::randn(shape) * 5 + 2).requires_grad_(true);
        const auto some = [&] { return torch::rand({channels}).add(0.5); };
        const Normalization by{
            some().requires_grad_(true), some().requires_grad_(true), some(), some(), 0.1, 1e-4};
        const NormalizedCodes how{by, &quantizer, window, {}};
        torch::Tensor y;
        if (joined) {
          y = normalized_codes(x, how);
        } else {
          y = normalized(x, by);
          const Shape windows(x.dim() - 2, window), zeros(x.dim() - 2, 0);
          if (window > 1) y = max_pooled(y, windows, windows, zeros);
          y = quantized(y, quantizer.value, quantizer);
        }
        y.backward(torch::randn(y.sizes()));
        return std::vector<torch::Tensor>{y.detach(),     x.grad(),        by.weight.grad(),
                                          by.bias.grad(), by.running_mean, by.running_variance};
      };
      const auto found = run(true), expected = run(false);
      EXPECT_GT(expected[1].count_nonzero().item<int64_t>(), 0);
      for (size_t i = 0; i < found.size(); ++i) {
        EXPECT_TRUE(torch::equal(found[i], expected[i])) << bits << " bits: " << i;
      }
    }
  }
}

// Many channels side by side, planes of which some go together, and windows that leave a border.
INSTANTIATE_TEST_SUITE_P(Cases, NormalizedCodesInMemoryTest,
                         testing::Values(CodesCase{{100, 37}, 1}, CodesCase{{5, 1100}, 1},
                                         CodesCase{{6, 70, 3, 3}, 1}, CodesCase{{3, 5, 30, 29}, 1},
                                         CodesCase{{4, 11, 28, 28}, 2}, CodesCase{{7, 40, 5, 7}, 2},
                                         CodesCase{{3, 6, 13, 10}, 3}, CodesCase{{4, 9, 50}, 2},
                                         CodesCase{{40, 300, 1, 1}, 1}));

}  // namespace
}  // namespace foldstream::train
