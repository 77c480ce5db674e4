// SPDX-License-Identifier: Apache-2.0
// foldstream train: from a recipe and a data set to a QONNX model.
#include "src/train/train.h"

#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "src/cli/command.h"
#include "src/cli/trainer.h"

namespace foldstream {
namespace {

int run(const Program& program, const train::Options& options) {
  const train::Outcome outcome = run_trainer(options);
  const double accuracy = outcome.total == 0 ? 0
                                             : static_cast<double>(outcome.correct) /
                                                   static_cast<double>(outcome.total);
  if (program.json) {
    Json json;
    if (outcome.total > 0) {
      json = {{"accuracy", accuracy}, {"correct", outcome.correct}, {"total", outcome.total}};
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
    std::cout << json.dump() << "\n";
  } else if (!outcome.finished) {
    std::cout << fmt::format(
        "stopped after epoch {}, {:.2f} % on the validation split; go on with "
        "--resume\n",
        outcome.epochs, 100 * outcome.validation_accuracy);
  } else {
    std::cout << fmt::format("{}: {:.2f} % on the validation split, epoch {} of {}, {:.0f} s\n",
                             options.output.string(), 100 * outcome.validation_accuracy,
                             outcome.best_epoch, outcome.epochs, outcome.seconds);
    if (outcome.total > 0) {
      std::cout << fmt::format("accuracy {:.2f} % ({} of {}) on the test set\n", 100 * accuracy,
                               outcome.correct, outcome.total);
    } else {
      std::cout << "no test set is in the data folder\n";
    }
    std::cout << fmt::format("the written model differs on {} of {} samples\n", outcome.mismatches,
                             outcome.compared);
  }
  return outcome.mismatches == 0 ? kDone : kAnswerIsNo;
}

}  // namespace

void add_train(Program& program) {
  const auto options = std::make_shared<train::Options>();
  CLI::App& command = add_command(
      program, "train", "Trains a quantized network from a recipe and writes it as QONNX.",
      "foldstream train recipes/tfc-w2a2.toml --data mnist -o tfc.onnx",
      [&program, options] { return run(program, *options); });
  command.add_option("recipe", options->recipe, "the network and how to train it (recipes/*.toml)")
      ->required();
  command.add_option("--data", options->data, "the folder with the data set's files")->required();
  command.add_option("-o,--output", options->output, "the model to write")->required();
  command.add_option("--init", options->init, "a model of the same layers to start from");
  command.add_option("--seed", options->seed, "of all that is random")->capture_default_str();
  command.add_option("--epochs", options->epochs, "instead of the recipe's")->check(positive());
  command.add_option("--samples", options->samples, "only the first of the training set")
      ->check(positive());
  command.add_option("--threads", options->threads, "all cores by default")->check(positive());
  command.add_option("--device", options->device, "cpu or cuda")->capture_default_str();
  command
      .add_option("--stop-after", options->stop_after,
                  "stop after so many epochs and keep MODEL.checkpoint")
      ->check(positive());
  command.add_flag("--resume", options->resume, "go on from MODEL.checkpoint where it is there");
}

}  // namespace foldstream
