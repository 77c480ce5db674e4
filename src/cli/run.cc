// SPDX-License-Identifier: Apache-2.0
// foldstream run: frames from a numpy file through an engine into another.
#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <optional>

#include "src/cli/arrays.h"
#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/util/error.h"
#include "src/util/files.h"

namespace foldstream {
namespace {

struct Options {
  std::string network, engine = "float", stage;
  std::vector<std::string> input, output;
  RunOptions how;
};

int run(const Program& program, const Options& options) {
  const Engine engine = parse_engine(options.engine);
  std::optional<Stage> stage;
  if (!options.stage.empty()) stage = parse_stage(options.stage);
  const Network network = load_network(options.network);
  refuse_idle_options(options.how, network, engine);
  std::optional<EngineRunner> runner;
  if (stage) runner.emplace(network, engine, options.how);  // makes the stages
  const Graph& graph = stage ? runner->graph(*stage) : network.model;
  const std::vector<PortFile> files = output_files(graph, options.output);
  for (size_t port = 0; port < files.size(); ++port) {
    check_writable(files[port].path);
    for (size_t other = 0; other < port; ++other) {
      if (files[other].path == files[port].path) {
        throw Error(fmt::format("outputs '{}' and '{}' have one file: '{}'", files[other].port,
                                files[port].port, files[port].path),
                    "give each a file of its own");
      }
    }
  }
  const std::vector<Frame> frames = frames_of(graph, input_files(graph, options.input));
  if (!runner) runner.emplace(network, engine, options.how);
  Progress progress("frames", static_cast<int64_t>(frames.size()));
  const std::vector<Frame> results =
      stage ? runner->run(*stage, frames, progress) : runner->run(frames, progress);
  Json written = Json::array();
  std::string text;
  for (size_t port = 0; port < files.size(); ++port) {
    const NpyArray array = array_of(results, port);
    write_npy(files[port].path, array);
    written.push_back(
        {{"name", files[port].port}, {"output", files[port].path}, {"shape", array.shape}});
    text += fmt::format("{}{} written to '{}'", port == 0 ? "" : ", ", to_string(array.shape),
                        files[port].path);
  }
  if (program.json) {
    std::cout
        << Json{{"frames", frames.size()}, {"engine", options.engine}, {"results", written}}.dump(2)
        << "\n";
  } else {
    std::cout << fmt::format("{} frames by the {} engine: {}\n", frames.size(), options.engine,
                             text);
    for (const std::string& note : runner->notes()) std::cout << "note: " << note << "\n";
  }
  return kDone;
}

}  // namespace

void add_run(Program& program) {
  const auto options = std::make_shared<Options>();
  const Command command =
      program.add_command("run", "Runs frames through a network.",
                          "foldstream run model.onnx --input x.npy --output y.npy --engine integer",
                          [&program, options] { return run(program, *options); });
  command.option("network", options->network, "a model, or a folder that build wrote").required();
  command
      .option("--input", options->input, "frames, a numpy file; of several inputs NAME=FILE each")
      .required()
      .one_value_each();
  command
      .option("--output", options->output,
              "where the results go, a numpy file; of several outputs NAME=FILE each")
      .required()
      .one_value_each();
  command.option("--engine", options->engine, kEngineHelp).shows_default();
  command.option("--stage", options->stage,
                 "head, hardware or tail alone: what the host computes before the hardware, the "
                 "hardware, or what the host computes after it");
  add_run_options(command, options->how);
}

}  // namespace foldstream
