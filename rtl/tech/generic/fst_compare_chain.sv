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
  logic [Stages:0] verdict;
  assign verdict[0] = 1'b1;
  for (genvar s = 0; s < Stages; s++) begin : g_stage
    localparam bit [31:0] StagePass = Pass[32*s+:32];
    localparam bit [31:0] StageVerdict = Verdict[32*s+:32];
    logic [4:0] address;
    assign address = address_i[5*s+:5];
    assign verdict[s+1] = StagePass[address] ? verdict[s] : StageVerdict[address];
  end
  assign verdict_o = verdict[Stages];
endmodule
