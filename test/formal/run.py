#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves the stream cells: one line a proof, each with broken twins that must be refuted.

usage: run.py [WORD...]     only the proofs whose name contains a word
"""

import pathlib
import re
import sys
import tempfile

import prove

HERE = pathlib.Path(__file__).resolve().parent
CELLS = sorted([*(prove.RTL / "stream").glob("*.sv"), *(prove.RTL / "axi").glob("*.sv")])
LANE = 2


def harness(cell, parameters, capacity, ready_up_to, ready_exact, lanes_in=1, lanes_out=1, branches=1, response=0):
    """A module without outputs that holds one cell and a checker on each of its branches."""
    values = ", ".join(f".{name}({value})" for name, value in parameters.items())
    room = " && ".join(f"held[{branch}*16+:16] <= {ready_up_to}" for branch in range(branches))
    out = lanes_out * LANE
    text = f"""
module harness (
  input logic clk_i, s_valid_i, mark_i,
  input logic [7:0] lane_i,
  input logic [{lanes_in * LANE - 1}:0] s_data_i,
  input logic [{branches - 1}:0] m_ready_i
);
  logic started_q, s_ready_o, room;
  logic [{branches - 1}:0] m_valid_o;
  logic [{branches * out - 1}:0] m_data_o;
  logic [{branches * 16 - 1}:0] held;
  initial started_q = 1'b0;
  assign room = {room};
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (started_q) begin
      ready_with_room: assert (!room || s_ready_o);
      {"not_ready_when_full: assert (room || !s_ready_o);" if ready_exact else ""}
    end
  end
  {cell} #({values}) dut (.clk_i, .rst_i(!started_q), .s_valid_i, .s_ready_o, .s_data_i, .m_valid_o, .m_ready_i,
    .m_data_o);
"""
    for branch in range(branches):
        text += f"""
  stream_checker #(.LaneWidth({LANE}), .InLanes({lanes_in}), .OutLanes({lanes_out}), .Capacity({capacity}),
    .Response({response})) checker_{branch} (.clk_i, .rst_i(!started_q), .s_valid_i, .s_ready_i(s_ready_o), .s_data_i,
    .m_valid_i(m_valid_o[{branch}]), .m_ready_i(m_ready_i[{branch}]), .m_data_i(m_data_o[{branch * out}+:{out}]),
    .mark_i, .lane_i, .inside_o(held[{branch}*16+:16]));
"""
    return text + "endmodule\n"


def fifo(depth, block, *twins):
    return ("fst_fifo", dict(Width=LANE, Depth=depth, BlockRam=int(block)),
            dict(capacity=depth, ready_up_to=depth - 1, ready_exact=True, response=int(block)), twins)


def converter(lanes_in, lanes_out, depth, *twins):
    group = max(d for d in range(1, lanes_in + 1) if lanes_in % d == 0 and lanes_out % d == 0)
    residue = max(lanes_in, lanes_out) - group
    widens = lanes_in <= lanes_out
    return ("fst_width_converter", dict(LaneWidth=LANE, InLanes=lanes_in, OutLanes=lanes_out, Depth=depth),
            dict(capacity=depth * lanes_out + residue, ready_up_to=(depth if widens else 1) * lanes_out - 1,
                 ready_exact=False, lanes_in=lanes_in, lanes_out=lanes_out,
                 response=0 if widens or depth > 1 else 1), twins)


EMPTY_TOO_LATE = ("fst_ring.sv", "assign last    = read_next == write_q", "assign last    = read_q == write_q")
FULL_TOO_LATE = ("fst_ring.sv", "assign fills_o = write_next == read_q", "assign fills_o = write_q == read_q")
READS_AHEAD = ("fst_ring.sv", "assign m_data_o  = slots[read_q];", "assign m_data_o  = slots[read_next];")
WRONG_SLOT = ("fst_ring.sv", "data_q <= slots[read_d];", "data_q <= slots[read_q];")
INVENTS = ("fst_ring.sv", "else valid_q <= filled_q && !(pop_o && last);", "else valid_q <= filled_q;")
NOT_HELD = ("fst_ring.sv", "else valid_q <= push_i || (valid_q && !m_ready_i);", "else valid_q <= push_i;")
WRAPS_LATE = ("fst_ring.sv", "write_q == LastSlot ? '0", "write_q > LastSlot ? '0")
STAYS_FULL = ("fst_fifo.sv", "if (rst_i || pop) ready_q", "if (rst_i || pop && !s_valid_i) ready_q")
ONE_CREDIT_TOO_MANY = ("fst_credit.sv", "CountWidth'(Depth - 1)", "CountWidth'(Depth)")
CREDIT_LOST = ("fst_credit.sv", "give_i && !take_i && available_q", "give_i && !take_i && more_q != '0")
CONVERTER = "fst_width_converter.sv"
GIVES_LATE = (CONVERTER, "phase_q >= PhaseWidth'(FirstGive)", "phase_q > PhaseWidth'(FirstGive)")
GIVES_EARLY = (CONVERTER, "phase_q >= PhaseWidth'(FirstGive)", "phase_q >= PhaseWidth'(FirstGive - 1)")
TAKES_TOO_MUCH = (CONVERTER, "phase_q < PhaseWidth'(OutGroups)", "phase_q <= PhaseWidth'(OutGroups)")
WRONG_WINDOW = (CONVERTER, "(HistoryGroups-FirstGive-w)", "(HistoryGroups-FirstGive-(Windows-1-w))")
FORGETS = (CONVERTER, "if (takes && issue) history_q", "if (gives && issue) history_q")
FREE_CREDIT = (CONVERTER, ".take_i(issue && gives)", ".take_i(issue && gives && phase_q != 0)")
WAITS_FOR_NOTHING = (CONVERTER, "issue     = (!takes || s_valid_i)", "issue     = s_valid_i")
LOSES_A_BEAT = (CONVERTER, ".push_i(issue && gives)", ".push_i(issue && gives && m_valid_o)")
IGNORES_CREDIT = (CONVERTER, "issue     = (!takes || s_valid_i) && (!gives || available)",
                  "issue     = (!takes || s_valid_i)")
LEAKS_READY = (CONVERTER, "s_ready_o = takes && (!gives || available)", "s_ready_o = issue")
PASSES_READY = (CONVERTER, "s_ready_o = takes && (!gives || available)",
                "s_ready_o = takes && (!gives || available || m_ready_i)")

PROOFS = [
    ("fst_skid", dict(Width=LANE), dict(capacity=2, ready_up_to=1, ready_exact=True),
     [("fst_skid.sv", "spare_valid_q ? spare_data_q : s_data_i", "s_data_i"),
      ("fst_skid.sv", "if (head_free) head_data_q", "if (m_ready_i) head_data_q"),
      ("fst_skid.sv", "head_valid_q  <= spare_valid_q || s_valid_i;", "head_valid_q  <= s_valid_i;")]),
    fifo(1, False, NOT_HELD),
    fifo(2, False, EMPTY_TOO_LATE, READS_AHEAD),
    fifo(3, False, WRAPS_LATE),
    fifo(4, False, FULL_TOO_LATE, READS_AHEAD),
    fifo(5, False, STAYS_FULL),
    fifo(3, True, INVENTS, WRONG_SLOT),
    fifo(4, True, FULL_TOO_LATE, WRONG_SLOT),
    ("fst_fork", dict(Width=LANE, Branches=2, Depth=2),
     dict(capacity=2, ready_up_to=1, ready_exact=True, branches=2),
     [("fst_fork.sv", "s_ready_o = &available", "s_ready_o = |available"), ONE_CREDIT_TOO_MANY]),
    ("fst_fork", dict(Width=LANE, Branches=3, Depth=3),
     dict(capacity=3, ready_up_to=2, ready_exact=True, branches=3),
     [("fst_fork.sv", "s_ready_o = &available", "s_ready_o = available[0]"), CREDIT_LOST]),
    converter(1, 1, 2, READS_AHEAD),
    converter(1, 4, 1, FORGETS),
    converter(4, 1, 2, WAITS_FOR_NOTHING),
    converter(2, 3, 2, GIVES_LATE),
    converter(3, 2, 2, WRONG_WINDOW),
    converter(4, 6, 2, FREE_CREDIT),
    converter(6, 4, 2, TAKES_TOO_MUCH),
]

MOORE = [
    ("fst_skid", {}, [("fst_skid.sv", "s_ready_o = !spare_valid_q", "s_ready_o = !spare_valid_q || m_ready_i"),
                      ("fst_skid.sv", "m_valid_o = head_valid_q", "m_valid_o = head_valid_q || s_valid_i")]),
    ("fst_fifo", dict(Depth=5), [("fst_ring.sv", "m_valid_o = filled_q", "m_valid_o = filled_q || push_i"),
                                 ("fst_fifo.sv", "s_ready_o = ready_q", "s_ready_o = ready_q || m_ready_i")]),
    ("fst_fifo", dict(Depth=100), [("fst_ring.sv", "m_valid_o = valid_q;\n      ",
                                    "m_valid_o = valid_q && m_ready_i;\n      ")]),
    ("fst_fork", {}, [("fst_credit.sv", "available_o = available_q;\n  end\n\n",
                       "available_o = available_q || give_i;\n  end\n\n"),
                      ("fst_fork.sv", "s_ready_o = &available", "s_ready_o = &(available | m_ready_i)")]),
    ("fst_width_converter", dict(InLanes=1, OutLanes=4), [PASSES_READY]),
    ("fst_width_converter", dict(InLanes=3, OutLanes=2), [LEAKS_READY]),
    ("fst_axi_reader", dict(WordWidth=8, BurstWords=2, Depth=4),
     [("fst_axi_reader.sv", "m_axi_rready_o = 1'b1", "m_axi_rready_o = m_ready_i"),
      ("fst_axi_bursts.sv", "m_axi_valid_o = valid_q", "m_axi_valid_o = valid_q && m_axi_ready_i")]),
    ("fst_axi_writer", dict(WordWidth=8, BurstWords=2, Depth=4),
     [("fst_axi_writer.sv", "m_axi_wvalid_o = sends_q && word_valid", "m_axi_wvalid_o = sends_q && (word_valid || s_valid_i)")]),
    ("fst_axilite", dict(AddressWidth=4), [("fst_axilite.sv", "s_axilite_bvalid_o = answered_q && writing_q",
                                            "s_axilite_bvalid_o = answered_q && writing_q && s_axilite_bready_i")]),
]

# The operator form of the proofs, data path free, on a cell whose schedule is a list of steps like an operator's.
# The AXI4-Stream shell around a FIFO: padding and tlast, counted in frames of `beats` beats.
AXIS = """
module harness (
  input logic clk_i, tvalid, tlast, tready, mark_i,
  input logic [7:0] lane_i, tdata
);
  logic started_q, tready_in, tvalid_out, tlast_out, core_valid, core_ready, shell_valid, shell_ready, held_q, last_q;
  logic [2:0] core_data, shell_data;
  logic [7:0] tdata_out, beats_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    held_q    <= started_q && tvalid_out && !tready;
    last_q    <= tlast_out;
    if (!started_q) beats_q <= '0;
    else begin
      if (tvalid_out && tready) beats_q <= beats_q == 8'(BEATS - 1) ? '0 : beats_q + 1'b1;
      last_beat_alone: assert (tlast_out == (beats_q == 8'(BEATS - 1)));
      padding_is_zero: assert (tdata_out[7:3] == '0);
      if (held_q) last_held: assert (tlast_out == last_q);
    end
  end
  fst_axis_in #(.Width(3)) into (.s_axis_tvalid_i(tvalid), .s_axis_tready_o(tready_in), .s_axis_tdata_i(tdata),
    .s_axis_tlast_i(tlast), .m_valid_o(core_valid), .m_ready_i(core_ready), .m_data_o(core_data));
  fst_skid #(.Width(3)) core (.clk_i, .rst_i(!started_q), .s_valid_i(core_valid), .s_ready_o(core_ready),
    .s_data_i(core_data), .m_valid_o(shell_valid), .m_ready_i(shell_ready), .m_data_o(shell_data));
  fst_axis_out #(.Width(3), .BeatsPerFrame(BEATS)) out (.clk_i, .rst_i(!started_q), .s_valid_i(shell_valid),
    .s_ready_o(shell_ready), .s_data_i(shell_data), .m_axis_tvalid_o(tvalid_out), .m_axis_tready_i(tready),
    .m_axis_tdata_o(tdata_out), .m_axis_tlast_o(tlast_out));
  stream_checker #(.LaneWidth(3), .Capacity(2)) checker_0 (.clk_i, .rst_i(!started_q), .s_valid_i(tvalid),
    .s_ready_i(tready_in), .s_data_i(tdata[2:0]), .m_valid_i(tvalid_out), .m_ready_i(tready), .m_data_i(tdata_out[2:0]),
    .mark_i, .lane_i, .inside_o());
endmodule
"""
AXIS_PROOFS = [
    (1, [("fst_axis_out.sv", "m_axis_tlast_o = 1'b1", "m_axis_tlast_o = m_axis_tready_i")]),
    (3, [("fst_axis_out.sv", "CountWidth'(BeatsPerFrame - 1)", "CountWidth'(BeatsPerFrame)"),
         ("fst_axis_out.sv", "else if (s_valid_i && m_axis_tready_i)", "else if (s_valid_i)")]),
    (4, [("fst_axis_in.sv", "s_axis_tdata_i[Width-1:0]", "s_axis_tdata_i[Width:1]")]),
]
# AXI4-Lite in front of a bus with one word, at an address chosen freely, that answers in LATENCY cycles. Bits of
# data are alike: the first and the last are followed, and all of them in simulations.
AXILITE = """
module harness (
  input logic clk_i, awvalid, wvalid, bready, arvalid, rready,
  input logic [3:0] awaddr, araddr, wstrb,
  input logic [31:0] wdata, noise_i,
  input logic [1:0] chosen_i
);
  logic started_q, awready, wready, bvalid, arready, rvalid, bus_write, bus_mapped;
  logic [1:0] bresp, rresp, bus_address, chosen_q;
  logic [31:0] rdata, bus_data, bus_answer, word_q;
  initial started_q = 1'b0;
  fst_axilite #(.AddressWidth(4), .Latency(LATENCY)) dut (.clk_i, .rst_i(!started_q),
    .s_axilite_awvalid_i(awvalid), .s_axilite_awready_o(awready), .s_axilite_awaddr_i(awaddr),
    .s_axilite_wvalid_i(wvalid), .s_axilite_wready_o(wready), .s_axilite_wdata_i(wdata), .s_axilite_wstrb_i(wstrb),
    .s_axilite_bvalid_o(bvalid), .s_axilite_bready_i(bready), .s_axilite_bresp_o(bresp),
    .s_axilite_arvalid_i(arvalid), .s_axilite_arready_o(arready), .s_axilite_araddr_i(araddr),
    .s_axilite_rvalid_o(rvalid), .s_axilite_rready_i(rready), .s_axilite_rdata_o(rdata), .s_axilite_rresp_o(rresp),
    .bus_write_o(bus_write), .bus_address_o(bus_address), .bus_data_o(bus_data), .bus_data_i(bus_answer),
    .bus_mapped_i(bus_mapped));

  // The bus.
  logic [LATENCY-1:0] mapped_q;
  logic [31:0] answers_q [LATENCY];
  assign bus_answer = answers_q[LATENCY-1];
  assign bus_mapped = mapped_q[LATENCY-1];
  always_ff @(posedge clk_i) begin
    if (!started_q) word_q <= '0;
    else if (bus_write && bus_address == chosen_q) word_q <= bus_data;
    mapped_q <= LATENCY'({mapped_q, bus_address == chosen_q});
    answers_q[0] <= bus_address == chosen_q ? word_q : noise_i;
    for (int i = 1; i < LATENCY; i++) answers_q[i] <= answers_q[i-1];
  end

  // What the master knows.
  logic aw_q, w_q, ar_q, bheld_q, rheld_q;
  logic [3:0] awaddr_q, araddr_q, wstrb_q, quiet_q;
  logic [1:0] bresp_q, rresp_q, passed_q, passing_q;
  logic [31:0] wdata_q, rdata_q, written_q;
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    bresp_q <= bresp; rresp_q <= rresp; rdata_q <= rdata;
    if (!started_q) begin
      chosen_q <= chosen_i; written_q <= '0; quiet_q <= '0; passed_q <= '0; passing_q <= '0;
      aw_q <= 1'b0; w_q <= 1'b0; ar_q <= 1'b0; bheld_q <= 1'b0; rheld_q <= 1'b0;
    end else begin
      bheld_q <= bvalid && !bready;
      rheld_q <= rvalid && !rready;
      if (awvalid && awready) awaddr_q <= awaddr;
      if (wvalid && wready) begin wdata_q <= wdata; wstrb_q <= wstrb; end
      if (arvalid && arready) araddr_q <= araddr;
      aw_q <= (awvalid && awready) || (aw_q && !(bvalid && bready));
      w_q  <= (wvalid && wready) || (w_q && !(bvalid && bready));
      ar_q <= (arvalid && arready) || (ar_q && !(rvalid && rready));
      if (bvalid && bready && awaddr_q[3:2] == chosen_q && wstrb_q == '1) written_q <= wdata_q;
      quiet_q <= ((aw_q && w_q) || ar_q) && !bvalid && !rvalid ? quiet_q + 1'b1 : '0;
      if (!(aw_q && w_q)) passed_q <= '0;
      else if (rvalid && rready) passed_q <= passed_q + 1'b1;
      if (!ar_q) passing_q <= '0;
      else if (bvalid && bready) passing_q <= passing_q + 1'b1;
      one_at_a_time: assert (!(aw_q && awready) && !(w_q && wready) && !(ar_q && arready));
      if (bvalid) write_was_whole: assert (aw_q && w_q && !rvalid);
      if (rvalid) read_was_asked: assert (ar_q);
      if (bheld_q) b_held: assert (bvalid && bresp == bresp_q);
      if (rheld_q) r_held: assert (rvalid && rresp == rresp_q && rdata[0] == rdata_q[0]);
      if (bvalid) b_says: assert (bresp == (awaddr_q[3:2] == chosen_q && wstrb_q == '1 ? 2'b00 : 2'b10));
      if (rvalid) r_says: assert (rresp == (araddr_q[3:2] == chosen_q ? 2'b00 : 2'b10));
      if (rvalid && araddr_q[3:2] == chosen_q) begin
        read_is_written: assert ({rdata[31], rdata[0]} == {written_q[31], written_q[0]});
      end
      answers_in_time: assert (quiet_q <= 4'(LATENCY + 2));
      nothing_starves: assert (passed_q <= 2'd1 && passing_q <= 2'd1);
    end
  end
endmodule
"""
AXILITE_PROOFS = [
    (1, [("fst_axilite.sv", "if (!answered_q) answer_q", "answer_q"),
         ("fst_axilite.sv", "address_held_q && data_held_q;", "address_held_q;")]),
    (3, [("fst_axilite.sv", "begins_write && strobes_q == '1", "begins_write"),
         ("fst_axilite.sv", "LastWait = WaitWidth'(Latency)", "LastWait = WaitWidth'(Latency - 1)"),
         ("fst_axilite.sv", "else if (ends && !writing_q) read_held_q", "else if (ends) read_held_q")]),
]
# Beats joined to words and split again are the same beats, frame after frame; what fills a frame's last word is zero.
WORDS = """
module harness (
  input logic clk_i, s_valid_i, mark_i, m_ready_i,
  input logic [7:0] lane_i,
  input logic [1:0] s_data_i
);
  logic started_q, s_ready, word_valid, word_ready, m_valid;
  logic [2*SLOTS-1:0] word, unused;
  logic [1:0] m_data;
  logic [7:0] beats_q;
  initial started_q = 1'b0;
  assign unused = word >> (2 * (BEATS - beats_q));
  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!started_q) beats_q <= '0;
    else begin
      if (word_valid && word_ready) beats_q <= beats_q + SLOTS >= BEATS ? '0 : beats_q + 8'(SLOTS);
      if (word_valid && beats_q + SLOTS > BEATS) rest_is_zero: assert (unused == '0);
    end
  end
  fst_word_join #(.SlotWidth(2), .Slots(SLOTS), .Beats(BEATS)) join_i (.clk_i, .rst_i(!started_q), .s_valid_i,
    .s_ready_o(s_ready), .s_data_i, .m_valid_o(word_valid), .m_ready_i(word_ready), .m_data_o(word));
  fst_word_split #(.SlotWidth(2), .Slots(SLOTS), .Beats(BEATS)) split_i (.clk_i, .rst_i(!started_q), .s_valid_i(word_valid),
    .s_ready_o(word_ready), .s_data_i(word), .m_valid_o(m_valid), .m_ready_i, .m_data_o(m_data));
  stream_checker #(.LaneWidth(2), .Capacity(4 * SLOTS + 1), .Waits(1)) checker_0 (.clk_i, .rst_i(!started_q), .s_valid_i,
    .s_ready_i(s_ready), .s_data_i, .m_valid_i(m_valid), .m_ready_i, .m_data_i(m_data), .mark_i, .lane_i, .inside_o());
endmodule
"""
SPLIT, JOIN = "fst_word_split.sv", "fst_word_join.sv"
KEEPS_THE_REST = (SPLIT, "phase_q <= last || phase_q == LastPhase ? '0", "phase_q <= phase_q == LastPhase ? '0")
WRONG_SLOT_OUT = (SPLIT, "takes ? s_data_i[SlotWidth-1:0]", "takes ? s_data_i[SlotWidth+:SlotWidth]")
FRAMES_RUN_ON = (JOIN, "gives     = last || phase_q == LastPhase", "gives     = phase_q == LastPhase")
OLD_BEATS = (JOIN, "word_q  <= gives ? '0 : word", "word_q  <= word")
WORD_PROOFS = [  # slots, beats, twins
    (2, 3, [KEEPS_THE_REST, OLD_BEATS, WRONG_SLOT_OUT]),
    (4, 1, [KEEPS_THE_REST]),
]
# The module's own assertions, for factors small enough to prove.
PACKED = """
module harness (
  input logic clk_i,
  input logic [ROWS*LANES*WEIGHT-1:0] weights,
  input logic [LANES*ACTIVATION-1:0] activations
);
  logic [ACTIVATION+1:0] complement;
  always_comb begin
    complement = '0;
    for (int unsigned l = 0; l < LANES; l++) complement += (ACTIVATION + 2)'(~activations[l*ACTIVATION+:ACTIVATION]);
  end
  fst_packed_sums #(.Rows(ROWS), .Lanes(LANES), .WeightBits(WEIGHT), .WeightOffset(OFFSET), .ActivationBits(ACTIVATION),
    .WideBits(WIDE), .Spacing(SPACING), .Overlap(OVERLAP), .Borrow(BORROW)) dut (.clk_i, .weights_i(weights),
    .activations_i(activations), .complement_i(complement[$clog2(LANES*((1 << ACTIVATION) - 1) + 1)-1:0]), .fields_o(),
    .carries_o());
endmodule
"""
PACKED_SIZES = ("ROWS", "LANES", "WEIGHT", "OFFSET", "ACTIVATION", "WIDE", "SPACING", "OVERLAP", "BORROW")
PACKED_FILE = "fst_packed_sums.sv"
TOO_CLOSE = (PACKED_FILE, "packed_weights[r*Spacing+:WeightBits]", "packed_weights[(r*Spacing)-32'(r>0)+:WeightBits]")
LOST_OFFSET = (PACKED_FILE, "if (WeightOffset && (!Borrow", "if (!WeightOffset && (!Borrow")
LOST_PARITY = (PACKED_FILE, "sum[r*Spacing] ^ parity", "sum[r*Spacing]")
NO_COMPLEMENT = (PACKED_FILE, "SumBits'(complement_i) <<", "SumBits'(0) <<")
PACKED_PROOFS = [  # the sizes above, twins
    ((4, 1, 4, 1, 4, 25, 7, 1, 1), [LOST_PARITY, NO_COMPLEMENT]),
    ((3, 1, 3, 1, 3, 27, 5, 1, 0), [LOST_OFFSET]),
    ((3, 1, 4, 0, 4, 25, 10, 0, 0), [TOO_CLOSE]),
    ((2, 2, 3, 1, 2, 25, 5, 1, 1), [LOST_PARITY]),
    ((2, 2, 2, 1, 2, 25, 6, 0, 0), [LOST_OFFSET]),
]
TAKES, BOTH, GIVES = prove.Step.plain((1,), 0), prove.Step.plain((1,), 1), prove.Step.plain((0,), 1)
IGNORES_STALL = ("pipeline_block.sv", "push_i(valid_q[Stages-1])", "push_i(valid_q[Stages-1] && m_ready_i)")
TAKES_NO_CREDIT = ("join_block.sv", ".take_i(issue)", ".take_i(1'b0)")
ONE_IS_ENOUGH = ("join_block.sv", "issue = (&held) && available", "issue = (|held) && available")
DROPS_A_BEAT = ("join_block.sv", ".m_ready_i(issue),\n      .m_data_o (data1)", ".m_ready_i(available),\n      .m_data_o (data1)")


def one(side, width):
    return [prove.Stream(side, width)]


SPLIT_IGNORES_CREDIT = (SPLIT, "issue     = (!takes || s_valid_i) && available", "issue     = (!takes || s_valid_i)")
JOIN_LEAKS = (JOIN, "s_ready_o = !gives || available", "s_ready_o = !gives || available || m_ready_i")

OPERATORS = [  # cell, parameters, streams in and out, steps, D, Q, twins, twins of the Moore check
    ("fst_width_converter", dict(LaneWidth=LANE, InLanes=1, OutLanes=4, Depth=2), one("s", LANE), one("m", 4 * LANE),
     [TAKES] * 3 + [BOTH], 1, 2, [GIVES_EARLY, LOSES_A_BEAT], [LEAKS_READY]),
    ("fst_width_converter", dict(LaneWidth=LANE, InLanes=3, OutLanes=2, Depth=2), one("s", 3 * LANE), one("m", 2 * LANE),
     [BOTH, BOTH, GIVES], 1, 2, [IGNORES_CREDIT, LOSES_A_BEAT], [LEAKS_READY]),
    ("fst_word_split", dict(SlotWidth=LANE, Slots=2, Beats=3), one("s", 2 * LANE), one("m", LANE), [BOTH, GIVES, BOTH], 1, 2,
     [SPLIT_IGNORES_CREDIT, KEEPS_THE_REST], [(SPLIT, "s_ready_o = takes && available", "s_ready_o = takes && (available || m_ready_i)")]),
    ("fst_word_join", dict(SlotWidth=LANE, Slots=2, Beats=3), one("s", LANE), one("m", 2 * LANE), [TAKES, BOTH, BOTH], 1, 2,
     [FRAMES_RUN_ON, (JOIN, "issue     = s_valid_i && s_ready_o", "issue     = s_valid_i")], [JOIN_LEAKS]),
    ("pipeline_block", dict(Width=LANE, Stages=2, Depth=4), one("s", LANE), one("m", LANE), [BOTH], 3, 4,
     [IGNORES_STALL, ONE_CREDIT_TOO_MANY],
     [("fst_credit.sv", "available_o = available_q;\n  end\n\n", "available_o = available_q || give_i;\n  end\n\n")]),
    ("join_block", dict(Width=LANE, Depth=2), [prove.Stream("s0", LANE, 2), prove.Stream("s1", LANE, 2)], one("m", 2 * LANE),
     [prove.Step.plain((1, 1), 1)], 1, 2, [ONE_IS_ENOUGH, DROPS_A_BEAT, TAKES_NO_CREDIT],
     [("fst_skid.sv", "s_ready_o = !spare_valid_q", "s_ready_o = !spare_valid_q || m_ready_i && s_valid_i")]),
]


def title(cell, parameters):
    return " ".join([cell] + [f"{name}={value}" for name, value in parameters.items()])


def main():
    words = sys.argv[1:]
    bad = total = 0
    for cell, parameters, shape, twins in PROOFS:
        name = title(cell, parameters)
        if words and not any(word in name for word in words):
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "harness.sv"
            path.write_text(harness(cell, parameters, **shape))
            extra = [HERE / "stream_checker.sv", path]
            total += 1
            bad += not prove.report(name, lambda files: prove.prove([*files, *extra], "harness"), CELLS, twins)
    for beats, twins in AXIS_PROOFS:
        name = f"fst_axis_in, fst_axis_out BeatsPerFrame={beats}"
        if words and not any(word in name for word in words):
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "harness.sv"
            path.write_text(AXIS.replace("BEATS", str(beats)))
            extra = [HERE / "stream_checker.sv", path]
            total += 1
            bad += not prove.report(name, lambda files: prove.prove([*files, *extra], "harness"), CELLS, twins)
    for slots, beats, twins in WORD_PROOFS:
        name = f"fst_word_join, fst_word_split Slots={slots} Beats={beats}"
        if words and not any(word in name for word in words):
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "harness.sv"
            path.write_text(WORDS.replace("SLOTS", str(slots)).replace("BEATS", str(beats)))
            extra = [HERE / "stream_checker.sv", path]
            total += 1
            bad += not prove.report(name, lambda files: prove.prove([*files, *extra], "harness"), CELLS, twins)
    for latency, twins in AXILITE_PROOFS:
        name = f"fst_axilite Latency={latency}"
        if words and not any(word in name for word in words):
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "harness.sv"
            path.write_text(AXILITE.replace("LATENCY", str(latency)))
            total += 1
            bad += not prove.report(name, lambda files: prove.prove([*files, path], "harness"),
                                    [prove.RTL / "axi" / "fst_axilite.sv"], twins)
    for values, twins in PACKED_PROOFS:
        sizes = dict(zip(PACKED_SIZES, values))
        name = title("fst_packed_sums", sizes)
        if words and not any(word in name for word in words):
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "harness.sv"
            text = PACKED
            for size, value in sizes.items():
                text = re.sub(rf"\b{size}\b", str(value), text)
            path.write_text(text)
            total += 1
            files = [prove.RTL / "arith" / PACKED_FILE, prove.RTL / "tech/generic/fst_multiply_chain.sv"]
            bad += not prove.report(name, lambda some: prove.prove([*some, path], "harness"), files, twins)
    for cell, parameters, twins in MOORE:
        name = title(cell, parameters) + ": Moore"
        if words and not any(word in name for word in words):
            continue
        total += 1
        bad += not prove.report(name, lambda files: prove.moore(files, cell, parameters), CELLS, twins)
    for cell, parameters, inputs, outputs, steps, depth, capacity, twins, moore_twins in OPERATORS:
        name = "as operator: " + title(cell, parameters)
        if words and not any(word in name for word in words):
            continue
        total += 2
        bad += not prove.prove_operator(
            [*CELLS, *sorted(HERE.parent.glob("cells/*_block.sv"))], cell, inputs, outputs, steps, depth, capacity,
            parameters=parameters, mutants=twins, moore_mutants=moore_twins, cut=["*u_queue.push_data_i"], name=name)
    print(f"formal: {total} proofs, {bad} not as expected")
    return 1 if bad or not total else 0


if __name__ == "__main__":
    sys.exit(main())
