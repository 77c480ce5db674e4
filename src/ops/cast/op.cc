// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/ir/lowering.h"
#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Cast"};

constexpr int64_t kFourBits = 21;  // ONNX's numbers from here on

struct Known {
  int64_t number;  // ONNX's
  const char* name;
};
// Double stays float32 here.
constexpr Known kTypes[] = {{1, "f32"}, {11, "f32"}, {9, "u1"},   {2, "u8"},  {3, "s8"},
                            {4, "u16"}, {5, "s16"},  {12, "u32"}, {6, "s32"}, {13, "u64"},
                            {7, "s64"}, {21, "u4"},  {22, "s4"}};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 1);
  const int64_t number = integer_attr(source, "to", 0);
  const auto* known = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const Known& type) { return type.number == number; });
  // Casts to four bits wrap around in some executors and saturate in others.
  if (known == std::end(kTypes) || number >= kFourBits) {
    throw Error(fmt::format("casts to element type number {}", number),
                "expected FLOAT, DOUBLE, BOOL or an integer type of 8 to 64 bits");
  }
  if (element_name(source.in[0].type()) == known->name) return {source.in[0]};
  return {{&graph.add(require_op("cast"), {source.in[0]}, source.name,
                      {{"type", std::string(known->name)}}),
           0}};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1) throw Error("takes one operand");
  Type type = parse_element(node.text("type", ""));
  type.shape = node.in_type(0).shape;
  return {type};
}

int64_t to_integer(double x, const Type& type) {
  if (type.bits == 1) return x != 0 ? 1 : 0;
  if (std::isnan(x)) return 0;
  const double whole = std::trunc(x);
  if (whole <= static_cast<double>(type.min())) return type.min();
  if (whole >= static_cast<double>(type.max())) return type.max();
  return static_cast<int64_t>(whole);
}

int64_t narrowed(int64_t x, const Type& type) {
  if (type.bits == 1) return x != 0 ? 1 : 0;
  const int unused = 64 - type.bits;
  const uint64_t top = static_cast<uint64_t>(x) << unused;
  return type.is_signed ? static_cast<int64_t>(top) >> unused : static_cast<int64_t>(top >> unused);
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Tensor& from = *in[0];
  Tensor out = make_zero(node.out[0]);
  for (int64_t i = 0; i < out.count(); ++i) {
    if (out.type.is_float) {
      out.reals[i] = from.type.is_float ? from.reals[i] : static_cast<float>(from.ints[i]);
    } else {
      out.ints[i] = from.type.is_float ? to_integer(from.reals[i], out.type)
                                       : narrowed(from.ints[i], out.type);
    }
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const std::string name = node.text("type", "");
  const auto* known = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const Known& type) { return type.name == name; });
  const int64_t number = known == std::end(kTypes) ? 1 : known->number;
  if (number >= kFourBits) sink.need_version("", kFourBits);
  sink.node("", "Cast", {sink.input(0)}, {sink.output(0)}, {{"to", number}});
}

void lower(const Node& node, Lowering& lowering) {
  const Type& from = node.in_type(0);
  const Type to = node.out[0];
  if (!from.is_float && !to.is_float) {
    return lowering.keep("it casts integers to other integers", "cast floats, or leave it out");
  }
  Step step;
  if (to.is_float) {
    step.apply = [](float x, int64_t) { return x; };
    step.affine = [](int64_t) { return std::pair<double, double>(1, 0); };
    step.direction = [](int64_t) { return 1; };
  } else {
    step.apply = [to](float x, int64_t) { return static_cast<float>(to_integer(x, to)); };
    const int direction = to.bits == 1 ? 0 : 1;  // of one bit it asks whether x is zero
    step.direction = [direction](int64_t) { return direction; };
  }
  lowering.step(0, -1, std::move(step));
}

}  // namespace

extern const Op op_cast;
const Op op_cast{.name = "cast",
                 .doc = "another element type; floats lose their fraction",
                 .onnx = kOnnx,
                 .import = import,
                 .to_onnx = to_onnx,
                 .infer = infer,
                 .eval = eval,
                 .lower = lower};

}  // namespace foldstream
