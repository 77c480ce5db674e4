// SPDX-License-Identifier: Apache-2.0
// The cheapest folding within budgets of several resources and of latency at once, and the proof
// that there is no cheaper one.
#pragma once

#include <optional>
#include <vector>

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
//
// Latency is no sum over nodes, but on each way through the graph it is at least one. A folding
// that keeps the budget on all ways known, and yet has too great a latency, shows a way more, which
// is a budget like the others from then on.
class BudgetSearch {
 public:
  BudgetSearch(FoldSpace& space, const Amounts& most, int64_t work_limit,
               int64_t latency = kAnyLatency);

  // A folding that is an answer, where it keeps the budgets. Others are of no use: mixtures of
  // foldings far apart hide those in between.
  void know(const FoldSpace::Solution& solution);

  BudgetAnswer cheapest(const FoldSpace::Allowed& allowed, const Worth& worth);
  // Any folding that keeps the budgets, cheap ones first, or the proof that there is none (an
  // infinite bound).
  BudgetAnswer any(const FoldSpace::Allowed& allowed, const Worth& worth);
  // The same without a proof: near the best mixture alone. Quick.
  std::optional<FoldSpace::Solution> near(const FoldSpace::Allowed& allowed, const Worth& worth);

 private:
  struct Relaxed;
  // A folding that was looked at.
  struct Met {
    FoldSpace::Solution solution;
    std::vector<double> delays;  // on the ways known, as far as they were asked for
    bool is_late = false;        // its latency is beyond the budget
  };

  BudgetAnswer branch(const FoldSpace::Allowed& allowed, const Worth& worth, bool any);
  Relaxed relax(const FoldSpace::Allowed& allowed, const Worth& worth, double overflow_price,
                double cutoff);
  double overflow(const FoldSpace::Solution& solution) const;  // of resources
  double overflow(Met& met) const;
  bool keeps(const Met& met) const;
  bool keeps_resources(const FoldSpace::Solution& solution) const;
  bool remember(const FoldSpace::Solution& solution);  // false: it is known
  double delay(Met& met, size_t way) const;
  // Ways whose budget a mixture passes count from then on; true if one was new.
  bool add_ways(const std::vector<std::pair<size_t, double>>& shares);
  void drop_ways(const std::vector<double>& price);
  // Foldings near a mixture that leave something of the budgets.
  void look_around(const Relaxed& relaxed, const FoldSpace::Allowed& allowed, const Worth& worth);
  void repair(const FoldSpace::Solution& solution, const FoldSpace::Allowed& allowed,
              const Worth& worth);

  FoldSpace& space_;
  const Amounts most_;
  int64_t work_limit_;
  const int64_t latency_;
  double aim_ = 1;  // share of the budgets that mixtures keep to
  std::vector<Met> met_;
  std::vector<size_t> ways_;  // that the mixtures look at
};

}  // namespace foldstream
