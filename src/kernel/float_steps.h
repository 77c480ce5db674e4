// SPDX-License-Identifier: Apache-2.0
// A function of a float that only ever steps up, from 0 to as many levels as it has: known by the
// least float of each level.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "src/kernel/aligned.h"

namespace foldstream::kernel {

struct FloatSteps {
  int64_t levels = 0;
  // edges[k]: the least float of level k, for k = 1 ... levels; minus infinity at 0, infinity
  // behind the last.
  AlignedVector<float> edges;
  // For more than three levels: clamp(floor(x * scale + offset), 0, levels) is the level, or one
  // beside it where `corrects`.
  float scale = 0, offset = 0;
  bool corrects = false;
};

// Finds the edges of `level`, which must be monotone over all floats but NaN and reach from 0 to
// `levels` (at most 255). Nothing when no line comes near enough.
std::optional<FloatSteps> find_float_steps(int64_t levels,
                                           const std::function<int64_t(float)>& level);

struct FloatStepsRoutine {
  // The level of each of `count` floats; of NaN it is 0.
  void (*run)(const FloatSteps& steps, const float* x, int64_t count, uint8_t* to) = nullptr;
};

FloatStepsRoutine float_steps_routine();  // for the instruction set in force

}  // namespace foldstream::kernel
