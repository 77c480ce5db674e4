// SPDX-License-Identifier: Apache-2.0
#include "src/train/muon.h"

#include <gtest/gtest.h>

#include <tuple>
#include <vector>

namespace foldstream::train {
namespace {

torch::Tensor singular_values(const torch::Tensor& weights) {
  return std::get<1>(torch::svd(weights.flatten(1).to(torch::kDouble)));
}

TEST(MuonTest, SingularValuesBecomeAboutOne) {
  torch::manual_seed(2);
  const std::vector<std::vector<int64_t>> shapes = {{10, 10}, {64, 32, 3, 3}, {96, 8}, {8, 96}};
  for (const auto& shape : shapes) {
    for (const double size : {1e-6, 1.0, 1e6}) {
      for (const bool half : {false, true}) {
        // A part that is a tenth of the rest moves weights as far.
        torch::Tensor weights = torch::randn(shape) * size;
        weights.narrow(0, 0, shape[0] / 2).mul_(0.1);
        const torch::Tensor found = orthogonal(weights, half);
        ASSERT_EQ(found.sizes(), weights.sizes());
        ASSERT_EQ(found.scalar_type(), torch::kFloat);
        const torch::Tensor values = singular_values(found);
        EXPECT_LT(values.max().item<double>(), 1.3) << found.sizes() << half;
        if (shape[0] != 10) {
          EXPECT_GT(values.min().item<double>(), 0.6) << found.sizes() << half;
        }
        // The directions stay: each singular vector with itself.
        EXPECT_GT((found * weights).sum().item<double>(), 0);
      }
    }
  }
}

TEST(MuonTest, NoGradientIsNoStep) {
  const torch::Tensor none = torch::zeros({4, 6});
  EXPECT_TRUE(torch::equal(muon_direction(none, none, false), none));
}

TEST(MuonTest, ADirectionFollowsMomentumAndGradientInStepsLikeAdams) {
  torch::manual_seed(3);
  const std::vector<std::vector<int64_t>> shapes = {
      {64, 64}, {128, 64, 3, 3}, {16, 400}, {400, 16}};
  for (const auto& shape : shapes) {
    const torch::Tensor gradient = torch::randn(shape), momentum = torch::randn(shape);
    const torch::Tensor direction = muon_direction(gradient, momentum, false);
    EXPECT_NEAR(direction.square().mean().sqrt().item<double>(), 0.2, 0.05) << direction.sizes();
    const torch::Tensor ahead = gradient * (1 - kMuonMomentum) + momentum * kMuonMomentum;
    const torch::Tensor along = orthogonal(ahead, false);
    const torch::Tensor cosine = (direction * along).sum() / (direction.norm() * along.norm());
    EXPECT_NEAR(cosine.item<double>(), 1, 1e-5) << direction.sizes();
  }
}

}  // namespace
}  // namespace foldstream::train
