// SPDX-License-Identifier: Apache-2.0
// Whether queues may be shorter, asked of a schedule: one that fits them proves that they keep the
// rate. It is looked for by moving a schedule that fits longer ones, which costs what has to be
// moved, where the cycle model has to go through whole frames of the network.
#pragma once

#include <cstdint>
#include <vector>

#include "src/fold/schedule.h"

namespace foldstream {

class Fitter {
 public:
  // `queues`: beats, by link, that the schedule fits. Its graph must outlive the fitter; depths of
  // its blocks may become smaller.
  Fitter(Schedule schedule, std::vector<int64_t> queues);

  // Whether a schedule is found with queues of so many beats behind these links; then it is the one
  // from which the next is looked for. False says nothing: there may be one. `work`: steps of
  // blocks that may be looked at; those that were are taken off, which may be a block too many.
  bool fit(const std::vector<size_t>& links, int64_t beats, int64_t& work);

 private:
  Schedule later_, earlier_;  // equal but while one is looked for, in either direction
  std::vector<int64_t> queues_;
};

}  // namespace foldstream
