// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "src/source/unary.h"

namespace foldstream {
namespace {

// In double, rounded once; whether libm's tanh keeps the order of every two floats isn't known.
float apply(float x) { return static_cast<float>(std::tanh(static_cast<double>(x))); }

constexpr Unary kTanh{"tanh", "Tanh", "hyperbolic tangent", apply, 0};

}  // namespace

extern const Op op_tanh;
constinit const Op op_tanh = unary_op<kTanh>();

}  // namespace foldstream
