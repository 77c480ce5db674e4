// SPDX-License-Identifier: Apache-2.0
// Words of memory over AXI4 to a stream: from an address on, or the same words over and over.
// Bursts of BurstWords, each asked for only when the queue has room for it, so that rready is
// always high; up to Depth words are on their way. A burst every three cycles, a word every cycle.
`include "fst_assert.svh"
module fst_axi_reader #(
    parameter int unsigned WordWidth  = 64,          // bits
    parameter int unsigned BurstWords = 16,
    parameter int unsigned Depth      = 64,          // words
    parameter int unsigned PassWords  = 0,           // then the first comes again; 0: never
    parameter bit          BlockRam   = Depth > 64
) (
    input  logic                 clk_i,
    input  logic                 rst_i,
    input  logic                 start_i,    // when not busy
    input  logic [         63:0] address_i,  // of the first byte, a multiple of 4096; held
    input  logic [         31:0] words_i,    // with start_i; whole passes
    output logic                 busy_o,
    output logic                 error_o,    // an answer was not OKAY since the start
    output logic                 m_axi_arvalid_o,
    input  logic                 m_axi_arready_i,
    output logic [         63:0] m_axi_araddr_o,
    output logic [          7:0] m_axi_arlen_o,
    input  logic                 m_axi_rvalid_i,
    output logic                 m_axi_rready_o,
    input  logic [WordWidth-1:0] m_axi_rdata_i,
    input  logic [          1:0] m_axi_rresp_i,
    input  logic                 m_axi_rlast_i,
    output logic                 m_valid_o,
    input  logic                 m_ready_i,
    output logic [WordWidth-1:0] m_data_o
);
  localparam int unsigned LengthWidth = $clog2(BurstWords + 1);
  localparam int unsigned BurstBits = $clog2(BurstWords);
  localparam int unsigned PlacesWidth = $clog2(Depth + 1);
  localparam logic [63:0] BurstBytes = 64'(BurstWords * WordWidth / 8);

  // Steps of a burst: its length is planned, then it waits for room, then its address for a taker.
  logic planned_q, valid_q, plans, asks, passes, pop, busy_q, error_q;
  logic [LengthWidth-1:0] length_q, length;
  logic [           31:0] left_q;        // words not asked for
  logic [           63:0] next_q;        // where they begin
  logic [           63:0] address_q;
  logic [            7:0] len_q;
  logic [PlacesWidth-1:0] places_q;      // of the queue, that no word was asked for

  assign plans = left_q != '0 && !planned_q;
  assign asks  = planned_q && !valid_q && places_q >= PlacesWidth'(BurstWords);

  if (PassWords == 0) begin : g_once
    assign passes = 1'b0;
    assign length = |left_q[31:BurstBits] ? LengthWidth'(BurstWords) : LengthWidth'(left_q);
  end else begin : g_passes
    localparam int unsigned PassWidth =
        PassWords > BurstWords ? $clog2(PassWords + 1) : LengthWidth;
    logic [PassWidth-1:0] pass_q;  // words of this pass not asked for

    assign passes = asks && pass_q == PassWidth'(length_q);
    assign length = pass_q >= PassWidth'(BurstWords) ? LengthWidth'(BurstWords) :
        LengthWidth'(pass_q);

    always_ff @(posedge clk_i) begin
      if (start_i || passes) pass_q <= PassWidth'(PassWords);
      else if (asks) pass_q <= pass_q - PassWidth'(length_q);
    end
  end

  always_ff @(posedge clk_i) begin
    if (plans) length_q <= length;
    if (start_i || passes) next_q <= address_i;
    else if (asks) next_q <= next_q + BurstBytes;
    if (asks) begin
      address_q <= next_q;
      len_q     <= 8'(length_q) - 8'd1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      left_q    <= '0;
      planned_q <= 1'b0;
      valid_q   <= 1'b0;
      places_q  <= PlacesWidth'(Depth);
      busy_q    <= 1'b0;
      error_q   <= 1'b0;
    end else begin
      if (start_i) left_q <= words_i;
      else if (asks) left_q <= left_q - 32'(length_q);
      if (asks) planned_q <= 1'b0;
      else if (plans) planned_q <= 1'b1;
      if (asks) valid_q <= 1'b1;
      else if (m_axi_arready_i) valid_q <= 1'b0;
      places_q <= places_q + PlacesWidth'(pop) - (asks ? PlacesWidth'(length_q) : '0);
      busy_q   <= start_i || left_q != '0 || valid_q || places_q != PlacesWidth'(Depth);
      if (start_i) error_q <= 1'b0;
      else if (m_axi_rvalid_i && m_axi_rresp_i != 2'b00) error_q <= 1'b1;
    end
  end

  assign busy_o          = busy_q;
  assign error_o         = error_q;
  assign m_axi_arvalid_o = valid_q;
  assign m_axi_araddr_o  = address_q;
  assign m_axi_arlen_o   = len_q;
  assign m_axi_rready_o  = 1'b1;

  logic unused_last;
  assign unused_last = m_axi_rlast_i;

  fst_queue #(
      .Width(WordWidth),
      .Depth(Depth),
      .BlockRam(BlockRam)
  ) u_queue (
      .clk_i,
      .rst_i,
      .push_i(m_axi_rvalid_i),
      .push_data_i(m_axi_rdata_i),
      .m_valid_o,
      .m_ready_i,
      .m_data_o,
      .pop_o(pop)
  );

  `FST_ASSERT_STREAM(address, m_axi_arvalid_o, m_axi_arready_i, {m_axi_araddr_o, m_axi_arlen_o})

  `FST_REQUIRE(word, WordWidth >= 8 && 2 ** $clog2(WordWidth) == WordWidth,
               "fst_axi_reader: WordWidth must be a power of two, at least 8")
  `FST_REQUIRE(burst, BurstWords >= 2 && BurstWords <= 256 && 2 ** BurstBits == BurstWords
               && BurstWords * WordWidth <= 8 * 4096,
               "fst_axi_reader: BurstWords must be a power of two, 2 to 256, of 4096 bytes at most")
  `FST_REQUIRE(depth, Depth >= BurstWords, "fst_axi_reader: Depth must be at least BurstWords")
endmodule
