// SPDX-License-Identifier: Apache-2.0
// Adds products of bits of several weights in one carry chain: gate, counter and adder in one.
// Combinational.
module fst_product_chain #(
    // Stage s has weight 2**s and takes products 2s and 2s+1.
    parameter int unsigned Stages = 2,
    // The product of lane i: 0 a and b; 1 a equal to b; 2 a and (b differs from c).
    parameter int unsigned Gate = 0,
    // Products which count when they are low. Gate 2: even products only.
    parameter bit [2*Stages-1:0] Negate = '0
) (
    input logic [2*Stages-1:0] a_i,
    input logic [2*Stages-1:0] b_i,
    input logic [2*Stages-1:0] c_i,
    input logic carry_i,
    output logic [Stages:0] sum_o
);
  logic [2*Stages-1:0] product;
  if (Gate == 0) begin : g_and
    logic unused;
    assign unused  = ^c_i;
    assign product = (a_i & b_i) ^ Negate;
  end else if (Gate == 1) begin : g_equal
    logic unused;
    assign unused  = ^c_i;
    assign product = (a_i ~^ b_i) ^ Negate;
  end else begin : g_signed
    assign product = (a_i & (b_i ^ c_i)) ^ Negate;
  end

  // The running total of the stages below.
  logic [Stages+1:0] total[Stages+1];
  assign total[0] = (Stages + 2)'(carry_i);
  for (genvar s = 0; s < Stages; s++) begin : g_stage
    logic [1:0] count;
    assign count = 2'(product[2*s]) + 2'(product[2*s+1]);
    assign total[s+1] = total[s] + ((Stages + 2)'(count) << s);
  end
  assign sum_o = total[Stages][Stages:0];
endmodule
