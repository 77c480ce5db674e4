// SPDX-License-Identifier: Apache-2.0
// Where `foldstream train` runs. libtorch takes longer to load than most commands take, so it is in
// a program of its own, foldstream-train: the same commands, with trainer_here.cc in the place of
// trainer_beside.cc.
#pragma once

#include <span>
#include <vector>

#include "src/train/train.h"

namespace foldstream {

std::vector<train::Outcome> run_trainer(std::span<const train::Options> all);

}  // namespace foldstream
