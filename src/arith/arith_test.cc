// SPDX-License-Identifier: Apache-2.0
// What the generators say of themselves: counted cost, constants, repeatable text. That the modules
// compute the right integers is held by simulation, in test/arith.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <random>

#include "src/arith/bit_heap.h"
#include "src/arith/compare.h"
#include "src/arith/constant_matrix.h"
#include "src/arith/dot.h"
#include "src/arith/dot_embedded.h"
#include "src/arith/dot_packed.h"
#include "src/arith/shared_pairs.h"

namespace foldstream::arith {
namespace {

const Type kBipolar{Coding::kBipolar, 1};
const Type kUnsigned2{Coding::kUnsigned, 2};
const Type kSigned2{Coding::kSigned, 2};

double popcount_luts(int bits) {
  SvModule module("fst_count", "Counts bits.", "Combinational.");
  Circuit circuit(module, Family::kXilinx);
  BitHeap heap(circuit, {});
  for (int i = 0; i < bits; ++i) heap.add(0, {SvModule::bit("bits_i", bits, i), 0});
  EXPECT_EQ(heap.maximum(), bits);
  heap.sum();
  return circuit.cost().luts;
}

TEST(BitHeap, CountsOfBitsCostHalfALutABit) {
  EXPECT_LE(popcount_luts(8), 5);
  EXPECT_LE(popcount_luts(32), 19);
  EXPECT_LE(popcount_luts(64), 36);
  EXPECT_LE(popcount_luts(128), 68);
  EXPECT_LE(popcount_luts(256), 134);
}

TEST(BitHeap, OneBitNeedsNothing) { EXPECT_EQ(popcount_luts(1), 0); }

DotSpec dot_spec(int lanes, Type weight, Type activation) {
  DotSpec spec;
  spec.lanes = lanes;
  spec.weight = weight;
  spec.activation = activation;
  return spec;
}

TEST(Dot, CostStaysBelowTheKnownFigures) {
  EXPECT_LE(Dot(dot_spec(32, kSigned2, kUnsigned2)).module().cost.luts, 4.2 * 32);
  EXPECT_LE(Dot(dot_spec(32, {Coding::kSigned, 4}, {Coding::kUnsigned, 4})).module().cost.luts,
            17.0 * 32);
}

TEST(Dot, RowConstants) {
  // Popcount of equal bits: sum of w * x is p + (sum of w - K) / 2 for x of 0 and 1, and 2 p - K
  // for bipolar x.
  const std::vector<std::int64_t> row = {1, 1, -1, 1, -1};
  EXPECT_EQ(Dot(dot_spec(5, kBipolar, {Coding::kUnsigned, 1})).row_constant(row), (1 - 5) / 2);
  const Dot bipolar(dot_spec(5, kBipolar, kBipolar));
  EXPECT_EQ(bipolar.row_constant(row), -5);
  EXPECT_EQ(bipolar.scale(), 2);
  EXPECT_EQ(bipolar.partial_maximum(), 5);
}

TEST(Dot, EqualSpecsGiveEqualText) {
  const DotSpec spec = dot_spec(17, kSigned2, kUnsigned2);
  EXPECT_EQ(Dot(spec).module().sources[0].text, Dot(spec).module().sources[0].text);
}

// fst_packed_sums in plain integers: the rows' sums come out of the chain's, for all widths, with
// factors at their ends and at random.
TEST(DotPacked, EveryPairOfWidthsIsExact) {
  std::mt19937_64 random(3);
  for (const int multiplier_bits : {25, 27}) {
    for (int w = 2; w <= 8; ++w) {
      for (int x = 2; x <= 8; ++x) {
        DotSpec spec = dot_spec(32, {Coding::kSigned, w}, {Coding::kUnsigned, x});
        if (!dot_packed_fits(spec.weight, spec.activation)) continue;
        spec.rows = 32, spec.multiplier_bits = multiplier_bits;
        const Packing packing = find_packing(spec);
        EXPECT_EQ(packing.multipliers, packing.groups * 32);
        const std::int64_t offset = std::int64_t{1} << (w - 1), most = (1 << x) - 1;
        const std::int64_t maximum = packing.longest * most * (2 * offset - 1);
        const bool overlap = maximum >= std::int64_t{1} << packing.spacing;
        for (int trial = 0; trial < 300; ++trial) {
          std::vector<std::int64_t> sums(packing.rows);
          std::vector<int> parities(packing.rows);
          std::int64_t chain = overlap ? 1 : 0;
          for (int lane = 0; lane < packing.longest; ++lane) {
            const std::int64_t value = trial < 9 ? trial % 3 * most / 2 : random() % (most + 1);
            std::int64_t wide = 0, addend = 0;
            for (int row = 0; row < packing.rows; ++row) {
              const std::int64_t weight =
                  trial < 9 ? ((trial / 3 + row) % 2 == 0 ? offset - 1 : -offset)
                            : static_cast<std::int64_t>(random() % (2 * offset)) - offset;
              const bool kept = packing.borrow && row < packing.rows - 1;
              const std::int64_t place = std::int64_t{1} << (packing.spacing * row);
              wide += (weight + (kept ? offset : 0)) * place;
              addend += offset * (kept ? most - value : most) * place;
              sums[row] += weight * value + offset * most;
              parities[row] ^= weight & value & 1;
            }
            ASSERT_LT(wide, std::int64_t{1} << (multiplier_bits - 1));
            ASSERT_GE(wide, -(std::int64_t{1} << (multiplier_bits - 1)));
            chain += wide * value + addend;
          }
          ASSERT_LT(chain, std::int64_t{1} << 48);
          int carry = overlap ? 1 : 0;
          for (int row = 0; row < packing.rows; ++row) {
            std::int64_t field = chain >> (packing.spacing * row);
            int next = 0;
            if (row + 1 < packing.rows) {
              field &= (std::int64_t{1} << packing.spacing) - 1;
              if (overlap) {
                next = static_cast<int>(chain >> (packing.spacing * (row + 1)) & 1) ^
                       parities[row + 1];
                field += std::int64_t{next} << packing.spacing;
              }
            }
            ASSERT_EQ(field - carry, sums[row]) << w << " x " << x << ", row " << row;
            carry = next;
          }
        }
      }
    }
  }
}

TEST(DotPacked, TwoProductsOfEightBitsOrFourOfFour) {
  for (const int multiplier_bits : {25, 27}) {
    for (const auto& [bits, rows] : {std::pair{8, 2}, {4, 4}}) {
      DotSpec spec = dot_spec(16, {Coding::kSigned, bits}, {Coding::kUnsigned, bits});
      spec.rows = 16, spec.multiplier_bits = multiplier_bits;
      EXPECT_EQ(DotPacked(spec).module().cost.multipliers, 16 / rows * 16);
    }
  }
}

TEST(DotEmbedded, WhatFits) {
  EXPECT_TRUE(dot_embedded_fits({Coding::kUnsigned, 1}, 32));
  EXPECT_FALSE(dot_embedded_fits({Coding::kUnsigned, 4}, 8));
  EXPECT_TRUE(dot_embedded_fits({Coding::kUnsigned, 8}, 1) == false);
}

TEST(DotEmbedded, WeightsOfZeroCostNothing) {
  DotEmbeddedSpec spec;
  spec.activation = kUnsigned2;
  spec.weights = {{{0, 0, 0}}, {{0, 0, 0}}};
  const DotEmbedded dot = dot_embedded(spec);
  EXPECT_EQ(dot.module.cost.luts, 0);
  EXPECT_EQ(dot.partial_maximum, 0);
}

ConstantMatrixSpec matrix_spec(int rows, int columns, std::int64_t low, std::int64_t high,
                               Type activation) {
  std::mt19937_64 random(1);
  ConstantMatrixSpec spec;
  spec.activation = activation;
  for (int r = 0; r < rows; ++r) {
    std::vector<std::int64_t> row;
    for (int c = 0; c < columns; ++c)
      row.push_back(std::uniform_int_distribution<std::int64_t>(low, high)(random));
    spec.weights.push_back(row);
    spec.thresholds.push_back({-5, 0, 5});
  }
  return spec;
}

TEST(ConstantMatrix, CostStaysBelowTheKnownFigures) {
  EXPECT_LE(constant_matrix(matrix_spec(64, 64, -2, 1, kUnsigned2)).module.cost.luts, 64 * 64);
  ConstantMatrixSpec binary = matrix_spec(64, 64, 0, 1, kBipolar);
  for (auto& row : binary.weights) {
    for (auto& w : row) w = 2 * w - 1;
  }
  for (auto& t : binary.thresholds) t = {0};
  const ConstantMatrix matrix = constant_matrix(binary);
  EXPECT_LE(matrix.module.cost.luts, 0.45 * 64 * 64);
  EXPECT_EQ(matrix.report.shared_rows, 64);
}

// Rows of random digits add the same with pairs, no word deeper than asked for, and each pair is
// used often enough to pay.
TEST(SharedPairs, RowsStayWhatTheyAre) {
  std::mt19937_64 random(1);
  int pairs = 0, of_themselves = 0, deep = 0;
  for (int trial = 0; trial < 60; ++trial) {
    const int given = 2 + static_cast<int>(random() % 8), levels = 1 + trial % 3;
    std::vector<int> bits(static_cast<std::size_t>(given));
    for (int& b : bits) b = 2 + static_cast<int>(random() % 7);
    std::vector<std::vector<Digit>> rows(2 + random() % 30);
    for (auto& row : rows) {
      for (int word = 0; word < given; ++word) {
        for (int shift = 0; shift < 9; shift += 1 + static_cast<int>(random() % 4))
          row.push_back({word, shift, random() % 2 == 0});
      }
      std::shuffle(row.begin(), row.end(), random);
    }
    const SharedPairs shared = share_pairs(rows, bits, levels);
    // Words, and what complements add to them.
    std::vector<std::int64_t> words, more(bits.size(), 0);
    std::vector<int> level(bits.size(), 0);
    for (const int b : bits) words.push_back(static_cast<std::int64_t>(random() >> (64 - b)));
    for (const auto& [first, second, shift, complement] : shared.pairs) {
      const int before = std::max(0, -shift), after = std::max(0, shift);
      const std::int64_t most = (std::int64_t{1} << bits[second]) - 1;
      words.push_back((words[first] << before) +
                      ((complement ? most - words[second] : words[second]) << after));
      more.push_back((more[first] << before) +
                     ((complement ? most - more[second] : more[second]) << after));
      bits.push_back(std::bit_width(static_cast<std::uint64_t>(
          (((std::int64_t{1} << bits[first]) - 1) << before) + (most << after))));
      level.push_back(1 + std::max(level[first], level[second]));
      EXPECT_LE(level.back(), levels);
      deep += level.back() > 1 ? 1 : 0;
      of_themselves += first == second ? 1 : 0;
    }
    pairs += static_cast<int>(shared.pairs.size());
    std::vector<int> uses(words.size(), 0);
    for (const auto& [first, second, shift, complement] : shared.pairs)
      ++uses[first], ++uses[second];
    for (std::size_t r = 0; r < rows.size(); ++r) {
      std::int64_t was = 0, is = 0;
      for (const Digit& d : rows[r])
        was += (d.negative ? -words[d.word] : words[d.word]) << d.shift;
      for (const Digit& d : shared.rows[r]) {
        const std::int64_t value = (words[d.word] - more[d.word]) << d.shift;
        is += d.negative ? -value : value;
        ++uses[d.word];
      }
      EXPECT_EQ(is, was);
      EXPECT_LE(shared.rows[r].size(), rows[r].size());
    }
    for (std::size_t word = static_cast<std::size_t>(given); word < words.size(); ++word)
      EXPECT_GE(uses[word], 1);
  }
  EXPECT_GT(pairs, 300);
  EXPECT_GT(of_themselves, 10);
  EXPECT_GT(deep, 30);
}

// 3 x + 3 y in four rows: x + y once, and three times that once.
TEST(SharedPairs, FindsWhatSavesMost) {
  const std::vector<Digit> row = {{0, 0, false}, {0, 1, false}, {1, 0, false}, {1, 1, false}};
  const SharedPairs shared = share_pairs({row, row, row, row}, {8, 8}, 2);
  ASSERT_EQ(shared.pairs.size(), 2u);
  EXPECT_EQ(shared.pairs[0].shift, 0);
  EXPECT_EQ(shared.pairs[1].first, 2);
  EXPECT_EQ(shared.pairs[1].second, 2);
  EXPECT_EQ(shared.pairs[1].shift, 1);
  for (const auto& left : shared.rows) EXPECT_EQ(left, (std::vector<Digit>{{3, 0, false}}));
}

TEST(ConstantMatrix, PairsSaveAQuarterOfMatricesOfFourBits) {
  ConstantMatrixSpec spec = matrix_spec(64, 64, -8, 7, {Coding::kUnsigned, 4});
  spec.thresholds.clear();
  const ConstantMatrix matrix = constant_matrix(spec);
  EXPECT_GT(matrix.report.pairs, 100);
  EXPECT_LE(matrix.module.cost.luts, 2.4 * 64 * 64);
  EXPECT_LE(constant_matrix_least_luts(spec), matrix.module.cost.luts);
}

TEST(ConstantMatrix, ChoosesTheKindOfEachRow) {
  ConstantMatrixSpec spec = matrix_spec(1, 20, 0, 0, kUnsigned2);
  spec.weights[0][4] = 1;
  spec.weights[0][7] = -2;
  spec.weights.push_back(std::vector<std::int64_t>(20, 0));
  spec.weights.push_back(std::vector<std::int64_t>(20, 1));
  spec.thresholds.assign(3, {-5, 0, 5});
  const ConstantMatrixReport report = constant_matrix(spec).report;
  EXPECT_EQ(report.table_rows, 1);
  EXPECT_EQ(report.constant_rows, 1);
  EXPECT_EQ(report.heap_rows, 1);
}

TEST(ConstantMatrix, ReferenceCountsReachedThresholds) {
  ConstantMatrixSpec spec;
  spec.weights = {{1, -2}};
  spec.bias = {3};
  EXPECT_EQ(constant_matrix_reference(spec, 0, {1, 1}), 2);
  spec.thresholds = {{1, 2, 3}};
  EXPECT_EQ(constant_matrix_reference(spec, 0, {1, 1}), 2);
  spec.inverted = {true};
  EXPECT_EQ(constant_matrix_reference(spec, 0, {1, 1}), 1);
}

TEST(Compare, CostStaysBelowTheKnownFigures) {
  const auto luts = [](int count, int lanes) {
    std::mt19937_64 random(1);
    CompareSpec spec;
    spec.lanes = lanes;
    spec.folds = 64 / lanes;
    spec.value_bits = 16;
    for (int c = 0; c < 64; ++c) {
      std::vector<std::int64_t> thresholds;
      for (int t = 0; t < count; ++t)
        thresholds.push_back(static_cast<std::int64_t>(random() % 65536) - 32768);
      std::sort(thresholds.begin(), thresholds.end());
      spec.thresholds.push_back(thresholds);
    }
    return compare(spec).cost.luts;
  };
  EXPECT_LE(luts(1, 8), 65);
  EXPECT_LE(luts(3, 8), 201);
  EXPECT_LE(luts(15, 8), 845);
  EXPECT_LE(luts(1, 64), 257);
  EXPECT_LE(luts(3, 64), 833);
}

}  // namespace
}  // namespace foldstream::arith
