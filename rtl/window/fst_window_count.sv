// SPDX-License-Identifier: Apache-2.0
// One loop of a walk: counts from 0 to Count - 1 and begins again.
// Moore; interval 1.
`include "fst_assert.svh"
module fst_window_count #(
  parameter int unsigned Count = 2,
  localparam int unsigned Width = Count > 1 ? $clog2(Count) : 1
) (
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic             step_i,
  output logic [Width-1:0] value_o,
  output logic             last_o,
  output logic             wrap_o   // this step ends the loop
);
  if (Count == 1) begin : g_one
    logic unused;
    assign unused  = clk_i ^ rst_i;
    assign value_o = '0;
    assign last_o  = 1'b1;
  end else begin : g_many
    logic [Width-1:0] value_q;

    always_ff @(posedge clk_i) begin
      if (rst_i) value_q <= '0;
      else if (step_i) value_q <= last_o ? '0 : value_q + 1'b1;
    end

    assign value_o = value_q;
    assign last_o  = value_q == Width'(Count - 1);
  end
  assign wrap_o = step_i && last_o;

  `FST_REQUIRE(count, Count >= 1, "fst_window_count: Count must be at least 1")
endmodule
