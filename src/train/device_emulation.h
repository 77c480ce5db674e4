// SPDX-License-Identifier: Apache-2.0
// A GPU's threads on a processor, for tests of device_kernels.cu: the blocks one after the other,
// the threads of a block in turn from one barrier to the next. What a kernel's source has of the
// language for GPUs is defined here.
#pragma once

#include <ucontext.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "src/train/device_work.h"
#include "src/util/error.h"

namespace foldstream::train::emulation {

struct Dim {
  unsigned int x;
};

// NOLINTBEGIN: names of the language
inline Dim threadIdx, blockIdx, gridDim;
// NOLINTEND

class Threads {
 public:
  static Threads& all() {
    static Threads threads;
    return threads;
  }

  void run(int64_t blocks, const std::function<void()>& kernel) {
    kernel_ = &kernel;
    gridDim.x = static_cast<unsigned>(blocks);
    for (int64_t block = 0; block < blocks; ++block) {
      blockIdx.x = static_cast<unsigned>(block);
      run_block();
    }
  }

  // Goes on when every thread of the block that hasn't ended is here.
  void barrier() { swapcontext(&threads_[current_].context, &scheduler_); }

 private:
  static constexpr size_t kStack = 1 << 16;
  struct Thread {
    ucontext_t context;
    std::unique_ptr<char[]> stack = std::make_unique<char[]>(kStack);
    bool ended = false;
  };

  static void enter() {
    Threads& threads = all();
    (*threads.kernel_)();
    threads.threads_[threads.current_].ended = true;
  }

  void run_block() {
    for (Thread& thread : threads_) {
      FOLDSTREAM_CHECK(getcontext(&thread.context) == 0);
      thread.context.uc_stack.ss_sp = thread.stack.get();
      thread.context.uc_stack.ss_size = kStack;
      thread.context.uc_link = &scheduler_;
      thread.ended = false;
      makecontext(&thread.context, &Threads::enter, 0);
    }
    for (bool left = true; left;) {
      left = false;
      for (current_ = 0; current_ < threads_.size(); ++current_) {
        if (threads_[current_].ended) continue;
        threadIdx.x = static_cast<unsigned>(current_);
        swapcontext(&scheduler_, &threads_[current_].context);
        left = left || !threads_[current_].ended;
      }
    }
  }

  std::vector<Thread> threads_ = std::vector<Thread>(kDeviceThreads);
  ucontext_t scheduler_;
  size_t current_ = 0;
  const std::function<void()>* kernel_ = nullptr;
};

// NOLINTBEGIN: names of the language
inline void __syncthreads() { Threads::all().barrier(); }
inline void __threadfence() {}
inline unsigned int atomicAdd(unsigned int* at, unsigned int value) {
  const unsigned int before = *at;
  *at += value;
  return before;
}
struct alignas(16) uint4 {
  unsigned int x, y, z, w;
};
inline uint4 __ldcg(const uint4* at) { return *at; }
inline float __uint_as_float(unsigned int bits) { return std::bit_cast<float>(bits); }
inline unsigned int __float_as_uint(float value) { return std::bit_cast<unsigned int>(value); }
// NOLINTEND

}  // namespace foldstream::train::emulation

namespace foldstream::train {
using namespace emulation;
}

#define __device__ inline
#define __global__ inline
#define __shared__ static
#define __launch_bounds__(...)
