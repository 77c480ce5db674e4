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
  Elimination(const std::vector<size_t>& sizes, std::vector<SumTerm> terms, size_t limit)
      : sizes_(sizes), limit_(limit), of_(sizes.size()), around_(sizes.size()) {
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
    return result;
  }

 private:
  // Which value of a variable is best, for those of its neighbours.
  struct Step {
    size_t variable;
    std::vector<size_t> scope;
    std::vector<size_t> best;
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

  std::vector<SumTerm> terms_of(size_t variable) {
    std::vector<SumTerm> mine;
    for (size_t t : of_[variable]) {
      for (size_t other : terms_[t].scope) {
        if (other != variable) of_[other].erase(t);
      }
      mine.push_back(std::move(terms_[t]));
    }
    of_[variable].clear();
    return mine;
  }

  void replace(size_t variable, size_t size) {
    const std::vector<SumTerm> mine = terms_of(variable);
    const std::vector<size_t> scope(around_[variable].begin(), around_[variable].end());
    SumTerm rest{scope, std::vector<double>(size, kInfinity)};
    Step step{variable, scope, std::vector<size_t>(size, 0)};
    struct Walk {
      const double* at;
      size_t own;                  // stride of the variable
      std::vector<size_t> others;  // strides of the scope
    };
    std::vector<Walk> walks;
    for (const SumTerm& term : mine) {
      Walk walk{term.table.data(), stride(term, variable), {}};
      for (size_t other : scope) walk.others.push_back(stride(term, other));
      walks.push_back(std::move(walk));
    }
    std::vector<size_t> value(scope.size(), 0);
    for (size_t entry = 0; entry < size; ++entry) {
      for (size_t v = 0; v < sizes_[variable]; ++v) {
        double sum = 0;
        for (const Walk& walk : walks) sum += walk.at[v * walk.own];
        if (sum < rest.table[entry]) rest.table[entry] = sum, step.best[entry] = v;
      }
      for (size_t k = scope.size(); k-- > 0;) {
        const bool wraps = ++value[k] == sizes_[scope[k]];
        for (Walk& walk : walks) {
          if (wraps)
            walk.at -= (value[k] - 1) * walk.others[k];
          else
            walk.at += walk.others[k];
        }
        if (!wraps) break;
        value[k] = 0;
      }
    }
    steps_.push_back(std::move(step));
    if (!scope.empty()) add(std::move(rest));
  }

  void fix(size_t variable) {
    const std::vector<SumTerm> mine = terms_of(variable);
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
    for (const SumTerm& term : mine) {
      SumTerm left{{}, slice(term, best)};
      for (size_t other : term.scope) {
        if (other != variable) left.scope.push_back(other);
      }
      if (!left.scope.empty()) add(std::move(left));
    }
    steps_.push_back({variable, {}, {best}});
  }

  const std::vector<size_t>& sizes_;
  const size_t limit_;
  std::vector<SumTerm> terms_;
  std::vector<std::set<size_t>> of_;      // terms, by variable
  std::vector<std::set<size_t>> around_;  // neighbours still there, by variable
  std::vector<Step> steps_;
};

}  // namespace

Minimum minimise(const std::vector<size_t>& sizes, std::vector<SumTerm> terms, size_t limit) {
  return Elimination(sizes, std::move(terms), limit).run();
}

}  // namespace foldstream
