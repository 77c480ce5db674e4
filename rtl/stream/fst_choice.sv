// SPDX-License-Identifier: Apache-2.0
// Chooses one of several words: a tree of tables, four words each, that is the same whatever
// synthesis makes of the code. Combinational.
`include "fst_assert.svh"
module fst_choice #(
  parameter int unsigned Width = 8,
  parameter int unsigned Count = 16,
  localparam int unsigned CodeWidth = Count > 1 ? $clog2(Count) : 1
) (
  input  logic [Count*Width-1:0] words_i,
  input  logic [  CodeWidth-1:0] code_i,   // less than Count
  output logic [      Width-1:0] word_o
);
  localparam int unsigned Levels = (CodeWidth + 1) / 2;
  // At address {code, words}: the word's bit.
  localparam bit [63:0] OneOfFour = 64'hFF00_F0F0_CCCC_AAAA;

  // Words left after so many levels.
  function automatic int unsigned left(input int unsigned levels);
    int unsigned count;
    count = Count;
    for (int unsigned level = 0; level < levels; level++) count = (count + 3) / 4;
    return count;
  endfunction

  logic [Count*Width-1:0] words[Levels+1];
  logic [ 2*Levels-1:0] code;

  assign words[0] = words_i;
  assign code     = (2 * Levels)'(code_i);

  for (genvar level = 0; level < Levels; level++) begin : g_level
    localparam int unsigned Before = left(level);
    localparam int unsigned After = left(level + 1);

    for (genvar word = 0; word < After; word++) begin : g_word
      localparam int unsigned Most = Before - 4 * word;
      localparam int unsigned Chosen = Most > 4 ? 4 : Most;

      if (Chosen == 1) begin : g_alone
        assign words[level+1][word*Width+:Width] = words[level][4*word*Width+:Width];
      end else begin : g_chosen
        for (genvar b = 0; b < Width; b++) begin : g_bit
          logic [3:0] four;
          for (genvar w = 0; w < 4; w++) begin : g_input
            if (w < Chosen) begin : g_word
              assign four[w] = words[level][(4*word+w)*Width+b];
            end else begin : g_none
              assign four[w] = 1'b0;
            end
          end
          fst_table #(
            .Table(OneOfFour)
          ) u_table (
            .address_i({code[2*level+:2], four}),
            .data_o(words[level+1][word*Width+b])
          );
        end
      end
    end
    if (After < Count) begin : g_rest
      assign words[level+1][Count*Width-1:After*Width] = '0;
    end
  end

  assign word_o = words[Levels][Width-1:0];

  logic unused;
  assign unused = ^{words[Levels], code};

  `FST_REQUIRE(width, Width >= 1, "fst_choice: Width must be at least 1")
  `FST_REQUIRE(count, Count >= 1, "fst_choice: Count must be at least 1")
endmodule
