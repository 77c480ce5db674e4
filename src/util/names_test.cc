// SPDX-License-Identifier: Apache-2.0
#include "src/util/names.h"

#include <gtest/gtest.h>

namespace foldstream {
namespace {

TEST(Names, TakesTextAndRefusesWhatCouldEndALine) {
  for (const char* fit :
       {"", "/model/conv1.weight", "conv 1 (left)", "Größe", "層", "\U0001F600"}) {
    EXPECT_EQ(unfit_name(fit), "") << fit;
  }
  for (const char* control : {"a\nb", "a\rb", "\x1b[2J", "tab\there", "\x7f", "a\xc2\x85z"}) {
    EXPECT_EQ(unfit_name(control), "a control character") << control;
  }
  EXPECT_EQ(unfit_name(std::string_view("a\0b", 3)), "a control character");
  // Latin-1, a lone continuation, a cut character, overlong forms, a surrogate, beyond the last.
  for (const char* bytes : {"caf\xe9", "\x80", "\xe5\xb1", "\xc0\xaf", "\xe0\x80\xaf",
                            "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_EQ(unfit_name(bytes), "bytes that are not UTF-8") << bytes;
  }
}

TEST(Names, MakesOneWord) {
  EXPECT_EQ(one_word("synthesis translate_off\n"), "synthesis_translate_off_");
  EXPECT_EQ(one_word("fc1"), "fc1");
}

}  // namespace
}  // namespace foldstream
