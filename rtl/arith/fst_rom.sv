// SPDX-License-Identifier: Apache-2.0
// Constant words in look-up tables, for few words.
// Latency 1, interval 1.
//
// Modules that differ in a parameter are told apart by 32 bits of a hash in Verilator (5.048): among
// the hundred thousand tables of a large design two are likely taken for one. So there they are no
// modules; the same bits are chosen.
`include "fst_assert.svh"
module fst_rom #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 4,  // words
  localparam int unsigned Banks = (Depth + 63) / 64,
  // Bit b of word a is entry 64*Banks*b + a.
  parameter bit [64*Banks*Width-1:0] Table = '0,
  localparam int unsigned AddressWidth = Depth > 1 ? $clog2(Depth) : 1
) (
  input  logic                    clk_i,
  input  logic [AddressWidth-1:0] address_i,
  output logic [Width-1:0]        data_o
);
  logic [Width-1:0] data, data_q;

  if (Depth > 64) begin : g_banks
    localparam int unsigned BankWidth = $clog2(Banks);

    for (genvar b = 0; b < Width; b++) begin : g_bit
      logic [2**BankWidth-1:0] bank;

      for (genvar k = 0; k < 2 ** BankWidth; k++) begin : g_bank
        if (k < Banks) begin : g_table
`ifdef VERILATOR
          localparam bit [63:0] Words = Table[64*(Banks*b+k)+:64];
          assign bank[k] = Words[address_i[5:0]];
`else
          fst_table #(
            .Table(Table[64*(Banks*b+k)+:64])
          ) u_table (
            .address_i(address_i[5:0]),
            .data_o(bank[k])
          );
`endif
        end else begin : g_none
          assign bank[k] = 1'b0;
        end
      end
      assign data[b] = bank[address_i[AddressWidth-1:6]];
    end
  end else if (Depth > 32) begin : g_six
    for (genvar b = 0; b < Width; b++) begin : g_bit
`ifdef VERILATOR
      localparam bit [63:0] Words = Table[64*b+:64];
      assign data[b] = Words[6'(address_i)];
`else
      fst_table #(
        .Table(Table[64*b+:64])
      ) u_table (
        .address_i(6'(address_i)),
        .data_o(data[b])
      );
`endif
    end
  end else begin : g_five
    for (genvar b = 0; b < Width; b += 2) begin : g_pair
      localparam int unsigned Second = b + 1 < Width ? b + 1 : b;
      logic [1:0] pair;

      fst_table_pair #(
        .Table0(Table[64*b+:32]),
        .Table1(Table[64*Second+:32])
      ) u_table (
        .address_i(5'(address_i)),
        .data_o(pair)
      );

      assign data[b] = pair[0];
      if (b + 1 < Width) begin : g_second
        assign data[b+1] = pair[1];
      end else begin : g_no_second
        logic unused;
        assign unused = pair[1];
      end
    end
  end

  always_ff @(posedge clk_i) data_q <= data;
  assign data_o = data_q;

  `FST_REQUIRE(depth, Depth >= 1, "fst_rom: Depth must be at least 1")
endmodule
