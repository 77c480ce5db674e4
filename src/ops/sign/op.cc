// SPDX-License-Identifier: Apache-2.0
#include "src/source/unary.h"

namespace foldstream {
namespace {

float apply(float x) { return x > 0 ? 1.0F : x < 0 ? -1.0F : x == 0 ? 0.0F : x; }

constexpr Unary kSign{"sign", "Sign", "-1, 0 or 1", apply, 1};

}  // namespace

extern const Op op_sign;
constinit const Op op_sign = unary_op<kSign>();

}  // namespace foldstream
