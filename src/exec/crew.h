// SPDX-License-Identifier: Apache-2.0
// Threads that stay: they wait for the next piece of work spinning for a moment, then asleep.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "src/kernel/aligned.h"

namespace foldstream::exec {

class Crew {
 public:
  // 0: as many as the machine has cores. Throws Error for more than that, or fewer than 1.
  explicit Crew(int threads = 0);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }

  // work(0) ... work(size() - 1), each on a thread of its own; 0 on this one. Returns when all are
  // done; throws what the first that failed threw.
  void run(const std::function<void(int)>& work);

  // Working memory of a member, grown to that many bytes.
  std::byte* memory(int member, size_t bytes);

 private:
  void serve(int member);

  std::vector<std::thread> threads_;
  std::vector<kernel::AlignedVector<std::byte>> memory_;
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<uint64_t> round_ = 0;  // of work given out
  std::atomic<int> busy_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::exception_ptr failure_;
};

}  // namespace foldstream::exec
