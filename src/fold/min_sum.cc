// SPDX-License-Identifier: Apache-2.0
#include "src/fold/min_sum.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>

namespace foldstream {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

MinSum::MinSum(std::vector<size_t> sizes, std::vector<Scope> scopes, size_t limit)
    : sizes_(std::move(sizes)), scopes_(std::move(scopes)), given_(scopes_.size()) {
  std::vector<std::set<size_t>> around(sizes_.size());  // neighbours still there, by variable
  for (const Scope& scope : scopes_) {
    for (const size_t v : scope) around[v].insert(scope.begin(), scope.end());
  }
  for (size_t v = 0; v < sizes_.size(); ++v) around[v].erase(v);
  // Up to the first product above the limit.
  const auto entries = [&](const std::set<size_t>& variables) {
    size_t product = 1;
    for (const size_t v : variables) {
      if (product > limit) break;
      product *= sizes_[v];
    }
    return product;
  };
  std::vector<char> gone(sizes_.size(), 0), functions_gone;
  for (size_t round = 0; round < sizes_.size(); ++round) {
    // The one with the smallest table next.
    size_t next = 0, smallest = SIZE_MAX;
    for (size_t v = 0; v < sizes_.size(); ++v) {
      if (gone[v] != 0) continue;
      const size_t size = entries(around[v]);
      if (size < smallest) smallest = size, next = v;
    }
    gone[next] = 1;
    const bool is_fixed = smallest > limit;
    exact_ = exact_ && !is_fixed;
    if (!is_fixed) work_ += static_cast<int64_t>(smallest * sizes_[next]);
    eliminate(next, is_fixed, {around[next].begin(), around[next].end()}, functions_gone);
    for (const size_t other : around[next]) {
      around[other].erase(next);
      if (is_fixed) continue;
      around[other].insert(around[next].begin(), around[next].end());
      around[other].erase(other);
    }
  }
}

// Entries between neighbouring values of a variable in the table of a scope; 0 where it isn't.
size_t MinSum::stride(const Scope& scope, size_t variable) const {
  size_t step = 1;
  for (size_t k = scope.size(); k-- > 0; step *= sizes_[scope[k]]) {
    if (scope[k] == variable) return step;
  }
  return 0;
}

void MinSum::eliminate(size_t variable, bool is_fixed, const Scope& around,
                       std::vector<char>& gone) {
  Step step{variable, is_fixed, is_fixed ? Scope{} : around, {}, {}};
  gone.resize(scopes_.size(), 0);
  for (size_t f = 0; f < scopes_.size(); ++f) {
    const size_t mine = stride(scopes_[f], variable);
    if (gone[f] != 0 || mine == 0) continue;
    gone[f] = 1;
    Part part{f, {}, mine};
    for (const size_t other : step.scope) part.strides.push_back(stride(scopes_[f], other));
    step.parts.push_back(std::move(part));
  }
  const auto leave = [&](Scope scope) {
    step.rest.push_back(scope.empty() ? SIZE_MAX : scopes_.size());
    if (!scope.empty()) scopes_.push_back(std::move(scope));
  };
  if (is_fixed) {
    for (const Part& part : step.parts) {
      Scope scope = scopes_[part.function];
      std::erase(scope, variable);
      leave(std::move(scope));
    }
  } else {
    leave(step.scope);
  }
  steps_.push_back(std::move(step));
}

// Walks over all combinations of values of the scope of a step, the last running fastest, with a
// position in the table of each part: visit(entry, positions).
template <class Visit>
void MinSum::walk(const Step& step, const Visit& visit) const {
  const Scope& scope = step.scope;
  std::vector<size_t> at(step.parts.size(), 0), value(scope.size(), 0);
  for (size_t entry = 0;; ++entry) {
    visit(entry, at);
    size_t k = scope.size();
    while (k-- > 0) {
      const bool wraps = ++value[k] == sizes_[scope[k]];
      for (size_t i = 0; i < at.size(); ++i) {
        const size_t stride = step.parts[i].strides[k];
        if (wraps)
          at[i] -= (value[k] - 1) * stride;
        else
          at[i] += stride;
      }
      if (!wraps) break;
      value[k] = 0;
    }
    if (k == SIZE_MAX) return;
  }
}

std::vector<MinSum::Table> MinSum::replaced(const Step& step, const Given& tables,
                                            std::vector<size_t>& best) const {
  size_t entries = 1;
  for (const size_t v : step.scope) entries *= sizes_[v];
  Table rest(entries, kInfinity);
  best.assign(entries, 0);
  Table sums(sizes_[step.variable]);
  walk(step, [&](size_t entry, const std::vector<size_t>& at) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (size_t i = 0; i < at.size(); ++i) {
      const double* const table = tables[step.parts[i].function]->data() + at[i];
      const size_t stride = step.parts[i].stride;
      for (size_t v = 0; v < sums.size(); ++v) sums[v] += table[v * stride];
    }
    for (size_t v = 0; v < sums.size(); ++v) {
      if (sums[v] < rest[entry]) rest[entry] = sums[v], best[entry] = v;
    }
  });
  return {std::move(rest)};
}

std::vector<MinSum::Table> MinSum::fixed(const Step& step, const Given& tables,
                                         std::vector<size_t>& best) const {
  // The entries of a part with the variable at v, in the order of the others.
  const auto slice = [&](const Part& part, size_t v) {
    const Table& table = *tables[part.function];
    Table entries;
    for (size_t base = 0; base < table.size(); base += part.stride * sizes_[step.variable]) {
      const auto first = table.begin() + static_cast<std::ptrdiff_t>(base + v * part.stride);
      entries.insert(entries.end(), first, first + static_cast<std::ptrdiff_t>(part.stride));
    }
    return entries;
  };
  best = {0};
  double least = kInfinity;
  for (size_t v = 0; v < sizes_[step.variable]; ++v) {
    double sum = 0;
    for (const Part& part : step.parts) {
      const Table entries = slice(part, v);
      sum += *std::min_element(entries.begin(), entries.end());
    }
    if (sum < least) least = sum, best = {v};
  }
  std::vector<Table> rest;
  for (const Part& part : step.parts) rest.push_back(slice(part, best[0]));
  return rest;
}

Minimum MinSum::minimise(const std::vector<Table>& tables, bool with_excess) const {
  Minimum result;
  result.exact = exact_;
  Given all(scopes_.size(), nullptr);
  for (size_t f = 0; f < given_; ++f) all[f] = &tables[f];
  std::vector<Table> made(scopes_.size() - given_);
  std::vector<std::vector<size_t>> best(steps_.size());
  std::vector<double> alone(steps_.size(), 0);  // the least of what depends on no other variable
  for (size_t s = 0; s < steps_.size(); ++s) {
    const Step& step = steps_[s];
    std::vector<Table> rest =
        step.is_fixed ? fixed(step, all, best[s]) : replaced(step, all, best[s]);
    for (size_t r = 0; r < rest.size(); ++r) {
      const size_t function = step.rest[r];
      if (function == SIZE_MAX) {
        alone[s] += rest[r][0];
        continue;
      }
      made[function - given_] = std::move(rest[r]);
      all[function] = &made[function - given_];
    }
    result.sum += alone[s];
  }
  result.value.assign(sizes_.size(), 0);
  for (size_t s = steps_.size(); s-- > 0;) {
    size_t entry = 0;
    for (const size_t other : steps_[s].scope) entry = entry * sizes_[other] + result.value[other];
    result.value[steps_[s].variable] = best[s][entry];
  }
  if (with_excess && exact_) result.excess = excess(all, alone);
  return result;
}

// From the variable eliminated last to the first: what a step's functions hold and what the rest of
// the graph adds to that, for every combination of the values of the variable and its scope.
std::vector<MinSum::Table> MinSum::excess(const Given& tables,
                                          const std::vector<double>& alone) const {
  std::vector<Table> result(tables.size());
  for (size_t f = 0; f < tables.size(); ++f) result[f].assign(tables[f]->size(), kInfinity);
  for (size_t s = steps_.size(); s-- > 0;) {
    const Step& step = steps_[s];
    const size_t rest = step.rest[0];
    walk(step, [&](size_t entry, const std::vector<size_t>& at) {
      // How much dearer the rest of the graph is than at its best; nothing is, where all is here.
      double more = -alone[s];
      if (rest != SIZE_MAX) {
        const double best = (*tables[rest])[entry];
        if (best == kInfinity) return;
        more = result[rest][entry] - best;
      }
      for (size_t v = 0; v < sizes_[step.variable]; ++v) {
        double sum = 0;
        for (size_t i = 0; i < at.size(); ++i)
          sum += (*tables[step.parts[i].function])[at[i] + v * step.parts[i].stride];
        if (!(sum + more < kInfinity)) continue;
        for (size_t i = 0; i < at.size(); ++i) {
          double& least = result[step.parts[i].function][at[i] + v * step.parts[i].stride];
          least = std::min(least, std::max(sum + more, 0.0));
        }
      }
    });
  }
  result.resize(given_);
  return result;
}

}  // namespace foldstream
