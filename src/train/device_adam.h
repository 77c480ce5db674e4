// SPDX-License-Identifier: Apache-2.0
// Adam on all parameters of a network at once, for devices that the kernels don't run on: a dozen
// tensor operations a step, whatever the number of parameters.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "src/train/kernels.h"
#include "src/train/network.h"

namespace foldstream::train {

class DeviceAdam {
 public:
  // Moves the tensors of `parameters` side by side; theirs become parts of those here.
  explicit DeviceAdam(std::vector<Parameter>& parameters);

  // The numbers of a step that change from one to the next, as the tensor that `step` reads.
  static torch::Tensor numbers(const AdamStep& step);
  // One step from the gradients, which are cleared. `numbers` lies on the device.
  void step(std::vector<Parameter>& parameters, const torch::Tensor& numbers);

 private:
  torch::Tensor value_, first_, second_, codes_;
  torch::Tensor lowest_, highest_, decays_;  // of each value: its range; 1 where it decays
  // Of values behind a quantizer with a constant scale; others have the scale 1.
  torch::Tensor scale_, lowest_code_, highest_code_, bipolar_;
  bool any_bipolar_ = false, any_other_ = false;
};

}  // namespace foldstream::train
