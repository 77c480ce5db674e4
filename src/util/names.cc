// SPDX-License-Identifier: Apache-2.0
#include "src/util/names.h"

namespace foldstream {
namespace {

bool is_control(unsigned char byte) { return byte < 0x20 || byte == 0x7f; }

// Length of the character that begins the text, by RFC 3629; 0 where it isn't one.
size_t character_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first < 0xc2   ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool is_overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool is_surrogate = first == 0xed && byte(1) > 0x9f;
  const bool is_beyond = first == 0xf4 && byte(1) > 0x8f;
  return is_overlong || is_surrogate || is_beyond ? 0 : length;
}

}  // namespace

std::string unfit_name(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (is_control(static_cast<unsigned char>(text[at]))) return "a control character";
    // Those of 0x80 to 0x9f are control characters, too, and lines of their own to some readers.
    const bool is_c1 = text.substr(at, 1) == "\xc2" && at + 1 < text.size() &&
                       static_cast<unsigned char>(text[at + 1]) < 0xa0;
    const size_t length = character_bytes(text.substr(at));
    if (length == 0) return "bytes that are not UTF-8";
    if (is_c1) return "a control character";
    at += length;
  }
  return "";
}

std::string printable(std::string_view text) {
  constexpr size_t kMost = 80;
  std::string out;
  for (const char c : text.substr(0, kMost))
    out += is_control(static_cast<unsigned char>(c)) ? '?' : c;
  return text.size() > kMost ? out + "..." : out;
}

std::string one_word(std::string_view text) {
  std::string word;
  for (const char c : text) {
    word += c == ' ' || is_control(static_cast<unsigned char>(c)) ? '_' : c;
  }
  return word;
}

}  // namespace foldstream
