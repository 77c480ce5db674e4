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
  // The running total of the pairs below; a pair adds at most six times its lower weight.
  logic [2*Pairs:0] total[Pairs+1];
  assign total[0] = (2 * Pairs + 1)'(carry_i);

  for (genvar k = 0; k < Pairs; k++) begin : g_pair
    localparam bit [1:0] Kind = (2 * k + 1 == Stages) ? 2'd2 : Shape[2*k+:2];
    localparam bit [5:0] Used = (Kind == 2'd0) ? 6'h3f : (Kind == 2'd1) ? 6'h1f :
        (2 * k + 1 < Stages) ? 6'h0f : 6'h03;
    logic [5:0] six;
    logic [2:0] count;
    assign six = (bits_i[6*k+:6] ^ Invert[6*k+:6]) & Used;
    if (Kind == 2'd0) begin : g_six
      assign count = 3'(six[0]) + 3'(six[1]) + 3'(six[2]) + 3'(six[3]) + 3'(six[4]) + 3'(six[5]);
    end else if (Kind == 2'd1) begin : g_four_one
      assign count = 3'(six[0]) + 3'(six[1]) + 3'(six[2]) + 3'(six[3]) + {1'b0, six[4], six[5]};
    end else begin : g_two_two
      assign count = 3'(six[0]) + 3'(six[1]) + {1'b0, six[2], six[4]} + {1'b0, six[3], six[5]};
    end
    assign total[k+1] = total[k] + ((2 * Pairs + 1)'(count) << (2 * k));
  end
  assign sum_o = total[Pairs][Stages:0];
endmodule
