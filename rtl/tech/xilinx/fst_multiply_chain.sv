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
  logic [47:0] total;
  for (genvar l = 0; l < Lanes; l++) begin : g_lane
    // A lane's operands wait for the sum of the lanes before it: up to two cycles in the block, one more before it.
    localparam int unsigned Inside = (l < 2) ? l : 2;
    localparam int unsigned Before = l - Inside;
    logic [WideBits-1:0] wide;
    logic [FactorBits-1:0] factor;
    if (Before == 0) begin : g_now
      assign wide   = wide_i[l*WideBits+:WideBits];
      assign factor = factor_i[l*FactorBits+:FactorBits];
    end else begin : g_before
      logic [WideBits-1:0] wide_q;
      logic [FactorBits-1:0] factor_q;
      always_ff @(posedge clk_i) begin
        wide_q   <= wide_i[l*WideBits+:WideBits];
        factor_q <= factor_i[l*FactorBits+:FactorBits];
      end
      assign wide   = wide_q;
      assign factor = factor_q;
    end
    logic [47:0] sum, cascade, cascade_in, addend;
    if (l == 0) begin : g_begins
      assign addend     = 48'(addend_i);
      assign cascade_in = '0;
    end else begin : g_goes_on
      assign addend     = '0;
      assign cascade_in = g_lane[l-1].cascade;
    end
    if (l == Lanes - 1) begin : g_last
      logic [47:0] unused_cascade;
      assign unused_cascade = cascade;
      assign total = sum;
    end
    if (WideBits == 25) begin : g_dsp48e1
      logic [29:0] unused_acout;
      logic [17:0] unused_bcout;
      logic [3:0] unused_carryout;
      logic unused_carrycascout, unused_multsignout, unused_overflow;
      logic unused_underflow, unused_patterndetect, unused_patternbdetect;
      DSP48E1 #(
          .USE_DPORT("TRUE"),
          .A_INPUT("DIRECT"),
          .B_INPUT("DIRECT"),
          .USE_MULT("MULTIPLY"),
          .USE_SIMD("ONE48"),
          .AREG(0),
          .ACASCREG(0),
          .BREG(Inside),
          .BCASCREG(Inside),
          .CREG(1),
          .DREG(Inside == 0 ? 0 : 1),
          .ADREG(Inside == 2 ? 1 : 0),
          .MREG(1),
          .PREG(1),
          .INMODEREG(0),
          .OPMODEREG(0),
          .ALUMODEREG(0),
          .CARRYINREG(0),
          .CARRYINSELREG(0)
      ) block (
          .CLK(clk_i),
          .A(30'(Subtract)),
          .B(18'(factor)),
          .C(addend),
          .D(wide),
          .INMODE(5'b01100),
          .OPMODE({l == 0 ? 3'b011 : 3'b001, 4'b0101}),
          .ALUMODE(4'b0000),
          .CARRYIN(1'b0),
          .CARRYINSEL(3'b000),
          .PCIN(cascade_in),
          .ACIN(30'd0),
          .BCIN(18'd0),
          .CARRYCASCIN(1'b0),
          .MULTSIGNIN(1'b0),
          .CEA1(1'b1),
          .CEA2(1'b1),
          .CEAD(1'b1),
          .CEB1(1'b1),
          .CEB2(1'b1),
          .CEC(1'b1),
          .CED(1'b1),
          .CEM(1'b1),
          .CEP(1'b1),
          .CEALUMODE(1'b1),
          .CECARRYIN(1'b1),
          .CECTRL(1'b1),
          .CEINMODE(1'b1),
          .RSTA(1'b0),
          .RSTB(1'b0),
          .RSTC(1'b0),
          .RSTD(1'b0),
          .RSTM(1'b0),
          .RSTP(1'b0),
          .RSTALLCARRYIN(1'b0),
          .RSTALUMODE(1'b0),
          .RSTCTRL(1'b0),
          .RSTINMODE(1'b0),
          .P(sum),
          .PCOUT(cascade),
          .ACOUT(unused_acout),
          .BCOUT(unused_bcout),
          .CARRYCASCOUT(unused_carrycascout),
          .CARRYOUT(unused_carryout),
          .MULTSIGNOUT(unused_multsignout),
          .OVERFLOW(unused_overflow),
          .UNDERFLOW(unused_underflow),
          .PATTERNDETECT(unused_patterndetect),
          .PATTERNBDETECT(unused_patternbdetect)
      );
    end else begin : g_dsp48e2
      logic [29:0] unused_acout;
      logic [17:0] unused_bcout;
      logic [7:0] unused_xorout;
      logic [3:0] unused_carryout;
      logic unused_carrycascout, unused_multsignout, unused_overflow;
      logic unused_underflow, unused_patterndetect, unused_patternbdetect;
      DSP48E2 #(
          .AMULTSEL("AD"),
          .BMULTSEL("B"),
          .PREADDINSEL("A"),
          .A_INPUT("DIRECT"),
          .B_INPUT("DIRECT"),
          .USE_MULT("MULTIPLY"),
          .USE_SIMD("ONE48"),
          .AREG(0),
          .ACASCREG(0),
          .BREG(Inside),
          .BCASCREG(Inside),
          .CREG(1),
          .DREG(Inside == 0 ? 0 : 1),
          .ADREG(Inside == 2 ? 1 : 0),
          .MREG(1),
          .PREG(1),
          .INMODEREG(0),
          .OPMODEREG(0),
          .ALUMODEREG(0),
          .CARRYINREG(0),
          .CARRYINSELREG(0)
      ) block (
          .CLK(clk_i),
          .A(30'(Subtract)),
          .B(18'(factor)),
          .C(addend),
          .D(wide),
          .INMODE(5'b01100),
          .OPMODE({2'b00, l == 0 ? 3'b011 : 3'b001, 4'b0101}),
          .ALUMODE(4'b0000),
          .CARRYIN(1'b0),
          .CARRYINSEL(3'b000),
          .PCIN(cascade_in),
          .ACIN(30'd0),
          .BCIN(18'd0),
          .CARRYCASCIN(1'b0),
          .MULTSIGNIN(1'b0),
          .CEA1(1'b1),
          .CEA2(1'b1),
          .CEAD(1'b1),
          .CEB1(1'b1),
          .CEB2(1'b1),
          .CEC(1'b1),
          .CED(1'b1),
          .CEM(1'b1),
          .CEP(1'b1),
          .CEALUMODE(1'b1),
          .CECARRYIN(1'b1),
          .CECTRL(1'b1),
          .CEINMODE(1'b1),
          .RSTA(1'b0),
          .RSTB(1'b0),
          .RSTC(1'b0),
          .RSTD(1'b0),
          .RSTM(1'b0),
          .RSTP(1'b0),
          .RSTALLCARRYIN(1'b0),
          .RSTALUMODE(1'b0),
          .RSTCTRL(1'b0),
          .RSTINMODE(1'b0),
          .P(sum),
          .PCOUT(cascade),
          .ACOUT(unused_acout),
          .BCOUT(unused_bcout),
          .CARRYCASCOUT(unused_carrycascout),
          .CARRYOUT(unused_carryout),
          .MULTSIGNOUT(unused_multsignout),
          .OVERFLOW(unused_overflow),
          .UNDERFLOW(unused_underflow),
          .PATTERNDETECT(unused_patterndetect),
          .PATTERNBDETECT(unused_patternbdetect),
          .XOROUT(unused_xorout)
      );
    end
  end
  assign sum_o = total[SumBits-1:0];
endmodule
