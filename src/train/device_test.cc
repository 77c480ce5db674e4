// SPDX-License-Identifier: Apache-2.0
// What runs on a device, as tensor operations in the processor's memory against the kernels.
#include "src/train/device.h"

#include <gtest/gtest.h>

#include <vector>

#include "src/train/device_optimizer.h"
#include "src/train/device_samples.h"
#include "src/train/network.h"
#include "src/train/operations.h"
#include "src/train/samples.h"
#include "src/util/error.h"

namespace foldstream::train {
namespace {

DataSet images(bool in_bytes) {
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

TEST(DeviceSamplesTest, GivesTheFloatsOfFillBatch) {
  Augmentation none, moved, turned, warped;
  moved.shift = 4;
  moved.flip = true;
  turned = moved;
  turned.rotate = 20;
  turned.zoom = 0.2;
  turned.shear = 0.1;
  warped = turned;
  warped.warp = 3;
  const std::vector<int64_t> indices = {6, 0, 3, 3, 1, 2, 5, 4, 0, 6, 2};
  for (const bool in_bytes : {false, true}) {
    const DataSet data = images(in_bytes);
    const double divisor = in_bytes ? 255 : 1;
    for (const Augmentation& augment : {none, moved, turned, warped}) {
      const DeviceSamples samples(data, divisor, data.shape, augment, torch::kCPU, nullptr);
      Random first(3, 4), second(3, 4);
      torch::Tensor expected = torch::empty({11, 3, 9, 12});
      fill_batch(data, indices, static_cast<float>(divisor), &augment, first,
                 expected.data_ptr<float>());
      const torch::Tensor found =
          samples.batch(torch::tensor(indices), samples.changes(11, second));
      EXPECT_TRUE(torch::equal(found, expected)) << (found - expected).abs().max();
      EXPECT_TRUE(torch::equal(samples.labels(torch::tensor(indices)),
                               torch::tensor({2, 0, 3, 3, 1, 2, 1, 0, 0, 2, 2}, torch::kLong)));
    }
  }
}

TEST(DeviceSamplesTest, NumbersChangesOfWholePixels) {
  const DataSet data = images(true);
  for (const bool flip : {false, true}) {
    Augmentation augment;
    augment.shift = 2;
    augment.flip = flip;
    const DeviceSamples samples(data, 255, data.shape, augment, torch::kCPU, nullptr);
    const torch::Tensor all = samples.all_changes();
    ASSERT_EQ(all.size(0), augment.whole_changes());
    EXPECT_TRUE(torch::equal(samples.change_numbers(all), torch::arange(all.size(0))));
    Random random(3, 4);
    const torch::Tensor changes = samples.changes(100, random);
    const torch::Tensor numbers = samples.change_numbers(changes);
    EXPECT_GT(std::get<0>(torch::_unique(numbers)).numel(), flip ? 30 : 18);
    const torch::Tensor indices = torch::arange(100) % data.count;
    EXPECT_TRUE(torch::equal(samples.batch(indices, changes),
                             samples.batch(indices, all.index_select(0, numbers))));
  }
}

// A weight behind a ternary quantizer, one behind a sign, one that is free and decays, a bias; and
// three that Muon trains: free, ternary, and a small convolution's behind a sign.
std::vector<Parameter> parameters() {
  std::vector<Parameter> all(7);
  torch::manual_seed(3);
  for (size_t i = 0; i < all.size(); ++i) {
    Parameter& parameter = all[i];
    parameter.name = std::to_string(i);
    const auto columns = static_cast<int64_t>(i) + 2;
    parameter.value = (i == 6 ? torch::rand({4, 2, 3, 3}) : torch::rand({11, columns})) * 2 - 1;
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

TEST(DeviceOptimizerTest, AgreesWithTheKernels) {
  std::vector<Parameter> kernels = parameters(), operations = parameters();
  DeviceOptimizer optimizer(operations, false, nullptr);
  constexpr double kRate = 0.05, kDecay = 0.01;
  for (int64_t step = 1; step <= 20; ++step) {
    for (size_t i = 0; i < kernels.size(); ++i) {
      const torch::Tensor gradient = torch::randn(kernels[i].value.sizes());
      operations[i].leaf().mutable_grad() = gradient.clone();
      const double decay = kernels[i].weight ? kDecay : 0;
      update(kernels[i], gradient, AdamStep(kRate, decay, step));
    }
    optimizer.step(operations, DeviceOptimizer::numbers(AdamStep(kRate, kDecay, step)));
  }
  for (size_t i = 0; i < kernels.size(); ++i) {
    EXPECT_FALSE(operations[i].leaf().grad().defined());
    EXPECT_TRUE(torch::allclose(kernels[i].value, operations[i].value, 1e-5, 1e-6)) << i;
    EXPECT_TRUE(torch::allclose(kernels[i].first, operations[i].first, 1e-5, 1e-6)) << i;
    if (!kernels[i].muon) {
      EXPECT_TRUE(torch::allclose(kernels[i].second, operations[i].second, 1e-5, 1e-6)) << i;
    }
    if (!kernels[i].codes.defined()) continue;
    EXPECT_TRUE(torch::equal(
        operations[i].codes,
        quantized(operations[i].value, operations[i].quantizer->value, *operations[i].quantizer)))
        << i;
    EXPECT_LE(operations[i].value.abs().max().item<double>(), operations[i].highest);
  }
}

TEST(ReplayTest, RunsTheWorkEachTime) {
  int runs = 0;
  Replay replay(torch::kCPU, [&] { ++runs; });
  for (int i = 0; i < 5; ++i) replay.run();
  EXPECT_EQ(runs, 5);
}

TEST(DeviceTest, AnUnknownOneIsRefused) {
  EXPECT_THROW(open_device("tpu"), Error);
  EXPECT_TRUE(open_device("cpu").is_cpu());
}

}  // namespace
}  // namespace foldstream::train
