// SPDX-License-Identifier: Apache-2.0
// What the arithmetic generators return, and the netlist under construction that they share: nets
// that know their pipeline stage, registers that bring nets to a later one, and a running count of
// what the cells cost.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "src/rtl/sv_module.h"

namespace foldstream::arith {

// What the generated structure is made for. Xilinx: table pairs with a carry chain (rtl/tech);
// every netlist also runs with the generic cells. Generic: plain additions, for families without
// such cells.
enum class Family { kXilinx, kGeneric };

// Counted from the cells used. `luts` counts a table pair once; what is left to synthesis is
// estimated.
struct Cost {
  double luts = 0;
  double flip_flops = 0;
  double carries = 0;         // blocks of four carry stages
  double block_memories = 0;  // of 18 Kbit
  double multipliers = 0;     // DSP blocks
  Cost& operator+=(const Cost& other);
};
Cost operator*(double times, Cost cost);

struct SvSource {
  std::string name;  // module, and file without .sv
  std::string text;
};

struct Generated {
  std::string name;               // the module to instantiate
  std::vector<SvSource> sources;  // one module each; `name` comes last
  std::vector<SvPort> ports;      // of `name`; has clk_i only where latency > 0
  int latency = 0;                // registers from any input to any output; the interval is 1
  Cost cost;

  const SvPort& port(const std::string& port_name) const;
};
// What a module is by itself, without latency and cost.
Generated alone(const SvModule& module);

// One bit which is valid `stage` clock edges after the inputs. Constants are valid in every stage.
struct Net {
  std::string name;
  int stage = 0;
  bool constant() const { return name[0] == '1'; }
  static Net zero() { return {"1'b0", 0}; }
  static Net one() { return {"1'b1", 0}; }
};

struct Vector {
  std::string name;
  std::vector<Net> bits;  // least significant first
};

class Circuit {
 public:
  Circuit(SvModule& module, Family family) : module_(module), family_(family) {}

  SvModule& module() { return module_; }
  Family family() const { return family_; }
  Cost& cost() { return cost_; }

  // A new scalar net.
  Net wire(const std::string& stem, int stage);
  // A new vector. A cell's outputs are one, not a net for each bit: simulators compute what drives
  // a vector once.
  Vector vector(const std::string& stem, int width, int stage);
  // `net` in `stage`, through registers as needed; asking again gives the same registers.
  Net delayed(const Net& net, int stage);
  // A vector through registers: `name` is valid in stage `from`; gives its name in stage `to`.
  std::string delayed(const std::string& name, int width, int from, int to);
  // The complement; asking again gives the same net.
  Net inverted(const Net& net);
  // Writes the registers. Call once, last.
  void finish();

  // A scalar or a concatenation with the most significant bit first, from bits least significant
  // first.
  static std::string concat(const std::vector<Net>& bits);

 private:
  struct Register {
    std::string target, value;
  };
  std::string registered(const std::string& name, int width, int stage);

  SvModule& module_;
  Family family_;
  Cost cost_;
  std::map<std::pair<std::string, int>, std::string> delays_;  // (name, further stages) -> name
  std::map<std::string, Net> inversions_;
  std::map<int, std::vector<Register>> registers_;  // by the stage they lead to
};

}  // namespace foldstream::arith
