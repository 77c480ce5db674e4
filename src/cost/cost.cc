// SPDX-License-Identifier: Apache-2.0
#include "src/cost/cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/ir/op.h"
#include "src/rtl/rom.h"
#include "src/rtl/shared_memory.h"
#include "src/rtl/writable.h"

namespace foldstream {

namespace {

// The fewest steps from one that takes from an input to the next.
int64_t least_gap(const Rhythm& rhythm, size_t input) {
  int64_t least = INT64_MAX, since = INT64_MAX / 2;
  for (const Block& block : rhythm.frame) {
    for (int64_t time = 0; time < std::min<int64_t>(block.repeat, 2); ++time) {
      for (const Phase& phase : block.phases) {
        if ((phase.take >> input & 1) == 0) {
          since += phase.steps;
          continue;
        }
        least = std::min(least, phase.steps > 1 ? 1 : since + 1);
        since = 0;
      }
    }
  }
  return std::max<int64_t>(1, std::min(least, rhythm.steps()));
}

// Of the memories that the node has outside its module.
Cost outside_cost(const Node& node, Family family) {
  Cost cost;
  const MemoryPlace place = memory_place(node);
  if (node.op->memories == nullptr || place == MemoryPlace::inside) return cost;
  const std::vector<SharedPart> parts = shared_parts(node);
  for (const MemoryShape& memory : node.op->memories(node, family)) {
    if (place == MemoryPlace::streamed) {
      cost.stream += static_cast<double>(8 * stream_bytes(memory)) /
                     static_cast<double>(least_gap(node.op->rhythm(node, family), node.in.size()));
    } else if (place == MemoryPlace::outside) {
      cost += parts.empty()
                  ? plan_rom(memory.width, memory.depth).cost
                  : shared_memory_cost(memory, parts, node.integer("memory_clock_ratio", 1));
    } else {
      cost += writable_memory_cost(memory, in_ultra_ram(node, memory));
    }
  }
  return cost;
}

bool has_cost(const Node& node) {
  return node.op->kind == Op::Kind::hardware && node.op->cost != nullptr;
}

}  // namespace

Cost node_cost(const Node& node, Family family) {
  if (!has_cost(node)) return {};
  Cost cost = node.op->cost(node, family);
  cost += outside_cost(node, family);
  return cost;
}

Cost least_node_cost(const Node& node, Family family) {
  if (!has_cost(node) || node.op->least_cost == nullptr) return node_cost(node, family);
  Cost cost = node.op->least_cost(node, family);
  cost += outside_cost(node, family);
  return cost;
}

Cost bus_cost(const Graph& graph, Family family) {
  std::vector<MemoryShape> on_bus;
  for (const Node& node : graph.nodes) {
    if (!has_cost(node) || node.op->memories == nullptr) continue;
    const MemoryPlace place = memory_place(node);
    if (place != MemoryPlace::writable && place != MemoryPlace::loaded) continue;
    for (MemoryShape& memory : node.op->memories(node, family)) {
      on_bus.push_back(std::move(memory));
    }
  }
  return writable_bus_cost(on_bus);
}

Cost total_cost(const Graph& graph, Family family) {
  Cost total = bus_cost(graph, family);
  for (const Node& node : graph.nodes) total += node_cost(node, family);
  return total;
}

Cost whole_of(const Part& part, double share) {
  const auto of = [&](int64_t whole) { return std::floor(static_cast<double>(whole) * share); };
  return {of(part.lut), of(part.ff), of(part.bram18), of(part.uram), of(part.dsp)};
}

std::vector<Use> use_of(const Cost& cost, const Cost& available) {
  return {{"LUT", cost.lut, available.lut},
          {"FF", cost.ff, available.ff},
          {"BRAM_18K", cost.bram18, available.bram18},
          {"URAM", cost.uram, available.uram},
          {"DSP", cost.dsp, available.dsp}};
}

bool fits(const Cost& cost, const Cost& available) {
  const std::vector<Use> uses = use_of(cost, available);
  return std::all_of(uses.begin(), uses.end(), [](const Use& use) { return use.fits(); });
}

std::string exceeded(const Cost& cost, const Cost& available) {
  std::string text;
  for (const Use& use : use_of(cost, available)) {
    if (use.fits()) continue;
    text += fmt::format("{}{} {:.0f} of {:.0f}", text.empty() ? "" : ", ", use.resource,
                        std::ceil(use.used), use.available);
  }
  if (cost.stream > available.stream) {
    text += fmt::format("{}streamed weights {:.0f} bits a cycle of {:.0f}",
                        text.empty() ? "" : ", ", cost.stream, available.stream);
  }
  return text;
}

double Price::of(const Cost& cost) const {
  double sum = 0;
  const auto add = [&](double amount, double unit) {
    if (amount > 0) sum += amount * unit;  // nothing of what isn't there costs nothing
  };
  add(cost.lut, lut), add(cost.ff, ff), add(cost.bram18, bram18), add(cost.uram, uram);
  add(cost.dsp, dsp);
  return sum;
}

Price price_on(const Part& part) {
  const auto unit = [](int64_t whole) {
    return whole > 0 ? 1.0 / static_cast<double>(whole) : std::numeric_limits<double>::infinity();
  };
  return {unit(part.lut), unit(part.ff), unit(part.bram18), unit(part.uram), unit(part.dsp)};
}

}  // namespace foldstream
