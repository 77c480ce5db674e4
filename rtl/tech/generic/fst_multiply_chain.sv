// SPDX-License-Identifier: Apache-2.0
// A sum of products, one DSP block for each: addend + the sum over lanes of (wide - Subtract) * factor.
// Latency Lanes + 1, interval 1.
module fst_multiply_chain #(
    parameter int unsigned Lanes = 1,  // at most 4
    // Of the multiplier's wide side: 25 (DSP48E1) or 27 (DSP48E2, DSP58).
    parameter int unsigned WideBits = 25,
    parameter int unsigned FactorBits = 8,  // at most 17
    parameter int unsigned SumBits = 48,  // at most 48
    parameter bit [WideBits-1:0] Subtract = '0
) (
    input logic clk_i,
    // Less Subtract, modulo 2**WideBits, a signed number.
    input logic [Lanes*WideBits-1:0] wide_i,
    input logic [Lanes*FactorBits-1:0] factor_i,  // unsigned
    input logic [SumBits-1:0] addend_i,
    output logic [SumBits-1:0] sum_o  // modulo 2**SumBits
);
  for (genvar l = 0; l < Lanes; l++) begin : g_lane
    // A lane's operands wait for the sum of the lanes before it.
    logic [WideBits-1:0] wide;
    logic [FactorBits-1:0] factor;
    if (l == 0) begin : g_first
      assign wide   = wide_i[0+:WideBits];
      assign factor = factor_i[0+:FactorBits];
    end else begin : g_later
      logic [l-1:0][WideBits-1:0]   wide_q;
      logic [l-1:0][FactorBits-1:0] factor_q;
      for (genvar d = 0; d < l; d++) begin : g_delay
        if (d == 0) begin : g_in
          always_ff @(posedge clk_i) begin
            wide_q[0]   <= wide_i[l*WideBits+:WideBits];
            factor_q[0] <= factor_i[l*FactorBits+:FactorBits];
          end
        end else begin : g_on
          always_ff @(posedge clk_i) begin
            wide_q[d]   <= wide_q[d-1];
            factor_q[d] <= factor_q[d-1];
          end
        end
      end
      assign wide   = wide_q[l-1];
      assign factor = factor_q[l-1];
    end
    logic signed [WideBits-1:0] difference;
    logic signed [SumBits-1:0]  product_q;
    logic        [SumBits-1:0]  addend, sum_q;
    assign difference = wide - Subtract;
    if (l == 0) begin : g_begins
      logic [SumBits-1:0] addend_q;
      always_ff @(posedge clk_i) addend_q <= addend_i;
      assign addend = addend_q;
    end else begin : g_goes_on
      assign addend = g_lane[l-1].sum_q;
    end
    always_ff @(posedge clk_i) begin
      product_q <= SumBits'(difference) * $signed(SumBits'(factor));
      sum_q     <= addend + product_q;
    end
  end
  assign sum_o = g_lane[Lanes-1].sum_q;
endmodule
