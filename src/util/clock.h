// SPDX-License-Identifier: Apache-2.0
// Processor time, which others on the machine don't lengthen.
#pragma once

#include <cstdint>

namespace foldstream {

int64_t thread_nanoseconds();   // of this thread
int64_t process_nanoseconds();  // of all threads

}  // namespace foldstream
