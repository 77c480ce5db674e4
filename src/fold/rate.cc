// SPDX-License-Identifier: Apache-2.0
#include "src/fold/rate.h"

namespace foldstream {

Rate rate_of(const StreamGraph& graph, int64_t interval, int64_t frames) {
  SimOptions options;
  options.frames = frames;
  Rate rate;
  rate.result = simulate(graph, options);
  const SimResult& result = rate.result;
  if (result.deadlock) {
    rate.is_known = true;
    return rate;
  }
  rate.is_known = result.period_frames > 0;
  int64_t over = result.period_frames, cycles = result.period_cycles;
  if (!rate.is_known) {
    const int64_t half = frames / 2;
    over = frames - half;
    cycles = result.frame_out.back() - result.frame_out[static_cast<size_t>(half) - 1];
  }
  rate.is_full = cycles <= over * interval;
  rate.cycles = static_cast<double>(cycles) / static_cast<double>(over);
  return rate;
}

}  // namespace foldstream
