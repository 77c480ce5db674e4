// SPDX-License-Identifier: Apache-2.0
#include "src/cli/trainer.h"

namespace foldstream {

train::Outcome run_trainer(const train::Options& options) { return train::train(options); }

}  // namespace foldstream
