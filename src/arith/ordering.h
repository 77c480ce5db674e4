// SPDX-License-Identifier: Apache-2.0
// Compares two numbers that both vary: a chain of table pairs, each of as many of their bits as
// have five different signals, the highest that differ decide.
#pragma once

#include <string>

#include "src/arith/circuit.h"
#include "src/arith/coding.h"

namespace foldstream::arith {

struct OrderingSpec {
  std::string name = "fst_ordering";
  Type a, b;           // unsigned or signed
  bool equal = false;  // a equal to b, else a at least b
};

// Ports: a_i, b_i, result_o. Combinational.
Generated ordering(const OrderingSpec& spec);

}  // namespace foldstream::arith
