// SPDX-License-Identifier: Apache-2.0
// Accumulates lanes of partial sums; the first of a run of addends starts from a constant of the output fold.
// Latency 1, interval 1.
module fst_accumulator #(
    parameter int unsigned Lanes = 1,
    parameter int unsigned Width = 8,  // bits of each sum
    parameter int unsigned AddendWidth = 4,  // bits of each addend, at most Width
    parameter bit AddendSigned = 1'b0,
    parameter int unsigned Folds = 1,  // output folds, each with its own initial values
    // Lane l of fold f starts from Initial[(f * Lanes + l) * Width +: Width].
    parameter bit [Folds*Lanes*Width-1:0] Initial = '0,
    localparam int unsigned FoldWidth = (Folds == 1) ? 1 : $clog2(Folds)
) (
    input  logic                         clk_i,
    input  logic                         valid_i,   // an addend is here; else the sums stay
    input  logic                         first_i,   // it is the first of its run
    input  logic [        FoldWidth-1:0] fold_i,    // of the run; matters with the first
    input  logic [Lanes*AddendWidth-1:0] addend_i,
    output logic [      Lanes*Width-1:0] sum_o      // after the edge that took the addend
);
  logic [Lanes*Width-1:0] initial_values;
  if (Folds == 1) begin : g_one_fold
    logic unused;
    assign unused = ^fold_i;
    assign initial_values = Initial;
  end else begin : g_folds
    logic [Folds-1:0][Lanes*Width-1:0] table_of_folds;
    assign table_of_folds = Initial;
    assign initial_values = table_of_folds[fold_i];
  end

  logic [Lanes*Width-1:0] sum_d, sum_q;
  for (genvar l = 0; l < Lanes; l++) begin : g_lane
    fst_accumulate #(
        .Width(Width),
        .AddendWidth(AddendWidth),
        .AddendSigned(AddendSigned)
    ) accumulate (
        .first_i,
        .initial_i (initial_values[l*Width+:Width]),
        .previous_i(sum_q[l*Width+:Width]),
        .addend_i  (addend_i[l*AddendWidth+:AddendWidth]),
        .sum_o     (sum_d[l*Width+:Width])
    );
  end
  always_ff @(posedge clk_i) begin
    if (valid_i) sum_q <= sum_d;
  end
  assign sum_o = sum_q;
endmodule
