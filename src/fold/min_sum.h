// SPDX-License-Identifier: Apache-2.0
// The values of some variables for which a sum of functions of few of them each is least.
#pragma once

#include <cstddef>
#include <vector>

namespace foldstream {

// A function of the variables in `scope`, no one twice: one entry for each combination of their
// values, that of the last variable running fastest.
struct SumTerm {
  std::vector<size_t> scope;
  std::vector<double> table;
};

struct Minimum {
  std::vector<size_t> value;  // by variable
  double sum = 0;             // of the terms there
  bool exact = true;          // false: some variables were fixed to make the search feasible
  // On request and where exact: by how much the least sum with the scope's variables held at an
  // entry is above `sum`; by term, in the order of its table.
  std::vector<std::vector<double>> excess;
};

// Variable v has the values 0 ... sizes[v] - 1. Exact by eliminating one variable after the other:
// it is replaced by a table of the best it can do for each combination of its neighbours' values.
// Where that would take more than `limit` entries, it is fixed at what its terms alone like best.
// A sum is infinite when every one is.
Minimum minimise(const std::vector<size_t>& sizes, std::vector<SumTerm> terms, size_t limit,
                 bool with_excess = false);

}  // namespace foldstream
