// SPDX-License-Identifier: Apache-2.0
// A memory written and read at addresses of their own, in any cycle; what is written can be read in the next cycle.
// Latency 2 from read address to data, or 1 with Latency = 1; interval 1, capacity Depth.
`include "fst_assert.svh"
module fst_mvau_store #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 4,
  parameter int unsigned Latency = 2,
  parameter bit          BlockRam = Depth > 64,
  localparam int unsigned AddressWidth = $clog2(Depth)
) (
  input  logic                    clk_i,
  input  logic                    write_i,
  input  logic [AddressWidth-1:0] write_address_i,
  input  logic [Width-1:0]        data_i,
  input  logic [AddressWidth-1:0] address_i,
  output logic [Width-1:0]        data_o
);
  logic [AddressWidth-1:0] address;
  logic [Width-1:0]        data_q;

  if (Latency == 1) begin : g_early
    assign address = address_i;
  end else begin : g_late
    logic [AddressWidth-1:0] address_q;

    always_ff @(posedge clk_i) address_q <= address_i;

    assign address = address_q;
  end

  if (BlockRam) begin : g_block
    (* ram_style = "block" *)
    logic [Width-1:0] words [Depth];

    always_ff @(posedge clk_i) begin
      if (write_i) words[write_address_i] <= data_i;
      data_q <= words[address];
    end
  end else begin : g_lut
    (* ram_style = "distributed" *)
    logic [Width-1:0] words [2**AddressWidth];

    always_ff @(posedge clk_i) begin
      if (write_i) words[write_address_i] <= data_i;
      data_q <= words[address];
    end
  end

  assign data_o = data_q;

  `FST_REQUIRE(depth, Depth >= 2, "fst_mvau_store: Depth must be at least 2")
  `FST_REQUIRE(latency, Latency == 1 || Latency == 2, "fst_mvau_store: Latency must be 1 or 2")
endmodule
