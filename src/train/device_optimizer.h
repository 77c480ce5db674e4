// SPDX-License-Identifier: Apache-2.0
// The optimizers on all parameters of a network at once, for devices that the kernels don't run on:
// a dozen tensor operations a step, whatever the number of parameters, and a few for each matrix
// that Muon trains.
#pragma once

#include <torch/types.h>

#include <vector>

#include "src/train/device_kernels.h"
#include "src/train/kernels.h"
#include "src/train/network.h"

namespace foldstream::train {

class DeviceOptimizer {
 public:
  // Moves the tensors of `parameters` side by side; theirs become parts of those here.
  // `half`: what Muon computes is in bfloat16. `runner`: takes Adam's steps by a kernel; null for
  // tensor operations.
  DeviceOptimizer(std::vector<Parameter>& parameters, bool half, const KernelRunner* runner);

  // The numbers of a step that change from one to the next, as the tensor that `step` reads.
  static torch::Tensor numbers(const AdamStep& step);
  // One step from the gradients, which are cleared. `numbers` lies on the device.
  void step(std::vector<Parameter>& parameters, const torch::Tensor& numbers);

 private:
  // The part of `all` that is the parameter's, in its shape.
  torch::Tensor part(const torch::Tensor& all, const Parameter& parameter, int64_t begin) const;

  void adam(const torch::Tensor& gradient, const torch::Tensor& numbers);

  bool half_;
  const KernelRunner* runner_;
  torch::Tensor value_, first_, second_, codes_;
  torch::Tensor lowest_, highest_, decays_;  // of each value: its range; 1 where it decays
  torch::Tensor momenta_;                    // the share of its first moment that stays
  // Of values behind a quantizer with a constant scale; others have the scale 1, and a range of no
  // code.
  torch::Tensor scale_, lowest_code_, highest_code_, bipolar_;
  bool any_bipolar_ = false, any_other_ = false, any_muon_ = false;
};

}  // namespace foldstream::train
