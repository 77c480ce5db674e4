// SPDX-License-Identifier: Apache-2.0
// Memory with one port to write and one to read; what is read in the cycle of its own write is undefined.
// Latency 0 from address to data, 1 with BlockRam; interval 1, capacity Depth.
`include "fst_assert.svh"
module fst_memory #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 16,
  parameter bit          BlockRam = 0,
  localparam int unsigned AddressWidth = Depth > 1 ? $clog2(Depth) : 1
) (
  input  logic                    clk_i,
  input  logic                    write_i,
  input  logic [AddressWidth-1:0] write_address_i,
  input  logic [Width-1:0]        write_data_i,
  input  logic [AddressWidth-1:0] read_address_i,
  output logic [Width-1:0]        read_data_o
);
  if (BlockRam) begin : g_block
    (* ram_style = "block" *)
    logic [Width-1:0] words [Depth];
    logic [Width-1:0] data_q;

    always_ff @(posedge clk_i) begin
      if (write_i) words[write_address_i] <= write_data_i;
    end

    always_ff @(posedge clk_i) data_q <= words[read_address_i];

    assign read_data_o = data_q;
  end else begin : g_lut
    // LUT memory comes in powers of two.
    (* ram_style = "distributed" *)
    logic [Width-1:0] words [2**AddressWidth];

    always_ff @(posedge clk_i) begin
      if (write_i) words[write_address_i] <= write_data_i;
    end

    assign read_data_o = words[read_address_i];
  end

  `FST_REQUIRE(depth, Depth >= 1, "fst_memory: Depth must be at least 1")
endmodule
