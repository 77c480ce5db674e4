// SPDX-License-Identifier: Apache-2.0
#include "src/report/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "src/fold/finn_names.h"
#include "src/ir/op.h"
#include "src/report/numbers.h"
#include "src/report/weights.h"
#include "src/sim/queue_growth.h"
#include "src/sim/stream_graph.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr double kBramBits = 18 * 1024, kUramBits = 288 * 1024;
// Frames over which activity is counted, and the fewest; steps of the cycle model that they may
// take.
constexpr int64_t kFrames = 16, kFewestFrames = 2;
constexpr int64_t kMostWork = 40'000'000;
// Times of an interval at which the filling of queues is shown, and the beats a frame of a network
// for which it is.
constexpr int kFillTimes = 96;
constexpr int64_t kMostBeats = 500'000;

std::string types_of(const std::vector<Type>& types) {
  std::vector<std::string> names;
  for (const Type& type : types) names.push_back(to_string(type));
  return fmt::format("{}", fmt::join(names, ", "));
}

// Bits of the parameters counted under "param_weight_<bits>b".
double weight_bits(const ReportNode& node) {
  constexpr std::string_view kPrefix = "param_weight_";
  double bits = 0;
  for (const auto& [key, count] : node.counts) {
    if (key.starts_with(kPrefix))
      bits += std::atof(key.c_str() + kPrefix.size()) * static_cast<double>(count);
  }
  return bits;
}

// Multiplications of a frame.
double multiplications(const ReportNode& node) {
  double sum = 0;
  for (const auto& [key, count] : node.counts) {
    if (key.starts_with("op_mac_")) sum += static_cast<double>(count);
  }
  return sum;
}

// What is multiplied a frame, and on how many lanes.
struct Arithmetic {
  double work = 0, lanes = 0;
};
Arithmetic arithmetic_of(const Report& report) {
  Arithmetic sum;
  for (const ReportNode& node : report.nodes) {
    const double macs = multiplications(node);
    sum.work += macs;
    if (macs > 0) sum.lanes += macs / static_cast<double>(node.cycles);
  }
  return sum;
}

// Bits a frame that come in or go out.
double outside_bits(const Report& report, bool is_input) {
  double bits = 0;
  for (const ReportEdge& edge : report.edges) {
    if ((is_input ? edge.from : edge.to) != Report::kOutside) continue;
    bits += static_cast<double>(edge.stream.beats * edge.stream.width());
  }
  return bits;
}

// What alone would keep a frame for how long: the roofs of arithmetic, streams and memory port.
std::vector<ReportBound> bounds_of(const Report& report, int64_t port_bits) {
  std::vector<ReportBound> bounds;
  bounds.push_back({fmt::format("{}, the slowest node", report.nodes[report.slowest].name),
                    static_cast<double>(report.max_cycles)});
  // All that multiplies, if it were never idle: work could be shared out no better.
  const auto [work, lanes] = arithmetic_of(report);
  if (lanes > 0) {
    bounds.push_back({fmt::format("arithmetic: {} multiplications on {} lanes",
                                  grouped(std::llround(work)), grouped(std::llround(lanes))),
                      work / lanes});
  }
  for (const bool is_input : {true, false}) {
    const double bits = outside_bits(report, is_input);
    int64_t beats = 0;
    for (const ReportEdge& edge : report.edges) {
      if ((is_input ? edge.from : edge.to) != Report::kOutside) continue;
      beats = std::max(beats, edge.stream.beats);
    }
    const char* side = is_input ? "input" : "output";
    bounds.push_back({fmt::format("{} stream, a beat a cycle", side), static_cast<double>(beats)});
    if (port_bits > 0) {
      bounds.push_back({fmt::format("{} over the board's memory port of {} bits", side, port_bits),
                        std::ceil(bits / static_cast<double>(port_bits))});
    }
  }
  std::stable_sort(bounds.begin(), bounds.end(),
                   [](const ReportBound& a, const ReportBound& b) { return a.cycles > b.cycles; });
  return bounds;
}

// `streamed`: bits a second of weights.
std::optional<Roofline> roofline_of(const Report& report, const Board* board, double streamed) {
  const auto [work, lanes] = arithmetic_of(report);
  const double hertz = report.clock_mhz * 1e6, frames = report.frames_per_second();
  const double moved =
      frames * (outside_bits(report, true) + outside_bits(report, false)) + streamed;
  if (work == 0 || moved == 0) return std::nullopt;
  Roofline roofline{work * frames / moved, work * frames, {}};
  roofline.roofs.push_back(
      {fmt::format("the {} lanes of this design", grouped(std::llround(lanes))), false,
       lanes * hertz});
  double fullest = 0;
  for (const Use& use : report.uses) {
    if (use.available > 0) fullest = std::max(fullest, use.used / use.available);
  }
  if (fullest > 0 && fullest < 1) {
    roofline.roofs.push_back(
        {"as many more of them as the part holds", false, lanes * hertz / fullest});
  }
  if (board != nullptr && board->memory_gbits > 0) {
    roofline.roofs.push_back(
        {"the board's memory", true, kUsableMemory * board->memory_gbits * 1e9});
  } else if (board != nullptr && board->stream_bits > 0) {
    roofline.roofs.push_back(
        {"the port to memory, both ways", true, 2.0 * board->stream_bits * hertz});
  }
  return roofline;
}

int64_t all_beats(const StreamGraph& streams) {
  int64_t beats = 0;
  for (const StreamLink& link : streams.links) beats += link.stream.beats;
  return beats;
}

double efficiency(double bits, double blocks, double bits_of_block) {
  return blocks > 0 ? std::min(1.0, bits / (blocks * bits_of_block)) : 1.0;
}

}  // namespace

Report make_report(const Graph& core, const Part& part, const std::string& board,
                   double clock_mhz) {
  if (!(clock_mhz > 0)) throw Error(fmt::format("--clock: {} MHz is not positive", clock_mhz));
  Report report;
  report.title = core.name;
  report.board = board;
  report.part = part;
  report.clock_mhz = clock_mhz;

  const StreamGraph streams = stream_graph(core, part.family);
  int64_t steps = 0;
  for (const StreamBlock& block : streams.blocks) steps += block.rhythm.steps();
  SimOptions options;
  options.frames = std::clamp(kMostWork / std::max<int64_t>(steps, 1), kFewestFrames, kFrames);
  const SimResult run = simulate(streams, options);
  if (run.deadlock)
    throw Error("the design stops: " + run.deadlock->message(), remedy(streams, options.frames));
  report.latency_cycles = run.latency_cycles;
  // Where so few frames don't repeat yet: queues keep the rate of the slowest node (queues.h).
  int64_t slowest = 0;
  for (const StreamBlock& block : streams.blocks) slowest = std::max(slowest, block.rhythm.steps());
  report.interval_cycles = run.period_frames > 0
                               ? (run.period_cycles + run.period_frames - 1) / run.period_frames
                               : slowest;

  std::map<const Node*, size_t> row_of;
  // The row of a block's node; kOutside for sources and sinks.
  const auto row_of_block = [&](size_t b) {
    const auto it = row_of.find(streams.blocks[b].node);
    return it == row_of.end() ? Report::kOutside : it->second;
  };
  const auto names = finn_names(core);
  std::vector<int64_t> done(streams.blocks.size(), 0), path(streams.blocks.size(), 0);
  std::vector<size_t> column(streams.blocks.size(), 0);
  for (size_t b = 0; b < streams.blocks.size(); ++b) {
    const StreamBlock& block = streams.blocks[b];
    if (block.kind == StreamBlock::Kind::source) {
      done[b] = run.first_taken[block.out[0]];
      continue;
    }
    int64_t before = 0;
    for (size_t link : block.in) {
      const size_t from = streams.links[link].from;
      before = std::max(before, done[from]);
      path[b] = std::max(path[b], path[from]);
      const bool is_node = streams.blocks[from].kind == StreamBlock::Kind::node;
      column[b] = std::max(column[b], column[from] + (is_node ? 1 : 0));
    }
    if (block.kind == StreamBlock::Kind::writer) done[b] = before;  // part of its node
    if (block.kind != StreamBlock::Kind::node) continue;
    const Node& node = *block.node;
    ReportNode row;
    row.name = names[report.nodes.size()].first;
    FOLDSTREAM_CHECK(names[report.nodes.size()].second == &node);
    row.node = node.name;
    row.type = std::string(node.op->name);
    std::vector<Type> operands;
    for (size_t port = 0; port < node.in.size(); ++port) operands.push_back(node.in_type(port));
    row.in = types_of(operands);
    row.out = types_of(node.out);
    if (const auto pixels = node.integers("pixels", {}); !pixels.empty()) {
      row.folding.emplace_back("pixels", pixels.back());
    }
    if (node.op->folds != nullptr) {
      for (const Fold& fold : node.op->folds(node))
        row.folding.emplace_back(fold.attr, node.integer(fold.attr, fold.legal.front()));
    }
    row.cycles = block.rhythm.steps();
    row.depth = block.rhythm.depth;
    row.queue = block.rhythm.queue;
    for (size_t link : block.out) done[b] = std::max(done[b], run.last_visible[link]);
    row.latency = done[b] - before;
    row.activity = run.blocks[b];
    row.cost = node_cost(node, part.family);
    if (node.op->counts != nullptr) row.counts = node.op->counts(node);
    row.column = column[b];
    path[b] += row.cycles;
    report.critical_path_cycles = std::max(report.critical_path_cycles, path[b]);
    report.total += row.cost;
    if (row.cycles > report.max_cycles) {
      report.max_cycles = row.cycles;
      report.slowest = report.nodes.size();
    }
    row_of[block.node] = report.nodes.size();
    report.nodes.push_back(std::move(row));
  }
  SimResult filled;
  if (all_beats(streams) <= kMostBeats) {
    SimOptions fill;
    fill.frames = kFrames;
    fill.fill_times = kFillTimes;
    fill.interval = report.interval_cycles;
    filled = simulate(streams, fill);
  }
  for (size_t l = 0; l < streams.links.size(); ++l) {
    if (streams.is_ring(l)) continue;
    const StreamLink& link = streams.links[l];
    ReportEdge edge{row_of_block(link.from), row_of_block(link.to), link.stream, "", {}};
    if (!filled.fill.empty()) edge.fill = filled.fill[l];
    if (edge.from == Report::kOutside) edge.outside = streams.blocks[link.from].name;
    if (edge.to == Report::kOutside) edge.outside = streams.blocks[link.to].name;
    report.edges.push_back(std::move(edge));
  }
  report.bus = bus_cost(core, part.family);
  report.total += report.bus;
  report.uses = use_of(report.total, whole_of(part));
  const Board* const on = board.empty() ? nullptr : &find_board(board);
  report.bounds = bounds_of(report, on == nullptr ? 0 : on->stream_bits);
  report.roofline = roofline_of(
      report, on, weights_report(core, part.family, report.interval_cycles, clock_mhz, 0).mean);
  return report;
}

std::string Report::limit() const {
  const ReportNode& node = nodes[slowest];
  int64_t next = 0;
  size_t alike = 0;
  for (const ReportNode& other : nodes) {
    if (other.cycles == max_cycles)
      ++alike;
    else
      next = std::max(next, other.cycles);
  }
  std::string text;
  if (max_cycles == 1) {
    text = "Every node takes one cycle a frame: the clock alone limits the rate.";
  } else if (alike > 1) {
    text = fmt::format("{} nodes need {} cycles a frame each and set the rate together, {} first.",
                       alike, grouped(max_cycles), node.name);
  } else {
    text = fmt::format("{} needs {} cycles a frame and sets the rate.", node.name,
                       grouped(max_cycles));
  }
  if (next > 0) text += fmt::format(" The next slowest node needs {}.", grouped(next));
  const Use* tightest = nullptr;
  for (const Use& use : uses) {
    if (use.used <= 0) continue;
    if (tightest == nullptr || use.used * tightest->available > tightest->used * use.available)
      tightest = &use;
  }
  if (tightest != nullptr && tightest->available > 0) {
    text += fmt::format(" Of the part, {} is used most: {:.1f} %.", tightest->resource,
                        100 * tightest->used / tightest->available);
  }
  return text;
}

nlohmann::ordered_json estimate_layer_cycles(const Report& report) {
  nlohmann::ordered_json file = nlohmann::ordered_json::object();
  for (const ReportNode& node : report.nodes) file[node.name] = node.cycles;
  return file;
}

nlohmann::ordered_json estimate_layer_resources(const Report& report) {
  nlohmann::ordered_json file = nlohmann::ordered_json::object();
  const auto add = [&](const std::string& name, const Cost& cost, double bits) {
    file[name] = {{"BRAM_18K", ceiling(cost.bram18)},
                  {"BRAM_efficiency", efficiency(bits, cost.bram18, kBramBits)},
                  {"LUT", ceiling(cost.lut)},
                  {"FF", ceiling(cost.ff)},
                  {"URAM", ceiling(cost.uram)},
                  {"URAM_efficiency", efficiency(bits, cost.uram, kUramBits)},
                  {"DSP", ceiling(cost.dsp)}};
  };
  for (const ReportNode& node : report.nodes) add(node.name, node.cost, weight_bits(node));
  if (report.bus.lut > 0) add(kBus, report.bus, 0);
  nlohmann::ordered_json& total = file["total"];
  for (const char* key : {"BRAM_18K", "LUT", "FF", "URAM", "DSP"}) {
    double sum = 0;
    for (const auto& [name, entry] : file.items()) {
      if (name != "total") sum += entry[key].get<double>();
    }
    total[key] = sum;
  }
  return file;
}

nlohmann::ordered_json estimate_network_performance(const Report& report) {
  const double period_ns = 1e3 / report.clock_mhz;
  nlohmann::ordered_json file;
  file["critical_path_cycles"] = report.critical_path_cycles;
  file["max_cycles"] = report.max_cycles;
  file["max_cycles_node_name"] = report.nodes[report.slowest].name;
  file["estimated_throughput_fps"] =
      report.clock_mhz * 1e6 / static_cast<double>(report.max_cycles);
  file["estimated_latency_ns"] = static_cast<double>(report.critical_path_cycles) * period_ns;
  // FINN adds up whole nodes; these are exact, with nodes working at the same time.
  file["interval_cycles"] = report.interval_cycles;
  file["latency_cycles"] = report.latency_cycles;
  file["throughput_fps"] = report.frames_per_second();
  file["latency_ns"] = report.latency_ns();
  return file;
}

nlohmann::ordered_json op_and_param_counts(const Report& report) {
  nlohmann::ordered_json file = nlohmann::ordered_json::object();
  nlohmann::ordered_json total = nlohmann::ordered_json::object();
  for (const ReportNode& node : report.nodes) {
    nlohmann::ordered_json& entry = file[node.name] = nlohmann::ordered_json::object();
    for (const auto& [key, count] : node.counts) {
      entry[key] = count;
      total[key] = total.value(key, 0.0) + static_cast<double>(count);
    }
  }
  file["total"] = std::move(total);
  return file;
}

nlohmann::ordered_json queue_depths(const Report& report) {
  const QueueResult& queues = report.queues.value();
  FOLDSTREAM_CHECK(queues.depths.size() == report.nodes.size());
  nlohmann::ordered_json file;
  file["interval_cycles"] = queues.interval_cycles;
  file["price_in_luts"] = queues.price;
  file["cheapest_of_all"] = queues.cheapest;
  file["none_can_be_a_beat_less"] = queues.least();
  nlohmann::ordered_json& nodes = file["queues"] = nlohmann::ordered_json::object();
  for (size_t i = 0; i < report.nodes.size(); ++i) {
    const QueueDepth& depth = queues.depths[i];
    nlohmann::ordered_json& entry = nodes[report.nodes[i].name];
    entry = {{"node", depth.node}, {"beats", depth.beats}, {"why", why(depth)}};
    if (depth.reason != QueueDepth::Reason::slower) continue;
    entry["with_one_less"] = {{"nodes", depth.among}, {"cycles", depth.cycles}};
  }
  return file;
}

nlohmann::ordered_json rtlsim_performance(const Measured& measured, double clock_mhz) {
  const double second = clock_mhz * 1e6;
  const auto frames = static_cast<double>(measured.frames);
  nlohmann::ordered_json file;
  file["N_IN_TXNS"] = measured.beats_in;
  file["N_OUT_TXNS"] = measured.beats_out;
  file["cycles"] = measured.cycles;
  file["N"] = measured.frames;
  file["latency_cycles"] = measured.latency_cycles;
  file["interval_cycles"] = measured.interval_cycles;
  file["TIMEOUT"] = 0;
  file["UNFINISHED_INS"] = 0;
  file["UNFINISHED_OUTS"] = 0;
  file["runtime[ms]"] = static_cast<double>(measured.cycles) / second * 1e3;
  file["throughput[images/s]"] = frames * second / static_cast<double>(measured.cycles);
  file["fclk[mhz]"] = clock_mhz;
  // The steady rate is one frame an interval; FINN divides one frame too many by too few cycles.
  if (measured.interval_cycles > 0)
    file["stable_throughput[images/s]"] = second / static_cast<double>(measured.interval_cycles);
  return file;
}

std::map<std::string, std::string> report_files(const Report& report) {
  const auto text = [](const nlohmann::ordered_json& json) { return json.dump(2) + "\n"; };
  std::map<std::string, std::string> files = {
      {"estimate_layer_cycles.json", text(estimate_layer_cycles(report))},
      {"estimate_layer_resources.json", text(estimate_layer_resources(report))},
      {"estimate_network_performance.json", text(estimate_network_performance(report))},
      {"op_and_param_counts.json", text(op_and_param_counts(report))},
      {"index.html", report_html(report)}};
  if (report.queues) files["queue_depths.json"] = text(queue_depths(report));
  return files;
}

std::string report_text(const Report& report) {
  std::vector<std::vector<std::string>> rows{
      {"node", "folding", "cycles", "latency", "queue", "LUT", "FF", "BRAM", "DSP"}};
  for (const ReportNode& node : report.nodes) {
    std::vector<std::string> folding;
    for (const auto& [attr, value] : node.folding)
      folding.push_back(fmt::format("{}={}", attr, value));
    rows.push_back({node.name, fmt::format("{}", fmt::join(folding, " ")), grouped(node.cycles),
                    grouped(node.latency), grouped(node.queue), grouped(ceiling(node.cost.lut)),
                    grouped(ceiling(node.cost.ff)), grouped(ceiling(node.cost.bram18)),
                    grouped(ceiling(node.cost.dsp))});
  }
  if (report.bus.lut > 0) {
    rows.push_back({kBus, "", "", "", "", grouped(ceiling(report.bus.lut)),
                    grouped(ceiling(report.bus.ff)), grouped(ceiling(report.bus.bram18)),
                    grouped(ceiling(report.bus.dsp))});
  }
  rows.push_back({"total", "", grouped(report.max_cycles), grouped(report.latency_cycles), "",
                  grouped(ceiling(report.total.lut)), grouped(ceiling(report.total.ff)),
                  grouped(ceiling(report.total.bram18)), grouped(ceiling(report.total.dsp))});
  std::vector<size_t> width(rows[0].size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string text = fmt::format(
      "{} on {}{} at {:g} MHz: {} frames/s, one frame every {} cycles, latency {} cycles ({:.0f} "
      "ns)\n\n",
      report.title, report.board.empty() ? "" : report.board + ", ", report.part.name,
      report.clock_mhz, grouped(std::llround(report.frames_per_second())),
      grouped(report.interval_cycles), grouped(report.latency_cycles), report.latency_ns());
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t i = 0; i < rows[r].size(); ++i)
      line += i < 2 ? fmt::format("{:<{}}  ", rows[r][i], width[i])
                    : fmt::format("{:>{}}  ", rows[r][i], width[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    if (r + 1 == rows.size()) text += std::string(line.size(), '-') + "\n";
    text += line + "\n";
    if (r == 0) text += std::string(line.size(), '-') + "\n";
  }
  text += "\n";
  for (const Use& use : report.uses) {
    if (use.used <= 0) continue;
    text += fmt::format("{:<9}{:>10} of {:>10}  {:5.1f} %{}\n", use.resource,
                        grouped(ceiling(use.used)), grouped(ceiling(use.available)),
                        use.available > 0 ? 100 * use.used / use.available : 0.0,
                        use.fits() ? "" : "  does not fit");
  }
  text += report.limit() + "\n";
  for (const std::string& remark : report.remarks) text += "note: " + remark + "\n";
  return text;
}

}  // namespace foldstream
