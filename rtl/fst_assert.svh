// SPDX-License-Identifier: Apache-2.0
// Checks shared by all modules: parameters at elaboration, streams in simulation and proof.

`ifndef FST_ASSERT_SVH
`define FST_ASSERT_SVH

// Stops every tool at elaboration when a parameter is out of range ($error would only warn in
// some). The name labels a generate block, so it is used once in a module.
`define FST_REQUIRE(name, condition, message) \
  if (!(condition)) begin : g_require_``name \
    $fatal(1, message); \
  end

// A beat offered stays offered, unchanged, until it is taken.
`ifndef SYNTHESIS
`define FST_ASSERT_STREAM(name, valid, ready, data) \
  if (1) begin : g_assert_``name \
    logic held_q; \
    logic [$bits(data)-1:0] data_q; \
    always_ff @(posedge clk_i) begin \
      held_q <= !rst_i && (valid) && !(ready); \
      data_q <= (data); \
      if (held_q && !rst_i) begin \
        assert_valid_held: assert (valid); \
        assert_data_held: assert ((data) == data_q); \
      end \
    end \
  end
`else
`define FST_ASSERT_STREAM(name, valid, ready, data)
`endif

`endif
