// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <numeric>

#include "src/ir/folding.h"
#include "src/ir/kernel.h"
#include "src/ir/onnx_node.h"
#include "src/rtl/block.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float) throw Error("takes one integer operand");
  return {node.in_type(0)};
}

std::vector<Tensor> eval(const Node&, std::span<const Tensor* const> in) { return {*in[0]}; }

void to_onnx(const Node&, OnnxSink& sink) {
  sink.node("", "Identity", {sink.input(0)}, {sink.output(0)});
}

std::vector<Fold> folds(const Node&) { return {}; }

Ports ports(const Node& node) {
  const Type& type = node.in_type(0);
  const int64_t in = folding(node, "lanes_in", type.count(), "elements");
  const int64_t out = folding(node, "lanes_out", type.count(), "elements");
  return {.in = {{in, type.bits, type.count() / in}},
          .out = {{out, type.bits, type.count() / out}}};
}

// Widening, every step takes a beat and gives one when it completes one; narrowing, every step
// gives one and takes one when too few lanes are left of the last. After the least common multiple
// of both widths nothing is left over and the pattern starts again.
Rhythm rhythm(const Node& node, Family) {
  const Ports streams = ports(node);
  const int64_t in = streams.in[0].lanes, out = streams.out[0].lanes;
  const int64_t period = std::lcm(in, out);
  Block block{node.in_type(0).count() / period, {}};
  int64_t left = 0, closest = period;
  for (int64_t step = 0, last_give = -1; step < period / std::min(in, out); ++step) {
    const uint32_t take = in <= out || left < out;
    left += take != 0 ? in : 0;
    const uint32_t give = left >= out;
    left -= give != 0 ? out : 0;
    if (!block.phases.empty() && block.phases.back().take == take &&
        block.phases.back().give == give) {
      ++block.phases.back().steps;
    } else {
      block.phases.push_back({1, take, give});
    }
    if (give != 0) {
      closest = std::min(closest, step - last_give);
      last_give = step;
    }
  }
  Rhythm rhythm{.frame = {block}};
  finish_rhythm(node, 0, closest, rhythm);
  rhythm.depth = 1;  // the cell's queue is LUT memory at any capacity
  return rhythm;
}

// Tables of a bit that is chosen among so many, as fst_choice has them: four in each, and one that
// is left alone goes past them.
int64_t tables_of_choice(int64_t words) {
  int64_t tables = 0;
  for (; words > 1; words = (words + 3) / 4) tables += words / 4 + (words % 4 > 1 ? 1 : 0);
  return tables;
}

// The residue, and for each lane out a choice among the phases in which it can stand.
Cost cost(const Node& node, Family family) {
  const Ports streams = ports(node);
  const int64_t in = streams.in[0].lanes, out = streams.out[0].lanes;
  const int64_t group = std::gcd(in, out);
  const int64_t phases = in <= out ? out / group : in / group;
  const int64_t choices = in <= out ? in / group : phases;
  Cost cost = queue_cost(rhythm(node, family), streams.out[0].width());
  cost.lut += static_cast<double>(streams.out[0].width() * tables_of_choice(choices)) +
              (choices == 1   ? 2
               : choices <= 4 ? 7
                              : 9);
  const Cost phase = counter_cost(phases);
  cost.ff += static_cast<double>((phases - 1) * group * streams.in[0].bits) + phase.ff;
  return cost;
}

Hardware emit(const Node& node, Family, const std::string&) {
  const Ports streams = ports(node);
  const Rhythm steps = rhythm(node, Family::generic);
  Hardware hardware;
  hardware.top = "fst_width_converter";
  hardware.parameters = {{"LaneWidth", streams.in[0].bits},
                         {"InLanes", streams.in[0].lanes},
                         {"OutLanes", streams.out[0].lanes},
                         {"Depth", steps.queue}};
  hardware.cells = {"fst_width_converter", "fst_credit", "fst_queue"};
  return hardware;
}

}  // namespace

namespace {
const Kernels kernels{.copies = true};
}

extern const Op op_width_converter;
const Op op_width_converter{.name = "width_converter",
                            .doc = "the same elements with another number in each beat",
                            .kind = Op::Kind::hardware,
                            .to_onnx = to_onnx,
                            .infer = infer,
                            .eval = eval,
                            .folds = folds,
                            .ports = ports,
                            .rhythm = rhythm,
                            .cost = cost,
                            .emit = emit,
                            .finn_name = "StreamingDataWidthConverter",
                            .kernels = &kernels};

}  // namespace foldstream
