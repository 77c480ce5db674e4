// SPDX-License-Identifier: Apache-2.0
#include "src/ir/lowering.h"

#include <algorithm>
#include <numeric>

#include "src/ir/permute.h"

namespace foldstream {

std::vector<int64_t> element_places(const Layout& layout) {
  Shape placed;
  std::vector<int64_t> back(layout.order.size());
  for (size_t d = 0; d < back.size(); ++d) {
    placed.push_back(layout.dims[layout.order[d]]);
    back[layout.order[d]] = static_cast<int64_t>(d);
  }
  return permuted_offsets(placed, back);
}

std::vector<int> natural_order(size_t rank) {
  std::vector<int> order(rank);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

std::vector<int> present_order(const Traced& traced) {
  const bool other = !traced.layout.natural() && traced.layout.dims == traced.shape;
  return other ? traced.layout.order : natural_order(traced.shape.size());
}

Layout layout_of(const Shape& shape, const std::vector<int>& order) {
  return std::is_sorted(order.begin(), order.end()) ? Layout{} : Layout{shape, order};
}

void cut_vectors(Traced& traced, int64_t begin, int64_t end) {
  const auto cut = [&](auto& values) {
    if (values.size() == 1) return;
    values = {values.begin() + begin, values.begin() + end};
  };
  cut(traced.scale), cut(traced.bias), cut(traced.lo), cut(traced.hi);
  for (Step& step : traced.steps) step.move_channels([begin](int64_t c) { return begin + c; });
}

void Step::move_channels(const std::function<int64_t(int64_t)>& to_old) {
  apply = [old = apply, to_old](float x, int64_t c) { return old(x, to_old(c)); };
  direction = [old = direction, to_old](int64_t c) { return old(to_old(c)); };
  if (affine) affine = [old = affine, to_old](int64_t c) { return old(to_old(c)); };
  origin = [old = origin, to_old](int64_t c) { return old ? old(to_old(c)) : to_old(c); };
  for (std::vector<Step>& branch : branches) {
    for (Step& step : branch) step.move_channels(to_old);
  }
}

}  // namespace foldstream
