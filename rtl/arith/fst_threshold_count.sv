// SPDX-License-Identifier: Apache-2.0
// Counts the thresholds reached, or those not reached, by values whose thresholds come with them.
// Latency 1, or 2 for more than 3 thresholds; interval 1.
`include "fst_assert.svh"
module fst_threshold_count #(
  parameter int unsigned Lanes = 1,
  parameter int unsigned Levels = 3,  // thresholds of a lane
  parameter int unsigned Width = 8,   // of values and thresholds, unsigned
  localparam int unsigned CountWidth = $clog2(Levels + 1)
) (
  input  logic                          clk_i,
  input  logic [Lanes*Width-1:0]        value_i,
  input  logic [Lanes*Levels*Width-1:0] thresholds_i,
  input  logic [Lanes-1:0]              flip_i,  // lanes that count what is not reached
  output logic [Lanes*CountWidth-1:0]   result_o
);
  for (genvar l = 0; l < Lanes; l++) begin : g_lane
    logic [Levels-1:0]     reached_q;
    logic [CountWidth-1:0] count;

    for (genvar t = 0; t < Levels; t++) begin : g_threshold
      logic reached;

      assign reached = value_i[Width*l+:Width] >= thresholds_i[Width*(Levels*l+t)+:Width];
      always_ff @(posedge clk_i) reached_q[t] <= reached ^ flip_i[l];
    end

    always_comb begin
      count = '0;
      for (int unsigned t = 0; t < Levels; t++) count += CountWidth'(reached_q[t]);
    end

    if (Levels > 3) begin : g_registered
      logic [CountWidth-1:0] count_q;

      always_ff @(posedge clk_i) count_q <= count;
      assign result_o[CountWidth*l+:CountWidth] = count_q;
    end else begin : g_direct
      assign result_o[CountWidth*l+:CountWidth] = count;
    end
  end

  `FST_REQUIRE(lanes, Lanes >= 1, "fst_threshold_count: Lanes must be at least 1")
  `FST_REQUIRE(levels, Levels >= 1, "fst_threshold_count: Levels must be at least 1")
endmodule
