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

int64_t branches(const Node& node) { return node.integer("branches", 2); }

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float) throw Error("takes one integer operand");
  if (branches(node) < 2 || branches(node) > 32) {
    throw Error(fmt::format("branches = {}", branches(node)), "legal values are 2 to 32");
  }
  return std::vector<Type>(branches(node), node.in_type(0));
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return std::vector<Tensor>(branches(node), *in[0]);
}

void to_onnx(const Node& node, OnnxSink& sink) {
  for (int64_t branch = 0; branch < branches(node); ++branch) {
    sink.node("", "Identity", {sink.input(0)}, {sink.output(branch)});
  }
}

std::vector<Fold> folds(const Node& node) { return {{"lanes", divisors(node.in_type(0).count())}}; }

Ports ports(const Node& node) {
  const Type& type = node.in_type(0);
  const int64_t lanes = folding(node, "lanes", type.count(), "elements");
  const Stream stream{lanes, type.bits, type.count() / lanes};
  return {.in = {stream}, .out = std::vector<Stream>(branches(node), stream)};
}

Rhythm rhythm(const Node& node, Family) {
  const auto give = static_cast<uint32_t>((uint64_t{1} << branches(node)) - 1);
  Rhythm rhythm{.frame = {{1, {{ports(node).in[0].beats, 1, give}}}}};
  finish_rhythm(node, 0, 1, rhythm);
  rhythm.depth = 1;  // the cell's queues are LUT memory at any capacity
  return rhythm;
}

Cost cost(const Node& node, Family family) {
  Cost cost;
  const Rhythm steps = rhythm(node, family);
  for (const Stream& stream : ports(node).out) cost += queue_cost(steps, stream.width());
  // Three and more queues of 33 to 64 beats take four LUTs less each, as synthesized with one to
  // sixteen bits: what tells all of them to take a beat is a table of its own there, and no input
  // of each counter's.
  if (branches(node) > 2 && steps.queue > 32 && steps.queue <= 64)
    cost.lut -= static_cast<double>(4 * branches(node));
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Stream stream = ports(node).in[0];
  const Rhythm steps = rhythm(node, family);
  const auto width = static_cast<int>(stream.width());
  const auto count = static_cast<int>(branches(node));
  SvModule module(instance, fmt::format("Fork: {} copies of a stream.", count),
                  fmt::format("Latency 1, interval 1, queues of {}.", steps.queue));
  for (const char* port : {"clk_i", "rst_i", "s_valid_i"}) module.input(port);
  module.output("s_ready_o");
  module.input("s_data_i", width);
  SvBindings connections{{"clk_i", "clk_i"},
                         {"rst_i", "rst_i"},
                         {"s_valid_i", "s_valid_i"},
                         {"s_ready_o", "s_ready_o"},
                         {"s_data_i", "s_data_i"}};
  std::vector<std::string> valid, ready, data;  // most significant first
  for (int branch = count; branch-- > 0;) {
    valid.push_back(fmt::format("m{}_valid_o", branch));
    ready.push_back(fmt::format("m{}_ready_i", branch));
    data.push_back(fmt::format("m{}_data_o", branch));
  }
  for (int branch = count; branch-- > 0;) {
    module.output(valid[branch]);
    module.input(ready[branch]);
    module.output(data[branch], width);
  }
  connections.emplace_back("m_valid_o", SvModule::concat(valid));
  connections.emplace_back("m_ready_i", SvModule::concat(ready));
  connections.emplace_back("m_data_o", SvModule::concat(data));
  module.instance("fst_fork", "u_fork",
                  {{"Width", std::to_string(width)},
                   {"Branches", std::to_string(count)},
                   {"Depth", std::to_string(steps.queue)}},
                  connections);
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

}  // namespace

namespace {
const Kernels kernels{.copies = true};
}

extern const Op op_fork;
const Op op_fork{.name = "fork",
                 .doc = "the same elements on several streams",
                 .kind = Op::Kind::hardware,
                 .to_onnx = to_onnx,
                 .infer = infer,
                 .eval = eval,
                 .folds = folds,
                 .ports = ports,
                 .rhythm = rhythm,
                 .cost = cost,
                 .emit = emit,
                 .finn_name = "DuplicateStreams",
                 .kernels = &kernels};

}  // namespace foldstream
