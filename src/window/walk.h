// SPDX-License-Identifier: Apache-2.0
// The walk of a window whose steps read one beat each, out of a ring that holds a part of the frame
// (decision record 7): what fst_window_walk counts, and the rhythm that comes of it.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "src/ir/hardware.h"
#include "src/rtl/sv_module.h"
#include "src/window/geometry.h"

namespace foldstream::window {

struct WalkShape {
  Axis rows, columns;
  int64_t position_beats = 1;  // beats of one position of the frame
  int64_t groups = 1;          // divides them; only with channels_inside
  // All beats of a group's position before the kernel's next position, and a beat given by each
  // step; else the kernel's positions before the next beat, and one given for each time around.
  bool channels_inside = true;
  int64_t width = 1;  // bits of a beat
  // Each step reads its tap of all of the kernel's lines at once, out of a bank for each row.
  bool lines_at_once = false;
  // So does each step, one beat a position, column after column; only some columns then give.
  bool whole_columns = false;
  int64_t give_from = 0, give_stride = 1;
  auto operator<=>(const WalkShape&) const = default;
};

// Counts of places, each of `unit` beats.
struct Walk {
  explicit Walk(const WalkShape& shape);

  WalkShape shape;
  int64_t unit = 1;        // a power of two
  int64_t units = 1;       // of one position and group
  int64_t position = 1;    // of one position
  int64_t places = 2;      // of the ring; the memory holds places * unit beats
  int64_t first_used = 0;  // before the frame
  int64_t need = 1, row_need = 1, bottom_need = 1, last_need = 1;  // see fst_window_walk
  int64_t bottom_row = 0, right_column = 0;
  int64_t free_columns = 0, free_rows = 0, column_free = 0, row_free = 0, frame_free = 0;

  int64_t window_steps = 1;
  int64_t least_room = 1;  // in beats, those before the frame not counted
  // Of one image.
  std::vector<Block> frame;
  int64_t beats = 1;

  // Banks of a row each, or one ring; its places, and the beats of one.
  bool has_banks() const { return shape.whole_columns || shape.lines_at_once; }
  int64_t bank_places() const { return has_banks() ? shape.columns.size * position : places; }
  int64_t banks() const { return places / bank_places(); }
  int64_t bank_beats() const { return bank_places() * unit; }

  bool block_memory() const;
  Store store(int64_t images) const;
};

// The walk of that shape, remembered: a folding search asks for every candidate.
std::shared_ptr<const Walk> find_walk(const WalkShape& shape);

// The walk over the columns of whole windows: a step for every column of every row of windows, with
// columns beside the frame at the end where the last windows reach there. Null where rows would
// overlap, or the kernel is dilated.
std::optional<WalkShape> columns_shape(const Geometry& g);

// Whether the lines of the kernel can be read at once: several, of rows of more than one position,
// with padding of the operand's type.
bool has_lines(const Geometry& g);

// Ring and controller in `module`, which has the ports of a block and the wire `available`: gives
// wires `issue`, `give`, `in_frame`, `first_tap` of a step, and the signal with the beat it reads,
// as many registers later as the memory has.
std::string add_walk(SvModule& module, const Walk& walk);
// The same for a walk over lines at once: the beats of all lines, the upper one first, padding
// included, as many registers later as the memories have.
std::string add_line_walk(SvModule& module, const Walk& walk, const Geometry& g);
// The same for a walk over whole columns: the signal with the window of the last columns, padding
// included, window_latency() registers after the step.
std::string add_column_walk(SvModule& module, const Walk& walk, const Geometry& g);
int64_t window_latency(const Walk& walk);
int64_t memory_latency(const Walk& walk);
// The elements of a beat where `inside` is high, else the padding, with the bits of g.element.
std::string add_padding(SvModule& module, const Geometry& g, int64_t lanes, const std::string& beat,
                        const std::string& inside);
Cost walk_cost(const Walk& walk);
// `registered`: a register follows.
Cost line_walk_cost(const Walk& walk, const Geometry& g, bool registered);
Cost column_walk_cost(const Walk& walk, const Geometry& g);

}  // namespace foldstream::window
