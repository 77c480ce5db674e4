// SPDX-License-Identifier: Apache-2.0
#include "src/util/embedded.h"

#include "src/util/error.h"

namespace foldstream {

std::string_view embedded_file(std::string_view path) {
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path == path) return file.text;
  }
  FOLDSTREAM_CHECK(!"the embedded file is there");
}

}  // namespace foldstream
