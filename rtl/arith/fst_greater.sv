// SPDX-License-Identifier: Apache-2.0
// Whether the first of two numbers is greater, by a chain of table pairs, two bits each.
// Of equal ones the verdict is of no use but to choose one of them.
`include "fst_assert.svh"
module fst_greater #(
  parameter int unsigned Width = 8,
  parameter bit Signed = 1'b0,
  parameter int unsigned Plain = 2  // of so many bits the tables that use the verdict compare
) (
  input  logic [Width-1:0] a_i,
  input  logic [Width-1:0] b_i,
  output logic             greater_o
);
  localparam int unsigned Stages = (Width + 1) / 2;

  // At address {b's bits, a's bits}: whether a stage leaves it to lower ones, or that a is greater.
  function automatic bit [32*Stages-1:0] stages(input bit greater);
    bit [32*Stages-1:0] tables;
    for (int unsigned s = 0; s < Stages; s++) begin
      for (int unsigned address = 0; address < 32; address++) begin
        bit [1:0] a, b, sign;
        // The larger of two signs is that of the less.
        sign = Signed && s + 1 == Stages ? 2'b01 << (Width - 1) % 2 : 2'b00;
        a = 2'(address) ^ sign;
        b = 2'(address >> 2) ^ sign;
        tables[32*s+address] = greater ? a > b : a == b;
      end
    end
    return tables;
  endfunction

  if (Width > Plain) begin : g_chain
    logic [5*Stages-1:0] digits;
    for (genvar s = 0; s < Stages; s++) begin : g_digit
      assign digits[5*s+:5] = {1'b0, 2'(b_i >> 2 * s), 2'(a_i >> 2 * s)};
    end
    fst_compare_chain #(
      .Stages(Stages),
      .Pass(stages(1'b0)),
      .Verdict(stages(1'b1))
    ) u_compare (
      .address_i(digits),
      .verdict_o(greater_o)
    );
  end else begin : g_tables
    assign greater_o = Signed ? $signed(a_i) > $signed(b_i) : a_i > b_i;
  end

  `FST_REQUIRE(width, Width >= 1, "fst_greater: Width must be at least 1")
endmodule
