// SPDX-License-Identifier: Apache-2.0
#include "src/data/unsw_nb15.h"

#include <gtest/gtest.h>

#include <string>

#include "src/util/error.h"
#include "src/util/files.h"

namespace foldstream {
namespace {

constexpr const char* kTraining =
    "\xEF\xBB\xBFid,dur,proto,service,state,attack_cat,label\r\n"
    "1,0,tcp,-,FIN,Normal,0\r\n"
    "2,255,udp,dns,INT,Exploits,1\r\n"
    "3,3,tcp,http,FIN,Normal,0\r\n";
constexpr const char* kTesting =
    "id,dur,proto,service,state,attack_cat,label\n"
    "1,999,icmp,dns,INT,Worms,1\n";

std::string message(const std::string& training) {
  const TemporaryFolder folder;
  write_file(folder.path() / "UNSW_NB15_training-set.csv", training);
  try {
    load_unsw_nb15(folder.path(), 0, Split::train);
  } catch (const Error& error) {
    const std::string text = error.what();
    return text.substr(text.find('\''));
  }
  return "";
}

TEST(UnswNb15Test, FeaturesAreBitsOfWhatTheTrainingFileKnows) {
  const TemporaryFolder folder;
  write_file(folder.path() / unsw_nb15_file(Split::train), kTraining);
  write_file(folder.path() / unsw_nb15_file(Split::test), kTesting);
  const DataSet training = load_data_set("unsw-nb15", folder.path(), 0, Split::train);
  ASSERT_EQ(training.count, 3);
  EXPECT_EQ(training.shape, (Shape{kUnswNb15Features}));
  ASSERT_EQ(training.floats.size(), 3 * 593U);
  // 1000003 = 1 modulo 3: the order stays. ln(1 + 3) is a quarter of ln(1 + 255): 63 of 255.
  EXPECT_EQ(training.labels, (std::vector<int64_t>{0, 1, 0}));
  const auto row = [](const DataSet& set, int64_t index) {
    std::string bits;
    for (int64_t i = 0; i < 15; ++i) {
      bits += set.floats[index * kUnswNb15Features + i] == 1 ? '1' : '0';
    }
    return bits;
  };
  EXPECT_EQ(row(training, 0), "000000001010010");
  EXPECT_EQ(row(training, 1), "111111110101001");
  EXPECT_EQ(row(training, 2), "111111001000110");
  const DataSet testing = load_data_set("unsw-nb15", folder.path(), 0, Split::test);
  EXPECT_EQ(testing.labels, (std::vector<int64_t>{1}));
  EXPECT_EQ(row(testing, 0), "111111110001001");
}

TEST(UnswNb15Test, DamagedFilesAreNamed) {
  EXPECT_NE(message("id,dur,proto\n1,2,tcp\n").find("has 0 columns 'service'"), std::string::npos);
  EXPECT_NE(message("dur,proto,service,state,label\n1,tcp,-,FIN\n")
                .find("line 2: found 4 cells, expected 5"),
            std::string::npos);
  EXPECT_NE(message("dur,proto,service,state,label\nx,tcp,-,FIN,0\n")
                .find("line 2: 'dur' is 'x', expected a number from 0"),
            std::string::npos);
  EXPECT_NE(message("dur,proto,service,state,label\n1,tcp,-,FIN,nan\n").find("'label' is 'nan'"),
            std::string::npos);
}

}  // namespace
}  // namespace foldstream
