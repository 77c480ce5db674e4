// SPDX-License-Identifier: Apache-2.0
// Values from one form of storage into another, and what else only moves stored elements.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "src/ir/kernel.h"
#include "src/window/geometry.h"

namespace foldstream::kernel {

// All elements of `vectors` vectors, as integers; forms other than floats.
void unpack(const Storage& storage, const std::byte* from, int64_t vectors, int64_t* to);
void pack(const Storage& storage, const int64_t* from, int64_t vectors, std::byte* to);

// A frame of a value, floats too; `tensor` has the value's type.
void store(const Tensor& tensor, const Storage& storage, std::byte* to);
void load(const Storage& storage, const std::byte* from, Tensor& tensor);

// The form that holds any integers of that range, with base 0 where it can.
Form dense_form(Range range);
Storage storage_of(Form form, Range range, const Shape& shape);  // the range of integers only

// Whether a value in one storage is, byte for byte, one in the other.
bool same_bytes(const Storage& a, const Storage& b);

// The same elements, cut into vectors as the result's storage says; not from or to floats.
std::unique_ptr<Kernel> make_convert(const Storage& from, const Storage& to);
// A copy of the frame with the geometry's padding around it.
std::unique_ptr<Kernel> make_pad(const Storage& from, const window::Geometry& geometry);
Storage padded(const Storage& frame, const window::Geometry& geometry);
// Elements of 1, 4 or 8 bytes in another order of axes: axis d of the result is axis order[d].
std::unique_ptr<Kernel> make_permute(const Storage& from, const Shape& shape,
                                     const std::vector<int64_t>& order);
// Bytes into what a table of 256 has for them, in any form.
std::unique_ptr<Kernel> make_lookup(const std::vector<double>& table, const Storage& to);

}  // namespace foldstream::kernel
