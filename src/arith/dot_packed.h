// SPDX-License-Identifier: Apache-2.0
// Dot products in DSP blocks: rows of weights share a multiplier for each lane, and a chain of
// multipliers adds up its lanes (fst_packed_sums; docs/arith.md).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/arith/dot.h"

namespace foldstream::arith {

// Whether the factors have a form that a DSP block takes, and products large enough to be worth it.
bool dot_packed_fits(const Type& weight, const Type& activation);

// How the products of a DotSpec share multipliers.
struct Packing {
  int rows = 1;         // to a multiplier, in each group but perhaps the last
  int groups = 1;       // of rows
  int chains = 1;       // of a group, as long as each other or one longer
  int longest = 1;      // lanes of the longest chain
  int spacing = 0;      // bits from one row's weight to the next one's
  bool borrow = false;  // see fst_packed_sums
  int multipliers = 1;  // in all
  double luts = 0;      // about, in all
};

// The packing of so many rows and lanes that is worth least, where a multiplier counts as
// kMultiplierLuts LUTs: the ratio of the two on parts is 100 to 250.
inline constexpr double kMultiplierLuts = 100;
Packing find_packing(const DotSpec& spec);

// Registers from the operands to the chains' sums.
int packed_registers(const Packing& packing);

// Ports and meaning are those of Dot.
class DotPacked {
 public:
  explicit DotPacked(DotSpec spec);

  const Generated& module() const { return module_; }
  int partial_width() const { return partial_width_; }
  std::int64_t row_constant(std::span<const std::int64_t> row) const;
  std::vector<bool> stored_bits(std::span<const std::int64_t> beat) const;

 private:
  std::string emit_group();

  DotSpec spec_;
  Packing packing_;
  Generated module_;
  int partial_width_ = 0;
  std::int64_t beat_constant_ = 0;  // what the partials of one beat have too much
};

}  // namespace foldstream::arith
