// SPDX-License-Identifier: Apache-2.0
// The folder that `build` writes and other commands read. docs/cli.md lists what is in it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "src/boards/boards.h"
#include "src/cli/command.h"
#include "src/flow/compile.h"
#include "src/rtl/stitch.h"

namespace foldstream {

inline constexpr const char* kManifest = "manifest.json";

// A design as it lies in a folder.
struct Built {
  std::string name;
  Graph model;
  Parts parts;  // core is the design
  const Part* part = nullptr;
  double clock_mhz = 0;
  std::optional<int64_t> latency;  // most cycles of the first frame that were asked for
};

// True for a folder that `build` wrote.
bool is_output(const std::filesystem::path& folder);

// Throws Error when the folder isn't whole or its graphs were changed since.
Built read_output(const std::filesystem::path& folder);
// As read_output, but of the graphs the core alone: for what asks nothing else.
Built read_hardware(const std::filesystem::path& folder);

// The design with the files of `folder`/rtl as they are now, so that what is simulated is what is
// there.
Design read_design(const std::filesystem::path& folder, const Built& built);

// Throws Error before any work where a model can't be written there, or its name says text form,
// which ONNX isn't.
void check_model_output(const std::filesystem::path& path);

// The manifest of `files` (path -> text): versions, options, and the hash of every file.
Json manifest(const std::map<std::string, std::string>& files, const Json& options);

}  // namespace foldstream
