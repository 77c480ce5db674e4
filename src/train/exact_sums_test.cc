// SPDX-License-Identifier: Apache-2.0
// Sums that float32 holds, against those that it rounds.
#include "src/train/exact_sums.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "src/ir/eval.h"
#include "src/train/export.h"

namespace foldstream::train {
namespace {

constexpr std::string_view kStart = R"(
name = "r"
input = [1, 4, 4]
classes = 3
[data]
set = "mnist"
validation = 1
[training]
epochs = 1
[quantizer.a]
bits = 2
)";

bool exact(const std::string& text) {
  return has_exact_sums(
      Network(parse_recipe(std::string(kStart) + text, "r.toml"), 1, torch::kCPU));
}

std::string layer(const std::string& keys) { return "[[layer]]\n" + keys + "\n"; }

const std::string kQuantize = layer("type = \"quantize\"\nquantizer = \"a\"");
const std::string kFlatten = layer("type = \"flatten\"");
const std::string kScores = layer("type = \"linear\"\nunits = 3\nweights = \"q\"");

std::string weights(const std::string& keys) { return "[quantizer.q]\n" + keys + "\n"; }

TEST(ExactSumsTest, AreThoseOnPowersOfTwo) {
  const auto with = [](const std::string& quantizer) {
    return exact(weights(quantizer) + kQuantize + kFlatten + kScores);
  };
  EXPECT_TRUE(with("bits = 4"));
  EXPECT_TRUE(with("bits = 4\nvalue = 0.125"));
  EXPECT_FALSE(with("bits = 4\nvalue = 0.3"));
  EXPECT_FALSE(with("bits = 4\nscale = \"statistics\""));
  EXPECT_TRUE(with("bits = 4\nscale = \"statistics\"\npower_of_two = true"));
}

TEST(ExactSumsTest, AreNotThoseOfFloatsAsTheyCome) {
  EXPECT_FALSE(exact(weights("bits = 4") + kFlatten + kScores));
  EXPECT_FALSE(exact(kQuantize + kFlatten + layer("type = \"linear\"\nunits = 3")));
}

// 16 products of a 16-bit activation and a weight.
TEST(ExactSumsTest, StayWithin24Bits) {
  const std::string wide = "[quantizer.wide]\nbits = 16\nvalue = 0.5\n" +
                           layer("type = \"quantize\"\nquantizer = \"wide\"") + kFlatten + kScores;
  EXPECT_TRUE(exact(weights("bits = 4") + wide));
  EXPECT_FALSE(exact(weights("bits = 16") + wide));
}

TEST(ExactSumsTest, ArePoolsOfAPowerOfTwoOfElements) {
  for (const auto& [kernel, units] : {std::pair(2, 4), std::pair(3, 1)}) {
    const bool found = exact(
        weights("bits = 4") + kQuantize +
        layer(fmt::format("type = \"average_pool\"\nkernel = {}\nbits = 4", kernel)) + kFlatten +
        layer(fmt::format("type = \"linear\"\nunits = {}\nweights = \"q\"", units)) + kScores);
    EXPECT_EQ(found, kernel == 2);
  }
}

TEST(ShortCodesTest, AreThoseThatConvolutionsMayRound) {
  const auto with = [](const std::string& activations, const std::string& quantizer) {
    const std::string text = std::string(kStart) + "[quantizer.x]\n" + activations + "\n" +
                             weights(quantizer) + layer("type = \"quantize\"\nquantizer = \"x\"") +
                             layer("type = \"conv\"\nchannels = 4\nkernel = 3\nweights = \"q\"") +
                             layer("type = \"quantize\"\nquantizer = \"a\"") + kFlatten + kScores;
    return has_short_codes(parse_recipe(text, "r.toml"));
  };
  EXPECT_TRUE(with("bits = 8\nvalue = 0.0078125", "bits = 1"));
  EXPECT_TRUE(with("bits = 12", "bits = 8"));
  EXPECT_FALSE(with("bits = 13", "bits = 8"));
  EXPECT_FALSE(with("bits = 8", "bits = 13"));
  EXPECT_FALSE(with("bits = 12", "bits = 12"));  // sums of 9 * 2047 * 2047
  EXPECT_FALSE(with("bits = 8\nvalue = 0.3", "bits = 1"));
  EXPECT_FALSE(with("bits = 8\nscale = \"learned\"", "bits = 1"));
  EXPECT_FALSE(with("bits = 8", "bits = 4\nscale = \"statistics\""));
  const std::string floats = layer("type = \"conv\"\nchannels = 4\nkernel = 3\nweights = \"q\"");
  EXPECT_FALSE(has_short_codes(parse_recipe(
      std::string(kStart) + weights("bits = 1") + floats + kFlatten + kScores, "r.toml")));
}

// 16 products of 16-bit operands: float32 has no place for all of a sum's bits.
TEST(ExactSumsTest, WhereTheyAreNotScoresAreThoseOfTheExportedModel) {
  const std::string text = std::string(kStart) + weights("bits = 16\nvalue = 0.0001") +
                           layer("type = \"quantize\"\nquantizer = \"q\"") + kFlatten + kScores;
  Network network(parse_recipe(text, "r.toml"), 1, torch::kCPU);
  ASSERT_FALSE(has_exact_sums(network));
  const Graph model = exported(network);
  const Evaluator evaluator(model);
  const torch::NoGradGuard no_gradient;
  const torch::Tensor x = torch::rand({40, 1, 4, 4}) * 2 - 1;
  const torch::Tensor scores = network.scores(x), rounded = network.forward(x, false);
  for (int64_t i = 0; i < x.size(0); ++i) {
    const float* from = x[i].contiguous().data_ptr<float>();
    const Tensor sample = make_floats({1, 1, 4, 4}, std::vector<double>(from, from + 16));
    const std::vector<double> expected = evaluator.run(std::span(&sample, 1))[0].reals;
    for (int64_t c = 0; c < 3; ++c) EXPECT_EQ(scores[i][c].item<float>(), expected[c]);
  }
  EXPECT_FALSE(torch::equal(scores, rounded));
}

}  // namespace
}  // namespace foldstream::train
