// SPDX-License-Identifier: Apache-2.0
// Keeps the labels of the largest elements of a vector, largest first; equal ones in order of label.
// Latency 1, interval 1; after a vector's last beat the labels stay for one beat.
`include "fst_assert.svh"
module fst_label_select #(
  parameter int unsigned Width = 8,       // bits of an element
  parameter bit          Signed = 1'b1,
  parameter int unsigned Lanes = 2,       // elements in a beat
  parameter int unsigned Beats = 5,       // beats in a vector
  parameter int unsigned Count = 1,       // labels kept
  parameter int unsigned LabelWidth = 4
) (
  input  logic                        clk_i,
  input  logic                        rst_i,
  input  logic                        valid_i,
  input  logic [Lanes*Width-1:0]      data_i,
  output logic [Count*LabelWidth-1:0] labels_o
);
  // Elements as unsigned numbers of the same order, and the label of the beat's first.
  logic [Lanes*Width-1:0] elements;
  logic [LabelWidth-1:0]  base;
  logic                   first;

  for (genvar lane = 0; lane < Lanes; lane++) begin : g_lane
    if (Signed) begin : g_signed
      assign elements[lane*Width+:Width] = data_i[lane*Width+:Width] ^ (Width'(1) << (Width - 1));
    end else begin : g_unsigned
      assign elements[lane*Width+:Width] = data_i[lane*Width+:Width];
    end
  end

  if (Beats == 1) begin : g_one_beat
    logic unused;
    assign unused = rst_i;
    assign base   = '0;
    assign first  = 1'b1;
  end else begin : g_beats
    logic [LabelWidth-1:0] base_q;

    always_ff @(posedge clk_i) begin
      if (rst_i) base_q <= '0;
      else if (valid_i) begin
        base_q <= base_q == LabelWidth'((Beats - 1) * Lanes) ? '0 : base_q + LabelWidth'(Lanes);
      end
    end

    assign base  = base_q;
    assign first = base_q == '0;
  end

  logic [Count*Width-1:0]      largest_q;
  logic [Count*LabelWidth-1:0] labels_q;

  assign labels_o = labels_q;

  if (Count == 1) begin : g_one
    // The beat's own largest by a tree; of two equal ones the lower lane wins.
    localparam int unsigned Levels = Lanes > 1 ? $clog2(Lanes) : 0;
    localparam int unsigned Leaves = 2 ** Levels;
    logic [2*Leaves-2:0][Width-1:0]      value;
    logic [2*Leaves-2:0][LabelWidth-1:0] lane_of;
    logic                                better;

    for (genvar leaf = 0; leaf < Leaves; leaf++) begin : g_leaf
      if (leaf < Lanes) begin : g_lane
        assign value[Leaves-1+leaf]   = elements[leaf*Width+:Width];
        assign lane_of[Leaves-1+leaf] = LabelWidth'(leaf);
      end else begin : g_none
        assign value[Leaves-1+leaf]   = '0;
        assign lane_of[Leaves-1+leaf] = '0;
      end
    end
    for (genvar node = 0; node < Leaves - 1; node++) begin : g_node
      logic upper;
      assign upper         = value[2*node+2] > value[2*node+1];
      assign value[node]   = upper ? value[2*node+2] : value[2*node+1];
      assign lane_of[node] = upper ? lane_of[2*node+2] : lane_of[2*node+1];
    end
    assign better = first || value[0] > largest_q;

    always_ff @(posedge clk_i) begin
      if (valid_i && better) begin
        largest_q <= value[0];
        labels_q  <= base + lane_of[0];
      end
    end
  end else begin : g_several
    logic [Count*Width-1:0]      largest;
    logic [Count*LabelWidth-1:0] labels;
    logic [Count-1:0]            filled_q, filled;

    // Each element takes the first place of those that hold a smaller one or none, which are the
    // last ones; what they hold moves down by one.
    always_comb begin
      logic [Width-1:0] value;
      logic [Count-1:0] below;
      largest = largest_q;
      labels  = labels_q;
      filled  = first ? '0 : filled_q;
      for (int unsigned lane = 0; lane < Lanes; lane++) begin
        value = elements[lane*Width+:Width];
        for (int unsigned place = 0; place < Count; place++) begin
          below[place] = !filled[place] || value > largest[place*Width+:Width];
        end
        for (int unsigned place = Count - 1; place > 0; place--) begin
          if (below[place-1]) begin
            largest[place*Width+:Width]          = largest[(place-1)*Width+:Width];
            labels[place*LabelWidth+:LabelWidth] = labels[(place-1)*LabelWidth+:LabelWidth];
          end else if (below[place]) begin
            largest[place*Width+:Width]          = value;
            labels[place*LabelWidth+:LabelWidth] = base + LabelWidth'(lane);
          end
        end
        if (below[0]) begin
          largest[0+:Width]     = value;
          labels[0+:LabelWidth] = base + LabelWidth'(lane);
        end
        filled = {filled[Count-2:0], 1'b1};
      end
    end

    always_ff @(posedge clk_i) begin
      if (valid_i) begin
        largest_q <= largest;
        labels_q  <= labels;
        filled_q  <= filled;
      end
    end
  end

  `FST_REQUIRE(lanes, Lanes >= 1, "fst_label_select: Lanes must be at least 1")
  `FST_REQUIRE(count, Count >= 1 && Count <= Lanes * Beats,
               "fst_label_select: Count must be 1 to the number of elements")
endmodule
