// SPDX-License-Identifier: Apache-2.0
// Words of a stream to memory over AXI4, from an address on.
// Bursts of BurstWords, each begun only when all its words are there, so that memory never waits
// for the network; Depth words are held. The last burst is as long as it must be.
`include "fst_assert.svh"
module fst_axi_writer #(
    parameter int unsigned WordWidth  = 64,          // bits
    parameter int unsigned BurstWords = 16,
    parameter int unsigned Depth      = 64,          // words
    parameter bit          BlockRam   = Depth > 64
) (
    input  logic                   clk_i,
    input  logic                   rst_i,
    input  logic                   start_i,    // when not busy
    input  logic [           63:0] address_i,  // of the first byte, a multiple of 4096
    input  logic [           31:0] words_i,    // as many come
    output logic                   busy_o,
    output logic                   error_o,    // an answer was not OKAY since the start
    output logic                   m_axi_awvalid_o,
    input  logic                   m_axi_awready_i,
    output logic [           63:0] m_axi_awaddr_o,
    output logic [            7:0] m_axi_awlen_o,
    output logic                   m_axi_wvalid_o,
    input  logic                   m_axi_wready_i,
    output logic [  WordWidth-1:0] m_axi_wdata_o,
    output logic [WordWidth/8-1:0] m_axi_wstrb_o,
    output logic                   m_axi_wlast_o,
    input  logic                   m_axi_bvalid_i,
    output logic                   m_axi_bready_o,
    input  logic [            1:0] m_axi_bresp_i,
    input  logic                   s_valid_i,
    output logic                   s_ready_o,
    input  logic [  WordWidth-1:0] s_data_i
);
  localparam int unsigned LengthWidth = $clog2(BurstWords + 1);
  localparam int unsigned BurstBits = $clog2(BurstWords);
  localparam int unsigned StoredWidth = $clog2(Depth + 1);
  localparam logic [63:0] BurstBytes = 64'(BurstWords * WordWidth / 8);

  // Steps of a burst: its length is planned, then it waits for its words and for the one before.
  logic planned_q, valid_q, sends_q, plans, begins, word_valid, word_ready, taken;
  logic ends, busy_q, error_q;
  logic [LengthWidth-1:0] length_q, length;
  logic [           31:0] left_q;        // words of no burst so far
  logic [           31:0] answers_q;     // bursts not answered
  logic [           63:0] next_q;        // where they begin
  logic [           63:0] address_q;
  logic [            7:0] len_q;
  logic [            7:0] rest_q;        // words of the burst behind the next
  logic [StoredWidth-1:0] stored_q;      // words in the queue that belong to no burst

  assign plans  = left_q != '0 && !planned_q;
  assign ends   = taken && rest_q == 8'd0;
  assign begins = planned_q && !valid_q && (!sends_q || ends) && stored_q >= StoredWidth'(length_q);
  assign length = |left_q[31:BurstBits] ? LengthWidth'(BurstWords) : LengthWidth'(left_q);
  assign taken  = m_axi_wvalid_o && m_axi_wready_i;

  always_ff @(posedge clk_i) begin
    if (plans) length_q <= length;
    if (start_i) next_q <= address_i;
    else if (begins) next_q <= next_q + BurstBytes;
    if (begins) begin
      address_q <= next_q;
      len_q     <= 8'(length_q) - 8'd1;
    end
    if (begins) rest_q <= 8'(length_q) - 8'd1;
    else if (taken) rest_q <= rest_q - 8'd1;
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      left_q    <= '0;
      planned_q <= 1'b0;
      valid_q   <= 1'b0;
      sends_q   <= 1'b0;
      stored_q    <= '0;
      answers_q <= '0;
      busy_q    <= 1'b0;
      error_q   <= 1'b0;
    end else begin
      if (start_i) left_q <= words_i;
      else if (begins) left_q <= left_q - 32'(length_q);
      if (begins) planned_q <= 1'b0;
      else if (plans) planned_q <= 1'b1;
      if (begins) valid_q <= 1'b1;
      else if (m_axi_awready_i) valid_q <= 1'b0;
      if (begins) sends_q <= 1'b1;
      else if (ends) sends_q <= 1'b0;
      stored_q    <= stored_q + StoredWidth'(s_valid_i && s_ready_o) -
          (begins ? StoredWidth'(length_q) : '0);
      answers_q <= answers_q + 32'(begins) - 32'(m_axi_bvalid_i);
      busy_q    <= start_i || left_q != '0 || begins || answers_q != '0;
      if (start_i) error_q <= 1'b0;
      else if (m_axi_bvalid_i && m_axi_bresp_i != 2'b00) error_q <= 1'b1;
    end
  end

  fst_fifo #(
      .Width(WordWidth),
      .Depth(Depth),
      .BlockRam(BlockRam)
  ) u_fifo (
      .clk_i,
      .rst_i,
      .s_valid_i,
      .s_ready_o,
      .s_data_i,
      .m_valid_o(word_valid),
      .m_ready_i(word_ready),
      .m_data_o (m_axi_wdata_o)
  );

  assign word_ready      = sends_q && m_axi_wready_i;
  assign busy_o          = busy_q;
  assign error_o         = error_q;
  assign m_axi_awvalid_o = valid_q;
  assign m_axi_awaddr_o  = address_q;
  assign m_axi_awlen_o   = len_q;
  assign m_axi_wvalid_o  = sends_q && word_valid;
  assign m_axi_wstrb_o   = '1;
  assign m_axi_wlast_o   = rest_q == 8'd0;
  assign m_axi_bready_o  = 1'b1;

  `FST_ASSERT_STREAM(address, m_axi_awvalid_o, m_axi_awready_i, {m_axi_awaddr_o, m_axi_awlen_o})
  `FST_ASSERT_STREAM(word, m_axi_wvalid_o, m_axi_wready_i, {m_axi_wdata_o, m_axi_wlast_o})

  `FST_REQUIRE(word, WordWidth >= 8 && 2 ** $clog2(WordWidth) == WordWidth,
               "fst_axi_writer: WordWidth must be a power of two, at least 8")
  `FST_REQUIRE(burst, BurstWords >= 2 && BurstWords <= 256 && 2 ** BurstBits == BurstWords
               && BurstWords * WordWidth <= 8 * 4096,
               "fst_axi_writer: BurstWords must be a power of two, 2 to 256, of 4096 bytes at most")
  `FST_REQUIRE(depth, Depth >= BurstWords, "fst_axi_writer: Depth must be at least BurstWords")
endmodule
