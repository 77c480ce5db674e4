// SPDX-License-Identifier: Apache-2.0
#include "src/util/interrupt.h"

#include <csignal>
#include <initializer_list>

namespace foldstream {
namespace {

volatile std::sig_atomic_t noted = 0;

void note(int signal) { noted = signal; }

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = note;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second signal isn't caught
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

void check_interrupt() {
  if (noted != 0) throw Interrupted{noted};
}

}  // namespace foldstream
