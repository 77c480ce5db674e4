// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

std::vector<int64_t> scales(const Node& node) { return node.integers("scale", {}); }

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand of at least one dimension");
  }
  Type type = node.in_type(0);
  const std::vector<int64_t> scale = scales(node);
  constexpr int64_t kMost = 1 << 16;
  bool legal = scale.size() == type.shape.size() && scale.back() == 1;
  for (const int64_t s : scale) legal = legal && s >= 1 && s <= kMost;
  if (!legal) {
    throw Error(
        fmt::format("scale {} of {}", to_string(scale), to_string(type)),
        fmt::format("'scale' has a factor of 1 to {} for each axis, 1 for the last", kMost));
  }
  for (size_t d = 0; d < scale.size(); ++d) type.shape[d] *= scale[d];
  if (!checked_element_count(type.shape)) {
    throw Error(
        fmt::format("scale {} makes {}, more than can be held", to_string(scale), to_string(type)));
  }
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  // From the last axis on, each run of elements is repeated.
  std::vector<int64_t> now = in[0]->ints;
  const std::vector<int64_t> scale = scales(node);
  int64_t run = 1;
  for (size_t d = scale.size(); d-- > 0;) {
    if (scale[d] > 1) {
      std::vector<int64_t> repeated;
      repeated.reserve(now.size() * scale[d]);
      for (auto from = now.begin(); from != now.end(); from += run) {
        for (int64_t time = 0; time < scale[d]; ++time) {
          repeated.insert(repeated.end(), from, from + run);
        }
      }
      now = std::move(repeated);
    }
    run *= node.out[0].shape[d];
  }
  return {make_ints(node.out[0], std::move(now))};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const std::vector<int64_t> scale = scales(node);
  const std::vector<double> factors(scale.begin(), scale.end());
  sink.node(
      "", "Resize",
      {sink.input(0), "",
       sink.constant(make_floats(Shape{static_cast<int64_t>(scale.size())}, factors), "scale")},
      {sink.output(0)},
      {{"coordinate_transformation_mode", std::string("asymmetric")},
       {"mode", std::string("nearest")},
       {"nearest_mode", std::string("floor")}});
}

}  // namespace

extern const Op op_upsample;
const Op op_upsample{.name = "upsample",
                     .doc = "each element several times in a row along some axes",
                     .kind = Op::Kind::hardware,
                     .to_onnx = to_onnx,
                     .infer = infer,
                     .eval = eval,
                     .finn_name = "UpsampleNearestNeighbour"};

}  // namespace foldstream
