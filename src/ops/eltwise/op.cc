// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/ops/eltwise/eltwise.h"
#include "src/util/error.h"

namespace foldstream::eltwise {
namespace {

struct Named {
  std::string_view name;
  std::string_view onnx;
};
// In the order of Function.
constexpr Named kFunctions[] = {
    {"add", "Add"},         {"sub", "Sub"},
    {"mul", "Mul"},         {"max", "Max"},
    {"min", "Min"},         {"equal", "Equal"},
    {"greater", "Greater"}, {"greater_equal", "GreaterOrEqual"},
    {"less", "Less"},       {"less_equal", "LessOrEqual"},
};

int64_t channels(const Node& node) { return node.in_type(0).shape.back(); }

struct Bounds {
  int64_t lo, hi;
};

Bounds hull(std::initializer_list<int64_t> values) {
  const auto [lo, hi] = std::minmax(values);
  return {lo, hi};
}

// Of factors * operand over all channels, and of both operands' sum channel by channel.
Bounds sum_bounds(const Node& node, const Type& a, const Type& b) {
  const std::vector<int64_t> fa = factors(node, 0), fb = factors(node, 1);
  if (fa.empty()) return {a.min() + b.min(), a.max() + b.max()};
  Bounds all{INT64_MAX, INT64_MIN};
  for (size_t c = 0; c < fa.size(); ++c) {
    const Bounds x = hull({fa[c] * a.min(), fa[c] * a.max()});
    const Bounds y = hull({fb[c] * b.min(), fb[c] * b.max()});
    all = {std::min(all.lo, x.lo + y.lo), std::max(all.hi, x.hi + y.hi)};
  }
  return all;
}

void check_factors(const Node& node) {
  const Tensor* tensor = node.tensor("factors");
  if (tensor == nullptr) return;
  if (function(node) != Function::add) {
    throw Error("'factors' with a function other than add", "leave them out, or add");
  }
  const Shape wide{2, channels(node)};
  if (tensor->type.is_float || (tensor->type.shape != Shape{2} && tensor->type.shape != wide)) {
    throw Error(fmt::format("'factors' is {}", to_string(tensor->type)),
                fmt::format("expected integers of shape [2] or {}", to_string(wide)));
  }
  if (tensor->type.bits > 31) {
    throw Error(fmt::format("'factors' of {} bits", tensor->type.bits), "legal are up to 31 bits");
  }
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 2 || node.in_type(0).is_float || node.in_type(1).is_float ||
      node.in_type(0).shape.empty()) {
    throw Error("takes two integer operands of at least one dimension");
  }
  const Type &a = node.in_type(0), &b = node.in_type(1);
  if (a.shape != b.shape) {
    throw Error(fmt::format("operands of shape {} and {}", to_string(a.shape), to_string(b.shape)),
                "both need the same shape");
  }
  if (a.bits > 31 || b.bits > 31) {
    throw Error(fmt::format("operands of {} and {} bits", a.bits, b.bits),
                "legal are up to 31 bits each");
  }
  check_factors(node);
  const auto bounds = [&]() -> Bounds {
    switch (function(node)) {
      case Function::add:
        return sum_bounds(node, a, b);
      case Function::sub:
        return {a.min() - b.max(), a.max() - b.min()};
      case Function::mul:
        return hull({a.min() * b.min(), a.min() * b.max(), a.max() * b.min(), a.max() * b.max()});
      case Function::max:
        return {std::max(a.min(), b.min()), std::max(a.max(), b.max())};
      case Function::min:
        return {std::min(a.min(), b.min()), std::min(a.max(), b.max())};
      default:
        return {0, 1};
    }
  }();
  return {type_for_range(bounds.lo, bounds.hi, a.shape)};
}

template <class Compute>
Tensor each(const Node& node, std::span<const Tensor* const> in, const Compute& compute) {
  Tensor out = make_zero(node.out[0]);
  const int64_t *a = in[0]->ints.data(), *b = in[1]->ints.data();
  for (size_t i = 0; i < out.ints.size(); ++i) out.ints[i] = compute(a[i], b[i]);
  return out;
}

Tensor weighted_sum(const Node& node, std::span<const Tensor* const> in) {
  const std::vector<int64_t> fa = factors(node, 0), fb = factors(node, 1);
  Tensor out = make_zero(node.out[0]);
  const auto count = static_cast<size_t>(channels(node));
  for (size_t first = 0; first < out.ints.size(); first += count) {
    for (size_t c = 0; c < count; ++c) {
      const size_t f = fa.size() == 1 ? 0 : c;
      out.ints[first + c] = fa[f] * in[0]->ints[first + c] + fb[f] * in[1]->ints[first + c];
    }
  }
  return out;
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const auto by = [&](const auto& compute) { return std::vector{each(node, in, compute)}; };
  switch (function(node)) {
    case Function::add:
      if (node.tensor("factors") != nullptr) return {weighted_sum(node, in)};
      return by([](int64_t a, int64_t b) { return a + b; });
    case Function::sub:
      return by([](int64_t a, int64_t b) { return a - b; });
    case Function::mul:
      return by([](int64_t a, int64_t b) { return a * b; });
    case Function::max:
      return by([](int64_t a, int64_t b) { return std::max(a, b); });
    case Function::min:
      return by([](int64_t a, int64_t b) { return std::min(a, b); });
    case Function::equal:
      return by([](int64_t a, int64_t b) { return int64_t{a == b}; });
    case Function::greater:
      return by([](int64_t a, int64_t b) { return int64_t{a > b}; });
    case Function::greater_equal:
      return by([](int64_t a, int64_t b) { return int64_t{a >= b}; });
    case Function::less:
      return by([](int64_t a, int64_t b) { return int64_t{a < b}; });
    default:
      return by([](int64_t a, int64_t b) { return int64_t{a <= b}; });
  }
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Function what = function(node);
  std::vector<std::string> operands{sink.input(0), sink.input(1)};
  if (node.tensor("factors") != nullptr) {
    for (size_t port = 0; port < 2; ++port) {
      const std::vector<int64_t> values = factors(node, port);
      const auto count = static_cast<int64_t>(values.size());
      const std::string product = sink.temporary("product");
      sink.node("", "Mul",
                {operands[port], sink.constant(make_ints(Shape{count}, values), "factors")},
                {product});
      operands[port] = product;
    }
  }
  const std::string type(kFunctions[static_cast<size_t>(what)].onnx);
  if (!compares(what)) {
    sink.node("", type, operands, {sink.output(0)});
    return;
  }
  const std::string verdict = sink.temporary("verdict", integer_type(1, false, node.out[0].shape));
  sink.node("", type, operands, {verdict});
  sink.node("", "Cast", {verdict}, {sink.output(0)}, {{"to", int64_t{1}}});
}

std::vector<Fold> folds(const Node& node) { return {{"pe", divisors(channels(node))}}; }

Ports ports(const Node& node) {
  const int64_t pe = folding(node, "pe", channels(node), "channels");
  const auto stream = [&](const Type& type) { return Stream{pe, type.bits, type.count() / pe}; };
  return {.in = {stream(node.in_type(0)), stream(node.in_type(1))}, .out = {stream(node.out[0])}};
}

}  // namespace

Function function(const Node& node) {
  const std::string name = node.text("function", "");
  for (size_t i = 0; i < std::size(kFunctions); ++i) {
    if (kFunctions[i].name == name) return static_cast<Function>(i);
  }
  std::string legal;
  for (const Named& known : kFunctions) {
    legal += fmt::format("{}{}", legal.empty() ? "" : ", ", known.name);
  }
  throw Error(fmt::format("function = '{}'", name), "legal values are " + legal);
}

std::vector<int64_t> factors(const Node& node, size_t port) {
  const Tensor* tensor = node.tensor("factors");
  if (tensor == nullptr) return {};
  const auto count = static_cast<std::ptrdiff_t>(tensor->ints.size() / 2);
  const auto first = tensor->ints.begin() + static_cast<std::ptrdiff_t>(port) * count;
  return {first, first + count};
}

}  // namespace foldstream::eltwise

namespace foldstream {

extern const Op op_eltwise;
const Op op_eltwise{.name = "eltwise",
                    .doc = "a function of two streams, element by element",
                    .kind = Op::Kind::hardware,
                    .to_onnx = eltwise::to_onnx,
                    .infer = eltwise::infer,
                    .eval = eltwise::eval,
                    .folds = eltwise::folds,
                    .ports = eltwise::ports,
                    .rhythm = eltwise::rhythm,
                    .cost = eltwise::cost,
                    .emit = eltwise::emit,
                    .finn_name = "AddStreams",
                    .kernels = &eltwise::kernels};

}  // namespace foldstream
