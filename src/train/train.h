// SPDX-License-Identifier: Apache-2.0
// Training from a recipe to a QONNX file. The one header of this room that programs without
// libtorch may read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace foldstream::train {

struct Options {
  std::filesystem::path recipe, data, output;
  std::filesystem::path init;  // a model whose weights training starts from; empty: random ones
  uint64_t seed = 1;
  int64_t epochs = 0;   // 0: as the recipe says
  int64_t threads = 0;  // 0: all cores
  int64_t samples = 0;  // of the training part at most; 0: all
  std::string device = "cpu";
  bool like_device = false;  // on a processor the operations of other devices, to test them
  bool resume = false;
  int64_t stop_after = 0;  // epochs in this process at most; the checkpoint stays. 0: no limit
};

// What was trained, for people and for scripts.
struct Outcome {
  bool finished = true;            // false: stopped as asked; no model was written
  int64_t correct = 0, total = 0;  // of the test part; total 0: it isn't there
  double validation_accuracy = 0;
  int64_t best_epoch = 0, epochs = 0;  // epochs done
  // Samples shown to the exported model; those with other scores, or, where sums aren't exact in
  // float32, of another class.
  int64_t compared = 0, mismatches = 0;
  nlohmann::ordered_json history;  // [epoch, loss, accuracy on the validation split] each
  double seconds = 0;              // of training, in this process
  double samples_per_second = 0;
};

// Trains, writes `options.output`, and returns what came of it. The state of an unfinished training
// is kept in `options.output`.checkpoint. Throws Error on wrong input, on scores that are no longer
// numbers, and without the device asked for.
Outcome train(const Options& options);
// Trains several, beside each other where a device has room for them, else one after the other.
// An error of one is thrown when all have ended.
std::vector<Outcome> train(std::span<const Options> all);

}  // namespace foldstream::train
