// SPDX-License-Identifier: Apache-2.0
#include "src/util/npy.h"

#include <gtest/gtest.h>

#include "src/util/error.h"

namespace foldstream {
namespace {

using Kind = NpyArray::Kind;

// A version 1 file around a header as numpy writes it.
std::string file(const std::string& header, const std::string& data) {
  std::string bytes = "\x93NUMPY";
  bytes += std::string("\x01\x00", 2);
  bytes += static_cast<char>(header.size());
  bytes += '\0';
  return bytes + header + data;
}

std::string message_of(const std::string& bytes) {
  try {
    read_npy_bytes(bytes, "f");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Npy, WhatIsWrittenReadsBack) {
  const std::vector<NpyArray> arrays = {
      {Kind::floats, 4, {2, 3}, {0, 1.5, -2, 3, 1e10F, -0.25}, {}},
      {Kind::floats, 8, {2}, {0.1, -1e300}, {}},
      {Kind::integers, 8, {3}, {}, {INT64_MIN, 0, INT64_MAX}},
      {Kind::integers, 2, {1, 2}, {}, {-32768, 7}},
      {Kind::unsigned_integers, 1, {2}, {}, {0, 255}},
      {Kind::bools, 1, {2}, {}, {1, 0}},
      {Kind::floats, 4, {}, {7}, {}},
      {Kind::floats, 4, {0, 5}, {}, {}}};
  for (const NpyArray& array : arrays) {
    const std::string bytes = npy_bytes(array);
    const NpyArray back = read_npy_bytes(bytes, "f");
    EXPECT_EQ(back.kind, array.kind);
    EXPECT_EQ(back.bytes, array.bytes);
    EXPECT_EQ(back.shape, array.shape);
    EXPECT_EQ(back.reals, array.reals);
    EXPECT_EQ(back.ints, array.ints);
    EXPECT_EQ((bytes.find('\n') + 1) % 64, 0u);  // numpy aligns the data
  }
}

TEST(Npy, ReadsTheOtherOrderOfAxes) {
  const NpyArray array = read_npy_bytes(
      file("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", {1, 4, 2, 5, 3, 6}), "f");
  EXPECT_EQ(array.ints, (std::vector<int64_t>{1, 2, 3, 4, 5, 6}));
}

TEST(Npy, RefusesEverythingElse) {
  EXPECT_EQ(message_of("PK"), "f: is not a .npy file");
  EXPECT_EQ(message_of(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "1234")),
            "f: holds 4 bytes of data, expected 8 for shape [2]");
  EXPECT_EQ(message_of(file("{'descr': '|O', 'fortran_order': False, 'shape': (), }", "")),
            "f: its element type is '|O'");
  EXPECT_EQ(message_of(file("{'descr': '>f4', 'fortran_order': False, 'shape': (), }", "1234")),
            "f: its element type is '>f4'");
  EXPECT_EQ(message_of(file("{'descr': '<f4', 'shape': (99999999999, 99999999999)}", "")),
            "f: its header is not that of a numpy array of numbers");
  EXPECT_EQ(message_of(file("{'descr': '<f4', 'shape': (-1,)}", "")),
            "f: its header is not that of a numpy array of numbers");
  EXPECT_EQ(message_of(file("{'descr", "")),
            "f: its header is not that of a numpy array of numbers");
  std::string cut = file("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "1234");
  EXPECT_EQ(message_of(cut.substr(0, 20)), "f: is cut short in its header");
}

}  // namespace
}  // namespace foldstream
