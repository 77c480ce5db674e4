// SPDX-License-Identifier: Apache-2.0
#include "src/source/expression.h"

#include <string>
#include <utility>

#include "src/ir/op.h"

namespace foldstream {

Value Expression::apply(std::string_view op, std::vector<Value> in, std::string_view part) const {
  const std::string name = part.empty() ? source_.name : source_.name + "_" + std::string(part);
  return {&graph_.add(require_op(op), std::move(in), name), 0};
}

Value Expression::number(double value, std::string_view part) const {
  return {&graph_.add(require_op("constant"), {}, source_.name + "_" + std::string(part), {},
                      {{"value", make_floats({}, {value})}}),
          0};
}

}  // namespace foldstream
