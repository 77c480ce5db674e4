// SPDX-License-Identifier: Apache-2.0
// Registers by which a driver starts movers of data and sees them end, on a bus of 32-bit words.
// An answer comes 3 cycles after its address. Words: 0 command (1 starts) and state (bit 0 busy,
// bit 1 an answer of memory was not OKAY), 1 identity, 2 and 3 cycles since the start; from
// 4 + 4m on what mover m is given: low and high half of its address, its number of words.
`include "fst_assert.svh"
module fst_control #(
    parameter int unsigned Movers       = 2,
    parameter logic [31:0] Identity     = 32'h0,            // tells designs apart
    parameter int unsigned AddressWidth = $clog2(4 + 4 * Movers)  // of words
) (
    input  logic                    clk_i,
    input  logic                    rst_i,
    input  logic                    bus_write_i,
    input  logic [AddressWidth-1:0] bus_address_i,  // of words
    input  logic [            31:0] bus_data_i,
    output logic [            31:0] bus_data_o,
    output logic                    bus_mapped_o,   // whether there is a word
    output logic                    start_o,
    output logic [   64*Movers-1:0] addresses_o,
    output logic [   32*Movers-1:0] words_o,
    input  logic [      Movers-1:0] busy_i,         // from the cycle after the start on
    input  logic [      Movers-1:0] error_i
);
  localparam int unsigned Words = 4 + 4 * Movers;
  localparam int unsigned IndexWidth = $clog2(Words);

  logic [            31:0] registers [Words];
  logic [AddressWidth-1:0] address_q;
  logic [31:0] data_q, read_q, answer_q;
  logic write_q, known_q, mapped_q, start_q, busy_q, error_q, known, starts;
  logic [63:0] cycles_q;

  // The word of a mover that has no register is the last of its four.
  assign known  = 32'(address_q) < Words && (address_q[1:0] != 2'd3 || 32'(address_q) == 3);
  assign starts = write_q && address_q == '0 && data_q[0] && !busy_q;

  always_ff @(posedge clk_i) begin
    address_q <= bus_address_i;
    data_q    <= bus_data_i;
    read_q    <= known ? registers[address_q[IndexWidth-1:0]] : 32'd0;
    known_q   <= known;
    answer_q  <= read_q;
    mapped_q  <= known_q;
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      write_q  <= 1'b0;
      start_q  <= 1'b0;
      busy_q   <= 1'b0;
      error_q  <= 1'b0;
      cycles_q <= '0;
    end else begin
      write_q <= bus_write_i;
      start_q <= starts;
      busy_q  <= starts || start_q || (busy_q && |busy_i);
      error_q <= |error_i;
      if (starts) cycles_q <= '0;
      else if (busy_q) cycles_q <= cycles_q + 1'b1;
    end
  end

  assign registers[0] = {30'd0, error_q, busy_q};
  assign registers[1] = Identity;
  assign registers[2] = cycles_q[31:0];
  assign registers[3] = cycles_q[63:32];

  for (genvar m = 0; m < Movers; m++) begin : g_mover
    for (genvar w = 0; w < 3; w++) begin : g_word
      localparam int unsigned Place = 4 + 4 * m + w;
      logic [31:0] word_q;

      always_ff @(posedge clk_i) begin
        if (rst_i) word_q <= '0;
        else if (write_q && 32'(address_q) == Place && !busy_q) word_q <= data_q;
      end
      assign registers[Place] = word_q;
    end
    assign registers[4+4*m+3]     = 32'd0;
    assign addresses_o[64*m+:64] = {registers[4+4*m+1], registers[4+4*m]};
    assign words_o[32*m+:32]     = registers[4+4*m+2];
  end

  assign start_o      = start_q;
  assign bus_data_o   = answer_q;
  assign bus_mapped_o = mapped_q;

  `FST_REQUIRE(movers, Movers >= 1, "fst_control: Movers must be at least 1")
endmodule
