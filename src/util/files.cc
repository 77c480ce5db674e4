// SPDX-License-Identifier: Apache-2.0
#include "src/util/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

#include "src/util/error.h"
#include "src/util/interrupt.h"

namespace foldstream {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(std::string_view action, const fs::path& path, int error) {
  std::string help;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) help = "free some space and try again";
  if (error == EACCES || error == EROFS) help = "choose a place that you may write to";
  throw Error(fmt::format("can't {} '{}': {}", action, path.string(), std::strerror(error)), help);
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  int close() { return ::close(std::exchange(number_, -1)); }

 private:
  int number_;
};

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail("make the folder", path, error.value());
}

// "out/" and "out" name the same folder, but only the latter has a file name.
fs::path without_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

// Where a folder of results goes: behind a link, where it leads.
fs::path resolved(const fs::path& target) {
  std::error_code error;
  fs::path found = without_slash(target);
  if (fs::exists(found, error)) found = fs::canonical(found, error);
  if (error || !found.has_filename()) {
    throw Error(fmt::format("'{}' can't be a folder of results", target.string()), "name a folder");
  }
  return found;
}

// What a file is called until it is whole.
fs::path unfinished_name(const fs::path& path) {
  return path.parent_path() / fmt::format("{}.part-{}", path.filename().string(), ::getpid());
}

// The file itself, where `path` is a link.
fs::path behind_links(const fs::path& path) {
  std::error_code error;
  const fs::path found = fs::canonical(path, error);
  return error ? path : found;
}

// Whether there is something that isn't a file, and so is written as it stands: a pipe, a terminal.
bool is_special(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

fs::path make_temporary() {
  std::string path = (fs::temp_directory_path() / "foldstream-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) fail("make the folder", path, errno);
  return path;
}

}  // namespace

std::string read_file(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number() < 0) fail("read", path, errno);
  struct stat status;
  if (::fstat(file.number(), &status) != 0) fail("read", path, errno);
  if (S_ISDIR(status.st_mode)) fail("read", path, EISDIR);
  std::string text;
  constexpr size_t kChunk = size_t{1} << 20;
  size_t size = 0;
  for (;;) {
    text.resize(size + std::max<size_t>(kChunk, static_cast<size_t>(status.st_size) - size + 1));
    const ssize_t got = ::read(file.number(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", path, errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
    if (size > static_cast<size_t>(status.st_size)) status.st_size = static_cast<off_t>(size);
  }
  text.resize(size);
  return text;
}

void write_file(const fs::path& path, std::string_view text) {
  if (path.has_parent_path()) make_folder(path.parent_path());
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.number() < 0) fail("write", path, errno);
  while (!text.empty()) {
    const ssize_t put = ::write(file.number(), text.data(), text.size());
    if (put < 0 && errno == EINTR) {
      check_interrupt();
      continue;
    }
    if (put < 0) fail("write", path, errno);
    text.remove_prefix(static_cast<size_t>(put));
  }
  if (file.close() != 0) fail("write", path, errno);
}

void write_whole(const fs::path& given, std::string_view bytes) {
  if (is_special(given)) return write_file(given, bytes);
  const fs::path path = behind_links(given), unfinished = unfinished_name(path);
  std::error_code error;
  try {
    write_file(unfinished, bytes);
    fs::rename(unfinished, path, error);
  } catch (...) {
    fs::remove(unfinished, error);
    throw;
  }
  if (!error) return;
  std::error_code ignored;
  fs::remove(unfinished, ignored);
  fail("write", path, error.value());
}

void check_writable(const fs::path& path) {
  std::error_code error;
  if (!path.has_filename()) throw Error(fmt::format("'{}' is no name of a file", path.string()));
  if (fs::is_directory(path, error)) fail("write", path, EISDIR);
  if (is_special(path)) return;
  const fs::path unfinished = unfinished_name(behind_links(path));
  write_file(unfinished, "");
  fs::remove(unfinished, error);
}

TemporaryFolder::TemporaryFolder() : path_(make_temporary()) {}

TemporaryFolder::TemporaryFolder(const fs::path& path) : path_(path) { make_folder(path_); }

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;  // nothing can be done about it here
  fs::remove_all(path_, ignored);
}

OutputFolder::OutputFolder(const fs::path& target,
                           const std::function<bool(const fs::path&)>& replaceable)
    : target_(resolved(target)),
      partial_(target_.parent_path() /
               fmt::format(".{}.partial-{}", target_.filename().string(), ::getpid())),
      folder_([&] {
        std::error_code error;
        const fs::file_status status = fs::status(target_, error);
        if (fs::exists(status)) {
          if (!fs::is_directory(status)) {
            throw Error(fmt::format("'{}' exists and is not a folder", target.string()),
                        "choose another output folder");
          }
          const bool is_empty = fs::is_empty(target_, error);
          if (error) fail("read", target_, error.value());
          if (!is_empty && !replaceable(target_)) {
            throw Error(fmt::format("the folder '{}' holds files that Foldstream did not write",
                                    target.string()),
                        "choose another output folder, or empty this one");
          }
          if (target_ == fs::current_path(error)) {
            throw Error(fmt::format("'{}' is the folder you are in, which can't be replaced",
                                    target.string()),
                        "name another folder");
          }
        }
        return partial_;
      }()) {}

void OutputFolder::write(const fs::path& relative, std::string_view text) const {
  check_interrupt();
  write_file(folder_.path() / relative, text);
}

void OutputFolder::commit() {
  check_interrupt();
  if (::rename(partial_.c_str(), target_.c_str()) == 0) return;
  // Not empty: swap the two. The old one is removed with folder_.
  if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) != 0) {
    fail("put the results in the place of", target_, errno);
  }
}

}  // namespace foldstream
