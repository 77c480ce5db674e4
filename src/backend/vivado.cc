// SPDX-License-Identifier: Apache-2.0
#include "src/backend/vivado.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "src/rtl/library.h"
#include "src/util/embedded.h"

namespace foldstream {
namespace {

constexpr std::string_view kScripts = "src/backend/embedded/vivado/";

// A list as Tcl has them, an entry a line. Paths here are made of words, dots and slashes alone.
std::string tcl_list(const std::vector<std::string>& entries) {
  return entries.empty() ? "{}" : fmt::format("{{\n  {}\n}}", fmt::join(entries, "\n  "));
}

// The interfaces of a top, by what its ports have in common: "s_axis" of s_axis_tvalid.
std::vector<std::string> interfaces(const std::vector<SvPort>& ports) {
  std::vector<std::string> found;
  for (const SvPort& port : ports) {
    for (const std::string_view end : {"_tvalid", "_arvalid", "_awvalid"}) {
      if (!port.name.ends_with(end)) continue;
      const std::string prefix = port.name.substr(0, port.name.size() - end.size());
      if (std::find(found.begin(), found.end(), prefix) == found.end()) found.push_back(prefix);
    }
  }
  return found;
}

// Block designs and packaged IP take no top in SystemVerilog.
std::string wrapper(const std::string& name, const std::string& inside,
                    const std::vector<SvPort>& ports) {
  std::vector<std::string> lines, connections;
  for (const SvPort& port : ports) {
    std::string attributes;
    if (port.name == "aclk") {
      attributes = fmt::format(
          "  (* X_INTERFACE_INFO = \"xilinx.com:signal:clock:1.0 aclk CLK\" *)\n"
          "  (* X_INTERFACE_PARAMETER = \"ASSOCIATED_BUSIF {}, ASSOCIATED_RESET aresetn\" *)\n",
          fmt::join(interfaces(ports), ":"));
    } else if (port.name == "memory_aclk") {
      attributes = "  (* X_INTERFACE_INFO = \"xilinx.com:signal:clock:1.0 memory_aclk CLK\" *)\n";
    } else if (port.name == "aresetn") {
      attributes =
          "  (* X_INTERFACE_INFO = \"xilinx.com:signal:reset:1.0 aresetn RST\" *)\n"
          "  (* X_INTERFACE_PARAMETER = \"POLARITY ACTIVE_LOW\" *)\n";
    }
    const std::string range = port.width == 1 ? "" : fmt::format(" [{}:0]", port.width - 1);
    lines.push_back(fmt::format("{}  {} wire{} {}", attributes, port.output ? "output" : "input ",
                                range, port.name));
    connections.push_back(fmt::format("    .{0}({0})", port.name));
  }
  return fmt::format(
      "// SPDX-License-Identifier: Apache-2.0\n"
      "// {1} for block designs, in Verilog as they want it.\n"
      "module {0} (\n{2}\n);\n  {1} u_top (\n{3}\n  );\nendmodule\n",
      name, inside, fmt::join(lines, ",\n"), fmt::join(connections, ",\n"));
}

}  // namespace

std::map<std::string, std::string> vivado_files(const Design& design,
                                                const std::optional<Accelerator>& accelerator,
                                                const Part& part, const Board* board,
                                                double clock_mhz) {
  std::map<std::string, std::string> files;
  if (part.family == Family::generic) return files;
  const std::string top = design.name + "_ip", stream_top = design.name + "_axis";
  files[top + ".v"] = accelerator ? wrapper(top, accelerator->name, accelerator->ports)
                                  : wrapper(top, stream_top, design.axis_ports);
  std::vector<std::string> sources, memories;
  for (const std::string& path : design.sources(Family::xilinx))
    sources.push_back("../rtl/" + path);
  for (const std::string& path : design.memories()) memories.push_back("../rtl/" + path);
  if (accelerator) {
    for (const auto& [path, text] : accelerator->files) {
      const bool is_other = path.starts_with(kGenericCells) || design.files.contains(path);
      if (path.ends_with(".sv") && !is_other) sources.push_back("../rtl/" + path);
    }
  }
  sources.push_back(top + ".v");

  std::string text =
      "# SPDX-License-Identifier: Apache-2.0\n"
      "# The design, for the scripts of this folder.\n";
  const auto set = [&](const char* name, const std::string& value) {
    text += fmt::format("set {} {}\n", name, value);
  };
  set("name", design.name);
  set("top", top);
  set("stream_top", stream_top);
  set("part", std::string(part.name));
  set("clock_mhz", fmt::format("{}", clock_mhz));
  set("memory_clock_ratio", std::to_string(design.memory_clock_ratio));
  set("include_folders", "../rtl/lib");
  set("sources", tcl_list(sources));
  set("memories", tcl_list(memories));
  const bool has_system = accelerator && board != nullptr && board->shell == Shell::zynq;
  if (has_system) {
    std::vector<std::string> frames, weights;
    for (const Mover& mover : accelerator->movers) {
      auto& of = mover.kind == Mover::Kind::weights ? weights : frames;
      if (std::find(of.begin(), of.end(), mover.port) == of.end()) of.push_back(mover.port);
    }
    set("processor", part.architecture == "7series" ? "zynq" : "zynq_ultrascale");
    set("board_files", std::string(board->vendor_files));
    if (board->crystal_mhz > 0) set("crystal_mhz", fmt::format("{}", board->crystal_mhz));
    set("frame_masters", tcl_list(frames));
    set("weight_masters", tcl_list(weights));
  }
  files["design.tcl"] = text;
  for (const char* script : {"common.tcl", "package_ip.tcl", "out_of_context.tcl", "system.tcl"}) {
    if (!has_system && std::string_view(script) == "system.tcl") continue;
    files[script] = std::string(embedded_file(fmt::format("{}{}", kScripts, script)));
  }
  return files;
}

}  // namespace foldstream
