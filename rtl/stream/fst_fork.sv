// SPDX-License-Identifier: Apache-2.0
// Copies a stream to several: takes a beat when every branch has room; branches drain alone.
// Latency 1 (D = 1), interval 1 with Depth >= 2, capacity Depth on each branch.
`include "fst_assert.svh"
module fst_fork #(
    parameter int unsigned Width = 8,    // payload bits
    parameter int unsigned Branches = 2,
    parameter int unsigned Depth = 2     // beats each branch can hold
) (
    input  logic                      clk_i,
    input  logic                      rst_i,
    input  logic                      s_valid_i,
    output logic                      s_ready_o,
    input  logic [         Width-1:0] s_data_i,
    output logic [      Branches-1:0] m_valid_o,
    input  logic [      Branches-1:0] m_ready_i,
    output logic [Branches*Width-1:0] m_data_o
);
  logic [Branches-1:0] available;
  logic                push;

  assign s_ready_o = &available;
  assign push      = s_valid_i && s_ready_o;

  for (genvar b = 0; b < Branches; b++) begin : g_branch
    logic pop;

    fst_credit #(
        .Depth(Depth)
    ) u_credit (
        .clk_i,
        .rst_i,
        .take_i(push),
        .give_i(pop),
        .available_o(available[b])
    );

    fst_queue #(
        .Width(Width),
        .Depth(Depth)
    ) u_queue (
        .clk_i,
        .rst_i,
        .push_i(push),
        .push_data_i(s_data_i),
        .m_valid_o(m_valid_o[b]),
        .m_ready_i(m_ready_i[b]),
        .m_data_o(m_data_o[b*Width+:Width]),
        .pop_o(pop)
    );
  end

  `FST_REQUIRE(branches, Branches >= 1, "fst_fork: Branches must be at least 1")
endmodule
