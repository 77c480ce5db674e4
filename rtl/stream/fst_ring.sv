// SPDX-License-Identifier: Apache-2.0
// Ring of slots with registered valid, inside fst_queue and fst_fifo; its user prevents overflow.
// Latency 1 (2 with BlockRam), interval 1, capacity Slots.
`include "fst_assert.svh"
module fst_ring #(
    parameter int unsigned Width    = 8,  // payload bits
    parameter int unsigned Slots    = 2,  // beats
    parameter bit          BlockRam = 0   // block memory, one cycle more latency
) (
    input  logic             clk_i,
    input  logic             rst_i,
    input  logic             push_i,
    input  logic [Width-1:0] push_data_i,
    output logic             m_valid_o,
    input  logic             m_ready_i,
    output logic [Width-1:0] m_data_o,
    output logic             pop_o,
    output logic             fills_o       // one slot is free: a push without a pop fills the ring
);
  assign pop_o = m_valid_o && m_ready_i;

  if (Slots <= 1) begin : g_one
    logic             valid_q;
    logic [Width-1:0] data_q;

    always_ff @(posedge clk_i) begin
      if (rst_i) valid_q <= 1'b0;
      else valid_q <= push_i || (valid_q && !m_ready_i);
    end

    always_ff @(posedge clk_i) begin
      if (push_i) data_q <= push_data_i;
    end

    assign m_valid_o = valid_q;
    assign m_data_o  = data_q;
    assign fills_o   = 1'b1;
  end else begin : g_many
    localparam int unsigned PointerWidth = $clog2(Slots);
    localparam bit WrapsAlone = Slots == 2 ** PointerWidth;
    localparam logic [PointerWidth-1:0] LastSlot = PointerWidth'(Slots - 1);

    logic [Width-1:0] slots[Slots];
    logic [PointerWidth-1:0] write_q, write_next, read_q, read_next;
    logic filled_q, last;

    if (WrapsAlone) begin : g_wraps_alone
      assign write_next = write_q + 1'b1;
      assign read_next  = read_q + 1'b1;
    end else begin : g_wraps_early
      assign write_next = write_q == LastSlot ? '0 : write_q + 1'b1;
      assign read_next  = read_q == LastSlot ? '0 : read_q + 1'b1;
    end

    assign last    = read_next == write_q;
    assign fills_o = write_next == read_q;

    always_ff @(posedge clk_i) begin
      if (rst_i) begin
        write_q  <= '0;
        read_q   <= '0;
        filled_q <= 1'b0;
      end else begin
        if (push_i) write_q <= write_next;
        if (pop_o) read_q <= read_next;
        filled_q <= push_i || (filled_q && !(pop_o && last));
      end
    end

    always_ff @(posedge clk_i) begin
      if (push_i) slots[write_q] <= push_data_i;
    end

    if (BlockRam) begin : g_block
      logic                    valid_q;
      logic [       Width-1:0] data_q;
      logic [PointerWidth-1:0] read_d;

      // Reads the slot that will be the head; a slot written in this very cycle cannot be it. A sum
      // is smaller than the choice between read_next and read_q.
      if (WrapsAlone) begin : g_sum
        assign read_d = read_q + PointerWidth'(pop_o);
      end else begin : g_choice
        assign read_d = pop_o ? read_next : read_q;
      end

      always_ff @(posedge clk_i) begin
        if (rst_i) valid_q <= 1'b0;
        else valid_q <= filled_q && !(pop_o && last);
      end

      always_ff @(posedge clk_i) begin
        data_q <= slots[read_d];
      end

      assign m_valid_o = valid_q;
      assign m_data_o  = data_q;
    end else begin : g_lut
      // With a start value Yosys leaves the read pointer out of the memory cell; it would copy it.
      initial read_q = '0;

      assign m_valid_o = filled_q;
      assign m_data_o  = slots[read_q];
    end
  end

  `FST_REQUIRE(width, Width >= 1, "fst_ring: Width must be at least 1")
  `FST_REQUIRE(slots, Slots >= 1, "fst_ring: Slots must be at least 1")
  `FST_ASSERT_STREAM(m, m_valid_o, m_ready_i, m_data_o)
endmodule
