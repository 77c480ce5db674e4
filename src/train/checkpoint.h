// SPDX-License-Identifier: Apache-2.0
// The state of an unfinished training in one file: a line of JSON, named tensors of floats, and a
// hash of it all. Written beside the final name and renamed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "src/ir/type.h"

namespace foldstream::train {

struct SavedTensor {
  std::string name;
  Shape shape;
  std::vector<float> values;
  bool operator==(const SavedTensor&) const = default;
};

struct Checkpoint {
  nlohmann::ordered_json info;
  std::vector<SavedTensor> tensors;
};

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);
// Throws Error when the file is damaged or is something else.
Checkpoint read_checkpoint(const std::filesystem::path& path);

}  // namespace foldstream::train
