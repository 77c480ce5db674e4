// SPDX-License-Identifier: Apache-2.0
#include "src/ir/permute.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/util/error.h"

namespace foldstream {

Shape permuted_shape(const Shape& from, const std::vector<int64_t>& perm) {
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  bool legal = sorted.size() == from.size();
  for (size_t d = 0; d < sorted.size(); ++d) legal = legal && sorted[d] == static_cast<int64_t>(d);
  if (!legal) {
    throw Error(fmt::format("perm {} is not an order of the {} axes of its operand",
                            to_string(perm), from.size()));
  }
  Shape shape(from.size());
  for (size_t d = 0; d < perm.size(); ++d) shape[d] = from[perm[d]];
  return shape;
}

std::vector<int64_t> permuted_offsets(const Shape& from, const std::vector<int64_t>& perm) {
  const Shape size = permuted_shape(from, perm);
  const size_t rank = from.size();
  std::vector<int64_t> stride(rank, 1), step(rank), index(rank, 0);
  for (size_t d = rank; d-- > 1;) stride[d - 1] = stride[d] * from[d];
  for (size_t d = 0; d < rank; ++d) step[d] = stride[perm[d]];
  std::vector<int64_t> offsets(element_count(from));
  int64_t at = 0;
  for (int64_t& offset : offsets) {
    offset = at;
    for (size_t d = rank; d-- > 0;) {
      at += step[d];
      if (++index[d] < size[d]) break;
      at -= step[d] * size[d];
      index[d] = 0;
    }
  }
  return offsets;
}

Tensor permuted(const Tensor& in, const std::vector<int64_t>& perm) {
  const std::vector<int64_t> offsets = permuted_offsets(in.type.shape, perm);
  Type type = in.type;
  type.shape = permuted_shape(in.type.shape, perm);
  Tensor out = make_zero(type);
  for (size_t i = 0; i < out.ints.size(); ++i) out.ints[i] = in.ints[offsets[i]];
  for (size_t i = 0; i < out.reals.size(); ++i) out.reals[i] = in.reals[offsets[i]];
  return out;
}

}  // namespace foldstream
