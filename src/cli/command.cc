// SPDX-License-Identifier: Apache-2.0
#include "src/cli/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <optional>
#include <utility>

#include "src/util/error.h"
#include "src/util/suggest.h"

namespace foldstream {
namespace {

// CLI11's own checks name the largest number by three hundred digits, and take "nan".
CLI::Validator number(const std::string& kind, const std::string& what,
                      std::function<bool(double)> takes) {
  return {[=](std::string& text) -> std::string {
            double value = 0;
            return CLI::detail::lexical_cast(text, value) && takes(value)
                       ? ""
                       : fmt::format("'{}' is {}", text, what);
          },
          kind};
}

}  // namespace

Option Option::required() const {
  option_->required();
  return *this;
}

Option Option::shows_default() const {
  option_->capture_default_str();
  return *this;
}

Option Option::positive() const {
  option_->check(number("POSITIVE", "not a positive number",
                        [](double value) { return std::isfinite(value) && value > 0; }));
  return *this;
}

Option Option::not_negative() const {
  option_->check(CLI::NonNegativeNumber);
  return *this;
}

Option Option::between(double low, double high) const {
  const std::string range = fmt::format("[{:g} - {:g}]", low, high);
  option_->check(number("FLOAT in " + range, "no number in " + range,
                        [=](double value) { return value >= low && value <= high; }));
  return *this;
}

Option Option::whole(int64_t low, int64_t high) const {
  option_->check(CLI::Range(low, high));
  return *this;
}

Option Option::one_of(std::vector<std::string> words) const {
  option_->check(CLI::IsMember(std::move(words)));
  return *this;
}

Option Option::one_value_each() const {
  option_->allow_extra_args(false);
  return *this;
}

Option Option::several_values() const {
  option_->expected(1, -1);
  return *this;
}

Option Option::excludes(Option other) const {
  option_->excludes(other.option_);
  return *this;
}

Option Option::needs(Option other) const {
  option_->needs(other.option_);
  return *this;
}

template <class T>
Option Command::option(const std::string& names, T& value, const std::string& doc) const {
  return Option(app_->add_option(names, value, doc));
}

Option Command::flag(const std::string& names, bool& value, const std::string& doc) const {
  return Option(app_->add_flag(names, value, doc));
}

Option Command::option_named(const std::string& name) const {
  return Option(app_->get_option(name));
}

std::vector<std::string> Command::names() const {
  std::vector<std::string> names;
  for (const CLI::Option* option : app_->get_options()) names.push_back(option->get_name());
  return names;
}

std::vector<std::string> Command::given() const {
  std::vector<std::string> names;
  for (const CLI::Option* option : app_->get_options()) {
    if (option->count() > 0) names.push_back(option->get_name());
  }
  return names;
}

Program::Program(const std::string& name, const std::string& doc, const std::string& version)
    : app_(std::make_unique<CLI::App>(doc, name)) {
  app_->set_version_flag("--version", version);
  app_->require_subcommand(1);
}

Program::~Program() = default;

Command Program::add_command(const std::string& name, const std::string& doc,
                             const std::string& example, std::function<int()> run) {
  CLI::App* command = app_->add_subcommand(name, doc);
  command->footer("Example:\n  " + example);
  command->add_flag("--json", json, "one JSON object on standard output");
  command->callback([this, run = std::move(run)] { chosen_ = run; });
  return Command(command);
}

int Program::run(int argc, char** argv) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app_->exit(error);  // --help, --version
    const auto chosen = app_->get_subcommands();
    if (!chosen.empty()) {
      throw Error(error.what(),
                  fmt::format("see {} {} --help", app_->get_name(), chosen[0]->get_name()));
    }
    if (argc < 2)
      throw Error("a command is missing", fmt::format("see {} --help", app_->get_name()));
    std::vector<std::string> names;
    for (const CLI::App* command : app_->get_subcommands({})) names.push_back(command->get_name());
    throw Error(fmt::format("there is no command '{}'", argv[1]), did_you_mean(argv[1], names));
  }
  return chosen_();
}

template Option Command::option(const std::string&, std::string&, const std::string&) const;
template Option Command::option(const std::string&, std::filesystem::path&,
                                const std::string&) const;
template Option Command::option(const std::string&, std::vector<std::filesystem::path>&,
                                const std::string&) const;
template Option Command::option(const std::string&, std::vector<std::string>&,
                                const std::string&) const;
template Option Command::option(const std::string&, int&, const std::string&) const;
template Option Command::option(const std::string&, int64_t&, const std::string&) const;
template Option Command::option(const std::string&, uint64_t&, const std::string&) const;
template Option Command::option(const std::string&, double&, const std::string&) const;
template Option Command::option(const std::string&, std::optional<int64_t>&,
                                const std::string&) const;
template Option Command::option(const std::string&, std::optional<double>&,
                                const std::string&) const;

}  // namespace foldstream
