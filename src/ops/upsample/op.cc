// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

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

std::vector<int64_t> scales(const Node& node) { return node.integers("scale", {}); }

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand of at least one dimension");
  }
  Type type = node.in_type(0);
  const std::vector<int64_t> scale = scales(node);
  constexpr int64_t kMost = 1 << 16;
  bool legal = scale.size() == type.shape.size() && scale.back() == 1;
  for (const int64_t s : scale) legal = legal && s >= 1 && s <= kMost;
  if (!legal) {
    throw Error(
        fmt::format("scale {} of {}", to_string(scale), to_string(type)),
        fmt::format("'scale' has a factor of 1 to {} for each axis, 1 for the last", kMost));
  }
  for (size_t d = 0; d < scale.size(); ++d) type.shape[d] *= scale[d];
  if (!checked_element_count(type.shape)) {
    throw Error(
        fmt::format("scale {} makes {}, more than can be held", to_string(scale), to_string(type)));
  }
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  // From the last axis on, each run of elements is repeated.
  std::vector<int64_t> now = in[0]->ints;
  const std::vector<int64_t> scale = scales(node);
  int64_t run = 1;
  for (size_t d = scale.size(); d-- > 0;) {
    if (scale[d] > 1) {
      std::vector<int64_t> repeated;
      repeated.reserve(now.size() * scale[d]);
      for (auto from = now.begin(); from != now.end(); from += run) {
        for (int64_t time = 0; time < scale[d]; ++time) {
          repeated.insert(repeated.end(), from, from + run);
        }
      }
      now = std::move(repeated);
    }
    run *= node.out[0].shape[d];
  }
  return {make_ints(node.out[0], std::move(now))};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const std::vector<int64_t> scale = scales(node);
  const std::vector<double> factors(scale.begin(), scale.end());
  sink.node(
      "", "Resize",
      {sink.input(0), "",
       sink.constant(make_floats(Shape{static_cast<int64_t>(scale.size())}, factors), "scale")},
      {sink.output(0)},
      {{"coordinate_transformation_mode", std::string("asymmetric")},
       {"mode", std::string("nearest")},
       {"nearest_mode", std::string("floor")}});
}

// `count` times: what is inside, as a whole `scale` times.
struct Level {
  int64_t count = 1, scale = 1;
};

// Axes up to the last one that is repeated, outermost first; one without repetition is part of the
// one inside it. Then the beats of a run that only repeats as a whole.
struct Plan {
  Stream in, out;
  std::vector<Level> levels;
  int64_t run = 1;
  // Beats that come again: all inside the outermost repetition.
  int64_t held() const {
    int64_t beats = run;
    for (size_t level = 1; level < levels.size(); ++level) beats *= levels[level].count;
    return beats;
  }
  bool block_memory() const { return memory_cost(in.width(), held()).bram18 > 0; }
};

Plan plan(const Node& node) {
  const Type &in = node.in_type(0), &out = node.out[0];
  const int64_t pe = folding(node, "pe", in.shape.back(), "elements of the last axis");
  Plan plan{.in = {pe, in.bits, in.count() / pe},
            .out = {pe, out.bits, out.count() / pe},
            .levels = {},
            .run = 1};
  int64_t count = 1;
  for (size_t d = 0; d < in.shape.size(); ++d) {
    count *= in.shape[d];
    if (scales(node)[d] == 1) continue;
    plan.levels.push_back({count, scales(node)[d]});
    count = 1;
  }
  plan.run = count / pe;
  return plan;
}

std::vector<Fold> folds(const Node& node) {
  return {{"pe", divisors(node.in_type(0).shape.back())}};
}

Ports ports(const Node& node) {
  const Plan p = plan(node);
  return {.in = {p.in}, .out = {p.out}};
}

// Only where every repetition is at its first does a step take.
Rhythm rhythm(const Node& node, Family) {
  const Plan p = plan(node);
  std::vector<Phase> first{{p.run, 1, 1}};
  std::vector<Block> frame{{1, first}};
  for (size_t level = p.levels.size(); level-- > 0;) {
    const auto& [count, scale] = p.levels[level];
    int64_t steps = 0;
    std::vector<Phase> once;
    for (const Phase& phase : first) steps += phase.steps;
    for (int64_t time = 0; time < (level == 0 ? 1 : count); ++time) {
      for (const Phase& phase : first) add_steps(once, phase);
      add_steps(once, {steps * (scale - 1), 0, 1});
    }
    first = std::move(once);
    frame = {{level == 0 ? count : 1, first}};
  }
  Rhythm rhythm{.frame = std::move(frame)};
  finish_steps(node, p.block_memory() ? 1 : 0, rhythm);
  return rhythm;
}

Cost cost(const Node& node, Family family) {
  const Plan p = plan(node);
  Cost cost = queue_cost(rhythm(node, family), p.out.width());
  cost.lut += 1;
  if (p.levels.empty()) return cost;
  const auto width = static_cast<double>(p.in.width());
  const auto bits = [](int64_t count) {
    return static_cast<double>(std::bit_width(static_cast<uint64_t>(count - 1)));
  };
  // A counter beside its carry chain: whether it is at its last or its first, and moves on.
  constexpr double kLoop = 4.5;
  const auto count = [&](int64_t size) {
    if (size > 1) cost.lut += kLoop, cost.ff += bits(size);
  };
  count(p.run);
  for (size_t level = 0; level < p.levels.size(); ++level) {
    if (level > 0) count(p.levels[level].count);
    count(p.levels[level].scale);
  }
  // The beat that came, or one from before.
  cost.lut += width;
  if (p.held() == 1) {
    cost.ff += width;
    return cost;
  }
  cost += p.block_memory() ? memory_cost(p.in.width(), p.held())
                           : one_port_memory_cost(p.in.width(), p.held());
  // An address that goes back is a sum, one that only counts a carry chain.
  if (p.levels.size() > 1) cost.lut += bits(p.held());
  cost.ff += bits(p.held());
  if (p.block_memory()) cost.ff += width + 2;
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Plan p = plan(node);
  const Rhythm steps = rhythm(node, family);
  SvModule module(instance,
                  fmt::format("Upsampling: {} to {}, {} elements at once.",
                              to_string(node.in_type(0)), to_string(node.out[0]), p.in.lanes),
                  fmt::format("Latency {}, {} steps a frame, queue of {}.", steps.depth,
                              steps.steps(), steps.queue));
  add_block_ports(module, p.in.width(), p.out.width());
  module.comment("Issue");
  for (const char* wire : {"available", "issue", "take", "write"}) module.wire(wire);
  std::vector<Walk::Loop> loops;
  for (size_t level = 0; level < p.levels.size(); ++level) {
    // Frames follow one another: how often the outermost comes needs no count.
    loops.push_back({fmt::format("place_{}", level), level == 0 ? 1 : p.levels[level].count});
    loops.push_back({fmt::format("time_{}", level), p.levels[level].scale});
  }
  loops.push_back({"run", p.levels.empty() ? 1 : p.run});
  const Walk walk(module, loops, "issue");
  std::vector<std::string> first;
  for (size_t level = 0; level < p.levels.size(); ++level)
    first.push_back(walk.at(2 * level + 1, 0));
  module.assign("take", all_of(first));
  module.assign("s_ready_o", "take && available");
  module.assign("issue", "(!take || s_valid_i) && available");
  module.assign("write", "issue && take");

  std::string data = "s_data_i", push = "issue";
  const auto width = static_cast<int>(p.in.width());
  if (!p.levels.empty() && p.held() == 1) {
    module.comment("The beat that comes again");
    module.wire("held_q", width);
    module.register_data("held_q", "write ? s_data_i : held_q");
    module.wire("data", width);
    module.assign("data", "take ? s_data_i : held_q");
    data = "data";
  } else if (!p.levels.empty()) {
    module.comment("The beats that come again");
    const int address = std::bit_width(static_cast<uint64_t>(p.held() - 1));
    module.wire("address_q", address);
    // With a start value Yosys leaves the address out of the memory cell; it would copy it.
    module.raw("initial address_q = '0;");
    const auto number = [&](int64_t value) { return SvModule::number(address, value); };
    // At the end of a repetition back to its begin, at that of the outermost to the first.
    std::string next = fmt::format("address_q + {}", number(1));
    int64_t inside = p.run;
    std::string ends = walk.last(loops.size() - 1);
    for (size_t level = p.levels.size(); level-- > 1;) {
      next = fmt::format("{} ? address_q - {} : {}",
                         all_of({ends, fmt::format("!{}", walk.last(2 * level + 1))}),
                         number(inside - 1), next);
      ends = all_of({ends, walk.last(2 * level + 1), walk.last(2 * level)});
      inside *= p.levels[level].count;
    }
    module.register_control("address_q",
                            fmt::format("!issue ? address_q : {} ? {} : {}", ends, number(0), next),
                            number(0));
    module.wire("stored", width);
    SvBindings parameters{{"Width", std::to_string(width)}, {"Depth", std::to_string(p.held())}};
    if (p.block_memory()) parameters.emplace_back("BlockRam", "1'b1");
    module.instance("fst_memory", "u_memory", parameters,
                    {{"clk_i", "clk_i"},
                     {"write_i", "write"},
                     {"write_address_i", "address_q"},
                     {"write_data_i", "s_data_i"},
                     {"read_address_i", "address_q"},
                     {"read_data_o", "stored"}});
    const int64_t stages = p.block_memory() ? 1 : 0;
    const std::string taken = delayed_data(module, "take", 1, stages);
    const std::string value = delayed_data(module, "s_data_i", width, stages);
    module.wire("data", width);
    module.assign("data", fmt::format("{} ? {} : stored", taken, value));
    data = "data", push = delayed_control(module, "issue", stages);
  }
  add_output_queue(module, steps, p.out.width(), "issue", push, data);
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

const Kernels kernels{
    .ranges = range_of_operand, .wants = kernel::moves_operand, .make = kernel::make_moves};

}  // namespace

extern const Op op_upsample;
const Op op_upsample{.name = "upsample",
                     .doc = "each element several times in a row along some axes",
                     .kind = Op::Kind::hardware,
                     .to_onnx = to_onnx,
                     .infer = infer,
                     .eval = eval,
                     .folds = folds,
                     .ports = ports,
                     .rhythm = rhythm,
                     .cost = cost,
                     .emit = emit,
                     .finn_name = "UpsampleNearestNeighbour",
                     .kernels = &kernels};

}  // namespace foldstream
