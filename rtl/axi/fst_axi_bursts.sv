// SPDX-License-Identifier: Apache-2.0
// Cuts words of memory into bursts: the addresses of a reader or a writer, one after the other.
// A burst is planned, then begins when its mover says so, then its address waits for a taker.
`include "fst_assert.svh"
module fst_axi_bursts #(
    parameter int unsigned WordWidth   = 64,  // bits
    parameter int unsigned BurstWords  = 16,  // the last burst may be shorter
    parameter int unsigned PassWords   = 0,  // then the first comes again; 0: never
    parameter int unsigned LengthWidth = $clog2(BurstWords + 1)
) (
    input  logic                   clk_i,
    input  logic                   rst_i,
    input  logic                   start_i,
    input  logic [           63:0] address_i,  // of the first byte, a multiple of 4096; held
    input  logic [           31:0] words_i,    // with start_i; whole passes
    output logic                   more_o,     // words of no burst, or an address not taken
    output logic                   planned_o,  // a burst may begin
    output logic [LengthWidth-1:0] length_o,   // its words
    input  logic                   begin_i,    // with planned_o
    output logic                   m_axi_valid_o,
    input  logic                   m_axi_ready_i,
    output logic [           63:0] m_axi_addr_o,
    output logic [            7:0] m_axi_len_o
);
  localparam int unsigned BurstBits = $clog2(BurstWords);
  localparam logic [63:0] BurstBytes = 64'(BurstWords * WordWidth / 8);

  logic planned_q, valid_q, plans, passes;
  logic [LengthWidth-1:0] length_q, length;
  logic [           31:0] left_q;     // words of no burst so far
  logic [           63:0] next_q;     // where they begin
  logic [           63:0] address_q;
  logic [            7:0] len_q;

  assign plans = left_q != '0 && !planned_q;

  if (PassWords == 0) begin : g_once
    assign passes = 1'b0;
    assign length = |left_q[31:BurstBits] ? LengthWidth'(BurstWords) : LengthWidth'(left_q);
  end else begin : g_passes
    localparam int unsigned PassWidth =
        PassWords > BurstWords ? $clog2(PassWords + 1) : LengthWidth;
    logic [PassWidth-1:0] pass_q;  // words of this pass that are of no burst

    assign passes = begin_i && pass_q == PassWidth'(length_q);
    assign length = pass_q >= PassWidth'(BurstWords) ? LengthWidth'(BurstWords) :
        LengthWidth'(pass_q);

    always_ff @(posedge clk_i) begin
      if (start_i || passes) pass_q <= PassWidth'(PassWords);
      else if (begin_i) pass_q <= pass_q - PassWidth'(length_q);
    end
  end

  always_ff @(posedge clk_i) begin
    if (plans) length_q <= length;
    if (start_i || passes) next_q <= address_i;
    else if (begin_i) next_q <= next_q + BurstBytes;
    if (begin_i) begin
      address_q <= next_q;
      len_q     <= 8'(length_q) - 8'd1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      left_q    <= '0;
      planned_q <= 1'b0;
      valid_q   <= 1'b0;
    end else begin
      if (start_i) left_q <= words_i;
      else if (begin_i) left_q <= left_q - 32'(length_q);
      if (begin_i) planned_q <= 1'b0;
      else if (plans) planned_q <= 1'b1;
      if (begin_i) valid_q <= 1'b1;
      else if (m_axi_ready_i) valid_q <= 1'b0;
    end
  end

  assign more_o        = left_q != '0 || valid_q;
  assign planned_o     = planned_q && !valid_q;
  assign length_o      = length_q;
  assign m_axi_valid_o = valid_q;
  assign m_axi_addr_o  = address_q;
  assign m_axi_len_o   = len_q;

  `FST_ASSERT_STREAM(address, m_axi_valid_o, m_axi_ready_i, {m_axi_addr_o, m_axi_len_o})

  `FST_REQUIRE(word, WordWidth >= 8 && 2 ** $clog2(WordWidth) == WordWidth,
               "fst_axi_bursts: WordWidth must be a power of two, at least 8")
  `FST_REQUIRE(burst, BurstWords >= 2 && BurstWords <= 256 && 2 ** BurstBits == BurstWords
               && BurstWords * WordWidth <= 8 * 4096,
               "fst_axi_bursts: BurstWords must be a power of two, 2 to 256, of 4096 bytes at most")
endmodule
