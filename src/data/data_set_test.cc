// SPDX-License-Identifier: Apache-2.0
// Data sets as files that may be wrong, and the shapes that samples fit.
#include "src/data/data_set.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/npy.h"

namespace foldstream {
namespace {

std::string idx(const Shape& sizes, const std::string& bytes) {
  std::string text = {0, 0, 8, static_cast<char>(sizes.size())};
  for (const int64_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(size >> shift);
  }
  return text + bytes;
}

template <class F>
std::string message(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class DataSetTest : public testing::Test {
 protected:
  void write_mnist(const std::string& images, const std::string& labels) const {
    write_file(folder_.path() / "t10k-images-idx3-ubyte", images);
    write_file(folder_.path() / "t10k-labels-idx1-ubyte", labels);
  }
  std::string found(const std::string& name, int64_t limit = 0) const {
    return message([&] { load_data_set(name, folder_.path(), limit); });
  }
  TemporaryFolder folder_;
};

TEST_F(DataSetTest, ImagesWithoutLabelsAreRefused) {
  const std::string images = idx({3, 2, 2}, std::string(12, 'x'));
  write_mnist(images, idx({3}, "\1\2\3"));
  EXPECT_EQ(load_data_set("mnist", folder_.path(), 2).labels, (std::vector<int64_t>{1, 2}));
  write_mnist(images, idx({0}, ""));
  EXPECT_NE(found("mnist").find("holds 3 images but 0 labels"), std::string::npos);
  write_mnist(images, idx({2}, "\1\2"));
  EXPECT_NE(found("mnist", 1).find("holds 3 images but 2 labels"), std::string::npos);
}

TEST_F(DataSetTest, EmptyPartsAndWhatIsNoNumberAreRefused) {
  using Kind = NpyArray::Kind;
  NpyArray x{.kind = Kind::floats, .bytes = 8, .shape = {0, 2}, .reals = {}, .ints = {}};
  NpyArray y{.kind = Kind::integers, .bytes = 8, .shape = {0}, .reals = {}, .ints = {}};
  const auto found_of = [&] {
    write_npy(folder_.path() / "X.npy", x);
    write_npy(folder_.path() / "Y.npy", y);
    return found("npy");
  };
  EXPECT_NE(found_of().find("the test part of 'npy'"), std::string::npos);
  y.shape = {2};
  y.ints = {0, 1};
  x.shape = {2, 2};
  x.reals = {0, 1, 2, 3};
  EXPECT_EQ(found_of(), "");
  for (const double wrong : {std::numeric_limits<double>::quiet_NaN(), 1e300}) {
    x.reals[2] = wrong;
    EXPECT_NE(found_of().find("sample 1 of X holds"), std::string::npos) << wrong;
  }
}

TEST_F(DataSetTest, SamplesFitWhereNoElementMoves) {
  const DataSet set{
      .name = "s", .count = 1, .shape = {3, 4, 4}, .bytes = {}, .floats = {}, .labels = {0, 3}};
  for (const Shape& shape : {Shape{48}, Shape{1, 48}, Shape{1, 3, 4, 4}, Shape{3, 16}}) {
    EXPECT_TRUE(set.fits(shape)) << to_string(shape);
  }
  for (const Shape& shape : {Shape{4, 4, 3}, Shape{1, 4, 12}, Shape{47}}) {
    EXPECT_FALSE(set.fits(shape)) << to_string(shape);
  }
  EXPECT_EQ(message([&] { set.check_labels(4, "m"); }), "");
  EXPECT_EQ(message([&] { set.check_labels(3, "m"); }),
            "'s' has a label 3, but m tells 3 classes apart");
}

}  // namespace
}  // namespace foldstream
