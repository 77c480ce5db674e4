// SPDX-License-Identifier: Apache-2.0
// A data set in the memory of a device, and batches of it: what fill_batch does on a processor, as
// tensor operations, to the same floats.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <span>

#include "src/data/data_set.h"
#include "src/train/device_kernels.h"
#include "src/train/recipe.h"
#include "src/train/samples.h"

namespace foldstream::train {

class DeviceSamples {
 public:
  // Samples are divided by `divisor` in float32 and take the shape `input`. `runner`: moves images
  // of bytes by whole pixels; null for tensor operations.
  DeviceSamples(const DataSet& data, double divisor, const Shape& input,
                const Augmentation& augment, const torch::Device& device,
                const KernelRunner* runner);

  // The random changes of `count` samples in turn, as rows of numbers that `batch` reads; undefined
  // where nothing is changed.
  torch::Tensor changes(int64_t count, Random& random) const;

  // Where changes are of whole pixels: the rows of all that there are, in the order of
  // `change_numbers`, which says for `changes` [B, ...] which of them each is, [B] int64.
  torch::Tensor all_changes() const;
  torch::Tensor change_numbers(const torch::Tensor& changes) const;

  // The samples at `indices` [B] int64 as [B, input...]; `changes` [B, ...] or undefined for none.
  // Both lie on the device.
  torch::Tensor batch(const torch::Tensor& indices, const torch::Tensor& changes) const;
  // [B] int64.
  torch::Tensor labels(const torch::Tensor& indices) const;

 private:
  torch::Tensor moved_at_once(const torch::Tensor& indices, const torch::Tensor& changes) const;
  torch::Tensor warped(const torch::Tensor& points) const;
  torch::Tensor moved(const torch::Tensor& x, const torch::Tensor& changes) const;
  // The pixels of x [B, C, H, W] at (row, column) [B, H, W]; 0 outside.
  torch::Tensor pixels(const torch::Tensor& x, const torch::Tensor& row,
                       const torch::Tensor& column) const;

  torch::Tensor samples_;  // [count, shape...] as in the data set
  torch::Tensor labels_;
  torch::Tensor rows_, columns_;           // 0, 1, 2, ... in floats
  torch::Tensor warp_down_, warp_across_;  // of warp_shares
  double divisor_;
  Shape input_;
  Augmentation augment_;
  const KernelRunner* runner_;
};

}  // namespace foldstream::train
