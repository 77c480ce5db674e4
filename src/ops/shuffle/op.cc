// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/ir/folding.h"
#include "src/ir/kernel.h"
#include "src/ir/onnx_node.h"
#include "src/ir/permute.h"
#include "src/ir/steps.h"
#include "src/kernel/convert.h"
#include "src/rtl/block.h"
#include "src/rtl/walk.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

std::vector<int64_t> perm(const Node& node) { return node.integers("perm", {}); }

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float) throw Error("takes one integer operand");
  Type type = node.in_type(0);
  type.shape = permuted_shape(type.shape, perm(node));
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return {permuted(*in[0], perm(node))};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node("", "Transpose", {sink.input(0)}, {sink.output(0)}, {{"perm", perm(node)}});
}

// A loop over beats in the order of the result: how often, and how far apart in the operand.
struct Loop {
  int64_t count = 1, stride = 1;
};

// Axes that keep their order at the front repeat a block of beats; those at the back are a run that
// stays together. Loops are of one block, outermost first.
struct Plan {
  Stream in, out;
  int64_t blocks = 1, beats = 1;  // beats of a block
  std::vector<Loop> loops;
  int64_t room = 2;

  // Steps of one time around the outermost loop, after which no beat before the next one's first is
  // read again.
  int64_t round() const { return loops.empty() ? 1 : beats / loops[0].count; }
  int64_t freed_by_round() const { return loops.empty() ? 1 : loops[0].stride; }
  int64_t freed_at_end() const {
    return loops.empty() ? 1 : beats - (loops[0].count - 1) * loops[0].stride;
  }
  // Beats freed by the steps before this one, of this and all blocks before.
  int64_t freed_before(int64_t step) const {
    const int64_t block = step >= 0 ? step / beats : -((beats - 1 - step) / beats);
    return block * beats + (step - block * beats) / round() * freed_by_round();
  }
  // From the beat of a step to that of the next, which begins a new time around this loop.
  int64_t move(size_t loop) const {
    int64_t move = loops[loop].stride;
    for (size_t inner = loop + 1; inner < loops.size(); ++inner) {
      move -= (loops[inner].count - 1) * loops[inner].stride;
    }
    return move;
  }
  bool block_memory() const { return memory_cost(in.width(), room).bram18 > 0; }
  int64_t stages() const { return block_memory() ? 1 : 0; }
};

// visit(beat, round_ends) for the steps of a block.
template <class Visit>
void for_each_step(const Plan& plan, const Visit& visit) {
  std::vector<int64_t> index(plan.loops.size(), 0);
  int64_t beat = 0;
  for (int64_t step = 0; step < plan.beats; ++step) {
    visit(beat, (step + 1) % plan.round() == 0);
    for (size_t loop = plan.loops.size(); loop-- > 0;) {
      if (++index[loop] < plan.loops[loop].count) {
        beat += plan.move(loop);
        break;
      }
      index[loop] = 0;
    }
  }
}

// Axes of one left out, and axes that stay neighbours joined.
void simplify(Shape& shape, std::vector<int64_t>& order) {
  std::vector<int64_t> kept;
  for (const int64_t axis : order) {
    if (shape[axis] == 1) continue;
    if (!kept.empty()) {
      int64_t next = kept.back() + 1;
      while (next < axis && shape[next] == 1) ++next;
      if (next == axis) {
        shape[axis] *= shape[kept.back()];
        shape[kept.back()] = 1;
        kept.back() = axis;
        continue;
      }
    }
    kept.push_back(axis);
  }
  std::vector<int64_t> sorted = kept;
  std::sort(sorted.begin(), sorted.end());
  Shape sizes;
  for (const int64_t axis : sorted) sizes.push_back(shape[axis]);
  for (int64_t& axis : kept) {
    axis = std::lower_bound(sorted.begin(), sorted.end(), axis) - sorted.begin();
  }
  shape = std::move(sizes), order = std::move(kept);
}

// Elements that stay together.
int64_t common_run(const Node& node) {
  Shape shape = node.in_type(0).shape;
  std::vector<int64_t> order = perm(node);
  simplify(shape, order);
  if (order.empty()) return 1;
  return order.back() + 1 == static_cast<int64_t>(order.size()) ? shape.back() : 1;
}

Plan plan(const Node& node) {
  const Type& type = node.in_type(0);
  const int64_t lanes = folding(node, "lanes", common_run(node), "elements that stay together");
  Plan plan;
  plan.in = {lanes, type.bits, type.count() / lanes};
  plan.out = plan.in;
  Shape shape = type.shape;
  std::vector<int64_t> order = perm(node);
  simplify(shape, order);
  if (lanes > 1) shape.back() /= lanes;
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  const bool moves = order.size() > 1;
  for (size_t d = 0; d < order.size(); ++d) {
    if (d == 0 && (order[0] == 0 || !moves)) {
      plan.blocks = shape[0];
    } else if (shape[order[d]] > 1) {
      plan.loops.push_back({shape[order[d]], strides[order[d]]});
    }
  }
  plan.beats = plan.in.beats / plan.blocks;
  constexpr int64_t kMostBeats = 1 << 24;
  if (plan.beats > kMostBeats) {
    throw Error(fmt::format("{}: {} beats in another order", describe(node), plan.beats),
                fmt::format("a shuffle holds at most {}", kMostBeats));
  }
  // At the full rate beats come one a cycle, and steps begin as early as what they need allows.
  int64_t begin = 0, needed = 0, step = 0;
  for_each_step(plan, [&](int64_t beat, bool) {
    needed = std::max(needed, beat + 1);
    begin = std::max(begin, needed - step++);
  });
  for (int64_t beat = 0; beat < plan.beats; ++beat) {
    plan.room = std::max(plan.room, beat + 1 - plan.freed_before(beat - begin));
  }
  // Addresses of a power of two of places wrap by themselves.
  const auto power = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(plan.room)));
  if (memory_cost(plan.in.width(), power).bram18 <=
      memory_cost(plan.in.width(), plan.room).bram18) {
    plan.room = power;
  }
  return plan;
}

std::vector<Fold> folds(const Node& node) { return {{"lanes", divisors(common_run(node))}}; }

Ports ports(const Node& node) {
  const Plan p = plan(node);
  return {.in = {p.in}, .out = {p.out}};
}

Rhythm rhythm(const Node& node, Family) {
  const Plan p = plan(node);
  std::vector<Phase> phases;
  int64_t needed = 0, step = 0;
  for_each_step(p, [&](int64_t beat, bool round_ends) {
    Phase phase{.steps = 1, .take = 0, .give = 1};
    phase.acquire = std::max<int64_t>(0, beat + 1 - needed);
    needed += phase.acquire;
    if (round_ends) phase.release = p.freed_by_round();
    if (++step == p.beats) phase.release = p.freed_at_end();
    add_steps(phases, phase);
  });
  Rhythm rhythm{.frame = {{p.blocks, std::move(phases)}}};
  rhythm.store = Store{.room = p.room, .beats = p.in.beats};
  finish_rhythm(node, p.stages(), 1, rhythm);
  return rhythm;
}

int bits_of(int64_t largest) { return std::bit_width(static_cast<uint64_t>(largest)); }

// Moves to the next step's beat, by the innermost loop that goes on; last the one after all.
std::vector<int64_t> moves(const Plan& plan) {
  std::vector<int64_t> moves;
  for (size_t loop = plan.loops.size(); loop-- > 0;) moves.push_back(plan.move(loop));
  moves.push_back(1);
  return moves;
}

// Of so many bits, those that any of the numbers has.
double bits_used(const std::vector<int64_t>& numbers, int bits) {
  uint64_t any = 0;
  for (const int64_t number : numbers) any |= static_cast<uint64_t>(number);
  return std::popcount(any & ((uint64_t{1} << bits) - 1));
}

// Tables that find whether all of so many signals are as they should.
double tables_of_all(int signals) { return (signals + 3) / 5; }

Cost cost(const Node& node, Family family) {
  const Plan p = plan(node);
  Cost cost = queue_cost(rhythm(node, family), p.out.width());
  cost += memory_cost(p.in.width(), p.room);
  const auto power = [](int64_t count) { return (count & (count - 1)) == 0; };
  for (const Loop& loop : p.loops) {
    cost += fold_counter_cost(loop.count);
    // Others compare with their last to begin anew.
    if (power(loop.count)) cost.lut += tables_of_all(bits_of(loop.count - 1));
  }
  cost += fold_counter_cost(p.room);  // where a beat is written
  // Where one is read, how many are ahead of it and how many places are in use.
  const int address = bits_of(p.room - 1), ahead = bits_of(std::max(p.beats, p.room)) + 1,
            used = bits_of(p.room);
  cost.ff += address + ahead + used;
  // A block memory's word comes a cycle later; tables take the address from a register of its own,
  // which goes on or stays by a table for each bit.
  cost.ff += p.block_memory() ? 1 : address;
  if (!p.block_memory()) cost.lut += address;
  // The place moves on in a carry chain with a table for each bit that ever is added. Beats ahead
  // and places in use are sums of three: saved carries are a table for each such bit, adding them
  // one for every bit. Unless places wrap by themselves one of two sums is chosen.
  cost.lut += bits_used(moves(p), address) + bits_used(moves(p), ahead) + ahead +
              bits_used({p.freed_by_round(), p.freed_at_end()}, used) + used;
  if (!power(p.room)) cost.lut += 2 * address;
  // Whether there is room and a beat is written; that a step is the last of its loops, and comes.
  cost.lut += tables_of_all(used) + 1 + 2 * static_cast<double>(p.loops.size());
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Plan p = plan(node);
  const Rhythm steps = rhythm(node, family);
  SvModule module(instance,
                  fmt::format("Shuffle: {} with axes in the order {}, {} elements at once.",
                              to_string(node.in_type(0)), to_string(perm(node)), p.in.lanes),
                  fmt::format("Latency {}, interval 1, store of {}, queue of {}.", steps.depth,
                              p.room, steps.queue));
  add_block_ports(module, p.in.width(), p.out.width());
  for (const char* wire : {"available", "issue", "write"}) module.wire(wire);
  std::vector<Walk::Loop> names;
  for (size_t loop = 0; loop < p.loops.size(); ++loop) {
    names.push_back({fmt::format("loop_{}", loop), p.loops[loop].count});
  }
  module.comment("Place of the next step");
  const Walk walk(module, names, "issue");
  // By the innermost loop that goes on; all at their last go on with the next block's first beat.
  const auto choice = [&](const auto& spelled) {
    std::string text = spelled(int64_t{1});
    for (size_t loop = 0; loop < p.loops.size(); ++loop) {
      text = fmt::format("!{} ? {} : {}", walk.last(loop), spelled(p.move(loop)), text);
    }
    return text;
  };
  std::vector<std::string> inner, all;
  for (size_t loop = 0; loop < p.loops.size(); ++loop) {
    if (loop > 0) inner.push_back(walk.last(loop));
    all.push_back(walk.last(loop));
  }

  module.comment("Beats written ahead of the one to be read, less one");
  const int ahead = bits_of(std::max(p.beats, p.room)) + 1;
  const auto modulo = [](int64_t value, int bits) {
    return SvModule::number(bits, value & ((int64_t{1} << bits) - 1));
  };
  module.wire("ahead_q", ahead);
  module.wire("move", ahead);
  module.assign("move", choice([&](int64_t move) { return modulo(move, ahead); }));
  module.register_control("ahead_q",
                          fmt::format("ahead_q + {0}'(write) - (issue ? move : {0}'d0)", ahead),
                          modulo(-1, ahead));
  module.assign("issue", fmt::format("!ahead_q[{}] && available", ahead - 1));

  module.comment("Places in use");
  const int used = bits_of(p.room);
  module.wire("used_q", used);
  module.wire("freed", used);
  module.assign("freed", fmt::format("!(issue && {}) ? {} : {} ? {} : {}", all_of(inner),
                                     modulo(0, used), all_of(all), modulo(p.freed_at_end(), used),
                                     modulo(p.freed_by_round(), used)));
  module.register_control("used_q", fmt::format("used_q + {}'(write) - freed", used),
                          modulo(0, used));
  module.assign("s_ready_o", fmt::format("used_q != {}", SvModule::number(used, p.room)));
  module.assign("write", "s_valid_i && s_ready_o");

  module.comment("Ring of beats");
  add_fold_counter(module, "write_address_q", p.room, "write");
  const int address = bits_of(p.room - 1);
  const bool wraps = (p.room & (p.room - 1)) == 0;
  const int sum = wraps ? address : address + 1;
  module.wire("read_address_q", address);
  module.wire("moved", sum);
  module.assign("moved", fmt::format("{}'(read_address_q) + ({})", sum, choice([&](int64_t move) {
                                       const int64_t places = (move % p.room + p.room) % p.room;
                                       return SvModule::number(sum, places);
                                     })));
  const std::string wrapped = wraps ? "moved"
                                    : fmt::format("moved >= {1} ? {0}'(moved - {1}) : {0}'(moved)",
                                                  address, SvModule::number(sum, p.room));
  module.register_control("read_address_q", fmt::format("!issue ? read_address_q : {}", wrapped),
                          modulo(0, address));
  module.wire("stored", static_cast<int>(p.in.width()));
  SvBindings parameters{{"Width", std::to_string(p.in.width())}, {"Depth", std::to_string(p.room)}};
  if (p.block_memory()) parameters.emplace_back("BlockRam", "1'b1");
  module.instance("fst_memory", "u_memory", parameters,
                  {{"clk_i", "clk_i"},
                   {"write_i", "write"},
                   {"write_address_i", "write_address_q"},
                   {"write_data_i", "s_data_i"},
                   {"read_address_i", "read_address_q"},
                   {"read_data_o", "stored"}});
  const std::string push = delayed_control(module, "issue", p.stages());
  add_output_queue(module, steps, p.out.width(), "issue", push, "stored");
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

}  // namespace

namespace {

std::unique_ptr<Kernel> make(const KernelSite& site) {
  if (site.in[0].storage.form != site.out[0].form || site.in[0].storage.base != site.out[0].base) {
    return nullptr;
  }
  return kernel::make_permute(site.in[0].storage, site.node.in_type(0).shape, perm(site.node));
}

const Kernels kernels{.ranges = range_of_operand, .make = make, .moves = true};

}  // namespace

extern const Op op_shuffle;
const Op op_shuffle{.name = "shuffle",
                    .doc = "axes of an integer tensor in another order",
                    .kind = Op::Kind::hardware,
                    .to_onnx = to_onnx,
                    .infer = infer,
                    .eval = eval,
                    .folds = folds,
                    .ports = ports,
                    .rhythm = rhythm,
                    .cost = cost,
                    .emit = emit,
                    .finn_name = "Shuffle",
                    .kernels = &kernels};

}  // namespace foldstream
