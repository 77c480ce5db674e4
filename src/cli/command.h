// SPDX-License-Identifier: Apache-2.0
// What every subcommand shares. Each lives in a file of its own and adds itself to the program.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace foldstream {

using Json = nlohmann::ordered_json;

enum ExitStatus { kDone = 0, kAnswerIsNo = 1, kWrongUse = 2 };

struct Program {
  CLI::App app;
  std::function<int()> chosen;  // what the command line asks for
  bool json = false;            // --json: one object on standard output, for machines
};

// A subcommand with --json and an example; `run` gives the exit status.
CLI::App& add_command(Program& program, const std::string& name, const std::string& doc,
                      const std::string& example, std::function<int()> run);

// A finite number above zero; CLI11's own check names its bounds by three hundred digits.
CLI::Validator positive();
// A number from `low` to `high`; CLI11's own check takes "nan".
CLI::Validator between(double low, double high);

void add_inspect(Program& program);
void add_build(Program& program);
void add_run(Program& program);
void add_eval(Program& program);
void add_estimate(Program& program);
void add_explore(Program& program);
void add_sim(Program& program);
void add_synth(Program& program);
void add_image(Program& program);
void add_bench(Program& program);
void add_opt(Program& program);
void add_train(Program& program);
void add_quantize(Program& program);

}  // namespace foldstream
