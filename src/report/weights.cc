// SPDX-License-Identifier: Apache-2.0
#include "src/report/weights.h"

#include <fmt/format.h>

#include <cmath>

#include "src/cost/cost.h"
#include "src/ir/op.h"
#include "src/rtl/rom.h"
#include "src/rtl/writable.h"

namespace foldstream {
namespace {

constexpr double kMbit = 1e6, kGbit = 1e9;

double bits_of_frame(const MemoryShape& shape) {
  return static_cast<double>(8 * stream_bytes(shape) * weight_stream(shape).beats);
}

// What it would take on the chip.
double blocks_alone(const AbsentWeights& weights) {
  return plan_rom(weights.shape.width, weights.shape.depth).cost.bram18;
}
double ultra_alone(const AbsentWeights& weights) {
  return writable_memory_cost(weights.shape, true).uram;
}

}  // namespace

WeightsReport weights_report(const Graph& core, Family family, int64_t interval, double clock_mhz,
                             double limit) {
  WeightsReport report;
  report.limit = limit;
  for (const Node& node : core.nodes) {
    if (node.op->kind != Op::Kind::hardware || node.op->memories == nullptr) continue;
    const MemoryPlace place = memory_place(node);
    for (const MemoryShape& shape : node.op->memories(node, family)) {
      AbsentWeights weights{&node, shape, place, {}};
      report.bits += weights.bits();
      if (place == MemoryPlace::streamed) {
        weights.cost.stream = node_cost(node, family).stream;
        report.peak += weights.cost.stream * clock_mhz * 1e6;
        report.mean += bits_of_frame(shape) / static_cast<double>(interval) * clock_mhz * 1e6;
      } else if (in_ultra_ram(node, shape)) {
        weights.cost = writable_memory_cost(shape, true);
      } else {
        continue;
      }
      report.absent_bits += weights.bits();
      report.absent.push_back(std::move(weights));
    }
  }
  return report;
}

std::vector<std::string> weights_notes(const WeightsReport& report) {
  std::string loaded, streamed;
  size_t loads = 0, streams = 0;
  double blocks = 0;
  for (const AbsentWeights& weights : report.absent) {
    if (weights.place == MemoryPlace::streamed) {
      streamed += fmt::format("{}'{}' ({:.1f} Mbit, read {} times a frame, {:.0f} bits a cycle)",
                              streams++ == 0 ? "" : ", ", weights.node->name,
                              weights.bits() / kMbit, weights.shape.reads, weights.cost.stream);
    } else {
      loaded += fmt::format("{}'{}'", loads++ == 0 ? "" : ", ", weights.node->name);
      blocks += weights.cost.uram;
    }
  }
  std::vector<std::string> notes;
  if (loads > 0) {
    notes.push_back(
        fmt::format("{} memories of weights are in {:.0f} blocks of UltraRAM, which no bitstream "
                    "fills; a driver must load them before the first frame: {}",
                    loads, blocks, loaded));
  }
  if (streams > 0) {
    notes.push_back(fmt::format(
        "weights of {} layers do not fit and are streamed from memory outside, those that need the "
        "least bandwidth for what they free: {}; together {:.1f} Gbit/s at most of {:.1f}, {:.1f} "
        "over whole frames",
        streams, streamed, report.peak / kGbit, report.limit / kGbit, report.mean / kGbit));
  }
  return notes;
}

nlohmann::ordered_json weights_json(const WeightsReport& report) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const AbsentWeights& weights : report.absent) {
    nlohmann::ordered_json& entry = layers.emplace_back();
    entry = {{"node", weights.node->name},
             {"memory", weights.shape.name},
             {"place", weights.node->text("memory", "")},
             {"words", weights.shape.depth},
             {"width", weights.shape.width},
             {"bits", weights.bits()},
             {"BRAM_18K_instead", blocks_alone(weights)}};
    if (weights.place == MemoryPlace::streamed) {
      entry["URAM_instead"] = ultra_alone(weights);
      entry["reads_per_frame"] = weights.shape.reads;
      entry["bits_per_cycle"] = weights.cost.stream;
      entry["bits_per_frame"] = bits_of_frame(weights.shape);
    } else {
      entry["URAM"] = weights.cost.uram;
    }
  }
  return {{"bits", report.bits},
          {"bits_in_bitstream", report.bits - report.absent_bits},
          {"streamed_gbits_per_second",
           {{"most", report.peak / kGbit},
            {"limit", report.limit / kGbit},
            {"mean", report.mean / kGbit}}},
          {"not_in_bitstream", layers}};
}

}  // namespace foldstream
