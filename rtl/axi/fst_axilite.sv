// SPDX-License-Identifier: Apache-2.0
// AXI4-Lite to a bus of 32-bit words that answers Latency cycles later: one transaction at a time.
// Every ready and valid is a register; SLVERR for an address the bus doesn't know and for a write of less than a word.
`include "fst_assert.svh"
module fst_axilite #(
  parameter int unsigned AddressWidth = 12,  // of bytes
  parameter int unsigned Latency = 3         // of the bus
) (
  input  logic                    clk_i,
  input  logic                    rst_i,
  input  logic                    s_axilite_awvalid_i,
  output logic                    s_axilite_awready_o,
  input  logic [AddressWidth-1:0] s_axilite_awaddr_i,
  input  logic                    s_axilite_wvalid_i,
  output logic                    s_axilite_wready_o,
  input  logic [31:0]             s_axilite_wdata_i,
  input  logic [3:0]              s_axilite_wstrb_i,
  output logic                    s_axilite_bvalid_o,
  input  logic                    s_axilite_bready_i,
  output logic [1:0]              s_axilite_bresp_o,
  input  logic                    s_axilite_arvalid_i,
  output logic                    s_axilite_arready_o,
  input  logic [AddressWidth-1:0] s_axilite_araddr_i,
  output logic                    s_axilite_rvalid_o,
  input  logic                    s_axilite_rready_i,
  output logic [31:0]             s_axilite_rdata_o,
  output logic [1:0]              s_axilite_rresp_o,
  output logic                    bus_write_o,    // for one cycle
  output logic [AddressWidth-3:0] bus_address_o,  // of words
  output logic [31:0]             bus_data_o,
  input  logic [31:0]             bus_data_i,     // the word at the address Latency cycles ago
  input  logic                    bus_mapped_i    // whether there is one
);
  localparam int unsigned WaitWidth = $clog2(Latency + 1);
  localparam logic [WaitWidth-1:0] LastWait = WaitWidth'(Latency);

  // One address or word of each kind is held until its transaction ends.
  logic address_held_q, data_held_q, read_held_q;
  logic [AddressWidth-3:0] write_address_q, read_address_q;
  logic [31:0]             data_q;
  logic [3:0]              strobes_q;
  logic                    unused;

  logic                 busy_q, writing_q, write_q, answered_q, error_q, begins, begins_write, ends;
  logic [WaitWidth-1:0] wait_q;
  logic [31:0]          answer_q;

  assign s_axilite_awready_o = !address_held_q;
  assign s_axilite_wready_o  = !data_held_q;
  assign s_axilite_arready_o = !read_held_q;
  assign unused = ^{s_axilite_awaddr_i[1:0], s_axilite_araddr_i[1:0]};

  // A write goes first. Between two of them there is a cycle with none, so a read never waits long.
  assign begins_write = address_held_q && data_held_q;
  assign begins       = !busy_q && (begins_write || read_held_q);
  assign ends         = answered_q && (writing_q ? s_axilite_bready_i : s_axilite_rready_i);

  assign bus_write_o   = write_q;
  assign bus_address_o = writing_q ? write_address_q : read_address_q;
  assign bus_data_o    = data_q;

  assign s_axilite_bvalid_o = answered_q && writing_q;
  assign s_axilite_rvalid_o = answered_q && !writing_q;
  assign s_axilite_bresp_o  = {error_q, 1'b0};
  assign s_axilite_rresp_o  = {error_q, 1'b0};
  assign s_axilite_rdata_o  = answer_q;

  always_ff @(posedge clk_i) begin
    if (s_axilite_awready_o) write_address_q <= s_axilite_awaddr_i[AddressWidth-1:2];
    if (s_axilite_wready_o) data_q <= s_axilite_wdata_i;
    if (s_axilite_wready_o) strobes_q <= s_axilite_wstrb_i;
    if (s_axilite_arready_o) read_address_q <= s_axilite_araddr_i[AddressWidth-1:2];
    if (!answered_q) answer_q <= bus_data_i;
    if (!answered_q) error_q <= !bus_mapped_i || (writing_q && strobes_q != '1);
    if (begins) wait_q <= '0;
    else wait_q <= wait_q + 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      address_held_q <= 1'b0;
      data_held_q    <= 1'b0;
      read_held_q    <= 1'b0;
      busy_q         <= 1'b0;
      writing_q      <= 1'b0;
      answered_q     <= 1'b0;
      write_q        <= 1'b0;
    end else begin
      if (s_axilite_awready_o) address_held_q <= s_axilite_awvalid_i;
      else if (ends && writing_q) address_held_q <= 1'b0;
      if (s_axilite_wready_o) data_held_q <= s_axilite_wvalid_i;
      else if (ends && writing_q) data_held_q <= 1'b0;
      if (s_axilite_arready_o) read_held_q <= s_axilite_arvalid_i;
      else if (ends && !writing_q) read_held_q <= 1'b0;
      if (begins) writing_q <= begins_write;
      if (begins) busy_q <= 1'b1;
      else if (ends) busy_q <= 1'b0;
      if (ends) answered_q <= 1'b0;
      else if (busy_q && wait_q == LastWait) answered_q <= 1'b1;
      write_q <= begins && begins_write && strobes_q == '1;
    end
  end

  `FST_REQUIRE(address, AddressWidth >= 3, "fst_axilite: AddressWidth must be at least 3")
  `FST_REQUIRE(latency, Latency >= 1, "fst_axilite: Latency must be at least 1")
endmodule
