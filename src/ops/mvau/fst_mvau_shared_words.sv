// SPDX-License-Identifier: Apache-2.0
// Issue controller of a matrix-vector unit whose words of weights arrive as a stream and serve several vectors each:
// rows outside, columns inside, vectors innermost. The vectors of a group are stored before its first step, those of
// the next one meanwhile; its results, which come row by row, are given vector by vector after its last.
// Moore; one step a cycle.
`include "fst_assert.svh"
module fst_mvau_shared_words #(
  parameter int unsigned ColumnFolds = 4,
  parameter int unsigned RowFolds = 2,
  parameter int unsigned Vectors = 2,  // of a group
  parameter int unsigned Idle = 0,     // steps until the group's first result is there to be given
  localparam int unsigned Beats = ColumnFolds * Vectors,
  localparam int unsigned BeatWidth = $clog2(Beats),
  localparam int unsigned VectorWidth = $clog2(Vectors),
  localparam int unsigned ColumnWidth = ColumnFolds > 1 ? $clog2(ColumnFolds) : 1,
  localparam int unsigned RowWidth = RowFolds > 1 ? $clog2(RowFolds) : 1
) (
  input  logic                            clk_i,
  input  logic                            rst_i,
  input  logic                            s_valid_i,
  output logic                            s_ready_o,
  output logic                            write_o,
  output logic [BeatWidth:0]              write_address_o,
  input  logic                            weights_valid_i,  // a word of weights is here
  output logic                            word_o,           // with the step that takes it
  input  logic                            available_i,      // a credit of the output queue
  output logic                            issue_o,          // a step that multiplies
  output logic [BeatWidth:0]              read_address_o,   // of the next such step, as below
  output logic                            first_column_o,
  output logic [VectorWidth-1:0]          vector_o,
  output logic                            finish_o,         // with the step that completes a sum
  output logic                            finish_row_o,     // and that of the last vector
  output logic                            give_o,           // a step that gives a result
  output logic [VectorWidth+RowWidth-1:0] result_o          // of the next: vector and row
);
  localparam int unsigned IdleWidth = Idle > 1 ? $clog2(Idle) : 1;
  localparam logic [1:0] Multiply = 2'd0, Wait = 2'd1, Give = 2'd2;

  logic [1:0] state_q;
  logic [VectorWidth-1:0] vector_q;
  logic [ColumnWidth-1:0] column_q;
  logic [RowWidth-1:0]    row_q;
  logic [IdleWidth-1:0]   idle_q;
  logic first_vector, last_vector, last_column, last_row, last_step, last_idle;

  assign first_vector = vector_q == '0;
  assign last_vector  = vector_q == VectorWidth'(Vectors - 1);
  assign last_column  = column_q == ColumnWidth'(ColumnFolds - 1);
  assign last_row     = row_q == RowWidth'(RowFolds - 1);
  assign last_step    = last_vector && last_column && last_row;
  assign last_idle    = Idle == 0 || idle_q == IdleWidth'(Idle - 1);

  // Halves of the store: one is written, the other one read.
  logic write_half_q, read_half_q, written, freed;
  logic [1:0] full_q;  // so many are full
  logic [BeatWidth-1:0] beat_q, read_beat_q;

  assign s_ready_o       = !full_q[1];
  assign write_o         = s_valid_i && s_ready_o;
  assign write_address_o = {write_half_q, beat_q};
  assign written         = write_o && beat_q == BeatWidth'(Beats - 1);
  assign freed           = issue_o && last_step;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      beat_q       <= '0;
      write_half_q <= 1'b0;
      read_half_q  <= 1'b0;
      full_q       <= 2'd0;
    end else begin
      if (write_o) beat_q <= written ? '0 : beat_q + 1'b1;
      if (written) write_half_q <= !write_half_q;
      if (freed) read_half_q <= !read_half_q;
      if (written != freed) full_q <= written ? full_q + 2'd1 : full_q - 2'd1;
    end
  end

  assign issue_o        = state_q == Multiply && full_q != 2'd0 &&
                          (!first_vector || weights_valid_i);
  assign word_o         = issue_o && first_vector;
  assign read_address_o = {read_half_q, read_beat_q};
  assign first_column_o = column_q == '0;
  assign vector_o       = vector_q;
  assign finish_o       = issue_o && last_column;
  assign finish_row_o   = finish_o && last_vector;
  assign give_o         = state_q == Give && available_i;
  assign result_o       = {vector_q, row_q};

  // Vectors lie one behind the other: a column of the next one is a vector's length on.
  always_ff @(posedge clk_i) begin
    if (rst_i) read_beat_q <= '0;
    else if (issue_o) begin
      if (!last_vector) read_beat_q <= read_beat_q + BeatWidth'(ColumnFolds);
      else if (last_column) read_beat_q <= '0;
      else read_beat_q <= BeatWidth'(column_q) + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      state_q  <= Multiply;
      vector_q <= '0;
      column_q <= '0;
      row_q    <= '0;
      idle_q   <= '0;
    end else if (issue_o) begin
      vector_q <= last_vector ? '0 : vector_q + 1'b1;
      if (last_vector) column_q <= last_column ? '0 : column_q + 1'b1;
      if (last_vector && last_column) row_q <= last_row ? '0 : row_q + 1'b1;
      if (last_step) state_q <= Idle == 0 ? Give : Wait;
    end else if (state_q == Wait) begin
      idle_q <= last_idle ? '0 : idle_q + 1'b1;
      if (last_idle) state_q <= Give;
    end else if (give_o) begin
      row_q <= last_row ? '0 : row_q + 1'b1;
      if (last_row) vector_q <= last_vector ? '0 : vector_q + 1'b1;
      if (last_row && last_vector) state_q <= Multiply;
    end
  end

  `FST_REQUIRE(columns, ColumnFolds >= 1, "fst_mvau_shared_words: ColumnFolds must be at least 1")
  `FST_REQUIRE(rows, RowFolds >= 1, "fst_mvau_shared_words: RowFolds must be at least 1")
  `FST_REQUIRE(vectors, Vectors >= 2, "fst_mvau_shared_words: Vectors must be at least 2")
endmodule
