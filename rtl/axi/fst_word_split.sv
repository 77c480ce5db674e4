// SPDX-License-Identifier: Apache-2.0
// Words of memory to beats, several to a word, lowest first; a frame begins with a new word.
// Latency 1, a beat a cycle, capacity 2 beats. What fills a frame's last word is dropped with it.
`include "fst_assert.svh"
module fst_word_split #(
    parameter int unsigned SlotWidth = 8,  // bits of a beat in memory
    parameter int unsigned Slots     = 8,  // beats of a word
    parameter int unsigned Beats     = 10  // beats of a frame
) (
    input  logic                       clk_i,
    input  logic                       rst_i,
    input  logic                       s_valid_i,
    output logic                       s_ready_o,
    input  logic [Slots*SlotWidth-1:0] s_data_i,
    output logic                       m_valid_o,
    input  logic                       m_ready_i,
    output logic [      SlotWidth-1:0] m_data_o
);
  localparam int unsigned PhaseWidth = $clog2(Slots);
  localparam int unsigned BeatWidth = Beats > 1 ? $clog2(Beats) : 1;
  localparam logic [PhaseWidth-1:0] LastPhase = PhaseWidth'(Slots - 1);
  localparam logic [BeatWidth-1:0] LastBeat = BeatWidth'(Beats - 1);

  logic [(Slots-1)*SlotWidth-1:0] rest_q, rest;
  logic [SlotWidth-1:0] give_data;
  logic [PhaseWidth-1:0] phase_q;
  logic [BeatWidth-1:0] beat_q;
  logic takes, available, issue, last, pop;

  assign takes     = phase_q == '0;
  assign last      = beat_q == LastBeat;
  assign s_ready_o = takes && available;
  assign issue     = (!takes || s_valid_i) && available;

  assign give_data = takes ? s_data_i[SlotWidth-1:0] : rest_q[SlotWidth-1:0];
  if (Slots == 2) begin : g_two
    assign rest = s_data_i[SlotWidth+:SlotWidth];
  end else begin : g_more
    assign rest = takes ? s_data_i[SlotWidth+:(Slots-1)*SlotWidth] : rest_q >> SlotWidth;
  end

  always_ff @(posedge clk_i) begin
    if (issue) rest_q <= rest;
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      phase_q <= '0;
      beat_q  <= '0;
    end else if (issue) begin
      phase_q <= last || phase_q == LastPhase ? '0 : phase_q + 1'b1;
      beat_q  <= last ? '0 : beat_q + 1'b1;
    end
  end

  fst_credit #(
      .Depth(2)
  ) u_credit (
      .clk_i,
      .rst_i,
      .take_i(issue),
      .give_i(pop),
      .available_o(available)
  );

  fst_queue #(
      .Width(SlotWidth),
      .Depth(2)
  ) u_queue (
      .clk_i,
      .rst_i,
      .push_i(issue),
      .push_data_i(give_data),
      .m_valid_o,
      .m_ready_i,
      .m_data_o,
      .pop_o(pop)
  );

  `FST_REQUIRE(slots, Slots >= 2, "fst_word_split: Slots must be at least 2")
  `FST_REQUIRE(beats, Beats >= 1, "fst_word_split: Beats must be at least 1")
endmodule
