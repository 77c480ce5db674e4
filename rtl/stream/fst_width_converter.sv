// SPDX-License-Identifier: Apache-2.0
// Changes the number of lanes in a beat, between any two widths; lanes keep their order.
// Latency 1 (D = 1), one step a cycle, capacity Depth beats of output.
`include "fst_assert.svh"
module fst_width_converter #(
    parameter int unsigned LaneWidth = 8,
    parameter int unsigned InLanes   = 1,
    parameter int unsigned OutLanes  = 4,
    parameter int unsigned Depth     = 2   // beats in the output queue
) (
    input  logic                          clk_i,
    input  logic                          rst_i,
    input  logic                          s_valid_i,
    output logic                          s_ready_o,
    input  logic [ InLanes*LaneWidth-1:0] s_data_i,
    output logic                          m_valid_o,
    input  logic                          m_ready_i,
    output logic [OutLanes*LaneWidth-1:0] m_data_o
);
  // Widening, every step takes a beat, and gives one when it completes one with the residue.
  // Narrowing, every step gives a beat, and takes one when the residue alone is too short.
  // The residue is a multiple of Group lanes and a phase counts its groups; it is zero again at the
  // end of a frame, because a frame's lanes divide by both widths.
  function automatic int unsigned common_divisor(int unsigned a, int unsigned b);
    int unsigned divisor;
    divisor = 1;
    for (int unsigned d = 1; d <= a; d++) begin
      if (a % d == 0 && b % d == 0) divisor = d;
    end
    return divisor;
  endfunction

  localparam int unsigned Group = common_divisor(InLanes, OutLanes);
  localparam int unsigned InGroups = InLanes / Group;
  localparam int unsigned OutGroups = OutLanes / Group;
  localparam bit Widens = InLanes <= OutLanes;
  localparam int unsigned Phases = Widens ? OutGroups : InGroups;
  localparam int unsigned PhaseWidth = Phases > 1 ? $clog2(Phases) : 1;
  localparam int unsigned GroupWidth = Group * LaneWidth;
  localparam int unsigned OutWidth = OutLanes * LaneWidth;

  logic [OutWidth-1:0] give_data;
  logic takes, gives, available, issue, pop;

  assign s_ready_o = takes && (!gives || available);
  assign issue     = (!takes || s_valid_i) && (!gives || available);

  if (Phases == 1) begin : g_same
    assign takes     = 1'b1;
    assign gives     = 1'b1;
    assign give_data = s_data_i;
  end else begin : g_differ
    // The last groups that came in, newest on top: taking is a shift, giving picks a window.
    localparam int unsigned HistoryGroups = Phases - 1;
    logic [           HistoryGroups*GroupWidth-1:0] history_q;
    logic [(HistoryGroups+InGroups)*GroupWidth-1:0] recent;

    assign recent = {s_data_i, history_q};

    always_ff @(posedge clk_i) begin
      if (takes && issue) history_q <= recent[InGroups*GroupWidth+:HistoryGroups*GroupWidth];
    end

    localparam int unsigned FirstGive = Widens ? OutGroups - InGroups : 0;
    logic [PhaseWidth-1:0] phase_q;

    assign takes = Widens || phase_q < PhaseWidth'(OutGroups);
    assign gives = !Widens || phase_q >= PhaseWidth'(FirstGive);

    always_ff @(posedge clk_i) begin
      if (rst_i) phase_q <= '0;
      else if (issue) begin
        if (takes && gives) phase_q <= phase_q + PhaseWidth'(InGroups) - PhaseWidth'(OutGroups);
        else if (takes) phase_q <= phase_q + PhaseWidth'(InGroups);
        else phase_q <= phase_q - PhaseWidth'(OutGroups);
      end
    end

    // A window for each phase that gives. Codes without a phase have another's, whichever makes the
    // choice by their highest bit none.
    localparam int unsigned Windows = Phases - FirstGive;
    localparam int unsigned CodeWidth = Windows > 1 ? $clog2(Windows) : 1;
    logic [Windows*OutWidth-1:0] windows;
    logic [       CodeWidth-1:0] code;

    for (genvar w = 0; w < Windows; w++) begin : g_window
      assign windows[w*OutWidth+:OutWidth] =
          recent[(HistoryGroups-FirstGive-w)*GroupWidth+:OutWidth];
    end
    assign code = CodeWidth'(phase_q - PhaseWidth'(FirstGive));

    // A table chooses one of four whoever writes it.
    if (Windows <= 4) begin : g_few
      assign give_data = windows[code*OutWidth+:OutWidth];
    end else begin : g_many
      fst_choice #(
          .Width(OutWidth),
          .Count(Windows)
      ) u_choice (
          .words_i(windows),
          .code_i (code),
          .word_o (give_data)
      );
    end
  end

  if (Depth == 1) begin : g_one_place
    // With D = 1 and one place the credit is that place, empty.
    logic unused_pop;

    assign available  = !m_valid_o;
    assign unused_pop = pop;
  end else begin : g_places
    fst_credit #(
        .Depth(Depth)
    ) u_credit (
        .clk_i,
        .rst_i,
        .take_i(issue && gives),
        .give_i(pop),
        .available_o(available)
    );
  end

  fst_queue #(
      .Width(OutWidth),
      .Depth(Depth)
  ) u_queue (
      .clk_i,
      .rst_i,
      .push_i(issue && gives),
      .push_data_i(give_data),
      .m_valid_o,
      .m_ready_i,
      .m_data_o,
      .pop_o(pop)
  );

  `FST_REQUIRE(lane_width, LaneWidth >= 1, "fst_width_converter: LaneWidth must be at least 1")
  `FST_REQUIRE(in_lanes, InLanes >= 1, "fst_width_converter: InLanes must be at least 1")
  `FST_REQUIRE(out_lanes, OutLanes >= 1, "fst_width_converter: OutLanes must be at least 1")
endmodule
