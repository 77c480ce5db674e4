// SPDX-License-Identifier: Apache-2.0
// Two products with one factor in common, by one multiplication: the other two factors stand so far apart in one word
// that their products do not meet. Synthesis makes one DSP block of it, with its registers, where a family has any.
// Latency 2, interval 1.
`include "fst_assert.svh"
module fst_product_pair #(
  parameter int unsigned WeightBits = 8,
  parameter bit          WeightSigned = 1'b1,
  parameter int unsigned ActivationBits = 8,
  parameter bit          ActivationSigned = 1'b0,
  localparam int unsigned ProductBits = WeightBits + ActivationBits
) (
  input  logic                      clk_i,
  input  logic [WeightBits-1:0]     weight0_i,
  input  logic [WeightBits-1:0]     weight1_i,
  input  logic [ActivationBits-1:0] activation_i,
  output logic [ProductBits-1:0]    low_o,  // weight0 * activation
  output logic [ProductBits-1:0]    high_o  // weight1 * activation, less one where low_o is below 0
);
  localparam int unsigned PackedBits = WeightBits + ProductBits + 1;

  logic signed [WeightBits:0]      weight0, weight1;
  logic signed [ActivationBits:0]  activation;
  logic signed [PackedBits-1:0]    both;
  logic signed [2*ProductBits-1:0] product_q;
  logic        [2*ProductBits-1:0] result_q;

  assign weight0    = $signed({WeightSigned && weight0_i[WeightBits-1], weight0_i});
  assign weight1    = $signed({WeightSigned && weight1_i[WeightBits-1], weight1_i});
  assign activation = $signed({ActivationSigned && activation_i[ActivationBits-1], activation_i});
  assign both       = (PackedBits'(weight1) <<< ProductBits) + PackedBits'(weight0);

  always_ff @(posedge clk_i) begin
    product_q <= (2 * ProductBits)'(both) * (2 * ProductBits)'(activation);
    result_q  <= product_q;
  end

  assign low_o  = result_q[ProductBits-1:0];
  assign high_o = result_q[2*ProductBits-1:ProductBits];

`ifndef SYNTHESIS
  // The two multiplications it stands for.
  logic [ProductBits-1:0] expected0_q, expected1_q, first_q, second_q;
  logic                   borrow, known_q, full_q;
  initial begin
    known_q = 1'b0;
    full_q  = 1'b0;
  end
  always_ff @(posedge clk_i) begin
    expected0_q <= ProductBits'(weight0 * activation);
    expected1_q <= ProductBits'(weight1 * activation);
    first_q     <= expected0_q;
    second_q    <= expected1_q;
    known_q     <= 1'b1;
    full_q      <= known_q;
  end
  assign borrow = (WeightSigned || ActivationSigned) && low_o[ProductBits-1];
  always_ff @(posedge clk_i) begin
    if (full_q) begin
      low_is_a_product: assert (low_o == first_q);
      high_is_a_product: assert (high_o + ProductBits'(borrow) == second_q);
    end
  end
`endif

  `FST_REQUIRE(bits, WeightBits >= 2 && ActivationBits >= 2,
               "fst_product_pair: factors must have at least two bits")
endmodule
