// SPDX-License-Identifier: Apache-2.0
#include "src/window/walk.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace foldstream::window {
namespace {

std::vector<Axis> axes(int64_t most_size) {
  std::vector<Axis> all;
  for (int64_t size = 1; size <= most_size; ++size) {
    for (int64_t kernel = 1; kernel <= 4; ++kernel) {
      for (int64_t stride = 1; stride <= 4; ++stride) {
        for (int64_t dilation = 1; dilation <= (kernel > 1 ? 2 : 1); ++dilation) {
          for (int64_t before = 0; before <= kernel * dilation; ++before) {
            for (int64_t after = 0; after <= kernel * dilation; ++after) {
              const Axis axis{size, kernel, stride, dilation, before, after};
              // Padding is less than the kernel's reach, and the kernel fits.
              if (before >= axis.reach() || after >= axis.reach()) continue;
              if (size + before + after < axis.reach()) continue;
              all.push_back(axis);
            }
          }
        }
      }
    }
  }
  return all;
}

// Windows begin when all that is under them in the frame is there, and nothing under a window is
// freed before it ends; a frame takes and frees all its beats.
void expect_sound(const WalkShape& shape) {
  const Walk walk(shape);
  int64_t acquired = 0, released = 0, window = 0;
  const int64_t beats = shape.position_beats;
  const auto place = [&](int64_t r, int64_t c) {
    return std::clamp<int64_t>(r, 0, shape.rows.size - 1) * shape.columns.size +
           std::clamp<int64_t>(c, 0, shape.columns.size - 1);
  };
  for (const Block& block : walk.frame) {
    for (int64_t repeat = 0; repeat < block.repeat; ++repeat, ++window) {
      const int64_t top = shape.rows.position(window / shape.columns.windows(), 0);
      const int64_t left = shape.columns.position(window % shape.columns.windows(), 0);
      const int64_t held = released;
      for (const Phase& phase : block.phases) acquired += phase.acquire, released += phase.release;
      const int64_t last = place(top + shape.rows.reach() - 1, left + shape.columns.reach() - 1);
      ASSERT_GE(acquired, (last + 1) * beats) << "window " << window;
      // The ring has room for first_used places more, which come free first.
      const int64_t kept = held - walk.first_used * walk.unit;
      ASSERT_LE(kept, place(top, left) * beats) << "window " << window;
      ASSERT_LE(acquired - kept, walk.places * walk.unit) << "window " << window;
    }
  }
  ASSERT_EQ(window, shape.rows.windows() * shape.columns.windows());
  ASSERT_EQ(acquired, walk.beats);
  ASSERT_EQ(released, walk.beats);
}

TEST(Walk, EveryGeometryIsSound) {
  const std::vector<Axis> some = axes(6);
  // Each axis of one direction beside a few of the other.
  const std::vector<Axis> others{{1}, {5, 3, 1, 1, 1, 1}, {5, 4, 3, 1, 3, 3}, {4, 2, 2}};
  for (const Axis& axis : some) {
    for (const Axis& other : others) {
      for (const bool lines : {false, true}) {
        for (const auto& [rows, columns] : {std::pair(axis, other), std::pair(other, axis)}) {
          if (lines && columns.size == 1) continue;
          SCOPED_TRACE(testing::Message()
                       << "rows " << rows.size << " k" << rows.kernel << " s" << rows.stride << " d"
                       << rows.dilation << " p" << rows.before << "," << rows.after << ", columns "
                       << columns.size << " k" << columns.kernel << " s" << columns.stride << " d"
                       << columns.dilation << " p" << columns.before << "," << columns.after);
          expect_sound({.rows = rows,
                        .columns = columns,
                        .position_beats = 3,
                        .channels_inside = false,
                        .lines_at_once = lines});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

}  // namespace
}  // namespace foldstream::window
