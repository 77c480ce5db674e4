// SPDX-License-Identifier: Apache-2.0
#include "src/fold/budget_search.h"

#include <algorithm>
#include <cmath>
#include <queue>

#include "src/util/interrupt.h"

namespace foldstream {
namespace {

constexpr size_t kRows = kResources + 1;  // one a resource, and that the shares sum to one
constexpr double kTolerance = 1e-11;      // of reduced costs and of budgets, both near one
// Two foldings whose worth differs by less, of the worth, count as equally good.
constexpr double kEqual = 1e-10;

using Row = std::array<double, kRows>;

// Minimises the cost of a mixture of columns within the budgets: a linear program of six rows, by
// the revised simplex method with the inverse of the basis. Going over a budget has a price.
class Mixture {
 public:
  struct Column {
    double cost;
    Row use;  // by resource as a share of its budget, then 1
  };

  Mixture(Column first, double overflow_price) {
    // A slack or an overflow for each resource, and the first column, are a basis.
    columns_.push_back(first);
    for (size_t r = 0; r < kResources; ++r) {
      for (const double sign : {1.0, -1.0}) {
        Column column{sign < 0 ? overflow_price : 0, {}};
        column.use[r] = sign;
        columns_.push_back(column);
      }
      basis_[r] = 1 + 2 * r + (first.use[r] > 1 ? 1 : 0);
    }
    basis_[kResources] = 0;
    for (size_t r = 0; r < kResources; ++r) {
      const double sign = first.use[r] > 1 ? -1 : 1;
      inverse_[r] = {};
      inverse_[r][r] = sign;
      inverse_[r][kResources] = -sign * first.use[r];
      value_[r] = sign * (1 - first.use[r]);
    }
    inverse_[kResources] = {};
    inverse_[kResources][kResources] = 1;
    value_[kResources] = 1;
  }

  void add(const Column& column) { columns_.push_back(column); }

  void solve() {
    constexpr int kSteps = 500;
    for (int step = 0; step < kSteps; ++step) {
      set_prices();
      size_t entering = SIZE_MAX;
      double least = -kTolerance;
      for (size_t c = 0; c < columns_.size(); ++c) {
        double reduced = columns_[c].cost;
        for (size_t r = 0; r < kRows; ++r) reduced -= price_[r] * columns_[c].use[r];
        if (reduced < least) {
          least = reduced, entering = c;
          if (step > kSteps / 2) break;  // the first, which can't go round in circles for long
        }
      }
      if (entering == SIZE_MAX) return;
      Row direction{};
      for (size_t i = 0; i < kRows; ++i) {
        for (size_t r = 0; r < kRows; ++r)
          direction[i] += inverse_[i][r] * columns_[entering].use[r];
      }
      size_t leaving = kRows;
      double shortest = kInfinite;
      for (size_t i = 0; i < kRows; ++i) {
        if (direction[i] <= kTolerance) continue;
        const double ratio = value_[i] / direction[i];
        if (leaving == kRows || ratio < shortest ||
            (ratio == shortest && basis_[i] < basis_[leaving]))
          shortest = ratio, leaving = i;
      }
      if (leaving == kRows) return;  // only by rounding: the sum to one bounds everything
      for (double& entry : inverse_[leaving]) entry /= direction[leaving];
      value_[leaving] = shortest;
      for (size_t i = 0; i < kRows; ++i) {
        if (i == leaving) continue;
        for (size_t r = 0; r < kRows; ++r) inverse_[i][r] -= direction[i] * inverse_[leaving][r];
        value_[i] = std::max(0.0, value_[i] - direction[i] * shortest);
      }
      basis_[leaving] = entering;
    }
    set_prices();
  }

  double cost() const {
    double sum = 0;
    for (size_t i = 0; i < kRows; ++i) sum += value_[i] * columns_[basis_[i]].cost;
    return sum;
  }
  // What a budget more of a resource would save.
  double price(size_t resource) const { return std::max(0.0, -price_[resource]); }
  // Shares of the columns given, the first one being number 0.
  std::vector<std::pair<size_t, double>> shares() const {
    std::vector<std::pair<size_t, double>> result;
    for (size_t i = 0; i < kRows; ++i) {
      const size_t c = basis_[i];
      if (c >= 1 && c <= 2 * kResources) continue;
      if (value_[i] > 1e-7) result.emplace_back(c == 0 ? 0 : c - 2 * kResources, value_[i]);
    }
    return result;
  }

 private:
  void set_prices() {
    price_ = {};
    for (size_t i = 0; i < kRows; ++i) {
      for (size_t r = 0; r < kRows; ++r) price_[r] += columns_[basis_[i]].cost * inverse_[i][r];
    }
  }

  std::vector<Column> columns_;
  std::array<size_t, kRows> basis_{};
  std::array<Row, kRows> inverse_{};
  Row value_{}, price_{};
};

}  // namespace

// The best bound that prices on the budgets give for a part of the foldings.
struct BudgetSearch::Relaxed {
  double bound = -kInfinite;
  bool exact = true;                              // false: not even a bound is known
  Amounts price{};                                // that gave it; of a whole budget
  std::vector<std::pair<size_t, double>> shares;  // of foldings met
};

double BudgetSearch::overflow(const FoldSpace::Solution& solution) const {
  double sum = 0;
  for (size_t r = 0; r < kResources; ++r) {
    if (most_[r] > 0 && most_[r] < kInfinite) sum += std::max(0.0, solution.used[r] / most_[r] - 1);
  }
  return sum;
}

bool BudgetSearch::keeps(const FoldSpace::Solution& solution) const {
  for (size_t r = 0; r < kResources; ++r) {
    if (solution.used[r] > most_[r]) return false;
  }
  return true;
}

bool BudgetSearch::remember(const FoldSpace::Solution& solution) {
  if (std::any_of(met_.begin(), met_.end(),
                  [&](const auto& other) { return other.choice == solution.choice; })) {
    return false;
  }
  met_.push_back(solution);
  return true;
}

// What goes over a budget may not if other foldings take the place of some.
void BudgetSearch::repair(const FoldSpace::Solution& solution, const FoldSpace::Allowed& allowed,
                          const Worth& worth) {
  if (keeps(solution)) return;
  if (const auto repaired = space_.repaired(solution, allowed, worth, most_)) remember(*repaired);
}

BudgetSearch::Relaxed BudgetSearch::relax(const FoldSpace::Allowed& allowed, const Worth& worth,
                                          double overflow_price, double cutoff) {
  constexpr int kRounds = 60;
  Relaxed result;
  const auto is_allowed = [&](const FoldSpace::Solution& solution) {
    for (size_t i = 0; i < solution.choice.size(); ++i) {
      if (allowed[i][solution.choice[i]] == 0) return false;
    }
    return true;
  };
  const auto column_of = [&](const FoldSpace::Solution& solution) {
    Mixture::Column column{worth.of(solution.used, solution.parallel), {}};
    for (size_t r = 0; r < kResources; ++r) {
      if (most_[r] > 0 && most_[r] < kInfinite)
        column.use[r] = solution.used[r] / (aim_ * most_[r]);
    }
    column.use[kResources] = 1;
    return column;
  };
  std::optional<Mixture> mixture;
  std::vector<size_t> columns;  // number of each in the mixture among those met
  for (size_t m = 0; m < met_.size(); ++m) {
    if (!is_allowed(met_[m])) continue;
    if (!mixture)
      mixture.emplace(column_of(met_[m]), overflow_price);
    else
      mixture->add(column_of(met_[m]));
    columns.push_back(m);
  }
  for (int round = 0; round < kRounds; ++round) {
    Amounts price{};
    double target = kInfinite;
    if (mixture) {
      mixture->solve();
      target = mixture->cost();
      for (size_t r = 0; r < kResources; ++r) price[r] = mixture->price(r);
    }
    Worth now = worth;
    double budgets = 0;
    for (size_t r = 0; r < kResources; ++r) {
      if (price[r] > 0) now.price[r] += price[r] / (aim_ * most_[r]), budgets += price[r];
    }
    const FoldSpace::Solution solution = space_.solve(allowed, now, most_);
    if (!solution.exact) {
      result.exact = false;
      if (!solution.choice.empty()) remember(solution);
      return result;
    }
    if (solution.choice.empty()) {
      result.bound = kInfinite;
      return result;
    }
    const double bound = solution.worth - budgets;
    if (bound > result.bound) result.bound = bound, result.price = price;
    const size_t before = met_.size();
    const bool is_new = remember(solution);
    if (is_new) {
      repair(solution, allowed, worth);
      if (!mixture)
        mixture.emplace(column_of(solution), overflow_price);
      else
        mixture->add(column_of(solution));
      columns.push_back(before);
    }
    const double scale = std::max(std::abs(target), 1e-3);
    if (result.bound >= cutoff || !is_new || result.bound >= target - kEqual * scale) break;
    if (space_.work() > work_limit_) break;
  }
  mixture->solve();
  for (const auto& [column, share] : mixture->shares())
    result.shares.emplace_back(columns[column], share);
  return result;
}

BudgetAnswer BudgetSearch::cheapest(const FoldSpace::Allowed& allowed, const Worth& worth) {
  BudgetAnswer first = any(allowed, worth);
  // Without one that keeps the budgets nothing could be left out.
  return first.best ? branch(allowed, worth, false) : first;
}

BudgetAnswer BudgetSearch::any(const FoldSpace::Allowed& allowed, const Worth& worth) {
  const FoldSpace::Solution first = space_.solve(allowed, worth, most_);
  if (!first.choice.empty()) remember(first);
  const int64_t all = work_limit_, start = space_.work();
  work_limit_ = start + (all - start) / 2;
  BudgetAnswer answer = branch(allowed, {}, true);
  // Mixtures that keep the budgets are easily found, foldings are not. Those near mixtures that
  // leave something are more often within; that there are none proves nothing.
  constexpr double kAims[] = {0.97, 0.92, 0.85};
  for (const double aim : kAims) {
    if (answer.best || answer.bound == kInfinite) break;
    work_limit_ += (all - start) / 6;
    aim_ = aim;
    answer.best = branch(allowed, {}, true).best;
    if (answer.best) answer.bound = 0;
  }
  work_limit_ = all;
  aim_ = 1;
  return answer;
}

BudgetAnswer BudgetSearch::branch(const FoldSpace::Allowed& whole, const Worth& worth, bool any) {
  struct Part {
    double bound;
    size_t number;  // the older first among equals
    FoldSpace::Allowed allowed;
    bool operator<(const Part& other) const {
      return bound != other.bound ? bound > other.bound : number < other.number;
    }
  };
  BudgetAnswer answer;
  double least_overflow = kInfinite, best = kInfinite;
  size_t seen = 0;
  const auto look_at_met = [&] {
    for (; seen < met_.size(); ++seen) {
      const FoldSpace::Solution& solution = met_[seen];
      bool mine = true;
      for (size_t i = 0; i < solution.choice.size(); ++i)
        mine = mine && whole[i][solution.choice[i]] != 0;
      if (!mine) continue;
      if (keeps(solution)) {
        const double value = worth.of(solution.used, solution.parallel);
        if (value < best) {
          best = value, answer.best = solution;
          answer.best->worth = value;
        }
      } else if (overflow(solution) < least_overflow) {
        least_overflow = overflow(solution), answer.nearest = solution;
      }
    }
  };
  std::priority_queue<Part> open;
  open.push({-kInfinite, 0, whole});
  size_t parts = 1;
  bool complete = true;
  look_at_met();
  while (!open.empty()) {
    check_interrupt();
    if (any && answer.best) break;
    Part part = open.top();
    open.pop();
    const double cutoff = any ? 1e-9 : best - kEqual * std::max(best, 1e-3);
    if (part.bound >= cutoff) break;  // so are all others
    if (space_.work() > work_limit_) {
      complete = false;
      answer.bound = part.bound;
      break;
    }
    // Going over a whole budget is dearer than anything known to be possible.
    const double overflow_price = any ? 1 : 100 * (1 + (best < kInfinite ? best : 1));
    Relaxed relaxed = relax(part.allowed, worth, overflow_price, cutoff);
    look_at_met();
    if (!relaxed.exact) {
      complete = false;
      answer.bound = -kInfinite;
      break;
    }
    relaxed.bound = std::max(relaxed.bound, part.bound);
    const double now = any ? 1e-9 : best - kEqual * std::max(best, 1e-3);
    if (relaxed.bound >= now || (any && answer.best)) continue;
    if (!any && best < kInfinite) {
      // Strikes out what can't be in anything better.
      Worth priced = worth;
      double budgets = 0;
      for (size_t r = 0; r < kResources; ++r) {
        if (relaxed.price[r] > 0)
          priced.price[r] += relaxed.price[r] / most_[r], budgets += relaxed.price[r];
      }
      const FoldSpace::Solution solution = space_.solve(part.allowed, priced, most_, true);
      for (size_t i = 0; i < solution.excess.size(); ++i) {
        for (size_t c = 0; c < solution.excess[i].size(); ++c) {
          if (solution.worth - budgets + solution.excess[i][c] >= now) part.allowed[i][c] = 0;
        }
      }
    }
    // Branches at the node whose foldings in the mixture differ most in what is scarce.
    const auto scarce = [&](size_t i, size_t c) {
      const auto& used = space_.choices()[i][c].used;
      double sum = 0;
      for (size_t r = 0; r < kResources; ++r) {
        if (most_[r] > 0 && most_[r] < kInfinite)
          sum += (relaxed.price[r] + 1e-6) * used[r] / most_[r];
      }
      return sum;
    };
    size_t at = SIZE_MAX;
    double widest = -1, middle = 0;
    for (size_t i = 0; i < whole.size(); ++i) {
      double mean = 0, total = 0, spread = 0;
      bool differ = false;
      const size_t first = relaxed.shares.empty() ? 0 : met_[relaxed.shares[0].first].choice[i];
      for (const auto& [m, share] : relaxed.shares) {
        mean += share * scarce(i, met_[m].choice[i]), total += share;
        differ = differ || met_[m].choice[i] != first;
      }
      if (!differ) continue;
      mean /= total;
      for (const auto& [m, share] : relaxed.shares)
        spread += share * std::abs(scarce(i, met_[m].choice[i]) - mean);
      if (spread > widest) widest = spread, at = i, middle = mean;
    }
    if (at == SIZE_MAX) {
      // One folding, not a mixture, that goes over a budget at the least price: take one node's
      // choice away from the others.
      for (size_t i = 0; i < whole.size() && at == SIZE_MAX; ++i) {
        if (std::count(part.allowed[i].begin(), part.allowed[i].end(), 1) > 1) at = i;
      }
      if (at == SIZE_MAX) continue;  // the only folding left was met
      widest = 0;
    }
    Part low{relaxed.bound, parts++, part.allowed}, high{relaxed.bound, parts++, part.allowed};
    const size_t first = relaxed.shares.empty() ? 0 : met_[relaxed.shares[0].first].choice[at];
    for (size_t c = 0; c < whole[at].size(); ++c) {
      const bool is_low = widest > 0 ? scarce(at, c) <= middle : c == first;
      (is_low ? high : low).allowed[at][c] = 0;
    }
    open.push(std::move(low));
    open.push(std::move(high));
  }
  if (complete) answer.bound = any && answer.best ? 0 : best;
  return answer;
}

}  // namespace foldstream
