// SPDX-License-Identifier: Apache-2.0
// FIFO between two streams: LUT memory when shallow, block memory when deep.
// Latency 1 (2 with BlockRam), interval 1, capacity Depth.
`include "fst_assert.svh"
module fst_fifo #(
    parameter int unsigned Width    = 8,          // payload bits
    parameter int unsigned Depth    = 16,         // beats
    parameter bit          BlockRam = Depth > 64  // block memory, one cycle more latency
) (
    input  logic             clk_i,
    input  logic             rst_i,
    input  logic             s_valid_i,
    output logic             s_ready_o,
    input  logic [Width-1:0] s_data_i,
    output logic             m_valid_o,
    input  logic             m_ready_i,
    output logic [Width-1:0] m_data_o
);
  logic ready_q, push, pop, fills;

  assign s_ready_o = ready_q;
  assign push      = s_valid_i && ready_q;

  always_ff @(posedge clk_i) begin
    if (rst_i || pop) ready_q <= 1'b1;
    else if (push && fills) ready_q <= 1'b0;
  end

  fst_ring #(
      .Width(Width),
      .Slots(Depth),
      .BlockRam(BlockRam)
  ) u_ring (
      .clk_i,
      .rst_i,
      .push_i(push),
      .push_data_i(s_data_i),
      .m_valid_o,
      .m_ready_i,
      .m_data_o,
      .pop_o(pop),
      .fills_o(fills)
  );

  `FST_REQUIRE(width, Width >= 1, "fst_fifo: Width must be at least 1")
  `FST_REQUIRE(depth, Depth >= 1, "fst_fifo: Depth must be at least 1")
  `FST_REQUIRE(block, !BlockRam || Depth >= 3, "fst_fifo: BlockRam needs Depth of at least 3")
endmodule
