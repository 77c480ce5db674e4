// SPDX-License-Identifier: Apache-2.0
// The smallest block with two inputs: a holding register behind each, a step takes from both.
// Latency 2 (a register and D = 1), interval 1 with Depth >= 2, capacity Depth.
module join_block #(
    parameter int unsigned Width = 8,
    parameter int unsigned Depth = 2
) (
    input  logic               clk_i,
    input  logic               rst_i,
    input  logic               s0_valid_i,
    output logic               s0_ready_o,
    input  logic [  Width-1:0] s0_data_i,
    input  logic               s1_valid_i,
    output logic               s1_ready_o,
    input  logic [  Width-1:0] s1_data_i,
    output logic               m_valid_o,
    input  logic               m_ready_i,
    output logic [2*Width-1:0] m_data_o
);
  logic [1:0] held;
  logic [Width-1:0] data0, data1;
  logic available, issue, pop;

  assign issue = (&held) && available;

  fst_skid #(
      .Width(Width)
  ) u_hold_0 (
      .clk_i,
      .rst_i,
      .s_valid_i(s0_valid_i),
      .s_ready_o(s0_ready_o),
      .s_data_i (s0_data_i),
      .m_valid_o(held[0]),
      .m_ready_i(issue),
      .m_data_o (data0)
  );

  fst_skid #(
      .Width(Width)
  ) u_hold_1 (
      .clk_i,
      .rst_i,
      .s_valid_i(s1_valid_i),
      .s_ready_o(s1_ready_o),
      .s_data_i (s1_data_i),
      .m_valid_o(held[1]),
      .m_ready_i(issue),
      .m_data_o (data1)
  );

  fst_credit #(
      .Depth(Depth)
  ) u_credit (
      .clk_i,
      .rst_i,
      .take_i(issue),
      .give_i(pop),
      .available_o(available)
  );

  fst_queue #(
      .Width(2 * Width),
      .Depth(Depth)
  ) u_queue (
      .clk_i,
      .rst_i,
      .push_i(issue),
      .push_data_i({data1, data0}),
      .m_valid_o,
      .m_ready_i,
      .m_data_o,
      .pop_o(pop)
  );
endmodule
