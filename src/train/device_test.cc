// SPDX-License-Identifier: Apache-2.0
// What runs on a device, as tensor operations in the processor's memory against the kernels.
#include "src/train/device.h"

#include <gtest/gtest.h>

#include <vector>

#include "src/train/device_cases.h"
#include "src/train/device_optimizer.h"
#include "src/train/device_samples.h"
#include "src/train/network.h"
#include "src/train/operations.h"
#include "src/train/samples.h"
#include "src/util/error.h"

namespace foldstream::train {
namespace {

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
  for (const bool in_bytes : {false, true}) {
    const DataSet data = images(in_bytes);
    for (const Augmentation& augment : {none, moved, turned, warped}) {
      expect_floats_of_fill_batch(data, augment, nullptr);
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

TEST(DeviceOptimizerTest, AgreesWithTheKernels) {
  std::vector<Parameter> kernels = parameters(11, 2, true), operations = parameters(11, 2, true);
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
