// SPDX-License-Identifier: Apache-2.0
// Training on a device: the data lie there, and a step is the same operations each time, on tensors
// whose contents alone change. Losses are looked at after each epoch, so that no step waits for the
// one before.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "src/train/device.h"
#include "src/train/device_samples.h"
#include "src/train/network.h"
#include "src/util/progress.h"

namespace foldstream::train {

class DeviceTraining {
 public:
  // What a training is beside its network.
  struct Loss {
    // Of samples, their labels, and what a teacher's scores of them are; undefined without.
    std::function<torch::Tensor(const torch::Tensor& x, const torch::Tensor& labels,
                                const torch::Tensor& wanted)>
        of;
    // Those scores of x, where the teacher hasn't answered beforehand; undefined without one.
    std::function<torch::Tensor(const torch::Tensor& x)> wanted;
  };

  // All that is given by reference outlives this. Samples are divided by `divisor`.
  DeviceTraining(const torch::Device& device, const Recipe& recipe, const DataSet& data,
                 double divisor, Network& network, Loss loss);

  const DeviceSamples& samples() const { return samples_; }

  // What a teacher answers to each sample in each way in which the recipe changes it,
  // [changes, samples, classes]. There are whole_changes() of them, all of whole pixels.
  torch::Tensor answers(Network& teacher) const;
  // Steps take a teacher's scores from there; before `record`.
  void learn_from(const torch::Tensor& answers) { answers_ = answers; }

  // Records a step and an evaluation, on the first samples. What that changes is put back, but for
  // the learned scales' start, which is what they give. Nothing else may use the device meanwhile.
  void record();

  // One epoch over the samples of `order`, in steps of the recipe's batch; `adam` gives the numbers
  // of each of its steps, from 0. The losses of all steps, [steps], on the processor.
  torch::Tensor train_epoch(const std::vector<int64_t>& order, Random& random,
                            const std::function<AdamStep(int64_t)>& adam, Progress& progress);

  // Scores of the validation split, [validation, classes], on the processor.
  torch::Tensor scores();

 private:
  int64_t evaluated_at_once() const;
  void step();
  void evaluate();
  torch::Tensor wanted(const torch::Tensor& x) const;
  torch::Tensor there(const torch::Tensor& all, int64_t steps) const;

  const torch::Device there_;
  const Recipe& recipe_;
  const DataSet& data_;
  Network& network_;
  const Loss loss_;
  const DeviceSamples samples_;
  torch::Tensor indices_, changes_, numbers_, value_;  // of one step; the last is its loss
  torch::Tensor answers_;                              // a teacher's; undefined without
  torch::Tensor places_, scores_;                      // of samples to evaluate
  Replay step_, evaluation_;
};

}  // namespace foldstream::train
