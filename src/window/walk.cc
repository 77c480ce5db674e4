// SPDX-License-Identifier: Apache-2.0
#include "src/window/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <set>

#include "src/ir/folding.h"
#include "src/rtl/block.h"
#include "src/util/error.h"
#include "src/util/floor_div.h"

namespace foldstream::window {
namespace {

// One window in a frame: beats that must have been written for it to begin, and those no longer
// needed when it has ended, both counted from the frame's first.
struct Window {
  int64_t acquired = 0, released = 0;
};

// The least room with which a reader at its full rate never waits, when it has at least as many
// steps as beats come: each beat is written as late as the steps allow.
int64_t room_of_late_writes(const std::vector<Window>& windows, int64_t steps, int64_t beats) {
  const auto count = static_cast<int64_t>(windows.size());
  const int64_t period = count * steps;
  // Beats freed by the windows before window n of this frame, which may be of another.
  const auto freed_before = [&](int64_t n) {
    const int64_t frame = floor_div(n - 1, count);
    return frame * beats + windows[n - 1 - frame * count].released;
  };
  int64_t room = 0, next_start = period * 2;
  for (const bool settled : {false, true}) {
    for (int64_t n = count - 1; n >= 0; --n) {
      const int64_t low = n == 0 ? 0 : windows[n - 1].acquired, high = windows[n].acquired;
      if (high == low) continue;
      const int64_t end = std::min(n * steps, next_start) - 1;
      next_start = end - (high - low) + 1;
      if (!settled) continue;
      // Most are in use just before some are freed, in a window's last step, and at the end.
      for (int64_t m = floor_div(next_start, steps); m * steps <= end; ++m) {
        const int64_t last = m * steps + steps - 1;
        const int64_t cycle = std::min(last, end);
        if (cycle < next_start) continue;
        room = std::max(room, high - (end - cycle) - freed_before(m));
      }
    }
    next_start += period;
  }
  return room;
}

// The least room with which the writer never waits, when it has more beats than the reader steps.
int64_t room_of_early_steps(const std::vector<Window>& windows, int64_t steps, int64_t beats) {
  int64_t room = 0, free_from = 0, freed = 0;
  for (int64_t frame = 0; frame < 3; ++frame) {
    for (const Window& window : windows) {
      const int64_t last = std::max(free_from, frame * beats + window.acquired) + steps - 1;
      room = std::max(room, last + 1 - freed);
      freed = frame * beats + window.released, free_from = last + 1;
    }
  }
  return room;
}

// Runs of equal windows as blocks.
class Blocks {
 public:
  explicit Blocks(const WalkShape& shape, int64_t window_steps) {
    const int64_t taps = (shape.lines_at_once ? 1 : shape.rows.kernel) * shape.columns.kernel;
    if (shape.whole_columns || shape.channels_inside || taps == 1) {
      steps_.assign(1, {window_steps, 0, 1});
    } else {
      for (int64_t beat = 0; beat < window_steps / taps; ++beat) {
        steps_.push_back({taps - 1, 0, 0});
        steps_.push_back({1, 0, 1});
      }
    }
  }

  void add(int64_t acquire, int64_t release, bool gives) {
    if (!blocks_.empty() && acquire == acquire_ && release == release_ && gives == gives_) {
      ++blocks_.back().repeat;
      return;
    }
    acquire_ = acquire, release_ = release, gives_ = gives;
    std::vector<Phase> phases = steps_;
    if (!gives) phases.back().give = 0;
    split_first(phases), split_last(phases);
    phases.front().acquire = acquire, phases.back().release = release;
    blocks_.push_back({1, std::move(phases)});
  }

  std::vector<Block> take() { return std::move(blocks_); }

 private:
  static void split_first(std::vector<Phase>& phases) {
    if (phases.front().steps == 1) return;
    --phases.front().steps;
    Phase first = phases.front();
    first.steps = 1;
    phases.insert(phases.begin(), first);
  }
  static void split_last(std::vector<Phase>& phases) {
    if (phases.back().steps == 1) return;
    --phases.back().steps;
    Phase last = phases.back();
    last.steps = 1;
    phases.push_back(last);
  }

  std::vector<Phase> steps_;
  std::vector<Block> blocks_;
  int64_t acquire_ = -1, release_ = -1;
  bool gives_ = true;
};

}  // namespace

Walk::Walk(const WalkShape& s) : shape(s) {
  const Axis &rows = shape.rows, &columns = shape.columns;
  const int64_t group_beats = shape.position_beats / shape.groups;
  unit = group_beats & -group_beats;
  units = group_beats / unit, position = shape.position_beats / unit;
  const int64_t width = columns.size, oh = rows.windows(), ow = columns.windows();
  window_steps = shape.whole_columns ? 1
                                     : (shape.lines_at_once ? 1 : rows.kernel) * columns.kernel *
                                           shape.position_beats;
  beats = rows.size * width * shape.position_beats;

  // In positions first. A window frees up to the next one's position under the kernel's tap that
  // lies at the frame's begin in the first window.
  free_columns = std::min(ow - 1, width / columns.stride);
  free_rows = (oh - 1) * rows.stride < rows.size ? oh : rows.size / rows.stride;
  const auto freed = [&](int64_t row, int64_t column) {
    return std::min(row, free_rows) * rows.stride * width +
           (row < free_rows ? std::min(column, free_columns) * columns.stride : 0);
  };
  first_used = rows.before * width + columns.before;
  column_free = columns.stride;
  row_free = rows.stride * width - free_columns * columns.stride;
  frame_free = rows.size * width - freed(oh - 1, ow - 1);

  // A window needs the last position under it, and those which it frees.
  need = (rows.reach() - 1) * width + columns.reach();
  row_need = std::max(need, row_free + first_used);
  bottom_row = oh - 1;
  for (int64_t row = 0; row < oh; ++row) {
    const int64_t bottom = rows.position(row, 0) + rows.reach() - 1;
    const int64_t right = columns.position(ow - 1, 0) + columns.reach() - 1;
    if (bottom >= rows.size - 1 || bottom * width + right >= rows.size * width - 1) {
      bottom_row = row;
      break;
    }
  }
  const int64_t bottom = rows.position(bottom_row, 0) + rows.reach() - 1;
  bottom_need = need - std::max<int64_t>(0, bottom - (rows.size - 1)) * width;
  right_column = ow - 1;
  for (int64_t column = 0; column < ow; ++column) {
    if (freed(bottom_row, column) - first_used + bottom_need >= rows.size * width) {
      right_column = column;
      break;
    }
  }
  last_need = rows.size * width - freed(bottom_row, right_column) + first_used;
  need = std::max(need, column_free + first_used);
  // Windows of rows that free nothing need no more than what is under them.
  if (bottom_row < free_rows) bottom_need = std::max(bottom_need, column_free + first_used);
  for (int64_t* count : {&first_used, &column_free, &row_free, &frame_free, &need, &row_need,
                         &bottom_need, &last_need}) {
    *count *= position;
  }

  // Of a window in the frame: positions from the first one under it up to behind the last.
  const auto under = [&](int64_t row, int64_t column) {
    const auto place = [&](int64_t r, int64_t c) {
      return std::clamp<int64_t>(r, 0, rows.size - 1) * width +
             std::clamp<int64_t>(c, 0, width - 1);
    };
    const int64_t top = rows.position(row, 0), left = columns.position(column, 0);
    return std::pair(place(top, left),
                     place(top + rows.reach() - 1, left + columns.reach() - 1) + 1);
  };
  std::vector<Window> windows;
  std::set<const int64_t*> used;
  // False where a window would begin too early, wait for the next frame or lose what it needs.
  const auto walks = [&] {
    windows.clear(), used.clear();
    Window before;
    for (int64_t row = 0; row < oh; ++row) {
      for (int64_t column = 0; column < ow; ++column) {
        Window window = before;
        const bool complete = row > bottom_row || (row == bottom_row && column > right_column);
        if (!complete) {
          const int64_t& needed = row == bottom_row
                                      ? column == right_column ? last_need : bottom_need
                                  : column + 1 == ow ? row_need
                                                     : need;
          used.insert(&needed);
          window.acquired =
              std::max(window.acquired, (needed - first_used) * unit + before.released);
        }
        const bool last = column + 1 == ow;
        const int64_t free = last && row + 1 == oh   ? frame_free
                             : row >= free_rows      ? 0
                             : last                  ? row_free
                             : column < free_columns ? column_free
                                                     : 0;
        window.released += free * unit;
        const auto [first, end] = under(row, column);
        const bool beside = columns.position(column, 0) >= width;  // a column of whole ones
        if (window.released > window.acquired || window.acquired > beats ||
            window.acquired < end * shape.position_beats ||
            (!beside && before.released > first * shape.position_beats + first_used * unit)) {
          return false;
        }
        windows.push_back(before = window);
      }
    }
    return before.acquired == beats && before.released == beats;
  };
  if (!walks()) {
    // Rows or columns of windows that free nothing before the last ones: such frames are waited for
    // as a whole.
    bottom_row = right_column = 0;
    last_need = rows.size * width * position + first_used;
    FOLDSTREAM_CHECK(walks());
  }
  Blocks blocks(shape, window_steps);
  Window before;
  for (int64_t row = 0, n = 0; row < oh; ++row) {
    for (int64_t column = 0; column < ow; ++column, ++n) {
      const int64_t from = column - shape.give_from;
      blocks.add(windows[n].acquired - before.acquired, windows[n].released - before.released,
                 from >= 0 && from % shape.give_stride == 0);
      before = windows[n];
    }
  }
  for (int64_t* count : {&need, &row_need, &bottom_need}) {
    if (!used.contains(count)) *count = last_need;
  }
  if (!used.contains(&need)) need = used.contains(&row_need) ? row_need : bottom_need;
  frame = blocks.take();
  const auto steps = static_cast<int64_t>(windows.size()) * window_steps;
  least_room = steps >= beats ? room_of_late_writes(windows, window_steps, beats)
                              : room_of_early_steps(windows, window_steps, beats);

  // An address has a bit.
  const int64_t least = std::max<int64_t>(2, first_used + (least_room + unit - 1) / unit);
  if (has_banks()) {
    const int64_t line = bank_places();
    places = std::max(rows.reach(), (least + line - 1) / line) * line;
    return;
  }
  // Addresses of a power of two of places wrap by themselves; others cost an adder more.
  const auto power = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(least)));
  const Cost of_power = memory_cost(shape.width, power * unit);
  const Cost of_least = memory_cost(shape.width, least * unit);
  places = of_power.bram18 > of_least.bram18 ? least : power;
}

bool Walk::block_memory() const { return bank_beats() > kLutQueueDepth; }

Store Walk::store(int64_t images) const { return {(places - first_used) * unit, images * beats}; }

std::shared_ptr<const Walk> find_walk(const WalkShape& shape) {
  static std::mutex mutex;
  static std::map<WalkShape, std::shared_ptr<const Walk>> known;
  {
    const std::lock_guard lock(mutex);
    const auto found = known.find(shape);
    if (found != known.end()) return found->second;
  }
  auto walk = std::make_shared<const Walk>(shape);
  const std::lock_guard lock(mutex);
  return known.emplace(shape, std::move(walk)).first->second;
}

namespace {

// Windows in which a tap lies in the frame, first and last, for each tap: 32 bits each.
std::pair<std::string, std::string> inside_windows(const Axis& axis) {
  std::vector<std::string> from, to;
  for (int64_t tap = axis.kernel; tap-- > 0;) {  // most significant first
    const int64_t origin = axis.before - tap * axis.dilation;
    int64_t first = std::max<int64_t>(0, -floor_div(-origin, axis.stride));
    int64_t last = std::min(axis.windows() - 1, floor_div(axis.size - 1 + origin, axis.stride));
    if (first > last) first = 1, last = 0;
    from.push_back(fmt::format("32'd{}", first));
    to.push_back(fmt::format("32'd{}", last));
  }
  return {SvModule::concat(from), SvModule::concat(to)};
}

}  // namespace

int64_t memory_latency(const Walk& walk) { return walk.block_memory() ? 1 : 0; }

namespace {

int count_width(int64_t values) {
  return std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(values - 1))));
}

// From the place that is read to that of the next step, by the outermost loop that ends or goes on.
struct Moves {
  explicit Moves(const Walk& walk) {
    const Axis &rows = walk.shape.rows, &columns = walk.shape.columns;
    const int64_t line = columns.size * walk.position;
    const int64_t reach =
        (rows.reach() - 1) * line + (columns.reach() - 1) * walk.position;  // of the kernel
    const int64_t row_moves = (columns.windows() - 1) * columns.stride * walk.position;
    const int64_t frame_moves = (rows.windows() - 1) * rows.stride * line;
    const bool inside = walk.shape.channels_inside;
    // Back to a position's first place after a loop over its places.
    const int64_t back = inside ? walk.units - 1 : 0;
    // Whole columns need no place to read.
    places = walk.shape.lines_at_once ? walk.bank_places() : walk.places;
    const auto place = [&](int64_t move) { return move - floor_div(move, places) * places; };
    first = place(-walk.first_used);
    unit = place(inside ? 1 : 1 - reach);
    tap = place(columns.dilation * walk.position - back);
    this->line = place(rows.dilation * line - (columns.reach() - 1) * walk.position - back);
    kernel = place(inside ? 1 - reach : -reach);
    column = place(columns.stride * walk.position - reach - (walk.position - 1));
    row = place(rows.stride * line - row_moves - reach - (walk.position - 1));
    frame = place(rows.size * line - frame_moves - row_moves - reach - (walk.position - 1));
  }

  int64_t places = 1, first = 0;
  int64_t unit = 0, tap = 0, line = 0, kernel = 0, column = 0, row = 0, frame = 0;
};

// The controller and the wires of its ports.
void add_controller(SvModule& module, const Walk& walk) {
  const Axis &rows = walk.shape.rows, &columns = walk.shape.columns;
  const Moves moves(walk);
  const auto count = [](int64_t value) { return std::to_string(value); };
  SvBindings parameters{{"Unit", count(walk.unit)},
                        {"Units", count(walk.units)},
                        {"KernelWidth", count(columns.kernel)},
                        {"KernelHeight", count(walk.has_banks() ? 1 : rows.kernel)},
                        {"Groups", count(walk.shape.groups)},
                        {"Columns", count(columns.windows())},
                        {"Rows", count(rows.windows())},
                        {"ChannelsInside", walk.shape.channels_inside ? "1'b1" : "1'b0"},
                        {"Places", count(moves.places)},
                        {"Banks", count(walk.places / moves.places)},
                        {"FirstPlace", count(moves.first)},
                        {"UnitMove", count(moves.unit)},
                        {"TapMove", count(moves.tap)},
                        {"LineMove", count(moves.line)},
                        {"KernelMove", count(moves.kernel)},
                        {"ColumnMove", count(moves.column)},
                        {"RowMove", count(moves.row)},
                        {"FrameMove", count(moves.frame)},
                        {"ColumnFree", count(walk.column_free)},
                        {"RowFree", count(walk.row_free)},
                        {"FrameFree", count(walk.frame_free)},
                        {"FreeColumns", count(walk.free_columns)},
                        {"FreeRows", count(walk.free_rows)},
                        {"Room", count(walk.places)},
                        {"FirstUsed", count(walk.first_used)},
                        {"Need", count(walk.need)},
                        {"RowNeed", count(walk.row_need)},
                        {"BottomNeed", count(walk.bottom_need)},
                        {"LastNeed", count(walk.last_need)},
                        {"BottomRow", count(walk.bottom_row)},
                        {"RightColumn", count(walk.right_column)}};
  if (walk.shape.whole_columns) {
    parameters.emplace_back("GiveFrom", count(walk.shape.give_from));
    parameters.emplace_back("GiveStride", count(walk.shape.give_stride));
  } else if (walk.shape.lines_at_once) {
    if (columns.padded()) {
      const auto [from, to] = inside_windows(columns);
      parameters.insert(parameters.end(),
                        {{"Padded", "1'b1"}, {"ColumnFrom", from}, {"ColumnTo", to}});
    }
  } else if (rows.padded() || columns.padded()) {
    const auto [row_from, row_to] = inside_windows(rows);
    const auto [column_from, column_to] = inside_windows(columns);
    parameters.insert(parameters.end(), {{"Padded", "1'b1"},
                                         {"RowFrom", row_from},
                                         {"RowTo", row_to},
                                         {"ColumnFrom", column_from},
                                         {"ColumnTo", column_to}});
  }
  const auto address = static_cast<int>(std::bit_width(static_cast<uint64_t>(moves.places - 1)) +
                                        std::bit_width(static_cast<uint64_t>(walk.unit - 1)));
  module.comment("Walk over the windows");
  for (const char* wire :
       {"available", "write", "issue", "give", "in_frame", "first_tap", "row_ends", "frame_ends"}) {
    module.wire(wire);
  }
  module.wire("column", count_width(columns.windows()));
  module.wire("row", count_width(rows.windows()));
  module.wire("write_address", address);
  module.wire("read_address", address);
  const SvBindings connections{{"clk_i", "clk_i"},           {"rst_i", "rst_i"},
                               {"s_valid_i", "s_valid_i"},   {"s_ready_o", "s_ready_o"},
                               {"write_o", "write"},         {"write_address_o", "write_address"},
                               {"available_i", "available"}, {"issue_o", "issue"},
                               {"give_o", "give"},           {"read_address_o", "read_address"},
                               {"inside_o", "in_frame"},     {"first_tap_o", "first_tap"},
                               {"column_o", "column"},       {"row_o", "row"},
                               {"row_ends_o", "row_ends"},   {"frame_ends_o", "frame_ends"}};
  module.instance("fst_window_walk", "u_walk", parameters, connections);
}

}  // namespace

std::string add_walk(SvModule& module, const Walk& walk) {
  const auto count = [](int64_t value) { return std::to_string(value); };
  add_controller(module, walk);
  module.comment("Ring of beats");
  module.wire("stored", static_cast<int>(walk.shape.width));
  SvBindings memory{{"Width", count(walk.shape.width)}, {"Depth", count(walk.places * walk.unit)}};
  if (walk.block_memory()) memory.emplace_back("BlockRam", "1'b1");
  module.instance("fst_memory", "u_memory", memory,
                  {{"clk_i", "clk_i"},
                   {"write_i", "write"},
                   {"write_address_i", "write_address"},
                   {"write_data_i", "s_data_i"},
                   {"read_address_i", "read_address"},
                   {"read_data_o", "stored"}});
  return "stored";
}

std::string add_padding(SvModule& module, const Geometry& g, int64_t lanes, const std::string& beat,
                        const std::string& inside) {
  const int bits = g.operand.bits;
  std::vector<std::string> elements;  // most significant first
  std::vector<bool> padding;
  for (int64_t lane = lanes; lane-- > 0;) {
    std::string element =
        SvModule::slice(beat, static_cast<int>(lanes * bits), static_cast<int>(lane * bits), bits);
    if (bits < g.element.bits) {
      // Wider by the padding alone; an unsigned operand's elements stay what they are.
      element = g.operand.is_signed ? fmt::format("{}'($signed({}))", g.element.bits, element)
                                    : fmt::format("{}'({})", g.element.bits, element);
    }
    elements.push_back(element);
    for (int b = 0; b < g.element.bits; ++b) padding.push_back((g.pad_value >> b & 1) != 0);
  }
  const std::string padded = module.fresh("padded");
  module.wire(padded, static_cast<int>(lanes * g.element.bits));
  module.assign(padded, fmt::format("{} ? {} : {}", inside, SvModule::concat(elements),
                                    SvModule::constant(padding)));
  return padded;
}

int64_t window_latency(const Walk& walk) { return 1 + memory_latency(walk); }

std::optional<WalkShape> columns_shape(const Geometry& g) {
  const Axis &rows = g.rows, &columns = g.columns;
  const int64_t last = columns.position(columns.windows() - 1, columns.kernel - 1);
  if (rows.dilation != 1 || columns.dilation != 1) return std::nullopt;
  WalkShape shape;
  shape.rows = rows;
  shape.columns = {.size = columns.size, .after = std::max<int64_t>(0, last - columns.size + 1)};
  shape.width = g.channels * g.operand.bits;
  shape.whole_columns = true;
  shape.give_from = columns.kernel - 1 - columns.before, shape.give_stride = columns.stride;
  return shape;
}

namespace {

// Of the banks, in a module that holds them.
SvBindings bank_parameters(const Walk& walk, const Geometry& g) {
  const Axis& rows = walk.shape.rows;
  const int64_t banks = walk.banks();
  const auto bank = [&](int64_t row) {
    return std::to_string(row - floor_div(row, banks) * banks);
  };
  SvBindings parameters{{"Width", std::to_string(walk.shape.width)},
                        {"KernelHeight", std::to_string(rows.kernel)},
                        {"Rows", std::to_string(rows.windows())},
                        {"Banks", std::to_string(banks)},
                        {"FirstBank", bank(-rows.before)},
                        {"RowBanks", bank(rows.stride)},
                        {"FrameBanks", bank(rows.size - (rows.windows() - 1) * rows.stride)}};
  if (walk.block_memory()) parameters.emplace_back("BlockRam", "1'b1");
  if (rows.padded()) {
    const auto [from, to] = inside_windows(rows);
    parameters.insert(parameters.end(), {{"PadRows", "1'b1"}, {"RowFrom", from}, {"RowTo", to}});
  }
  if (g.padded()) {
    std::vector<bool> padding;
    for (int64_t bit = 0; bit < walk.shape.width; ++bit) {
      padding.push_back((g.pad_value >> bit % g.operand.bits & 1) != 0);
    }
    parameters.emplace_back("Padding", SvModule::constant(padding));
  }
  return parameters;
}

}  // namespace

bool has_lines(const Geometry& g) {
  return g.rows.kernel > 1 && g.columns.size > 1 && g.padding_fits();
}

std::string add_line_walk(SvModule& module, const Walk& walk, const Geometry& g) {
  const Axis& rows = walk.shape.rows;
  add_controller(module, walk);
  module.comment("Rows of the frame, and the kernel's lines out of them");
  SvBindings parameters = bank_parameters(walk, g);
  parameters.emplace_back("Depth", std::to_string(walk.bank_beats()));
  if (rows.dilation > 1) parameters.emplace_back("Dilation", std::to_string(rows.dilation));
  const int64_t width = rows.kernel * walk.shape.width;
  module.wire("lines", static_cast<int>(width));
  module.instance("fst_window_banks", "u_banks", parameters,
                  {{"clk_i", "clk_i"},
                   {"rst_i", "rst_i"},
                   {"write_i", "write"},
                   {"write_data_i", "s_data_i"},
                   {"read_address_i", "read_address"},
                   {"row_i", "row"},
                   {"row_ends_i", "row_ends"},
                   {"frame_ends_i", "frame_ends"},
                   {"lines_o", "lines"}});
  if (!g.columns.padded()) return "lines";
  return add_padding(module, g, width / g.operand.bits, "lines",
                     delayed_data(module, "in_frame", 1, memory_latency(walk)));
}

std::string add_column_walk(SvModule& module, const Walk& walk, const Geometry& g) {
  const Axis &rows = walk.shape.rows, &columns = walk.shape.columns;
  add_controller(module, walk);
  module.comment("Rows of the frame, and windows out of them");
  SvBindings parameters = bank_parameters(walk, g);
  parameters.insert(parameters.end(), {{"FrameWidth", std::to_string(columns.size)},
                                       {"KernelWidth", std::to_string(g.columns.kernel)},
                                       {"Columns", std::to_string(columns.windows())}});
  if (g.columns.padded()) parameters.emplace_back("PadColumns", "1'b1");
  module.wire("window", static_cast<int>(rows.kernel * g.columns.kernel * walk.shape.width));
  module.instance("fst_window_lines", "u_lines", parameters,
                  {{"clk_i", "clk_i"},
                   {"rst_i", "rst_i"},
                   {"write_i", "write"},
                   {"write_data_i", "s_data_i"},
                   {"issue_i", "issue"},
                   {"column_i", "column"},
                   {"row_i", "row"},
                   {"row_ends_i", "row_ends"},
                   {"frame_ends_i", "frame_ends"},
                   {"window_o", "window"}});
  return "window";
}

namespace {

// fst_memory is told which memory to be, whatever its size.
Cost ring_cost(const Walk& walk, int64_t depth) {
  if (!walk.block_memory()) return memory_cost(walk.shape.width, depth);
  return block_memory_cost(BlockUse::written, walk.shape.width, depth);
}

int bits_of(int64_t count) { return std::bit_width(static_cast<uint64_t>(count - 1)); }

// Tables that find whether so many bits are as they should.
double tables_of_all(int bits) { return (bits + 5) / 6; }

// Where a beat is written: nobody asks for the last of a ring's places.
Cost written_cost(int64_t places) {
  return (places & (places - 1)) == 0 ? fold_counter_cost(places) : counter_cost(places);
}

// A place moved on in a ring: a sum, and unless it wraps by itself one less the places, and the
// choice between them. Bits that no move has are the chain's alone.
Cost place_cost(int64_t places, int64_t moved_bits) {
  const int bits = bits_of(places);
  const bool wraps = (places & (places - 1)) == 0;
  return {.lut = wraps ? static_cast<double>(std::popcount(static_cast<uint64_t>(moved_bits)))
                       : 3.0 * bits,
          .ff = static_cast<double>(bits)};
}

// Bits of the moves that the controller's loops make.
int64_t moved_bits(const Walk& walk) {
  const Moves moves(walk);
  const Axis &rows = walk.shape.rows, &columns = walk.shape.columns;
  const bool inside = walk.shape.channels_inside;
  int64_t bits = moves.frame;
  if (rows.windows() > 1) bits |= moves.row;
  if (columns.windows() > 1) bits |= moves.column;
  if (columns.kernel > 1) bits |= moves.tap;
  if (!walk.has_banks() && rows.kernel > 1) bits |= moves.line;
  if (!inside || walk.units > 1) bits |= moves.unit;
  if (!inside || walk.shape.groups > 1) bits |= moves.kernel;
  return bits;
}

// Taps of the kernel that lie beside the frame in some windows: those of its begin, and of its end.
int64_t taps_beside(const Axis& axis) {
  int64_t taps = 0;
  for (int64_t tap = 0; tap < axis.kernel; ++tap) {
    taps += axis.position(0, tap) < 0;
    taps += axis.position(axis.windows() - 1, tap) >= axis.size;
  }
  return taps;
}

// Whether a tap is one and a window's row or column one where it lies beside the frame: as
// measured, as neighbouring ones share tables.
double beside_luts(int64_t taps) { return 1.6 * static_cast<double>(taps); }

// The controller alone, without the places written and read.
Cost controller_cost(const Walk& walk) {
  const Axis &rows = walk.shape.rows, &columns = walk.shape.columns;
  Cost cost;
  const bool same_need =
      walk.row_need == walk.need && walk.bottom_need == walk.need && walk.last_need == walk.need;
  const bool ends_early =
      walk.bottom_row != rows.windows() - 1 || walk.right_column != columns.windows() - 1;
  // Where the last row of windows ends like all others, and nothing else asks for the row, nobody
  // counts it.
  const bool rows_alike = !walk.has_banks() && same_need && !ends_early && !rows.padded() &&
                          !columns.padded() && rows.size == rows.windows() * rows.stride;
  for (const int64_t count :
       {walk.unit, walk.units, columns.kernel, walk.has_banks() ? 1 : rows.kernel,
        walk.shape.groups, columns.windows(), rows_alike ? 1 : rows.windows(),
        walk.shape.give_stride}) {
    cost += counter_cost(count);
  }
  // The places in use beyond those needed: a sum, and whether one is free and written.
  const int64_t spare = walk.places - walk.need;
  const int used = (walk.need > spare ? bits_of(walk.need) : bits_of(spare + 1)) + 1;
  cost.ff += used, cost.lut += used + tables_of_all(used) + (used > 6 ? 2 : 1);
  // Where windows need more at some places than at others: that number, and a comparison with it in
  // two tables for three bits of both.
  if (!same_need) cost.lut += 5 * used / 3.0 - 3;
  // Whether all of the frame is there: after a row and a column.
  if (ends_early) {
    cost.ff += 1;
    cost.lut += 1 + tables_of_all(bits_of(rows.windows()) + bits_of(columns.windows()));
  }
  // Whether a window begins, which one of a step always does; the steps that end loops, and whether
  // one is made.
  if (walk.window_steps > 1) cost.ff += 1;
  cost.lut += 4;
  return cost;
}

}  // namespace

Cost walk_cost(const Walk& walk) {
  Cost cost = controller_cost(walk);
  cost += counter_cost(walk.unit);
  cost += written_cost(walk.places);
  cost += place_cost(walk.places, moved_bits(walk));
  cost.lut += beside_luts(taps_beside(walk.shape.rows) + taps_beside(walk.shape.columns));
  cost += ring_cost(walk, walk.places * walk.unit);
  return cost;
}

namespace {

constexpr int64_t kChosenBanks = 5;  // as fst_window_banks has it

// Banks, and the lines of the kernel out of them.
Cost bank_cost(const Walk& walk) {
  const int64_t banks = walk.banks(), kernel = walk.shape.rows.kernel;
  Cost cost = counter_cost(walk.bank_beats());
  cost += written_cost(banks);
  if (banks > 1) cost += place_cost(banks, banks - 1);
  for (int64_t bank = 0; bank < banks; ++bank) cost += ring_cost(walk, walk.bank_beats());
  const auto width = static_cast<double>(walk.shape.width);
  if (banks > kChosenBanks) {  // turned, by two bits of the bank a look-up table
    cost.lut += 1.4 * width * static_cast<double>(banks + kernel * ((bits_of(banks) - 1) / 2));
  } else if (banks > 1) {
    cost.lut += width * static_cast<double>(kernel * ((banks + 3) / 4));
  }
  // What comes late with the words of block memories.
  if (walk.block_memory()) cost.ff += static_cast<double>(kernel + bits_of(banks));
  return cost;
}

}  // namespace

Cost line_walk_cost(const Walk& walk, const Geometry& g, bool registered) {
  Cost cost = controller_cost(walk);
  cost += bank_cost(walk);
  cost += place_cost(walk.bank_places(), moved_bits(walk));
  cost.lut += beside_luts(taps_beside(g.rows) + taps_beside(g.columns));
  // Padding is the reset of a register, or an input more of the tables that choose a bank, which
  // those of one and of four haven't left.
  if (g.padded() && !registered && (walk.banks() == 1 || walk.banks() % 4 == 0)) {
    cost.lut += static_cast<double>(walk.shape.rows.kernel * walk.shape.width);
  }
  return cost;
}

Cost column_walk_cost(const Walk& walk, const Geometry& g) {
  Cost cost = controller_cost(walk);
  cost += bank_cost(walk);
  const int64_t taps = g.columns.kernel;
  const auto column = static_cast<double>(walk.shape.rows.kernel * walk.shape.width);
  cost.ff += column * static_cast<double>(taps);
  if (g.columns.padded()) {
    // What is in the frame of the taps before the last; beside it is what has no column yet or
    // none.
    cost.lut += column * static_cast<double>(taps) + 2, cost.ff += static_cast<double>(taps - 1);
  }
  cost.lut += beside_luts(taps_beside(g.rows));
  if (walk.block_memory()) {
    cost.ff += 3;
  } else {
    // Tables take the address, which is the column, from registers of their own.
    const double address = bits_of(walk.bank_beats());
    cost.lut += address, cost.ff += address;
  }
  return cost;
}

}  // namespace foldstream::window
