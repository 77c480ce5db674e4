// SPDX-License-Identifier: Apache-2.0
// Counts three bits.
// Combinational.
module fst_full_adder #(
    parameter bit [2:0] Invert = '0  // inputs which count when they are low
) (
    input  logic [2:0] bits_i,
    output logic [1:0] sum_o
);
  localparam bit [7:0] Majority = 8'he8;
  // Entry i of the carry's table is the majority of i with the inverted inputs flipped.
  localparam bit [7:0] Carry = {
    Majority[3'd7^Invert],
    Majority[3'd6^Invert],
    Majority[3'd5^Invert],
    Majority[3'd4^Invert],
    Majority[3'd3^Invert],
    Majority[3'd2^Invert],
    Majority[3'd1^Invert],
    Majority[3'd0^Invert]
  };
  localparam bit [7:0] Parity = (^Invert) ? 8'h69 : 8'h96;

  LUT6_2 #(
      .INIT({{4{Carry}}, {4{Parity}}})
  ) counter (
      .I0(bits_i[0]),
      .I1(bits_i[1]),
      .I2(bits_i[2]),
      .I3(1'b0),
      .I4(1'b0),
      .I5(1'b1),
      .O6(sum_o[1]),
      .O5(sum_o[0])
  );
endmodule
