// SPDX-License-Identifier: Apache-2.0
// foldstream run: frames from a numpy file through an engine into another.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "src/cli/arrays.h"
#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

struct Options {
  std::string network, input, output, engine = "float";
  RunOptions how;
};

int run(const Program& program, const Options& options) {
  const Engine engine = parse_engine(options.engine);
  const Network network = load_network(options.network);
  const Graph& model = network.model;
  if (model.outputs.size() != 1) {
    throw Error(fmt::format("the model has {} outputs, but one array holds only one",
                            model.outputs.size()));
  }
  const std::vector<Frame> frames = frames_of(model, read_npy(options.input), options.input);
  const EngineRunner runner(network, engine, options.how);
  Progress progress("frames", static_cast<int64_t>(frames.size()));
  const NpyArray results = array_of(runner.run(frames, progress), 0);
  write_npy(options.output, results);
  if (program.json) {
    std::cout << Json{{"frames", frames.size()},
                      {"engine", options.engine},
                      {"output", options.output},
                      {"shape", results.shape}}
                     .dump(2)
              << "\n";
  } else {
    std::cout << fmt::format("{} frames by the {} engine: {} written to '{}'\n", frames.size(),
                             options.engine, to_string(results.shape), options.output);
    for (const std::string& note : runner.notes()) std::cout << "note: " << note << "\n";
  }
  return kDone;
}

}  // namespace

void add_run(Program& program) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(program, "run", "Runs frames through a network.",
                  "foldstream run model.onnx --input x.npy --output y.npy --engine integer",
                  [&program, options] { return run(program, *options); });
  command.add_option("network", options->network, "a model, or a folder that build wrote")
      ->required();
  command.add_option("--input", options->input, "frames, a numpy file")->required();
  command.add_option("--output", options->output, "where the results go, a numpy file")->required();
  command.add_option("--engine", options->engine, kEngineHelp)->capture_default_str();
  add_run_options(command, options->how);
}

}  // namespace foldstream
