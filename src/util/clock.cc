// SPDX-License-Identifier: Apache-2.0
#include "src/util/clock.h"

#include <ctime>

namespace foldstream {
namespace {

int64_t nanoseconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return int64_t{1000000000} * time.tv_sec + time.tv_nsec;
}

}  // namespace

int64_t thread_nanoseconds() { return nanoseconds(CLOCK_THREAD_CPUTIME_ID); }
int64_t process_nanoseconds() { return nanoseconds(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace foldstream
