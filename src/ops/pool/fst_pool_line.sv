// SPDX-License-Identifier: Apache-2.0
// Windows along one direction of a frame, each as a running result; of those in flight the youngest
// is number 0. A place of the direction is `Depth` beats, each with results of its own.
// Latency 0 from the beat to the result of its oldest window, interval 1.
`include "fst_assert.svh"
module fst_pool_line #(
    parameter int unsigned Function = 0,    // 0: largest, 1: least, 2: sum
    parameter int unsigned Lanes = 1,       // elements in a beat
    parameter int unsigned InWidth = 8,     // bits of an element
    parameter bit          Signed = 1'b1,   // elements have a sign
    parameter int unsigned Width = 8,       // bits of a result
    parameter int unsigned Kernel = 2,      // places of a window
    parameter int unsigned Stride = 2,      // from window to window
    parameter int unsigned Before = 0,      // places outside the frame, before it
    parameter bit [63:0]   Fill = '0,       // what each place outside adds to a sum
    parameter int unsigned Depth = 1,
    parameter bit          BlockRam = 1'b0
) (
    input  logic                     clk_i,
    input  logic                     rst_i,
    input  logic                     early_i,   // valid_i of the next cycle; used with BlockRam
    input  logic                     valid_i,
    input  logic                     first_i,   // the frame's first place
    input  logic                     begin_i,   // a window begins with this place
    input  logic                     inside_i,  // the place is one of the frame's, not one after it
    input  logic [Lanes*InWidth-1:0] data_i,
    output logic [  Lanes*Width-1:0] result_o
);
  // Windows in flight from one place to the next; apart they end before the next one begins.
  localparam int unsigned Count = (Kernel + Stride - 2) / Stride;
  localparam bit Apart = Kernel <= Stride;

  // Held: the results so far; next: with this place.
  logic [Count*Lanes*Width-1:0] held, next;

  for (genvar lane = 0; lane < Lanes; lane++) begin : g_lane
    logic [Width-1:0] element, result;
    // Window n together with this place.
    logic [Count-1:0][Width-1:0] joined;

    if (Signed) begin : g_signed
      assign element = Width'($signed(data_i[lane*InWidth+:InWidth]));
    end else begin : g_unsigned
      assign element = Width'(data_i[lane*InWidth+:InWidth]);
    end

    for (genvar n = 0; n < Count; n++) begin : g_window
      // How many places outside this window has before the first one.
      localparam int unsigned Reach = Before % Stride + n * Stride;
      localparam int unsigned Outside = Reach <= Before ? Reach : 0;
      logic [Width-1:0] so_far;
      logic             fresh;

      // A window alone begins anew in its own result, others in the one that takes its place.
      assign so_far = held[(n*Lanes+lane)*Width+:Width];
      assign fresh  = Apart && (first_i || begin_i);

      if (Function == 2) begin : g_sum
        logic [Width-1:0] place, start;
        assign place     = inside_i ? element : Width'(Fill);
        assign start     = first_i ? Width'(Fill * 64'(Outside)) : '0;
        assign joined[n] = place + (fresh ? start : so_far);
      end else begin : g_choice
        logic greater, keep;
        // Of equal ones either is the result.
        fst_greater #(
            .Width(Width),
            .Signed(Signed)
        ) u_greater (
            .a_i(so_far),
            .b_i(element),
            .greater_o(greater)
        );
        assign keep      = !fresh && (!inside_i || greater == (Function == 0));
        assign joined[n] = keep ? so_far : element;
      end

      if (Apart) begin : g_apart
        assign next[(n*Lanes+lane)*Width+:Width] = joined[n];
      end else begin : g_overlapping
        logic [Width-1:0] moved;
        if (n == 0) begin : g_youngest
          assign moved = begin_i ? element : joined[n];
        end else begin : g_older
          assign moved = begin_i ? joined[n-1] : joined[n];
        end
        assign next[(n*Lanes+lane)*Width+:Width] =
            first_i ? element + Width'(Fill * 64'(Outside)) : moved;
      end
    end

    if (Apart || Before + 1 < Kernel) begin : g_ends_later
      assign result = joined[Count-1];
    end else begin : g_ends_with_first
      assign result = first_i ? element + Width'(Fill * 64'(Before)) : joined[Count-1];
    end
    assign result_o[lane*Width+:Width] = result;
  end

  if (Depth == 1) begin : g_register
    logic [Count*Lanes*Width-1:0] held_q;
    logic                         unused;

    assign unused = rst_i ^ early_i;
    assign held   = held_q;

    always_ff @(posedge clk_i) begin
      if (valid_i) held_q <= next;
    end
  end else begin : g_memory
    localparam int unsigned AddressWidth = $clog2(Depth);
    logic [Count*Lanes*Width-1:0] slots[Depth];
    logic [AddressWidth-1:0] address_q;
    logic advance;

    // With a start value Yosys leaves the address out of the memory cell; it would copy it.
    initial address_q = '0;

    always_ff @(posedge clk_i) begin
      if (rst_i) address_q <= '0;
      else if (advance) begin
        address_q <= address_q == AddressWidth'(Depth - 1) ? '0 : address_q + 1'b1;
      end
    end

    if (BlockRam) begin : g_block
      logic [Count*Lanes*Width-1:0] held_q;
      logic [AddressWidth-1:0] write_q;

      assign advance = early_i;
      assign held    = held_q;

      always_ff @(posedge clk_i) begin
        held_q  <= slots[address_q];
        write_q <= address_q;
      end

      always_ff @(posedge clk_i) begin
        if (valid_i) slots[write_q] <= next;
      end
    end else begin : g_lut
      logic unused;

      assign unused  = early_i;
      assign advance = valid_i;
      assign held    = slots[address_q];

      always_ff @(posedge clk_i) begin
        if (valid_i) slots[address_q] <= next;
      end
    end
  end

  `FST_REQUIRE(lanes, Lanes >= 1, "fst_pool_line: Lanes must be at least 1")
  `FST_REQUIRE(kernel, Kernel >= 2, "fst_pool_line: Kernel must be at least 2")
  `FST_REQUIRE(stride, Stride >= 1, "fst_pool_line: Stride must be at least 1")
  `FST_REQUIRE(width, Width >= InWidth, "fst_pool_line: Width must be at least InWidth")
  `FST_REQUIRE(block, !BlockRam || Depth >= 3, "fst_pool_line: BlockRam needs Depth of at least 3")
endmodule
