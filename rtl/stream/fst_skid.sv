// SPDX-License-Identifier: Apache-2.0
// Register slice: cuts every path of a stream at full rate.
// Latency 1 (D = 1), interval 1, capacity 2.
`include "fst_assert.svh"
module fst_skid #(
    parameter int unsigned Width = 8  // payload bits
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
  logic head_valid_q, spare_valid_q;
  logic [Width-1:0] head_data_q, spare_data_q;
  logic head_free;

  assign head_free = !head_valid_q || m_ready_i;
  assign s_ready_o = !spare_valid_q;
  assign m_valid_o = head_valid_q;
  assign m_data_o  = head_data_q;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      head_valid_q  <= 1'b0;
      spare_valid_q <= 1'b0;
    end else if (head_free) begin
      head_valid_q  <= spare_valid_q || s_valid_i;
      spare_valid_q <= 1'b0;
    end else if (s_ready_o) begin
      spare_valid_q <= s_valid_i;
    end
  end

  always_ff @(posedge clk_i) begin
    if (head_free) head_data_q <= spare_valid_q ? spare_data_q : s_data_i;
    if (s_ready_o) spare_data_q <= s_data_i;
  end

  `FST_REQUIRE(width, Width >= 1, "fst_skid: Width must be at least 1")
  `FST_ASSERT_STREAM(m, m_valid_o, m_ready_i, m_data_o)
endmodule
