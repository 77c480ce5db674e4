// SPDX-License-Identifier: Apache-2.0
#include "src/arith/dot.h"

#include <gtest/gtest.h>

#include <set>

namespace foldstream::arith {
namespace {

TEST(Dot, ConstantsDifferWhereTheyDependOnWeights) {
  const std::vector<Type> weights = {
      {Coding::kUnsigned, 3}, {Coding::kSigned, 3}, {Coding::kBipolar, 1}, {Coding::kTernary, 2}};
  const std::vector<Type> activations = {
      {Coding::kUnsigned, 2}, {Coding::kSigned, 2}, {Coding::kBipolar, 1}};
  for (const Type& weight : weights) {
    for (const Type& activation : activations) {
      SCOPED_TRACE(weight.text() + " times " + activation.text());
      DotSpec spec;
      spec.rows = spec.lanes = 1;
      spec.weight = weight, spec.activation = activation;
      const Dot dot(spec);
      std::set<std::int64_t> constants;
      for (std::int64_t w = weight.minimum(); w <= weight.maximum(); ++w) {
        if (weight.holds(w)) constants.insert(dot.row_constant(std::vector<std::int64_t>{w}));
      }
      EXPECT_EQ(constants.size() > 1, constant_depends_on_weights(spec));
    }
  }
}

}  // namespace
}  // namespace foldstream::arith
