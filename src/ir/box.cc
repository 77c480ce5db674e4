// SPDX-License-Identifier: Apache-2.0
#include "src/ir/box.h"

namespace foldstream {

Shape box_shape(const Box& box) {
  Shape shape(box.frame.size());
  for (size_t d = 0; d < shape.size(); ++d) shape[d] = box.end[d] - box.begin[d];
  return shape;
}

Box padded_box(const Shape& shape, const std::vector<int64_t>& pad) {
  const size_t rank = shape.size();
  Box box{Shape(rank), Shape(rank), Shape(rank)};
  for (size_t d = 0; d < rank; ++d) {
    box.begin[d] = pad[d];
    box.end[d] = box.begin[d] + shape[d];
    box.frame[d] = box.end[d] + pad[rank + d];
  }
  return box;
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

Box coarser(const Box& box, int64_t run) {
  Box merged{{1}, {0}, {1}};
  for (size_t d = 0; d < box.frame.size(); ++d) {
    const int64_t unit = d + 1 == box.frame.size() ? run : 1;
    const int64_t size = box.frame[d] / unit;
    if (box.begin[d] == 0 && box.end[d] == box.frame[d]) {
      merged.frame.back() *= size, merged.begin.back() *= size, merged.end.back() *= size;
    } else if (merged.frame.back() == 1) {
      merged.frame.back() = size;
      merged.begin.back() = box.begin[d] / unit, merged.end.back() = box.end[d] / unit;
    } else {
      merged.frame.push_back(size);
      merged.begin.push_back(box.begin[d] / unit), merged.end.push_back(box.end[d] / unit);
    }
  }
  return merged;
}

std::vector<bool> rows_touched(const Box& box) {
  std::vector<bool> rows{true};
  for (size_t d = 0; d + 1 < box.frame.size(); ++d) {
    std::vector<bool> finer;
    for (const bool row : rows) {
      for (int64_t i = 0; i < box.frame[d]; ++i) {
        finer.push_back(row && i >= box.begin[d] && i < box.end[d]);
      }
    }
    rows = std::move(finer);
  }
  return rows;
}

}  // namespace foldstream
