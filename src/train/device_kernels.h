// SPDX-License-Identifier: Apache-2.0
// The kernels of device_kernels.cu, ready to run, and tensor operations that they stand for.
#pragma once

#include <torch/types.h>

#include <string>

#include "src/train/device_work.h"
#include "src/train/normalization.h"

namespace foldstream::train {

// What runs them.
class KernelRunner {
 public:
  virtual ~KernelRunner() = default;
  // `kernel` by its name, in `blocks` of kDeviceThreads, behind what the calling thread has begun
  // on the device.
  void run(const std::string& kernel, int64_t blocks, const CodesWork& work) const {
    launch(kernel, blocks, &work);
  }
  void run(const std::string& kernel, int64_t blocks, const AdamWork& work) const {
    launch(kernel, blocks, &work);
  }
  void run(const std::string& kernel, int64_t blocks, const SamplesWork& work) const {
    launch(kernel, blocks, &work);
  }

 private:
  // `work` is read before this returns.
  virtual void launch(const std::string& kernel, int64_t blocks, const void* work) const = 0;
};

// For kernels that take `count` elements one by one.
int64_t blocks_of_elements(int64_t count);

// Of the device, compiled for it the first time; null for a processor. Throws Error where that
// fails.
const KernelRunner* kernel_runner(const torch::Device& device);

// Whether the kernels take x: float [N, channels], or bfloat16 [N, channels, height, width] whose
// channels lie side by side.
bool kernels_take(const torch::Tensor& x, int64_t window);

// `normalized`, `max_pooled` and `quantized` one behind the other, in the type of x. `runner` and
// `how` outlive the gradients.
torch::Tensor normalized_codes(const KernelRunner& runner, const torch::Tensor& x,
                               const NormalizedCodes& how);

}  // namespace foldstream::train
