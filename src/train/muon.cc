// SPDX-License-Identifier: Apache-2.0
#include "src/train/muon.h"

#include <algorithm>
#include <cmath>

namespace foldstream::train {
namespace {

// x -> a x + b x^3 + c x^5, five times, takes what is between 1e-3 and 1 to about 1: steep at 0,
// which takes fewer rounds than converging to 1 exactly.
constexpr int kRounds = 5;
constexpr double kStep = 0.2;  // root mean square of a direction's elements
constexpr double kFirst = 3.4445, kThird = -4.7750, kFifth = 2.0315;

}  // namespace

torch::Tensor orthogonal(const torch::Tensor& weights, bool half) {
  torch::Tensor x = weights.flatten(1);
  const bool tall = x.size(0) > x.size(1);
  if (tall) x = x.t();
  // The largest singular value is at most the norm.
  x = x / (x.norm() + 1e-20);
  if (half) x = x.to(torch::kBFloat16);
  for (int round = 0; round < kRounds; ++round) {
    const torch::Tensor squares = x.mm(x.t());
    x = x * kFirst + (squares * kThird + squares.mm(squares) * kFifth).mm(x);
  }
  if (tall) x = x.t();
  return x.to(weights.scalar_type()).reshape(weights.sizes());
}

torch::Tensor muon_direction(const torch::Tensor& gradient, const torch::Tensor& momentum,
                             bool half) {
  // Ahead of the momentum by the newest gradient once more (Nesterov).
  const torch::Tensor ahead = gradient.lerp(momentum, kMuonMomentum);
  const int64_t rows = ahead.size(0), columns = ahead.numel() / rows;
  return orthogonal(ahead, half) *
         (kStep * std::sqrt(static_cast<double>(std::max(rows, columns))));
}

}  // namespace foldstream::train
