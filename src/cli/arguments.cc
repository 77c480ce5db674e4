// SPDX-License-Identifier: Apache-2.0
#include "src/cli/arguments.h"

#include <unistd.h>

#include <string>
#include <vector>

#include "src/util/files.h"

namespace foldstream {

void start_program(const std::filesystem::path& program) {
  const std::string line = read_file("/proc/self/cmdline");
  std::vector<std::string> words;
  for (size_t at = 0; at < line.size();) {
    words.emplace_back(line.c_str() + at);
    at += words.back().size() + 1;
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv(program.c_str(), arguments.data());
}

}  // namespace foldstream
