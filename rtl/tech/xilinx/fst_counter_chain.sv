// SPDX-License-Identifier: Apache-2.0
// Adds bits of several weights: a chain of generalised parallel counters, one carry from stage to stage.
// Combinational.
module fst_counter_chain #(
    // Stage s has weight 2**s. Stages go in pairs (2k, 2k+1) which share six inputs, bits_i[6k+5:6k].
    parameter int unsigned Stages = 2,
    localparam int unsigned Pairs = (Stages + 1) / 2,
    // What pair k adds: 0 six bits of weight 2**2k; 1 four of that weight and one of twice it (the sixth
    // input is 0); 2 two of each (the last two are 0). A last stage without a partner is of kind 2.
    parameter bit [2*Pairs-1:0] Shape = '0,
    // Inputs which count when they are low. Never the sixth of a pair of kind 0.
    parameter bit [6*Pairs-1:0] Invert = '0
) (
    input logic [6*Pairs-1:0] bits_i,
    input logic carry_i,
    output logic [Stages:0] sum_o
);
  // The truth table of f(i ^ mask) from that of f, five inputs: one exchange of halves for each inverted input.
  function automatic bit [31:0] flip_inputs(input bit [31:0] truth, input bit [4:0] mask);
    bit [31:0] t;
    t = truth;
    if (mask[0]) t = ((t & 32'h55555555) << 1) | ((t >> 1) & 32'h55555555);
    if (mask[1]) t = ((t & 32'h33333333) << 2) | ((t >> 2) & 32'h33333333);
    if (mask[2]) t = ((t & 32'h0f0f0f0f) << 4) | ((t >> 4) & 32'h0f0f0f0f);
    if (mask[3]) t = ((t & 32'h00ff00ff) << 8) | ((t >> 8) & 32'h00ff00ff);
    if (mask[4]) t = {t[15:0], t[31:16]};
    return t;
  endfunction

  logic [Stages-1:0] propagate, generated;

  for (genvar k = 0; k < Pairs; k++) begin : g_pair
    localparam bit [5:0] Inverted = Invert[6*k+:6];
    localparam bit [1:0] Kind = (2 * k + 1 == Stages) ? 2'd2 : Shape[2*k+:2];
    logic [5:0] six;
    assign six = bits_i[6*k+:6];

    // Lower stage, as the sum of P and Q: P is what the lower half of the table makes of I0 to I4.
    if (Kind == 2'd0) begin : g_six
      // P the parity of the first five, Q the sixth.
      localparam bit [31:0] Parity = flip_inputs(32'h96696996, Inverted[4:0]);
      LUT6_2 #(
          .INIT({~Parity, Parity})
      ) lower (
          .I0(six[0]),
          .I1(six[1]),
          .I2(six[2]),
          .I3(six[3]),
          .I4(six[4]),
          .I5(six[5]),
          .O6(propagate[2*k]),
          .O5(generated[2*k])
      );
      // The first five hold none, one or two pairs: P at least one, Q both.
      LUT6_2 #(
          .INIT({
            flip_inputs(32'h177e7ee8, Inverted[4:0]), flip_inputs(32'he8808000, Inverted[4:0])
          })
      ) upper (
          .I0(six[0]),
          .I1(six[1]),
          .I2(six[2]),
          .I3(six[3]),
          .I4(six[4]),
          .I5(1'b1),
          .O6(propagate[2*k+1]),
          .O5(generated[2*k+1])
      );
    end else if (Kind == 2'd1) begin : g_four_one
      LUT6_2 #(
          .INIT({
            flip_inputs(32'h69966996, {1'b0, Inverted[3:0]}),
            flip_inputs(32'hff00ff00, {1'b0, Inverted[3:0]})
          })
      ) lower (
          .I0(six[0]),
          .I1(six[1]),
          .I2(six[2]),
          .I3(six[3]),
          .I4(1'b0),
          .I5(1'b1),
          .O6(propagate[2*k]),
          .O5(generated[2*k])
      );
      // The first three hold a pair or not; the fifth has the weight of a pair.
      localparam bit [4:0] UpperMask = {1'b0, Inverted[4], Inverted[2:0]};
      LUT6_2 #(
          .INIT({flip_inputs(32'h17e817e8, UpperMask), flip_inputs(32'hff00ff00, UpperMask)})
      ) upper (
          .I0(six[0]),
          .I1(six[1]),
          .I2(six[2]),
          .I3(six[4]),
          .I4(1'b0),
          .I5(1'b1),
          .O6(propagate[2*k+1]),
          .O5(generated[2*k+1])
      );
    end else begin : g_two_two
      LUT6_2 #(
          .INIT({
            flip_inputs(32'h66666666, {3'b0, Inverted[1:0]}),
            flip_inputs(32'hcccccccc, {3'b0, Inverted[1:0]})
          })
      ) lower (
          .I0(six[0]),
          .I1(six[1]),
          .I2(1'b0),
          .I3(1'b0),
          .I4(1'b0),
          .I5(1'b1),
          .O6(propagate[2*k]),
          .O5(generated[2*k])
      );
      if (2 * k + 1 < Stages) begin : g_upper
        LUT6_2 #(
            .INIT({
              flip_inputs(32'h66666666, {3'b0, Inverted[3:2]}),
              flip_inputs(32'hcccccccc, {3'b0, Inverted[3:2]})
            })
        ) upper (
            .I0(six[2]),
            .I1(six[3]),
            .I2(1'b0),
            .I3(1'b0),
            .I4(1'b0),
            .I5(1'b1),
            .O6(propagate[2*k+1]),
            .O5(generated[2*k+1])
        );
      end
    end
  end

  fst_carry_chain #(
      .Stages(Stages)
  ) chain (
      .carry_i,
      .propagate_i(propagate),
      .generate_i(generated),
      .sum_o(sum_o[Stages-1:0]),
      .carry_o(sum_o[Stages])
  );
endmodule
