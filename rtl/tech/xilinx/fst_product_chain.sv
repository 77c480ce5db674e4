// SPDX-License-Identifier: Apache-2.0
// Adds products of bits of several weights in one carry chain: gate, counter and adder in one.
// Combinational.
module fst_product_chain #(
    // Stage s has weight 2**s and takes products 2s and 2s+1.
    parameter int unsigned Stages = 2,
    // The product of lane i: 0 a and b; 1 a equal to b; 2 a and (b differs from c).
    parameter int unsigned Gate = 0,
    // Products which count when they are low. Gate 2: even products only.
    parameter bit [2*Stages-1:0] Negate = '0,
    // Bit s moves product 2s+2 from stage s+1 to stage s. Gate 0 only; not for two stages in a row nor the
    // last; products 2s+2 and 2s+3 are then not negated.
    parameter bit [Stages-1:0] Triple = '0
) (
    input logic [2*Stages-1:0] a_i,
    input logic [2*Stages-1:0] b_i,
    input logic [2*Stages-1:0] c_i,
    input logic carry_i,
    output logic [Stages:0] sum_o
);
  // The truth table of a stage; entry index bits 0 to 4 are the table's first five inputs, bit 5 the sixth.
  // kind 0 two products, 1 three products, 2 the pair of the stage below and one product.
  function automatic bit [63:0] truth(input int unsigned kind, input bit negate0,
                                      input bit negate1);
    bit [63:0] t;
    for (int unsigned i = 0; i < 64; i++) begin
      bit [5:0] x;
      bit g0, g1, g2;
      x = 6'(i);
      if (Gate == 2) begin
        g0   = (x[0] & (x[1] ^ x[2])) ^ negate0;
        g1   = x[5] & (x[3] ^ x[4]);
        t[i] = g0 ^ g1;
      end else begin
        g0 = ((Gate == 0) ? (x[0] & x[1]) : (x[0] ~^ x[1])) ^ negate0;
        g1 = ((Gate == 0) ? (x[2] & x[3]) : (x[2] ~^ x[3])) ^ negate1;
        g2 = x[5] & x[4];
        if (kind == 0) t[i] = x[5] ? (g0 ^ g1) : g1;
        else if (kind == 1) t[i] = g0 ^ g1 ^ g2;
        else t[i] = (g0 & g1) ^ g2;
      end
    end
    return t;
  endfunction

  logic [Stages-1:0] propagate, generated;
  for (genvar s = 0; s < Stages; s++) begin : g_stage
    localparam bit Lower = Triple[s];
    localparam bit Upper = (s > 0) && Triple[(s==0)?0 : s-1];
    // A stage above a triple looks at the first two products of the stage below again.
    localparam int unsigned First = Upper ? 2 * s - 2 : 2 * s;
    localparam int unsigned Third = Lower ? 2 * s + 2 : 2 * s + 1;
    localparam bit [63:0] Truth = truth(
        Lower ? 1 : (Upper ? 2 : 0), Negate[First], Negate[First+1]
    );
    logic [5:0] x;
    if (Gate == 2) begin : g_signed
      assign x = {a_i[2*s+1], c_i[2*s+1], b_i[2*s+1], c_i[2*s], b_i[2*s], a_i[2*s]};
    end else if (Lower || Upper) begin : g_triple
      assign x = {b_i[Third], a_i[Third], b_i[First+1], a_i[First+1], b_i[First], a_i[First]};
    end else begin : g_pair
      assign x = {2'b10, b_i[First+1], a_i[First+1], b_i[First], a_i[First]};
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
