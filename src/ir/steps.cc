// SPDX-License-Identifier: Apache-2.0
#include "src/ir/steps.h"

#include <algorithm>
#include <deque>

#include "src/ir/folding.h"
#include "src/ir/graph.h"

namespace foldstream {

void add_steps(std::vector<Phase>& phases, const Phase& phase) {
  if (phase.steps == 0) return;
  if (!phases.empty()) {
    Phase same = phase;
    same.steps = phases.back().steps;
    if (same == phases.back()) {
      phases.back().steps += phase.steps;
      return;
    }
  }
  phases.push_back(phase);
}

std::vector<Block> blocks_of_rows(const std::vector<std::vector<Phase>>& kinds,
                                  const std::vector<int>& order) {
  constexpr size_t kLongestGroup = 16;
  const size_t rows = order.size();
  std::vector<Block> blocks;
  for (size_t row = 0; row < rows;) {
    // The group of rows that, repeated, covers most from here on.
    size_t best = 1, covered = 1;
    for (size_t group = 1; group <= std::min(kLongestGroup, (rows - row) / 2); ++group) {
      size_t equal = row + group;
      while (equal < rows && order[equal] == order[equal - group]) ++equal;
      const size_t covers = (equal - row) / group * group;
      if (covers > group && covers > covered) best = group, covered = covers;
    }
    Block block{static_cast<int64_t>(covered / best), {}};
    for (size_t i = 0; i < best; ++i) {
      for (const Phase& phase : kinds[order[row + i]]) add_steps(block.phases, phase);
    }
    blocks.push_back(std::move(block));
    row += covered;
  }
  return blocks;
}

std::vector<Block> repeated(const std::vector<Block>& frame, int64_t times) {
  std::vector<Block> blocks = frame;
  if (blocks.size() == 1) {
    blocks[0].repeat *= times;
    return blocks;
  }
  for (int64_t time = 1; time < times; ++time) {
    blocks.insert(blocks.end(), frame.begin(), frame.end());
  }
  return blocks;
}

namespace {

// The most beats that one output is given in so many steps in a row.
int64_t busiest(const std::vector<Block>& frame, uint32_t output, int64_t window) {
  std::deque<int64_t> recent;  // steps that gave
  size_t most = 0;
  int64_t now = 0;
  // Twice, for windows across two frames; more repeats than the window is long are no busier.
  for (int frames = 0; frames < 2; ++frames) {
    for (const Block& block : frame) {
      for (int64_t time = 0; time < std::min(block.repeat, window + 1); ++time) {
        for (const Phase& phase : block.phases) {
          const int64_t end = now + phase.steps;
          if ((phase.give & output) != 0) {
            for (int64_t step = std::max(now, end - window); step < end; ++step) {
              recent.push_back(step);
              while (recent.front() <= step - window) recent.pop_front();
              most = std::max(most, recent.size());
            }
          }
          now = end;
        }
      }
    }
  }
  return static_cast<int64_t>(most);
}

}  // namespace

void finish_steps(const Node& node, int64_t stages, Rhythm& rhythm) {
  finish_rhythm(node, stages, 1, rhythm);
  if (node.attr.contains("queue")) return;
  uint32_t outputs = 0;
  for (const Block& block : rhythm.frame) {
    for (const Phase& phase : block.phases) outputs |= phase.give;
  }
  // A credit comes back depth + 1 cycles after the issue that took it.
  int64_t fewest = 1;
  for (uint32_t output = 1; output <= outputs && output != 0; output <<= 1) {
    fewest = std::max(fewest, busiest(rhythm.frame, output, stages + 2));
  }
  rhythm.queue = fewest;
}

}  // namespace foldstream
