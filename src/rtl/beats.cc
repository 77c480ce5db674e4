// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/beats.h"

#include "src/util/error.h"

namespace foldstream {
namespace {

uint64_t low_mask(int64_t bits) { return bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1; }

}  // namespace

void pack_beats(const Tensor& tensor, const Stream& stream, std::vector<uint32_t>& words) {
  FOLDSTREAM_CHECK(tensor.count() == stream.lanes * stream.beats);
  FOLDSTREAM_CHECK(tensor.type.bits == stream.bits && !tensor.type.is_float);
  const int64_t beat_words = words_per_beat(stream);
  size_t base = words.size();
  words.resize(base + stream.beats * beat_words);
  const uint64_t mask = low_mask(stream.bits);
  int64_t element = 0;
  for (int64_t beat = 0; beat < stream.beats; ++beat, base += beat_words) {
    for (int64_t lane = 0, at = 0; lane < stream.lanes; ++lane, at += stream.bits) {
      const uint64_t value = static_cast<uint64_t>(tensor.ints[element++]) & mask;
      // An element of up to 64 bits lies in up to three words.
      const size_t word = base + at / 32;
      const int shift = static_cast<int>(at % 32);
      words[word] |= static_cast<uint32_t>(value << shift);
      if (shift + stream.bits > 32) words[word + 1] |= static_cast<uint32_t>(value >> (32 - shift));
      if (shift + stream.bits > 64) words[word + 2] |= static_cast<uint32_t>(value >> (64 - shift));
    }
  }
}

std::vector<uint32_t> pack_words(const MemoryWords& memory) {
  std::vector<uint32_t> words;
  for (const std::vector<bool>& word : memory) {
    const size_t base = words.size();
    words.resize(base + (word.size() + 31) / 32);
    for (size_t b = 0; b < word.size(); ++b) {
      words[base + b / 32] |= static_cast<uint32_t>(word[b]) << b % 32;
    }
  }
  return words;
}

Tensor unpack_beats(std::span<const uint32_t> words, const Stream& stream, const Type& type) {
  const int64_t beat_words = words_per_beat(stream);
  FOLDSTREAM_CHECK(static_cast<int64_t>(words.size()) == stream.beats * beat_words);
  FOLDSTREAM_CHECK(type.count() == stream.lanes * stream.beats && type.bits == stream.bits);
  Tensor tensor = make_zero(type);
  const uint64_t mask = low_mask(stream.bits);
  int64_t element = 0;
  for (int64_t base = 0; base < static_cast<int64_t>(words.size()); base += beat_words) {
    for (int64_t lane = 0, at = 0; lane < stream.lanes; ++lane, at += stream.bits) {
      const size_t word = base + at / 32;
      const int shift = static_cast<int>(at % 32);
      uint64_t value = words[word] >> shift;
      if (shift + stream.bits > 32) value |= uint64_t{words[word + 1]} << (32 - shift);
      if (shift + stream.bits > 64) value |= uint64_t{words[word + 2]} << (64 - shift);
      value &= mask;
      const bool negative = type.is_signed && (value >> (stream.bits - 1) & 1) != 0;
      tensor.ints[element++] = static_cast<int64_t>(negative ? value | ~mask : value);
    }
  }
  return tensor;
}

}  // namespace foldstream
