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
  // Whether a sample is an operand of shape `as` without moving elements: axes may be merged or
  // split, but [height, width, channels] are not [channels, height, width].
  bool fits(const Shape& as) const;
  // The sample as an operand of shape `as`; bytes are divided by `scale` in float32.
  Tensor sample(int64_t index, const Shape& as, double scale) const;
  // Throws Error where a label isn't one of `classes`.
  void check_labels(int64_t classes, const std::string& who) const;
};

// The names that load_data_set knows.
std::vector<std::string> data_set_names();

enum class Split { train, test };

// Reads a part of a data set from `folder`; at most `limit` samples (0: all). Throws Error, also
// where the part is empty or holds what is no finite number.
//   mnist      {train,t10k}-images-idx3-ubyte[.gz] and {train,t10k}-labels-idx1-ubyte[.gz]
//   cifar10    data_batch_1.bin[.gz] to data_batch_5.bin[.gz]; test_batch.bin[.gz]
//   npy        X_train.npy and Y_train.npy; X.npy and Y.npy
//   unsw-nb15  UNSW_NB15_training-set.csv; UNSW_NB15_testing-set.csv (unsw_nb15.h)
DataSet load_data_set(const std::string& name, const std::filesystem::path& folder, int64_t limit,
                      Split split = Split::test);

// Whether all files of the part are there.
bool has_data_set(const std::string& name, const std::filesystem::path& folder, Split split);

}  // namespace foldstream
