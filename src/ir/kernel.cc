// SPDX-License-Identifier: Apache-2.0
#include "src/ir/kernel.h"

namespace foldstream {

int64_t Storage::stride() const {
  const int64_t words = (length + 63) / 64;
  switch (form) {
    case Form::bits:
      return 8 * words;
    case Form::trits:
      return 16 * words;
    case Form::bytes:
      return length;
    case Form::words:
    case Form::floats:
      return 4 * length;
    case Form::longs:
      return 8 * length;
  }
  return 0;
}

std::vector<Range> range_of_operand(const Node& node, std::span<const Range> in) {
  return std::vector<Range>(node.out.size(), in[0]);
}

}  // namespace foldstream
