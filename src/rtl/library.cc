// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/library.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kLibrary = "rtl/";
constexpr std::string_view kAssertions = "fst_assert.svh";

std::string path_in_design(std::string_view path) {
  if (path.starts_with("rtl/tech/")) return std::string(path.substr(kLibrary.size()));
  return fmt::format("lib/{}", path.substr(path.rfind('/') + 1));
}

}  // namespace

Library::Library() {
  for (const EmbeddedFile& file : embedded_files()) {
    if (!file.path.ends_with(".sv")) continue;
    const std::string_view name = file.path.substr(file.path.rfind('/') + 1);
    files_[std::string(name.substr(0, name.size() - 3))].push_back(&file);
  }
}

std::set<std::string> Library::uses(const std::string& module) const {
  std::set<std::string> found;
  for (const EmbeddedFile* file : files_.at(module)) {
    std::string_view text = file->text;
    for (size_t at = 0; at < text.size();) {
      if (text.substr(at, 2) == "//") {
        at = std::min(text.find('\n', at), text.size());
      } else if (std::isalpha(static_cast<unsigned char>(text[at])) || text[at] == '_') {
        size_t end = at;
        while (end < text.size() &&
               (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_')) {
          ++end;
        }
        const std::string word(text.substr(at, end - at));
        if (word != module && has(word)) found.insert(word);
        at = end;
      } else {
        ++at;
      }
    }
  }
  return found;
}

std::map<std::string, std::string> Library::files(std::set<std::string> modules) const {
  std::vector<std::string> todo(modules.begin(), modules.end());
  while (!todo.empty()) {
    const std::string module = todo.back();
    todo.pop_back();
    FOLDSTREAM_CHECK(has(module));
    for (const std::string& used : uses(module)) {
      if (modules.insert(used).second) todo.push_back(used);
    }
  }
  std::map<std::string, std::string> found;
  for (const std::string& module : modules) {
    for (const EmbeddedFile* file : files_.at(module)) {
      found[path_in_design(file->path)] = std::string(file->text);
    }
  }
  if (!modules.empty()) {
    found[fmt::format("lib/{}", kAssertions)] =
        std::string(embedded_file(fmt::format("{}{}", kLibrary, kAssertions)));
  }
  return found;
}

}  // namespace foldstream
