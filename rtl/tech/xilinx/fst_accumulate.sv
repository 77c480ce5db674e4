// SPDX-License-Identifier: Apache-2.0
// The adder of an accumulator: addend + (first ? initial : previous).
// Combinational.
module fst_accumulate #(
    parameter int unsigned Width = 8,
    parameter int unsigned AddendWidth = 4,  // at most Width
    parameter bit AddendSigned = 1'b0
) (
    input logic first_i,
    input logic [Width-1:0] initial_i,
    input logic [Width-1:0] previous_i,
    input logic [AddendWidth-1:0] addend_i,
    output logic [Width-1:0] sum_o
);
  logic [Width-1:0] addend;
  if (AddendSigned) begin : g_signed
    assign addend = Width'($signed(addend_i));
  end else begin : g_unsigned
    assign addend = Width'(addend_i);
  end

  logic [Width-1:0] propagate, generated;
  logic unused_carry;
  for (genvar i = 0; i < Width; i++) begin : g_bit
    // I0 ? I1 : I2 chooses, I3 is the addend.
    LUT6_2 #(
        .INIT(64'h27d827d8_ff00ff00)
    ) stage (
        .I0(first_i),
        .I1(initial_i[i]),
        .I2(previous_i[i]),
        .I3(addend[i]),
        .I4(1'b0),
        .I5(1'b1),
        .O6(propagate[i]),
        .O5(generated[i])
    );
  end
  fst_carry_chain #(
      .Stages(Width)
  ) chain (
      .carry_i(1'b0),
      .propagate_i(propagate),
      .generate_i(generated),
      .sum_o,
      .carry_o(unused_carry)
  );
endmodule
