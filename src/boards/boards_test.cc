// SPDX-License-Identifier: Apache-2.0
#include "src/boards/boards.h"

#include <gtest/gtest.h>

#include <set>

#include "src/util/error.h"

namespace foldstream {
namespace {

TEST(Boards, EveryBoardHasAPartAndNamesAreUnique) {
  std::set<std::string_view> names;
  for (const Board& board : boards()) {
    EXPECT_TRUE(names.insert(board.name).second) << board.name;
    EXPECT_EQ(find_part(board.part).name, board.part);
    EXPECT_EQ(board.stream_bits == 0, board.shell == Shell::none) << board.name;
  }
  names.clear();
  for (const Part& part : parts()) {
    EXPECT_TRUE(names.insert(part.name).second) << part.name;
    EXPECT_GT(part.lut, 0);
    EXPECT_GT(part.ff, 0);
    EXPECT_GT(part.bram18, 0);
  }
}

TEST(Boards, NamesAreFoundWithoutCaseAndByTheirBeginning) {
  EXPECT_EQ(find_board("pynq-z1").part, "xc7z020clg400-1");
  EXPECT_EQ(find_board("kv260").name, "KV260_SOM");
  EXPECT_EQ(find_part("XC7Z020").bram18, 280);
  EXPECT_EQ(find_board("Ultra96").name, "Ultra96");  // exact before beginning
}

TEST(Boards, StreamsOfWeightsHaveTheLesserOfPortsAndMemory) {
  EXPECT_DOUBLE_EQ(weight_bandwidth(find_board("ZCU104"), 100), 3 * 128 * 100e6);
  EXPECT_DOUBLE_EQ(weight_bandwidth(find_board("Pynq-Z1"), 100), kUsableMemory * 16.8e9);
  EXPECT_EQ(weight_bandwidth(find_board("ecp5-85k"), 100), 0);
}

TEST(Boards, UnknownNamesSuggestTheNearest) {
  const auto help = [](auto find, std::string_view name) {
    try {
      find(name);
    } catch (const Error& error) {
      return std::string(error.what()) + " / " + error.help();
    }
    return std::string("found");
  };
  EXPECT_EQ(help(find_board, "Pynq-Z3"),
            "--board: no board is called 'Pynq-Z3' / did you mean 'Pynq-Z1' or 'Pynq-Z2'?");
  EXPECT_EQ(help(find_part, "xczu3eg"),
            "part 'xczu3eg' is the beginning of several names / did you mean "
            "'xczu3eg-sbva484-1-e' or 'xczu3eg-sfvc784-2-e'?");
  EXPECT_NE(help(find_board, "").find("known are Pynq-Z1"), std::string::npos);
}

}  // namespace
}  // namespace foldstream
