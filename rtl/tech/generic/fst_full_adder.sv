// SPDX-License-Identifier: Apache-2.0
// Counts three bits.
// Combinational.
module fst_full_adder #(
    parameter bit [2:0] Invert = '0  // inputs which count when they are low
) (
    input  logic [2:0] bits_i,
    output logic [1:0] sum_o
);
  logic [2:0] bits;
  assign bits  = bits_i ^ Invert;
  assign sum_o = 2'(bits[0]) + 2'(bits[1]) + 2'(bits[2]);
endmodule
