// SPDX-License-Identifier: Apache-2.0
// Lowering of the layers that slide a window over the positions of a tensor [N, C, H, W] or
// [N, C, L]: convolutions and pools. Streams carry channels last.
#pragma once

#include "src/ir/lowering.h"
#include "src/source/window.h"

namespace foldstream {

// Operand 0 by weights [M, C / groups, kernel...] in operand 1.
void lower_convolution(Lowering& lowering, WindowShape window, int64_t groups);

// The transposed convolution of operand 0 by weights [C, M / groups, kernel...] in operand 1: each
// element spreads over a window of the result, of which `pad` is cut off. Computed as stride^axes
// phases of a convolution with the weights that meet in each, without a zero inserted.
void lower_transposed_convolution(Lowering& lowering, const WindowShape& window, int64_t groups);

// The greatest of each window; padding doesn't count.
void lower_max_pool(Lowering& lowering, WindowShape window);

// The mean of each window. `counts_pad`: padding counts as zeros; otherwise it isn't counted.
void lower_average_pool(Lowering& lowering, WindowShape window, bool counts_pad);

// The mean, or the sum, over all places along some axes; the axes left are the batch and channels.
void lower_reduction(Lowering& lowering, const std::vector<int64_t>& axes, bool mean);

// [N, C, ...] to [N, ..., C]: which axis each dimension of a stream is.
std::vector<int> channels_last_order(size_t rank);

// The integer that is worth zero, for operands of which zero is an integer: what padding is in a
// stream. Where it isn't the same for all channels, or lies half way between two integers, or must
// be 0 (`centred`), `x` is first recoded to values whose zero is 0. Nothing where neither is
// possible.
std::optional<int64_t> zero_code(Lowering& lowering, Traced& x, bool centred = false);

}  // namespace foldstream
