// SPDX-License-Identifier: Apache-2.0
// What every subcommand shares. Each lives in a file of its own and adds itself to the program.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

// CLI11 is read by command.cc alone: each file that reads its header pays seconds of the compiler.
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace foldstream {

using Json = nlohmann::ordered_json;

enum ExitStatus { kDone = 0, kAnswerIsNo = 1, kWrongUse = 2 };

// An option of a subcommand; a copy is the same option. A value that a rule refuses ends the
// program before the subcommand runs.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option required() const;
  Option shows_default() const;  // in the help
  Option positive() const;       // a finite number above zero
  Option not_negative() const;
  Option between(double low, double high) const;  // a number, the ends included
  Option whole(int64_t low, int64_t high) const;  // a whole number, the ends included
  Option one_of(std::vector<std::string> words) const;
  Option one_value_each() const;  // of an option that may come again: a value for each time
  Option several_values() const;  // one at least
  Option excludes(Option other) const;
  Option needs(Option other) const;

 private:
  CLI::Option* option_;
};

// A subcommand; a copy is the same subcommand.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  // `names`: "-o,--output", or a word without dashes for an argument that has no name. T: those of
  // the instantiations at the end of command.cc. `value` must live as long as the program.
  template <class T>
  Option option(const std::string& names, T& value, const std::string& doc) const;
  Option flag(const std::string& names, bool& value, const std::string& doc) const;
  // One that is there already.
  Option option_named(const std::string& name) const;
  // Those there are so far, and of these the ones on the command line, by name: "--clock".
  std::vector<std::string> names() const;
  std::vector<std::string> given() const;

 private:
  CLI::App* app_;
};

class Program {
 public:
  Program(const std::string& name, const std::string& doc, const std::string& version);
  ~Program();

  // A subcommand with --json and an example; `run` gives the exit status.
  Command add_command(const std::string& name, const std::string& doc, const std::string& example,
                      std::function<int()> run);
  // Does what the command line asks for and gives the exit status. Throws Error about wrong use.
  int run(int argc, char** argv);

  bool json = false;  // --json: one object on standard output, for machines

 private:
  std::unique_ptr<CLI::App> app_;
  std::function<int()> chosen_;  // what the command line asks for
};

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
