// SPDX-License-Identifier: Apache-2.0
#include "src/util/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>

#include "src/util/error.h"
#include "src/util/files.h"

namespace foldstream {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMostHeader = 1 << 16;
constexpr int64_t kMostElements = int64_t{1} << 33;

// The header is a Python dictionary with three known keys.
class Header {
 public:
  Header(std::string_view text, const std::string& name) : text_(text), name_(name) {
    expect('{');
    while (peek() != '}') {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr") {
        descr = quoted();
      } else if (key == "fortran_order") {
        fortran = word() == "True";
      } else if (key == "shape") {
        read_shape();
      } else {
        fail();
      }
      if (peek() == ',') ++at_;
    }
    if (descr.empty()) fail();
  }

  std::string descr;
  bool fortran = false;
  std::vector<int64_t> shape;

 private:
  [[noreturn]] void fail() const {
    throw Error(fmt::format("{}: its header is not that of a numpy array of numbers", name_),
                "write it with numpy.save and a dtype of float32 or an integer type");
  }
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  void expect(char c) {
    if (peek() != c) fail();
    ++at_;
  }
  std::string_view quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail();
    const size_t start = ++at_;
    const size_t end = text_.find(quote, start);
    if (end == std::string_view::npos) fail();
    at_ = end + 1;
    return text_.substr(start, end - start);
  }
  std::string_view word() {
    peek();
    const size_t start = at_;
    while (at_ < text_.size() && std::isalpha(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    return text_.substr(start, at_ - start);
  }
  void read_shape() {
    shape.clear();
    expect('(');
    int64_t count = 1;
    while (peek() != ')') {
      int64_t dim = 0;
      const auto [rest, error] =
          std::from_chars(text_.data() + at_, text_.data() + text_.size(), dim);
      if (error != std::errc() || dim < 0 || dim > kMostElements / std::max<int64_t>(1, count)) {
        fail();
      }
      at_ = rest - text_.data();
      shape.push_back(dim);
      count *= std::max<int64_t>(1, dim);
      if (peek() == ',') ++at_;
    }
    ++at_;
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
};

int64_t count_of(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return count;
}

// Moves elements from first-axis-fastest order to last-axis-fastest order.
template <class T>
void to_c_order(const std::vector<int64_t>& shape, std::vector<T>& values) {
  if (values.empty()) return;
  std::vector<T> moved(values.size());
  std::vector<int64_t> index(shape.size(), 0);
  for (T& to : moved) {
    int64_t at = 0, step = 1;
    for (size_t d = 0; d < shape.size(); ++d) at += index[d] * step, step *= shape[d];
    to = values[at];
    for (size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
  values = std::move(moved);
}

std::string descr_of(const NpyArray& array) {
  using Kind = NpyArray::Kind;
  if (array.kind == Kind::bools) return "|b1";
  const char letter = array.kind == Kind::floats ? 'f' : array.kind == Kind::integers ? 'i' : 'u';
  return fmt::format("{}{}{}", array.bytes == 1 ? '|' : '<', letter, array.bytes);
}

}  // namespace

NpyArray read_npy_bytes(std::string_view bytes, const std::string& name) {
  const auto fail = [&](const std::string& found) {
    throw Error(fmt::format("{}: {}", name, found), "expected an array written by numpy.save");
  };
  constexpr size_t kPrefix = 10;
  if (!bytes.starts_with(kMagic) || bytes.size() < kPrefix) fail("is not a .npy file");
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(bytes[i])); };
  const size_t version = byte(6);
  size_t start = kPrefix, length = byte(8) | byte(9) << 8;
  if (version == 2 || version == 3) {
    start = kPrefix + 2;
    if (bytes.size() < start) fail("is cut short");
    length |= byte(10) << 16 | byte(11) << 24;
  } else if (version != 1) {
    fail(fmt::format("has format version {}", version));
  }
  if (length > kMostHeader || bytes.size() - start < length) fail("is cut short in its header");
  const Header header(bytes.substr(start, length), name);
  const std::string_view data = bytes.substr(start + length);

  NpyArray array;
  array.shape = header.shape;
  const std::string_view descr = header.descr;
  const bool order_known = descr.size() == 3 && (descr[0] == '<' || descr[0] == '|');
  const char letter = order_known ? descr[1] : '?';
  const int size = order_known ? descr[2] - '0' : 0;
  using Kind = NpyArray::Kind;
  const bool is_integer = size == 1 || size == 2 || size == 4 || size == 8;
  if (letter == 'f' && (size == 4 || size == 8)) {
    array.kind = Kind::floats;
  } else if (letter == 'i' && is_integer) {
    array.kind = Kind::integers;
  } else if (letter == 'u' && is_integer) {
    array.kind = Kind::unsigned_integers;
  } else if (letter == 'b' && size == 1) {
    array.kind = Kind::bools;
  } else {
    throw Error(fmt::format("{}: its element type is '{}'", name, descr.substr(0, 40)),
                "expected float32, float64, bool or an integer type, little endian");
  }
  array.bytes = size;
  const int64_t count = count_of(array.shape);
  if (static_cast<int64_t>(data.size()) / size != count || data.size() % size != 0) {
    fail(fmt::format("holds {} bytes of data, expected {} for shape [{}]", data.size(),
                     count * size, fmt::join(array.shape, ",")));
  }
  if (array.kind == Kind::floats) {
    array.reals.resize(count);
  } else {
    array.ints.resize(count);
  }
  for (int64_t i = 0; i < count; ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, data.data() + i * size, size);
    if (letter == 'f' && size == 8) {
      std::memcpy(&array.reals[i], &bits, sizeof(double));
    } else if (letter == 'f') {
      float real = 0;
      std::memcpy(&real, &bits, sizeof(float));
      array.reals[i] = real;
    } else {
      const int unused = 64 - 8 * size;
      const uint64_t top = bits << unused;
      array.ints[i] =
          letter == 'i' ? static_cast<int64_t>(top) >> unused : static_cast<int64_t>(top >> unused);
      if (letter == 'u' && array.ints[i] < 0) fail("holds an integer beyond 63 bits");
    }
  }
  if (header.fortran) {
    to_c_order(array.shape, array.reals);
    to_c_order(array.shape, array.ints);
  }
  return array;
}

NpyArray read_npy(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in || std::filesystem::is_directory(path)) {
    throw Error(fmt::format("{}: can't be opened", path.string()), "check the path");
  }
  std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return read_npy_bytes(bytes, path.string());
}

std::string npy_bytes(const NpyArray& array) {
  const auto count = static_cast<size_t>(count_of(array.shape));
  const bool is_float = array.kind == NpyArray::Kind::floats;
  FOLDSTREAM_CHECK((is_float ? array.reals.size() : array.ints.size()) == count);
  std::string dims;
  for (const int64_t dim : array.shape) dims += fmt::format("{}, ", dim);
  if (array.shape.size() > 1) dims.resize(dims.size() - 2);
  if (array.shape.size() == 1) dims.resize(dims.size() - 1);
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                   descr_of(array), dims);
  constexpr size_t kPrefix = 10, kAlignment = 64;
  header.append(kAlignment - (kPrefix + header.size() + 1) % kAlignment, ' ');
  header += '\n';
  std::string bytes(kMagic);
  bytes += '\x01';
  bytes += '\x00';
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  const size_t start = bytes.size();
  bytes.resize(start + count * array.bytes);
  for (size_t i = 0; i < count; ++i) {
    char* to = bytes.data() + start + i * array.bytes;
    if (is_float && array.bytes == 4) {
      const auto real = static_cast<float>(array.reals[i]);
      std::memcpy(to, &real, sizeof(real));
    } else if (is_float) {
      std::memcpy(to, &array.reals[i], sizeof(double));
    } else {
      std::memcpy(to, &array.ints[i], array.bytes);
    }
  }
  return bytes;
}

void write_npy(const std::filesystem::path& path, const NpyArray& array) {
  write_whole(path, npy_bytes(array));
}

}  // namespace foldstream
