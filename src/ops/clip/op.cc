// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <string>

#include "src/ir/lowering.h"
#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/expression.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Clip", "HardSigmoid", "HardSwish"};
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// min(max(alpha * x + beta, 0), 1); for HardSwish that by x.
std::vector<Value> import_hard_sigmoid(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 1);
  const Expression with(source, graph);
  const bool swish = source.type == "HardSwish";
  const double alpha = swish ? 1.0F / 6 : real_attr(source, "alpha", 0.2F);
  const double beta = swish ? 0.5 : real_attr(source, "beta", 0.5);
  const Value x = source.in[0];
  const Value scaled = with.apply("mul", {x, with.number(alpha, "alpha_value")}, "alpha");
  const Value sum = with.apply("add", {scaled, with.number(beta, "beta_value")}, "beta");
  const Value share{&graph.add(require_op("clip"), {sum}, source.name + (swish ? "_share" : ""),
                               {{"min", 0.0}, {"max", 1.0}}),
                    0};
  return {swish ? with.apply("mul", {x, share}) : share};
}

// A quantizer whose codes are clipped to the range of fewer bits, as QCDQ exports say it, is one to
// those bits. Nothing where the operand is none, or the bounds are no type's.
std::optional<Value> narrower_quantizer(const OnnxNode& source, double least, double greatest,
                                        Graph& graph) {
  const Node& quantizer = *source.in[0].node;
  if (quantizer.op != &require_op("quantize_linear")) return std::nullopt;
  const Type& all = source.in[0].type();
  for (int bits = 1; bits <= all.bits; ++bits) {
    const Type type = integer_type(bits, all.is_signed, {});
    if (static_cast<double>(type.min()) != least || static_cast<double>(type.max()) != greatest) {
      continue;
    }
    std::map<std::string, Attr, std::less<>> attr = quantizer.attr;
    std::map<std::string, Tensor, std::less<>> data = quantizer.data;
    attr["type"] = element_name(type);
    if (const auto zero = data.find("zero"); zero != data.end()) {
      for (const int64_t at : zero->second.ints) {
        if (at < type.min() || at > type.max()) return std::nullopt;
      }
      Shape shape = zero->second.type.shape;
      zero->second.type = integer_type(bits, all.is_signed, std::move(shape));
    }
    return Value{
        &graph.add(*quantizer.op, quantizer.in, source.name, std::move(attr), std::move(data)), 0};
  }
  return std::nullopt;
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  if (source.type != "Clip") return import_hard_sigmoid(source, graph);
  expect_operands(source, 1, 3);
  const auto bound = [&](std::string_view key, size_t port, double absent) {
    return source.has(port) ? scalar_operand(source, port, key) : real_attr(source, key, absent);
  };
  std::map<std::string, Attr, std::less<>> attr{{"min", bound("min", 1, -kInfinity)},
                                                {"max", bound("max", 2, kInfinity)}};
  const Type& type = source.in[0].type();
  if (type.is_float)
    return {{&graph.add(require_op("clip"), {source.in[0]}, source.name, attr), 0}};
  if (const auto quantizer = narrower_quantizer(source, std::get<double>(attr.at("min")),
                                                std::get<double>(attr.at("max")), graph)) {
    return {*quantizer};
  }
  // Other integers as floats: float32 holds those of 24 bits.
  constexpr int kExactBits = 24;
  if (type.bits > kExactBits) {
    throw Error(fmt::format("its operand is {}", to_string(type)),
                "clip floats, or integers of at most 24 bits");
  }
  const Op& cast = require_op("cast");
  Node& real = graph.add(cast, {source.in[0]}, source.name + "_real", {{"type", "f32"}});
  Node& within = graph.add(require_op("clip"), {{&real, 0}}, source.name, attr);
  return {
      {&graph.add(cast, {{&within, 0}}, source.name + "_integer", {{"type", element_name(type)}}),
       0}};
}

float clipped(const Node& node, float x) {
  const auto low = static_cast<float>(node.real("min", -kInfinity));
  const auto high = static_cast<float>(node.real("max", kInfinity));
  return std::min(std::max(x, low), high);
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  for (size_t i = 0; i < out.reals.size(); ++i) {
    out.reals[i] = clipped(node, static_cast<float>(in[0]->reals[i]));
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const auto bound = [&](std::string_view key, double absent) {
    const double value = node.real(key, absent);
    return value == absent ? std::string() : sink.constant(make_floats({}, {value}), key);
  };
  sink.node("", "Clip", {sink.input(0), bound("min", -kInfinity), bound("max", kInfinity)},
            {sink.output(0)});
}

void lower(const Node& node, Lowering& lowering) {
  Step step;
  step.apply = [&node](float x, int64_t) { return clipped(node, x); };
  step.direction = [](int64_t) { return 1; };
  lowering.step(0, -1, std::move(step));
}

}  // namespace

extern const Op op_clip;
const Op op_clip{.name = "clip",
                 .doc = "min(max(x, low), high)",
                 .onnx = kOnnx,
                 .import = import,
                 .to_onnx = to_onnx,
                 .infer = infer_unary,
                 .eval = eval,
                 .lower = lower};

}  // namespace foldstream
