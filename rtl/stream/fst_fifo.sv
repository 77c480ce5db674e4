// SPDX-License-Identifier: Apache-2.0
// FIFO between two streams: LUT memory when shallow, block memory when deep.
// Latency 1 (2 with BlockRam), interval 1, capacity Depth.
`include "fst_assert.svh"
module fst_fifo #(
  parameter int unsigned Width = 8,             // payload bits
  parameter int unsigned Depth = 16,            // beats
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
  logic push, pop;

  assign push = s_valid_i && s_ready_o;

  fst_credit #(
    .Depth(Depth)
  ) u_credit (
    .clk_i,
    .rst_i,
    .take_i(push),
    .give_i(pop),
    .available_o(s_ready_o)
  );

  fst_queue #(
    .Width(Width),
    .Depth(Depth),
    .BlockRam(BlockRam)
  ) u_queue (
    .clk_i,
    .rst_i,
    .push_i(push),
    .push_data_i(s_data_i),
    .m_valid_o,
    .m_ready_i,
    .m_data_o,
    .pop_o(pop)
  );
endmodule
