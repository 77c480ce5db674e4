// SPDX-License-Identifier: Apache-2.0
// Stream to AXI4-Stream: pads tdata with zeros and raises tlast on the last beat of every frame.
// Wires and a counter of beats, no cycle added.
`include "fst_assert.svh"
module fst_axis_out #(
    parameter int unsigned Width         = 8,                     // payload bits
    parameter int unsigned BeatsPerFrame = 1,
    parameter int unsigned DataWidth     = 8 * ((Width + 7) / 8)  // tdata: whole bytes
) (
    input  logic                 clk_i,
    input  logic                 rst_i,
    input  logic                 s_valid_i,
    output logic                 s_ready_o,
    input  logic [    Width-1:0] s_data_i,
    output logic                 m_axis_tvalid_o,
    input  logic                 m_axis_tready_i,
    output logic [DataWidth-1:0] m_axis_tdata_o,
    output logic                 m_axis_tlast_o
);
  assign s_ready_o       = m_axis_tready_i;
  assign m_axis_tvalid_o = s_valid_i;
  assign m_axis_tdata_o  = DataWidth'(s_data_i);

  if (BeatsPerFrame <= 1) begin : g_every_beat
    logic unused;

    assign unused         = ^{clk_i, rst_i};
    assign m_axis_tlast_o = 1'b1;
  end else begin : g_count
    localparam int unsigned CountWidth = $clog2(BeatsPerFrame);
    localparam logic [CountWidth-1:0] LastBeat = CountWidth'(BeatsPerFrame - 1);
    logic [CountWidth-1:0] beat_q;

    assign m_axis_tlast_o = beat_q == LastBeat;

    always_ff @(posedge clk_i) begin
      if (rst_i) beat_q <= '0;
      else if (s_valid_i && m_axis_tready_i) beat_q <= m_axis_tlast_o ? '0 : beat_q + 1'b1;
    end
  end

  `FST_REQUIRE(width, Width >= 1, "fst_axis_out: Width must be at least 1")
  `FST_REQUIRE(beats, BeatsPerFrame >= 1, "fst_axis_out: BeatsPerFrame must be at least 1")
  `FST_REQUIRE(data, DataWidth >= Width, "fst_axis_out: DataWidth must be at least Width")
endmodule
