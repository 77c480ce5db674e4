// SPDX-License-Identifier: Apache-2.0
#include "src/fold/min_sum.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>

namespace foldstream {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Elimination {
 public:
  Elimination(const std::vector<size_t>& sizes, std::vector<SumTerm> terms, size_t limit,
              bool with_excess)
      : sizes_(sizes),
        limit_(limit),
        with_excess_(with_excess),
        given_(terms.size()),
        of_(sizes.size()),
        around_(sizes.size()) {
    for (SumTerm& term : terms) add(std::move(term));
  }

  Minimum run() {
    Minimum result;
    std::vector<char> gone(sizes_.size(), 0);
    for (size_t round = 0; round < sizes_.size(); ++round) {
      // The one with the smallest table next.
      size_t next = 0, smallest = SIZE_MAX;
      for (size_t v = 0; v < sizes_.size(); ++v) {
        if (gone[v]) continue;
        const size_t size = entries(around_[v]);
        if (size < smallest) smallest = size, next = v;
      }
      gone[next] = 1;
      if (smallest <= limit_) {
        replace(next, smallest);
      } else {
        result.exact = false;
        fix(next);
      }
      for (size_t other : around_[next]) around_[other].erase(next);
    }
    result.value.assign(sizes_.size(), 0);
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      size_t entry = 0;
      for (size_t other : step->scope) entry = entry * sizes_[other] + result.value[other];
      result.value[step->variable] = step->best[entry];
    }
    for (const Step& step : steps_) result.sum += step.alone;
    if (with_excess_ && result.exact) result.excess = excess();
    return result;
  }

 private:
  // Which value of a variable is best, for those of its neighbours.
  struct Step {
    size_t variable;
    std::vector<size_t> scope;
    std::vector<size_t> best;
    double alone;               // the least of what depends on no other variable
    std::vector<size_t> terms;  // what it was eliminated from, when excess is asked for
    size_t message;             // the term that replaced it; none where nothing is around
  };

  // Up to the first product above the limit.
  template <class Variables>
  size_t entries(const Variables& variables) const {
    size_t product = 1;
    for (size_t v : variables) {
      if (product > limit_) break;
      product *= sizes_[v];
    }
    return product;
  }

  void add(SumTerm term) {
    for (size_t v : term.scope) {
      of_[v].insert(terms_.size());
      for (size_t other : term.scope) {
        if (other != v) around_[v].insert(other);
      }
    }
    terms_.push_back(std::move(term));
  }

  // Entries between neighbouring values of a variable in a term's table; 0 where it has none.
  size_t stride(const SumTerm& term, size_t variable) const {
    size_t step = 1;
    for (size_t k = term.scope.size(); k-- > 0; step *= sizes_[term.scope[k]]) {
      if (term.scope[k] == variable) return step;
    }
    return 0;
  }

  std::vector<size_t> terms_of(size_t variable) {
    std::vector<size_t> mine(of_[variable].begin(), of_[variable].end());
    for (size_t t : mine) {
      for (size_t other : terms_[t].scope) {
        if (other != variable) of_[other].erase(t);
      }
    }
    of_[variable].clear();
    return mine;
  }

  void drop(const std::vector<size_t>& terms) {
    if (with_excess_) return;
    for (size_t t : terms) terms_[t] = {};
  }

  // Walks over all combinations of values of `scope`, the last running fastest, with a position in
  // the table of each term: visit(entry, positions).
  template <class Visit>
  void walk(const std::vector<size_t>& scope, const std::vector<size_t>& terms,
            const Visit& visit) const {
    std::vector<std::vector<size_t>> strides;  // by term, by place in the scope
    for (size_t t : terms) {
      auto& mine = strides.emplace_back();
      for (size_t v : scope) mine.push_back(stride(terms_[t], v));
    }
    std::vector<size_t> at(terms.size(), 0), value(scope.size(), 0);
    for (size_t entry = 0;; ++entry) {
      visit(entry, at);
      size_t k = scope.size();
      while (k-- > 0) {
        const bool wraps = ++value[k] == sizes_[scope[k]];
        for (size_t i = 0; i < at.size(); ++i) {
          if (wraps)
            at[i] -= (value[k] - 1) * strides[i][k];
          else
            at[i] += strides[i][k];
        }
        if (!wraps) break;
        value[k] = 0;
      }
      if (k == SIZE_MAX) return;
    }
  }

  void replace(size_t variable, size_t size) {
    const std::vector<size_t> mine = terms_of(variable);
    const std::vector<size_t> scope(around_[variable].begin(), around_[variable].end());
    SumTerm rest{scope, std::vector<double>(size, kInfinity)};
    Step step{variable, scope, std::vector<size_t>(size, 0), 0, {}, SIZE_MAX};
    std::vector<std::pair<const double*, size_t>> tables;  // and the variable's stride
    for (size_t t : mine) tables.emplace_back(terms_[t].table.data(), stride(terms_[t], variable));
    walk(scope, mine, [&](size_t entry, const std::vector<size_t>& at) {
      for (size_t v = 0; v < sizes_[variable]; ++v) {
        double sum = 0;
        for (size_t i = 0; i < at.size(); ++i) sum += tables[i].first[at[i] + v * tables[i].second];
        if (sum < rest.table[entry]) rest.table[entry] = sum, step.best[entry] = v;
      }
    });
    if (scope.empty()) {
      step.alone = rest.table[0];
    } else {
      step.message = terms_.size();
    }
    drop(mine);
    if (with_excess_) step.terms = mine;
    steps_.push_back(std::move(step));
    if (!scope.empty()) add(std::move(rest));
  }

  // From the variable eliminated last to the first: what a step's terms hold and what the rest of
  // the graph adds to that, for every combination of the values of the variable and its scope.
  std::vector<std::vector<double>> excess() const {
    std::vector<std::vector<double>> result(terms_.size());
    for (size_t t = 0; t < terms_.size(); ++t) result[t].assign(terms_[t].table.size(), kInfinity);
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      std::vector<size_t> scope = step->scope, terms = step->terms;
      scope.push_back(step->variable);
      const bool has_rest = step->message != SIZE_MAX;
      if (has_rest) terms.push_back(step->message);
      walk(scope, terms, [&](size_t, const std::vector<size_t>& at) {
        double sum = has_rest ? 0 : -step->alone;
        for (size_t i = 0; i < step->terms.size(); ++i) sum += terms_[terms[i]].table[at[i]];
        if (has_rest) {
          // The excess of the message where the variable is at its best, and how far it is not.
          const double best = terms_[step->message].table[at.back()];
          sum = best == kInfinity ? kInfinity : sum - best + result[step->message][at.back()];
        }
        if (!(sum < kInfinity)) return;
        for (size_t i = 0; i < step->terms.size(); ++i) {
          double& least = result[terms[i]][at[i]];
          least = std::min(least, std::max(sum, 0.0));
        }
      });
    }
    result.resize(given_);
    return result;
  }

  void fix(size_t variable) {
    const std::vector<size_t> numbers = terms_of(variable);
    std::vector<SumTerm> mine;
    for (size_t t : numbers) mine.push_back(terms_[t]);
    drop(numbers);
    // The term's entries with the variable at v, in the order of the others.
    const auto slice = [&](const SumTerm& term, size_t v) {
      const size_t step = stride(term, variable), span = step * sizes_[variable];
      std::vector<double> part;
      for (size_t base = 0; base < term.table.size(); base += span) {
        const auto first = term.table.begin() + static_cast<std::ptrdiff_t>(base + v * step);
        part.insert(part.end(), first, first + static_cast<std::ptrdiff_t>(step));
      }
      return part;
    };
    size_t best = 0;
    double least = kInfinity;
    for (size_t v = 0; v < sizes_[variable]; ++v) {
      double sum = 0;
      for (const SumTerm& term : mine) {
        const std::vector<double> part = slice(term, v);
        sum += *std::min_element(part.begin(), part.end());
      }
      if (sum < least) least = sum, best = v;
    }
    double alone = 0;
    for (const SumTerm& term : mine) {
      SumTerm left{{}, slice(term, best)};
      for (size_t other : term.scope) {
        if (other != variable) left.scope.push_back(other);
      }
      if (!left.scope.empty()) {
        add(std::move(left));
      } else {
        alone += left.table[0];
      }
    }
    steps_.push_back({variable, {}, {best}, alone, {}, SIZE_MAX});
  }

  const std::vector<size_t>& sizes_;
  const size_t limit_;
  const bool with_excess_;
  const size_t given_;
  std::vector<SumTerm> terms_;
  std::vector<std::set<size_t>> of_;      // terms, by variable
  std::vector<std::set<size_t>> around_;  // neighbours still there, by variable
  std::vector<Step> steps_;
};

}  // namespace

Minimum minimise(const std::vector<size_t>& sizes, std::vector<SumTerm> terms, size_t limit,
                 bool with_excess) {
  return Elimination(sizes, std::move(terms), limit, with_excess).run();
}

}  // namespace foldstream
