// SPDX-License-Identifier: Apache-2.0
// Properties of a stream through a cell that keeps lanes in order; follows one lane, chosen freely.
// A free mark_i and lane_i choose the lane, so a proof holds for every lane of every beat.
module stream_checker #(
  parameter int unsigned LaneWidth = 2,
  parameter int unsigned InLanes = 1,
  parameter int unsigned OutLanes = 1,
  parameter int unsigned Capacity = 2,  // lanes that may be inside
  parameter int unsigned Response = 0,  // cycles a full beat inside may stay invisible
  parameter bit Waits = 0               // a beat may wait inside for others, however long
) (
  input  logic                          clk_i,
  input  logic                          rst_i,
  input  logic                          s_valid_i,
  input  logic                          s_ready_i,
  input  logic [InLanes*LaneWidth-1:0]  s_data_i,
  input  logic                          m_valid_i,
  input  logic                          m_ready_i,
  input  logic [OutLanes*LaneWidth-1:0] m_data_i,
  input  logic                          mark_i,
  input  logic [7:0]                    lane_i,
  output logic [15:0]                   inside_o  // lanes inside the cell
);
  localparam int unsigned CountWidth = $clog2(Capacity + InLanes + OutLanes + 1);
  typedef logic [CountWidth-1:0] count_t;

  logic                          take, give, late, held_q, watched_q;
  logic [3:0]                    wait_q;
  logic [OutLanes*LaneWidth-1:0] data_q;
  logic [LaneWidth-1:0]          value_q, head;
  count_t                        inside_q, position_q;

  assign take = s_valid_i && s_ready_i;
  assign give = m_valid_i && m_ready_i;
  assign inside_o = 16'(inside_q);
  assign late = !Waits && inside_q >= count_t'(OutLanes) && !m_valid_i;

  always_comb begin
    head = '0;
    for (int unsigned lane = 0; lane < OutLanes; lane++) begin
      if (position_q == count_t'(lane)) head = m_data_i[lane*LaneWidth+:LaneWidth];
    end
  end

  always_ff @(posedge clk_i) begin
    data_q <= m_data_i;
    if (rst_i) begin
      inside_q  <= '0;
      wait_q    <= '0;
      held_q    <= 1'b0;
      watched_q <= 1'b0;
    end else begin
      inside_q <= inside_q + (take ? count_t'(InLanes) : '0) - (give ? count_t'(OutLanes) : '0);
      wait_q   <= late ? wait_q + 1'b1 : '0;
      held_q   <= m_valid_i && !m_ready_i;
      if (watched_q) begin
        if (give) begin
          if (position_q < count_t'(OutLanes)) watched_q <= 1'b0;
          else position_q <= position_q - count_t'(OutLanes);
        end
      end else if (take && mark_i && lane_i < 8'(InLanes)) begin
        watched_q  <= 1'b1;
        position_q <= inside_q - (give ? count_t'(OutLanes) : '0) + count_t'(lane_i);
        for (int unsigned lane = 0; lane < InLanes; lane++) begin
          if (lane_i == 8'(lane)) value_q <= s_data_i[lane*LaneWidth+:LaneWidth];
        end
      end
      if (held_q) begin
        valid_held: assert (m_valid_i);
        data_held: assert (m_data_i == data_q);
      end
      if (m_valid_i) nothing_invented: assert (inside_q >= count_t'(OutLanes));
      nothing_lost: assert (!(late && wait_q == 4'(Response)));
      no_overflow: assert (inside_q <= count_t'(Capacity));
      if (watched_q && m_valid_i && position_q < count_t'(OutLanes)) begin
        order_and_data: assert (head == value_q);
      end
    end
  end
endmodule
