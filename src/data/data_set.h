// SPDX-License-Identifier: Apache-2.0
// Labelled data sets as they are published: images of bytes, or arrays saved by numpy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "src/ir/type.h"

namespace foldstream {

// `count` samples of one shape, either bytes or floats, and their labels.
struct DataSet {
  std::string name;
  int64_t count = 0;
  Shape shape;                  // of one sample
  std::vector<uint8_t> bytes;   // pixels 0 to 255, or
  std::vector<float> floats;    // numbers as they are
  std::vector<int64_t> labels;  // one a sample

  double default_scale() const { return bytes.empty() ? 1 : 255; }
  // The sample as an operand of shape `shape`; bytes are divided by `scale` in float32.
  Tensor sample(int64_t index, const Shape& shape, double scale) const;
};

// The names that load_data_set knows.
std::vector<std::string> data_set_names();

// Reads the test part of a data set from `folder`; at most `limit` samples (0: all). Throws Error.
//   mnist    t10k-images-idx3-ubyte[.gz] and t10k-labels-idx1-ubyte[.gz]
//   cifar10  test_batch.bin[.gz]
//   npy      X.npy and Y.npy
DataSet load_data_set(const std::string& name, const std::filesystem::path& folder, int64_t limit);

}  // namespace foldstream
