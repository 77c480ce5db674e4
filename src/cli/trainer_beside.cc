// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <string>

#include "src/cli/arguments.h"
#include "src/cli/trainer.h"
#include "src/util/error.h"

namespace foldstream {

// Goes on as foldstream-train, from the folder of this program.
std::vector<train::Outcome> run_trainer(std::span<const train::Options>) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  const std::filesystem::path trainer = self.parent_path() / "foldstream-train";
  if (!std::filesystem::exists(trainer)) {
    throw Error("this build of Foldstream has no trainer: libtorch was not there when it was made",
                "run ./setup --train, which installs libtorch-dev, libopenblas-dev and "
                "libtomlplusplus-dev and builds again");
  }
  start_program(trainer);
  throw Error("can't start '" + trainer.string() + "'");
}

}  // namespace foldstream
