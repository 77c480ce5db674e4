// SPDX-License-Identifier: Apache-2.0
// The adder of an accumulator: addend + (first ? initial : previous).
// Combinational.
module fst_accumulate #(
    parameter int unsigned Width = 8,
    parameter int unsigned AddendWidth = 4,  // at most Width
    parameter bit AddendSigned = 1'b0
) (
    input logic first_i,
    input logic [Width-1:0] initial_i,
    input logic [Width-1:0] previous_i,
    input logic [AddendWidth-1:0] addend_i,
    output logic [Width-1:0] sum_o
);
  logic [Width-1:0] addend;
  if (AddendSigned) begin : g_signed
    assign addend = Width'($signed(addend_i));
  end else begin : g_unsigned
    assign addend = Width'(addend_i);
  end
  assign sum_o = (first_i ? initial_i : previous_i) + addend;
endmodule
