// SPDX-License-Identifier: Apache-2.0
// Magnitude of each lane.
// Latency 2 (3 with BlockRam), interval 1, capacity Depth.
`include "fst_assert.svh"
module fst_absolute #(
    parameter int unsigned Pe = 1,  // lanes
    parameter int unsigned InBits = 4,
    parameter int unsigned OutBits = 4,
    parameter bit IsSigned = 1,
    parameter int unsigned Depth = 3,  // beats of the output queue
    parameter bit BlockRam = 0  // the queue is block memory
) (
    input  logic                  clk_i,
    input  logic                  rst_i,
    input  logic                  s_valid_i,
    output logic                  s_ready_o,
    input  logic [ Pe*InBits-1:0] s_data_i,
    output logic                  m_valid_o,
    input  logic                  m_ready_i,
    output logic [Pe*OutBits-1:0] m_data_o
);
  logic issue, push_q, pop;
  logic [Pe*OutBits-1:0] result, result_q;

  assign issue = s_valid_i && s_ready_o;

  for (genvar lane = 0; lane < Pe; lane++) begin : g_lane
    logic [InBits-1:0] element;
    logic [InBits-1:0] magnitude;

    assign element   = s_data_i[lane*InBits+:InBits];
    assign magnitude = (IsSigned && element[InBits-1]) ? ~element + 1'b1 : element;
    assign result[lane*OutBits+:OutBits] = OutBits'(magnitude);
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) push_q <= 1'b0;
    else push_q <= issue;
  end

  always_ff @(posedge clk_i) begin
    result_q <= result;
  end

  fst_credit #(
      .Depth(Depth)
  ) u_credit (
      .clk_i,
      .rst_i,
      .take_i(issue),
      .give_i(pop),
      .available_o(s_ready_o)
  );

  fst_queue #(
      .Width(Pe * OutBits),
      .Depth(Depth),
      .BlockRam(BlockRam)
  ) u_queue (
      .clk_i,
      .rst_i,
      .push_i(push_q),
      .push_data_i(result_q),
      .m_valid_o,
      .m_ready_i,
      .m_data_o,
      .pop_o(pop)
  );
endmodule
