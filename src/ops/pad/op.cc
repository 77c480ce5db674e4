// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/box.h"
#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/moves.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Pad"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 4);
  if (const std::string mode = text_attr(source, "mode", "constant"); mode != "constant") {
    throw Error(fmt::format("its mode is '{}'", mode), "expected 'constant'");
  }
  const Type& type = source.in[0].type();
  const size_t rank = type.shape.size();
  const std::vector<int64_t>* attr = integers_attr(source, "pads");  // before operator set 11
  const std::vector<int64_t> given = attr ? *attr : integers_operand(source, 1, "the pads");
  std::vector<int64_t> axes(rank);
  for (size_t d = 0; d < rank; ++d) axes[d] = static_cast<int64_t>(d);
  if (source.has(3)) axes = integers_operand(source, 3, "the axes");
  if (given.size() != 2 * axes.size()) {
    throw Error(
        fmt::format("its pads are {}, expected {} numbers", to_string(given), 2 * axes.size()));
  }
  std::vector<int64_t> pad(2 * rank, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = checked_axis(axes[i], rank);
    pad[axis] = given[i], pad[rank + axis] = given[axes.size() + i];
  }
  double value = real_attr(source, "value", 0);
  if (source.has(2)) value = scalar_operand(source, 2, "the value");
  // A negative pad takes elements away; that is a slice.
  if (std::any_of(pad.begin(), pad.end(), [](int64_t p) { return p < 0; })) {
    throw Error(fmt::format("its pads are {}", to_string(pad)),
                "slice instead of padding by less than nothing");
  }
  std::map<std::string, Attr, std::less<>> attributes{{"pad", pad}};
  if (value != 0) attributes["value"] = value;
  return {{&graph.add(require_op("pad"), {source.in[0]}, source.name, std::move(attributes)), 0}};
}

// Where the operand lies in the result.
Box inside(const Node& node) { return padded_box(node.in_type(0).shape, node.integers("pad", {})); }

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1) throw Error(fmt::format("has {} operands, expected 1", node.in.size()));
  Type type = node.in_type(0);
  const std::vector<int64_t> pad = node.integers("pad", {});
  constexpr int64_t kMost = int64_t{1} << 32;
  if (pad.size() != 2 * type.shape.size() || type.shape.empty() ||
      std::any_of(pad.begin(), pad.end(), [](int64_t p) { return p < 0 || p > kMost; })) {
    throw Error(fmt::format("pads {} of {}", to_string(pad), to_string(type)));
  }
  type.shape = inside(node).frame;
  if (!checked_element_count(type.shape)) {
    throw Error(fmt::format("pads {} make {} of {}, more than can be held", to_string(pad),
                            to_string(type.shape), to_string(node.in_type(0))));
  }
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  const int64_t length = in[0]->type.shape.back();
  const double value = static_cast<float>(node.real("value", 0));
  const auto fill = [&](auto member, auto pad) {
    std::fill((out.*member).begin(), (out.*member).end(), pad);
    auto from = (in[0]->*member).begin();
    for (const int64_t row : box_rows(inside(node))) {
      std::copy_n(from, length, (out.*member).begin() + row);
      from += length;
    }
  };
  if (out.type.is_float) {
    fill(&Tensor::reals, value);
  } else {
    fill(&Tensor::ints, static_cast<int64_t>(value));
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const std::vector<int64_t> pad = node.integers("pad", {});
  const Tensor pads = make_ints(integer_type(64, true, {static_cast<int64_t>(pad.size())}), pad);
  sink.node("", "Pad",
            {sink.input(0), sink.index_constant(pads, "pads"),
             sink.constant(make_floats({}, {node.real("value", 0)}), "value")},
            {sink.output(0)});
}

void lower(const Node& node, Lowering& lowering) {
  if (node.real("value", 0) != 0) {
    return lowering.keep("it pads with a value that is not zero", "pad with zero");
  }
  lower_zero_pad(lowering, node.integers("pad", {}));
}

}  // namespace

extern const Op op_pad;
const Op op_pad{.name = "pad",
                .doc = "one value around a tensor",
                .onnx = kOnnx,
                .import = import,
                .to_onnx = to_onnx,
                .infer = infer,
                .eval = eval,
                .lower = lower};

}  // namespace foldstream
