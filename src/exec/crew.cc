// SPDX-License-Identifier: Apache-2.0
#include "src/exec/crew.h"

#include <fmt/format.h>

#include <algorithm>

#include "hwy/cache_control.h"
#include "src/util/error.h"

namespace foldstream::exec {
namespace {

// Turns of a spinning wait: tens of microseconds, more than the steps between two pieces of work
// take.
constexpr int kSpins = 4000;

}  // namespace

Crew::Crew(int threads) {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  if (threads < 0 || threads > cores) {
    throw Error(fmt::format("{} threads on a machine of {} cores", threads, cores),
                fmt::format("legal are 1 to {}, or 0 for all", cores));
  }
  const int members = threads == 0 ? cores : threads;
  memory_.resize(static_cast<size_t>(members));
  for (int member = 1; member < members; ++member) {
    threads_.emplace_back([this, member] { serve(member); });
  }
}

Crew::~Crew() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Crew::serve(int member) {
  uint64_t seen = 0;
  while (true) {
    for (int spin = 0; spin < kSpins && round_ == seen && !stop_; ++spin) hwy::Pause();
    if (round_ == seen) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return round_ != seen || stop_; });
    }
    if (stop_) return;
    seen = round_;
    try {
      (*work_)(member);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    --busy_;
  }
}

void Crew::run(const std::function<void(int)>& work) {
  failure_ = nullptr;
  if (!threads_.empty()) {
    work_ = &work;
    busy_ = static_cast<int>(threads_.size());
    {
      const std::lock_guard lock(mutex_);
      ++round_;
    }
    wake_.notify_all();
  }
  try {
    work(0);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
  for (int spin = 0; busy_ != 0; ++spin) {
    if (spin < kSpins) {
      hwy::Pause();
    } else {
      std::this_thread::yield();
    }
  }
  if (failure_) std::rethrow_exception(failure_);
}

std::byte* Crew::memory(int member, size_t bytes) {
  auto& memory = memory_[static_cast<size_t>(member)];
  if (memory.size() < bytes) memory.resize(bytes);
  return memory.data();
}

}  // namespace foldstream::exec
