// SPDX-License-Identifier: Apache-2.0
// Numpy's .npy files: floats of 32 and 64 bits, integers and bools, any axis order, little endian.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace foldstream {

// An array as it lies in the file, elements in C order.
struct NpyArray {
  enum class Kind { floats, integers, unsigned_integers, bools };
  Kind kind = Kind::floats;
  int bytes = 4;  // of one element: floats 4 and 8, integers 1, 2, 4 and 8, bools 1
  std::vector<int64_t> shape;
  std::vector<double> reals;  // of floats
  std::vector<int64_t> ints;  // of the others
};

// Throws Error, naming the file, on everything else.
NpyArray read_npy(const std::filesystem::path& path);
NpyArray read_npy_bytes(std::string_view bytes, const std::string& name);

std::string npy_bytes(const NpyArray& array);
// Writes a file beside the final one and renames it, so that an interrupted write leaves nothing
// under the name.
void write_npy(const std::filesystem::path& path, const NpyArray& array);

}  // namespace foldstream
