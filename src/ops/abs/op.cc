// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "src/source/unary.h"

namespace foldstream {
namespace {

float apply(float x) { return std::abs(x); }

constexpr Unary kAbs{"abs", "Abs", "magnitude", apply, 0};

}  // namespace

extern const Op op_abs;
constinit const Op op_abs = unary_op<kAbs>();

}  // namespace foldstream
