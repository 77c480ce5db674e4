// SPDX-License-Identifier: Apache-2.0
// Adds bits of any weights, the heart of every sum. Bits and products of bits are collected, then
// compressed level by level with the counters of the family, the cheapest of several greedy plans,
// and a last carry chain gives the sum as one word.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/arith/circuit.h"

namespace foldstream::arith {

// A product of bits inside the adder: and: a & b; equal: a == b; signed_and: a & (b != c).
enum class Gate { kAnd, kEqual, kSignedAnd };

class BitHeap {
 public:
  struct Options {
    std::string stem = "sum";     // what the nets are named after
    int levels_per_register = 0;  // registers after every so many levels of counters; 0: none
    int levels_before = 0;  // of them, those that what is added has behind it in its last stage
    int product_steps =
        2;  // levels over which products enter; later ones take earlier outputs as carries
  };

  BitHeap(Circuit& circuit, Options options) : circuit_(circuit), options_(std::move(options)) {}

  // `bit`, or its complement, counts 2**weight.
  void add(int weight, const Net& bit, bool complement = false);
  void add_product(int weight, Gate gate, const Net& a, const Net& b, const Net& c = Net::zero(),
                   bool complement = false);
  // Non-negative; a negative number is added as its residue modulo 2**width.
  void add_constant(std::int64_t value);

  // The largest sum that the bits added can have.
  std::int64_t maximum() const { return maximum_; }

  // The sum, least significant bit first, all in one stage: as many bits as the maximum needs, or
  // fewer: `width`, then the residue modulo 2**width. Call once.
  std::vector<Net> sum(int width = 64);

 private:
  struct Bit {
    Net net;
    bool complement;
  };
  struct Product {
    Gate gate;
    Net a, b, c;
    bool complement;
  };
  struct ProductChain;

  std::vector<ProductChain> plan_products();
  void emit(const ProductChain& chain, int level, int stage, std::vector<std::vector<Bit>>& next);
  void emit_counter(int weight, const std::vector<int>& kinds, int stages, bool last, int level,
                    int stage, std::vector<std::vector<Bit>>& next);
  void emit_full_adder(int weight, int level, int stage, std::vector<std::vector<Bit>>& next);
  Net take(int weight, int stage, bool plain, bool* complement);
  // What a counter's `count` outputs connect to, and those of them, the first `useful` at most,
  // that can be high and lie within the width.
  struct Outputs {
    std::vector<Net> bits;
    std::string target;
  };
  Outputs outputs(int weight, int count, int useful, const std::string& level, int stage);
  static void add_to(std::vector<std::vector<Bit>>& columns, int weight, const Outputs& outputs);
  // Bits from a weight on, one of each.
  struct Word {
    int low;
    std::vector<Net> bits;
  };
  std::vector<std::vector<Net>> plain_columns(int width, int stage);
  Net plain(const Net& bit);
  std::vector<Word> words_of(std::vector<std::vector<Net>> columns, int stage);
  Word count_of(std::vector<Net>& bits, int weight, int stage);
  Word add(Word first, Word second, int width, int stage);
  std::vector<Net> sum_generic(int width);
  int first_stage() const;

  Circuit& circuit_;
  Options options_;
  std::vector<std::vector<Bit>> columns_;
  std::vector<std::vector<Product>> products_;
  std::int64_t maximum_ = 0;
  int width_ = 0;
};

}  // namespace foldstream::arith
