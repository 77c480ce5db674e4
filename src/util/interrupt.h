// SPDX-License-Identifier: Apache-2.0
// Interruption by a signal, as an exception, so that what was begun is cleaned up on the way out.
#pragma once

namespace foldstream {

struct Interrupted {
  int signal;
};

// From now on the first SIGINT, SIGTERM or SIGHUP is only noted; a second one ends the process.
void catch_interrupts();

// Throws Interrupted when a signal was noted. Long loops call it.
void check_interrupt();

}  // namespace foldstream
