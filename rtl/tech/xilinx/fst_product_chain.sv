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
  // The truth table of a stage; index bits 0 to 4 are the table's first five inputs, bit 5 the sixth. Its
  // lower half is what the carry becomes where the two products differ in nothing.
  function automatic bit [63:0] truth(input bit negate0, input bit negate1);
    bit [63:0] t;
    for (int unsigned i = 0; i < 64; i++) begin
      bit [5:0] x;
      bit first, second;
      x = 6'(i);
      if (Gate == 2) begin
        first  = (x[0] & (x[1] ^ x[2])) ^ negate0;
        second = x[5] & (x[3] ^ x[4]);
        t[i]   = first ^ second;
      end else begin
        first  = ((Gate == 0) ? (x[0] & x[1]) : (x[0] ~^ x[1])) ^ negate0;
        second = ((Gate == 0) ? (x[2] & x[3]) : (x[2] ~^ x[3])) ^ negate1;
        t[i]   = x[5] ? (first ^ second) : second;
      end
    end
    return t;
  endfunction

  logic [Stages-1:0] propagate, generated;
  for (genvar s = 0; s < Stages; s++) begin : g_stage
    localparam bit [63:0] Truth = truth(Negate[2*s], Negate[2*s+1]);
    logic [5:0] x;
    if (Gate == 2) begin : g_signed
      assign x = {a_i[2*s+1], c_i[2*s+1], b_i[2*s+1], c_i[2*s], b_i[2*s], a_i[2*s]};
    end else begin : g_pair
      assign x = {2'b10, b_i[2*s+1], a_i[2*s+1], b_i[2*s], a_i[2*s]};
    end
    LUT6_2 #(
        .INIT(Truth)
    ) stage (
        .I0(x[0]),
        .I1(x[1]),
        .I2(x[2]),
        .I3(x[3]),
        .I4(x[4]),
        .I5(x[5]),
        .O6(propagate[s]),
        .O5(generated[s])
    );
  end

  if (Gate != 2) begin : g_unused
    logic unused;
    assign unused = ^c_i;
  end

  fst_carry_chain #(
      .Stages(Stages)
  ) chain (
      .carry_i,
      .propagate_i(propagate),
      .generate_i(generated),
      .sum_o(sum_o[Stages-1:0]),
      .carry_o(sum_o[Stages])
  );
endmodule
