// SPDX-License-Identifier: Apache-2.0
// foldstream opt: passes on the text form.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/ir/pass.h"
#include "src/ir/text.h"
#include "src/util/error.h"
#include "src/util/suggest.h"

namespace foldstream {
namespace {

struct Options {
  std::string file;
  std::vector<std::string> passes;
};

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  for (const Pass* pass : passes()) names.emplace_back(pass->name);
  return names;
}

bool run_named(const std::string& name, Graph& graph) {
  const Pass* pass = find_pass(name);
  if (pass == nullptr) {
    throw Error(fmt::format("there is no pass '{}'", name), did_you_mean(name, pass_names()));
  }
  return run_pass(*pass, graph);
}

int run(const Program& program, const Options& options) {
  Graph graph = load_model(options.file);
  Json changes = Json::object();
  for (const std::string& name : options.passes) {
    changes[name] = run_named(name, graph);
  }
  if (program.json) {
    std::cout << Json{{"changed", changes}, {"graph", print(graph)}}.dump(2) << "\n";
  } else {
    std::cout << print(graph);
  }
  return kDone;
}

}  // namespace

void add_opt(Program& program) {
  const auto options = std::make_shared<Options>();
  const Command command =
      program.add_command("opt", "Runs passes on a graph and prints its text form.",
                          "foldstream opt model.onnx --pass fold_constants --pass streamline",
                          [&program, options] { return run(program, *options); });
  command.option("file", options->file, "ONNX, text form (.fst), or - for text on standard input")
      .required();
  std::string names;
  for (const std::string& name : pass_names()) names += (names.empty() ? "" : ", ") + name;
  command.option("--pass", options->passes, "a pass to run, in the order given: " + names)
      .one_value_each();
}

}  // namespace foldstream
