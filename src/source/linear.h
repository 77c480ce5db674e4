// SPDX-License-Identifier: Apache-2.0
// What layers of weighted sums (matrix products, convolutions) share in lowering: integer weights
// for an operand described as scale * q + bias, and the description of the sums.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/ir/lowering.h"

namespace foldstream {

// A unit of which every scale is a small integer multiple, and the multiples; nothing when there is
// none.
std::optional<std::pair<double, std::vector<int64_t>>> common_unit(
    const std::vector<double>& scales);

// Rows of weights in equal groups; column k of a row of group g meets channel
// g * group_channels + channel[k] of the operand.
struct WeightedSums {
  int64_t rows = 1, columns = 1, groups = 1;
  std::vector<int64_t> weights;  // [rows, columns], codes
  std::vector<int64_t> channel;  // of each column
  int64_t group_channels = 0;
  std::vector<double> row_scale{1.0}, column_scale{1.0};  // of the weights; one entry or all
};

// Fills scale, bias, lo and hi of `result`, one a row, and multiplies the weights where channels
// have scales of their own; `pad` is a further value that every operand may take. Gives what stands
// in the way, {reason, remedy}, or nothing.
std::optional<std::pair<std::string, std::string>> describe_sums(const Traced& operand,
                                                                 std::optional<int64_t> pad,
                                                                 WeightedSums& sums,
                                                                 Traced& result);

}  // namespace foldstream
