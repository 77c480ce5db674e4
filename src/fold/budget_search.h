// SPDX-License-Identifier: Apache-2.0
// The cheapest folding within budgets of several resources at once, and the proof that there is no
// cheaper one.
#pragma once

#include <optional>

#include "src/fold/fold_space.h"

namespace foldstream {

struct BudgetAnswer {
  std::optional<FoldSpace::Solution> best;  // the best found that keeps every budget
  // Nothing within the budgets is worth less. Infinite: nothing keeps them.
  double bound = -kInfinite;
  // What exceeds the budgets least, where nothing was found that keeps them.
  std::optional<FoldSpace::Solution> nearest;
};

// Branch and bound. The bound is that of Lagrange: budgets become prices, and FoldSpace::solve
// gives the least for any prices exactly; the best prices are those of a linear program over the
// foldings met so far (column generation), which also says where to branch. Foldings that can't be
// part of anything better are struck out by what solve says they cost at least. It ends with the
// proof, or after a fixed amount of work; the same on every machine.
class BudgetSearch {
 public:
  BudgetSearch(FoldSpace& space, const Amounts& most, int64_t work_limit)
      : space_(space), most_(most), work_limit_(work_limit) {}

  // A folding that the search may begin with.
  void know(const FoldSpace::Solution& solution) { remember(solution); }

  BudgetAnswer cheapest(const FoldSpace::Allowed& allowed, const Worth& worth);
  // Any folding that keeps the budgets, cheap ones first, or the proof that there is none (an
  // infinite bound).
  BudgetAnswer any(const FoldSpace::Allowed& allowed, const Worth& worth);

 private:
  struct Relaxed;

  BudgetAnswer branch(const FoldSpace::Allowed& allowed, const Worth& worth, bool any);
  Relaxed relax(const FoldSpace::Allowed& allowed, const Worth& worth, double overflow_price,
                double cutoff);
  double overflow(const FoldSpace::Solution& solution) const;
  bool keeps(const FoldSpace::Solution& solution) const;
  bool remember(const FoldSpace::Solution& solution);  // false: it is known
  void repair(const FoldSpace::Solution& solution, const FoldSpace::Allowed& allowed,
              const Worth& worth);

  FoldSpace& space_;
  const Amounts most_;
  int64_t work_limit_;
  double aim_ = 1;  // share of the budgets that mixtures keep to
  std::vector<FoldSpace::Solution> met_;
};

}  // namespace foldstream
