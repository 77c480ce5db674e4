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
  localparam int unsigned PlacesWidth = $clog2(Depth + 1);

  logic planned, more, asks, pop, busy_q, error_q;
  logic [LengthWidth-1:0] length;
  logic [PlacesWidth-1:0] places_q;  // of the queue, that no word was asked for

  assign asks = planned && places_q >= PlacesWidth'(BurstWords);

  fst_axi_bursts #(
      .WordWidth (WordWidth),
      .BurstWords(BurstWords),
      .PassWords (PassWords)
  ) u_bursts (
      .clk_i,
      .rst_i,
      .start_i,
      .address_i,
      .words_i,
      .more_o       (more),
      .planned_o    (planned),
      .length_o     (length),
      .begin_i      (asks),
      .m_axi_valid_o(m_axi_arvalid_o),
      .m_axi_ready_i(m_axi_arready_i),
      .m_axi_addr_o (m_axi_araddr_o),
      .m_axi_len_o  (m_axi_arlen_o)
  );

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      places_q <= PlacesWidth'(Depth);
      busy_q   <= 1'b0;
      error_q  <= 1'b0;
    end else begin
      places_q <= places_q + PlacesWidth'(pop) - (asks ? PlacesWidth'(length) : '0);
      busy_q   <= start_i || more || places_q != PlacesWidth'(Depth);
      if (start_i) error_q <= 1'b0;
      else if (m_axi_rvalid_i && m_axi_rresp_i != 2'b00) error_q <= 1'b1;
    end
  end

  assign busy_o         = busy_q;
  assign error_o        = error_q;
  assign m_axi_rready_o = 1'b1;

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

  `FST_REQUIRE(depth, Depth >= BurstWords, "fst_axi_reader: Depth must be at least BurstWords")
endmodule
