// SPDX-License-Identifier: Apache-2.0
#include "src/source/region.h"

#include <algorithm>

namespace foldstream {
namespace {

struct Walk {
  int64_t at = 0;
  Shape stride;  // in the tensor's elements, by axis

  Walk(const Shape& shape, const Region& region) : stride(shape.size(), 1) {
    int64_t step = 1;
    for (size_t d = shape.size(); d-- > 0; step *= shape[d]) {
      at += region.begin[d] * step;
      stride[d] = region.step[d] * step;
    }
  }
};

template <class T>
void copy(const std::vector<T>& source, Walk from, const Shape& size, std::vector<T>& target,
          Walk to) {
  if (size.empty()) {
    target[0] = source[0];
    return;
  }
  if (element_count(size) == 0) return;
  const size_t last = size.size() - 1;
  Shape index(size.size(), 0);
  while (true) {
    for (int64_t i = 0; i < size[last]; ++i) {
      target[to.at + i * to.stride[last]] = source[from.at + i * from.stride[last]];
    }
    size_t d = last;
    for (;; --d) {
      if (d == 0) return;
      from.at += from.stride[d - 1], to.at += to.stride[d - 1];
      if (++index[d - 1] < size[d - 1]) break;
      from.at -= from.stride[d - 1] * size[d - 1], to.at -= to.stride[d - 1] * size[d - 1];
      index[d - 1] = 0;
    }
  }
}

void copy(const Tensor& source, const Walk& read, const Shape& size, Tensor& target,
          const Walk& write) {
  if (source.type.is_float) {
    copy(source.reals, read, size, target.reals, write);
  } else {
    copy(source.ints, read, size, target.ints, write);
  }
}

}  // namespace

void copy_region(const Tensor& source, const Region& from, const Shape& size, Tensor& target,
                 const Region& to) {
  copy(source, Walk(source.type.shape, from), size, target, Walk(target.type.shape, to));
}

void copy_permuted(const Tensor& source, const Shape& perm, Tensor& target) {
  const size_t rank = perm.size();
  const Region all{Shape(rank, 0), Shape(rank, 1)};
  Walk from(source.type.shape, all);
  const Shape stride = from.stride;
  for (size_t d = 0; d < rank; ++d) from.stride[d] = stride[perm[d]];
  copy(source, from, target.type.shape, target, Walk(target.type.shape, all));
}

}  // namespace foldstream
