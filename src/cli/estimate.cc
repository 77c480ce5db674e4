// SPDX-License-Identifier: Apache-2.0
// foldstream estimate: cycles and resources, layer by layer, before any hardware is written.
#include <iostream>
#include <memory>

#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/report/report.h"

namespace foldstream {
namespace {

struct Options {
  std::string network;
  DesignOptions design;
};

int run(const Program& program, const Options& options) {
  const Network network = load_network(options.network);
  Designed designed;
  const Graph* core = nullptr;
  const Part* part = nullptr;
  double clock_mhz = options.design.clock_mhz;
  if (network.built) {
    refuse_design_options(options.design, options.network);
    core = &network.built->parts.core;
    part = network.built->part;
    clock_mhz = network.built->clock_mhz;
  } else {
    designed = design(network.model, network.name, options.design);
    core = &designed.compiled.parts.core;
    part = designed.part;
  }
  Report report = make_report(*core, *part, options.design.board, clock_mhz);
  report.remarks.insert(report.remarks.end(), designed.warnings.begin(), designed.warnings.end());
  report.remarks.insert(report.remarks.end(), designed.notes.begin(), designed.notes.end());
  if (!program.json) {
    std::cout << report_text(report);
    return kDone;
  }
  const Json cycles = estimate_layer_cycles(report), resources = estimate_layer_resources(report);
  Json json = estimate_network_performance(report);
  json["interval_cycles"] = report.interval_cycles;
  json["latency_cycles"] = report.latency_cycles;
  if (designed.folded) json["folding"] = designed.proof;
  if (designed.shared) json["memories"] = memories_json(*designed.shared);
  json["cycles"] = cycles;
  json["resources"] = resources;
  json["counts"] = op_and_param_counts(report);
  std::cout << json.dump(2) << "\n";
  return kDone;
}

}  // namespace

void add_estimate(Program& program) {
  const auto options = std::make_shared<Options>();
  const Command command = program.add_command(
      "estimate", "Cycles and resources, layer by layer, before hardware is written.",
      "foldstream estimate model.onnx --fps 1000000 --clock 100",
      [&program, options] { return run(program, *options); });
  command.option("network", options->network, "a model, or a folder that build wrote").required();
  add_design_options(command, options->design);
}

}  // namespace foldstream
