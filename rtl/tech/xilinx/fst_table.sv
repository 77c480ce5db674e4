// SPDX-License-Identifier: Apache-2.0
// A function of six bits.
// Combinational.
module fst_table #(
    parameter bit [63:0] Table = '0  // entry a is the value at address a
) (
    input logic [5:0] address_i,
    output logic data_o
);
  LUT6 #(
      .INIT(Table)
  ) table6 (
      .I0(address_i[0]),
      .I1(address_i[1]),
      .I2(address_i[2]),
      .I3(address_i[3]),
      .I4(address_i[4]),
      .I5(address_i[5]),
      .O (data_o)
  );
endmodule
