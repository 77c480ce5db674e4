// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/sv_module.h"

#include <gtest/gtest.h>

namespace foldstream {
namespace {

TEST(SvModule, PrintsWhatWasAdded) {
  SvModule m("fst_example", "Adds two bits and keeps the sum.", "Latency 1, interval 1.");
  m.parameter("int unsigned", "Width", "4", "payload bits");
  m.input("clk_i");
  m.input("rst_i");
  m.input("a_i", 2);
  m.input("b_i", "Width");
  m.output("sum_o", 3);
  m.comment("the sum");
  m.wire("sum_d", 3);
  m.assign("sum_d", "{1'b0, a_i} + 3'(b_i)");
  m.wire("sum_q", 3);
  m.wire("busy_q");
  m.register_data("sum_q", "sum_d");
  m.register_control("busy_q", "1'b1", "1'b0");
  m.instance("fst_other", "other", {{"Width", "3"}}, {{"data_i", "sum_q"}});
  m.assign("sum_o", "sum_q");
  EXPECT_EQ(m.text(),
            "// SPDX-License-Identifier: Apache-2.0\n"
            "// Adds two bits and keeps the sum.\n"
            "// Latency 1, interval 1.\n"
            "module fst_example #(\n"
            "  parameter int unsigned Width = 4  // payload bits\n"
            ") (\n"
            "  input  logic clk_i,\n"
            "  input  logic rst_i,\n"
            "  input  logic [1:0] a_i,\n"
            "  input  logic [Width-1:0] b_i,\n"
            "  output logic [2:0] sum_o\n"
            ");\n"
            "  // the sum\n"
            "  logic [2:0] sum_d;\n"
            "  assign sum_d = {1'b0, a_i} + 3'(b_i);\n"
            "  logic [2:0] sum_q;\n"
            "  logic busy_q;\n"
            "  always_ff @(posedge clk_i) begin\n"
            "    sum_q <= sum_d;\n"
            "  end\n"
            "  always_ff @(posedge clk_i) begin\n"
            "    if (rst_i) begin\n"
            "      busy_q <= 1'b0;\n"
            "    end else begin\n"
            "      busy_q <= 1'b1;\n"
            "    end\n"
            "  end\n"
            "  fst_other #(.Width(3)) other (.data_i(sum_q));\n"
            "  assign sum_o = sum_q;\n"
            "endmodule\n");
}

TEST(SvModule, FreshNamesAreDistinctAndRepeatable) {
  SvModule m("fst_names", "Nothing.", "Combinational.");
  EXPECT_EQ(m.fresh("sum"), "sum");
  EXPECT_EQ(m.fresh("sum"), "sum_2");
  EXPECT_EQ(m.fresh("sum"), "sum_3");
}

TEST(SvModule, LinesFit) {
  SvModule m("fst_long", std::string(40, 'a') + " " + std::string(80, 'b'), "Combinational.");
  std::vector<std::string> parts;
  for (int i = 0; i < 60; ++i) parts.push_back("bit_" + std::to_string(i));
  m.assign("x", SvModule::concat(parts));
  m.comment(std::string(70, 'c') + " " + std::string(70, 'd'));
  const std::string text = m.text();
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = text.find('\n', begin);
    EXPECT_LE(end - begin, 100u) << text.substr(begin, end - begin);
    begin = end + 1;
  }
  EXPECT_NE(text.find("\n// " + std::string(80, 'b')), std::string::npos) << text;
}

TEST(SvModule, Spelling) {
  EXPECT_EQ(SvModule::bit("x", 1, 0), "x");
  EXPECT_EQ(SvModule::bit("x", 4, 2), "x[2]");
  EXPECT_EQ(SvModule::slice("x", 8, 2, 3), "x[4:2]");
  EXPECT_EQ(SvModule::slice("x", 8, 0, 8), "x");
  EXPECT_EQ(SvModule::number(8, -5), "-8'sd5");
  EXPECT_EQ(SvModule::constant({true, false, true}), "3'h5");
  EXPECT_EQ(SvModule::constant(std::vector<bool>(65, true)), "{1'h1, 64'hffffffffffffffff}");
}

TEST(SvModule, NamesWhatNothingReads) {
  SvModule m("m", "Summary.", "Timing.");
  m.output("y_o");
  m.wire("read");
  m.wire("left", 3);
  m.instance("cell", "u", {}, {{"a_o", "read"}, {"b_o", "left"}});
  m.assign("y_o", "read");
  const std::string text = m.text();
  EXPECT_NE(text.find("  logic [2:0] unused_left;\n  cell u (.a_o(read), .b_o(unused_left));\n"),
            std::string::npos)
      << text;
}

TEST(SvModuleDeathTest, NoTextEndsAComment) {
  SvModule module("m", "Summary.", "Timing.");
  EXPECT_DEATH(module.comment("a\nb"), "does not hold");
}

}  // namespace
}  // namespace foldstream
