// SPDX-License-Identifier: Apache-2.0
#include "src/ir/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>

#include "src/ir/graph.h"
#include "src/ir/hardware.h"
#include "src/util/error.h"

namespace foldstream {

MemoryPlace memory_place(const Node& node) {
  const std::string place = node.text("memory", "inside");
  if (place == "inside") return MemoryPlace::inside;
  if (place == "outside") return MemoryPlace::outside;
  if (place == "loaded") return MemoryPlace::loaded;
  if (place == "writable") return MemoryPlace::writable;
  if (place == "streamed") return MemoryPlace::streamed;
  throw Error(fmt::format("{}: memory = {}", describe(node), place),
              "legal values are inside, outside, loaded, writable, streamed");
}

bool in_ultra_ram(const Node& node, const MemoryShape& shape) {
  constexpr int64_t kFewWords = 512;  // of a block of 4,096
  const MemoryPlace place = memory_place(node);
  return place == MemoryPlace::loaded || (place == MemoryPlace::writable &&
                                          node.integer("ultra", 0) == 1 && shape.depth > kFewWords);
}

std::string weights_name(const Node& node, const MemoryShape& shape) {
  return fmt::format("{}.{}", node.name, shape.name);
}

int64_t MemoryShape::address_bits() const {
  return std::max<int64_t>(1, std::bit_width(static_cast<uint64_t>(depth - 1)));
}

MemoryWords memory_words(const Node& node, const MemoryShape& shape) {
  MemoryWords words(shape.depth, std::vector<bool>(shape.width));
  for (const MemoryField& field : shape.fields) {
    const Tensor& tensor = *node.tensor(field.tensor);
    const auto store = [&](int64_t element, int64_t word, int64_t bit) {
      int64_t value = tensor.ints.at(element) + field.offset;
      if (field.saturates) {
        value = std::clamp(value, field.least, field.greatest);
      } else if (value < field.least || value > field.greatest) {
        throw Error(fmt::format("{}: element {} of '{}' is {}", describe(node), element,
                                field.tensor, tensor.ints[element]),
                    fmt::format("its memory holds {} to {}", field.least - field.offset,
                                field.greatest - field.offset));
      }
      for (int64_t b = 0; b < field.bits; ++b) words.at(word).at(bit + b) = (value >> b & 1) != 0;
    };
    const std::function<void(size_t, int64_t, int64_t, int64_t)> walk =
        [&](size_t depth, int64_t element, int64_t word, int64_t bit) {
          if (depth == field.loops.size()) return store(element, word, bit);
          const MemoryField::Loop& loop = field.loops[depth];
          for (int64_t i = 0; i < loop.count; ++i) {
            walk(depth + 1, element + i * loop.element, word + i * loop.word, bit + i * loop.bit);
          }
        };
    walk(0, 0, 0, field.bit);
  }
  return words;
}

}  // namespace foldstream
