// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include "src/arith/thresholding.h"
#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/ir/thresholds.h"
#include "src/rtl/block.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

size_t channel_axis(const Node& node) {
  const auto rank = static_cast<int64_t>(node.in_type(0).shape.size());
  const int64_t axis = node.integer("axis", rank - 1);
  if (axis < 0 || axis >= rank) {
    throw Error(fmt::format("axis = {} of an operand with {} dimensions", axis, rank));
  }
  return static_cast<size_t>(axis);
}

int64_t channels(const Node& node) { return node.in_type(0).shape[channel_axis(node)]; }

// Elements in a row that share a channel.
int64_t inner(const Node& node) {
  const Shape& shape = node.in_type(0).shape;
  return element_count(Shape(shape.begin() + channel_axis(node) + 1, shape.end()));
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand of at least one dimension");
  }
  return {Thresholds(node, channels(node)).result(node.in_type(0).shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const int64_t count = channels(node), step = inner(node);
  const Thresholds thresholds(node, count);
  Tensor out = make_zero(node.out[0]);
  for (int64_t i = 0; i < out.count(); ++i) {
    out.ints[i] = thresholds.apply(i / step % count, in[0]->ints[i]);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  Thresholds(node, channels(node))
      .to_onnx(sink, sink.input(0), node.in_type(0).shape, channel_axis(node));
}

// Channels that one beat's lanes run over: the last axis, which all share when rows are equal.
int64_t foldable(const Node& node) { return node.in_type(0).shape.back(); }

std::vector<Fold> folds(const Node& node) { return {{"pe", divisors(foldable(node))}}; }

int64_t lanes(const Node& node) {
  if (node.tensor("t")->type.shape[0] > 1 && inner(node) > 1) {
    throw Error(fmt::format("{}: thresholds along axis {} of {}", describe(node),
                            channel_axis(node), to_string(node.in_type(0))),
                "hardware has channels along the last axis");
  }
  return folding(node, "pe", foldable(node), "channels");
}

Ports ports(const Node& node) {
  const int64_t pe = lanes(node);
  const Type &in = node.in_type(0), &out = node.out[0];
  return {.in = {{pe, in.bits, in.count() / pe}}, .out = {{pe, out.bits, out.count() / pe}}};
}

// Beats after which the channels, and so the thresholds, come again.
int64_t channel_folds(const Node& node) {
  return node.tensor("t")->type.shape[0] == 1 ? 1 : channels(node) / lanes(node);
}

Rhythm rhythm(const Node& node, Family family) {
  Rhythm rhythm{.frame = {{1, {{node.in_type(0).count() / lanes(node), 1, 1}}}}};
  const int64_t levels = node.tensor("t")->type.shape[1];
  finish_rhythm(node, 1 + arith::thresholding_latency(levels, channel_folds(node), family), 1,
                rhythm);
  return rhythm;
}

Cost cost(const Node& node, Family family) {
  const Stream in = ports(node).in[0], out = ports(node).out[0];
  const arith::Cost lane = arith::thresholding_cost(node.tensor("t")->type.shape[1],
                                                    channel_folds(node), in.bits, family);
  const auto lanes = static_cast<double>(in.lanes);
  Cost cost = queue_cost(rhythm(node, family), out.width());
  cost.lut += lanes * lane.luts + 4;
  cost.ff += lanes * lane.flip_flops + static_cast<double>(in.width()) + 8;
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Stream in = ports(node).in[0], out = ports(node).out[0];
  const int64_t folds = channel_folds(node);
  const Rhythm steps = rhythm(node, family);
  const Thresholds thresholds(node, channels(node));
  arith::CompareSpec spec =
      arith::thresholding_spec(thresholds, in.lanes, folds, node.in_type(0), {}, family);
  spec.name = instance + "_compare";
  const arith::Generated compare = arith::compare(spec);

  SvModule module(instance,
                  fmt::format("Thresholding: {} channels, {} at once, {} thresholds each.",
                              channels(node), in.lanes, thresholds.levels()),
                  fmt::format("Latency {}, interval 1, queue of {}.", steps.depth, steps.queue));
  add_block_ports(module, in.width(), out.width());
  add_beat_issue(module);
  module.comment("Thresholds of the beat's channels");
  const std::string value = delayed_data(module, "s_data_i", in.width(), 1);
  const std::string given = delayed_control(module, "issue", 1);
  SvBindings connections;
  if (compare.latency > 0) connections.emplace_back("clk_i", "clk_i");
  connections.emplace_back("value_i", value);
  if (add_fold_counter(module, "fold_q", folds, given) > 0) {
    connections.emplace_back("fold_i", "fold_q");
  }
  module.wire("result", static_cast<int>(out.width()));
  connections.emplace_back("result_o", "result");
  module.instance(compare.name, "u_compare", {}, connections);
  const std::string push = delayed_control(module, given, compare.latency);
  add_output_queue(module, steps, out.width(), "issue", push, "result");

  Hardware hardware;
  for (const arith::SvSource& source : compare.sources) {
    hardware.modules.push_back({source.name + ".sv", source.text});
  }
  add_top(module, hardware);
  return hardware;
}

std::map<std::string, int64_t> counts(const Node& node) {
  const Tensor& t = *node.tensor("t");
  return {{fmt::format("param_threshold_{}b", node.in_type(0).bits), t.count()}};
}

}  // namespace

extern const Op op_threshold;
const Op op_threshold{.name = "threshold",
                      .doc = "how many thresholds of its channel each element reaches",
                      .kind = Op::Kind::hardware,
                      .to_onnx = to_onnx,
                      .infer = infer,
                      .eval = eval,
                      .folds = folds,
                      .ports = ports,
                      .rhythm = rhythm,
                      .cost = cost,
                      .emit = emit,
                      .counts = counts,
                      .finn_name = "Thresholding"};

}  // namespace foldstream
