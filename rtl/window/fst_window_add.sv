// SPDX-License-Identifier: Apache-2.0
// Moves a place of a ring: (value + addend) modulo Modulus, both smaller than it.
// Combinational.
`include "fst_assert.svh"
module fst_window_add #(
  parameter int unsigned Width = 4,
  parameter int unsigned Modulus = 16  // at most 2**Width
) (
  input  logic [Width-1:0] value_i,
  input  logic [Width-1:0] addend_i,
  output logic [Width-1:0] sum_o
);
  logic unused_carry;

  if (Modulus == 2 ** Width) begin : g_wraps_alone
    fst_carry_chain #(
      .Stages(Width)
    ) u_sum (
      .carry_i(1'b0),
      .propagate_i(value_i ^ addend_i),
      .generate_i(value_i),
      .sum_o(sum_o),
      .carry_o(unused_carry)
    );
  end else begin : g_wraps_early
    // value + addend - Modulus, which carries where it is not negative.
    logic [Width-1:0] sum, less, reduced;
    logic             beyond;

    assign less = addend_i - Width'(Modulus);

    fst_carry_chain #(
      .Stages(Width)
    ) u_sum (
      .carry_i(1'b0),
      .propagate_i(value_i ^ addend_i),
      .generate_i(value_i),
      .sum_o(sum),
      .carry_o(unused_carry)
    );
    fst_carry_chain #(
      .Stages(Width)
    ) u_reduced (
      .carry_i(1'b0),
      .propagate_i(value_i ^ less),
      .generate_i(value_i),
      .sum_o(reduced),
      .carry_o(beyond)
    );

    assign sum_o = beyond ? reduced : sum;
  end

  `FST_REQUIRE(modulus, Modulus <= 2 ** Width, "fst_window_add: Modulus must be at most 2**Width")
endmodule
