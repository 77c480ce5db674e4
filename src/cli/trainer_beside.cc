// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "src/cli/trainer.h"
#include "src/util/error.h"
#include "src/util/files.h"

namespace foldstream {

// Goes on as foldstream-train, from the folder of this program, with the same arguments.
train::Outcome run_trainer(const train::Options&) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  const std::filesystem::path trainer = self.parent_path() / "foldstream-train";
  if (!std::filesystem::exists(trainer)) {
    throw Error("this build of Foldstream has no trainer: libtorch was not found when it was made",
                "run ./setup --train, which installs libtorch-dev, libopenblas-dev and "
                "libtomlplusplus-dev and builds again");
  }
  const std::string line = read_file("/proc/self/cmdline");
  std::vector<std::string> words;
  for (size_t at = 0; at < line.size();) {
    words.emplace_back(line.c_str() + at);
    at += words.back().size() + 1;
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv(trainer.c_str(), arguments.data());
  throw Error("can't start '" + trainer.string() + "'");
}

}  // namespace foldstream
