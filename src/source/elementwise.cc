// SPDX-License-Identifier: Apache-2.0
#include "src/source/elementwise.h"

#include <fmt/format.h>

#include <memory>

#include "src/util/error.h"

namespace foldstream {
namespace {

int64_t wrap(int64_t value, const Type& type) {
  if (type.bits >= 64) return value;
  const uint64_t mask = (uint64_t{1} << type.bits) - 1;
  uint64_t bits = static_cast<uint64_t>(value) & mask;
  if (type.is_signed && (bits >> (type.bits - 1)) != 0) bits |= ~mask;
  return static_cast<int64_t>(bits);
}

}  // namespace

std::vector<Type> infer_unary(const Node& node) {
  if (node.in.size() != 1) throw Error(fmt::format("has {} operands, expected 1", node.in.size()));
  if (!node.in_type(0).is_float) {
    throw Error(fmt::format("its operand is {}, expected floats", to_string(node.in_type(0))));
  }
  return {float_type(node.in_type(0).shape)};
}

std::vector<Tensor> eval_unary(std::span<const Tensor* const> in, float (*apply)(float x)) {
  Tensor out = make_zero(float_type(in[0]->type.shape));
  for (size_t i = 0; i < out.reals.size(); ++i) {
    out.reals[i] = apply(static_cast<float>(in[0]->reals[i]));
  }
  return {std::move(out)};
}

std::vector<Type> infer_binary(const Node& node) {
  if (node.in.size() != 2) throw Error(fmt::format("has {} operands, expected 2", node.in.size()));
  const Type &a = node.in_type(0), &b = node.in_type(1);
  if (element_name(a) != element_name(b)) {
    throw Error(fmt::format("its operands are {} and {}, expected one element type", to_string(a),
                            to_string(b)));
  }
  Type type = a;
  type.shape = broadcast_shape(a.shape, b.shape);
  return {type};
}

std::vector<Tensor> eval_binary(const Node& node, std::span<const Tensor* const> in,
                                float (*reals)(float a, float b),
                                int64_t (*integers)(int64_t a, int64_t b)) {
  const Type& type = node.out[0];
  Tensor out = make_zero(type);
  const int64_t count = type.count();
  const auto run = [&](const auto& apply) {
    const bool same[2] = {in[0]->type.shape == type.shape, in[1]->type.shape == type.shape};
    const auto offsets = [&](int port) {
      return same[port] || in[port]->count() == 1
                 ? std::vector<int64_t>()
                 : broadcast_offsets(in[port]->type.shape, type.shape);
    };
    const std::vector<int64_t> a = offsets(0), b = offsets(1);
    for (int64_t i = 0; i < count; ++i) {
      apply(i, same[0] ? i : a.empty() ? 0 : a[i], same[1] ? i : b.empty() ? 0 : b[i]);
    }
  };
  if (type.is_float) {
    run([&](int64_t i, int64_t a, int64_t b) {
      out.reals[i] =
          reals(static_cast<float>(in[0]->reals[a]), static_cast<float>(in[1]->reals[b]));
    });
  } else {
    run([&](int64_t i, int64_t a, int64_t b) {
      out.ints[i] = wrap(integers(in[0]->ints[a], in[1]->ints[b]), type);
    });
  }
  return {std::move(out)};
}

void lower_unary(Lowering& lowering, float (*apply)(float x), int direction) {
  Step step;
  step.apply = [apply](float x, int64_t) { return apply(x); };
  step.direction = [direction](int64_t) { return direction; };
  lowering.step(0, -1, std::move(step));
}

void lower_binary(Lowering& lowering, const BinaryStep& binary, void (*join)(Lowering&)) {
  const bool constant[2] = {lowering.in(0).is_constant(), lowering.in(1).is_constant()};
  if (!constant[0] && !constant[1]) {
    if (lowering.join(binary.apply)) return;
    if (join != nullptr) return join(lowering);
    return lowering.keep("it joins two computed values",
                         "let branches meet in a sum, a product, a maximum or a concatenation");
  }
  const int port = constant[1] ? 0 : 1;
  const bool flipped = port == 1;
  const auto channels =
      lowering.per_channel(constant_values(lowering.in(1 - port)), lowering.node().out[0].shape);
  if (!channels) {
    return lowering.keep("its constant varies along several axes",
                         "use a constant along one channel axis");
  }
  const auto values = std::make_shared<const std::vector<double>>(channels->second);
  Step step;
  step.apply = [values, binary, flipped](float x, int64_t c) {
    const auto k = static_cast<float>(entry(*values, c));
    return flipped ? binary.apply(k, x) : binary.apply(x, k);
  };
  step.direction = [values, binary, flipped](int64_t c) {
    return binary.direction(entry(*values, c), flipped);
  };
  bool affine = true;
  for (const double k : *values) affine = affine && binary.affine(k, flipped).has_value();
  if (affine) {
    step.affine = [values, binary, flipped](int64_t c) {
      return *binary.affine(entry(*values, c), flipped);
    };
  }
  lowering.step(port, channels->first, std::move(step));
}

Tensor constant_values(const Traced& traced) {
  FOLDSTREAM_CHECK(traced.is_constant());
  if (traced.real) return *traced.real;
  const Shape& shape = traced.codes->type.shape;
  Tensor out = make_zero(float_type(shape));
  int64_t inner = 1;
  for (size_t d = traced.axis + 1; traced.axis >= 0 && d < shape.size(); ++d) inner *= shape[d];
  for (int64_t i = 0; i < out.count(); ++i) {
    const int64_t c = traced.axis < 0 ? 0 : i / inner % shape[traced.axis];
    auto x =
        static_cast<float>(entry(traced.scale, c) * static_cast<double>(traced.codes->ints[i]) +
                           entry(traced.bias, c));
    for (const Step& step : traced.steps) x = step.apply(x, c);
    out.reals[i] = x;
  }
  return out;
}

}  // namespace foldstream
