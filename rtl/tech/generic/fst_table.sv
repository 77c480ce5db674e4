// SPDX-License-Identifier: Apache-2.0
// A function of six bits.
// Combinational.
module fst_table #(
    parameter bit [63:0] Table = '0  // entry a is the value at address a
) (
    input logic [5:0] address_i,
    output logic data_o
);
  assign data_o = Table[address_i];
endmodule
