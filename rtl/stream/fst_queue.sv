// SPDX-License-Identifier: Apache-2.0
// Output queue of a block: no ready at its input, the block's credits keep it from overflow.
// Latency 1 (2 with BlockRam), interval 1, capacity Depth.
`include "fst_assert.svh"
module fst_queue #(
    parameter int unsigned Width    = 8,  // payload bits
    parameter int unsigned Depth    = 2,  // beats
    parameter bit          BlockRam = 0   // block memory, one cycle more latency
) (
    input  logic             clk_i,
    input  logic             rst_i,
    input  logic             push_i,
    input  logic [Width-1:0] push_data_i,
    output logic             m_valid_o,
    input  logic             m_ready_i,
    output logic [Width-1:0] m_data_o,
    output logic             pop_o
);
  // LUT memory comes in powers of two, and pointers that wrap by themselves are the smallest.
  localparam int unsigned Slots = BlockRam || Depth <= 1 ? Depth : 2 ** $clog2(Depth);
  logic unused_fills;

  fst_ring #(
      .Width(Width),
      .Slots(Slots),
      .BlockRam(BlockRam)
  ) u_ring (
      .clk_i,
      .rst_i,
      .push_i,
      .push_data_i,
      .m_valid_o,
      .m_ready_i,
      .m_data_o,
      .pop_o,
      .fills_o(unused_fills)
  );

  `FST_REQUIRE(width, Width >= 1, "fst_queue: Width must be at least 1")
  `FST_REQUIRE(depth, Depth >= 1, "fst_queue: Depth must be at least 1")
  `FST_REQUIRE(block, !BlockRam || Depth >= 3, "fst_queue: BlockRam needs Depth of at least 3")
endmodule
