// SPDX-License-Identifier: Apache-2.0
#include "src/fold/fold.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "src/fold/budget_search.h"
#include "src/fold/fold_space.h"
#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Between equals, less hardware in parallel; too small to weigh against any resource.
constexpr double kTieBreak = 1e-15;
// Table entries that the proof of one folding may look at: seconds. For one interval of the search
// for the fastest, fewer, and fewer still for one that is to be excluded alone.
constexpr int64_t kProofWork = 300'000'000;
constexpr int64_t kIntervalWork = 40'000'000;
constexpr int64_t kExclusionWork = 5'000'000;

constexpr const char* kResourceNames[] = {"LUT",  "FF",  "BRAM_18K",
                                          "URAM", "DSP", "bits a cycle of streamed weights"};

// Streams weigh by the share of what they may bring that they do.
Worth worth_on(const Part& part, const WeightPlaces& places) {
  const Price price = price_on(part);
  const double streamed = places.streamed > 0 ? 1 / places.streamed : 0;
  return {{price.lut, price.ff, price.bram18, price.uram, price.dsp, streamed}, kTieBreak};
}

Cost cost_of(const Amounts& used) { return {used[0], used[1], used[2], used[3], used[4], used[5]}; }

// Of the part, and of streams.
Amounts budget_of(const Cost& budget, const WeightPlaces& places) {
  Cost most = budget;
  most.stream = places.streamed;
  return amounts(most);
}

bool keeps(const FoldSpace::Solution& solution, const Amounts& most) {
  return std::equal(most.begin(), most.end(), solution.used.begin(), std::greater_equal<>());
}

constexpr Amounts kNoBudget{kInfinite, kInfinite, kInfinite, kInfinite, kInfinite, kInfinite};

int64_t steps_of(const FoldSpace& space, const FoldSpace::Solution& solution) {
  int64_t steps = 0;
  for (size_t i = 0; i < solution.choice.size(); ++i)
    steps = std::max(steps, space.choices()[i][solution.choice[i]].steps);
  return steps;
}

FoldResult result_of(Graph& core, FoldSpace& space, const FoldSpace::Solution& solution,
                     double bound, int64_t latency) {
  space.apply(solution, core);
  FoldResult result;
  result.cost = cost_of(solution.used);
  result.price = solution.worth;
  result.price_bound = std::min(bound, solution.worth);
  for (size_t i = 0; i < solution.choice.size(); ++i) {
    const FoldSpace::Choice& choice = space.choices()[i][solution.choice[i]];
    if (choice.steps > result.cycles) {
      result.cycles = choice.steps;
      result.bottleneck = space.node(i).name;
    }
  }
  result.cycles_bound = result.cycles;
  if (latency != kAnyLatency) result.latency = result.latency_bound = space.latency(solution);
  return result;
}

void check_reachable(const FoldSpace& space, int64_t cycles) {
  const auto [least, node] = space.floor();
  if (cycles < least) {
    throw Error(fmt::format("{} needs at least {} cycles a frame, the target leaves {}",
                            describe(*node), least, cycles),
                fmt::format("the nearest that can be reached is {} cycles a frame", least));
  }
}

// The cheapest without a budget. A graph too entangled for an exact answer has no bound.
std::pair<FoldSpace::Solution, double> unbounded(FoldSpace& space, int64_t cycles,
                                                 const Worth& worth) {
  FoldSpace::Solution solution = space.solve(space.within(cycles, kNoBudget), worth, kNoBudget);
  const double bound = solution.exact ? solution.worth : 0;
  return {std::move(solution), bound};
}

bool is_in_time(FoldSpace& space, const FoldSpace::Solution& solution, int64_t latency) {
  return latency == kAnyLatency || space.latency(solution, latency) <= latency;
}

// The least of one resource that any folding of so many cycles takes while it keeps the other
// budgets; infinite when none does.
double least_of(FoldSpace& space, int64_t cycles, const Worth& worth, Amounts most,
                size_t resource) {
  most[resource] = kInfinite;
  Worth one;
  one.price[resource] = 1;
  one.of_parallel = worth.of_parallel;
  BudgetSearch search(space, most, space.work() + kIntervalWork);
  const BudgetAnswer answer = search.cheapest(space.within(cycles, most), one);
  return answer.best ? answer.best->used[resource] : kInfinite;
}

// Foldings to begin with where latency has a budget: the cheapest at some intervals, because what
// is sooner ready for the next frame has mostly ended the last one sooner, too.
std::vector<FoldSpace::Solution> some_quick(FoldSpace& space, int64_t cycles, const Worth& worth,
                                            const Amounts& most) {
  std::vector<int64_t> intervals = space.intervals();
  std::erase_if(intervals, [&](int64_t interval) { return interval > cycles; });
  std::vector<FoldSpace::Solution> solutions;
  constexpr double kApart = 1.4;
  double next = 0;
  for (const int64_t interval : intervals) {
    if (static_cast<double>(interval) < next) continue;
    next = kApart * static_cast<double>(interval);
    FoldSpace::Solution solution = space.solve(space.within(interval, most), worth, most);
    if (solution.choice.empty()) continue;
    if (!keeps(solution, most)) {
      if (auto repaired = space.repaired(solution, space.within(interval, most), worth, most))
        solutions.push_back(std::move(*repaired));
    }
    solutions.push_back(std::move(solution));
  }
  return solutions;
}

// The interval of `intervals` from which on foldings keep the budget: its index, and that of the
// first of which it isn't proved that there is none. Index out of range: not even the slowest. None
// before `from` is looked at.
struct Fastest {
  size_t found, not_excluded;
  FoldSpace::Solution solution = {};  // that was found
};
Fastest fastest(FoldSpace& space, const std::vector<int64_t>& intervals, const Worth& worth,
                const Amounts& most, int64_t latency, size_t from = 0) {
  Fastest result{intervals.size(), 0};
  std::vector<FoldSpace::Solution> known;
  if (latency != kAnyLatency) {
    // What is too fast without regard to latency is so with it.
    const Fastest late = fastest(space, intervals, worth, most, kAnyLatency, from);
    if (late.found >= intervals.size()) return late;
    result.not_excluded = late.not_excluded;
    known = some_quick(space, intervals.back(), worth, most);
    known.push_back(late.solution);
  }
  size_t low = std::max(result.not_excluded, from);
  size_t high = intervals.size();  // fits, or is beyond all
  while (low < high) {
    // The slowest first: without it there is nothing to search; and before it what may be the best.
    const size_t middle = high < intervals.size()   ? (low + high) / 2
                          : from > 0 && low == from ? from
                                                    : high - 1;
    BudgetSearch search(space, most, space.work() + kIntervalWork, latency);
    for (const FoldSpace::Solution& solution : known) search.know(solution);
    const BudgetAnswer answer = search.any(space.within(intervals[middle], most), worth);
    if (answer.best) {
      high = middle, result.found = middle;
      result.solution = *answer.best;
      // It may be faster than asked.
      const auto reached = static_cast<size_t>(
          std::lower_bound(intervals.begin(), intervals.end(), steps_of(space, *answer.best)) -
          intervals.begin());
      high = result.found = std::min(high, reached);
    } else {
      if (answer.bound == kInfinite)
        result.not_excluded = std::max(result.not_excluded, middle + 1);
      low = middle + 1;
    }
  }
  // That slower ones were searched in vain is no proof for those before them. Where that is easy.
  if (result.found >= intervals.size()) return result;
  for (high = result.found; result.not_excluded < high;) {
    const size_t middle = (result.not_excluded + high) / 2;
    BudgetSearch search(space, most, space.work() + kExclusionWork, latency);
    const BudgetAnswer answer = search.any(space.within(intervals[middle], most), worth);
    if (answer.best) {
      high = result.found = middle, result.solution = *answer.best;
    } else if (answer.bound == kInfinite) {
      result.not_excluded = middle + 1;
    } else {
      high = middle;
    }
  }
  return result;
}

// The least latency of foldings of so many cycles that keep the budget, and that of which it isn't
// proved that there is none. None keeps it: kAnyLatency.
struct Quickest {
  int64_t found = kAnyLatency, not_excluded = 1;
  FoldSpace::Solution solution = {};  // that was found
};
Quickest quickest(FoldSpace& space, int64_t cycles, const Worth& worth, const Amounts& most) {
  Quickest result;
  const FoldSpace::Allowed allowed = space.within(cycles, most);
  const auto found = [&](const FoldSpace::Solution& solution) {
    const int64_t latency = space.latency(solution);
    if (latency < result.found) result.found = latency, result.solution = solution;
  };
  // Down in steps, as long as that is easy.
  BudgetSearch whatever(space, most, space.work() + kIntervalWork);
  if (const auto first = whatever.near(allowed, worth)) found(*first);
  constexpr double kSteps[] = {0.7, 0.9, 0.97, 0.99, 0.998};
  for (const double step : kSteps) {
    while (result.found > 1 && result.found < kAnyLatency) {
      const auto aim = static_cast<int64_t>(step * static_cast<double>(result.found));
      BudgetSearch search(space, most, space.work() + kIntervalWork, std::max<int64_t>(1, aim));
      const auto quicker = search.near(allowed, worth);
      if (!quicker) break;
      found(*quicker);
    }
  }
  for (int64_t low = 1; low < result.found;) {
    // Any folding first: without one there is nothing to search.
    const bool is_first = result.found == kAnyLatency;
    const int64_t middle = is_first ? kAnyLatency : low + (result.found - low) / 2;
    BudgetSearch search(space, most, space.work() + kIntervalWork, middle);
    const BudgetAnswer answer = search.any(allowed, worth);
    if (answer.best) {
      found(*answer.best);
    } else {
      if (answer.bound == kInfinite) result.not_excluded = is_first ? middle : middle + 1;
      if (is_first) break;
      low = middle + 1;
    }
  }
  if (result.not_excluded < result.found) {
    for (const FoldSpace::Solution& solution : some_quick(space, cycles, worth, most)) {
      if (keeps(solution, most)) found(solution);
    }
  }
  return result;
}

// The cheapest folding of so many cycles within the budgets.
BudgetAnswer cheapest(FoldSpace& space, int64_t cycles, const Worth& worth, const Amounts& most,
                      int64_t latency) {
  BudgetSearch search(space, most, space.work() + kProofWork, latency);
  if (latency != kAnyLatency) {
    for (const FoldSpace::Solution& solution : some_quick(space, cycles, worth, most))
      search.know(solution);
  }
  return search.cheapest(space.within(cycles, most), worth);
}

// "takes 5,300 LUT at least, the budget is 5,000": a budget that can't be kept even if the others
// didn't count; nothing where there is none.
struct Alone {
  std::string what;
  double least = 0;
};
std::optional<Alone> exceeded_alone(FoldSpace& space, int64_t cycles, const Worth& worth,
                                    const Amounts& most) {
  for (size_t r = 0; r < most.size(); ++r) {
    if (most[r] == kInfinite) continue;
    const double least = std::ceil(least_of(space, cycles, worth, kNoBudget, r));
    if (least > most[r]) {
      return Alone{fmt::format("takes {:.0f} {} at least, the budget is {:.0f}", least,
                               kResourceNames[r], most[r]),
                   least};
    }
  }
  return std::nullopt;
}

[[noreturn]] void does_not_fit(FoldSpace& space, int64_t cycles, const Worth& worth,
                               const Amounts& most, const BudgetAnswer& answer) {
  if (const auto alone = exceeded_alone(space, cycles, worth, most)) {
    throw Error(
        fmt::format("a frame every {} cycles {}", cycles, alone->what),
        fmt::format("raise the budget to {:.0f}, or ask for fewer frames a second", alone->least));
  }
  const bool proved = answer.bound == kInfinite;
  std::string what =
      proved ? "no folding keeps all budgets at once"
             : "found no folding that keeps all budgets at once, nor a proof that there is none";
  std::string help;
  if (answer.nearest)
    what += fmt::format("; the nearest takes {}",
                        exceeded(cost_of(answer.nearest->used), cost_of(most)));
  for (size_t r = 0; r < most.size(); ++r) {
    if (most[r] == kInfinite) continue;
    const double least = least_of(space, cycles, worth, most, r);
    if (least < kInfinite && least > most[r])
      help += fmt::format("{}{} of {:.0f}", help.empty() ? "budgets that can be kept: " : ", or ",
                          kResourceNames[r], std::ceil(least));
  }
  throw Error(fmt::format("a frame every {} cycles: {}", cycles, what),
              help.empty() ? "raise several budgets, or ask for fewer frames a second" : help);
}

[[noreturn]] void too_large(FoldSpace& space, const std::string& name, const Part& part,
                            int64_t slowest, const Worth& worth, const Amounts& most) {
  std::string what;
  if (const auto alone = exceeded_alone(space, slowest, worth, most)) {
    what = "it " + alone->what;
  } else {
    BudgetSearch search(space, most, space.work() + kIntervalWork);
    const BudgetAnswer answer = search.any(space.within(slowest, most), worth);
    const FoldSpace::Solution nearest =
        answer.nearest ? *answer.nearest
                       : space.solve(space.within(slowest, kNoBudget), worth, kNoBudget);
    what = "the nearest takes " + exceeded(cost_of(nearest.used), cost_of(most));
  }
  throw Error(
      fmt::format("'{}' does not fit {} even at the lowest rate: {}", name, part.name, what),
      "choose a larger part, or let more of it be used");
}

// "a latency of 20 cycles", and with that rate if there is one.
std::string target_of(int64_t cycles, int64_t latency) {
  std::string text = fmt::format("a latency of {} cycles", latency);
  if (cycles < INT64_MAX) text += fmt::format(" with a frame every {} cycles", cycles);
  return text;
}

// No folding of so many cycles within the budget was found that is as quick. Returns where that
// isn't for the sake of latency.
void too_late(FoldSpace& space, int64_t cycles, const Worth& worth, const Amounts& most,
              int64_t latency) {
  const auto nearest = [](const Quickest& quick, const char* where) {
    return fmt::format("the nearest that {} {} is {} cycles",
                       quick.not_excluded >= quick.found ? "can be reached" : "was found", where,
                       quick.found);
  };
  const Quickest whatever = quickest(space, cycles, worth, kNoBudget);
  if (whatever.found > latency) {
    throw Error(fmt::format("{}: {}", target_of(cycles, latency),
                            whatever.not_excluded > latency ? "no folding is as quick"
                                                            : "found no folding that is as quick"),
                nearest(whatever, "by any folding"));
  }
  const Quickest within = quickest(space, cycles, worth, most);
  if (within.found == kAnyLatency) return;
  throw Error(fmt::format("{}: {} that keeps the budgets is as quick", target_of(cycles, latency),
                          within.not_excluded > latency ? "no folding" : "found no folding"),
              nearest(within, "within the budgets"));
}

}  // namespace

std::string FoldResult::proof() const {
  if (latency_bound < latency)
    return fmt::format("not proved to be the quickest that fits: {} cycles are not excluded",
                       latency_bound);
  if (cycles_bound < cycles)
    return fmt::format("not proved to be the fastest that fits: {} cycles are not excluded",
                       cycles_bound);
  const double gap = price > 0 ? 1 - price_bound / price : 0;
  if (gap <= 1e-9) return "proved optimal";
  return price_bound > 0
             ? fmt::format("within {:.2g} % of the least cost possible, not proved optimal",
                           100 * gap)
             : "not proved optimal";
}

int64_t cycles_for_rate(double frames_per_second, double clock_mhz) {
  if (!(clock_mhz > 0)) throw Error(fmt::format("--clock: {} MHz is not positive", clock_mhz));
  if (!(frames_per_second > 0))
    throw Error(fmt::format("--fps: {} frames a second is not positive", frames_per_second));
  const double cycles = clock_mhz * 1e6 / frames_per_second;
  if (cycles < 1) {
    throw Error(
        fmt::format("--fps: {} frames a second at {} MHz leave {:.3g} cycles for a frame",
                    frames_per_second, clock_mhz, cycles),
        fmt::format("at most one frame a clock is possible: {} frames a second", clock_mhz * 1e6));
  }
  constexpr double kMost = 1e15;  // slower than any network, and far from overflow
  return static_cast<int64_t>(std::floor(std::min(cycles * (1 + 1e-12), kMost)));
}

int64_t cycles_for_time(double nanoseconds, double clock_mhz) {
  if (!(clock_mhz > 0)) throw Error(fmt::format("--clock: {} MHz is not positive", clock_mhz));
  const double cycles = nanoseconds * clock_mhz / 1000;
  if (!(cycles * (1 + 1e-12) >= 1)) {
    throw Error(fmt::format("--latency-ns: {} ns at {} MHz are {:.3g} cycles", nanoseconds,
                            clock_mhz, cycles),
                fmt::format("a cycle takes {} ns", 1000 / clock_mhz));
  }
  constexpr double kMost = 1e15;  // slower than any network, and far from overflow
  return static_cast<int64_t>(std::floor(std::min(cycles * (1 + 1e-12), kMost)));
}

FoldResult fold_for_cycles(Graph& core, int64_t cycles, const Part& part,
                           const WeightLevels& levels, int64_t latency) {
  FoldSpace wider(core, part.family, cycles, levels.front());
  check_reachable(wider, cycles);
  for (const WeightPlaces& places : levels) {
    wider.allow(places);
    const Worth worth = worth_on(part, places);
    const Amounts most = budget_of(whole_of(part), places);
    const auto [solution, bound] = unbounded(wider, cycles, worth);
    if (keeps(solution, most) && is_in_time(wider, solution, latency))
      return result_of(core, wider, solution, bound, latency);
    const BudgetAnswer answer = cheapest(wider, cycles, worth, most, latency);
    if (answer.best) return result_of(core, wider, *answer.best, answer.bound, latency);
  }
  FoldSpace space(core, part.family, cycles, levels.front());
  const Worth worth = worth_on(part, levels.front());
  auto [solution, bound] = unbounded(space, cycles, worth);
  if (!is_in_time(space, solution, latency)) {
    const BudgetAnswer answer = cheapest(space, cycles, worth, kNoBudget, latency);
    if (!answer.best) {
      too_late(space, cycles, worth, kNoBudget, latency);
      FOLDSTREAM_CHECK(false);
    }
    solution = *answer.best, bound = answer.bound;
  }
  FoldResult result = result_of(core, space, solution, bound, latency);
  result.fits = false;
  return result;
}

FoldResult fold_within(Graph& core, int64_t cycles, const Part& part, const Cost& budget,
                       const WeightLevels& levels, int64_t latency) {
  FoldSpace space(core, part.family, cycles, levels.front());
  check_reachable(space, cycles);
  for (size_t level = 0;; ++level) {
    const WeightPlaces& places = levels.at(level);
    space.allow(places);
    const Worth worth = worth_on(part, places);
    const Amounts most = budget_of(budget, places);
    const auto [solution, bound] = unbounded(space, cycles, worth);
    if (keeps(solution, most) && is_in_time(space, solution, latency))
      return result_of(core, space, solution, bound, latency);
    const BudgetAnswer answer = cheapest(space, cycles, worth, most, latency);
    if (answer.best) return result_of(core, space, *answer.best, answer.bound, latency);
    if (level + 1 < levels.size()) continue;
    if (latency != kAnyLatency) too_late(space, cycles, worth, most, latency);
    if (cycles == INT64_MAX)
      too_large(space, core.name, part, space.intervals().back(), worth, most);
    // The nearest rate is looked for among slower foldings, which this space has left out.
    FoldSpace all(core, part.family, INT64_MAX, places);
    const std::vector<int64_t> intervals = all.intervals();
    const Fastest slower = fastest(all, intervals, worth, most, kAnyLatency);
    try {
      does_not_fit(space, cycles, worth, most, answer);
    } catch (const Error& error) {
      if (slower.found >= intervals.size()) throw;
      throw Error(error.what(),
                  fmt::format("{}; the nearest rate within the budgets is a frame every {} cycles",
                              error.help(), intervals[slower.found]));
    }
  }
}

FoldMax::FoldMax(Graph core, const Part& part, WeightLevels levels)
    : core_(std::make_unique<Graph>(std::move(core))),
      part_(part),
      levels_(std::move(levels)),
      space_(*core_, part.family, INT64_MAX, levels_.at(0)) {}

FoldResult FoldMax::fold(Graph& core, const Cost& budget, int64_t latency) {
  while (true) {
    const WeightPlaces& places = levels_[level_];
    const std::vector<int64_t> intervals = space_.intervals();
    const Worth worth = worth_on(part_, places);
    const Amounts most = budget_of(budget, places);
    const auto from = static_cast<size_t>(
        std::lower_bound(intervals.begin(), intervals.end(), cycles_) - intervals.begin());
    const Fastest fast = fastest(space_, intervals, worth, most, latency, from);
    if (fast.found >= intervals.size()) {
      if (level_ + 1 < levels_.size()) {
        space_.allow(levels_[++level_]);
        cycles_ = cycles_bound_ = 0;  // what was too fast without other places may not be with them
        continue;
      }
      if (latency != kAnyLatency) too_late(space_, INT64_MAX, worth, most, latency);
      too_large(space_, core.name, part_, intervals.back(), worth, most);
    }
    BudgetSearch search(space_, most, space_.work() + kProofWork, latency);
    search.know(fast.solution);
    const BudgetAnswer answer = search.cheapest(space_.within(intervals[fast.found], most), worth);
    FOLDSTREAM_CHECK(answer.best.has_value());
    FoldResult result = result_of(core, space_, *answer.best, answer.bound, latency);
    cycles_ = result.cycles;
    cycles_bound_ = std::max(cycles_bound_, intervals[std::min(fast.not_excluded, fast.found)]);
    result.cycles_bound = std::min(result.cycles, cycles_bound_);
    return result;
  }
}

FoldResult fold_max(Graph& core, const Part& part, const Cost& budget, const WeightLevels& levels,
                    int64_t latency) {
  return FoldMax(core.clone(), part, levels).fold(core, budget, latency);
}

FoldResult fold_quickest(Graph& core, int64_t cycles, const Part& part, const Cost& budget,
                         const WeightLevels& levels) {
  FoldSpace space(core, part.family, cycles, levels.front());
  check_reachable(space, cycles);
  for (size_t level = 0;; ++level) {
    const WeightPlaces& places = levels.at(level);
    space.allow(places);
    const Worth worth = worth_on(part, places);
    const Amounts most = budget_of(budget, places);
    const Quickest quick = quickest(space, cycles, worth, most);
    if (quick.found == kAnyLatency) {
      if (level + 1 < levels.size()) continue;
      too_large(space, core.name, part, space.intervals().back(), worth, most);
    }
    BudgetSearch search(space, most, space.work() + kProofWork, quick.found);
    search.know(quick.solution);
    const BudgetAnswer answer = search.cheapest(space.within(cycles, most), worth);
    FOLDSTREAM_CHECK(answer.best.has_value());
    FoldResult result = result_of(core, space, *answer.best, answer.bound, quick.found);
    result.latency_bound = std::min(result.latency, quick.not_excluded);
    return result;
  }
}

std::vector<FrontPoint> fold_front(Graph& core, const Part& part, const Cost& budget,
                                   const WeightLevels& levels, size_t most_points) {
  FoldSpace space(core, part.family, INT64_MAX, levels.front());
  std::vector<int64_t> intervals;
  Worth worth;
  Amounts most{};
  Fastest fast{};
  for (size_t level = 0;; ++level) {
    space.allow(levels.at(level));
    intervals = space.intervals();
    worth = worth_on(part, levels[level]);
    most = budget_of(budget, levels[level]);
    fast = fastest(space, intervals, worth, most, kAnyLatency);
    if (fast.found < intervals.size()) break;
    if (level + 1 == levels.size())
      too_large(space, core.name, part, intervals.back(), worth, most);
  }
  // Evenly spread over the logarithm: the first interval in each of so many steps.
  std::vector<int64_t> chosen;
  const double first = std::log(static_cast<double>(std::max<int64_t>(1, intervals[fast.found])));
  const double span = std::log(static_cast<double>(std::max<int64_t>(1, intervals.back()))) - first;
  double last_step = -1;
  for (size_t k = fast.found; k < intervals.size(); ++k) {
    const double at = std::log(static_cast<double>(std::max<int64_t>(1, intervals[k]))) - first;
    const double step =
        span > 0 ? std::floor(at / span * static_cast<double>(std::max<size_t>(most_points, 2) - 1))
                 : 0;
    if (step > last_step) chosen.push_back(intervals[k]), last_step = step;
  }
  struct Found {
    int64_t cycles;
    FoldSpace::Solution solution;
  };
  std::vector<Found> found;
  std::vector<Worth> aims{worth};
  for (const size_t resource : {size_t{0}, size_t{2}, size_t{4}}) {
    // A resource above all, then the price of the rest.
    Worth aim = worth;
    aim.price[resource] *= 1000;
    if (std::isfinite(aim.price[resource])) aims.push_back(aim);
  }
  for (const int64_t cycles : chosen) {
    const auto allowed = space.within(cycles, most);
    for (const Worth& aim : aims) {
      FoldSpace::Solution solution = space.solve(allowed, aim, most);
      if (solution.choice.empty() || !keeps(solution, most)) {
        BudgetSearch search(space, most, space.work() + kIntervalWork / 10);
        BudgetAnswer answer = search.cheapest(allowed, aim);
        if (!answer.best) continue;
        solution = std::move(*answer.best);
      }
      const int64_t reached = steps_of(space, solution);
      found.push_back({reached, std::move(solution)});
    }
  }
  const auto beats = [](const Found& a, const Found& b) {
    bool less = a.cycles < b.cycles;
    if (a.cycles > b.cycles) return false;
    for (size_t r = 0; r < a.solution.used.size(); ++r) {
      if (a.solution.used[r] > b.solution.used[r]) return false;
      less = less || a.solution.used[r] < b.solution.used[r];
    }
    return less;
  };
  std::vector<FrontPoint> front;
  for (size_t k = 0; k < found.size(); ++k) {
    bool beaten = false;
    for (size_t other = 0; other < found.size() && !beaten; ++other) {
      const bool same = found[other].cycles == found[k].cycles &&
                        found[other].solution.used == found[k].solution.used;
      beaten = beats(found[other], found[k]) || (same && other < k);
    }
    if (beaten) continue;
    FrontPoint point{
        found[k].cycles, space.latency(found[k].solution), cost_of(found[k].solution.used), {}};
    for (size_t i = 0; i < found[k].solution.choice.size(); ++i) {
      const FoldSpace::Choice& choice = space.choices()[i][found[k].solution.choice[i]];
      auto& [name, attrs] = point.folding.emplace_back();
      name = space.node(i).name;
      attrs.assign(choice.attrs.begin(), choice.attrs.end());
      attrs.insert(attrs.end(), choice.place.begin(), choice.place.end());
    }
    front.push_back(std::move(point));
  }
  std::stable_sort(front.begin(), front.end(), [](const FrontPoint& a, const FrontPoint& b) {
    return std::pair(a.cycles, a.cost.lut) < std::pair(b.cycles, b.cost.lut);
  });
  return front;
}

std::pair<const Node*, int64_t> slowest_node(const Graph& core, Family family) {
  std::pair<const Node*, int64_t> result{nullptr, 0};
  for (const Node& node : core.nodes) {
    if (node.op->kind != Op::Kind::hardware) continue;
    const int64_t steps = node.op->rhythm(node, family).steps();
    if (steps > result.second) result = {&node, steps};
  }
  return result;
}

}  // namespace foldstream
