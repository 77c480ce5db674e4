// SPDX-License-Identifier: Apache-2.0
// What the elementwise source operators share: operands broadcast as numpy's do, floats are float32
// and every operation rounds to it, integers (shape arithmetic) wrap around in their type.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/lowering.h"

namespace foldstream {

// One float operand, one float result of its shape.
std::vector<Type> infer_unary(const Node& node);
std::vector<Tensor> eval_unary(std::span<const Tensor* const> in, float (*apply)(float x));

// Two operands of one element type.
std::vector<Type> infer_binary(const Node& node);
std::vector<Tensor> eval_binary(const Node& node, std::span<const Tensor* const> in,
                                float (*reals)(float a, float b),
                                int64_t (*integers)(int64_t a, int64_t b));

// A step of one operand without constants. `direction` as in Step.
void lower_unary(Lowering& lowering, float (*apply)(float x), int direction);

// x (op) k with k a constant of one channel; `flipped` when the constant is operand 0: k (op) x.
struct BinaryStep {
  float (*apply)(float a, float b);
  int (*direction)(double k, bool flipped);
  // Nothing when it isn't affine.
  std::optional<std::pair<double, double>> (*affine)(double k, bool flipped);
};
// A step where one operand is a constant; `join`, when there is one, where both are computed.
void lower_binary(Lowering& lowering, const BinaryStep& step,
                  void (*join)(Lowering& lowering) = nullptr);

// The real values of a constant operand, whether quantized or not.
Tensor constant_values(const Traced& traced);

}  // namespace foldstream
