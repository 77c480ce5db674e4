// SPDX-License-Identifier: Apache-2.0
// foldstream synth: size, clock and bitstream of a design by open tools.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iostream>
#include <limits>
#include <memory>

#include "src/backend/yosys.h"
#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/fold/finn_names.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/suggest.h"

namespace foldstream {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string folder, device;
  double clock_mhz = 0;
  int64_t seed = 1, limit = 1800;
  bool no_place = false;
};

// Short names for the part that stands for a family.
constexpr std::pair<std::string_view, std::string_view> kDevices[] = {
    {"xc7", "xc7z020clg400-1"},       {"xcup", "xczu3eg-sbva484-1-e"}, {"ecp5", "LFE5U-45F"},
    {"ecp5-45k", "LFE5U-45F"},        {"ecp5-85k", "LFE5U-85F"},       {"ice40", "iCE40HX8K"},
    {"gowin", "GW1NR-LV9QN88PC6/I5"}, {"gatemate", "CCGM1A1"}};

const Part& device_part(const std::string& name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  for (const auto& [device, part] : kDevices) {
    if (lower == device) return find_part(part);
  }
  for (const Part& part : parts()) {
    if (part.name == name) return part;
  }
  std::vector<std::string> names;
  for (const auto& [device, part] : kDevices) names.emplace_back(device);
  throw Error(fmt::format("there is no device '{}'", name),
              fmt::format("a device is the name of a part or one of {}", fmt::join(names, ", ")));
}

// FINN's schema of post_synth_resources.json. A block of 36 Kbit counts as two of 18.
Json finn_resources(const Resources& used) {
  return {{"LUT", used.lut},
          {"SRL", used.srl},
          {"FF", used.ff},
          {"BRAM_36K", 0},
          {"BRAM_18K", std::ceil(used.bram18)},
          {"URAM", used.uram},
          {"DSP", used.dsp}};
}

int run(const Program& program, const Options& options) {
  const Part& part = device_part(options.device);
  const Built built = load_hardware(options.folder);
  // Another family's cells need another netlist of the same graph.
  const bool same = part.family == built.part->family;
  const Design design =
      same ? read_design(options.folder, built) : stitch(built.parts.core, part.family);
  const fs::path folder = fs::path(options.folder) / "synth" / options.device;
  const SynthesisResult result =
      synthesize(design, part,
                 {.clock_mhz = options.clock_mhz > 0 ? options.clock_mhz : built.clock_mhz,
                  .seed = options.seed,
                  .place = !options.no_place,
                  .limit = std::chrono::seconds(options.limit)},
                 folder);

  Json report = {{"(top)", finn_resources(result.total)}};
  std::map<std::string, std::string> finn;
  for (const auto& [name, node] : finn_names(built.parts.core)) finn[node->name] = name;
  for (const auto& [name, used] : result.nodes) {
    const auto found = finn.find(name);  // memories that nodes share are no node
    report[found == finn.end() ? name : found->second] = finn_resources(used);
  }
  write_file(fs::path(options.folder) / "report" / "post_synth_resources.json",
             report.dump(2) + "\n");

  const bool wanted_place = !options.no_place && part.family == Family::generic;
  const int status = wanted_place && !result.fmax_mhz ? kAnswerIsNo : kDone;
  if (program.json) {
    Json json = {{"device", std::string(part.name)},
                 {"LUT", result.total.lut},
                 {"FF", result.total.ff},
                 {"BRAM_18K", std::ceil(result.total.bram18)},
                 {"DSP", result.total.dsp},
                 {"fmax_mhz", nullptr},
                 {"bitstream", nullptr}};
    if (result.fmax_mhz) json["fmax_mhz"] = *result.fmax_mhz;
    if (result.bitstream) json["bitstream"] = result.bitstream->string();
    if (!result.unplaced.empty()) json["unplaced"] = result.unplaced;
    Json nodes = Json::object();
    for (const auto& [name, used] : result.nodes) {
      nodes[name] = {
          {"LUT", used.lut}, {"FF", used.ff}, {"BRAM_18K", used.bram18}, {"DSP", used.dsp}};
    }
    json["nodes"] = nodes;
    std::cout << json.dump(2) << "\n";
    return status;
  }
  std::cout << fmt::format("{:32} {:>8} {:>8} {:>8} {:>6}\n", std::string(part.name), "LUT", "FF",
                           "BRAM_18K", "DSP");
  const auto row = [](const std::string& name, const Resources& used) {
    std::cout << fmt::format("{:32} {:>8} {:>8} {:>8} {:>6}\n", name, used.lut, used.ff,
                             std::ceil(used.bram18), used.dsp);
  };
  for (const auto& [name, used] : result.nodes) row(name, used);
  row("total", result.total);
  if (result.fmax_mhz) {
    std::cout << fmt::format("{:.1f} MHz after place and route (seed {})\n", *result.fmax_mhz,
                             options.seed);
  }
  if (result.bitstream) std::cout << "bitstream: " << result.bitstream->string() << "\n";
  if (!result.unplaced.empty()) std::cout << "no clock: " << result.unplaced << "\n";
  return status;
}

}  // namespace

void add_synth(Program& program) {
  const auto options = std::make_shared<Options>();
  const Command command = program.add_command(
      "synth", "Size, clock and bitstream of a design by open tools.",
      "foldstream synth out --device ecp5", [&program, options] { return run(program, *options); });
  command.option("folder", options->folder, "a folder that build wrote").required();
  std::string names;
  for (const auto& [device, part] : kDevices) {
    names += (names.empty() ? "" : ", ") + std::string(device);
  }
  command.option("--device", options->device, names + ", or the name of a part").required();
  command.option("--clock", options->clock_mhz, "MHz to aim for; that of the build by default")
      .between(1, 2000);
  command.option("--seed", options->seed, "of the placer")
      .whole(0, std::numeric_limits<int32_t>::max())
      .shows_default();
  command.option("--limit", options->limit, "seconds for each program")
      .whole(1, 1000000)
      .shows_default();
  command.flag("--no-place", options->no_place, "count resources only");
}

}  // namespace foldstream
