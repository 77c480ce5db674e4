// SPDX-License-Identifier: Apache-2.0
// Beats to words of memory, several to a word, lowest first; a frame ends with its word.
// Latency 1, a beat a cycle, capacity 2 words. What fills a frame's last word is zero.
`include "fst_assert.svh"
module fst_word_join #(
    parameter int unsigned SlotWidth = 8,  // bits of a beat in memory
    parameter int unsigned Slots     = 8,  // beats of a word
    parameter int unsigned Beats     = 10  // beats of a frame
) (
    input  logic                       clk_i,
    input  logic                       rst_i,
    input  logic                       s_valid_i,
    output logic                       s_ready_o,
    input  logic [      SlotWidth-1:0] s_data_i,
    output logic                       m_valid_o,
    input  logic                       m_ready_i,
    output logic [Slots*SlotWidth-1:0] m_data_o
);
  localparam int unsigned PhaseWidth = $clog2(Slots);
  localparam int unsigned BeatWidth = Beats > 1 ? $clog2(Beats) : 1;
  localparam logic [PhaseWidth-1:0] LastPhase = PhaseWidth'(Slots - 1);
  localparam logic [BeatWidth-1:0] LastBeat = BeatWidth'(Beats - 1);

  logic [Slots*SlotWidth-1:0] word_q, word;
  logic [PhaseWidth-1:0] phase_q;
  logic [BeatWidth-1:0] beat_q;
  logic gives, available, issue, last, pop;

  assign last      = beat_q == LastBeat;
  assign gives     = last || phase_q == LastPhase;
  assign s_ready_o = !gives || available;
  assign issue     = s_valid_i && s_ready_o;

  for (genvar slot = 0; slot < Slots; slot++) begin : g_slot
    assign word[slot*SlotWidth+:SlotWidth] =
        phase_q == PhaseWidth'(slot) ? s_data_i : word_q[slot*SlotWidth+:SlotWidth];
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      phase_q <= '0;
      beat_q  <= '0;
      word_q  <= '0;
    end else if (issue) begin
      phase_q <= gives ? '0 : phase_q + 1'b1;
      beat_q  <= last ? '0 : beat_q + 1'b1;
      word_q  <= gives ? '0 : word;
    end
  end

  fst_credit #(
      .Depth(2)
  ) u_credit (
      .clk_i,
      .rst_i,
      .take_i(issue && gives),
      .give_i(pop),
      .available_o(available)
  );

  fst_queue #(
      .Width(Slots * SlotWidth),
      .Depth(2)
  ) u_queue (
      .clk_i,
      .rst_i,
      .push_i(issue && gives),
      .push_data_i(word),
      .m_valid_o,
      .m_ready_i,
      .m_data_o,
      .pop_o(pop)
  );

  `FST_REQUIRE(slots, Slots >= 2, "fst_word_join: Slots must be at least 2")
  `FST_REQUIRE(beats, Beats >= 1, "fst_word_join: Beats must be at least 1")
endmodule
