// SPDX-License-Identifier: Apache-2.0
#include "src/boards/boards.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "src/util/error.h"
#include "src/util/suggest.h"

namespace foldstream {
namespace {

constexpr Family kXilinx = Family::xilinx;
constexpr Family kUltrascale = Family::ultrascale;
constexpr Family kGeneric = Family::generic;

constexpr Part kParts[] = {
    // Zynq-7000, Zynq UltraScale+, RFSoC, Kria. Two 18 Kbit halves to a block memory.
    {"xc7z020clg400-1", "7series", kXilinx, 6, 53200, 106400, 280, 0, 220},
    {"xczu3eg-sbva484-1-e", "ultrascale_plus", kUltrascale, 6, 70560, 141120, 432, 0, 360},
    {"xczu3eg-sfvc784-2-e", "ultrascale_plus", kUltrascale, 6, 70560, 141120, 432, 0, 360},
    {"xczu9eg-ffvb1156-2-e", "ultrascale_plus", kUltrascale, 6, 274080, 548160, 1824, 0, 2520},
    {"xczu7ev-ffvc1156-2-e", "ultrascale_plus", kUltrascale, 6, 230400, 460800, 624, 96, 1728},
    {"xczu28dr-ffvg1517-2-e", "ultrascale_plus", kUltrascale, 6, 425280, 850560, 2160, 80, 4272},
    {"xczu48dr-ffvg1517-2-e", "ultrascale_plus", kUltrascale, 6, 425280, 850560, 2160, 80, 4272},
    {"xck26-sfvc784-2LV-c", "ultrascale_plus", kUltrascale, 6, 117120, 234240, 288, 64, 1248},
    // Alveo.
    {"xcu50-fsvh2104-2L-e", "ultrascale_plus", kUltrascale, 6, 871680, 1743360, 2688, 640, 5952},
    {"xcu55c-fsvh2892-2L-e", "ultrascale_plus", kUltrascale, 6, 1303680, 2607360, 4032, 960, 9024},
    {"xcu200-fsgd2104-2-e", "ultrascale_plus", kUltrascale, 6, 1182240, 2364480, 4320, 960, 6840},
    {"xcu250-figd2104-2L-e", "ultrascale_plus", kUltrascale, 6, 1728000, 3456000, 5376, 1280,
     12288},
    {"xcu280-fsvh2892-2L-e", "ultrascale_plus", kUltrascale, 6, 1303680, 2607360, 4032, 960, 9024},
    // Versal.
    {"xcve2802-vsvh1760-2MP-e-S", "versal", kUltrascale, 6, 520704, 1041408, 1200, 264, 1312},
    {"xcvc1902-vsva2197-2MP-e-S", "versal", kUltrascale, 6, 899840, 1799680, 1934, 463, 1968},
    {"xcv80-lsva4737-2MHP-e-S", "versal", kUltrascale, 6, 2574208, 5148416, 7482, 1925, 10848},
    // Lattice ECP5: embedded memories of 18 Kbit, DSPs counted as 18x18 multipliers.
    {"LFE5U-25F", "ecp5", kGeneric, 4, 24288, 24288, 56, 0, 28},
    {"LFE5U-45F", "ecp5", kGeneric, 4, 43848, 43848, 108, 0, 72},
    {"LFE5U-85F", "ecp5", kGeneric, 4, 83640, 83640, 208, 0, 156},
    // Lattice iCE40: 32 memories of 4 Kbit, no DSP.
    {"iCE40HX8K", "ice40", kGeneric, 4, 7680, 7680, 7, 0, 0},
    // Gowin: 26 memories of 18 Kbit, 18x18 multipliers.
    {"GW1NR-LV9QN88PC6/I5", "gowin", kGeneric, 4, 8640, 6480, 26, 0, 20},
    // GateMate: 20480 elements, counted by halves (a LUT tree of four inputs and a register each);
    // 32 memories of 40 Kbit, no DSP.
    {"CCGM1A1", "gatemate", kGeneric, 4, 40960, 40960, 71, 0, 0},
};

// Ports beside that for frames: three of a Zynq's four high-performance ports, one for each bank of
// DDR memory, 512 bits for two channels of HBM. Rates from the boards' data sheets: bits of the
// data bus times transfers a second.
constexpr Board kBoards[] = {
    {"Pynq-Z1", "xc7z020clg400-1", Shell::zynq, 64, 3, 16.8, "pynq-z1", 50},
    {"Pynq-Z2", "xc7z020clg400-1", Shell::zynq, 64, 3, 16.8, "pynq-z2", 50},
    {"Ultra96", "xczu3eg-sbva484-1-e", Shell::zynq, 128, 0, 0, "ultra96v1"},
    {"Ultra96-V2", "xczu3eg-sbva484-1-e", Shell::zynq, 128, 0, 0, "ultra96v2"},
    {"ZCU102", "xczu9eg-ffvb1156-2-e", Shell::zynq, 128, 3, 136.5, "zcu102"},
    {"ZCU104", "xczu7ev-ffvc1156-2-e", Shell::zynq, 128, 3, 153.6, "zcu104"},
    {"ZCU111", "xczu28dr-ffvg1517-2-e", Shell::zynq, 128, 0, 0, "zcu111"},
    {"RFSoC2x2", "xczu28dr-ffvg1517-2-e", Shell::zynq, 128, 0, 0, "rfsoc2x2"},
    {"RFSoC4x2", "xczu48dr-ffvg1517-2-e", Shell::zynq, 128, 0, 0, "rfsoc4x2"},
    {"KV260_SOM", "xck26-sfvc784-2LV-c", Shell::zynq, 128, 3, 153.6, "kv260_som"},
    {"AUP-ZU3_8GB", "xczu3eg-sfvc784-2-e", Shell::zynq, 128, 0, 0, "aup-zu3-8gb"},
    {"U50", "xcu50-fsvh2104-2L-e", Shell::alveo, 512, 16, 2528},
    {"U55C", "xcu55c-fsvh2892-2L-e", Shell::alveo, 512, 16, 3680},
    {"U200", "xcu200-fsgd2104-2-e", Shell::alveo, 512, 4, 614.4},
    {"U250", "xcu250-figd2104-2L-e", Shell::alveo, 512, 4, 614.4},
    {"U280", "xcu280-fsvh2892-2L-e", Shell::alveo, 512, 16, 3680},
    {"VEK280", "xcve2802-vsvh1760-2MP-e-S", Shell::none, 0},
    {"VCK190", "xcvc1902-vsva2197-2MP-e-S", Shell::none, 0},
    {"V80", "xcv80-lsva4737-2MHP-e-S", Shell::none, 0},
    {"ecp5-25k", "LFE5U-25F", Shell::none, 0},
    {"ecp5-45k", "LFE5U-45F", Shell::none, 0},
    {"ecp5-85k", "LFE5U-85F", Shell::none, 0},
    {"ice40-hx8k", "iCE40HX8K", Shell::none, 0},
    {"tangnano9k", "GW1NR-LV9QN88PC6/I5", Shell::none, 0},
    {"gatemate-a1", "CCGM1A1", Shell::none, 0},
};

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

template <class Entry>
const Entry& find(std::span<const Entry> table, std::string_view wanted, std::string_view what,
                  std::string_view whose) {
  const std::string want = lower(wanted);
  std::vector<const Entry*> longer;
  std::vector<std::string> names;
  for (const Entry& entry : table) {
    const std::string name = lower(entry.name);
    if (name == want) return entry;
    if (!want.empty() && name.starts_with(want)) longer.push_back(&entry);
    names.emplace_back(entry.name);
  }
  if (longer.size() == 1) return *longer.front();
  if (longer.size() > 1) {
    names.clear();
    for (const Entry* entry : longer) names.emplace_back(entry->name);
    throw Error(fmt::format("{} '{}' is the beginning of several names", what, wanted),
                did_you_mean(wanted, names));
  }
  throw Error(fmt::format("{}: no {} is called '{}'", whose, what, wanted),
              did_you_mean(wanted, names));
}

}  // namespace

std::span<const Part> parts() { return kParts; }
std::span<const Board> boards() { return kBoards; }

double weight_bandwidth(const Board& board, double clock_mhz) {
  const double ports = board.weight_ports * board.stream_bits * clock_mhz * 1e6;
  return std::min(ports, kUsableMemory * board.memory_gbits * 1e9);
}

const Part& find_part(std::string_view name) { return find(parts(), name, "part", "--part"); }
const Board& find_board(std::string_view name) { return find(boards(), name, "board", "--board"); }

}  // namespace foldstream
