// SPDX-License-Identifier: Apache-2.0
// Operators for unit tests of engines: hardware whose streams and rhythm are written into the node.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/ir/op.h"

namespace foldstream::fake {

// `phases` is a flat list of {steps, take, give}, and `stored` of {acquire, release} for each of
// them when there is a store of `room` places; `hold` as in Rhythm. Every operand and result has as
// many lanes as its elements divided by the beats that the phases move.
inline Rhythm rhythm(const Node& node, Family) {
  Rhythm result;
  const std::vector<int64_t> flat = node.integers("phases", {});
  Block block{node.integer("repeat", 1), {}};
  for (size_t i = 0; i + 2 < flat.size(); i += 3) {
    block.phases.push_back(
        {flat[i], static_cast<uint32_t>(flat[i + 1]), static_cast<uint32_t>(flat[i + 2])});
  }
  result.frame.push_back(std::move(block));
  result.depth = node.integer("depth", 1);
  result.queue = node.integer("queue", result.depth + 1);
  result.hold = node.integer("hold", 0);
  if (const std::vector<int64_t> stored = node.integers("stored", {}); !stored.empty()) {
    std::vector<Phase>& phases = result.frame[0].phases;
    result.store = Store{node.integer("room"), 0};
    for (size_t i = 0; i < phases.size(); ++i) {
      phases[i].acquire = stored[2 * i], phases[i].release = stored[2 * i + 1];
      result.store->beats += result.frame[0].repeat * phases[i].steps * phases[i].acquire;
    }
  }
  return result;
}

inline Ports ports(const Node& node) {
  const Rhythm steps = rhythm(node, Family::generic);
  const auto side = [&](size_t port, uint32_t Phase::*mask, const Type& type) {
    int64_t beats = 0;
    for (const Phase& phase : steps.frame[0].phases) {
      if (phase.*mask >> port & 1) beats += steps.frame[0].repeat * phase.steps;
    }
    return Stream{type.count() / beats, type.bits, beats};
  };
  Ports result;
  for (size_t i = 0; i < node.in.size(); ++i)
    result.in.push_back(i == 0 && steps.store ? Stream{node.in_type(0).count() / steps.store->beats,
                                                       node.in_type(0).bits, steps.store->beats}
                                              : side(i, &Phase::take, node.in_type(i)));
  for (size_t i = 0; i < node.out.size(); ++i)
    result.out.push_back(side(i, &Phase::give, node.out[i]));
  return result;
}

inline std::vector<Type> infer(const Node& node) {
  std::vector<Type> result;
  for (int64_t elements : node.integers("elements", {}))
    result.push_back(integer_type(1, false, {1, elements}));
  return result;
}

// `macs`: multiplications of a frame, one bit by one.
inline std::map<std::string, int64_t> counts(const Node& node) {
  const int64_t macs = node.integer("macs", 0);
  if (macs == 0) return {};
  return {{"op_mac_1bx1b", macs}};
}

inline const Op block{.name = "fake_block",
                      .doc = "a block of any rhythm",
                      .kind = Op::Kind::hardware,
                      .infer = infer,
                      .ports = ports,
                      .rhythm = rhythm,
                      .counts = counts};

}  // namespace foldstream::fake
