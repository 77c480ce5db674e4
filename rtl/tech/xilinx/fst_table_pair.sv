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
  LUT6_2 #(
      .INIT({Table1, Table0})
  ) pair (
      .I0(address_i[0]),
      .I1(address_i[1]),
      .I2(address_i[2]),
      .I3(address_i[3]),
      .I4(address_i[4]),
      .I5(1'b1),
      .O6(data_o[1]),
      .O5(data_o[0])
  );
endmodule
