// SPDX-License-Identifier: Apache-2.0
#include "src/source/linear.h"

#include <algorithm>
#include <cmath>

namespace foldstream {
namespace {

// Integers of doubles are exact up to here, with one bit to spare for sums of two.
constexpr double kExact = 0x1p52;

}  // namespace

std::optional<std::pair<double, std::vector<int64_t>>> common_unit(
    const std::vector<double>& scales) {
  double least = 0;
  for (const double v : scales) {
    if (!std::isfinite(v)) return std::nullopt;
    if (v != 0 && (least == 0 || std::abs(v) < least)) least = std::abs(v);
  }
  if (least == 0) return {{1.0, std::vector<int64_t>(scales.size(), 0)}};
  constexpr int kMostParts = 16;
  constexpr double kMostMultiple = 127;
  for (int parts = 1; parts <= kMostParts; ++parts) {
    const double unit = least / parts;
    std::vector<int64_t> multiples;
    for (const double v : scales) {
      const double multiple = std::nearbyint(v / unit);
      if (std::abs(multiple) > kMostMultiple || multiple * unit != v) break;
      multiples.push_back(static_cast<int64_t>(multiple));
    }
    if (multiples.size() == scales.size()) return {{unit, std::move(multiples)}};
  }
  return std::nullopt;
}

std::optional<std::pair<std::string, std::string>> describe_sums(const Traced& operand,
                                                                 std::optional<int64_t> pad,
                                                                 WeightedSums& sums,
                                                                 Traced& result) {
  const int64_t rows = sums.rows, columns = sums.columns, group_rows = rows / sums.groups;
  result.scale.assign(rows, 0), result.bias.assign(rows, 0);
  result.lo.assign(rows, 0), result.hi.assign(rows, 0);
  std::vector<double> scales(columns), offsets(columns), low(columns), high(columns);
  std::optional<std::pair<double, std::vector<int64_t>>> unit;
  for (int64_t row = 0; row < rows; ++row) {
    if (row % group_rows == 0) {
      const int64_t first = row / group_rows * sums.group_channels;
      for (int64_t k = 0; k < columns; ++k) {
        const int64_t c = first + sums.channel[k];
        scales[k] = entry(operand.scale, c) * entry(sums.column_scale, k);
        offsets[k] = entry(operand.bias, c) * entry(sums.column_scale, k);
        int64_t lo = entry(operand.lo, c), hi = entry(operand.hi, c);
        if (pad) lo = std::min(lo, *pad), hi = std::max(hi, *pad);
        low[k] = static_cast<double>(lo), high[k] = static_cast<double>(hi);
      }
      unit = common_unit(scales);
      if (!unit) {
        return {{"its operand has another scale in each channel",
                 "use one scale for the whole tensor in front of a layer"}};
      }
    }
    double bias = 0, least = 0, most = 0;
    int64_t* weights = sums.weights.data() + row * columns;
    for (int64_t k = 0; k < columns; ++k) {
      bias += offsets[k] * static_cast<double>(weights[k]);
      weights[k] *= unit->second[k];
      const auto real = static_cast<double>(weights[k]);
      least += real * (real < 0 ? high[k] : low[k]);
      most += real * (real < 0 ? low[k] : high[k]);
    }
    if (least < -kExact || most > kExact) {
      return {{"its sums need more than 52 bits", "use fewer bits"}};
    }
    result.lo[row] = static_cast<int64_t>(least);
    result.hi[row] = static_cast<int64_t>(most);
    result.scale[row] = unit->first * entry(sums.row_scale, row);
    result.bias[row] = bias * entry(sums.row_scale, row);
  }
  return std::nullopt;
}

}  // namespace foldstream
