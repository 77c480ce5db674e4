// SPDX-License-Identifier: Apache-2.0
#include "src/data/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

#include "src/util/error.h"

namespace foldstream {

std::string read_maybe_gzip(const std::filesystem::path& path, size_t limit) {
  namespace fs = std::filesystem;
  fs::path found = path;
  std::error_code error;
  if (!fs::exists(found, error)) found += ".gz";
  if (!fs::is_regular_file(found)) {
    throw Error(fmt::format("'{}' is not there, nor with .gz", path.string()),
                "name the folder that holds the data set's published files");
  }
  struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };
  // zlib passes files that aren't compressed through.
  const std::unique_ptr<gzFile_s, Close> file(gzopen(found.c_str(), "rb"));
  if (!file) throw Error(fmt::format("can't read '{}'", found.string()));
  std::string text;
  constexpr size_t kChunk = size_t{1} << 20;
  while (text.size() < limit) {
    const size_t size = text.size(), wanted = std::min(kChunk, limit - size);
    text.resize(size + wanted);
    const int got = gzread(file.get(), text.data() + size, static_cast<unsigned>(wanted));
    int code = Z_OK;
    const char* reason = gzerror(file.get(), &code);
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      throw Error(fmt::format("'{}' is damaged: {}", found.string(), reason));
    }
    text.resize(size + static_cast<size_t>(got));
    if (got == 0) break;
  }
  return text;
}

}  // namespace foldstream
