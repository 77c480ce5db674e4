// SPDX-License-Identifier: Apache-2.0
#include "src/fold/budget_search.h"

#include <algorithm>
#include <cmath>
#include <queue>

#include "src/util/error.h"
#include "src/util/interrupt.h"

namespace foldstream {
namespace {

constexpr double kTolerance = 1e-11;  // of reduced costs and of budgets, both near one
// Two foldings whose worth differs by less, of the worth, count as equally good.
constexpr double kEqual = 1e-10;

// A bound that is further from the best folding after a quarter of the work won't reach it.
constexpr double kNear = 0.01;
// Parts of the search in which foldings near the mixture are looked for.
constexpr size_t kLookedAround = 200;
// Of a whole budget, beside the share of the part that a folding takes.
constexpr double kOverflowPrice = 100;
// Budgets passed by so much of them together are far from kept.
constexpr double kFarOver = 1;
// Ways that mixtures look at, above which those that no longer matter are left out.
constexpr size_t kManyWays = 24;

using Row = std::vector<double>;

bool is_allowed(const FoldSpace::Allowed& allowed, const FoldSpace::Solution& solution) {
  for (size_t i = 0; i < solution.choice.size(); ++i) {
    if (!std::binary_search(allowed[i].begin(), allowed[i].end(), solution.choice[i])) return false;
  }
  return true;
}

// Minimises the cost of a mixture of columns within the budgets: a linear program of a row for each
// budget and one for the sum of shares, by the revised simplex method with the inverse of the
// basis. Going over a budget has a price.
class Mixture {
 public:
  struct Column {
    double cost;
    Row use;  // by budget as a share of it, then 1
  };

  Mixture(const Column& first, double overflow_price)
      : rows_(first.use.size()),
        budgets_(rows_ - 1),
        basis_(rows_),
        inverse_(rows_, Row(rows_)),
        value_(rows_),
        price_(rows_) {
    // A slack or an overflow for each budget, and the first column, are a basis.
    columns_.push_back(first);
    for (size_t r = 0; r < budgets_; ++r) {
      for (const double sign : {1.0, -1.0}) {
        Column column{sign < 0 ? overflow_price : 0, Row(rows_)};
        column.use[r] = sign;
        columns_.push_back(column);
      }
      basis_[r] = 1 + 2 * r + (first.use[r] > 1 ? 1 : 0);
    }
    basis_[budgets_] = 0;
    for (size_t r = 0; r < budgets_; ++r) {
      const double sign = first.use[r] > 1 ? -1 : 1;
      inverse_[r][r] = sign;
      inverse_[r][budgets_] = -sign * first.use[r];
      value_[r] = sign * (1 - first.use[r]);
    }
    inverse_[budgets_][budgets_] = 1;
    value_[budgets_] = 1;
  }

  void add(const Column& column) { columns_.push_back(column); }

  void solve() {
    const auto steps = static_cast<int>(500 + 40 * rows_);
    for (int step = 0; step < steps; ++step) {
      set_prices();
      size_t entering = SIZE_MAX;
      double least = -kTolerance;
      for (size_t c = 0; c < columns_.size(); ++c) {
        double reduced = columns_[c].cost;
        for (size_t r = 0; r < rows_; ++r) reduced -= price_[r] * columns_[c].use[r];
        if (reduced < least) {
          least = reduced, entering = c;
          if (step > steps / 2) break;  // the first, which can't go round in circles for long
        }
      }
      if (entering == SIZE_MAX) return;
      Row direction(rows_);
      for (size_t i = 0; i < rows_; ++i) {
        for (size_t r = 0; r < rows_; ++r)
          direction[i] += inverse_[i][r] * columns_[entering].use[r];
      }
      size_t leaving = rows_;
      double shortest = kInfinite;
      for (size_t i = 0; i < rows_; ++i) {
        if (direction[i] <= kTolerance) continue;
        const double ratio = value_[i] / direction[i];
        if (leaving == rows_ || ratio < shortest ||
            (ratio == shortest && basis_[i] < basis_[leaving]))
          shortest = ratio, leaving = i;
      }
      if (leaving == rows_) return;  // only by rounding: the sum to one bounds everything
      for (double& entry : inverse_[leaving]) entry /= direction[leaving];
      value_[leaving] = shortest;
      for (size_t i = 0; i < rows_; ++i) {
        if (i == leaving) continue;
        for (size_t r = 0; r < rows_; ++r) inverse_[i][r] -= direction[i] * inverse_[leaving][r];
        value_[i] = std::max(0.0, value_[i] - direction[i] * shortest);
      }
      basis_[leaving] = entering;
    }
    set_prices();
  }

  double cost() const {
    double sum = 0;
    for (size_t i = 0; i < rows_; ++i) sum += value_[i] * columns_[basis_[i]].cost;
    return sum;
  }
  // What as much again of a budget would save.
  double price(size_t budget) const { return std::max(0.0, -price_[budget]); }
  // Shares of the columns given, the first one being number 0.
  std::vector<std::pair<size_t, double>> shares() const {
    std::vector<std::pair<size_t, double>> result;
    for (size_t i = 0; i < rows_; ++i) {
      const size_t c = basis_[i];
      if (c >= 1 && c <= 2 * budgets_) continue;
      if (value_[i] > 1e-7) result.emplace_back(c == 0 ? 0 : c - 2 * budgets_, value_[i]);
    }
    return result;
  }

 private:
  void set_prices() {
    std::fill(price_.begin(), price_.end(), 0);
    for (size_t i = 0; i < rows_; ++i) {
      for (size_t r = 0; r < rows_; ++r) price_[r] += columns_[basis_[i]].cost * inverse_[i][r];
    }
  }

  size_t rows_, budgets_;
  std::vector<Column> columns_;
  std::vector<size_t> basis_;
  std::vector<Row> inverse_;
  Row value_, price_;
};

}  // namespace

// The best bound that prices on the budgets give for a part of the foldings.
struct BudgetSearch::Relaxed {
  double bound = -kInfinite;
  bool exact = true;                              // false: not even a bound is known
  Amounts price{};                                // that gave it; of a whole budget
  std::vector<double> of_way;                     // likewise, of the budget of latency on each way
  std::vector<std::pair<size_t, double>> shares;  // of foldings met

  // That of a folding under `worth` and the prices, which a folding within the budgets has no more
  // of than its own worth and `budgets`.
  Worth priced(const Worth& worth, const Amounts& most, double latency, double& budgets) const {
    Worth now = worth;
    budgets = 0;
    for (size_t r = 0; r < kResources; ++r) {
      if (price[r] > 0) now.price[r] += price[r] / most[r], budgets += price[r];
    }
    now.of_way.assign(of_way.size(), 0);
    for (size_t w = 0; w < of_way.size(); ++w)
      now.of_way[w] = of_way[w] / latency, budgets += of_way[w];
    return now;
  }
};

BudgetSearch::BudgetSearch(FoldSpace& space, const Amounts& most, int64_t work_limit,
                           int64_t latency)
    : space_(space), most_(most), work_limit_(work_limit), latency_(latency) {
  FOLDSTREAM_CHECK(latency > 0);
  if (latency == kAnyLatency) return;
  // The ways that earlier searches came upon last.
  const size_t known = space.ways().size();
  for (size_t way = known - std::min(known, kManyWays); way < known; ++way) ways_.push_back(way);
}

double BudgetSearch::delay(Met& met, size_t way) const {
  for (size_t w = met.delays.size(); w <= way; ++w)
    met.delays.push_back(space_.delay(w, met.solution));
  return met.delays[way];
}

double BudgetSearch::overflow(const FoldSpace::Solution& solution) const {
  double sum = 0;
  for (size_t r = 0; r < kResources; ++r) {
    if (most_[r] > 0 && most_[r] < kInfinite) sum += std::max(0.0, solution.used[r] / most_[r] - 1);
  }
  return sum;
}

double BudgetSearch::overflow(Met& met) const {
  const double sum = overflow(met.solution);
  if (!met.is_late) return sum;
  double longest = 0;
  for (size_t way = 0; way < space_.ways().size(); ++way)
    longest = std::max(longest, delay(met, way));
  return sum + longest / static_cast<double>(latency_) - 1;
}

bool BudgetSearch::keeps_resources(const FoldSpace::Solution& solution) const {
  for (size_t r = 0; r < kResources; ++r) {
    if (solution.used[r] > most_[r]) return false;
  }
  return true;
}

bool BudgetSearch::keeps(const Met& met) const {
  return !met.is_late && keeps_resources(met.solution);
}

void BudgetSearch::know(const FoldSpace::Solution& solution) {
  if (!keeps_resources(solution)) return;
  if (latency_ == kAnyLatency || space_.latency(solution, latency_) <= latency_) remember(solution);
}

bool BudgetSearch::remember(const FoldSpace::Solution& solution) {
  if (std::any_of(met_.begin(), met_.end(),
                  [&](const Met& other) { return other.solution.choice == solution.choice; })) {
    return false;
  }
  Met& met = met_.emplace_back(Met{solution, {}, false});
  if (latency_ == kAnyLatency) return true;
  for (size_t way = 0; way < space_.ways().size() && !met.is_late; ++way)
    met.is_late = delay(met, way) > static_cast<double>(latency_);
  if (!met.is_late && space_.latency(solution, latency_) > latency_) {
    met.is_late = true;
    ways_.push_back(space_.ways().size() - 1);
    FOLDSTREAM_CHECK(delay(met, ways_.back()) > static_cast<double>(latency_));
  }
  return true;
}

bool BudgetSearch::add_ways(const std::vector<std::pair<size_t, double>>& shares) {
  bool any = false;
  for (size_t way = 0; latency_ != kAnyLatency && way < space_.ways().size(); ++way) {
    if (std::find(ways_.begin(), ways_.end(), way) != ways_.end()) continue;
    double mean = 0;
    for (const auto& [m, share] : shares) mean += share * delay(met_[m], way);
    if (mean <= static_cast<double>(latency_) * aim_ * (1 + 1e-7)) continue;
    ways_.push_back(way);
    any = true;
  }
  return any;
}

void BudgetSearch::drop_ways(const std::vector<double>& price) {
  if (ways_.size() <= kManyWays) return;
  std::erase_if(ways_, [&](size_t way) { return way < price.size() && price[way] == 0; });
}

// What goes over a budget may not if other foldings take the place of some. What goes far over it
// rarely comes to fit, and only after many steps.
void BudgetSearch::repair(const FoldSpace::Solution& solution, const FoldSpace::Allowed& allowed,
                          const Worth& worth) {
  if (keeps_resources(solution) || overflow(solution) > kFarOver) return;
  if (const auto repaired = space_.repaired(solution, allowed, worth, most_)) remember(*repaired);
}

BudgetSearch::Relaxed BudgetSearch::relax(const FoldSpace::Allowed& allowed, const Worth& worth,
                                          double overflow_price, double cutoff) {
  constexpr int kRounds = 60;
  Relaxed result;
  const double latency = static_cast<double>(latency_);
  const auto column_of = [&](Met& met) {
    Mixture::Column column{worth.of(met.solution.used, met.solution.parallel), {}};
    for (size_t r = 0; r < kResources; ++r) {
      column.use.push_back(
          most_[r] > 0 && most_[r] < kInfinite ? met.solution.used[r] / (aim_ * most_[r]) : 0);
    }
    for (const size_t way : ways_) column.use.push_back(delay(met, way) / (aim_ * latency));
    column.use.push_back(1);
    return column;
  };
  std::optional<Mixture> mixture;
  std::vector<size_t> columns;  // number of each in the mixture among those met
  size_t known = 0;             // of those met
  size_t ways = ways_.size();   // rows of the mixture
  // The mixture of all foldings met so far, on all ways that count.
  const auto refresh = [&] {
    if (ways != ways_.size()) {
      mixture.reset(), columns.clear();
      known = 0, ways = ways_.size();
    }
    for (; known < met_.size(); ++known) {
      if (!is_allowed(allowed, met_[known].solution)) continue;
      if (!mixture)
        mixture.emplace(column_of(met_[known]), overflow_price);
      else
        mixture->add(column_of(met_[known]));
      columns.push_back(known);
    }
  };
  const auto shares = [&] {
    std::vector<std::pair<size_t, double>> found;
    for (const auto& [column, share] : mixture->shares())
      found.emplace_back(columns[column], share);
    return found;
  };
  refresh();
  for (int round = 0; round < kRounds;) {
    Relaxed now;
    double target = kInfinite;
    now.of_way.assign(space_.ways().size(), 0);
    if (mixture) {
      mixture->solve();
      if (add_ways(shares())) {
        refresh();
        continue;
      }
      target = mixture->cost();
      for (size_t r = 0; r < kResources; ++r) now.price[r] = mixture->price(r) / aim_;
      for (size_t w = 0; w < ways_.size(); ++w)
        now.of_way[ways_[w]] = mixture->price(kResources + w) / aim_;
    }
    double budgets = 0;
    const FoldSpace::Solution solution =
        space_.solve(allowed, now.priced(worth, most_, latency, budgets), most_);
    if (!solution.exact) {
      result.exact = false;
      if (!solution.choice.empty()) remember(solution);
      return result;
    }
    if (solution.choice.empty()) {
      result.bound = kInfinite;
      return result;
    }
    const double bound = solution.worth - aim_ * budgets;
    if (bound > result.bound)
      result.bound = bound, result.price = now.price, result.of_way = now.of_way;
    const bool is_new = remember(solution);
    if (is_new) repair(solution, allowed, worth);
    const bool has_way = ways != ways_.size();
    refresh();
    const double scale = std::max(std::abs(target), 1e-3);
    if (result.bound >= cutoff) break;
    if (!has_way && (!is_new || result.bound >= target - kEqual * scale)) break;
    if (space_.work() > work_limit_) break;
    if (!has_way) ++round;
  }
  mixture->solve();
  result.shares = shares();
  drop_ways(result.of_way);
  return result;
}

// With budgets dearer than the mixture has them.
void BudgetSearch::look_around(const Relaxed& relaxed, const FoldSpace::Allowed& allowed,
                               const Worth& worth) {
  constexpr double kDearer[] = {1.01, 1.03, 1.1, 1.3, 1.7, 2.5, 5};
  for (const double dearer : kDearer) {
    Relaxed now = relaxed;
    for (double& price : now.price) price *= dearer;
    for (double& price : now.of_way) price *= dearer;
    double budgets = 0;
    const FoldSpace::Solution solution = space_.solve(
        allowed, now.priced(worth, most_, static_cast<double>(latency_), budgets), most_);
    if (solution.choice.empty()) return;
    if (remember(solution)) repair(solution, allowed, worth);
  }
}

BudgetAnswer BudgetSearch::cheapest(const FoldSpace::Allowed& allowed, const Worth& worth) {
  BudgetAnswer first = any(allowed, worth);
  // Without one that keeps the budgets nothing could be left out.
  return first.best ? branch(allowed, worth, false) : first;
}

std::optional<FoldSpace::Solution> BudgetSearch::near(const FoldSpace::Allowed& allowed,
                                                      const Worth& worth) {
  const auto kept = [&]() -> std::optional<FoldSpace::Solution> {
    for (const Met& met : met_) {
      if (keeps(met)) return met.solution;
    }
    return std::nullopt;
  };
  const FoldSpace::Solution first = space_.solve(allowed, worth, most_);
  if (!first.choice.empty()) remember(first);
  if (!first.exact || kept()) return kept();
  const Relaxed relaxed = relax(allowed, worth, kOverflowPrice, kInfinite);
  if (relaxed.exact && relaxed.bound < kInfinite) look_around(relaxed, allowed, worth);
  return kept();
}

BudgetAnswer BudgetSearch::any(const FoldSpace::Allowed& allowed, const Worth& worth) {
  near(allowed, worth);
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
      const FoldSpace::Solution& solution = met_[seen].solution;
      if (!is_allowed(whole, solution)) continue;
      if (keeps(met_[seen])) {
        const double value = worth.of(solution.used, solution.parallel);
        if (value < best) {
          best = value, answer.best = solution;
          answer.best->worth = value;
        }
      } else if (const double over = overflow(met_[seen]); over < least_overflow) {
        least_overflow = over, answer.nearest = solution;
      }
    }
  };
  const int64_t quarter = space_.work() + (work_limit_ - space_.work()) / 4;
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
    const bool is_hopeless = !any && space_.work() > quarter && part.bound < (1 - kNear) * best;
    if (space_.work() > work_limit_ || is_hopeless) {
      complete = false;
      answer.bound = part.bound;
      break;
    }
    // Going over a whole budget is dearer than anything known to be possible.
    const double overflow_price = any ? 1 : kOverflowPrice * (1 + (best < kInfinite ? best : 1));
    Relaxed relaxed = relax(part.allowed, worth, overflow_price, cutoff);
    if (!any && relaxed.exact && relaxed.bound < cutoff && part.number < kLookedAround)
      look_around(relaxed, part.allowed, worth);
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
      double budgets = 0;
      const Worth priced = relaxed.priced(worth, most_, static_cast<double>(latency_), budgets);
      const FoldSpace::Solution solution = space_.solve(part.allowed, priced, most_, true);
      for (size_t i = 0; i < solution.excess.size(); ++i) {
        size_t k = 0;
        std::erase_if(part.allowed[i], [&](size_t) {
          return solution.worth - budgets + solution.excess[i][k++] >= now;
        });
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
      for (size_t w = 0; w < relaxed.of_way.size(); ++w) {
        const auto& cycles = space_.ways()[w].of_choice[i];
        if (!cycles.empty())
          sum += (relaxed.of_way[w] + 1e-6) * cycles[c] / static_cast<double>(latency_);
      }
      return sum;
    };
    size_t at = SIZE_MAX;
    double widest = -1, middle = 0;
    for (size_t i = 0; i < whole.size(); ++i) {
      double mean = 0, total = 0, spread = 0;
      bool differ = false;
      const size_t first =
          relaxed.shares.empty() ? 0 : met_[relaxed.shares[0].first].solution.choice[i];
      for (const auto& [m, share] : relaxed.shares) {
        mean += share * scarce(i, met_[m].solution.choice[i]), total += share;
        differ = differ || met_[m].solution.choice[i] != first;
      }
      if (!differ) continue;
      mean /= total;
      for (const auto& [m, share] : relaxed.shares)
        spread += share * std::abs(scarce(i, met_[m].solution.choice[i]) - mean);
      if (spread > widest) widest = spread, at = i, middle = mean;
    }
    if (at == SIZE_MAX) {
      // One folding, not a mixture, that goes over a budget at the least price: take one node's
      // choice away from the others.
      for (size_t i = 0; i < whole.size() && at == SIZE_MAX; ++i) {
        if (part.allowed[i].size() > 1) at = i;
      }
      if (at == SIZE_MAX) continue;  // the only folding left was met
      widest = 0;
    }
    const size_t first =
        relaxed.shares.empty() ? 0 : met_[relaxed.shares[0].first].solution.choice[at];
    const auto in_low = [&](size_t c) { return widest > 0 ? scarce(at, c) <= middle : c == first; };
    // Rounding may put all foldings of the mixture on one side, which would be no step ahead.
    const bool parted =
        std::any_of(relaxed.shares.begin(), relaxed.shares.end(), [&](const auto& share) {
          return in_low(met_[share.first].solution.choice[at]) != in_low(first);
        });
    if (!parted) widest = 0;
    Part low{relaxed.bound, parts++, part.allowed}, high{relaxed.bound, parts++, part.allowed};
    std::erase_if(low.allowed[at], [&](size_t c) { return !in_low(c); });
    std::erase_if(high.allowed[at], in_low);
    open.push(std::move(low));
    open.push(std::move(high));
  }
  if (complete) answer.bound = any && answer.best ? 0 : best;
  return answer;
}

}  // namespace foldstream
