// SPDX-License-Identifier: Apache-2.0
// The rows of a frame under a kernel, a memory for each: a beat of every row at one address at once,
// the upper row first. Rows beside the frame give padding.
// Latency 0 from issue to lines, 1 with BlockRam; interval 1.
`include "fst_assert.svh"
module fst_window_banks #(
  parameter int unsigned Width = 8,            // bits of a beat
  parameter bit          BlockRam = 0,
  parameter int unsigned Depth = 4,            // beats of a row
  parameter int unsigned KernelHeight = 3,
  parameter int unsigned Dilation = 1,         // rows from one line of the kernel to the next
  parameter int unsigned Rows = 4,             // of windows
  parameter int unsigned Banks = KernelHeight,
  // The bank of a window's upper row: at the beginning, and how many further in the next row, frame.
  parameter int unsigned FirstBank = 0,
  parameter int unsigned RowBanks = 1,
  parameter int unsigned FrameBanks = 1,
  // Line k is in the frame in the rows of windows RowFrom[k] to RowTo[k], 32 bits each.
  parameter bit PadRows = 0,
  parameter bit [32*KernelHeight-1:0] RowFrom = '0,
  parameter bit [32*KernelHeight-1:0] RowTo = '1,
  parameter bit [Width-1:0] Padding = '0,
  localparam int unsigned PlaceWidth = Depth > 1 ? $clog2(Depth) : 1,
  localparam int unsigned RowWidth = Rows > 1 ? $clog2(Rows) : 1
) (
  input  logic                          clk_i,
  input  logic                          rst_i,
  input  logic                          write_i,
  input  logic [Width-1:0]              write_data_i,
  input  logic [PlaceWidth-1:0]         read_address_i,  // of the step
  input  logic [RowWidth-1:0]           row_i,
  input  logic                          row_ends_i,      // with the step that issues
  input  logic                          frame_ends_i,
  output logic [KernelHeight*Width-1:0] lines_o          // the upper one in the low bits
);
  localparam int unsigned BankWidth = Banks > 1 ? $clog2(Banks) : 1;

  // The writer: beat by beat, bank by bank.
  logic [PlaceWidth-1:0] written;
  logic [BankWidth-1:0]  written_bank;
  logic                  row_written;
  logic [2:0]            unused_written;

  fst_window_count #(
    .Count(Depth)
  ) u_written (
    .clk_i,
    .rst_i,
    .step_i(write_i),
    .value_o(written),
    .last_o(unused_written[0]),
    .wrap_o(row_written)
  );

  fst_window_count #(
    .Count(Banks)
  ) u_written_bank (
    .clk_i,
    .rst_i,
    .step_i(row_written),
    .value_o(written_bank),
    .last_o(unused_written[1]),
    .wrap_o(unused_written[2])
  );

  logic [Banks*Width-1:0] stored;

  for (genvar b = 0; b < Banks; b++) begin : g_bank
    fst_memory #(
      .Width(Width),
      .Depth(Depth),
      .BlockRam(BlockRam)
    ) u_memory (
      .clk_i,
      .write_i(write_i && written_bank == BankWidth'(b)),
      .write_address_i(written),
      .write_data_i,
      .read_address_i,
      .read_data_o(stored[b*Width+:Width])
    );
  end

  // The bank of the upper row.
  logic [BankWidth-1:0] upper_q, upper;

  if (Banks == 1) begin : g_one_bank
    assign upper_q = '0;
  end else begin : g_banks
    logic [BankWidth-1:0] further, upper_d;

    always_comb begin
      if (frame_ends_i) further = BankWidth'(FrameBanks);
      else if (row_ends_i) further = BankWidth'(RowBanks);
      else further = '0;
    end

    fst_window_add #(
      .Width(BankWidth),
      .Modulus(Banks)
    ) u_upper (
      .value_i(upper_q),
      .addend_i(further),
      .sum_o(upper_d)
    );

    always_ff @(posedge clk_i) begin
      if (rst_i) upper_q <= BankWidth'(FirstBank);
      else upper_q <= upper_d;
    end
  end

  // Lines of the kernel that are in the frame.
  logic [KernelHeight-1:0] lines_inside, in_frame;

  if (PadRows) begin : g_padded
    always_comb begin
      lines_inside = '1;
      for (int unsigned k = 0; k < KernelHeight; k++) begin
        if (32'(row_i) < RowFrom[32*k+:32] || 32'(row_i) > RowTo[32*k+:32]) begin
          lines_inside[k] = 1'b0;
        end
      end
    end
  end else begin : g_not_padded
    assign lines_inside = '1;
  end

  // What belongs to the beats read comes as late as they do.
  if (BlockRam) begin : g_late
    logic [KernelHeight-1:0] inside_q;
    logic [BankWidth-1:0]    late_upper_q;

    always_ff @(posedge clk_i) begin
      inside_q     <= lines_inside;
      late_upper_q <= upper_q;
    end

    assign in_frame = inside_q;
    assign upper    = late_upper_q;
  end else begin : g_at_once
    assign in_frame = lines_inside;
    assign upper    = upper_q;
  end

  // Each line from its bank: chosen at once of few, of many by turning them by a power of two after
  // the other.
  logic [KernelHeight*Width-1:0] lines;

  if (Banks <= 5) begin : g_few
    always_comb begin
      lines = '0;
      for (int unsigned k = 0; k < KernelHeight; k++) begin
        for (int unsigned b = 0; b < Banks; b++) begin
          if (upper == BankWidth'(b)) begin
            lines[k*Width+:Width] = stored[(b+k*Dilation)%Banks*Width+:Width];
          end
        end
      end
    end
  end else begin : g_many
    logic [Banks*Width-1:0] turned[BankWidth+1];

    assign turned[0] = stored;
    for (genvar s = 0; s < BankWidth; s++) begin : g_turn
      for (genvar b = 0; b < Banks; b++) begin : g_bank
        assign turned[s+1][b*Width+:Width] = upper[s] ?
          turned[s][(b+2**s)%Banks*Width+:Width] : turned[s][b*Width+:Width];
      end
    end
    for (genvar k = 0; k < KernelHeight; k++) begin : g_line
      assign lines[k*Width+:Width] = turned[BankWidth][k*Dilation*Width+:Width];
    end
  end

  for (genvar k = 0; k < KernelHeight; k++) begin : g_padding
    assign lines_o[k*Width+:Width] = in_frame[k] ? lines[k*Width+:Width] : Padding;
  end

  logic unused;
  assign unused = ^{row_i, row_ends_i, frame_ends_i};

  `FST_REQUIRE(banks, Banks > (KernelHeight - 1) * Dilation,
               "fst_window_banks: Banks must hold the rows under the kernel")
endmodule
