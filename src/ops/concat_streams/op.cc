// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "src/ir/folding.h"
#include "src/ir/kernel.h"
#include "src/ir/onnx_node.h"
#include "src/ir/steps.h"
#include "src/kernel/moves.h"
#include "src/rtl/block.h"
#include "src/rtl/walk.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Before this axis everything is repeated, operand after operand.
int64_t outer(const Node& node) {
  const Shape& shape = node.in_type(0).shape;
  return element_count(Shape(shape.begin(), shape.begin() + node.integer("axis")));
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() < 2 || node.in.size() > 32) {
    throw Error(fmt::format("takes 2 to 32 operands, found {}", node.in.size()));
  }
  const Type& first = node.in_type(0);
  const int64_t axis = node.integer("axis");
  if (axis < 0 || axis >= static_cast<int64_t>(first.shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(first)));
  }
  Shape shape = first.shape;
  shape[axis] = 0;
  int64_t lo = INT64_MAX, hi = INT64_MIN;
  for (size_t port = 0; port < node.in.size(); ++port) {
    const Type& type = node.in_type(port);
    Shape rest = type.shape;
    if (rest.size() == first.shape.size()) rest[axis] = first.shape[axis];
    if (type.is_float || rest != first.shape) {
      throw Error(fmt::format("operand {} is {}, it does not continue {} along axis {}", port,
                              to_string(type), to_string(first), axis));
    }
    shape[axis] += type.shape[axis];
    lo = std::min(lo, type.min()), hi = std::max(hi, type.max());
  }
  return {type_for_range(lo, hi, std::move(shape))};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  auto to = out.ints.begin();
  const int64_t times = outer(node);
  for (int64_t time = 0; time < times; ++time) {
    for (const Tensor* part : in) {
      const int64_t size = part->count() / times;
      to = std::copy_n(part->ints.begin() + time * size, size, to);
    }
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  std::vector<std::string> operands;
  for (size_t port = 0; port < node.in.size(); ++port) operands.push_back(sink.input(port));
  sink.node("", "Concat", std::move(operands), {sink.output(0)}, {{"axis", node.integer("axis")}});
}

// Elements in a row that every operand has a whole number of.
int64_t common_run(const Node& node) {
  int64_t run = 0;
  for (const Value& operand : node.in) run = std::gcd(run, operand.type().count() / outer(node));
  return run;
}

std::vector<Fold> folds(const Node& node) { return {{"pe", divisors(common_run(node))}}; }

Ports ports(const Node& node) {
  const int64_t pe = folding(node, "pe", common_run(node), "elements that all operands come in");
  Ports ports;
  for (const Value& operand : node.in) {
    ports.in.push_back({pe, operand.type().bits, operand.type().count() / pe});
  }
  ports.out = {{pe, node.out[0].bits, node.out[0].count() / pe}};
  return ports;
}

Rhythm rhythm(const Node& node, Family) {
  const Ports streams = ports(node);
  const int64_t times = outer(node);
  std::vector<Phase> phases;
  for (size_t port = 0; port < streams.in.size(); ++port) {
    phases.push_back({streams.in[port].beats / times, uint32_t{1} << port, 1});
  }
  Rhythm rhythm{.frame = {{times, phases}}};
  finish_steps(node, 0, rhythm);
  return rhythm;
}

// A counter with its comparisons, and a choice of one operand for each bit.
Cost cost(const Node& node, Family family) {
  const Ports streams = ports(node);
  Cost cost = queue_cost(rhythm(node, family), streams.out[0].width());
  const auto count = static_cast<double>(streams.in.size());
  cost += counter_cost(streams.out[0].beats / outer(node));
  // A bit is chosen by all conditions but one; a LUT brings five signals more together.
  const double tables = std::ceil((2 * count - 2) / 5);
  cost.lut += static_cast<double>(streams.out[0].width()) * tables + 1.5 * count;
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Ports streams = ports(node);
  const Stream& out = streams.out[0];
  const Rhythm steps = rhythm(node, family);
  const int64_t times = outer(node);
  SvModule module(instance,
                  fmt::format("Concatenation: {} streams along axis {}, {} elements at once.",
                              streams.in.size(), node.integer("axis"), out.lanes),
                  fmt::format("Latency {}, interval 1, queue of {}.", steps.depth, steps.queue));
  module.input("clk_i");
  module.input("rst_i");
  std::vector<std::string> inputs;
  for (size_t port = 0; port < streams.in.size(); ++port) {
    inputs.push_back(add_stream_in(module, port, streams.in.size(), streams.in[port].width()));
  }
  add_stream_out(module, 0, 1, out.width());
  module.comment("Issue: operand after operand");
  for (const char* wire : {"available", "issue", "offered"}) module.wire(wire);
  const Walk walk(module, {{"beat", out.beats / times}}, "issue");
  module.wire("data", static_cast<int>(out.width()));
  std::vector<std::string> offered;
  std::string data;
  int64_t end = out.beats / times;
  for (size_t port = inputs.size(); port-- > 0;) {
    const int64_t begin = end - streams.in[port].beats / times;
    const std::string chosen = fmt::format("from_{}", inputs[port]);
    module.wire(chosen);
    module.assign(chosen, walk.within(0, begin, end));
    module.assign(inputs[port] + "_ready_o", fmt::format("{} && available", chosen));
    offered.push_back(fmt::format("({} && {}_valid_i)", chosen, inputs[port]));
    const std::string value = widened(module, inputs[port] + "_wide", inputs[port] + "_data_i",
                                      out.lanes, node.in_type(port), out.bits);
    data = data.empty() ? value : fmt::format("{} ? {} : {}", chosen, value, data);
    end = begin;
  }
  module.assign("offered", any_of(offered));
  module.assign("issue", "offered && available");
  module.assign("data", data);
  add_output_queue(module, steps, out.width(), "issue", "issue", "data");
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

std::vector<Range> ranges(const Node&, std::span<const Range> in) {
  Range all = in[0];
  for (const Range& range : in) {
    all = {std::min(all.lo, range.lo), std::max(all.hi, range.hi)};
  }
  return {all};
}

const Kernels kernels{.ranges = ranges, .wants = kernel::moves_operand, .make = kernel::make_moves};

}  // namespace

extern const Op op_concat_streams;
const Op op_concat_streams{.name = "concat_streams",
                           .doc = "streams one after the other along an axis",
                           .kind = Op::Kind::hardware,
                           .to_onnx = to_onnx,
                           .infer = infer,
                           .eval = eval,
                           .folds = folds,
                           .ports = ports,
                           .rhythm = rhythm,
                           .cost = cost,
                           .emit = emit,
                           .finn_name = "StreamingConcat",
                           .kernels = &kernels};

}  // namespace foldstream
