// SPDX-License-Identifier: Apache-2.0
#include "src/util/error.h"

#include <cstdio>
#include <cstdlib>

namespace foldstream {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr,
               "internal error: %s does not hold (%s:%d); please report it with the model\n",
               condition, file, line);
  std::abort();
}

}  // namespace foldstream
