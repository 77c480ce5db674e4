// SPDX-License-Identifier: Apache-2.0
#include "src/ir/lowering.h"

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

}  // namespace foldstream
