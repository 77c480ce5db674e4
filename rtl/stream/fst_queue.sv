// SPDX-License-Identifier: Apache-2.0
// Output queue of a block: no ready at its input, the block's credits keep it from overflow.
// Latency 1 (2 with BlockRam), interval 1, capacity Depth.
`include "fst_assert.svh"
module fst_queue #(
  parameter int unsigned Width = 8,    // payload bits
  parameter int unsigned Depth = 2,    // beats
  parameter bit          BlockRam = 0  // block memory, one cycle more latency
) (
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic             push_i,
  input  logic [Width-1:0] push_data_i,
  output logic             m_valid_o,
  input  logic             m_ready_i,
  output logic [Width-1:0] m_data_o,
  output logic             pop_o
);
  assign pop_o = m_valid_o && m_ready_i;

  if (Depth == 1) begin : g_one
    logic             valid_q;
    logic [Width-1:0] data_q;

    always_ff @(posedge clk_i) begin
      if (rst_i) valid_q <= 1'b0;
      else if (push_i || m_ready_i) valid_q <= push_i;
    end

    always_ff @(posedge clk_i) begin
      if (push_i) data_q <= push_data_i;
    end

    assign m_valid_o = valid_q;
    assign m_data_o  = data_q;
  end else begin : g_ring
    // LUT memory comes in powers of two and its pointers wrap alone; block memory ends at Depth.
    localparam int unsigned PointerWidth = $clog2(Depth);
    localparam int unsigned Slots = BlockRam ? Depth : 2 ** PointerWidth;
    localparam bit WrapsAlone = Slots == 2 ** PointerWidth;
    localparam logic [PointerWidth-1:0] LastSlot = PointerWidth'(Slots - 1);

    logic [Width-1:0]        slots [Slots];
    logic [PointerWidth-1:0] write_q, write_next, read_q, read_next;
    logic                    filled_q, last;

    assign write_next = (!WrapsAlone && write_q == LastSlot) ? '0 : write_q + 1'b1;
    assign read_next  = (!WrapsAlone && read_q == LastSlot) ? '0 : read_q + 1'b1;
    assign last       = read_next == write_q;

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
      logic             valid_q;
      logic [Width-1:0] data_q;

      // Reads the slot that will be the head; a slot written in this very cycle cannot be it.
      always_ff @(posedge clk_i) begin
        if (rst_i) valid_q <= 1'b0;
        else valid_q <= filled_q && !(pop_o && last);
      end

      always_ff @(posedge clk_i) begin
        data_q <= slots[pop_o ? read_next : read_q];
      end

      assign m_valid_o = valid_q;
      assign m_data_o  = data_q;
    end else begin : g_lut
      assign m_valid_o = filled_q;
      assign m_data_o  = slots[read_q];
    end
  end

  `FST_REQUIRE(width, Width >= 1, "fst_queue: Width must be at least 1")
  `FST_REQUIRE(depth, Depth >= 1, "fst_queue: Depth must be at least 1")
  `FST_REQUIRE(block, !BlockRam || Depth >= 3, "fst_queue: BlockRam needs Depth of at least 3")
  `FST_ASSERT_STREAM(m, m_valid_o, m_ready_i, m_data_o)
endmodule
