// SPDX-License-Identifier: Apache-2.0
// Keeps a vector for the rows after the first: what is written at an address can be read at once.
// Latency 2 from address to data, interval 1, capacity Depth.
`include "fst_assert.svh"
module fst_mvau_replay #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 4,
  parameter bit          BlockRam = Depth > 64,
  localparam int unsigned AddressWidth = $clog2(Depth)
) (
  input  logic                    clk_i,
  input  logic                    write_i,
  input  logic [AddressWidth-1:0] address_i,  // of the write, and of the read
  input  logic [Width-1:0]        data_i,
  output logic [Width-1:0]        data_o
);
  logic [AddressWidth-1:0] address_q;
  logic [Width-1:0]        data_q;

  always_ff @(posedge clk_i) address_q <= address_i;

  if (BlockRam) begin : g_block
    (* ram_style = "block" *)
    logic [Width-1:0] words [Depth];

    always_ff @(posedge clk_i) begin
      if (write_i) words[address_i] <= data_i;
      data_q <= words[address_q];
    end
  end else begin : g_lut
    (* ram_style = "distributed" *)
    logic [Width-1:0] words [2**AddressWidth];

    always_ff @(posedge clk_i) begin
      if (write_i) words[address_i] <= data_i;
      data_q <= words[address_q];
    end
  end

  assign data_o = data_q;

  `FST_REQUIRE(depth, Depth >= 2, "fst_mvau_replay: Depth must be at least 2")
endmodule
