// SPDX-License-Identifier: Apache-2.0
// One round of making neighbouring pixels of a beat one: of each run of `Pixels` pixels the first
// and the second become one, the third and the fourth, and so on; one left over passes.
// Latency 0.
`include "fst_assert.svh"
module fst_pool_pixels #(
    parameter int unsigned Function = 0,     // 0: largest, 1: least, 2: sum
    parameter int unsigned Runs     = 1,
    parameter int unsigned Pixels   = 2,     // of a run
    parameter int unsigned Channels = 1,     // of a pixel
    parameter int unsigned InWidth  = 8,     // bits of an element
    parameter bit          Signed   = 1'b1,  // elements have a sign
    parameter int unsigned Width    = 8      // bits of a result
) (
    input  logic [      Runs*Pixels*Channels*InWidth-1:0] data_i,
    output logic [Runs*((Pixels+1)/2)*Channels*Width-1:0] data_o
);
  localparam int unsigned Left = (Pixels + 1) / 2;

  for (genvar run = 0; run < Runs; run++) begin : g_run
    for (genvar pixel = 0; pixel < Left; pixel++) begin : g_pixel
      for (genvar channel = 0; channel < Channels; channel++) begin : g_channel
        localparam int unsigned From = (run * Pixels + 2 * pixel) * Channels + channel;
        localparam int unsigned To = (run * Left + pixel) * Channels + channel;
        logic [Width-1:0] first, result;

        if (Signed) begin : g_signed
          assign first = Width'($signed(data_i[From*InWidth+:InWidth]));
        end else begin : g_unsigned
          assign first = Width'(data_i[From*InWidth+:InWidth]);
        end

        if (2 * pixel + 1 == Pixels) begin : g_alone
          assign result = first;
        end else begin : g_pair
          logic [Width-1:0] second;
          if (Signed) begin : g_signed
            assign second = Width'($signed(data_i[(From+Channels)*InWidth+:InWidth]));
          end else begin : g_unsigned
            assign second = Width'(data_i[(From+Channels)*InWidth+:InWidth]);
          end
          if (Function == 2) begin : g_sum
            assign result = first + second;
          end else begin : g_choice
            logic greater;
            // Of equal ones either is the result. Tables of three bits compare and choose at once.
            fst_greater #(
              .Width(Width),
              .Signed(Signed),
              .Plain(3)
            ) u_greater (
              .a_i(first),
              .b_i(second),
              .greater_o(greater)
            );
            assign result = greater == (Function == 0) ? first : second;
          end
        end
        assign data_o[To*Width+:Width] = result;
      end
    end
  end

  `FST_REQUIRE(pixels, Pixels >= 2, "fst_pool_pixels: Pixels must be at least 2")
  `FST_REQUIRE(width, Width >= InWidth, "fst_pool_pixels: Width must be at least InWidth")
endmodule
