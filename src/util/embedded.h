// SPDX-License-Identifier: Apache-2.0
// Files of the source tree that the program carries with it: the SystemVerilog library and the
// sources and scripts that the backend hands to other tools.
#pragma once

#include <span>
#include <string_view>

namespace foldstream {

struct EmbeddedFile {
  std::string_view path;  // "rtl/stream/fst_fifo.sv"
  std::string_view text;
};

// Sorted by path.
std::span<const EmbeddedFile> embedded_files();

// The text of the file at exactly this path, which must be there.
std::string_view embedded_file(std::string_view path);

}  // namespace foldstream
