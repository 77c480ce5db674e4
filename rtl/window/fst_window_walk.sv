// SPDX-License-Identifier: Apache-2.0
// Walks over the windows of a frame that a ring of places holds in part: where a beat is written and
// when it may be, where each step reads, and when it may. Padding has places too, which no step reads.
// Moore; one step a cycle.
`include "fst_assert.svh"
module fst_window_walk #(
  // The loops. A place of the ring is a unit of beats that follow each other.
  parameter int unsigned Unit = 1,               // beats, a power of two
  parameter int unsigned Units = 1,              // of one position and group
  parameter int unsigned KernelWidth = 3,
  parameter int unsigned KernelHeight = 3,
  parameter int unsigned Groups = 1,
  parameter int unsigned Columns = 4,            // windows side by side
  parameter int unsigned Rows = 4,
  parameter bit          ChannelsInside = 1,     // else the kernel, each time around gives a beat
  parameter int unsigned GiveFrom = 0,           // the first window of a row that gives
  parameter int unsigned GiveStride = 1,         // and how far the next one is
  // The ring, or as many rings as there are banks of which each holds a row. A step moves on by so
  // many places, which the outermost loop that goes on decides.
  parameter int unsigned Places = 32,
  parameter int unsigned Banks = 1,
  parameter int unsigned FirstPlace = 0,
  parameter int unsigned UnitMove = 1,
  parameter int unsigned TapMove = 1,
  parameter int unsigned LineMove = 1,
  parameter int unsigned KernelMove = 1,         // to the next group or, kernel inside, beat
  parameter int unsigned ColumnMove = 1,
  parameter int unsigned RowMove = 1,
  parameter int unsigned FrameMove = 1,
  // Places that the last step of a window frees, of a row of windows, of the frame.
  parameter int unsigned ColumnFree = 1,
  parameter int unsigned RowFree = 1,
  parameter int unsigned FrameFree = 1,
  parameter int unsigned FreeColumns = Columns,  // windows of a row that free any, and rows that do
  parameter int unsigned FreeRows = Rows,
  // A place may be written while fewer than Room are in use. FirstUsed are so at the beginning: those
  // before the frame. A window begins when so many are in use as it needs: one of a row, the last of a
  // row, and in row BottomRow those before RightColumn and the one there, after which nothing of the
  // frame is missing.
  parameter int unsigned Room = 32,
  parameter int unsigned FirstUsed = 0,
  parameter int unsigned Need = 1,
  parameter int unsigned RowNeed = Need,
  parameter int unsigned BottomNeed = Need,
  parameter int unsigned LastNeed = Need,
  parameter int unsigned BottomRow = Rows - 1,
  parameter int unsigned RightColumn = Columns - 1,
  // Line k of the kernel is in the frame in the rows of windows RowFrom[k] to RowTo[k], 32 bits each;
  // tap k alike.
  parameter bit Padded = 0,
  parameter bit [32*KernelHeight-1:0] RowFrom = '0,
  parameter bit [32*KernelHeight-1:0] RowTo = '1,
  parameter bit [32*KernelWidth-1:0] ColumnFrom = '0,
  parameter bit [32*KernelWidth-1:0] ColumnTo = '1,
  localparam int unsigned PlaceWidth = $clog2(Places),
  localparam int unsigned AddressWidth = PlaceWidth + $clog2(Unit),
  localparam int unsigned ColumnWidth = Columns > 1 ? $clog2(Columns) : 1,
  localparam int unsigned RowWidth = Rows > 1 ? $clog2(Rows) : 1
) (
  input  logic                    clk_i,
  input  logic                    rst_i,
  input  logic                    s_valid_i,
  output logic                    s_ready_o,
  output logic                    write_o,
  output logic [AddressWidth-1:0] write_address_o,
  input  logic                    available_i,     // a credit of the output queue
  output logic                    issue_o,
  output logic                    give_o,          // with the step that issues
  output logic [AddressWidth-1:0] read_address_o,  // of the next step, as are inside and first_tap
  output logic                    inside_o,        // the frame
  output logic                    first_tap_o,
  output logic [ColumnWidth-1:0]  column_o,        // of the step's window
  output logic [RowWidth-1:0]     row_o,
  output logic                    row_ends_o,      // with the step that issues
  output logic                    frame_ends_o
);
  localparam int unsigned BeatWidth = Unit > 1 ? $clog2(Unit) : 1;
  localparam int unsigned UnitsWidth = Units > 1 ? $clog2(Units) : 1;
  localparam int unsigned TapWidth = KernelWidth > 1 ? $clog2(KernelWidth) : 1;
  localparam int unsigned LineWidth = KernelHeight > 1 ? $clog2(KernelHeight) : 1;
  localparam int unsigned GroupWidth = Groups > 1 ? $clog2(Groups) : 1;
  // Of places in use less Need, which may be negative.
  localparam int unsigned Spare = Room - Need;
  localparam int unsigned UsedWidth = (Need > Spare ? $clog2(Need) : $clog2(Spare + 1)) + 1;

  logic step_unit, step_tap, step_group;
  logic wrap_unit, wrap_units, wrap_tap, wrap_line, window_ends, wrap_column, wrap_row;
  logic last_tap, last_line, last_column, gives, window_gives;

  // The loops: the beats of a position inside or around the kernel; groups, windows of a row, rows.
  if (ChannelsInside) begin : g_channels_inside
    assign step_unit  = issue_o;
    assign step_tap   = wrap_units;
    assign step_group = wrap_line;
    assign gives      = window_gives;
  end else begin : g_kernel_inside
    assign step_tap   = issue_o;
    assign step_unit  = wrap_line;
    assign step_group = wrap_units;
    assign gives      = last_tap && last_line && window_gives;
  end
  assign give_o = issue_o && gives;

  logic [BeatWidth-1:0]   beat;
  logic [TapWidth-1:0]    tap;
  logic [LineWidth-1:0]   line;
  logic [ColumnWidth-1:0] column;
  logic [RowWidth-1:0]    row;
  logic [UnitsWidth-1:0]  unused_units;
  logic [GroupWidth-1:0]  unused_group;
  logic [3:0]             unused_last;

  fst_window_count #(
    .Count(Unit)
  ) u_unit (
    .clk_i,
    .rst_i,
    .step_i(step_unit),
    .value_o(beat),
    .last_o(unused_last[0]),
    .wrap_o(wrap_unit)
  );

  fst_window_count #(
    .Count(Units)
  ) u_units (
    .clk_i,
    .rst_i,
    .step_i(wrap_unit),
    .value_o(unused_units),
    .last_o(unused_last[1]),
    .wrap_o(wrap_units)
  );

  fst_window_count #(
    .Count(KernelWidth)
  ) u_tap (
    .clk_i,
    .rst_i,
    .step_i(step_tap),
    .value_o(tap),
    .last_o(last_tap),
    .wrap_o(wrap_tap)
  );

  fst_window_count #(
    .Count(KernelHeight)
  ) u_line (
    .clk_i,
    .rst_i,
    .step_i(wrap_tap),
    .value_o(line),
    .last_o(last_line),
    .wrap_o(wrap_line)
  );

  fst_window_count #(
    .Count(Groups)
  ) u_group (
    .clk_i,
    .rst_i,
    .step_i(step_group),
    .value_o(unused_group),
    .last_o(unused_last[2]),
    .wrap_o(window_ends)
  );

  fst_window_count #(
    .Count(Columns)
  ) u_column (
    .clk_i,
    .rst_i,
    .step_i(window_ends),
    .value_o(column),
    .last_o(last_column),
    .wrap_o(wrap_column)
  );

  fst_window_count #(
    .Count(Rows)
  ) u_row (
    .clk_i,
    .rst_i,
    .step_i(wrap_column),
    .value_o(row),
    .last_o(unused_last[3]),
    .wrap_o(wrap_row)
  );

  if (GiveFrom == 0 && GiveStride == 1) begin : g_all_give
    assign window_gives = 1'b1;
  end else begin : g_some_give
    localparam int unsigned PhaseWidth = GiveStride > 1 ? $clog2(GiveStride) : 1;
    logic [PhaseWidth-1:0] phase;
    logic                  begun;
    logic [1:0]            unused_phase;

    fst_window_count #(
      .Count(GiveStride)
    ) u_phase (
      .clk_i,
      .rst_i(rst_i || wrap_column),
      .step_i(window_ends && begun),
      .value_o(phase),
      .last_o(unused_phase[0]),
      .wrap_o(unused_phase[1])
    );

    if (GiveFrom == 0) begin : g_from_first
      assign begun = 1'b1;
    end else begin : g_from
      assign begun = column >= ColumnWidth'(GiveFrom);
    end
    assign window_gives = begun && phase == '0;
  end

  // The place that is read: one adder, whose addend depends on the outermost loop that ends or goes on.
  logic [PlaceWidth-1:0] move, read_q, read_d;

  always_comb begin
    if (wrap_row) move = PlaceWidth'(FrameMove);
    else if (wrap_column) move = PlaceWidth'(RowMove);
    else if (window_ends) move = PlaceWidth'(ColumnMove);
    else if (ChannelsInside && wrap_line) move = PlaceWidth'(KernelMove);
    else if (!ChannelsInside && wrap_unit) move = PlaceWidth'(UnitMove);
    else if (!ChannelsInside && wrap_line) move = PlaceWidth'(KernelMove);
    else if (wrap_tap) move = PlaceWidth'(LineMove);
    else if (step_tap) move = PlaceWidth'(TapMove);
    else if (ChannelsInside && wrap_unit) move = PlaceWidth'(UnitMove);
    else move = '0;
  end

  fst_window_add #(
    .Width(PlaceWidth),
    .Modulus(Places)
  ) u_read (
    .value_i(read_q),
    .addend_i(move),
    .sum_o(read_d)
  );

  always_ff @(posedge clk_i) begin
    if (rst_i) read_q <= PlaceWidth'(FirstPlace);
    else read_q <= read_d;
  end

  // The writer: beats of a unit, then places.
  logic                  unit_written;
  logic [BeatWidth-1:0]  written_beat;
  logic [PlaceWidth-1:0] written_place;
  logic [2:0]            unused_written;

  assign write_o = s_valid_i && s_ready_o;

  fst_window_count #(
    .Count(Unit)
  ) u_written_beat (
    .clk_i,
    .rst_i,
    .step_i(write_o),
    .value_o(written_beat),
    .last_o(unused_written[0]),
    .wrap_o(unit_written)
  );

  fst_window_count #(
    .Count(Places)
  ) u_written_place (
    .clk_i,
    .rst_i,
    .step_i(unit_written),
    .value_o(written_place),
    .last_o(unused_written[1]),
    .wrap_o(unused_written[2])
  );

  if (Unit == 1) begin : g_places
    logic unused_beats;
    assign unused_beats    = ^{beat, written_beat};
    assign read_address_o  = read_q;
    assign write_address_o = written_place;
  end else begin : g_beats
    assign read_address_o  = {read_q, beat};
    assign write_address_o = {written_place, written_beat};
  end

  // Places in use beyond Need: written ones come, those freed go.
  logic [UsedWidth-1:0] used_q, used_d, change;
  logic                 unused_carry, row_frees, column_frees;

  if (FreeRows >= Rows) begin : g_rows_free
    assign row_frees = 1'b1;
  end else if (FreeRows == 0) begin : g_no_row_frees
    assign row_frees = 1'b0;
  end else begin : g_some_rows_free
    assign row_frees = row < RowWidth'(FreeRows);
  end

  if (FreeColumns + 1 >= Columns) begin : g_columns_free
    assign column_frees = 1'b1;
  end else if (FreeColumns == 0) begin : g_no_column_frees
    assign column_frees = 1'b0;
  end else begin : g_some_columns_free
    assign column_frees = column < ColumnWidth'(FreeColumns);
  end

  always_comb begin
    if (wrap_row) change = UsedWidth'(-FrameFree);
    else if (wrap_column) change = row_frees ? UsedWidth'(-RowFree) : '0;
    else if (window_ends) change = row_frees && column_frees ? UsedWidth'(-ColumnFree) : '0;
    else change = '0;
  end

  fst_carry_chain #(
    .Stages(UsedWidth)
  ) u_used (
    .carry_i(unit_written),
    .propagate_i(used_q ^ change),
    .generate_i(used_q),
    .sum_o(used_d),
    .carry_o(unused_carry)
  );

  always_ff @(posedge clk_i) begin
    if (rst_i) used_q <= UsedWidth'(FirstUsed - Need);
    else used_q <= used_d;
  end

  assign s_ready_o = used_q != UsedWidth'(Spare);

  // A window begins when all it needs is there.
  logic begins_q, enough, complete, bottom, right;

  always_ff @(posedge clk_i) begin
    if (rst_i) begins_q <= 1'b1;
    else if (issue_o) begins_q <= window_ends;
  end

  if (BottomRow == Rows - 1 && RightColumn == Columns - 1) begin : g_last_window
    assign complete = 1'b0;
  end else begin : g_windows_after
    logic complete_q;

    always_ff @(posedge clk_i) begin
      if (rst_i) complete_q <= 1'b0;
      else complete_q <= !wrap_row && (complete_q || (window_ends && bottom && right));
    end

    assign complete = complete_q;
  end

  assign bottom = row == RowWidth'(BottomRow);
  assign right  = column == ColumnWidth'(RightColumn);

  if (RowNeed == Need && BottomNeed == Need && LastNeed == Need) begin : g_same_need
    assign enough = complete || !used_q[UsedWidth-1];
  end else begin : g_needs
    logic signed [UsedWidth-1:0] more;

    always_comb begin
      if (bottom) more = right ? UsedWidth'(LastNeed - Need) : UsedWidth'(BottomNeed - Need);
      else more = last_column ? UsedWidth'(RowNeed - Need) : '0;
    end

    assign enough = complete || $signed(used_q) >= more;
  end

  assign issue_o = (available_i || !gives) && (!begins_q || enough);

  // Where the kernel lies beside the frame.
  if (Padded) begin : g_padded
    always_comb begin
      inside_o = 1'b1;
      for (int unsigned k = 0; k < KernelHeight; k++) begin
        if (line == LineWidth'(k) &&
            (32'(row) < RowFrom[32*k+:32] || 32'(row) > RowTo[32*k+:32])) begin
          inside_o = 1'b0;
        end
      end
      for (int unsigned k = 0; k < KernelWidth; k++) begin
        if (tap == TapWidth'(k) &&
            (32'(column) < ColumnFrom[32*k+:32] || 32'(column) > ColumnTo[32*k+:32])) begin
          inside_o = 1'b0;
        end
      end
    end
  end else begin : g_not_padded
    assign inside_o = 1'b1;
  end

  assign first_tap_o = tap == '0 && line == '0;

  assign column_o     = column;
  assign row_o        = row;
  assign row_ends_o   = wrap_column;
  assign frame_ends_o = wrap_row;

  logic unused;
  assign unused = ^{bottom, right, row, column, last_tap, last_line, last_column};

  `FST_REQUIRE(unit, Unit == 2 ** $clog2(Unit), "fst_window_walk: Unit must be a power of two")
  `FST_REQUIRE(places, Places >= 2, "fst_window_walk: Places must be at least 2")
  `FST_REQUIRE(room, Room <= Places * Banks, "fst_window_walk: Room is more than all Banks hold")
endmodule
