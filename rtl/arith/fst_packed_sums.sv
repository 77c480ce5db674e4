// SPDX-License-Identifier: Apache-2.0
// Sums of products of several rows of weights with the same activations, in one DSP block a lane: the rows' weights
// stand Spacing bits apart in one factor, so that the rows' sums stand as far apart in the chain's
// (docs/decisions/0009-dsp-packing.md).
// Latency Lanes + 1, interval 1.
`include "fst_assert.svh"
module fst_packed_sums #(
    parameter int unsigned Rows = 2,
    parameter int unsigned Lanes = 1,
    parameter int unsigned WeightBits = 8,
    parameter bit WeightOffset = 1'b1,  // stored as weight + 2**(WeightBits-1); else unsigned
    parameter int unsigned ActivationBits = 8,  // unsigned
    parameter int unsigned WideBits = 25,  // of the multiplier's wide side
    parameter int unsigned Spacing = 16,
    // A row's sum is one bit longer than its place; the next row's lowest bit, which shares it, is
    // computed beside.
    parameter bit Overlap = 1'b0,
    // The wide side has no bit left for the sign of the lower rows: their weights multiply with their
    // offset, and complement_i makes up for it. Only with WeightOffset.
    parameter bit Borrow = 1'b0,
    localparam int unsigned MaximumActivation = (1 << ActivationBits) - 1,
    localparam int unsigned Offset =
        WeightOffset ? (Lanes * MaximumActivation) << (WeightBits - 1) : 0,
    localparam int unsigned Maximum = Lanes * MaximumActivation * ((1 << WeightBits) - 1),
    localparam int unsigned FieldBits = $clog2(Maximum + 1 + 32'(Overlap)),
    localparam int unsigned ComplementBits = $clog2(Lanes * MaximumActivation + 1)
) (
    input logic clk_i,
    input logic [Rows*Lanes*WeightBits-1:0] weights_i,  // row 0, lane 0 lowest
    input logic [Lanes*ActivationBits-1:0] activations_i,
    // The sum of the activations' complements; matters with Borrow.
    input logic [ComplementBits-1:0] complement_i,
    // Row r: sum of products + Offset + carries_o[r].
    output logic [Rows*FieldBits-1:0] fields_o,
    output logic [Rows-1:0] carries_o
);
  localparam int unsigned SumBits = (Rows - 1) * Spacing + FieldBits;
  localparam int unsigned Stages = Lanes + 1;

  // Constants: what the wide side has too much by the offsets, and the offset of every row's sum.
  function automatic bit [WideBits-1:0] too_much();
    bit [WideBits-1:0] sum;
    sum = '0;
    for (int unsigned r = 0; r < Rows; r++) begin
      if (WeightOffset && (!Borrow || r == Rows - 1)) begin
        sum += WideBits'(1) << (r * Spacing + WeightBits - 1);
      end
    end
    return sum;
  endfunction

  logic [Lanes*WideBits-1:0] wide;
  for (genvar l = 0; l < Lanes; l++) begin : g_lane
    logic [WideBits-1:0] packed_weights;
    always_comb begin
      packed_weights = '0;
      for (int unsigned r = 0; r < Rows; r++) begin
        packed_weights[r*Spacing+:WeightBits] = weights_i[(r*Lanes+l)*WeightBits+:WeightBits];
      end
    end
    assign wide[l*WideBits+:WideBits] = packed_weights;
  end

  logic [SumBits-1:0] addend, sum;
  always_comb begin
    addend = '0;
    for (int unsigned r = 0; r < Rows; r++) begin
      if (Borrow && r < Rows - 1) begin
        addend += SumBits'(complement_i) << (r * Spacing + WeightBits - 1);
      end else begin
        addend += SumBits'(Offset) << (r * Spacing);
      end
    end
    // What the other rows' carries are, for the first: then all rows have the same constant.
    addend += SumBits'(Overlap);
  end

  fst_multiply_chain #(
      .Lanes(Lanes),
      .WideBits(WideBits),
      .FactorBits(ActivationBits),
      .SumBits(SumBits),
      .Subtract(too_much())
  ) chain (
      .clk_i,
      .wide_i  (wide),
      .factor_i(activations_i),
      .addend_i(addend),
      .sum_o   (sum)
  );

  assign carries_o[0] = Overlap;
  for (genvar r = 0; r < Rows; r++) begin : g_row
    if (r > 0) begin : g_carry
      if (Overlap) begin : g_overlap
        logic parity;
        if (Lanes == 1) begin : g_one
          // The two bits wait, and meet in the table that uses them.
          logic [Stages-1:0] weight_q, activation_q;
          always_ff @(posedge clk_i) begin
            weight_q     <= {weight_q[Stages-2:0], weights_i[r*WeightBits]};
            activation_q <= {activation_q[Stages-2:0], activations_i[0]};
          end
          assign parity = weight_q[Stages-1] & activation_q[Stages-1];
        end else begin : g_several
          logic [Lanes-1:0] lowest;
          logic [Stages-1:0] parity_q;
          for (genvar l = 0; l < Lanes; l++) begin : g_lowest
            assign lowest[l] = weights_i[(r*Lanes+l)*WeightBits] & activations_i[l*ActivationBits];
          end
          always_ff @(posedge clk_i) parity_q <= {parity_q[Stages-2:0], ^lowest};
          assign parity = parity_q[Stages-1];
        end
        assign carries_o[r] = sum[r*Spacing] ^ parity;
      end else begin : g_apart
        assign carries_o[r] = 1'b0;
      end
    end
    if (Overlap && r < Rows - 1) begin : g_shared
      assign fields_o[r*FieldBits+:FieldBits] = {carries_o[r+1], sum[r*Spacing+:FieldBits-1]};
    end else begin : g_own
      assign fields_o[r*FieldBits+:FieldBits] = sum[r*Spacing+:FieldBits];
    end
    if (r < Rows - 1 && FieldBits < Spacing) begin : g_gap
      logic unused_gap;  // always 0
      assign unused_gap = ^sum[r*Spacing+FieldBits+:Spacing-FieldBits];
    end
  end

`ifndef SYNTHESIS
  // The products it stands for, from weights and activations as they were Stages cycles ago.
  logic [Stages-1:0] known_q;
  logic [Stages-1:0][Rows*FieldBits-1:0] expected_q;
  logic [Rows*FieldBits-1:0] expected;
  logic [Stages-1:0] honest_q;  // complement_i was what it must be
  logic honest;
  always_comb begin
    logic [ActivationBits-1:0] x;
    logic [ComplementBits-1:0] complement;
    complement = '0;
    for (int unsigned l = 0; l < Lanes; l++) begin
      x = ~activations_i[l*ActivationBits+:ActivationBits];
      complement += ComplementBits'(x);
    end
    honest = !Borrow || complement == complement_i;
    for (int unsigned r = 0; r < Rows; r++) begin
      logic [FieldBits-1:0] row;
      row = FieldBits'(Offset);
      for (int unsigned l = 0; l < Lanes; l++) begin
        x = activations_i[l*ActivationBits+:ActivationBits];
        row += FieldBits'(weights_i[(r*Lanes+l)*WeightBits+:WeightBits]) * FieldBits'(x);
        if (WeightOffset) row -= FieldBits'(x) << (WeightBits - 1);
      end
      expected[r*FieldBits+:FieldBits] = row;
    end
  end
  initial known_q = '0;
  always_ff @(posedge clk_i) begin
    known_q    <= {known_q[Stages-2:0], 1'b1};
    honest_q   <= {honest_q[Stages-2:0], honest};
    expected_q <= {expected_q[Stages-2:0], expected};
  end
  for (genvar r = 0; r < Rows; r++) begin : g_check
    always_ff @(posedge clk_i) begin
      if (known_q[Stages-1] && honest_q[Stages-1]) begin
        field_is_sum_of_products:
        assert (fields_o[r*FieldBits+:FieldBits] ==
                expected_q[Stages-1][r*FieldBits+:FieldBits] + FieldBits'(carries_o[r]));
      end
    end
  end
`endif

  `FST_REQUIRE(lanes, Lanes >= 1 && Lanes <= 4,
               "fst_packed_sums: Lanes must be 1 to 4")
  `FST_REQUIRE(activations, ActivationBits <= 17,
               "fst_packed_sums: ActivationBits must be at most 17")
  `FST_REQUIRE(multiplier, WideBits == 25 || WideBits == 27,
               "fst_packed_sums: WideBits must be 25 or 27")
  `FST_REQUIRE(weights, WeightBits >= 2,
               "fst_packed_sums: weights have at least two bits")
  `FST_REQUIRE(fields, Rows == 1 || FieldBits <= Spacing + 32'(Overlap),
               "fst_packed_sums: Spacing is too small")
  `FST_REQUIRE(wide, (Rows - 1) * Spacing + WeightBits + 32'(!Borrow) <= WideBits,
               "fst_packed_sums: the weights do not fit WideBits")
  `FST_REQUIRE(borrow, WeightOffset || !Borrow,
               "fst_packed_sums: Borrow is for weights with an offset")
  `FST_REQUIRE(sum, SumBits <= 48,
               "fst_packed_sums: the sums do not fit 48 bits")
endmodule
