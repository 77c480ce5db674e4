// SPDX-License-Identifier: Apache-2.0
// AXI4-Stream to stream: drops the padding of tdata, and tlast, since frames are counted in beats.
// Wires alone, no cycle added; tready is a register exactly as the stream's ready is.
`include "fst_assert.svh"
module fst_axis_in #(
    parameter int unsigned Width     = 8,                     // payload bits
    parameter int unsigned DataWidth = 8 * ((Width + 7) / 8)  // tdata: whole bytes
) (
    input  logic                 s_axis_tvalid_i,
    output logic                 s_axis_tready_o,
    input  logic [DataWidth-1:0] s_axis_tdata_i,
    input  logic                 s_axis_tlast_i,
    output logic                 m_valid_o,
    input  logic                 m_ready_i,
    output logic [    Width-1:0] m_data_o
);
  logic unused;

  assign s_axis_tready_o = m_ready_i;
  assign m_valid_o       = s_axis_tvalid_i;
  assign m_data_o        = s_axis_tdata_i[Width-1:0];

  if (DataWidth > Width) begin : g_padded
    assign unused = ^{s_axis_tlast_i, s_axis_tdata_i[DataWidth-1:Width]};
  end else begin : g_exact
    assign unused = s_axis_tlast_i;
  end

  `FST_REQUIRE(width, Width >= 1, "fst_axis_in: Width must be at least 1")
  `FST_REQUIRE(data, DataWidth >= Width, "fst_axis_in: DataWidth must be at least Width")
endmodule
