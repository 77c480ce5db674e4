// SPDX-License-Identifier: Apache-2.0
// Dot products whose multiplications go by pairs of rows into one multiplier each
// (fst_product_pair): a DSP block for two products of up to 8 bits by 8.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/arith/dot.h"

namespace foldstream::arith {

// Whether the factors have a form that a pair takes, and products large enough to be worth it.
bool dot_pairs_fit(const Type& weight, const Type& activation);

// Ports and meaning are those of Dot.
class DotPairs {
 public:
  explicit DotPairs(DotSpec spec);

  const Generated& module() const { return module_; }
  int partial_width() const { return partial_width_; }
  int multipliers() const { return (spec_.rows + 1) / 2 * spec_.lanes; }
  std::int64_t row_constant(std::span<const std::int64_t> row) const;
  std::vector<bool> stored_bits(std::span<const std::int64_t> beat) const;

 private:
  DotSpec spec_;
  Generated module_;
  int partial_width_ = 0;
};

}  // namespace foldstream::arith
