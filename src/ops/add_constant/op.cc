// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/rtl/block.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

int64_t channels(const Node& node) { return node.in_type(0).shape.back(); }

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand with channels along its last axis");
  }
  const Tensor* c = node.tensor("c");
  const Type& in = node.in_type(0);
  if (c == nullptr || c->type.is_float ||
      (c->type.shape != Shape{1} && c->type.shape != Shape{channels(node)})) {
    throw Error(fmt::format("constants 'c' must be integers of shape [{}] or [1]", channels(node)));
  }
  if (in.bits > 31 || c->type.bits > 31) {
    throw Error(fmt::format("an operand of {} bits and constants of {}", in.bits, c->type.bits),
                "legal are up to 31 bits each");
  }
  int64_t lo = INT64_MAX, hi = INT64_MIN;
  for (int64_t value : c->ints) {
    const auto [least, most] = std::minmax({in.min() + value, in.max() + value});
    lo = std::min(lo, least), hi = std::max(hi, most);
  }
  return {type_for_range(lo, hi, in.shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const std::vector<int64_t>& c = node.tensor("c")->ints;
  Tensor out = make_zero(node.out[0]);
  for (size_t i = 0; i < out.ints.size(); ++i) out.ints[i] = in[0]->ints[i] + c[i % c.size()];
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node("", "Add", {sink.input(0), sink.constant(*node.tensor("c"), "constants")},
            {sink.output(0)});
}

std::vector<Fold> folds(const Node& node) { return {{"pe", divisors(channels(node))}}; }

Ports ports(const Node& node) {
  const int64_t pe = folding(node, "pe", channels(node), "channels");
  const Type &in = node.in_type(0), &out = node.out[0];
  return {.in = {{pe, in.bits, in.count() / pe}}, .out = {{pe, out.bits, out.count() / pe}}};
}

Rhythm rhythm(const Node& node, Family) {
  const int64_t pe = folding(node, "pe", channels(node), "channels");
  Rhythm rhythm{.frame = {{1, {{node.in_type(0).count() / pe, 1, 1}}}}};
  finish_rhythm(node, 1, 1, rhythm);
  return rhythm;
}

Cost cost(const Node& node, Family family) {
  const Stream in = ports(node).in[0], out = ports(node).out[0];
  Cost cost = queue_cost(rhythm(node, family), out.width());
  cost.lut += static_cast<double>(out.width()) + 4;
  cost.ff += static_cast<double>(in.width()) + 8;
  return cost;
}

// One lane: its constants by fold, and the value with enough bits for the result.
void add_lane(SvModule& module, const Node& node, const std::string& value, int64_t lane,
              int64_t folds) {
  const Stream in = ports(node).in[0], out = ports(node).out[0];
  const Tensor& c = *node.tensor("c");
  const auto bits = static_cast<int>(out.bits);
  const auto constant = [&](int64_t fold) {
    const int64_t number = c.ints[c.count() == 1 ? 0 : fold * in.lanes + lane];
    std::vector<bool> word;
    for (int b = 0; b < bits; ++b) word.push_back((number >> b & 1) != 0);
    return word;
  };
  std::string by = SvModule::constant(constant(0));
  if (folds > 1) {
    std::vector<bool> table;
    for (int64_t fold = 0; fold < folds; ++fold) {
      const std::vector<bool> word = constant(fold);
      table.insert(table.end(), word.begin(), word.end());
    }
    const std::string name = fmt::format("Constants{}", lane);
    module.localparam(fmt::format("bit [{}:0]", table.size() - 1), name, SvModule::constant(table));
    by = fmt::format("{}[{}*fold_q+:{}]", name, bits, bits);
  }
  const std::string element =
      SvModule::slice(value, static_cast<int>(in.width()), static_cast<int>(lane * in.bits),
                      static_cast<int>(in.bits));
  // Modulo 2**bits neither operand's sign matters once it has that many bits.
  const std::string wide = node.in_type(0).is_signed && in.bits < bits
                               ? fmt::format("{}'($signed({}))", bits, element)
                               : fmt::format("{}'({})", bits, element);
  const std::string target =
      SvModule::slice("result", static_cast<int>(out.width()), static_cast<int>(lane) * bits, bits);
  module.assign(target, fmt::format("{} + {}", wide, by));
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Stream in = ports(node).in[0], out = ports(node).out[0];
  const int64_t folds = node.tensor("c")->count() == 1 ? 1 : channels(node) / in.lanes;
  const Rhythm steps = rhythm(node, family);
  SvModule module(
      instance,
      fmt::format("Addition of constants: {} channels, {} at once.", channels(node), in.lanes),
      fmt::format("Latency {}, interval 1, queue of {}.", steps.depth, steps.queue));
  add_block_ports(module, in.width(), out.width());
  add_beat_issue(module);
  module.comment("Sum");
  const std::string value = delayed_data(module, "s_data_i", in.width(), 1);
  const std::string given = delayed_control(module, "issue", 1);
  add_fold_counter(module, "fold_q", folds, given);
  module.wire("result", static_cast<int>(out.width()));
  for (int64_t lane = 0; lane < in.lanes; ++lane) add_lane(module, node, value, lane, folds);
  add_output_queue(module, steps, out.width(), "issue", given, "result");
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

std::map<std::string, int64_t> counts(const Node& node) {
  const Tensor& c = *node.tensor("c");
  return {{fmt::format("param_constant_{}b", c.type.bits), c.count()}};
}

}  // namespace

extern const Op op_add_constant;
const Op op_add_constant{.name = "add_constant",
                         .doc = "each element plus the constant of its channel",
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
                         .finn_name = "ChannelwiseOp"};

}  // namespace foldstream
