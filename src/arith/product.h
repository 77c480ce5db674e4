// SPDX-License-Identifier: Apache-2.0
// Products of two numbers in look-up tables. Of few bits, all of a product is looked up; of more,
// the products of their bits are added in a bit heap.
#pragma once

#include <string>

#include "src/arith/circuit.h"
#include "src/arith/coding.h"

namespace foldstream::arith {

struct ProductSpec {
  std::string name = "fst_product";
  Type a, b;             // unsigned or signed
  int product_bits = 8;  // the product comes modulo 2**product_bits, at most a.bits + b.bits
  Family family = Family::kXilinx;
};

// Ports: a_i, b_i, product_o. Combinational.
Generated product(const ProductSpec& spec);

}  // namespace foldstream::arith
