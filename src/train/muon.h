// SPDX-License-Identifier: Apache-2.0
// Muon, an optimizer for matrices: a step is the momentum with all its singular values made about
// equal, so that rare directions of the gradient move weights as far as frequent ones do (K. Jordan
// et al., "Muon: An optimizer for hidden layers in neural networks", 2024).
#pragma once

#include <torch/types.h>

namespace foldstream::train {

// The share of the momentum that stays from one step to the next.
inline constexpr double kMuonMomentum = 0.95;

// `weights` [rows, ...] as a matrix [rows, columns] with singular values between about 0.7 and 1.2
// instead of its own, in its shape and type; those below a 500th of its Frobenius norm come out
// smaller. Computed in bfloat16 where `half`.
torch::Tensor orthogonal(const torch::Tensor& weights, bool half);

// The direction of a step, from the gradient and the momentum, which has taken the gradient in
// before. Its elements are about 0.2 (root mean square), as those of Adam's steps are, so that both
// do with one rate (J. Liu et al., "Muon is scalable for LLM training", 2025).
torch::Tensor muon_direction(const torch::Tensor& gradient, const torch::Tensor& momentum,
                             bool half);

}  // namespace foldstream::train
