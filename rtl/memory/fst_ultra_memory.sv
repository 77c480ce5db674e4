// SPDX-License-Identifier: Apache-2.0
// Memory that is empty until its words are written over a bus of 32 bits: UltraRAM where the family has it, which no
// bitstream fills. A word is written with its last column, after the others in any order; a word read in the cycle of
// its own writing is undefined.
// Latency 1, interval 1, on both sides.
`include "fst_assert.svh"
module fst_ultra_memory #(
  parameter int unsigned Width = 72,
  parameter int unsigned Depth = 4096,
  localparam int unsigned AddressWidth = Depth > 1 ? $clog2(Depth) : 1,
  localparam int unsigned Columns = (Width + 31) / 32,
  localparam int unsigned ColumnWidth = $clog2(Columns),
  localparam int unsigned Index = ColumnWidth + $clog2(Depth),  // bits of word and column
  localparam int unsigned BusWidth = Index > 0 ? Index : 1
) (
  input  logic                    clk_i,
  input  logic [AddressWidth-1:0] address_i,
  output logic [Width-1:0]        word_o,         // at the address of the cycle before
  input  logic                    bus_write_i,
  input  logic [BusWidth-1:0]     bus_address_i,  // of a column: word and column as one number
  input  logic [31:0]             bus_data_i,
  output logic [31:0]             bus_data_o,     // at the bus address of the cycle before
  output logic                    bus_mapped_o    // whether there is a column at this cycle's
);
  // A word of the bus's columns: the topmost bits of the last one may be more than there are.
  localparam int unsigned Padded = 32 * Columns;

  (* ram_style = "ultra" *)
  logic [Width-1:0] words [Depth];
  logic [Width-1:0] word_q, answer_q;
  logic [AddressWidth-1:0] bus_word;
  logic [Padded-1:0] written, answer;
  logic last_column, write;

  if (Depth == 1) begin : g_one_word
    assign bus_word = 1'b0;
  end else begin : g_words
    assign bus_word = bus_address_i[ColumnWidth+:AddressWidth];
  end

  if (Columns == 1) begin : g_one_column
    assign last_column  = 1'b1;
    assign written      = bus_data_i;
    assign bus_data_o   = answer;
    assign bus_mapped_o = Depth == 1 ? !bus_address_i[0] : 32'(bus_word) < Depth;
  end else begin : g_columns
    logic [ColumnWidth-1:0] column, column_q;
    logic [Padded-33:0] staged_q;

    assign column       = bus_address_i[ColumnWidth-1:0];
    assign last_column  = column == ColumnWidth'(Columns - 1);
    assign written      = {bus_data_i, staged_q};
    assign bus_mapped_o = 32'(column) < Columns && 32'(bus_word) < Depth;

    for (genvar c = 0; c < Columns - 1; c++) begin : g_staged
      always_ff @(posedge clk_i) begin
        if (bus_write_i && column == ColumnWidth'(c)) staged_q[32*c+:32] <= bus_data_i;
      end
    end

    always_ff @(posedge clk_i) column_q <= column;

    assign bus_data_o = answer[32*column_q+:32];
  end

  assign write = bus_write_i && bus_mapped_o && last_column;

  always_ff @(posedge clk_i) begin
    if (write) words[bus_word] <= written[Width-1:0];
    else answer_q <= words[bus_word];
  end

  always_ff @(posedge clk_i) word_q <= words[address_i];

  assign word_o = word_q;
  assign answer = Padded'(answer_q);

  if (Padded > Width) begin : g_padding
    logic unused;

    assign unused = ^written[Padded-1:Width];
  end

  `FST_REQUIRE(width, Width >= 1, "fst_ultra_memory: Width must be at least 1")
  `FST_REQUIRE(depth, Depth >= 1, "fst_ultra_memory: Depth must be at least 1")
endmodule
