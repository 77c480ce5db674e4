// SPDX-License-Identifier: Apache-2.0
// Resources of a graph, and whether a part holds them.
#pragma once

#include <string>
#include <vector>

#include "src/boards/boards.h"
#include "src/ir/graph.h"
#include "src/ir/hardware.h"

namespace foldstream {

// Zero for nodes that are no hardware.
Cost node_cost(const Node& node, Family family);
// Not above it, and quick.
Cost least_node_cost(const Node& node, Family family);
// The bus by which memories are written; zero where there are none.
Cost bus_cost(const Graph& graph, Family family);
// All nodes and the bus.
Cost total_cost(const Graph& graph, Family family);

// One resource of a design on a part.
struct Use {
  std::string resource;  // "LUT", "FF", "BRAM_18K", "URAM", "DSP"
  double used = 0;
  double available = 0;
  bool fits() const { return used <= available; }
};

// What a part has; `share` is how much of it may be used, 0 to 1.
Cost whole_of(const Part& part, double share = 1);

// Every resource, in this order.
std::vector<Use> use_of(const Cost& cost, const Cost& available);
bool fits(const Cost& cost, const Cost& available);
// "LUT 61000 of 53200, DSP 240 of 220"; empty when everything fits.
std::string exceeded(const Cost& cost, const Cost& available);

// What a unit of each resource is worth, to compare designs that trade one for another.
struct Price {
  double lut = 0, ff = 0, bram18 = 0, uram = 0, dsp = 0;
  double of(const Cost& cost) const;
};

// The share of the part that a unit takes; infinite for what the part doesn't have.
Price price_on(const Part& part);

}  // namespace foldstream
