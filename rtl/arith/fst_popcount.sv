// SPDX-License-Identifier: Apache-2.0
// Counts the bits that are high: two counts of about half the bits each and one bit as the carry of their adder.
// Combinational.
module fst_popcount #(
    parameter  int unsigned Width      = 8,
    localparam int unsigned CountWidth = $clog2(Width + 1)
) (
    input  logic [     Width-1:0] bits_i,
    output logic [CountWidth-1:0] count_o
);
  if (Width == 1) begin : g_one
    assign count_o = bits_i;
  end else if (Width == 2) begin : g_two
    assign count_o = {bits_i[1] & bits_i[0], bits_i[1] ^ bits_i[0]};
  end else if (Width == 3) begin : g_three
    assign count_o = {(bits_i[0] & bits_i[1]) | (bits_i[2] & (bits_i[0] | bits_i[1])), ^bits_i};
  end else begin : g_halves
    localparam int unsigned Low = (Width - 1) / 2;
    localparam int unsigned High = Width - 1 - Low;
    localparam int unsigned LowWidth = $clog2(Low + 1);
    localparam int unsigned HighWidth = $clog2(High + 1);
    logic [ LowWidth-1:0] low;
    logic [HighWidth-1:0] high;
    fst_popcount #(
        .Width(Low)
    ) count_low (
        .bits_i (bits_i[Low-1:0]),
        .count_o(low)
    );
    fst_popcount #(
        .Width(High)
    ) count_high (
        .bits_i (bits_i[Low+High-1:Low]),
        .count_o(high)
    );
    assign count_o = CountWidth'(low) + CountWidth'(high) + CountWidth'(bits_i[Width-1]);
  end
endmodule
