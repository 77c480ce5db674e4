// SPDX-License-Identifier: Apache-2.0
// Compares with constants: a chain of table pairs, the last stage first to decide.
// Combinational.
module fst_compare_chain #(
    parameter int unsigned Stages = 1,
    // Entry 32s+a of each: at address a stage s passes the verdict of the stages below ...
    parameter bit [32*Stages-1:0] Pass = '0,
    // ... or, where it does not pass, gives this verdict. Below the first stage the verdict is 1.
    parameter bit [32*Stages-1:0] Verdict = '0
) (
    input logic [5*Stages-1:0] address_i,
    output logic verdict_o
);
  logic [Stages-1:0] propagate, generated, unused_sum;
  for (genvar s = 0; s < Stages; s++) begin : g_stage
    LUT6_2 #(
        .INIT({Pass[32*s+:32], Verdict[32*s+:32]})
    ) stage (
        .I0(address_i[5*s]),
        .I1(address_i[5*s+1]),
        .I2(address_i[5*s+2]),
        .I3(address_i[5*s+3]),
        .I4(address_i[5*s+4]),
        .I5(1'b1),
        .O6(propagate[s]),
        .O5(generated[s])
    );
  end
  fst_carry_chain #(
      .Stages(Stages)
  ) chain (
      .carry_i(1'b1),
      .propagate_i(propagate),
      .generate_i(generated),
      .sum_o(unused_sum),
      .carry_o(verdict_o)
  );
endmodule
