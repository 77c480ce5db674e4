// SPDX-License-Identifier: Apache-2.0
#include "src/train/device_training.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "src/train/device_kernels.h"
#include "src/train/device_optimizer.h"
#include "src/train/exact_sums.h"
#include "src/util/interrupt.h"

namespace foldstream::train {
namespace {

constexpr int64_t kEvaluated = 1000, kAnswered = 2500;  // samples at the same time

// The tensor that recorded operations know keeps its place.
void put(torch::Tensor& place, const torch::Tensor& value) {
  if (place.defined()) {
    place.copy_(value);
  } else {
    place = value.clone();
  }
}

}  // namespace

DeviceTraining::DeviceTraining(const torch::Device& device, const Recipe& recipe,
                               const DataSet& data, double divisor, Network& network, Loss loss)
    : there_(device),
      recipe_(recipe),
      data_(data),
      network_(network),
      loss_(std::move(loss)),
      samples_(data, divisor, recipe.input, recipe.augment, device, kernel_runner(device)),
      step_(device, [this] { step(); }),
      evaluation_(device, [this] { evaluate(); }) {}

torch::Tensor DeviceTraining::answers(Network& teacher) const {
  const torch::NoGradGuard no_gradient;
  const torch::Tensor changes = samples_.all_changes();
  torch::Tensor all = torch::empty({changes.size(0), data_.count, recipe_.classes},
                                   torch::dtype(torch::kFloat).device(there_));
  Progress progress("ways to change samples, for the teacher", changes.size(0));
  for (int64_t i = 0; i < changes.size(0); ++i) {
    check_interrupt();
    for (int64_t begin = 0; begin < data_.count; begin += kAnswered) {
      const int64_t size = std::min(kAnswered, data_.count - begin);
      torch::Tensor change;
      if (recipe_.augment.any()) change = changes.narrow(0, i, 1).repeat({size, 1});
      const torch::Tensor places = torch::arange(begin, begin + size).to(there_);
      all[i].narrow(0, begin, size).copy_(teacher.teach(samples_.batch(places, change)));
    }
    progress.advance(1);
  }
  synchronize(there_);
  return all;
}

void DeviceTraining::record() {
  Random random(0, 0);
  const State before = copy_of(network_.state(true));
  const int64_t first = recipe_.validation;
  put(indices_, torch::arange(first, first + recipe_.batch).to(there_));
  const torch::Tensor changes = samples_.changes(recipe_.batch, random);
  if (changes.defined()) put(changes_, changes.to(there_));
  put(numbers_, DeviceOptimizer::numbers(AdamStep(0, 0, 1)).to(there_));
  {
    const torch::NoGradGuard no_gradient;
    network_.forward(samples_.batch(indices_, changes_), true);
  }
  const State scales = copy_of(network_.scales());
  step_.record();
  put(places_, torch::arange(evaluated_at_once()).to(there_));
  {
    std::optional<ShortFloats> shorter;
    if (has_short_codes(recipe_)) shorter.emplace();
    evaluation_.record();
  }
  network_.load(before);
  network_.load(scales);
}

torch::Tensor DeviceTraining::train_epoch(const std::vector<int64_t>& order, Random& random,
                                          const std::function<AdamStep(int64_t)>& adam,
                                          Progress& progress) {
  const auto count = static_cast<int64_t>(order.size());
  const int64_t steps = count / recipe_.batch;
  const torch::Tensor indices = there(torch::tensor(order), steps);
  const torch::Tensor changes = there(samples_.changes(count, random), steps);
  std::vector<torch::Tensor> numbers;
  for (int64_t i = 0; i < steps; ++i) numbers.push_back(DeviceOptimizer::numbers(adam(i)));
  const torch::Tensor all_numbers = there(torch::cat(numbers), steps);
  const torch::Tensor losses = torch::zeros({steps}, there_);
  for (int64_t i = 0; i < steps; ++i) {
    check_interrupt();
    put(indices_, indices[i]);
    if (changes.defined()) put(changes_, changes[i]);
    put(numbers_, all_numbers[i]);
    step_.run();
    losses[i].copy_(value_);
    progress.advance(1);
  }
  return losses.cpu();
}

torch::Tensor DeviceTraining::scores() {
  const int64_t count = recipe_.validation, batch = evaluated_at_once();
  std::vector<torch::Tensor> all;
  for (int64_t begin = 0; begin < count; begin += batch) {
    put(places_, (torch::arange(batch) + begin).clamp_max_(count - 1).to(there_));
    evaluation_.run();
    all.push_back(scores_.clone());
  }
  return torch::cat(all).narrow(0, 0, count).cpu().contiguous();
}

int64_t DeviceTraining::evaluated_at_once() const {
  return std::min(recipe_.validation, kEvaluated);
}

void DeviceTraining::step() {
  const torch::Tensor x = samples_.batch(indices_, changes_);
  const torch::Tensor loss = loss_.of(x, samples_.labels(indices_), wanted(x));
  loss.backward();
  network_.step(numbers_);
  put(value_, loss.detach());
}

void DeviceTraining::evaluate() {
  const torch::NoGradGuard no_gradient;
  put(scores_, network_.forward(samples_.batch(places_, {}), false));
}

torch::Tensor DeviceTraining::wanted(const torch::Tensor& x) const {
  if (!answers_.defined()) return loss_.wanted(x);
  torch::Tensor row = indices_;
  if (changes_.defined()) row = samples_.change_numbers(changes_) * answers_.size(1) + row;
  return answers_.flatten(0, 1).index_select(0, row);
}

// Rows of one step each, on the device.
torch::Tensor DeviceTraining::there(const torch::Tensor& all, int64_t steps) const {
  if (!all.defined()) return all;
  const int64_t rows = all.size(0) / steps;
  std::vector<int64_t> shape = {steps, rows};
  for (int64_t axis = 1; axis < all.dim(); ++axis) shape.push_back(all.size(axis));
  return all.reshape(shape).to(there_);
}

}  // namespace foldstream::train
