// SPDX-License-Identifier: Apache-2.0
// Whole trainings on made-up data: resuming, reproducing, and what goes wrong.
#include "src/train/train.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "src/train/checkpoint.h"
#include "src/train/samples.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/npy.h"

namespace foldstream::train {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRecipe = R"(
name = "small"
input = [8]
classes = 2
[data]
set = "npy"
validation = 40
[training]
epochs = 4
batch = 20
learning_rate = 0.02
[quantizer.w]
bits = 2
[quantizer.a]
bits = 2
[[layer]]
type = "quantize"
quantizer = "a"
[[layer]]
type = "linear"
units = 12
weights = "w"
[[layer]]
type = "batch_norm"
[[layer]]
type = "quantize"
quantizer = "a"
[[layer]]
type = "dropout"
rate = 0.1
[[layer]]
type = "linear"
units = 2
weights = "w"
[[layer]]
type = "tensor_norm"
)";

std::string without_dropout() {
  std::string text(kRecipe);
  const std::string layer = "[[layer]]\ntype = \"dropout\"\nrate = 0.1\n";
  return text.erase(text.find(layer), layer.size());
}

// Samples go into the first product as they are: sums of large ones are no numbers.
std::string of_floats(std::string text) {
  const std::string first = "[[layer]]\ntype = \"quantize\"\nquantizer = \"a\"\n";
  return text.erase(text.find(first), first.size());
}

class TrainTest : public testing::Test {
 protected:
  TrainTest() {
    write_file(path("recipe.toml"), kRecipe);
    write_samples("_train", 240);
    write_samples("", 50);
  }

  fs::path path(const std::string& name) const { return folder_.path() / name; }

  // Label 1 where most of the first three features are 1.
  void write_samples(const std::string& suffix, int64_t count) const {
    Random random(7, static_cast<uint64_t>(count));
    NpyArray x{
        .kind = NpyArray::Kind::floats, .bytes = 4, .shape = {count, 8}, .reals = {}, .ints = {}};
    NpyArray y{
        .kind = NpyArray::Kind::integers, .bytes = 8, .shape = {count}, .reals = {}, .ints = {}};
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t f = 0; f < 8; ++f) x.reals.push_back(random.below(2) == 0 ? -1 : 1);
      const double* row = &x.reals[static_cast<size_t>(i * 8)];
      y.ints.push_back(row[0] + row[1] + row[2] > 0 ? 1 : 0);
    }
    write_npy(path("X" + suffix + ".npy"), x);
    write_npy(path("Y" + suffix + ".npy"), y);
  }

  Options options(const std::string& output) const {
    Options options;
    options.recipe = path("recipe.toml");
    options.data = folder_.path();
    options.output = path(output);
    options.threads = 1;
    return options;
  }

  std::string message(const Options& options) const {
    try {
      train(options);
    } catch (const Error& error) {
      return std::string(error.what()) + " | " + error.help();
    }
    return "";
  }

  TemporaryFolder folder_;
};

TEST_F(TrainTest, AStoppedTrainingGoesOnToTheSameModel) {
  const Outcome whole = train(options("whole.onnx"));
  EXPECT_EQ(whole.mismatches, 0);
  EXPECT_EQ(whole.total, 50);
  EXPECT_GT(whole.correct, 40);
  Options parts = options("parts.onnx");
  parts.stop_after = 1;
  EXPECT_FALSE(train(parts).finished);
  parts.resume = true;
  parts.stop_after = 2;
  EXPECT_FALSE(train(parts).finished);
  EXPECT_FALSE(fs::exists(path("parts.onnx")));
  parts.stop_after = 0;
  const Outcome rest = train(parts);
  EXPECT_TRUE(rest.finished);
  EXPECT_EQ(rest.history, whole.history);
  EXPECT_EQ(read_file(path("parts.onnx")), read_file(path("whole.onnx")));
  EXPECT_FALSE(fs::exists(path("parts.onnx.checkpoint")));
}

TEST_F(TrainTest, GradientsInBytesResumeToTheSameModelWithAnyThreads) {
  std::string text(kRecipe);
  text.insert(text.find("epochs"), "gradients = \"int8\"\n");
  const std::string block = text.substr(
      text.find("[[layer]]\ntype = \"linear\""),
      text.find("[[layer]]\ntype = \"dropout\"") - text.find("[[layer]]\ntype = \"linear\""));
  // Enough weights for products of bytes.
  text.insert(text.find(block), block);
  for (size_t at = 0; (at = text.find("units = 12", at)) != std::string::npos; ++at) {
    text.replace(at, 10, "units = 160");
  }
  write_file(path("recipe.toml"), text);
  Options whole = options("whole.onnx");
  whole.threads = 1;
  const Outcome outcome = train(whole);
  EXPECT_EQ(outcome.mismatches, 0);
  EXPECT_GT(outcome.correct, 40);
  Options parts = options("parts.onnx");
  parts.threads = std::min<int64_t>(2, std::thread::hardware_concurrency());
  parts.stop_after = 2;
  train(parts);
  parts.stop_after = 0;
  parts.resume = true;
  train(parts);
  EXPECT_EQ(read_file(path("parts.onnx")), read_file(path("whole.onnx")));
}

TEST_F(TrainTest, AStudentLearnsFromItsTeacherAndResumes) {
  write_file(path("teacher.toml"), kRecipe);
  std::string text(kRecipe);
  text.replace(text.find("learning_rate"), 0,
               "teacher = \"teacher.toml\"\nteacher_weight = 0.7\nteacher_temperature = 2\n");
  write_file(path("recipe.toml"), text);
  const Outcome whole = train(options("whole.onnx"));
  EXPECT_GT(whole.correct, 40);
  Options parts = options("parts.onnx");
  parts.stop_after = 2;
  train(parts);
  EXPECT_TRUE(fs::exists(path("parts.onnx.teacher.checkpoint")));
  parts.stop_after = 0;
  parts.resume = true;
  train(parts);
  EXPECT_EQ(read_file(path("parts.onnx")), read_file(path("whole.onnx")));
  EXPECT_FALSE(fs::exists(path("parts.onnx.teacher.checkpoint")));
  text.replace(text.find("input = [8]"), 11, "input = [2, 4]");
  text.replace(text.find("[[layer]]"), 0, "[[layer]]\ntype = \"flatten\"\n");
  write_file(path("recipe.toml"), text);
  EXPECT_NE(message(options("other.onnx")).find("take other data"), std::string::npos);
}

TEST_F(TrainTest, ASingleScoreTellsTwoLabelsApart) {
  std::string text(kRecipe);
  text.replace(text.find("classes = 2"), 11, "classes = 1");
  text.replace(text.find("units = 2"), 9, "units = 1");
  for (const std::string loss : {"cross_entropy", "squared_hinge"}) {
    std::string with_loss = text;
    with_loss.replace(with_loss.find("learning_rate"), 0, "loss = \"" + loss + "\"\n");
    write_file(path("recipe.toml"), with_loss);
    Options longer = options("single.onnx");
    longer.epochs = 20;
    const Outcome outcome = train(longer);
    EXPECT_GT(outcome.correct, 40) << loss;
    EXPECT_EQ(outcome.mismatches, 0);
  }
}

TEST_F(TrainTest, TheModelThatTrainingStartsFromIsReadOnce) {
  train(options("first.onnx"));
  Options on = options("on.onnx");
  on.init = path("first.onnx");
  train(on);
  // Its own result in the end: what identifies the training is known by then.
  Options over = options("first.onnx");
  over.init = path("first.onnx");
  train(over);
  EXPECT_EQ(read_file(path("first.onnx")), read_file(path("on.onnx")));
}

TEST_F(TrainTest, ASeedReproduces) {
  Options first = options("first.onnx"), again = options("again.onnx"),
          other = options("other.onnx");
  other.seed = 2;
  train(first);
  train(again);
  train(other);
  EXPECT_EQ(read_file(path("first.onnx")), read_file(path("again.onnx")));
  EXPECT_NE(read_file(path("first.onnx")), read_file(path("other.onnx")));
}

// What a device does, and several trainings at the same time, against the kernels one by one. A
// teacher of all of them is trained once, and answers once.
TEST_F(TrainTest, TheOperationsOfADeviceGiveTheSameModels) {
  for (const bool taught : {false, true}) {
    std::string text = without_dropout();
    if (taught) {
      write_file(path("teacher.toml"), kRecipe);
      text.replace(text.find("learning_rate"), 0,
                   "teacher = \"teacher.toml\"\nteacher_weight = 0.7\n");
    }
    write_file(path("recipe.toml"), text);
    const std::string kind = taught ? "taught" : "alone";
    std::vector<Options> all;
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      all.push_back(options(kind + "-kernels" + std::to_string(seed) + ".onnx"));
      all.back().seed = seed;
      train(all.back());
      all.back().output = path(kind + "-device" + std::to_string(seed) + ".onnx");
      all.back().like_device = true;
    }
    const std::vector<Outcome> outcomes = train(all);
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      EXPECT_EQ(outcomes[seed - 1].mismatches, 0);
      EXPECT_EQ(read_file(path(kind + "-device" + std::to_string(seed) + ".onnx")),
                read_file(path(kind + "-kernels" + std::to_string(seed) + ".onnx")));
    }
  }
}

TEST_F(TrainTest, AFailureDoesNotStopTheOthers) {
  for (const bool beside : {false, true}) {  // with dropout they are trained one after the other
    write_file(path("recipe.toml"), of_floats(beside ? without_dropout() : std::string(kRecipe)));
    NpyArray x = read_npy(path("X_train.npy"));
    std::fill_n(x.reals.begin() + 200 * 8, 8, 3e38);
    fs::create_directories(path("damaged"));
    write_npy(path("damaged") / "X_train.npy", x);
    fs::copy_file(path("Y_train.npy"), path("damaged") / "Y_train.npy",
                  fs::copy_options::overwrite_existing);
    const std::string number = beside ? "1" : "2";
    std::vector<Options> all = {options("bad" + number + ".onnx"),
                                options("good" + number + ".onnx")};
    all[0].data = path("damaged");
    for (Options& one : all) one.like_device = true;
    EXPECT_THROW(train(all), Error);
    EXPECT_FALSE(fs::exists(all[0].output));
    EXPECT_TRUE(fs::exists(all[1].output));
    // The one that is finished is only written again; the other one starts over.
    const std::string good = read_file(all[1].output);
    fs::remove(all[1].output);
    all[0].data = all[1].data;
    for (Options& one : all) one.resume = true;
    const std::vector<Outcome> outcomes = train(all);
    EXPECT_GT(outcomes[0].samples_per_second, 0);
    EXPECT_EQ(outcomes[1].samples_per_second, 0);
    EXPECT_EQ(read_file(all[1].output), good);
    for (const Options& one : all) {
      EXPECT_TRUE(fs::exists(one.output));
      EXPECT_FALSE(fs::exists(one.output.string() + ".checkpoint"));
    }
  }
}

TEST_F(TrainTest, CheckpointsOfOtherTrainingsAndDamagedOnesAreRefused) {
  Options start = options("m.onnx");
  start.stop_after = 1;
  train(start);
  EXPECT_NE(message(start).find("holds an unfinished training | go on with --resume"),
            std::string::npos);
  Options other = start;
  other.resume = true;
  other.seed = 5;
  EXPECT_NE(message(other).find("is of another recipe, seed, number of epochs or data"),
            std::string::npos);
  const NpyArray x = read_npy(path("X_train.npy"));
  NpyArray moved = x;
  moved.reals[5] = 0;
  write_npy(path("X_train.npy"), moved);
  other.seed = start.seed;
  EXPECT_NE(message(other).find("is of another recipe, seed, number of epochs or data"),
            std::string::npos);
  write_npy(path("X_train.npy"), x);
  const fs::path checkpoint = path("m.onnx.checkpoint");
  const std::string bytes = read_file(checkpoint);
  Checkpoint foreign = read_checkpoint(checkpoint);
  foreign.tensors[0].name += "s";
  write_checkpoint(checkpoint, foreign);
  EXPECT_NE(message(other).find("holds other tensors than the recipe's network has"),
            std::string::npos);
  Options resume = start;
  resume.resume = true;
  for (const size_t at : {size_t{3}, size_t{30}, bytes.size() / 2, bytes.size() - 1}) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    write_file(checkpoint, damaged);
    EXPECT_NE(message(resume).find("is not a whole checkpoint"), std::string::npos) << at;
  }
  for (const size_t size : {size_t{0}, size_t{50}, bytes.size() - 5}) {
    write_file(checkpoint, bytes.substr(0, size));
    EXPECT_NE(message(resume).find("is not a whole checkpoint"), std::string::npos) << size;
  }
}

TEST_F(TrainTest, ALossThatIsNoNumberStopsAndKeepsTheLastGoodState) {
  // One step an epoch, on 20 of 39 samples. One that the first two epochs leave out and the third
  // does not is too large.
  write_file(path("recipe.toml"), of_floats(std::string(kRecipe)));
  write_samples("_train", 79);
  std::vector<int> epochs(39, 0);
  for (uint64_t epoch = 1; epoch <= 3; ++epoch) {
    Random random(1, epoch);
    const std::vector<int64_t> order = shuffled(39, random);
    for (int64_t i = 0; i < 20; ++i) epochs[order[i]] |= 1 << epoch;
  }
  const auto poisoned = std::ranges::find(epochs, 1 << 3) - epochs.begin();
  ASSERT_LT(poisoned, 39);
  NpyArray x = read_npy(path("X_train.npy"));
  std::fill_n(x.reals.begin() + (40 + poisoned) * 8, 8, 3e38);
  write_npy(path("X_train.npy"), x);
  Options start = options("m.onnx");
  start.stop_after = 2;
  train(start);
  Options resume = start;
  resume.resume = true;
  resume.stop_after = 0;
  const std::string found = message(resume);
  EXPECT_NE(found.find("the loss became nan in epoch 3, step 1"), std::string::npos) << found;
  EXPECT_NE(found.find("the state after epoch 2 is in"), std::string::npos) << found;
  EXPECT_EQ(read_checkpoint(path("m.onnx.checkpoint")).info.at("epoch"), 2);
}

TEST_F(TrainTest, ATeacherThatWouldLearnFromItselfOrFromTheValidationSplitIsRefused) {
  std::string text(kRecipe);
  text.replace(text.find("learning_rate"), 0, "teacher = \"recipe.toml\"\n");
  write_file(path("recipe.toml"), text);
  EXPECT_NE(message(options("m.onnx")).find("recipe.toml has a teacher of its own"),
            std::string::npos);
  std::string teacher(kRecipe);
  teacher.replace(teacher.find("validation = 40"), 15, "validation = 30");
  write_file(path("teacher.toml"), teacher);
  text.replace(text.find("teacher = \"recipe.toml\""), 23, "teacher = \"teacher.toml\"");
  write_file(path("recipe.toml"), text);
  const std::string found = message(options("m.onnx"));
  EXPECT_NE(found.find("recipe.toml validates on 40 samples, of which its teacher"),
            std::string::npos)
      << found;
}

TEST_F(TrainTest, AModelThatCouldNotBeWrittenIsRefusedBeforeTraining) {
  fs::create_directories(path("folder.onnx"));
  EXPECT_NE(message(options("folder.onnx")).find("Is a directory"), std::string::npos);
  EXPECT_NE(message(options("recipe.toml/m.onnx")).find("can't make the folder"),
            std::string::npos);
  EXPECT_NE(message(options("")).find("is no name of a file"), std::string::npos);
  Options many = options("m.onnx");
  many.threads = 1 << 20;
  EXPECT_NE(message(many).find("1048576 threads on a machine of"), std::string::npos);
}

TEST_F(TrainTest, FlatSamplesAreChangedAsTheImagesThatTheyAre) {
  std::string text(kRecipe);
  text.replace(text.find("input = [8]"), 11, "input = [1, 2, 4]");
  text.replace(text.find("[training]"), 0, "shift = 1\n");
  text.replace(text.find("[[layer]]"), 0, "[[layer]]\ntype = \"flatten\"\n");
  write_file(path("recipe.toml"), text);
  for (const bool like_device : {false, true}) {
    Options flat = options(like_device ? "device.onnx" : "flat.onnx");
    flat.like_device = like_device;
    train(flat);
  }
  for (const std::string part : {"_train", ""}) {
    NpyArray x = read_npy(path("X" + part + ".npy"));
    x.shape = {x.shape[0], 1, 2, 4};
    write_npy(path("X" + part + ".npy"), x);
  }
  train(options("images.onnx"));
  EXPECT_EQ(read_file(path("flat.onnx")), read_file(path("images.onnx")));
  EXPECT_EQ(read_file(path("device.onnx")), read_file(path("images.onnx")));
  NpyArray x = read_npy(path("X_train.npy"));
  x.shape = {x.shape[0], 2, 4, 1};
  write_npy(path("X_train.npy"), x);
  EXPECT_TRUE(message(options("other.onnx")).empty());  // an axis of one element moves nothing
  x.shape = {x.shape[0], 4, 2, 1};
  write_npy(path("X_train.npy"), x);
  EXPECT_NE(message(options("other.onnx")).find("a sample of 'npy' is [4,2,1], but"),
            std::string::npos);
}

TEST_F(TrainTest, WrongDataIsNamed) {
  Options missing = options("m.onnx");
  missing.data = path("nowhere");
  EXPECT_NE(message(missing).find("X_train.npy"), std::string::npos);
  write_samples("_train", 50);
  EXPECT_NE(message(options("m.onnx")).find("50 samples are too few for 40 of validation"),
            std::string::npos);
  NpyArray y = read_npy(path("Y_train.npy"));
  y.ints[3] = 2;
  write_npy(path("Y_train.npy"), y);
  EXPECT_NE(message(options("m.onnx")).find("has a label 2, but"), std::string::npos);
}

TEST_F(TrainTest, DevicesThatAreNotThereAreRefused) {
  Options wrong = options("m.onnx");
  wrong.device = "gpu";
  EXPECT_EQ(message(wrong), "there is no device 'gpu' | known are cpu and cuda");
  wrong.device = "cuda";
  const std::string found = message(wrong);
  EXPECT_TRUE(found.empty() || found.starts_with("this libtorch finds no CUDA device")) << found;
}

}  // namespace
}  // namespace foldstream::train
