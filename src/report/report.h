// SPDX-License-Identifier: Apache-2.0
// What is known about a folded design before it is synthesized: cycles, latency, resources, node by
// node. Gathered once, then written as FINN's JSON files, as a table and as a page. Equal designs
// give equal bytes.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "src/boards/boards.h"
#include "src/cost/cost.h"
#include "src/fold/queues.h"
#include "src/ir/graph.h"
#include "src/ir/hardware.h"
#include "src/report/roofline.h"
#include "src/sim/cycle_model.h"

namespace foldstream {

struct ReportNode {
  std::string name;     // as FINN's files call it
  std::string node;     // of the graph
  std::string type;     // the operator
  std::string in, out;  // types of operands and results
  std::vector<std::pair<std::string, int64_t>> folding;
  int64_t cycles = 0;  // a frame, never waiting
  int64_t depth = 0, queue = 0;
  int64_t latency = 0;  // that it adds to the latency of the network's first frame
  Activity activity;    // over the steady state's frames
  Cost cost;
  std::map<std::string, int64_t> counts;
  size_t column = 0;  // longest way from an input, in nodes
};

struct ReportEdge {
  size_t from, to;  // nodes; inputs and outputs are kOutside
  Stream stream;
  std::string outside;       // name of the graph's input or output
  std::vector<double> fill;  // beats waiting in it over one interval; none for large networks
};

// Something that alone would keep a frame for so many cycles.
struct ReportBound {
  std::string what;
  double cycles = 0;
};

// What the bus is called beside the nodes, after its port.
inline constexpr const char* kBus = "s_axilite";

struct Report {
  static constexpr size_t kOutside = SIZE_MAX;

  std::string title;
  std::string board;  // empty when only a part was named
  Part part;
  double clock_mhz = 0;
  std::vector<ReportNode> nodes;
  std::vector<ReportEdge> edges;
  Cost bus;  // to memories that can be written; no node's
  Cost total;
  std::vector<Use> uses;
  int64_t max_cycles = 0;                           // of the slowest node
  size_t slowest = 0;                               // node
  int64_t interval_cycles = 0, latency_cycles = 0;  // by the cycle model
  int64_t critical_path_cycles = 0;  // as FINN defines it: no two nodes of a path work at once
  std::vector<std::string> remarks;  // of the folding, warnings first
  // Of the nodes, in their order, where the depths were chosen for this design.
  std::optional<QueueResult> queues;

  double frames_per_second() const {
    return clock_mhz * 1e6 / static_cast<double>(interval_cycles);
  }
  double latency_ns() const { return static_cast<double>(latency_cycles) * 1e3 / clock_mhz; }
  std::vector<ReportBound> bounds;   // the highest first
  std::optional<Roofline> roofline;  // none where nothing is multiplied
  // One or two sentences: what would have to change for the design to be faster.
  std::string limit() const;
};

// `core` is folded and holds its stream nodes and queues. Throws Error on a clock that isn't
// positive and on a design that can't run (deadlock).
Report make_report(const Graph& core, const Part& part, const std::string& board, double clock_mhz);

// FINN's files.
nlohmann::ordered_json estimate_layer_cycles(const Report& report);
nlohmann::ordered_json estimate_layer_resources(const Report& report);
nlohmann::ordered_json estimate_network_performance(const Report& report);
nlohmann::ordered_json op_and_param_counts(const Report& report);

// Ours: each queue's depth with the reason why it isn't less; the report must have its queues.
nlohmann::ordered_json queue_depths(const Report& report);

// A simulation of the RTL.
struct Measured {
  int64_t frames = 0, beats_in = 0, beats_out = 0;
  int64_t cycles = 0, latency_cycles = 0, interval_cycles = 0;
};
nlohmann::ordered_json rtlsim_performance(const Measured& measured, double clock_mhz);

// FINN's estimates, depths of queues, the page: name below report/ -> text.
std::map<std::string, std::string> report_files(const Report& report);

// For a terminal.
std::string report_text(const Report& report);

// A page that needs nothing else: report/index.html.
std::string report_html(const Report& report);

}  // namespace foldstream
