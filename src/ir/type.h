// SPDX-License-Identifier: Apache-2.0
// Types and constant tensors: exact integers of 1 to 64 bits, and IEEE floats on the source side.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foldstream {

using Shape = std::vector<int64_t>;

int64_t element_count(const Shape& shape);
// The same for shapes of unknown origin: nothing when a dimension is negative or the count is out
// of reach (more than 2^33).
std::optional<int64_t> checked_element_count(const Shape& shape);
std::string to_string(const Shape& shape);

// The type of a value: `u2[1,64]`, `s11[1,10]`, `f32[1,784]`. Integers are two's complement; `f64`
// appears only in constants that describe scales exactly.
struct Type {
  bool is_float = false;
  bool is_signed = false;
  int bits = 0;
  Shape shape;

  bool operator==(const Type&) const = default;
  int64_t min() const;  // smallest integer of the type; integers only
  int64_t max() const;
  int64_t count() const { return element_count(shape); }
};

Type float_type(Shape shape);   // f32
Type double_type(Shape shape);  // f64
Type integer_type(int bits, bool is_signed, Shape shape);

// The narrowest integer type that holds every integer from lo to hi (at least one bit).
Type type_for_range(int64_t lo, int64_t hi, Shape shape);

std::string to_string(const Type& type);
// The element part alone: `u2`, `s11`, `f32`.
std::string element_name(const Type& type);
// Reverse of element_name; throws Error.
Type parse_element(std::string_view text);

// A constant or a run-time value. `ints` is used by integer types and `reals` by float types; an
// f32 tensor's reals are exactly representable as float.
struct Tensor {
  Type type;
  std::vector<int64_t> ints;
  std::vector<double> reals;

  bool operator==(const Tensor&) const = default;
  int64_t count() const { return type.count(); }
};

Tensor make_ints(Type type, std::vector<int64_t> values);
Tensor make_ints(Shape shape, std::vector<int64_t> values);  // narrowest type that holds the values
Tensor make_floats(Shape shape, std::vector<double> values);
Tensor make_doubles(Shape shape, std::vector<double> values);
// Zero-filled.
Tensor make_zero(const Type& type);

// Offsets of numpy-style broadcasting: element i of a tensor of shape `to` reads element offsets[i]
// of one of shape `from`. Throws Error when the shapes don't broadcast.
std::vector<int64_t> broadcast_offsets(const Shape& from, const Shape& to);
Shape broadcast_shape(const Shape& a, const Shape& b);

}  // namespace foldstream
