// SPDX-License-Identifier: Apache-2.0
#include "src/ir/type.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "src/util/error.h"

namespace foldstream {

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (int64_t dim : shape) count *= dim;
  return count;
}

std::optional<int64_t> checked_element_count(const Shape& shape) {
  constexpr int64_t kMost = int64_t{1} << 33;
  int64_t count = 1;
  for (int64_t dim : shape) {
    if (dim < 0 || dim > kMost / std::max<int64_t>(1, count)) return std::nullopt;
    count *= std::max<int64_t>(1, dim);
  }
  return element_count(shape);
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

int64_t Type::min() const {
  FOLDSTREAM_CHECK(!is_float);
  if (!is_signed) return 0;
  return bits >= 64 ? INT64_MIN : -(int64_t{1} << (bits - 1));
}

int64_t Type::max() const {
  FOLDSTREAM_CHECK(!is_float);
  const int magnitude = is_signed ? bits - 1 : bits;
  return magnitude >= 63 ? INT64_MAX : (int64_t{1} << magnitude) - 1;
}

Type float_type(Shape shape) { return {true, true, 32, std::move(shape)}; }
Type double_type(Shape shape) { return {true, true, 64, std::move(shape)}; }
Type integer_type(int bits, bool is_signed, Shape shape) {
  return {false, is_signed, bits, std::move(shape)};
}

Type type_for_range(int64_t lo, int64_t hi, Shape shape) {
  FOLDSTREAM_CHECK(lo <= hi);
  Type type{false, lo < 0, 1, std::move(shape)};
  while (type.bits < 64 && (lo < type.min() || hi > type.max())) ++type.bits;
  return type;
}

std::string element_name(const Type& type) {
  return fmt::format("{}{}", type.is_float ? 'f' : type.is_signed ? 's' : 'u', type.bits);
}

std::string to_string(const Type& type) { return element_name(type) + to_string(type.shape); }

Type parse_element(std::string_view text) {
  Type type;
  bool ok = text.size() >= 2 && (text[0] == 'u' || text[0] == 's' || text[0] == 'f');
  if (ok) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + 1, end, type.bits);
    ok = error == std::errc() && rest == end;
    type.is_float = text[0] == 'f';
    type.is_signed = text[0] != 'u';
    ok = ok &&
         (type.is_float ? type.bits == 32 || type.bits == 64 : type.bits >= 1 && type.bits <= 64);
  }
  if (!ok) {
    throw Error(fmt::format("'{}' is not an element type", text.substr(0, 40)),
                "expected u1 to u64, s1 to s64, f32 or f64");
  }
  return type;
}

Tensor make_ints(Type type, std::vector<int64_t> values) {
  FOLDSTREAM_CHECK(!type.is_float && static_cast<int64_t>(values.size()) == type.count());
  for (int64_t v : values) FOLDSTREAM_CHECK(v >= type.min() && v <= type.max());
  return {std::move(type), std::move(values), {}};
}

Tensor make_ints(Shape shape, std::vector<int64_t> values) {
  int64_t lo = 0, hi = 0;
  if (!values.empty()) {
    const auto [a, b] = std::minmax_element(values.begin(), values.end());
    lo = *a, hi = *b;
  }
  return make_ints(type_for_range(lo, hi, std::move(shape)), std::move(values));
}

Tensor make_floats(Shape shape, std::vector<double> values) {
  FOLDSTREAM_CHECK(static_cast<int64_t>(values.size()) == element_count(shape));
  for (double& v : values) v = static_cast<float>(v);
  return {float_type(std::move(shape)), {}, std::move(values)};
}

Tensor make_doubles(Shape shape, std::vector<double> values) {
  FOLDSTREAM_CHECK(static_cast<int64_t>(values.size()) == element_count(shape));
  return {double_type(std::move(shape)), {}, std::move(values)};
}

Tensor make_zero(const Type& type) {
  Tensor tensor{type, {}, {}};
  if (type.is_float) {
    tensor.reals.resize(type.count());
  } else {
    tensor.ints.resize(type.count());
  }
  return tensor;
}

Shape broadcast_shape(const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()));
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      throw Error(fmt::format("shapes {} and {} don't broadcast", to_string(a), to_string(b)));
    }
    out[out.size() - 1 - i] = x == 1 ? y : x;
  }
  return out;
}

std::vector<int64_t> broadcast_offsets(const Shape& from, const Shape& to) {
  if (from.size() > to.size() || broadcast_shape(from, to) != to) {
    throw Error(fmt::format("shape {} doesn't broadcast to {}", to_string(from), to_string(to)));
  }
  const size_t rank = to.size(), lead = rank - from.size();
  std::vector<int64_t> stride(rank, 0);
  int64_t step = 1;
  for (size_t i = from.size(); i-- > 0;) {
    stride[lead + i] = from[i] == 1 ? 0 : step;
    step *= from[i];
  }
  std::vector<int64_t> offsets(element_count(to));
  std::vector<int64_t> index(rank, 0);
  int64_t at = 0;
  for (int64_t& offset : offsets) {
    offset = at;
    for (size_t d = rank; d-- > 0;) {
      at += stride[d];
      if (++index[d] < to[d]) break;
      at -= stride[d] * to[d];
      index[d] = 0;
    }
  }
  return offsets;
}

}  // namespace foldstream
