// SPDX-License-Identifier: Apache-2.0
// Counts the free places of a queue for its controller: one taken at issue, one given at pop.
// Latency 1 (a credit given is usable in the next cycle), interval 1, capacity Depth.
`include "fst_assert.svh"
module fst_credit #(
    parameter int unsigned Depth = 2  // credits after reset
) (
    input  logic clk_i,
    input  logic rst_i,
    input  logic take_i,      // only while available_o
    input  logic give_i,      // only while fewer than Depth credits are here
    output logic available_o
);
  if (Depth <= 1) begin : g_one
    logic available_q;

    always_ff @(posedge clk_i) begin
      if (rst_i) available_q <= 1'b1;
      else if (take_i != give_i) available_q <= give_i;
    end

    assign available_o = available_q;
  end else begin : g_many
    // A register says whether there is a credit, a counter how many more there are, so that no
    // compare stands behind available_o.
    localparam int unsigned CountWidth = $clog2(Depth);
    logic available_q, up, down, none_more;
    logic [CountWidth-1:0] more_q, more_d;

    assign none_more = more_q == '0;
    assign up        = give_i && !take_i && available_q;
    assign down      = take_i && !give_i && !none_more;

    if (CountWidth <= 3) begin : g_short
      // Bit by bit: one table a bit, where a carry chain is larger.
      assign more_d[0] = more_q[0] ^ (up || down);
      for (genvar b = 1; b < CountWidth; b++) begin : g_bit
        assign more_d[b] = more_q[b] ^ ((up && (&more_q[b-1:0])) || (down && !(|more_q[b-1:0])));
      end
    end else begin : g_long
      assign more_d = up || down ? more_q + {{CountWidth - 1{down}}, 1'b1} : more_q;
    end

    always_ff @(posedge clk_i) begin
      if (rst_i) begin
        available_q <= 1'b1;
        more_q      <= CountWidth'(Depth - 1);
      end else begin
        available_q <= give_i || (available_q && !(take_i && none_more));
        more_q      <= more_d;
      end
    end

    assign available_o = available_q;
  end

  `FST_REQUIRE(depth, Depth >= 1, "fst_credit: Depth must be at least 1")
endmodule
