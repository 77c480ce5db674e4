// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

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

Rhythm rhythm(const Node& node, Family) {
  const int64_t lanes = folding(node, "lanes", node.in_type(0).count(), "elements");
  Rhythm rhythm{.frame = {{1, {{node.in_type(0).count() / lanes, 1, 1}}}}};
  finish_rhythm(node, 0, 1, rhythm);
  return rhythm;
}

Ports ports(const Node& node) {
  const int64_t beats = rhythm(node, Family::generic).steps();
  const Stream stream{node.in_type(0).count() / beats, node.in_type(0).bits, beats};
  return {.in = {stream}, .out = {stream}};
}

Cost cost(const Node& node, Family family) {
  return queue_cost(rhythm(node, family), ports(node).out[0].width());
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const int64_t width = ports(node).out[0].width();
  const Rhythm steps = rhythm(node, family);
  SvModule module(instance, fmt::format("FIFO of {} beats.", steps.queue),
                  fmt::format("Latency {}, interval 1.", steps.depth));
  add_block_ports(module, width, width);
  add_beat_issue(module);
  add_output_queue(module, steps, width, "issue", "issue", "s_data_i");
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

}  // namespace

namespace {
const Kernels kernels{.copies = true};
}

extern const Op op_fifo;
const Op op_fifo{.name = "fifo",
                 .doc = "the same elements on the same stream, with room for many to wait",
                 .kind = Op::Kind::hardware,
                 .to_onnx = to_onnx,
                 .infer = infer,
                 .eval = eval,
                 .ports = ports,
                 .rhythm = rhythm,
                 .cost = cost,
                 .emit = emit,
                 .finn_name = "StreamingFIFO",
                 .kernels = &kernels};

}  // namespace foldstream
