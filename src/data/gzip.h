// SPDX-License-Identifier: Apache-2.0
// Files that may be compressed by gzip.
#pragma once

#include <filesystem>
#include <string>

namespace foldstream {

// The content of `path`, or else of `path`.gz unpacked, up to `limit` bytes. Throws Error when
// neither is there or the compressed data is damaged.
std::string read_maybe_gzip(const std::filesystem::path& path, size_t limit);

}  // namespace foldstream
