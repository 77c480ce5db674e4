// SPDX-License-Identifier: Apache-2.0
#include "src/train/recipe.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "src/util/error.h"

namespace foldstream::train {
namespace {

constexpr std::string_view kStart = R"(name = "t"
input = [2, 8, 8]
classes = 3
[data]
set = "npy"
validation = 10
[training]
epochs = 1
[quantizer.w]
bits = 2
[quantizer.a]
bits = 3
signed = false
)";

std::string with_layers(std::string_view text) { return fmt::format("{}{}", kStart, text); }

std::string message(const std::string& text) {
  try {
    parse_recipe(text, "r.toml");
  } catch (const Error& error) {
    return std::string(error.what()) + (error.help().empty() ? "" : " | " + error.help());
  }
  return "";
}

std::string layers(const std::string& text) { return message(with_layers(text)); }

TEST(RecipeTest, ShapesFollowFromTheLayers) {
  const Recipe recipe = parse_recipe(with_layers(R"(
[[layer]]
type = "conv"
channels = 4
kernel = 3
stride = 2
padding = [1, 0]
weights = "w"
[[layer]]
type = "quantize"
quantizer = "a"
[[layer]]
type = "average_pool"
kernel = [2, 3]
bits = 3
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
units = 3
)"),
                                     "r.toml");
  ASSERT_EQ(recipe.layers.size(), 5U);
  EXPECT_EQ(recipe.layers[0].out, (Shape{4, 4, 3}));
  EXPECT_EQ(recipe.layers[2].out, (Shape{4, 2, 1}));
  EXPECT_EQ(recipe.layers[3].out, (Shape{8}));
  EXPECT_EQ(recipe.layers[4].out, (Shape{3}));
}

TEST(RecipeTest, BlocksAreFilledInAndNamesStayInside) {
  const Recipe recipe = parse_recipe(with_layers(R"(
[[block.pair]]
type = "conv"
channels = "$channels"
kernel = 1
name = "first"
[[block.pair]]
type = "conv"
channels = "$channels"
kernel = 1
[[block.pair]]
type = "add"
with = "first"
[[layer]]
block = "pair"
channels = 5
[[layer]]
block = "pair"
channels = 6
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
units = 3
)"),
                                     "r.toml");
  ASSERT_EQ(recipe.layers.size(), 8U);
  EXPECT_EQ(recipe.layers[2].with, 0);
  EXPECT_EQ(recipe.layers[5].with, 3);
  EXPECT_EQ(recipe.layers[5].out, (Shape{6, 8, 8}));
}

TEST(RecipeTest, ErrorsNameTheLine) {
  EXPECT_EQ(message("name = \"t\"\ninput = [1\n").substr(0, 8), "r.toml:2");
  EXPECT_EQ(layers("[[layer]]\ntype = \"lineal\"\n"),
            "r.toml:15: there is no type 'lineal' | did you mean 'linear'?");
  EXPECT_EQ(layers("[[layer]]\ntype = \"flatten\"\n[[layer]]\ntype = \"linear\"\nunit = 3\n"),
            "r.toml:16: [[layer]] lacks 'units', expected an integer");
  EXPECT_EQ(
      layers(
          "[[layer]]\ntype = \"flatten\"\n[[layer]]\ntype = \"linear\"\nunits = 3\nbais = true\n"),
      "r.toml:19: [[layer]] has no key 'bais' | did you mean 'bias'?");
  EXPECT_EQ(
      layers("[[layer]]\ntype = \"linear\"\nunits = 3\n"),
      "r.toml:14: a linear layer takes [features], found [2,8,8] | put a layer of type flatten "
      "before it");
  EXPECT_EQ(layers("[[layer]]\ntype = \"conv\"\nchannels = 3\nkernel = 9\n"),
            "r.toml:14: a kernel of [9,9] does not fit an operand of [2,8,8] with padding [0,0]");
  EXPECT_EQ(layers("[[layer]]\ntype = \"conv\"\nchannels = 3\nkernel = 3\npadding = [2, 3]\n"),
            "r.toml:14: a kernel of 3 takes a padding of at most 2 there, found 3");
  EXPECT_EQ(layers("[[layer]]\ntype = \"max_pool\"\nkernel = 3\npadding = 2\n"),
            "r.toml:14: a kernel of 3 takes a padding of at most 1 there, found 2");
  EXPECT_EQ(layers("[[layer]]\ntype = \"flatten\"\n[[layer]]\ntype = \"linear\"\nunits = 4\n"),
            "r.toml:16: the last layer gives [4], expected [3]: one score a class");
  EXPECT_EQ(
      layers("[[layer]]\ntype = \"flatten\"\n[[layer]]\ntype = \"linear\"\nunits = \"4\"\n"),
      "r.toml:18: 'units' of [[layer]] is of type string, expected an integer from 1 to 1048576");
  EXPECT_EQ(layers("[[layer]]\ntype = \"quantize\"\nquantizer = \"b\"\n"),
            "r.toml:14: there is no quantizer 'b' | known are a, w");
  EXPECT_EQ(layers("[[layer]]\ntype = \"add\"\nwith = \"nowhere\"\n").substr(0, 72),
            "r.toml:14: 'with' is 'nowhere', but no layer before has this name | know");
  EXPECT_EQ(layers("[[layer]]\ntype = \"average_pool\"\nkernel = 2\nbits = 4\n").substr(0, 60),
            "r.toml:14: average_pool must follow a quantize layer of two ");
  EXPECT_EQ(layers("[[layer]]\ntype = \"conv\"\nchannels = 3\nkernel = 1\ngroups = 2\n"),
            "r.toml:14: 2 groups don't divide 2 channels in and 3 out");
  EXPECT_EQ(
      message("name = \"t\"\ninput = [4]\nclasses = 2\n[data]\nset = \"npz\"\n").substr(0, 48),
      "r.toml:4: there is no data set 'npz' | did you m");
  EXPECT_EQ(
      message("name = \"t\"\ninput = [4]\nclasses = 2\n[data]\nset = \"npy\"\nvalidation = 5\n"
              "shift = 1\n"),
      "r.toml:4: images can be changed, but 'input' is [4] | leave out shift, flip, rotate, zoom, "
      "shear and warp");
}

TEST(RecipeTest, WhatABlockIsGivenMustBeUsedAndNeeded) {
  const std::string block = "[[block.b]]\ntype = \"linear\"\nunits = \"$units\"\n";
  EXPECT_EQ(layers(block + "[[layer]]\ntype = \"flatten\"\n[[layer]]\nblock = \"b\"\n"),
            "r.toml:16: 'units' of [[layer]] is '$units', which the block is not given, expected a "
            "value");
  EXPECT_EQ(layers(block + "[[layer]]\ntype = \"flatten\"\n[[layer]]\nblock = \"b\"\nunits = 3\n"
                           "unit = 4\n"),
            "r.toml:19: block 'b' has no '$unit'");
  EXPECT_EQ(layers(block + "[[layer]]\nblock = \"c\"\nunits = 3\n"),
            "r.toml:17: there is no block 'c' | known are b");
}

TEST(RecipeTest, QuantizersThatMakeNoSenseAreRefused) {
  const auto with = [](const std::string& text) {
    return message(with_layers("[quantizer.q]\n" + text));
  };
  EXPECT_EQ(with("bits = 17\n"),
            "r.toml:15: 'bits' of [q] is 17, expected an integer from 1 to 16");
  EXPECT_EQ(with("bits = 1\nsigned = false\nnarrow = true\n"),
            "r.toml:14: 1 narrow bits leave no two levels");
  EXPECT_EQ(with("bits = 4\nshared = true\n"), "r.toml:14: 'shared' is for a learned scale");
}

TEST(RateTest, RisesOnALineAndFallsAlongACosine) {
  Recipe recipe;
  recipe.epochs = 12;
  recipe.warmup = 2;
  recipe.learning_rate = 0.5;
  constexpr int64_t kSteps = 10;
  const auto rate = [&](int64_t epoch) { return rate_at(recipe, epoch * kSteps, kSteps); };
  EXPECT_DOUBLE_EQ(rate(0), 0.5 / 20);
  EXPECT_DOUBLE_EQ(rate(1), 0.5 * 11 / 20);
  EXPECT_DOUBLE_EQ(rate(2), 0.5);
  EXPECT_DOUBLE_EQ(rate(7), 0.25);
  EXPECT_NEAR(rate(12), 0, 1e-15);
  recipe.last_learning_rate = 0.1;
  EXPECT_DOUBLE_EQ(rate(2), 0.5);
  EXPECT_DOUBLE_EQ(rate(7), 0.3);
  EXPECT_DOUBLE_EQ(rate(12), 0.1);
}

TEST(RecipeTest, TheRecipesOfTheRepositoryAreRead) {
  int64_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FOLDSTREAM_SOURCE_DIR "/recipes")) {
    if (entry.path().extension() != ".toml") continue;
    const Recipe recipe = read_recipe(entry.path());
    EXPECT_EQ(recipe.name, entry.path().stem().string());
    ++count;
  }
  EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace foldstream::train
