// SPDX-License-Identifier: Apache-2.0
// Issue controller of a matrix-vector unit: rows outside, columns inside, beats taken in the first row.
// Moore; one step a cycle.
`include "fst_assert.svh"
module fst_mvau_control #(
  parameter int unsigned ColumnFolds = 4,
  parameter int unsigned RowFolds = 2,  // of one group: each has rows and columns of its own
  parameter int unsigned Groups = 1,
  localparam int unsigned Words = ColumnFolds * RowFolds * Groups,
  localparam int unsigned ColumnWidth = ColumnFolds > 1 ? $clog2(ColumnFolds) : 1,
  localparam int unsigned WordWidth = Words > 1 ? $clog2(Words) : 1
) (
  input  logic                   clk_i,
  input  logic                   rst_i,
  input  logic                   s_valid_i,
  output logic                   s_ready_o,
  input  logic                   weights_valid_i,  // a word of weights is here
  input  logic                   available_i,     // a credit of the output queue
  output logic                   issue_o,
  output logic                   take_o,          // with the step that issues
  output logic                   give_o,
  output logic                   first_column_o,  // of the next step, as are column and word
  output logic [ColumnWidth-1:0] column_o,
  output logic [WordWidth-1:0]   word_o           // group, row and column as one number
);
  logic first_row, last_column;

  assign s_ready_o = weights_valid_i && first_row && (!last_column || available_i);
  assign issue_o   = weights_valid_i && (!first_row || s_valid_i) && (!last_column || available_i);
  assign take_o    = issue_o && first_row;
  assign give_o    = issue_o && last_column;

  if (ColumnFolds == 1) begin : g_one_column
    assign last_column    = 1'b1;
    assign first_column_o = 1'b1;
    assign column_o       = '0;
  end else begin : g_columns
    logic [ColumnWidth-1:0] column_q;

    always_ff @(posedge clk_i) begin
      if (rst_i) column_q <= '0;
      else if (issue_o) column_q <= last_column ? '0 : column_q + 1'b1;
    end

    assign last_column    = column_q == ColumnWidth'(ColumnFolds - 1);
    assign first_column_o = column_q == '0;
    assign column_o       = column_q;
  end

  if (Words == 1) begin : g_one_word
    assign word_o = '0;
  end else if (ColumnFolds == 1 || RowFolds * Groups == 1 || (ColumnFolds & (ColumnFolds - 1)) != 0)
  begin : g_words
    logic [WordWidth-1:0] word_q;

    always_ff @(posedge clk_i) begin
      if (rst_i) word_q <= '0;
      else if (issue_o) begin
        word_q <= word_q == WordWidth'(Words - 1) ? '0 : word_q + 1'b1;
      end
    end

    assign word_o = word_q;
  end else begin : g_row_and_column
    // A power of two of columns: the word's low bits are the column.
    localparam int unsigned RowWidth = WordWidth - ColumnWidth;
    logic [RowWidth-1:0] row_q;

    always_ff @(posedge clk_i) begin
      if (rst_i) row_q <= '0;
      else if (give_o) row_q <= row_q == RowWidth'(RowFolds * Groups - 1) ? '0 : row_q + 1'b1;
    end

    assign word_o = {row_q, column_o};
  end

  if (RowFolds == 1) begin : g_one_row
    assign first_row = 1'b1;
  end else if (Groups == 1) begin : g_rows
    assign first_row = word_o < WordWidth'(ColumnFolds);
  end else begin : g_groups
    localparam int unsigned FoldWidth = $clog2(RowFolds);
    logic [FoldWidth-1:0] fold_q;

    always_ff @(posedge clk_i) begin
      if (rst_i) fold_q <= '0;
      else if (give_o) fold_q <= fold_q == FoldWidth'(RowFolds - 1) ? '0 : fold_q + 1'b1;
    end

    assign first_row = fold_q == '0;
  end

  `FST_REQUIRE(columns, ColumnFolds >= 1, "fst_mvau_control: ColumnFolds must be at least 1")
  `FST_REQUIRE(rows, RowFolds >= 1, "fst_mvau_control: RowFolds must be at least 1")
  `FST_REQUIRE(groups, Groups >= 1, "fst_mvau_control: Groups must be at least 1")
endmodule
