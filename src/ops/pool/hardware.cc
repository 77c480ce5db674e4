// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/ir/folding.h"
#include "src/ir/graph.h"
#include "src/ir/steps.h"
#include "src/ops/pool/pool.h"
#include "src/rtl/block.h"
#include "src/rtl/walk.h"

namespace foldstream::pool {
namespace {

// One direction as the steps walk along it. Of the places after the frame they visit those in which
// windows end.
struct Line {
  int64_t size, kernel, stride, before, windows;
  int64_t in_flight;     // windows between two places
  int64_t places;        // visited
  bool cut_off = false;  // the last window ends with the frame, before its own last place

  Line(const window::Axis& axis, bool sums_padding)
      : size(axis.size),
        kernel(axis.kernel),
        stride(axis.stride),
        before(axis.before),
        windows(axis.windows()) {
    if (windows == 1) stride = std::max(stride, kernel);
    in_flight = (kernel - 1 + stride - 1) / stride;
    places = std::max(size, last_end() + 1);
    // Where it is the only one beyond the frame and already in its last place among those in
    // flight, it needs no step of its own.
    const int64_t begin = last_end() - kernel + 1;
    cut_off = places > size && !sums_padding && begin <= size - 2 &&
              (size - 2 - begin) / stride == in_flight - 1 &&
              (windows == 1 || last_end() - stride < size - 1);
    if (cut_off) places = size;
  }

  int64_t first_end() const { return kernel - 1 - before; }
  int64_t last_end() const { return first_end() + (windows - 1) * stride; }
  bool ends(int64_t place) const {
    if (cut_off && place == size - 1) return true;
    return place >= first_end() && place <= last_end() && (place - first_end()) % stride == 0;
  }
  bool counts_phases() const { return stride > 1 && windows > 1; }
};

struct Plan {
  Stream in, out;
  int64_t folds;  // beats of a pixel
  Line rows, columns;
  Type row_type;  // of results of a row

  bool has(const Line& line) const { return line.kernel > 1; }
  int64_t stages() const { return has(rows) && has(columns) ? 2 : 1; }
  int64_t row_depth() const { return columns.windows * folds; }
};

Plan plan(const Node& node) {
  window::Geometry g = geometry(node);
  const Type &in = node.in_type(0), &out = node.out[0];
  const bool sums = function(node) == Function::sum, sums_padding = sums && g.pad_value != 0;
  // Windows as wide as the frame run over its pixels as one line.
  if (g.columns.kernel == g.columns.size && !g.columns.padded()) {
    const int64_t width = g.columns.size;
    g.columns = {.size = g.rows.size * width,
                 .kernel = g.rows.kernel * width,
                 .stride = g.rows.stride * width,
                 .before = g.rows.before * width,
                 .after = g.rows.after * width};
    g.rows = {};
  }
  const int64_t pe = folding(node, "pe", g.channels, "channels");
  return {.in = {pe, in.bits, in.count() / pe},
          .out = {pe, out.bits, out.count() / pe},
          .folds = g.channels / pe,
          .rows = Line(g.rows, sums_padding),
          .columns = Line(g.columns, sums_padding),
          .row_type =
              sums ? sum_type(g, g.columns.kernel, {}) : integer_type(in.bits, in.is_signed, {})};
}

bool block_memory(int64_t depth) { return depth > kLutQueueDepth; }

// A chain of table pairs; up to two bits the tables that choose compare, too, and share what they
// find.
double compare_luts(const Type& type) {
  return type.bits == 1 ? 0 : type.bits == 2 ? -0.4 : (type.bits + 1) / 2;
}

// The results in flight, and where they are kept from place to place.
Cost line_cost(Function function, const Line& line, int64_t depth, int64_t lanes,
               const Type& element, const Type& type) {
  const auto many = static_cast<double>(lanes), bits = static_cast<double>(type.bits);
  const bool apart = line.kernel <= line.stride;
  Cost cost = fold_counter_cost(depth);
  int64_t held = 0;
  for (int64_t window = 0; window < line.in_flight; ++window) {
    // Where all begin at each place, the highest bits of those of few places are zero.
    Type own = type;
    if (function == Function::sum && line.stride == 1 && !type.is_signed) {
      own.bits = static_cast<int>(std::min<int64_t>(type.bits, element.bits + window));
    }
    const auto own_bits = static_cast<double>(own.bits);
    held += lanes * own.bits;
    // The result with this place.
    if (function == Function::sum) {
      cost.lut += many * (apart ? bits : adder_luts(element, own, type.bits));
    } else {
      cost.lut += many * (bits + compare_luts(type));
    }
    // The youngest begins anew with every place, or goes on or begins; an older one may move up
    // besides. Where all begin at each place, a result that moves up is chosen in its own tables.
    if (apart || (line.stride == 1 && (window == 0 || function != Function::sum))) continue;
    // A register is cleared above the element.
    cost.lut +=
        many * (depth == 1 && window == 0 ? std::min<double>(element.bits, own_bits) : own_bits);
  }
  const auto width = static_cast<double>(held);
  if (depth == 1) {
    cost.ff += width;
  } else {
    cost += block_memory(depth) ? memory_cost(held, depth) : one_port_memory_cost(held, depth);
    if (block_memory(depth)) {
      // The place that is written, and the word read where block memory hasn't a register for it.
      cost.ff += fold_counter_cost(depth).ff;
      if (cost.bram18 == 0) cost.ff += width;
    }
  }
  return cost;
}

// Where a step is along a direction, and whether a window begins there or ends.
Cost place_cost(const Line& line) {
  Cost cost = counter_cost(line.places);
  if (line.counts_phases()) cost += counter_cost(line.stride);
  cost.lut += 2;
  return cost;
}

}  // namespace

Ports ports(const Node& node) {
  const Plan p = plan(node);
  return {.in = {p.in}, .out = {p.out}};
}

Rhythm rhythm(const Node& node, Family) {
  const Plan p = plan(node);
  // Rows within the frame or after it, in which windows end or don't.
  std::vector<std::vector<Phase>> kinds(4);
  for (const bool inside : {false, true}) {
    for (const bool ends : {false, true}) {
      std::vector<Phase>& phases = kinds[2 * inside + ends];
      for (int64_t place = 0; place < p.columns.places; ++place) {
        add_steps(phases,
                  {p.folds, inside && place < p.columns.size, ends && p.columns.ends(place)});
      }
    }
  }
  std::vector<int> order;
  for (int64_t row = 0; row < p.rows.places; ++row) {
    order.push_back(2 * (row < p.rows.size) + p.rows.ends(row));
  }
  Rhythm rhythm{.frame = repeated(blocks_of_rows(kinds, order), node.in_type(0).shape[0])};
  finish_steps(node, p.stages(), rhythm);
  return rhythm;
}

Cost cost(const Node& node, Family family) {
  const Plan p = plan(node);
  Cost cost = queue_cost(rhythm(node, family), p.out.width());
  const Function function = pool::function(node);
  int64_t stage = 0;
  for (const bool is_row : {false, true}) {
    const Line& line = is_row ? p.rows : p.columns;
    cost += place_cost(line);
    if (!p.has(line)) continue;
    cost += is_row ? line_cost(function, line, p.row_depth(), p.in.lanes,
                               p.has(p.columns) ? p.row_type : node.in_type(0), node.out[0])
                   : line_cost(function, line, p.folds, p.in.lanes, node.in_type(0), p.row_type);
    // Whether a window begins, at the frame's first place or at another, inside of the frame or
    // not, goes with the beat through the stages.
    const int flags = 1 + (line.stride > 1 ? 1 : 0) + (line.places > line.size ? 1 : 0);
    cost.ff += static_cast<double>(++stage * flags);
  }
  cost += counter_cost(p.folds);
  cost.lut += 3;
  // The beat, the bits that say what it does and when a result is given.
  cost.ff += static_cast<double>(p.in.width() + 1 + p.stages());
  if (p.stages() == 2) cost.ff += static_cast<double>(p.in.lanes * p.row_type.bits) + 2;
  return cost;
}

namespace {

class Emitter {
 public:
  Emitter(const Node& node, Family family, const std::string& instance)
      : node_(node),
        plan_(plan(node)),
        steps_(rhythm(node, family)),
        module_(instance,
                fmt::format("Pool: {} of windows of {} x {}, {} channels at once.",
                            node.text("function", "max"), geometry(node).rows.kernel,
                            geometry(node).columns.kernel, plan_.in.lanes),
                fmt::format("Latency {}, {} steps a frame, queue of {}.", steps_.depth,
                            steps_.steps(), steps_.queue)) {}

  Hardware emit() {
    add_block_ports(module_, plan_.in.width(), plan_.out.width());
    module_.comment("Issue");
    for (const char* wire : {"available", "issue", "take", "give"}) module_.wire(wire);
    const Walk walk(
        module_,
        {{"row", plan_.rows.places}, {"column", plan_.columns.places}, {"fold", plan_.folds}},
        "issue");
    const std::string pixel = all_of({"issue", walk.last(2)});
    const std::string row = all_of({pixel, walk.last(1)});
    const Place columns = place(walk, 1, "column", plan_.columns, pixel, walk.last(1));
    const Place rows = place(walk, 0, "row", plan_.rows, row, walk.last(0));
    module_.assign("take", all_of({rows.inside, columns.inside}));
    module_.assign("give", all_of({rows.ends, columns.ends}));
    module_.assign("s_ready_o", "take && (!give || available)");
    module_.assign("issue", "(!take || s_valid_i) && (!give || available)");

    module_.comment("Running results");
    std::string value = delayed_data(module_, "s_data_i", plan_.in.width(), 1);
    Type type = node_.in_type(0);
    std::string early = "issue", valid = delayed_control(module_, "issue", 1);
    if (plan_.has(plan_.columns)) {
      value = line("column", plan_.columns, columns, 1, plan_.folds, early, valid, value, type,
                   plan_.row_type.bits, pad_value());
      type = plan_.row_type;
    }
    if (plan_.has(plan_.rows)) {
      const int64_t stage = plan_.stages();
      if (stage == 2) {
        early = named("row_early", all_of({valid, at_stage(columns.ends, 1)}));
        valid = delayed_control(module_, early, 1);
        value = delayed_data(module_, value, plan_.in.lanes * type.bits, 1);
      } else {
        early = named("row_early", all_of({"issue", columns.ends}));
        valid = delayed_control(module_, early, 1);
      }
      value = line("row", plan_.rows, rows, stage, plan_.row_depth(), early, valid, value, type,
                   plan_.out.bits, pad_value() * geometry(node_).columns.kernel);
    }
    const std::string given = named("given", "issue && give");
    const std::string push = delayed_control(module_, given, plan_.stages());
    add_output_queue(module_, steps_, plan_.out.width(), given, push, value);
    Hardware hardware;
    add_top(module_, hardware);
    return hardware;
  }

 private:
  // Where a step is along one direction, as expressions.
  struct Place {
    std::string first, begins, inside, ends;
  };

  Place place(const Walk& walk, size_t loop, const std::string& name, const Line& line,
              const std::string& advance, const std::string& last) {
    Place place{.first = walk.at(loop, 0),
                .begins = "1'b0",
                .inside = walk.below(loop, line.size),
                .ends = ""};
    std::string ends;
    if (line.windows == 1) {
      ends = line.cut_off ? "1'b0" : walk.at(loop, line.last_end());
    } else if (line.stride == 1) {
      place.begins = "1'b1";
      ends = walk.from(loop, line.first_end());
    } else {
      // Counts from window to window, from the padding on.
      const int width = std::bit_width(static_cast<uint64_t>(line.stride - 1));
      const int64_t start = line.before % line.stride;
      const std::string phase = name + "_phase_q";
      const auto number = [&](int64_t value) { return fmt::format("{}'d{}", width, value); };
      module_.wire(phase, width);
      const std::string next = fmt::format("{} == {} ? {} : {} + 1'b1", phase,
                                           number(line.stride - 1), number(0), phase);
      module_.register_control(
          phase,
          fmt::format("!({}) ? {} : {} ? {} : {}", advance, phase, last, number(start), next),
          number(start));
      place.begins = fmt::format("({} == {})", phase, number(0));
      ends = fmt::format("({} == {})", phase, number((line.kernel - 1) % line.stride));
      if (line.first_end() >= line.stride) ends = all_of({ends, walk.from(loop, line.first_end())});
    }
    if (line.cut_off) ends = any_of({ends, walk.at(loop, line.size - 1)});
    place.ends = named(name + "_ends", ends);
    return place;
  }

  // A condition under a name of its own, if it isn't constant.
  std::string named(const std::string& name, const std::string& condition) {
    if (condition == "1'b0" || condition == "1'b1") return condition;
    module_.wire(name);
    module_.assign(name, condition);
    return name;
  }

  // A condition of the issued step so many cycles later.
  std::string at_stage(const std::string& condition, int64_t stage) {
    if (condition == "1'b0" || condition == "1'b1") return condition;
    return delayed_data(module_, condition, 1, stage);
  }

  std::string line(const std::string& name, const Line& line, const Place& place, int64_t stage,
                   int64_t depth, const std::string& early, const std::string& valid,
                   const std::string& value, const Type& type, int64_t bits, int64_t fill) {
    const std::string result = name + "_result";
    module_.wire(result, static_cast<int>(plan_.in.lanes * bits));
    SvBindings parameters{{"Function", std::to_string(static_cast<int>(function(node_)))},
                          {"Lanes", std::to_string(plan_.in.lanes)},
                          {"InWidth", std::to_string(type.bits)},
                          {"Signed", type.is_signed ? "1'b1" : "1'b0"},
                          {"Width", std::to_string(bits)},
                          {"Kernel", std::to_string(line.kernel)},
                          {"Stride", std::to_string(line.stride)},
                          {"Before", std::to_string(line.before)},
                          {"Depth", std::to_string(depth)}};
    if (fill != 0) {
      parameters.emplace_back("Fill", fmt::format("64'h{:x}", static_cast<uint64_t>(fill)));
    }
    if (block_memory(depth)) parameters.emplace_back("BlockRam", "1'b1");
    const std::string first = named(name + "_first", place.first);
    const std::string begins = named(name + "_begins", place.begins);
    const std::string inside = named(name + "_inside", place.inside);
    module_.instance("fst_pool_line", "u_" + name + "s", parameters,
                     {{"clk_i", "clk_i"},
                      {"rst_i", "rst_i"},
                      {"early_i", early},
                      {"valid_i", valid},
                      {"first_i", at_stage(first, stage)},
                      {"begin_i", at_stage(begins, stage)},
                      {"inside_i", at_stage(inside, stage)},
                      {"data_i", value},
                      {"result_o", result}});
    return result;
  }

  int64_t pad_value() const {
    return function(node_) == Function::sum ? node_.integer("pad_value", 0) : 0;
  }

  const Node& node_;
  Plan plan_;
  Rhythm steps_;
  SvModule module_;
};

}  // namespace

Hardware emit(const Node& node, Family family, const std::string& instance) {
  return Emitter(node, family, instance).emit();
}

}  // namespace foldstream::pool
