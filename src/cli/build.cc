// SPDX-License-Identifier: Apache-2.0
// foldstream build: from a model to a folder with hardware, reports and everything to run it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <iostream>
#include <map>
#include <memory>

#include "src/backend/vivado.h"
#include "src/cli/arrays.h"
#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/fold/folding_file.h"
#include "src/ir/op.h"
#include "src/ir/text.h"
#include "src/onnx/writer.h"
#include "src/report/driver.h"
#include "src/report/report.h"
#include "src/rtl/accelerator.h"
#include "src/util/embedded.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/parallel.h"

namespace foldstream {
namespace {

struct Options {
  std::string model, output;
  std::vector<std::string> verify;  // inputs, and maybe results to expect
  DesignOptions design;
};

// Everything that `build` decides by, so that the same manifest means the same hardware.
Json recorded(const std::string& name, const DesignOptions& options, const Designed& designed) {
  Json budget = Json::object();
  const auto add = [&](const char* resource, const std::optional<int64_t>& most) {
    if (most) budget[resource] = *most;
  };
  add("LUT", options.lut), add("FF", options.ff), add("BRAM_18K", options.bram18);
  add("URAM", options.uram), add("DSP", options.dsp);
  Json record = {{"name", name},
                 {"board", options.board},
                 {"part", std::string(designed.part->name)},
                 {"clock_mhz", options.clock_mhz},
                 {"fps", options.fps},
                 {"max", options.max},
                 {"min_latency", options.min_latency},
                 {"pack_memories", options.pack_memories},
                 {"memory_clock_ratio", options.memory_clock_ratio},
                 {"least_queues", options.least_queues},
                 {"share", options.share},
                 {"budget", budget},
                 {"input_type", options.input_type},
                 {"input_scale", options.input_scale},
                 {"standalone_thresholds", options.standalone_thresholds},
                 {"writable_weights", options.writable_weights},
                 {"weights", options.weights},
                 {"weight_gbits", designed.weights.limit / 1e9}};
  if (designed.latency != kAnyLatency) record["latency_cycles"] = designed.latency;
  return record;
}

// Compares the engines, and results to expect if there are any. Gives what is written to
// report/verification.json.
Json verify(const Options& options, const Network& network) {
  std::vector<std::string> given, expected;
  for (const std::string& file : options.verify) {
    const bool input =
        names_input(network.model, file) || (given.empty() && !names_output(network.model, file));
    (input ? given : expected).push_back(file);
  }
  const std::vector<Frame> frames = frames_of(network.model, input_files(network.model, given));
  Progress progress("verifying", static_cast<int64_t>(frames.size()) * 3);
  std::map<Engine, std::vector<Frame>> results;
  for (const Engine engine : {Engine::float_reference, Engine::integer, Engine::rtl}) {
    results[engine] =
        EngineRunner(network, engine, {.design = options.design}).run(frames, progress);
  }
  Json report = {{"frames", frames.size()}, {"mismatches", 0}};
  const auto compare = [&](const char* what, const std::vector<Frame>& found,
                           const std::vector<Frame>& wanted) {
    int64_t count = 0;
    std::string first;
    for (size_t i = 0; i < frames.size(); ++i) {
      const std::string text = difference(network.model, found[i], wanted[i]);
      if (text.empty()) continue;
      if (count++ == 0) first = fmt::format("frame {}, {}", i, text);
    }
    report[what] = {{"mismatches", count}};
    if (count > 0) report[what]["first"] = first;
    report["mismatches"] = report["mismatches"].get<int64_t>() + count;
  };
  compare("integer_against_float", results[Engine::integer], results[Engine::float_reference]);
  compare("rtl_against_integer", results[Engine::rtl], results[Engine::integer]);
  if (!expected.empty()) {
    compare("float_against_expected", results[Engine::float_reference],
            results_of(network.model, output_files(network.model, expected), frames.size()));
  }
  return report;
}

using Files = std::map<std::string, std::string>;

std::string step_path(size_t index, const std::string& name) {
  return fmt::format("intermediate_models/{}_{}.onnx", index, name);
}

// What is known before foldings are: the model in text form, and the graph after each step as ONNX.
Files early_files(const Compiled& compiled, const Graph& model) {
  Files files{{"model.fst", print(model)}};
  for (size_t i = 0; i < compiled.steps.size(); ++i) {
    const FlowStep& step = compiled.steps[i];
    files[step_path(i, step.name)] = write_model(step.graph);
  }
  return files;
}

constexpr std::string_view kDriver = "src/backend/embedded/accelerator.py";

// Where memory is slower than the network: what a frame takes behind the accelerator's movers.
std::optional<std::string> note_on_movers(const Accelerator& accelerator, int64_t interval_cycles) {
  const auto words = [&](const Mover& mover) {
    return mover.kind == Mover::Kind::weights ? 0 : mover.frame_bytes / accelerator.word_bytes;
  };
  int64_t most = 0;
  for (const Mover& mover : accelerator.movers) most = std::max(most, words(mover));
  if (most <= interval_cycles) return std::nullopt;
  return fmt::format(
      "from the board's memory a frame takes {} cycles, one for each word of {} bytes; the network "
      "itself is ready for one every {}",
      most, accelerator.word_bytes, interval_cycles);
}

// What Vivado takes, and, for a board whose memory a shell can reach, the accelerator and a driver.
void add_board_files(Designed& designed, const DesignOptions& options, const Design& hardware,
                     Files& files) {
  const Board* board = options.board.empty() ? nullptr : &find_board(options.board);
  std::optional<Accelerator> accelerator;
  if (board != nullptr && board->stream_bits > 0) {
    accelerator = make_accelerator(hardware, board->stream_bits / 8);
    if (auto note = note_on_movers(*accelerator, designed.queues.interval_cycles)) {
      designed.notes.push_back(std::move(*note));
    }
    for (const auto& [path, text] : accelerator->files) files["rtl/" + path] = text;
    files["driver/accelerator.json"] = accelerator_json(*accelerator, hardware, options.clock_mhz);
    files["driver/accelerator.py"] = std::string(embedded_file(kDriver));
  }
  for (auto& [path, text] :
       vivado_files(hardware, accelerator, *designed.part, board, options.clock_mhz)) {
    files["vivado/" + path] = std::move(text);
  }
}

// The design's modules, its graphs in text form and as ONNX.
Files design_files(Designed& designed, const DesignOptions& options) {
  const Parts& parts = designed.compiled.parts;
  std::future<Design> stitched =
      std::async(std::launch::async, [&] { return stitch(parts.core, designed.part->family); });
  Files files;
  files[step_path(designed.compiled.steps.size(), "design")] = write_model(parts.core);
  files["design.fst"] = print(parts.core);
  files["head.fst"] = print(parts.head);
  files["tail.fst"] = print(parts.tail);
  Design hardware = stitched.get();
  add_board_files(designed, options, hardware, files);
  for (auto& [path, text] : hardware.files) files["rtl/" + path] = std::move(text);
  for (auto& [path, text] : driver_files(hardware, parts.core)) {
    files["driver/" + path] = std::move(text);
  }
  return files;
}

void write_all(OutputFolder& out, const Files& files) {
  std::vector<const Files::value_type*> each;
  for (const Files::value_type& file : files) each.push_back(&file);
  parallel_for(each.size(), [&](size_t i) { out.write(each[i]->first, each[i]->second); });
}

int run(const Program& program, const Options& options) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const Graph model = load_model(options.model);
  const std::string name = design_name(options.model, model);
  const double import_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  OutputFolder out(options.output, is_output);  // refuses before any work is done
  Designed designed = compiled_design(model, name, options.design);
  // The second core has little to do until foldings and queues are found.
  std::future<Files> early = std::async(std::launch::async, [&] {
    Files files = early_files(designed.compiled, model);
    for (const auto& [path, text] : files) out.write(path, text);
    return files;
  });
  size_design(options.design, designed);
  for (const std::string& warning : designed.warnings) std::cerr << "warning: " << warning << "\n";

  Clock::time_point last = Clock::now();
  Files files = design_files(designed, options.design);
  files["final_hw_config.json"] = final_hw_config(designed.compiled.parts.core).dump(2) + "\n";
  Json times = {{"import", import_seconds}};
  for (const auto& [step, seconds] : designed.seconds) times[step] = seconds;
  const auto done = [&](const char* step) {
    const Clock::time_point now = Clock::now();
    times[step] = std::chrono::duration<double>(now - last).count();
    last = now;
  };
  done("emit");
  Report report = make_report(designed.compiled.parts.core, *designed.part, options.design.board,
                              options.design.clock_mhz);
  report.queues = designed.queues;
  for (const auto* remarks : {&designed.warnings, &designed.notes}) {
    report.remarks.insert(report.remarks.end(), remarks->begin(), remarks->end());
  }
  for (auto& [path, text] : report_files(report)) files["report/" + path] = std::move(text);
  files["report/weights.json"] = weights_json(designed.weights).dump(2) + "\n";
  if (designed.shared) {
    files["report/memory_packing.json"] = memories_json(*designed.shared).dump(2) + "\n";
  }
  done("report");

  int status = kDone;
  Json verification;
  if (!options.verify.empty()) {
    Network network{options.model, name, model.clone(), {}};
    verification = verify(options, network);
    files["report/verification.json"] = verification.dump(2) + "\n";
    if (verification["mismatches"] != 0) status = kAnswerIsNo;
    done("verify");
  }
  write_all(out, files);
  files.merge(early.get());
  const Json hashes = manifest(files, recorded(name, options.design, designed));
  done("write");
  out.write("report/time_per_step.json", times.dump(2) + "\n");
  out.write(kManifest, hashes.dump(2) + "\n");
  out.commit();

  const double fps =
      options.design.clock_mhz * 1e6 / static_cast<double>(designed.queues.interval_cycles);
  if (program.json) {
    Json json = {{"output", options.output},
                 {"interval_cycles", designed.queues.interval_cycles},
                 {"latency_cycles", designed.queues.latency_cycles},
                 {"frames_per_second", fps},
                 {"part", std::string(designed.part->name)}};
    if (designed.shared) json["memories"] = memories_json(*designed.shared);
    if (designed.folded) json["folding"] = designed.proof;
    if (!designed.weights.absent.empty()) json["weights"] = weights_json(designed.weights);
    if (!options.verify.empty()) json["verification"] = verification;
    std::cout << json.dump(2) << "\n";
    return status;
  }
  const Graph& core = designed.compiled.parts.core;
  const auto nodes = std::count_if(core.nodes.begin(), core.nodes.end(), [](const Node& node) {
    return node.op->kind == Op::Kind::hardware;
  });
  std::cout << fmt::format("{}: {} nodes, a frame every {} cycles, latency {} cycles\n", name,
                           nodes, designed.queues.interval_cycles, designed.queues.latency_cycles)
            << fmt::format("{:.0f} frames a second at {} MHz\n", fps, options.design.clock_mhz);
  for (const std::string& note : designed.notes) std::cout << "note: " << note << "\n";
  if (!options.verify.empty()) {
    std::cout << fmt::format("verified on {} frames: {} mismatches\n",
                             verification["frames"].get<int64_t>(),
                             verification["mismatches"].get<int64_t>());
    for (const auto& [what, entry] : verification.items()) {
      if (entry.is_object() && entry.contains("first")) {
        std::cout << fmt::format("  {}: {}\n", what, entry["first"].get<std::string>());
      }
    }
  }
  std::cout << fmt::format("written to '{}'\n", options.output);
  return status;
}

}  // namespace

void add_build(Program& program) {
  const auto options = std::make_shared<Options>();
  const Command command =
      program.add_command("build", "Makes hardware of a model.",
                          "foldstream build model.onnx -o out --fps 1000000 --clock 100",
                          [&program, options] { return run(program, *options); });
  command.option("model", options->model, "ONNX or text form").required();
  command.option("-o,--output", options->output, "the folder to write").required();
  command
      .option("--verify", options->verify,
              "frames, a numpy file, on which all engines must agree; a second file: the results "
              "to expect; of several inputs and outputs NAME=FILE each")
      .several_values();
  add_design_options(command, options->design);
}

}  // namespace foldstream
