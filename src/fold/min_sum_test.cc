// SPDX-License-Identifier: Apache-2.0
#include "src/fold/min_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

namespace foldstream {
namespace {

struct Term {
  MinSum::Scope scope;
  MinSum::Table table;
};

Minimum minimise(const std::vector<size_t>& sizes, const std::vector<Term>& terms, size_t limit,
                 bool with_excess = false) {
  std::vector<MinSum::Scope> scopes;
  std::vector<MinSum::Table> tables;
  for (const Term& term : terms) scopes.push_back(term.scope), tables.push_back(term.table);
  return MinSum(sizes, scopes, limit).minimise(tables, with_excess);
}

double sum_of(const std::vector<size_t>& sizes, const std::vector<Term>& terms,
              const std::vector<size_t>& value) {
  double sum = 0;
  for (const Term& term : terms) {
    size_t entry = 0;
    for (size_t v : term.scope) entry = entry * sizes[v] + value[v];
    sum += term.table[entry];
  }
  return sum;
}

double brute_force(const std::vector<size_t>& sizes, const std::vector<Term>& terms) {
  double best = std::numeric_limits<double>::infinity();
  std::vector<size_t> value(sizes.size(), 0);
  while (true) {
    best = std::min(best, sum_of(sizes, terms, value));
    size_t v = 0;
    while (v < sizes.size() && ++value[v] == sizes[v]) value[v++] = 0;
    if (v == sizes.size()) return best;
  }
}

struct Problem {
  std::vector<size_t> sizes;
  std::vector<Term> terms;
};

Problem random_problem(std::mt19937& random) {
  Problem problem;
  for (unsigned n = 2 + random() % 5; n > 0; --n) problem.sizes.push_back(1 + random() % 4);
  for (unsigned n = 1 + random() % 9; n > 0; --n) {
    Term term;
    size_t entries = 1;
    for (size_t v = problem.sizes.size(); v-- > 0;) {
      if (random() % 3 != 0 || term.scope.size() == 3) continue;
      term.scope.push_back(v);
      entries *= problem.sizes[v];
    }
    if (term.scope.empty()) continue;
    for (size_t e = 0; e < entries; ++e) term.table.push_back(static_cast<double>(random() % 100));
    problem.terms.push_back(std::move(term));
  }
  return problem;
}

TEST(MinSum, EqualsBruteForce) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 500; ++trial) {
    const Problem problem = random_problem(random);
    const Minimum found = minimise(problem.sizes, problem.terms, 1000);
    EXPECT_TRUE(found.exact);
    EXPECT_EQ(sum_of(problem.sizes, problem.terms, found.value),
              brute_force(problem.sizes, problem.terms));
  }
}

// What minimise says that each entry costs more is what holding its variables there costs more.
TEST(MinSum, ExcessEqualsBruteForce) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 300; ++trial) {
    const Problem problem = random_problem(random);
    const Minimum found = minimise(problem.sizes, problem.terms, 1000, true);
    EXPECT_EQ(found.sum, brute_force(problem.sizes, problem.terms));
    ASSERT_EQ(found.excess.size(), problem.terms.size());
    for (size_t t = 0; t < problem.terms.size(); ++t) {
      for (size_t e = 0; e < problem.terms[t].table.size(); ++e) {
        Problem held = problem;
        Term only{problem.terms[t].scope, std::vector<double>(problem.terms[t].table.size(), 1e6)};
        only.table[e] = 0;
        held.terms.push_back(only);
        EXPECT_EQ(found.excess[t][e], brute_force(held.sizes, held.terms) - found.sum);
      }
    }
  }
}

TEST(MinSum, TooLargeTablesGiveAnAnswerThatSaysSo) {
  std::mt19937 random(2);
  int inexact = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const Problem problem = random_problem(random);
    const Minimum found = minimise(problem.sizes, problem.terms, 2);
    const double best = brute_force(problem.sizes, problem.terms);
    EXPECT_GE(sum_of(problem.sizes, problem.terms, found.value), best);
    if (found.exact) {
      EXPECT_EQ(sum_of(problem.sizes, problem.terms, found.value), best);
    }
    inexact += found.exact ? 0 : 1;
  }
  EXPECT_GT(inexact, 20);
}

TEST(MinSum, WhatIsImpossibleIsNotChosen) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  // The first variable would rather be 0, but has no value of the second for that.
  const std::vector<Term> terms{{{0, 1}, {kNever, kNever, 2, kNever}}, {{0}, {0, 5}}};
  for (size_t limit : {size_t{1}, size_t{100}})
    EXPECT_EQ(minimise({2, 2}, terms, limit).value, (std::vector<size_t>{1, 0}));
}

}  // namespace
}  // namespace foldstream
