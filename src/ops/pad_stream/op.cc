// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "src/ir/box.h"
#include "src/ir/folding.h"
#include "src/ir/kernel.h"
#include "src/ir/onnx_node.h"
#include "src/ir/steps.h"
#include "src/kernel/moves.h"
#include "src/rtl/block.h"
#include "src/rtl/box_walk.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

std::vector<int64_t> pads(const Node& node) { return node.integers("pad", {}); }
int64_t pad_value(const Node& node) { return node.integer("pad_value", 0); }

// Where the operand lies in the result.
Box inside(const Node& node) { return padded_box(node.in_type(0).shape, pads(node)); }

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand of at least one dimension");
  }
  const Type& type = node.in_type(0);
  const std::vector<int64_t> pad = pads(node);
  constexpr int64_t kMost = int64_t{1} << 32;
  if (pad.size() != 2 * type.shape.size() ||
      std::any_of(pad.begin(), pad.end(), [](int64_t p) { return p < 0 || p > kMost; })) {
    throw Error(fmt::format("pad {} of {}", to_string(pad), to_string(type)),
                fmt::format("'pad' has {} entries: before each axis, then after each axis",
                            2 * type.shape.size()));
  }
  const Shape shape = inside(node).frame;
  if (!checked_element_count(shape)) {
    throw Error(fmt::format("pad {} makes {} of {}, more than can be held", to_string(pad),
                            to_string(shape), to_string(type)));
  }
  return {type_for_range(std::min(type.min(), pad_value(node)),
                         std::max(type.max(), pad_value(node)), shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  std::fill(out.ints.begin(), out.ints.end(), pad_value(node));
  auto from = in[0]->ints.begin();
  const int64_t length = in[0]->type.shape.back();
  for (const int64_t row : box_rows(inside(node))) {
    std::copy_n(from, length, out.ints.begin() + row);
    from += length;
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const std::vector<int64_t> pad = pads(node);
  const auto count = static_cast<int64_t>(pad.size());
  sink.node("", "Pad",
            {sink.input(0), sink.index_constant(make_ints(Shape{count}, pad), "pad"),
             sink.constant(make_ints(Shape{}, {pad_value(node)}), "pad_value")},
            {sink.output(0)});
}

int64_t common_run(const Node& node) {
  const Box box = inside(node);
  return std::gcd(box.frame.back(), std::gcd(box.begin.back(), box.end.back()));
}

int64_t lanes(const Node& node) {
  return folding(node, "pe", common_run(node), "elements of the last axis that bounds divide by");
}

std::vector<Fold> folds(const Node& node) { return {{"pe", divisors(common_run(node))}}; }

Ports ports(const Node& node) {
  const int64_t pe = lanes(node);
  const Type &in = node.in_type(0), &out = node.out[0];
  return {.in = {{pe, in.bits, in.count() / pe}}, .out = {{pe, out.bits, out.count() / pe}}};
}

Rhythm rhythm(const Node& node, Family) {
  Rhythm rhythm{.frame = box_steps(coarser(inside(node), lanes(node)), {1, 0, 1}, {1, 1, 1})};
  finish_steps(node, 0, rhythm);
  return rhythm;
}

Cost cost(const Node& node, Family family) {
  const Stream out = ports(node).out[0];
  Cost cost = queue_cost(rhythm(node, family), out.width());
  cost += box_walk_cost(coarser(inside(node), lanes(node)));
  cost.lut += static_cast<double>(out.width());  // the operand or the padding
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Stream in = ports(node).in[0], out = ports(node).out[0];
  const Rhythm steps = rhythm(node, family);
  SvModule module(instance,
                  fmt::format("Padding: {} to {}, {} elements at once.", to_string(node.in_type(0)),
                              to_string(node.out[0]), in.lanes),
                  fmt::format("Latency {}, {} steps a frame, queue of {}.", steps.depth,
                              steps.steps(), steps.queue));
  add_block_ports(module, in.width(), out.width());
  module.comment("Issue");
  for (const char* wire : {"available", "issue", "in_box"}) module.wire(wire);
  module.assign("in_box", add_box_walk(module, coarser(inside(node), lanes(node)), "issue"));
  module.assign("s_ready_o", "in_box && available");
  module.assign("issue", "(!in_box || s_valid_i) && available");
  const std::string value =
      widened(module, "element", "s_data_i", in.lanes, node.in_type(0), out.bits);
  const auto padding = static_cast<uint64_t>(pad_value(node));
  std::vector<bool> constant;
  for (int64_t bit = 0; bit < out.width(); ++bit) {
    constant.push_back((padding >> (bit % out.bits) & 1) != 0);
  }
  module.wire("data", static_cast<int>(out.width()));
  module.assign("data", fmt::format("in_box ? {} : {}", value, SvModule::constant(constant)));
  add_output_queue(module, steps, out.width(), "issue", "issue", "data");
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

std::vector<Range> ranges(const Node& node, std::span<const Range> in) {
  return {{std::min(in[0].lo, pad_value(node)), std::max(in[0].hi, pad_value(node))}};
}

const Kernels kernels{.ranges = ranges, .wants = kernel::moves_operand, .make = kernel::make_moves};

}  // namespace

extern const Op op_pad_stream;
const Op op_pad_stream{.name = "pad_stream",
                       .doc = "one value around a tensor",
                       .kind = Op::Kind::hardware,
                       .to_onnx = to_onnx,
                       .infer = infer,
                       .eval = eval,
                       .folds = folds,
                       .ports = ports,
                       .rhythm = rhythm,
                       .cost = cost,
                       .emit = emit,
                       .finn_name = "FMPadding",
                       .kernels = &kernels};

}  // namespace foldstream
