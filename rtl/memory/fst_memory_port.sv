// SPDX-License-Identifier: Apache-2.0
// One port of a memory that is read several times in each cycle, by a clock so many times as fast whose edges include clk_i's.
// Latency 2, interval 1; memory_word_i is the word at memory_address_o a cycle of memory_clk_i before.
`include "fst_assert.svh"
module fst_memory_port #(
  parameter int unsigned Width = 18,
  parameter int unsigned AddressWidth = 10,
  parameter int unsigned Ratio = 2,  // cycles of memory_clk_i in one of clk_i
  parameter int unsigned Reads = 2   // in a cycle of clk_i
) (
  input  logic                          clk_i,
  input  logic                          memory_clk_i,
  input  logic                          rst_i,
  input  logic [Reads*AddressWidth-1:0] address_i,
  output logic [Reads*Width-1:0]        word_o,
  output logic [AddressWidth-1:0]       memory_address_o,
  input  logic [Width-1:0]              memory_word_i
);
  localparam int unsigned PhaseWidth = $clog2(Ratio);
  // Registers of the address, so that a word comes back in the phase of its read.
  localparam int unsigned Line = Ratio - 1;

  // Reset ends with an edge of both clocks, after which the phase is 0.
  logic [PhaseWidth-1:0] phase_q;

  always_ff @(posedge memory_clk_i) begin
    if (rst_i) phase_q <= '0;
    else phase_q <= phase_q == PhaseWidth'(Ratio - 1) ? '0 : phase_q + 1'b1;
  end

  logic [AddressWidth-1:0] address;
  logic [Line*AddressWidth-1:0] line_q;

  always_comb begin
    address = address_i[0+:AddressWidth];
    for (int unsigned read = 1; read < Reads; read++) begin
      if (phase_q == PhaseWidth'(read)) address = address_i[read*AddressWidth+:AddressWidth];
    end
  end

  if (Line > 1) begin : g_line
    always_ff @(posedge memory_clk_i) line_q <= {line_q[0+:(Line-1)*AddressWidth], address};
  end else begin : g_register
    always_ff @(posedge memory_clk_i) line_q <= address;
  end

  assign memory_address_o = line_q[(Line-1)*AddressWidth+:AddressWidth];

  for (genvar read = 0; read < Reads; read++) begin : g_read
    logic [Width-1:0] word_q;

    if (read < Ratio - 1) begin : g_held
      logic [Width-1:0] held_q;

      always_ff @(posedge memory_clk_i) begin
        if (phase_q == PhaseWidth'(read)) held_q <= memory_word_i;
      end

      always_ff @(posedge clk_i) word_q <= held_q;
    end else begin : g_last
      always_ff @(posedge clk_i) word_q <= memory_word_i;
    end

    assign word_o[read*Width+:Width] = word_q;
  end

  `FST_REQUIRE(ratio, Ratio >= 2, "fst_memory_port: Ratio must be at least 2")
  `FST_REQUIRE(reads, Reads >= 1 && Reads <= Ratio, "fst_memory_port: Reads must be 1 to Ratio")
endmodule
