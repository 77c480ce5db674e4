// SPDX-License-Identifier: Apache-2.0
// The command `foldstream`. Exit status: 0 done, 1 the answer is no, 2 wrong use or wrong input.
#include <fmt/format.h>

#include <cmath>
#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "src/cli/command.h"
#include "src/util/error.h"
#include "src/util/interrupt.h"
#include "src/util/suggest.h"

namespace foldstream {

CLI::App& add_command(Program& program, const std::string& name, const std::string& doc,
                      const std::string& example, std::function<int()> run) {
  CLI::App* command = program.app.add_subcommand(name, doc);
  command->footer("Example:\n  " + example);
  command->add_flag("--json", program.json, "one JSON object on standard output");
  command->callback([&program, run = std::move(run)] { program.chosen = run; });
  return *command;
}

CLI::Validator positive() {
  return {[](std::string& text) -> std::string {
            double value = 0;
            const bool is_number = CLI::detail::lexical_cast(text, value);
            return is_number && std::isfinite(value) && value > 0
                       ? ""
                       : "'" + text + "' is not a positive number";
          },
          "POSITIVE"};
}

CLI::Validator between(double low, double high) {
  const std::string range = fmt::format("[{:g} - {:g}]", low, high);
  return {[=](std::string& text) -> std::string {
            double value = 0;
            const bool is_number = CLI::detail::lexical_cast(text, value);
            return is_number && value >= low && value <= high
                       ? ""
                       : "'" + text + "' is no number in " + range;
          },
          "FLOAT in " + range};
}

namespace {

int report(const std::string& message, const std::string& help) {
  std::cerr << "error: " << message << "\n";
  if (!help.empty()) std::cerr << "  help: " << help << "\n";
  return kWrongUse;
}

int run(int argc, char** argv) {
  Program program;
  program.app.description(
      "Turns a quantized neural network (QONNX) into a streaming dataflow accelerator that "
      "computes "
      "the same integers.");
  program.app.name("foldstream");
  program.app.set_version_flag("--version", "foldstream " FOLDSTREAM_VERSION);
  program.app.require_subcommand(1);
  add_inspect(program);
  add_build(program);
  add_run(program);
  add_eval(program);
  add_estimate(program);
  add_explore(program);
  add_sim(program);
  add_synth(program);
  add_image(program);
  add_train(program);
  add_bench(program);
  add_quantize(program);
  add_opt(program);
  try {
    program.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.app.exit(error);  // --help, --version
    const auto chosen = program.app.get_subcommands();
    if (!chosen.empty()) {
      return report(error.what(), "see foldstream " + chosen[0]->get_name() + " --help");
    }
    if (argc < 2) return report("a command is missing", "see foldstream --help");
    std::vector<std::string> names;
    for (const CLI::App* command : program.app.get_subcommands({})) {
      names.push_back(command->get_name());
    }
    return report(std::string("there is no command '") + argv[1] + "'",
                  did_you_mean(argv[1], names));
  }
  const int status = program.chosen();
  std::cout.flush();
  if (!std::cout) return report("can't write to standard output", "");
  return status;
}

}  // namespace
}  // namespace foldstream

int main(int argc, char** argv) {
  using namespace foldstream;
  catch_interrupts();
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    return report(error.what(), error.help());
  } catch (const Interrupted& interrupted) {
    // Everything begun has been cleaned up; end as whoever sent the signal expects.
    std::signal(interrupted.signal, SIG_DFL);
    std::raise(interrupted.signal);
    return kWrongUse;
  } catch (const std::bad_alloc&) {
    return report("not enough memory for this model",
                  "close other programs or use a larger machine");
  } catch (const std::exception& error) {
    return report(std::string("unexpected: ") + error.what(),
                  "this is a mistake in Foldstream; please report it with the model");
  }
}
