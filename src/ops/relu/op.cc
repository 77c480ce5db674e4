// SPDX-License-Identifier: Apache-2.0
#include "src/source/unary.h"

namespace foldstream {
namespace {

float apply(float x) { return x < 0 ? 0.0F : x; }

constexpr Unary kRelu{"relu", "Relu", "max(x, 0)", apply, 1};

}  // namespace

extern const Op op_relu;
constinit const Op op_relu = unary_op<kRelu>();

}  // namespace foldstream
