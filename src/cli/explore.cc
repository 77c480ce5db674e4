// SPDX-License-Identifier: Apache-2.0
// foldstream explore: what each rate costs on a part.
#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <optional>

#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/fold/fold.h"
#include "src/fold/folding_file.h"
#include "src/report/front.h"
#include "src/report/numbers.h"
#include "src/util/error.h"
#include "src/util/files.h"

namespace foldstream {
namespace {

constexpr const char* kFront = "front.json";

struct Options {
  std::string model, output;
  size_t points = 40;
  DesignOptions design;
};

// Whether the file is one that this command wrote; others' may be called so, too.
bool is_front(const std::filesystem::path& path) {
  try {
    const Json json = Json::parse(read_file(path));
    return json.is_object() && json.contains("foldstream") && json.contains("points");
  } catch (const std::exception&) {
    return false;
  }
}

int run(const Program& program, const Options& options) {
  const Graph model = load_model(options.model);
  const std::string name = design_name(options.model, model);
  std::optional<OutputFolder> out;
  if (!options.output.empty()) {
    out.emplace(options.output,
                [](const std::filesystem::path& folder) { return is_front(folder / kFront); });
  }
  Compiled compiled = compile(model, compile_options(options.design));
  Graph& core = compiled.parts.core;
  core.name = name;
  const Part& part = chosen_part(options.design);
  const double clock_mhz = options.design.clock_mhz;
  const double share = options.design.share;
  const std::vector<FrontPoint> front =
      fold_front(core, part, budget_on(part, share, options.design),
                 weight_levels(options.design, part, share), options.points);
  const auto file_of = [](size_t k) { return fmt::format("folding_{:03}.json", k + 1); };

  Json json = {{"foldstream", FOLDSTREAM_VERSION},
               {"name", name},
               {"part", std::string(part.name)},
               {"clock_mhz", clock_mhz}};
  for (size_t k = 0; k < front.size(); ++k) {
    const FrontPoint& point = front[k];
    Json entry = {{"frames_per_second", clock_mhz * 1e6 / static_cast<double>(point.cycles)},
                  {"interval_cycles", point.cycles},
                  {"latency_cycles", point.latency},
                  {"LUT", ceiling(point.cost.lut)},
                  {"FF", ceiling(point.cost.ff)},
                  {"BRAM_18K", ceiling(point.cost.bram18)},
                  {"URAM", ceiling(point.cost.uram)},
                  {"DSP", ceiling(point.cost.dsp)},
                  {"streamed_bits_a_cycle", ceiling(point.cost.stream)}};
    if (out) entry["folding"] = file_of(k);
    json["points"].push_back(std::move(entry));
  }
  if (out) {
    for (size_t k = 0; k < front.size(); ++k) {
      Graph folded = core.clone();  // without what another folding has set
      for (Node& node : folded.nodes) {
        for (const auto& [of, attrs] : front[k].folding) {
          if (of != node.name) continue;
          for (const auto& [attr, value] : attrs) node.attr[attr] = value;
        }
      }
      out->write(file_of(k), final_hw_config(folded).dump(2) + "\n");
    }
    out->write("index.html", front_page(name, front, part, clock_mhz));
    out->write(kFront, json.dump(2) + "\n");
    out->commit();
  }
  if (program.json) {
    std::cout << json.dump(2) << "\n";
    return kDone;
  }
  std::cout
      << fmt::format(
             "{} on {} at {} MHz; resources before queues, streamed weights in bits a cycle\n",
             name, part.name, clock_mhz)
      << fmt::format("{:>4}{:>15}{:>12}{:>12}{:>10}{:>10}{:>10}{:>7}{:>7}{:>9}\n", "", "frames/s",
                     "cycles", "latency", "LUT", "FF", "BRAM_18K", "URAM", "DSP", "streamed");
  for (size_t k = 0; k < front.size(); ++k) {
    const FrontPoint& point = front[k];
    std::cout << fmt::format("{:>4}{:>15.1f}{:>12}{:>12}{:>10}{:>10}{:>10}{:>7}{:>7}{:>9}\n", k + 1,
                             clock_mhz * 1e6 / static_cast<double>(point.cycles), point.cycles,
                             point.latency, ceiling(point.cost.lut), ceiling(point.cost.ff),
                             ceiling(point.cost.bram18), ceiling(point.cost.uram),
                             ceiling(point.cost.dsp), ceiling(point.cost.stream));
  }
  if (out) std::cout << fmt::format("foldings and index.html in '{}'\n", options.output);
  return kDone;
}

}  // namespace

void add_explore(Program& program) {
  const auto options = std::make_shared<Options>();
  const Command command = program.add_command(
      "explore", "What each rate costs on a part: foldings that no other beats.",
      "foldstream explore model.onnx --board pynq-z1 -o front",
      [&program, options] { return run(program, *options); });
  command.option("model", options->model, "ONNX or text form").required();
  command.option("-o,--output", options->output,
                 "a folder for a plot and the foldings, which --folding reads");
  command.option("--points", options->points, "about so many rates, evenly over their logarithm")
      .whole(2, 10000)
      .shows_default();
  add_device_options(command, options->design);
  add_weight_options(command, options->design);
  add_input_options(command, options->design);
}

}  // namespace foldstream
