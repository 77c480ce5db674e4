// SPDX-License-Identifier: Apache-2.0
#include "src/ir/text.h"

#include <gtest/gtest.h>

#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr char kText[] = R"(foldstream 1
graph "a \"quoted\" name"
%0 "x" = input {shape=[1, 4], type="f32"} : f32[1,4]
%1 "w\\" = constant (value=@0) : s3[2,2]
%2 "s" = constant (value=@1) : f32[2]
%3 "again" = constant (value=@0) : s3[2,2]
output "y" %0
output "z" %2
@0 = s3[2,2] -4 0 1 3
@1 = f32[2] 0.1 -1e-300
)";

TEST(Text, PrintIsTheInverseOfParse) {
  std::string text = kText;
  text.replace(text.find("-1e-300"), 7, "-inf");
  EXPECT_EQ(print(parse(text)), text);
}

TEST(Text, ErrorsNameTheLine) {
  const auto message = [](std::string_view text) -> std::string {
    try {
      parse(text);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message("foldstream 2\n"),
            "line 1: version 2 of the text form, this program reads version 1");
  EXPECT_EQ(message("foldstream 1\ngraph \"g\"\n%0 \"x\" = nonsense : u1[1]\n"),
            "line 3: no operator is called 'nonsense'");
  EXPECT_EQ(message(kText), "line 10: expected a real number");
  EXPECT_EQ(message("foldstream 1\ngraph \"g\"\noutput \"y\" %0\n"),
            "line 3: %0 is not defined above");
  EXPECT_EQ(message("foldstream 1\ngraph \"g\"\n%0 \"x\\x0ay\" = input"),
            "line 3: a name holds a control character");
  EXPECT_EQ(message("foldstream 1\ngraph \"caf\xe9\"\n"),
            "line 2: a name holds bytes that are not UTF-8");
  EXPECT_EQ(message("@0 = u1[8589934592,8589934592] 1"),
            "line 1: dimension 8589934592 is out of range");
  EXPECT_EQ(message("@0 = u1[1000] 1"), "line 1: 1000 elements are missing");
}

}  // namespace
}  // namespace foldstream
