// SPDX-License-Identifier: Apache-2.0
// A carry chain of any length: stage s passes the carry where propagate_i[s], else sets it to generate_i[s].
// Combinational.
module fst_carry_chain #(
    parameter int unsigned Stages = 4
) (
    input logic carry_i,
    input logic [Stages-1:0] propagate_i,
    input logic [Stages-1:0] generate_i,
    output logic [Stages-1:0] sum_o,
    output logic carry_o
);
  localparam int unsigned Quads = (Stages + 3) / 4;
  logic [4*Quads-1:0] propagate, generated, sum, carry;
  if (4 * Quads == Stages) begin : g_full
    assign propagate = propagate_i;
    assign generated = generate_i;
  end else begin : g_padded
    assign propagate = {{4 * Quads - Stages{1'b0}}, propagate_i};
    assign generated = {{4 * Quads - Stages{1'b0}}, generate_i};
  end
  for (genvar q = 0; q < Quads; q++) begin : g_quad
    if (q == 0) begin : g_first
      CARRY4 quad (
          .CI(1'b0),
          .CYINIT(carry_i),
          .S(propagate[4*q+:4]),
          .DI(generated[4*q+:4]),
          .O(sum[4*q+:4]),
          .CO(carry[4*q+:4])
      );
    end else begin : g_next
      CARRY4 quad (
          .CI(carry[4*q-1]),
          .CYINIT(1'b0),
          .S(propagate[4*q+:4]),
          .DI(generated[4*q+:4]),
          .O(sum[4*q+:4]),
          .CO(carry[4*q+:4])
      );
    end
  end
  assign sum_o   = sum[Stages-1:0];
  assign carry_o = carry[Stages-1];
  if (4 * Quads != Stages) begin : g_unused
    logic unused;
    assign unused = ^{sum[4*Quads-1:Stages], carry[4*Quads-1:Stages]};
  end
endmodule
