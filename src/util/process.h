// SPDX-License-Identifier: Apache-2.0
// Runs a program by its argument list (never through a shell) and collects what it prints.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace foldstream {

struct ProcessOptions {
  std::filesystem::path folder = {};                    // where it runs; empty: here
  std::map<std::string, std::string> environment = {};  // added to ours
  std::optional<std::chrono::seconds> limit = {};       // ended after that time
  std::function<void(const std::string&)> line = {};    // sees every line as it is printed
};

struct ProcessResult {
  int status = 0;          // exit status; 128 + signal when a signal ended it
  bool timed_out = false;  // the limit was reached
  std::string output;      // standard output and standard error, together
};

// Throws Error when the program can't be started. When we are interrupted, it and what it started
// are ended first.
ProcessResult run_process(const std::vector<std::string>& argv, const ProcessOptions& options = {});

}  // namespace foldstream
