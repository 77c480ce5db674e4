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

Box kept(const Node& node) {
  return {node.in_type(0).shape, node.integers("begin", {}), node.integers("end", {})};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand of at least one dimension");
  }
  Type type = node.in_type(0);
  const Box box = kept(node);
  bool legal = box.begin.size() == type.shape.size() && box.end.size() == type.shape.size();
  for (size_t d = 0; legal && d < type.shape.size(); ++d) {
    legal = box.begin[d] >= 0 && box.begin[d] < box.end[d] && box.end[d] <= type.shape[d];
  }
  if (!legal) {
    throw Error(fmt::format("begin {} to end {} is not a part of {}", to_string(box.begin),
                            to_string(box.end), to_string(type)),
                "in each axis: 0 <= begin < end <= size");
  }
  type.shape = box_shape(box);
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  auto to = out.ints.begin();
  for (const int64_t row : box_rows(kept(node))) {
    to = std::copy_n(in[0]->ints.begin() + row, out.type.shape.back(), to);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Box box = kept(node);
  const auto rank = static_cast<int64_t>(box.frame.size());
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  sink.node("", "Slice",
            {sink.input(0), sink.index_constant(make_ints(Shape{rank}, box.begin), "begin"),
             sink.index_constant(make_ints(Shape{rank}, box.end), "end"),
             sink.index_constant(make_ints(Shape{rank}, axes), "axes")},
            {sink.output(0)});
}

int64_t common_run(const Node& node) {
  const Box box = kept(node);
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
  Rhythm rhythm{.frame = box_steps(coarser(kept(node), lanes(node)), {1, 1, 0}, {1, 1, 1})};
  finish_steps(node, 0, rhythm);
  return rhythm;
}

Cost cost(const Node& node, Family family) {
  const Stream out = ports(node).out[0];
  Cost cost = queue_cost(rhythm(node, family), out.width());
  cost += box_walk_cost(coarser(kept(node), lanes(node)));
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Stream in = ports(node).in[0], out = ports(node).out[0];
  const Rhythm steps = rhythm(node, family);
  SvModule module(instance,
                  fmt::format("Crop: {} to {}, {} elements at once.", to_string(node.in_type(0)),
                              to_string(node.out[0]), in.lanes),
                  fmt::format("Latency {}, {} steps a frame, queue of {}.", steps.depth,
                              steps.steps(), steps.queue));
  add_block_ports(module, in.width(), out.width());
  module.comment("Issue");
  for (const char* wire : {"available", "issue", "in_box"}) module.wire(wire);
  module.assign("in_box", add_box_walk(module, coarser(kept(node), lanes(node)), "issue"));
  module.assign("s_ready_o", "!in_box || available");
  module.assign("issue", "s_valid_i && s_ready_o");
  module.wire("give");
  module.assign("give", "issue && in_box");
  add_output_queue(module, steps, out.width(), "give", "give", "s_data_i");
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

const Kernels kernels{
    .ranges = range_of_operand, .wants = kernel::moves_operand, .make = kernel::make_moves};

}  // namespace

extern const Op op_crop;
const Op op_crop{.name = "crop",
                 .doc = "the part of a tensor from 'begin' up to 'end'",
                 .kind = Op::Kind::hardware,
                 .to_onnx = to_onnx,
                 .infer = infer,
                 .eval = eval,
                 .folds = folds,
                 .ports = ports,
                 .rhythm = rhythm,
                 .cost = cost,
                 .emit = emit,
                 .finn_name = "Crop",
                 .kernels = &kernels};

}  // namespace foldstream
