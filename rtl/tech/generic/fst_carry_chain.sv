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
  logic [Stages:0] carry;
  assign carry[0] = carry_i;
  for (genvar s = 0; s < Stages; s++) begin : g_stage
    assign sum_o[s]   = propagate_i[s] ^ carry[s];
    assign carry[s+1] = propagate_i[s] ? carry[s] : generate_i[s];
  end
  assign carry_o = carry[Stages];
endmodule
