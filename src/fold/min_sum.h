// SPDX-License-Identifier: Apache-2.0
// The values of some variables for which a sum of functions of few of them each is least.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace foldstream {

struct Minimum {
  std::vector<size_t> value;  // by variable
  double sum = 0;             // of the functions there
  bool exact = true;          // false: some variables were fixed to make the search feasible
  // On request and where exact: by how much the least sum with the variables of a function held at
  // an entry is above `sum`; by function, in the order of its table.
  std::vector<std::vector<double>> excess;
};

// Variable v has the values 0 ... sizes[v] - 1. Exact by eliminating one variable after the other:
// it is replaced by a table of the best it can do for each combination of its neighbours' values.
// Where that would take more than `limit` entries, it is fixed at what its functions alone like
// best. In which order is decided once, by which function has which variables.
class MinSum {
 public:
  using Scope = std::vector<size_t>;  // the variables of a function, none twice
  using Table = std::vector<double>;  // for each combination of their values, the last fastest

  MinSum(std::vector<size_t> sizes, std::vector<Scope> scopes, size_t limit);

  // `tables` by function. A sum is infinite when every one is.
  Minimum minimise(const std::vector<Table>& tables, bool with_excess = false) const;

  // Table entries that are looked at for it, without excess.
  int64_t work() const { return work_; }

 private:
  // A function in a table: entries between neighbouring values of the variables of a step's scope,
  // and of its own variable.
  struct Part {
    size_t function;
    std::vector<size_t> strides;
    size_t stride;
  };
  // One variable goes, and what is left of its functions comes after those there are.
  struct Step {
    size_t variable;
    bool is_fixed;
    Scope scope;  // of its neighbours; empty where it is fixed
    std::vector<Part> parts;
    // The functions that take their place: one of the scope, or where the variable is fixed one for
    // each part. None (SIZE_MAX) where no variable is left.
    std::vector<size_t> rest;
  };
  using Given = std::vector<const Table*>;

  void eliminate(size_t variable, bool is_fixed, const Scope& around, std::vector<char>& gone);
  size_t stride(const Scope& scope, size_t variable) const;
  template <class Visit>
  void walk(const Step& step, const Visit& visit) const;
  // What is left of a step's functions, and the best value for each entry of the scope.
  std::vector<Table> replaced(const Step& step, const Given& tables,
                              std::vector<size_t>& best) const;
  std::vector<Table> fixed(const Step& step, const Given& tables, std::vector<size_t>& best) const;
  std::vector<Table> excess(const Given& tables, const std::vector<double>& alone) const;

  std::vector<size_t> sizes_;
  std::vector<Scope> scopes_;  // of the functions given, then of those that took their place
  size_t given_;
  std::vector<Step> steps_;
  bool exact_ = true;
  int64_t work_ = 0;
};

}  // namespace foldstream
