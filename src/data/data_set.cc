// SPDX-License-Identifier: Apache-2.0
#include "src/data/data_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "src/data/gzip.h"
#include "src/data/unsw_nb15.h"
#include "src/util/error.h"
#include "src/util/npy.h"
#include "src/util/suggest.h"

namespace foldstream {
namespace {

namespace fs = std::filesystem;

constexpr int kCifarBatches = 5;

int64_t samples_wanted(int64_t there, int64_t limit) {
  return limit > 0 ? std::min(there, limit) : there;
}

uint32_t big_endian(const std::string& text, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(text[at + i]);
  return value;
}

// One IDX file: the magic number, the sizes, the bytes.
std::string read_idx(const fs::path& path, size_t dimensions, Shape& shape) {
  std::string text = read_maybe_gzip(path, std::numeric_limits<int32_t>::max());
  const size_t header = 4 + 4 * dimensions;
  const uint32_t magic = 0x0800 + static_cast<uint32_t>(dimensions);
  if (text.size() < header || big_endian(text, 0) != magic) {
    throw Error(fmt::format("'{}' is not an IDX file of {} dimensions of bytes", path.string(),
                            dimensions));
  }
  shape.clear();
  uint64_t count = 1;
  for (size_t i = 0; i < dimensions; ++i) {
    shape.push_back(big_endian(text, 4 + 4 * i));
    count *= static_cast<uint64_t>(shape.back());
    if (shape.back() == 0 || count > text.size()) break;
  }
  if (shape.size() != dimensions || count != text.size() - header) {
    throw Error(fmt::format("'{}' holds {} bytes of data, but its header says {}", path.string(),
                            text.size() - header, to_string(shape)),
                "fetch the file again");
  }
  return text.substr(header);
}

DataSet load_mnist(const fs::path& folder, int64_t limit, Split split) {
  const std::string prefix = split == Split::train ? "train" : "t10k";
  Shape images, labels;
  const std::string pixels = read_idx(folder / (prefix + "-images-idx3-ubyte"), 3, images);
  const std::string classes = read_idx(folder / (prefix + "-labels-idx1-ubyte"), 1, labels);
  if (images[0] != labels[0]) {
    throw Error(
        fmt::format("'{}' holds {} images but {} labels", folder.string(), images[0], labels[0]));
  }
  DataSet set{.name = "mnist",
              .count = samples_wanted(images[0], limit),
              .shape = {1, images[1], images[2]},
              .bytes = {},
              .floats = {},
              .labels = {}};
  set.bytes.assign(pixels.begin(), pixels.begin() + set.count * element_count(set.shape));
  set.labels.resize(set.count);
  for (int64_t i = 0; i < set.count; ++i) set.labels[i] = static_cast<unsigned char>(classes[i]);
  return set;
}

// Appends the records of one file, until `set` has `limit` (0: all).
void append_cifar10(const fs::path& path, int64_t limit, DataSet& set) {
  constexpr size_t kPixels = 3 * 32 * 32, kRecord = 1 + kPixels;
  const size_t most = limit > 0 ? static_cast<size_t>(limit - set.count) * kRecord
                                : static_cast<size_t>(std::numeric_limits<int32_t>::max());
  const std::string text = read_maybe_gzip(path, most);
  if (text.empty() || text.size() % kRecord != 0) {
    throw Error(fmt::format("'{}' holds {} bytes, which is not a number of records of {} bytes",
                            path.string(), text.size(), kRecord),
                "use the binary version of CIFAR-10");
  }
  for (size_t at = 0; at < text.size(); at += kRecord) {
    set.labels.push_back(static_cast<unsigned char>(text[at]));
    set.bytes.insert(set.bytes.end(), text.begin() + static_cast<std::ptrdiff_t>(at + 1),
                     text.begin() + static_cast<std::ptrdiff_t>(at + kRecord));
  }
  set.count = static_cast<int64_t>(set.labels.size());
}

DataSet load_cifar10(const fs::path& folder, int64_t limit, Split split) {
  DataSet set{
      .name = "cifar10", .count = 0, .shape = {3, 32, 32}, .bytes = {}, .floats = {}, .labels = {}};
  if (split == Split::test) {
    append_cifar10(folder / "test_batch.bin", limit, set);
    return set;
  }
  for (int batch = 1; batch <= kCifarBatches && (limit == 0 || set.count < limit); ++batch) {
    append_cifar10(folder / fmt::format("data_batch_{}.bin", batch), limit, set);
  }
  return set;
}

DataSet load_npy(const fs::path& folder, int64_t limit, Split split) {
  const std::string suffix = split == Split::train ? "_train.npy" : ".npy";
  const NpyArray x = read_npy(folder / ("X" + suffix)), y = read_npy(folder / ("Y" + suffix));
  if (x.shape.empty() || y.kind == NpyArray::Kind::floats || element_count(y.shape) != x.shape[0]) {
    throw Error(
        fmt::format("'{}': X has shape {} and Y has shape {}, but Y must hold one integer "
                    "label for each sample of X",
                    folder.string(), to_string(x.shape), to_string(y.shape)));
  }
  DataSet set{.name = "npy",
              .count = samples_wanted(x.shape[0], limit),
              .shape = Shape(x.shape.begin() + 1, x.shape.end()),
              .bytes = {},
              .floats = {},
              .labels = {}};
  const int64_t elements = set.count * element_count(set.shape);
  for (int64_t i = 0; i < elements; ++i) {
    const float value = x.kind == NpyArray::Kind::floats ? static_cast<float>(x.reals[i])
                                                         : static_cast<float>(x.ints[i]);
    if (!std::isfinite(value)) {
      throw Error(fmt::format("'{}': sample {} of X holds {}, expected finite numbers of float32",
                              folder.string(), i / element_count(set.shape), value));
    }
    set.floats.push_back(value);
  }
  set.labels.assign(y.ints.begin(), y.ints.begin() + set.count);
  return set;
}

// Elements up to and with each axis.
std::set<int64_t> prefixes(const Shape& shape) {
  std::set<int64_t> products = {1};
  int64_t product = 1;
  for (const int64_t size : shape) products.insert(product *= size);
  return products;
}

DataSet load(const std::string& name, const fs::path& folder, int64_t limit, Split split) {
  if (name == "mnist") return load_mnist(folder, limit, split);
  if (name == "cifar10") return load_cifar10(folder, limit, split);
  if (name == "npy") return load_npy(folder, limit, split);
  if (name == "unsw-nb15") return load_unsw_nb15(folder, limit, split);
  throw Error(fmt::format("there is no data set '{}'", name), did_you_mean(name, data_set_names()));
}

}  // namespace

bool DataSet::fits(const Shape& as) const {
  if (element_count(as) != element_count(shape)) return false;
  const std::set<int64_t> mine = prefixes(shape), theirs = prefixes(as);
  return std::ranges::includes(mine, theirs) || std::ranges::includes(theirs, mine);
}

void DataSet::check_labels(int64_t classes, const std::string& who) const {
  for (const int64_t label : labels) {
    if (label >= 0 && label < classes) continue;
    throw Error(fmt::format("'{}' has a label {}, but {} tells {} classes apart", name, label, who,
                            classes),
                "labels count from 0");
  }
}

Tensor DataSet::sample(int64_t index, const Shape& as, double scale) const {
  const int64_t elements = element_count(shape);
  if (!fits(as)) {
    throw Error(fmt::format("a sample of '{}' is {}, but the model takes {}", name,
                            to_string(shape), to_string(as)),
                !as.empty() && as[0] > 1 && element_count(as) == as[0] * elements
                    ? "export the model with a batch of 1, or a dynamic one"
                    : "evaluate the model on the data set it was trained for");
  }
  FOLDSTREAM_CHECK(index >= 0 && index < count);
  Tensor tensor = make_zero(float_type(as));
  for (int64_t i = 0; i < elements; ++i) {
    const float value = bytes.empty() ? floats[index * elements + i]
                                      : static_cast<float>(bytes[index * elements + i]);
    tensor.reals[i] = value / static_cast<float>(scale);
  }
  return tensor;
}

std::vector<std::string> data_set_names() { return {"cifar10", "mnist", "npy", "unsw-nb15"}; }

bool has_data_set(const std::string& name, const fs::path& folder, Split split) {
  const bool train = split == Split::train;
  std::vector<std::string> files;
  if (name == "mnist") {
    const std::string prefix = train ? "train" : "t10k";
    files = {prefix + "-images-idx3-ubyte", prefix + "-labels-idx1-ubyte"};
  } else if (name == "cifar10") {
    if (!train) files = {"test_batch.bin"};
    for (int batch = 1; train && batch <= kCifarBatches; ++batch) {
      files.push_back(fmt::format("data_batch_{}.bin", batch));
    }
  } else if (name == "npy") {
    files = train ? std::vector<std::string>{"X_train.npy", "Y_train.npy"}
                  : std::vector<std::string>{"X.npy", "Y.npy"};
  } else {
    files = {unsw_nb15_file(split)};
  }
  return std::all_of(files.begin(), files.end(), [&](const std::string& file) {
    std::error_code error;
    return fs::exists(folder / file, error) || fs::exists(folder / (file + ".gz"), error);
  });
}

DataSet load_data_set(const std::string& name, const fs::path& folder, int64_t limit, Split split) {
  DataSet set = load(name, folder, limit, split);
  if (set.count == 0 || element_count(set.shape) == 0) {
    throw Error(fmt::format("the {} part of '{}' in '{}' is empty: {} samples of shape {}",
                            split == Split::train ? "training" : "test", name, folder.string(),
                            set.count, to_string(set.shape)));
  }
  return set;
}

}  // namespace foldstream
