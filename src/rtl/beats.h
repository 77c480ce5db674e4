// SPDX-License-Identifier: Apache-2.0
// Tensors as beats of a stream and back: elements in order, element 0 in the low bits, each beat in
// whole 32-bit words, low word first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/ir/hardware.h"
#include "src/ir/type.h"

namespace foldstream {

inline int64_t words_per_beat(const Stream& stream) { return (stream.width() + 31) / 32; }

// Appends one frame.
void pack_beats(const Tensor& tensor, const Stream& stream, std::vector<uint32_t>& words);

// Words of a memory, each as a beat.
std::vector<uint32_t> pack_words(const MemoryWords& memory);

// One frame; `words` has exactly stream.beats beats.
Tensor unpack_beats(std::span<const uint32_t> words, const Stream& stream, const Type& type);

}  // namespace foldstream
