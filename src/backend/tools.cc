// SPDX-License-Identifier: Apache-2.0
#include "src/backend/tools.h"

#include <fmt/format.h>

#include <cstdlib>
#include <system_error>
#include <vector>

#include "src/util/error.h"

namespace foldstream {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHelp =
    "run ./setup, or set FOLDSTREAM_TOOLS to a Python environment made from requirements.txt";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

fs::path packages_folder() {
  const fs::path tools = tools_folder();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(tools / "lib", error)) {
    const fs::path folder = entry.path() / "site-packages";
    if (entry.path().filename().string().starts_with("python3") && is_there(folder)) return folder;
  }
  throw Error(fmt::format("'{}' is not a Python environment", tools.string()), kHelp);
}

}  // namespace

fs::path tools_folder() {
  const std::string chosen = variable("FOLDSTREAM_TOOLS");
  if (!chosen.empty()) {
    if (is_there(fs::path(chosen) / "bin")) return chosen;
    throw Error(fmt::format("FOLDSTREAM_TOOLS names '{}', which has no tools", chosen), kHelp);
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  // build/release/foldstream lies beside build/tools; an out-of-tree build finds the source tree's.
  for (const fs::path& folder : {program.parent_path().parent_path() / "tools",
                                 fs::path(FOLDSTREAM_SOURCE_DIR) / "build" / "tools"}) {
    if (is_there(folder / "bin")) return folder;
  }
  throw Error("the tools for simulation and synthesis are not installed", kHelp);
}

fs::path tool(const std::string& program) {
  const fs::path path = tools_folder() / "bin" / program;
  if (!is_there(path)) throw Error(fmt::format("'{}' is not installed", program), kHelp);
  return path;
}

fs::path tool_package(const std::string& package) {
  const fs::path path = packages_folder() / package;
  if (!is_there(path)) throw Error(fmt::format("'{}' is not installed", package), kHelp);
  return path;
}

std::string tool_version(const std::string& package) {
  for (const auto& entry : fs::directory_iterator(packages_folder())) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(package + "-") && name.ends_with(".dist-info")) {
      return name.substr(0, name.size() - std::string_view(".dist-info").size());
    }
  }
  throw Error(fmt::format("'{}' is not installed", package), kHelp);
}

std::map<std::string, std::string> faster_allocation() {
  const char* library = FOLDSTREAM_ALLOCATOR;
  if (!variable("LD_PRELOAD").empty() || !is_there(library)) return {};
  return {{"LD_PRELOAD", library}};
}

fs::path cache_folder() {
  if (const std::string chosen = variable("FOLDSTREAM_CACHE"); !chosen.empty()) return chosen;
  if (const std::string base = variable("XDG_CACHE_HOME"); !base.empty()) {
    return fs::path(base) / "foldstream";
  }
  if (const std::string home = variable("HOME"); !home.empty()) {
    return fs::path(home) / ".cache" / "foldstream";
  }
  return fs::temp_directory_path() / "foldstream-cache";
}

}  // namespace foldstream
