// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include "src/arith/scaled_levels.h"
#include "src/arith/thresholding.h"
#include "src/ir/kernel.h"
#include "src/ir/onnx_node.h"
#include "src/ir/thresholds.h"
#include "src/kernel/byte_steps.h"
#include "src/kernel/word_steps.h"
#include "src/rtl/pointwise.h"

namespace foldstream {
namespace {

std::vector<Type> infer(const Node& node) {
  pointwise::check_operand(node);
  const Thresholds thresholds(node, pointwise::channels(node));
  if (arith::has_scaling(node)) {
    const Range values{node.in_type(0).min(), node.in_type(0).max()};
    arith::check_scaling(node, thresholds, {&values, 1});
  }
  return {thresholds.result(node.in_type(0).shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Thresholds thresholds(node, pointwise::channels(node));
  Tensor out = make_zero(node.out[0]);
  pointwise::for_each_run(node, [&](int64_t channel, int64_t first, int64_t count) {
    for (int64_t i = first; i < first + count; ++i) {
      out.ints[i] = thresholds.apply(channel, in[0]->ints[i]);
    }
  });
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  Thresholds(node, pointwise::channels(node))
      .to_onnx(sink, sink.input(0), node.in_type(0).shape, pointwise::channel_axis(node));
}

std::vector<Fold> folds(const Node& node) {
  std::vector<Fold> folds = pointwise::folds(node);
  if (arith::may_scale(node)) folds.push_back({"scaled", {0, 1}});
  return folds;
}

Ports ports(const Node& node) {
  arith::is_scaled(node);  // refuses what isn't legal
  return pointwise::ports(node);
}

int64_t latency(const Node& node, Family family) {
  return arith::levels_latency(node, pointwise::channel_folds(node), family);
}

Rhythm rhythm(const Node& node, Family family) {
  return pointwise::rhythm(node, 1 + latency(node, family));
}

Cost cost(const Node& node, Family family) {
  const Stream in = pointwise::ports(node).in[0];
  Cost cost = pointwise::frame_cost(node, rhythm(node, family));
  cost += arith::levels_cost(node, in.lanes, pointwise::channel_folds(node), in.bits, family);
  // A DSP block has the beat in a register of its own.
  if (cost.dsp > 0) cost.ff -= static_cast<double>(in.width());
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Ports streams = pointwise::ports(node);
  const Thresholds thresholds(node, pointwise::channels(node));
  const arith::Generated compare =
      arith::levels(node, thresholds,
                    {.name = instance + "_compare",
                     .lanes = static_cast<int>(streams.in[0].lanes),
                     .folds = static_cast<int>(pointwise::channel_folds(node)),
                     .value = node.in_type(0),
                     .offset = {}},
                    family);
  return pointwise::emit(
      node, rhythm(node, family), instance,
      fmt::format("Thresholding, {} thresholds each", thresholds.levels()), compare.latency, {},
      [&](SvModule& module, const pointwise::Computation& beat, std::vector<TextFile>& modules) {
        for (const arith::SvSource& source : compare.sources) {
          modules.push_back({source.name + ".sv", source.text});
        }
        SvBindings connections;
        if (compare.latency > 0) connections.emplace_back("clk_i", "clk_i");
        connections.emplace_back("value_i", beat.value);
        if (!beat.fold.empty()) connections.emplace_back("fold_i", beat.fold);
        module.wire("result", static_cast<int>(streams.out[0].width()));
        connections.emplace_back("result_o", "result");
        module.instance(compare.name, "u_compare", {}, connections);
        return std::string("result");
      });
}

std::map<std::string, int64_t> counts(const Node& node) {
  const Tensor& t = *node.tensor("t");
  return {{fmt::format("param_threshold_{}b", node.in_type(0).bits), t.count()}};
}

std::vector<Range> ranges(const Node& node, std::span<const Range>) {
  return {{0, node.tensor("t")->type.shape[1]}};
}

std::unique_ptr<Kernel> make(const KernelSite& site) {
  const Node& node = site.node;
  if (pointwise::channel_axis(node) + 1 != node.out[0].shape.size()) return nullptr;
  const Thresholds thresholds(node, pointwise::channels(node));
  if (site.in[0].storage.form == Form::words) {
    return kernel::make_word_steps(site.in[0], thresholds, site.out[0]);
  }
  return kernel::make_byte_steps(site.in[0], thresholds, site.out[0]);
}

const Kernels kernels{.ranges = ranges, .make = make};

}  // namespace

extern const Op op_threshold;
const Op op_threshold{.name = "threshold",
                      .doc = "how many thresholds of its channel each element reaches",
                      .kind = Op::Kind::hardware,
                      .to_onnx = to_onnx,
                      .infer = infer,
                      .eval = eval,
                      .pointwise = true,
                      .folds = folds,
                      .ports = ports,
                      .rhythm = rhythm,
                      .cost = cost,
                      .emit = emit,
                      .counts = counts,
                      .finn_name = "Thresholding",
                      .kernels = &kernels};

}  // namespace foldstream
