// SPDX-License-Identifier: Apache-2.0
// Names out of files that nobody vouches for. They end up in messages, on terminals, in JSON and in
// comments of generated sources, so what could end a line or a comment is refused where they come
// in.
#pragma once

#include <string>
#include <string_view>

namespace foldstream {

// What makes the text unfit as a name, in words: bytes that are no UTF-8, or a control character.
// Empty for a name that is fit.
std::string unfit_name(std::string_view text);

// Text from a model as it may stand in a message.
std::string printable(std::string_view text);

// The text as one word: no spaces, no control characters.
std::string one_word(std::string_view text);

}  // namespace foldstream
