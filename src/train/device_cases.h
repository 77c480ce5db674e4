// SPDX-License-Identifier: Apache-2.0
// What tests of a device's tensor operations and of its kernels are about.
#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <string>
#include <vector>

#include "src/train/device_samples.h"
#include "src/train/network.h"
#include "src/train/samples.h"

namespace foldstream::train {

inline DataSet images(bool in_bytes) {
  DataSet data;
  data.count = 7;
  data.shape = {3, 9, 12};
  Random random(5, 1);
  for (int64_t i = 0; i < data.count * element_count(data.shape); ++i) {
    const int64_t value = random.below(256);
    if (in_bytes) data.bytes.push_back(static_cast<uint8_t>(value));
    if (!in_bytes) data.floats.push_back(static_cast<float>(value) / 7);
  }
  for (int64_t i = 0; i < data.count; ++i) data.labels.push_back(i % 4);
  return data;
}

// Batches are those of a processor, to the bit, and their labels.
inline void expect_floats_of_fill_batch(const DataSet& data, const Augmentation& augment,
                                        const KernelRunner* runner) {
  const std::vector<int64_t> indices = {6, 0, 3, 3, 1, 2, 5, 4, 0, 6, 2};
  const double divisor = data.default_scale();
  const DeviceSamples samples(data, divisor, data.shape, augment, torch::kCPU, runner);
  Random first(3, 4), second(3, 4);
  torch::Tensor expected = torch::empty({11, 3, 9, 12});
  fill_batch(data, indices, static_cast<float>(divisor), &augment, first,
             expected.data_ptr<float>());
  const torch::Tensor found = samples.batch(torch::tensor(indices), samples.changes(11, second));
  EXPECT_TRUE(torch::equal(found, expected)) << (found - expected).abs().max();
  EXPECT_TRUE(torch::equal(samples.labels(torch::tensor(indices)),
                           torch::tensor({2, 0, 3, 3, 1, 2, 1, 0, 0, 2, 2}, torch::kLong)));
}

// A weight behind a ternary quantizer, one behind a sign, one that is free and decays, a bias, of
// `rows` and each of a column more, from `columns` on; and three that Muon trains where asked for:
// free, ternary, and a small convolution's behind a sign.
inline std::vector<Parameter> parameters(int64_t rows, int64_t columns, bool muon) {
  std::vector<Parameter> all(muon ? 7 : 4);
  torch::manual_seed(3);
  for (size_t i = 0; i < all.size(); ++i) {
    Parameter& parameter = all[i];
    parameter.name = std::to_string(i);
    const int64_t width = static_cast<int64_t>(i) + columns;
    parameter.value = (i == 6 ? torch::rand({4, 2, 3, 3}) : torch::rand({rows, width})) * 2 - 1;
    parameter.weight = i != 3;
    parameter.muon = i > 3;
    const bool ternary = i == 0 || i == 5;
    if (ternary || i == 1 || i == 6) {
      Quantizer quantizer;
      quantizer.bits = ternary ? 2 : 1;
      quantizer.value = ternary ? 0.5 : 1;
      parameter.quantizer = quantizer;
      parameter.lowest = quantizer.lowest() * quantizer.value;
      parameter.highest = quantizer.highest() * quantizer.value;
      parameter.codes = torch::empty_like(parameter.value).requires_grad_(true);
      parameter.refresh();
    } else {
      parameter.value.requires_grad_(true);
    }
    parameter.first = torch::zeros_like(parameter.value);
    parameter.second = torch::zeros_like(parameter.value);
  }
  return all;
}

}  // namespace foldstream::train
