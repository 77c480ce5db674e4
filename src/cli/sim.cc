// SPDX-License-Identifier: Apache-2.0
// foldstream sim: cycles of a design, by the cycle model or by simulating its hardware.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "src/backend/verilator.h"
#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/fold/queues.h"
#include "src/report/report.h"
#include "src/sim/cycle_model.h"
#include "src/sim/queue_growth.h"
#include "src/sim/stream_graph.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/suggest.h"

namespace foldstream {
namespace {

struct Options {
  std::string folder, engine = "cycle";
  int64_t frames = 3;
  bool queues = false;
};

// The streams on which the hardware moved a beat in another cycle than the model says.
std::vector<std::string> disagreements(const StreamGraph& graph, const SimResult& model,
                                       const Design& design, const Simulation::Result& rtl) {
  std::vector<std::string> found;
  // The hardware is watched until its last beat is out; some nodes begin another frame meanwhile,
  // and what they would do later nobody saw.
  int64_t end = 0;
  for (const Simulation::Trace& trace : rtl.outputs) {
    if (!trace.cycles.empty()) end = std::max(end, trace.cycles.back());
  }
  const auto compare = [&](const std::string& from, const std::string& to,
                           const std::vector<int64_t>& taken, const std::vector<int64_t>& seen) {
    for (size_t beat = 0; beat < taken.size(); ++beat) {
      if (beat < seen.size() ? seen[beat] == taken[beat] : taken[beat] >= end) continue;
      found.push_back(fmt::format(
          "'{}' to '{}', beat {}: {} in hardware, cycle {} in the model", from, to, beat,
          beat < seen.size() ? fmt::format("cycle {}", seen[beat]) : "never", taken[beat]));
      return;
    }
  };
  for (size_t link = 0; link < graph.links.size(); ++link) {
    if (graph.is_ring(link)) continue;
    const StreamBlock& from = graph.blocks[graph.links[link].from];
    const StreamBlock& to = graph.blocks[graph.links[link].to];
    if (from.kind == StreamBlock::Kind::source) {
      for (size_t i = 0; i < design.inputs.size(); ++i) {
        if (design.inputs[i].name != from.name) continue;
        compare(from.name, to.name, model.taken[link], rtl.inputs[i].cycles);
      }
      for (size_t i = 0; i < design.weights.size(); ++i) {
        if (design.weights[i].name != from.name) continue;
        compare(from.name, to.name, model.taken[link], rtl.weights[i].cycles);
      }
    } else if (to.kind == StreamBlock::Kind::sink) {
      for (size_t i = 0; i < graph.sinks.size(); ++i) {
        if (graph.sinks[i] != graph.links[link].to) continue;
        compare(from.name, to.name, model.taken[link], rtl.outputs.at(i).cycles);
      }
    } else {
      for (size_t i = 0; i < design.edges.size(); ++i) {
        const DesignEdge& edge = design.edges[i];
        if (edge.to != to.name || edge.from != from.name ||
            edge.port != static_cast<int>(graph.links[link].from_port)) {
          continue;
        }
        compare(from.name, to.name, model.taken[link], rtl.edges[i].cycles);
      }
    }
  }
  return found;
}

// Asks the cycle model anew whether the queues are enough, and whether each could be a beat less.
int judge(const Program& program, const Options& options) {
  const Built built = load_hardware(options.folder);
  Graph core = built.parts.core.clone();
  const QueueResult result =
      judge_queues(core, built.part->family, built.latency.value_or(kAnyLatency));
  if (program.json) {
    Json queues = Json::object();
    for (const QueueDepth& depth : result.depths)
      queues[depth.node] = {{"beats", depth.beats}, {"why", why(depth)}};
    std::cout << Json{{"interval_cycles", result.interval_cycles},
                      {"latency_cycles", result.latency_cycles},
                      {"none_can_be_a_beat_less", result.least()},
                      {"queues", queues}}
                     .dump(2)
              << "\n";
  } else {
    std::cout << fmt::format("one frame every {} cycles, as the slowest node allows\n",
                             result.interval_cycles)
              << fmt::format("{:32} {:>8}  {}\n", "queue behind", "beats", "why not less");
    for (const QueueDepth& depth : result.depths)
      std::cout << fmt::format("{:32} {:>8}  {}\n", depth.node, depth.beats, why(depth));
  }
  return result.least() ? kDone : kAnswerIsNo;
}

int run(const Program& program, const Options& options) {
  const bool rtl = options.engine == "rtl";
  if (!rtl && options.engine != "cycle") {
    throw Error(fmt::format("there is no engine '{}' for sim", options.engine),
                did_you_mean(options.engine, {"cycle", "rtl"}));
  }
  const Built built = load_hardware(options.folder);
  const StreamGraph graph = stream_graph(built.parts.core, built.part->family,
                                         rtl ? WeightStreams::shown : WeightStreams::left_out);
  SimOptions how;
  how.frames = options.frames;
  how.record = rtl;
  const SimResult model = simulate(graph, how);
  if (model.deadlock) {
    throw Error("the design stops: " + model.deadlock->message(), remedy(graph, options.frames));
  }
  Timing found{model.cycles, model.latency_cycles, model.interval_cycles};
  std::vector<std::string> wrong;
  size_t compared = 0;  // the hardware doesn't show what goes on inside a node
  for (size_t link = 0; link < graph.links.size(); ++link) compared += graph.is_ring(link) ? 0 : 1;
  if (rtl) {
    const Simulation simulation(read_design(options.folder, built));
    // Control never depends on data, so zeros do.
    Frame zeros;
    for (const DesignPort& port : simulation.design().inputs) zeros.push_back(make_zero(port.type));
    const Simulation::Result result = simulation.run(
        std::vector<Frame>(static_cast<size_t>(options.frames), zeros), {.watch_edges = true});
    found = timing(simulation.design(), result, options.frames);
    wrong = disagreements(graph, model, simulation.design(), result);
    const auto beats = [](const std::vector<Simulation::Trace>& traces) {
      size_t count = 0;
      for (const Simulation::Trace& trace : traces) count += trace.cycles.size();
      return static_cast<int64_t>(count);
    };
    const Measured measured{.frames = options.frames,
                            .beats_in = beats(result.inputs),
                            .beats_out = beats(result.outputs),
                            .cycles = found.cycles,
                            .latency_cycles = found.latency,
                            .interval_cycles = found.interval};
    write_file(std::filesystem::path(options.folder) / "report" / "rtlsim_performance.json",
               rtlsim_performance(measured, built.clock_mhz).dump(2) + "\n");
  }
  if (program.json) {
    Json json = {{"cycles", found.cycles},
                 {"latency_cycles", found.latency},
                 {"interval_cycles", options.frames > 1 ? Json(found.interval) : Json()},
                 {"frames", options.frames},
                 {"engine", options.engine}};
    if (rtl) {
      json["streams_compared"] = compared;
      json["disagreements"] = wrong;
    }
    Json nodes = Json::object();
    for (size_t i = 0; i < graph.blocks.size(); ++i) {
      if (graph.blocks[i].kind != StreamBlock::Kind::node) continue;
      nodes[graph.blocks[i].name] = {{"busy", model.blocks[i].busy},
                                     {"starved", model.blocks[i].starved},
                                     {"blocked", model.blocks[i].blocked}};
    }
    json["nodes"] = nodes;
    std::cout << json.dump(2) << "\n";
  } else {
    const char* by = rtl ? "hardware, simulated" : "cycle model";
    std::cout << (options.frames == 1
                      ? fmt::format("1 frame in {} cycles ({})\n", found.cycles, by)
                      : fmt::format(
                            "{} frames in {} cycles, latency {}, one frame every {} cycles ({})\n",
                            options.frames, found.cycles, found.latency, found.interval, by));
    std::cout << fmt::format("{:32} {:>10} {:>10} {:>10}\n", "node, in cycles", "busy", "starved",
                             "blocked");
    for (size_t i = 0; i < graph.blocks.size(); ++i) {
      if (graph.blocks[i].kind != StreamBlock::Kind::node) continue;
      std::cout << fmt::format("{:32} {:>10} {:>10} {:>10}\n", graph.blocks[i].name,
                               model.blocks[i].busy, model.blocks[i].starved,
                               model.blocks[i].blocked);
    }
    if (rtl) {
      std::cout << fmt::format("{} streams compared beat by beat with the cycle model: {} differ\n",
                               compared, wrong.size());
      for (const std::string& text : wrong) std::cout << "  " << text << "\n";
    }
  }
  return wrong.empty() ? kDone : kAnswerIsNo;
}

}  // namespace

void add_sim(Program& program) {
  const auto options = std::make_shared<Options>();
  const Command command = program.add_command(
      "sim", "Cycles of a design, frame after frame.",
      "foldstream sim out --frames 10 --engine rtl", [&program, options] {
        return options->queues ? judge(program, *options) : run(program, *options);
      });
  command.option("folder", options->folder, "a folder that build wrote").required();
  command.option("--frames", options->frames, "frames, back to back")
      .whole(1, 1000000)
      .shows_default();
  command
      .option("--engine", options->engine,
              "cycle: the model; rtl: the hardware, compared beat by beat with the model")
      .shows_default();
  command
      .flag("--queues", options->queues,
            "instead: whether any queue could be a beat shorter, and why not")
      .excludes(command.option_named("--frames"))
      .excludes(command.option_named("--engine"));
}

}  // namespace foldstream
