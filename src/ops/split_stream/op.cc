// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
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

std::vector<int64_t> sizes(const Node& node) { return node.integers("sizes", {}); }

// Before this axis everything is repeated, result after result.
int64_t outer(const Node& node) {
  const Shape& shape = node.in_type(0).shape;
  return element_count(Shape(shape.begin(), shape.begin() + node.integer("axis")));
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float) throw Error("takes one integer operand");
  const Type& type = node.in_type(0);
  const int64_t axis = node.integer("axis");
  if (axis < 0 || axis >= static_cast<int64_t>(type.shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(type)));
  }
  const std::vector<int64_t> parts = sizes(node);
  if (parts.size() < 2 || parts.size() > 32) {
    throw Error(fmt::format("'sizes' lists {} results", parts.size()),
                "give the sizes of 2 to 32 results");
  }
  int64_t left = type.shape[axis];
  std::vector<Type> results;
  for (const int64_t size : parts) {
    if (size < 1 || size > left) left = -1;
    if (left < 0) break;
    left -= size;
    results.push_back(type);
    results.back().shape[axis] = size;
  }
  if (left != 0) {
    throw Error(fmt::format("sizes {} don't make up axis {} of {}", to_string(parts), axis,
                            to_string(type)),
                fmt::format("give sizes of at least 1 with the sum {}", type.shape[axis]));
  }
  return results;
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  std::vector<Tensor> out;
  for (const Type& type : node.out) {
    out.push_back({type, {}, {}});
    out.back().ints.reserve(type.count());
  }
  auto from = in[0]->ints.begin();
  const int64_t times = outer(node);
  for (int64_t time = 0; time < times; ++time) {
    for (Tensor& part : out) {
      const int64_t size = part.count() / times;
      part.ints.insert(part.ints.end(), from, from + size);
      from += size;
    }
  }
  return out;
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const std::vector<int64_t> parts = sizes(node);
  std::vector<std::string> results;
  for (size_t port = 0; port < parts.size(); ++port) results.push_back(sink.output(port));
  const auto count = static_cast<int64_t>(parts.size());
  sink.node("", "Split",
            {sink.input(0), sink.index_constant(make_ints(Shape{count}, parts), "sizes")},
            std::move(results), {{"axis", node.integer("axis")}});
}

// Elements in a row that every result has a whole number of.
int64_t common_run(const Node& node) {
  int64_t run = 0;
  for (const Type& result : node.out) run = std::gcd(run, result.count() / outer(node));
  return run;
}

std::vector<Fold> folds(const Node& node) { return {{"pe", divisors(common_run(node))}}; }

Ports ports(const Node& node) {
  const int64_t pe = folding(node, "pe", common_run(node), "elements that all results come in");
  const Type& type = node.in_type(0);
  Ports ports{.in = {{pe, type.bits, type.count() / pe}}, .out = {}};
  for (const Type& result : node.out) ports.out.push_back({pe, type.bits, result.count() / pe});
  return ports;
}

Rhythm rhythm(const Node& node, Family) {
  const Ports streams = ports(node);
  const int64_t times = outer(node);
  std::vector<Phase> phases;
  for (size_t port = 0; port < streams.out.size(); ++port) {
    phases.push_back({streams.out[port].beats / times, 1, uint32_t{1} << port});
  }
  Rhythm rhythm{.frame = {{times, phases}}};
  finish_steps(node, 0, rhythm);
  return rhythm;
}

// A counter with its comparisons beside the queues.
Cost cost(const Node& node, Family family) {
  const Ports streams = ports(node);
  const Rhythm steps = rhythm(node, family);
  Cost cost = counter_cost(streams.in[0].beats / outer(node));
  for (const Stream& stream : streams.out) cost += queue_cost(steps, stream.width());
  // Whether a beat is one's, and its queue has room: of two at one place, of each more between two
  // and by another choice.
  const auto count = static_cast<double>(streams.out.size());
  cost.lut += count > 1 ? 5 * count - 6 : 2;
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Ports streams = ports(node);
  const Stream& in = streams.in[0];
  const Rhythm steps = rhythm(node, family);
  const int64_t times = outer(node);
  const size_t count = streams.out.size();
  SvModule module(instance,
                  fmt::format("Split: {} streams along axis {}, {} elements at once.", count,
                              node.integer("axis"), in.lanes),
                  fmt::format("Latency {}, interval 1, queues of {}.", steps.depth, steps.queue));
  module.input("clk_i");
  module.input("rst_i");
  add_stream_in(module, 0, 1, in.width());
  std::vector<std::string> outputs;
  for (size_t port = 0; port < count; ++port) {
    outputs.push_back(add_stream_out(module, port, count, in.width()));
  }
  module.comment("Issue: result after result");
  module.wire("issue");
  const Walk walk(module, {{"beat", in.beats / times}}, "issue");
  std::vector<std::string> room;
  int64_t begin = 0;
  for (size_t port = 0; port < count; ++port) {
    const int64_t end = begin + streams.out[port].beats / times;
    const std::string available = "available_" + outputs[port];
    const std::string chosen = fmt::format("to_{}", outputs[port]);
    module.wire(available);
    module.wire(chosen);
    module.assign(chosen, walk.within(0, begin, end));
    room.push_back(fmt::format("({} && {})", chosen, available));
    begin = end;
  }
  module.assign("s_ready_o", any_of(room));
  module.assign("issue", "s_valid_i && s_ready_o");
  for (const std::string& output : outputs) {
    const std::string give = "give_" + output;
    module.wire(give);
    module.assign(give, fmt::format("issue && to_{}", output));
    add_output_queue(module, steps, in.width(), give, give, "s_data_i", output);
  }
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

const Kernels kernels{
    .ranges = range_of_operand, .wants = kernel::moves_operand, .make = kernel::make_moves};

}  // namespace

extern const Op op_split_stream;
const Op op_split_stream{.name = "split_stream",
                         .doc = "consecutive parts of a stream along an axis",
                         .kind = Op::Kind::hardware,
                         .to_onnx = to_onnx,
                         .infer = infer,
                         .eval = eval,
                         .folds = folds,
                         .ports = ports,
                         .rhythm = rhythm,
                         .cost = cost,
                         .emit = emit,
                         .finn_name = "StreamingSplit",
                         .kernels = &kernels};

}  // namespace foldstream
