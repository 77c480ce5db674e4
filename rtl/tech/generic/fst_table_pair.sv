// SPDX-License-Identifier: Apache-2.0
// Two functions of the same five bits.
// Combinational.
module fst_table_pair #(
    parameter bit [31:0] Table0 = '0,  // entry a is data_o[0] at address a
    parameter bit [31:0] Table1 = '0
) (
    input  logic [4:0] address_i,
    output logic [1:0] data_o
);
  assign data_o = {Table1[address_i], Table0[address_i]};
endmodule
