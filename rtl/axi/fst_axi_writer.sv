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
  localparam int unsigned StoredWidth = $clog2(Depth + 1);

  logic planned, more, sends_q, begins, word_valid, word_ready, taken, ends, busy_q, error_q;
  logic [LengthWidth-1:0] length;
  logic [           31:0] answers_q;  // bursts not answered
  logic [            7:0] rest_q;     // words of the burst behind the next
  logic [StoredWidth-1:0] stored_q;   // words in the queue that belong to no burst

  // A burst waits for its words and for the one before.
  assign taken  = m_axi_wvalid_o && m_axi_wready_i;
  assign ends   = taken && rest_q == 8'd0;
  assign begins = planned && (!sends_q || ends) && stored_q >= StoredWidth'(length);

  fst_axi_bursts #(
      .WordWidth (WordWidth),
      .BurstWords(BurstWords)
  ) u_bursts (
      .clk_i,
      .rst_i,
      .start_i,
      .address_i,
      .words_i,
      .more_o       (more),
      .planned_o    (planned),
      .length_o     (length),
      .begin_i      (begins),
      .m_axi_valid_o(m_axi_awvalid_o),
      .m_axi_ready_i(m_axi_awready_i),
      .m_axi_addr_o (m_axi_awaddr_o),
      .m_axi_len_o  (m_axi_awlen_o)
  );

  always_ff @(posedge clk_i) begin
    if (begins) rest_q <= 8'(length) - 8'd1;
    else if (taken) rest_q <= rest_q - 8'd1;
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      sends_q   <= 1'b0;
      stored_q  <= '0;
      answers_q <= '0;
      busy_q    <= 1'b0;
      error_q   <= 1'b0;
    end else begin
      if (begins) sends_q <= 1'b1;
      else if (ends) sends_q <= 1'b0;
      stored_q  <= stored_q + StoredWidth'(s_valid_i && s_ready_o) -
          (begins ? StoredWidth'(length) : '0);
      answers_q <= answers_q + 32'(begins) - 32'(m_axi_bvalid_i);
      busy_q    <= start_i || more || answers_q != '0;
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

  assign word_ready     = sends_q && m_axi_wready_i;
  assign busy_o         = busy_q;
  assign error_o        = error_q;
  assign m_axi_wvalid_o = sends_q && word_valid;
  assign m_axi_wstrb_o  = '1;
  assign m_axi_wlast_o  = rest_q == 8'd0;
  assign m_axi_bready_o = 1'b1;

  `FST_ASSERT_STREAM(word, m_axi_wvalid_o, m_axi_wready_i, {m_axi_wdata_o, m_axi_wlast_o})

  `FST_REQUIRE(depth, Depth >= BurstWords, "fst_axi_writer: Depth must be at least BurstWords")
endmodule
