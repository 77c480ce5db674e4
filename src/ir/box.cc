// SPDX-License-Identifier: Apache-2.0
#include "src/ir/box.h"

namespace foldstream {

Shape box_shape(const Box& box) {
  Shape shape(box.frame.size());
  for (size_t d = 0; d < shape.size(); ++d) shape[d] = box.end[d] - box.begin[d];
  return shape;
}

std::vector<int64_t> box_rows(const Box& box) {
  std::vector<int64_t> rows{0};
  for (size_t d = 0; d < box.frame.size(); ++d) {
    const bool last = d + 1 == box.frame.size();
    std::vector<int64_t> finer;
    for (const int64_t row : rows) {
      const int64_t end = last ? box.begin[d] + 1 : box.end[d];
      for (int64_t i = box.begin[d]; i < end; ++i) finer.push_back(row * box.frame[d] + i);
    }
    rows = std::move(finer);
  }
  return rows;
}

}  // namespace foldstream
