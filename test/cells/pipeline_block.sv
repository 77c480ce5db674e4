// SPDX-License-Identifier: Apache-2.0
// The smallest block of the stall policy: issue on a beat and a credit, a pipeline, the queue.
// Latency Stages + 1 (D), interval 1 with Depth >= D + 1, capacity Depth.
module pipeline_block #(
    parameter int unsigned Width  = 8,
    parameter int unsigned Stages = 2,
    parameter int unsigned Depth  = 4
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
  logic [Stages-1:0] valid_q;
  logic [Stages*Width-1:0] data_q;
  logic issue, pop;

  assign issue = s_valid_i && s_ready_o;

  always_ff @(posedge clk_i) begin
    if (rst_i) valid_q <= '0;
    else valid_q <= Stages'({valid_q, issue});
  end

  always_ff @(posedge clk_i) begin
    data_q <= (Stages * Width)'({data_q, s_data_i});
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
      .Width(Width),
      .Depth(Depth)
  ) u_queue (
      .clk_i,
      .rst_i,
      .push_i(valid_q[Stages-1]),
      .push_data_i(data_q[(Stages-1)*Width+:Width]),
      .m_valid_o,
      .m_ready_i,
      .m_data_o,
      .pop_o(pop)
  );
endmodule
