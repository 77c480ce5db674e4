// SPDX-License-Identifier: Apache-2.0
#include "src/ir/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/ir/graph.h"
#include "src/util/error.h"

namespace foldstream {

MemoryPlace memory_place(const Node& node) {
  const std::string place = node.text("memory", "inside");
  if (place == "inside") return MemoryPlace::inside;
  if (place == "outside") return MemoryPlace::outside;
  throw Error(fmt::format("{}: memory = {}", describe(node), place),
              "legal values are inside, outside");
}

int64_t MemoryShape::address_bits() const {
  return std::max<int64_t>(1, std::bit_width(static_cast<uint64_t>(depth - 1)));
}

}  // namespace foldstream
