// SPDX-License-Identifier: Apache-2.0
// Whole windows: a step reads one position of every row under the kernel, and the last KernelWidth
// columns are the window.
// Latency 1 from issue to window, 2 with BlockRam; interval 1.
`include "fst_assert.svh"
module fst_window_lines #(
  parameter int unsigned Width = 8,            // bits of a position
  parameter bit          BlockRam = 0,
  parameter int unsigned FrameWidth = 4,       // positions of a row
  parameter int unsigned KernelWidth = 3,
  parameter int unsigned KernelHeight = 3,
  parameter int unsigned Columns = FrameWidth,  // steps of a row
  parameter int unsigned Rows = 4,             // of windows
  parameter int unsigned Banks = KernelHeight,
  // The bank of a window's upper row: at the beginning, and how many further in the next row, frame.
  parameter int unsigned FirstBank = 0,
  parameter int unsigned RowBanks = 1,
  parameter int unsigned FrameBanks = 1,
  // What is beside the frame: line k is in it in the rows of windows RowFrom[k] to RowTo[k], 32 bits
  // each; columns from FrameWidth on, and those before the row's first.
  parameter bit PadRows = 0,
  parameter bit PadColumns = 0,
  parameter bit [32*KernelHeight-1:0] RowFrom = '0,
  parameter bit [32*KernelHeight-1:0] RowTo = '1,
  parameter bit [Width-1:0] Padding = '0,
  localparam int unsigned ColumnWidth = Columns > 1 ? $clog2(Columns) : 1,
  localparam int unsigned RowWidth = Rows > 1 ? $clog2(Rows) : 1
) (
  input  logic                                      clk_i,
  input  logic                                      rst_i,
  input  logic                                      write_i,
  input  logic [Width-1:0]                          write_data_i,
  input  logic                                      issue_i,
  input  logic [ColumnWidth-1:0]                    column_i,      // of the step
  input  logic [RowWidth-1:0]                       row_i,
  input  logic                                      row_ends_i,
  input  logic                                      frame_ends_i,
  output logic [KernelHeight*KernelWidth*Width-1:0] window_o
);
  localparam int unsigned PlaceWidth = FrameWidth > 1 ? $clog2(FrameWidth) : 1;
  localparam int unsigned Height = KernelHeight * Width;

  // One column.
  logic [Height-1:0] read;

  fst_window_banks #(
    .Width(Width),
    .BlockRam(BlockRam),
    .Depth(FrameWidth),
    .KernelHeight(KernelHeight),
    .Rows(Rows),
    .Banks(Banks),
    .FirstBank(FirstBank),
    .RowBanks(RowBanks),
    .FrameBanks(FrameBanks),
    .PadRows(PadRows),
    .RowFrom(RowFrom),
    .RowTo(RowTo),
    .Padding(Padding)
  ) u_banks (
    .clk_i,
    .rst_i,
    .write_i,
    .write_data_i,
    .read_address_i(PlaceWidth'(column_i)),
    .row_i,
    .row_ends_i,
    .frame_ends_i,
    .lines_o(read)
  );

  // What belongs to the column comes as late as it does.
  logic shift, first_column, column_inside;

  if (BlockRam) begin : g_late
    logic shift_q, first_q, column_inside_q;

    always_ff @(posedge clk_i) begin
      shift_q         <= issue_i;
      first_q         <= column_i == '0;
      column_inside_q <= 32'(column_i) < FrameWidth;
    end

    assign shift         = shift_q;
    assign first_column  = first_q;
    assign column_inside = column_inside_q;
  end else begin : g_at_once
    assign shift         = issue_i;
    assign first_column  = column_i == '0;
    assign column_inside = 32'(column_i) < FrameWidth;
  end

  // The last columns, the latest in the low bits, and whether each is in the frame.
  logic [KernelWidth*Height-1:0] columns_q, columns_d;
  logic [KernelWidth-1:0]        within_q, within_d;

  if (KernelWidth == 1) begin : g_one_column
    logic unused_first;
    assign unused_first = first_column;
    assign columns_d    = read;
    assign within_d     = column_inside;
  end else begin : g_columns
    assign columns_d = {columns_q[(KernelWidth-1)*Height-1:0], read};
    assign within_d  = {first_column ? '0 : within_q[KernelWidth-2:0], column_inside};
  end

  always_ff @(posedge clk_i) begin
    if (shift) begin
      columns_q <= columns_d;
      within_q  <= within_d;
    end
  end

  for (genvar k = 0; k < KernelHeight; k++) begin : g_line
    for (genvar t = 0; t < KernelWidth; t++) begin : g_tap
      localparam int unsigned Age = KernelWidth - 1 - t;
      logic [Width-1:0] position;
      assign position = columns_q[Age*Height+k*Width+:Width];
      assign window_o[(k*KernelWidth+t)*Width+:Width] =
        !PadColumns || within_q[Age] ? position : Padding;
    end
  end

  logic unused;
  assign unused = ^within_q;
endmodule
