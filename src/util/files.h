// SPDX-License-Identifier: Apache-2.0
// Files and folders with every failure checked: what can't be written is an Error, and a folder of
// results appears whole or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace foldstream {

std::string read_file(const std::filesystem::path& path);

// Makes parent folders as needed.
void write_file(const std::filesystem::path& path, std::string_view text);

// Beside the final name, then renamed: the file appears whole or not at all.
void write_whole(const std::filesystem::path& path, std::string_view bytes);

// Throws Error where write_whole would for want of a name, of the right to write or of a folder;
// for before work whose result would be lost. Makes parent folders as needed.
void check_writable(const std::filesystem::path& path);

// A folder that is removed with everything in it when this goes out of scope.
class TemporaryFolder {
 public:
  // Below $TMPDIR, or else the system's folder for such things.
  TemporaryFolder();
  explicit TemporaryFolder(const std::filesystem::path& path);  // exactly there; made if absent
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A folder of results. Everything is written into a hidden sibling; commit() puts that in the place
// of `target` in one step. Without commit() nothing of it remains.
class OutputFolder {
 public:
  // `replaceable` says whether an existing folder that isn't empty may be replaced.
  OutputFolder(const std::filesystem::path& target,
               const std::function<bool(const std::filesystem::path&)>& replaceable);

  void write(const std::filesystem::path& relative, std::string_view text) const;
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path partial_;
  TemporaryFolder folder_;
};

}  // namespace foldstream
