// SPDX-License-Identifier: Apache-2.0
// foldstream train: from a recipe and a data set to a QONNX model.
#include "src/train/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <limits>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "src/cli/command.h"
#include "src/cli/output.h"
#include "src/cli/trainer.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

double accuracy_of(const train::Outcome& outcome) {
  return static_cast<double>(outcome.correct) / static_cast<double>(outcome.total);
}

Json in_json(const train::Options& options, const train::Outcome& outcome) {
  Json json;
  if (outcome.total > 0) {
    json = {
        {"accuracy", accuracy_of(outcome)}, {"correct", outcome.correct}, {"total", outcome.total}};
  }
  json.update({{"validation_accuracy", outcome.validation_accuracy},
               {"best_epoch", outcome.best_epoch},
               {"finished", outcome.finished},
               {"epochs", outcome.epochs},
               {"compared", outcome.compared},
               {"mismatches", outcome.mismatches},
               {"recipe", options.recipe.filename().string()},
               {"seed", options.seed},
               {"seconds", outcome.seconds},
               {"samples_per_second", outcome.samples_per_second},
               {"history", outcome.history}});
  return json;
}

void print(const train::Options& options, const train::Outcome& outcome) {
  if (!outcome.finished) {
    std::cout << fmt::format(
        "stopped after epoch {}, {:.2f} % on the validation split; go on with "
        "--resume\n",
        outcome.epochs, 100 * outcome.validation_accuracy);
    return;
  }
  std::cout << fmt::format("{}: {:.2f} % on the validation split, epoch {} of {}, {:.0f} s\n",
                           options.output.string(), 100 * outcome.validation_accuracy,
                           outcome.best_epoch, outcome.epochs, outcome.seconds);
  if (outcome.total > 0) {
    std::cout << fmt::format("accuracy {:.2f} % ({} of {}) on the test set\n",
                             100 * accuracy_of(outcome), outcome.correct, outcome.total);
  } else {
    std::cout << "no test set is in the data folder\n";
  }
  std::cout << fmt::format("the written model differs on {} of {} samples\n", outcome.mismatches,
                           outcome.compared);
}

// Mean and range over the seeds of `number`, in %.
template <class F>
std::string over(std::span<const train::Outcome> outcomes, const F& number) {
  double sum = 0, least = 1, most = 0;
  for (const train::Outcome& outcome : outcomes) {
    const double value = number(outcome);
    sum += value;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  return fmt::format("{:.2f} % ({:.2f} to {:.2f})",
                     100 * sum / static_cast<double>(outcomes.size()), 100 * least, 100 * most);
}

// One for each seed of each recipe; `output` is a folder where there are several recipes.
std::vector<train::Options> trainings(const train::Options& options,
                                      const std::vector<std::filesystem::path>& recipes,
                                      int64_t seeds) {
  std::vector<train::Options> all;
  for (const std::filesystem::path& recipe : recipes) {
    train::Options one = options;
    one.recipe = recipe;
    if (recipes.size() > 1) one.output /= recipe.stem().string() + ".onnx";
    for (int64_t i = 0; i < seeds; ++i) {
      all.push_back(one);
      if (seeds == 1) continue;
      all.back().seed = options.seed + static_cast<uint64_t>(i);
      const std::string extension = one.output.extension().string();
      all.back().output.replace_extension();
      all.back().output += fmt::format("-seed{}{}", all.back().seed, extension);
    }
  }
  std::set<std::filesystem::path> outputs;
  for (const train::Options& one : all) {
    if (!outputs.insert(one.output).second) {
      throw Error(fmt::format("two recipes would both write '{}'", one.output.string()),
                  "recipes trained together need names of their own");
    }
  }
  return all;
}

int run(const Program& program, const std::vector<train::Options>& all, int64_t seeds) {
  for (const train::Options& one : all) check_model_output(one.output);
  const std::vector<train::Outcome> outcomes = run_trainer(all);
  const bool finished = std::ranges::all_of(outcomes, &train::Outcome::finished);
  if (program.json) {
    Json json = Json::array();
    for (size_t i = 0; i < all.size(); ++i) json.push_back(in_json(all[i], outcomes[i]));
    std::cout << (all.size() == 1 ? json[0] : json).dump() << "\n";
  } else {
    for (size_t i = 0; i < all.size(); ++i) print(all[i], outcomes[i]);
    for (size_t i = 0; seeds > 1 && finished && i < all.size(); i += seeds) {
      const std::span<const train::Outcome> some = std::span(outcomes).subspan(i, seeds);
      std::cout << fmt::format(
          "{} seeds of {}: {} on the validation split", seeds, all[i].recipe.stem().string(),
          over(some, [](const auto& outcome) { return outcome.validation_accuracy; }));
      if (some[0].total > 0) {
        std::cout << fmt::format(", {} on the test set", over(some, accuracy_of));
      }
      std::cout << "\n";
    }
  }
  const bool equal = std::ranges::all_of(
      outcomes, [](const train::Outcome& outcome) { return outcome.mismatches == 0; });
  return equal ? kDone : kAnswerIsNo;
}

}  // namespace

void add_train(Program& program) {
  const auto options = std::make_shared<train::Options>();
  const auto recipes = std::make_shared<std::vector<std::filesystem::path>>();
  const auto seeds = std::make_shared<int64_t>(1);
  const Command command = program.add_command(
      "train", "Trains a quantized network from a recipe and writes it as QONNX.",
      "foldstream train recipes/tfc-w2a2.toml --data mnist -o tfc.onnx",
      [&program, options, recipes, seeds] {
        return run(program, trainings(*options, *recipes, *seeds), *seeds);
      });
  command
      .option("recipe", *recipes,
              "the network and how to train it (recipes/*.toml); several are trained together")
      .required();
  command.option("--data", options->data, "the folder with the data set's files").required();
  command
      .option("-o,--output", options->output,
              "the model to write; of several recipes the folder, for RECIPE.onnx")
      .required();
  command.option("--init", options->init, "a model of the same layers to start from");
  command.option("--seed", options->seed, "of all that is random")
      .whole(0, std::numeric_limits<int64_t>::max())
      .shows_default();
  command
      .option("--seeds", *seeds, "so many models, of this seed and the next, as MODEL-seedN.onnx")
      .whole(1, 1000);
  command.option("--epochs", options->epochs, "instead of the recipe's").positive();
  command.option("--samples", options->samples, "only the first of the training set").positive();
  command.option("--threads", options->threads, "all cores by default").positive();
  command.option("--device", options->device, "cpu or cuda").shows_default();
  command
      .option("--stop-after", options->stop_after,
              "stop after so many epochs and keep MODEL.checkpoint")
      .positive();
  command.flag("--resume", options->resume, "go on from MODEL.checkpoint where it is there");
}

}  // namespace foldstream
