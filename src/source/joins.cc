// SPDX-License-Identifier: Apache-2.0
#include "src/source/joins.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "src/ir/op.h"
#include "src/source/linear.h"

namespace foldstream {
namespace {

// Every operand as integers times scales plus bias; false, and the node kept, where one isn't.
bool take_operands(Lowering& lowering, std::vector<Traced>& operands) {
  for (size_t port = 0; port < lowering.node().in.size(); ++port) {
    const std::optional<Traced> traced = lowering.affine(port);
    if (!traced || !traced->is_integer()) {
      lowering.keep(fmt::format("operand {} is not integers times a scale", port),
                    "quantize every operand before they meet");
      return false;
    }
    operands.push_back(*traced);
  }
  return true;
}

bool take_pair(Lowering& lowering, std::vector<Traced>& operands) {
  if (!take_operands(lowering, operands)) return false;
  if (operands[0].shape != operands[1].shape) {
    lowering.keep(fmt::format("its operands have shapes {} and {}", to_string(operands[0].shape),
                              to_string(operands[1].shape)),
                  "give both branches one shape");
    return false;
  }
  if (operands[0].axis >= 0 && operands[1].axis >= 0 && operands[0].axis != operands[1].axis) {
    lowering.keep("the scales of its operands vary along different axes",
                  "use scales along one channel axis");
    return false;
  }
  return true;
}

// The order in which streams meet: that of the first operand that lies otherwise than its value.
std::vector<int> common_order(const std::vector<Traced>& operands) {
  for (const Traced& traced : operands) {
    std::vector<int> order = present_order(traced);
    if (!std::is_sorted(order.begin(), order.end())) return order;
  }
  return natural_order(operands[0].shape.size());
}

std::vector<Value> in_order(Lowering& lowering, const std::vector<Traced>& operands,
                            const std::vector<int>& order) {
  std::vector<Value> streams;
  for (const Traced& traced : operands) streams.push_back(lowering.ordered(traced, order));
  return streams;
}

int64_t entries(const std::vector<Traced>& operands) {
  size_t most = 1;
  for (const Traced& traced : operands) {
    most = std::max(
        {most, traced.scale.size(), traced.bias.size(), traced.lo.size(), traced.hi.size()});
  }
  return static_cast<int64_t>(most);
}

Value add_eltwise(Lowering& lowering, std::vector<Value> streams, const std::string& function,
                  std::map<std::string, Tensor, std::less<>> data = {}) {
  return {&lowering.target().add(require_op("eltwise"), std::move(streams), lowering.node().name,
                                 {{"function", function}}, std::move(data)),
          0};
}

}  // namespace

void lower_sum(Lowering& lowering, int64_t sign) {
  std::vector<Traced> operands;
  if (!take_pair(lowering, operands)) return;
  const Traced &a = operands[0], &b = operands[1];
  const int64_t channels = entries(operands);
  std::vector<int64_t> factors(2 * channels);
  Traced result;
  for (int64_t c = 0; c < channels; ++c) {
    const double second = static_cast<double>(sign) * entry(b.scale, c);
    const auto unit = common_unit({entry(a.scale, c), second});
    if (!unit) {
      return lowering.keep(
          fmt::format("its operands have scales {} and {}, which share no unit", entry(a.scale, c),
                      entry(b.scale, c)),
          "quantize both branches with one scale, or with scales that are multiples of one");
    }
    const int64_t f = unit->second[0], g = unit->second[1];
    factors[c] = f, factors[channels + c] = g;
    result.scale.resize(channels), result.bias.resize(channels);
    result.lo.resize(channels), result.hi.resize(channels);
    result.scale[c] = unit->first;
    result.bias[c] = entry(a.bias, c) + static_cast<double>(sign) * entry(b.bias, c);
    const auto [a0, a1] = std::minmax({f * entry(a.lo, c), f * entry(a.hi, c)});
    const auto [b0, b1] = std::minmax({g * entry(b.lo, c), g * entry(b.hi, c)});
    result.lo[c] = a0 + b0, result.hi[c] = a1 + b1;
  }
  const int64_t* f = factors.data();
  const bool uniform =
      std::all_of(f, f + channels, [&](int64_t v) { return v == f[0]; }) &&
      std::all_of(f + channels, f + 2 * channels, [&](int64_t v) { return v == f[channels]; });
  if (uniform) factors = {factors[0], factors[channels]};
  result.axis = std::max(a.axis, b.axis);
  std::vector<int> order = common_order(operands);
  if (!uniform && order.back() != result.axis) {
    order.erase(std::find(order.begin(), order.end(), result.axis));
    order.push_back(result.axis);
  }
  std::map<std::string, Tensor, std::less<>> data;
  if (factors != std::vector<int64_t>{1, 1}) {
    const Shape shape = uniform ? Shape{2} : Shape{2, channels};
    data["factors"] = make_ints(shape, std::move(factors));
  }
  result.layout = layout_of(a.shape, order);
  result.q = add_eltwise(lowering, in_order(lowering, operands, order), "add", std::move(data));
  lowering.set(0, std::move(result));
}

void lower_product(Lowering& lowering) {
  std::vector<Traced> operands;
  if (!take_pair(lowering, operands)) return;
  const int64_t channels = entries(operands);
  Traced result;
  result.scale.resize(channels), result.lo.resize(channels), result.hi.resize(channels);
  for (int64_t c = 0; c < channels; ++c) {
    const Traced &a = operands[0], &b = operands[1];
    if (entry(a.bias, c) != 0 || entry(b.bias, c) != 0) {
      return lowering.keep("zero is not the integer 0 of both its operands",
                           "quantize both operands without a zero point");
    }
    result.scale[c] = entry(a.scale, c) * entry(b.scale, c);
    const auto [lo, hi] =
        std::minmax({entry(a.lo, c) * entry(b.lo, c), entry(a.lo, c) * entry(b.hi, c),
                     entry(a.hi, c) * entry(b.lo, c), entry(a.hi, c) * entry(b.hi, c)});
    result.lo[c] = lo, result.hi[c] = hi;
  }
  result.axis = std::max(operands[0].axis, operands[1].axis);
  const std::vector<int> order = common_order(operands);
  result.layout = layout_of(operands[0].shape, order);
  result.q = add_eltwise(lowering, in_order(lowering, operands, order), "mul");
  lowering.set(0, std::move(result));
}

void lower_extreme(Lowering& lowering, const std::string& function) {
  std::vector<Traced> operands;
  if (!take_pair(lowering, operands)) return;
  const Traced &a = operands[0], &b = operands[1];
  const int64_t channels = entries(operands);
  Traced result = a;
  result.lo.resize(channels), result.hi.resize(channels);
  for (int64_t c = 0; c < channels; ++c) {
    if (entry(a.scale, c) != entry(b.scale, c) || entry(a.bias, c) != entry(b.bias, c) ||
        entry(a.scale, c) <= 0) {
      return lowering.keep("its operands have different scales",
                           "quantize both branches with one scale");
    }
    const auto choose = [&](int64_t x, int64_t y) {
      return function == "max" ? std::max(x, y) : std::min(x, y);
    };
    result.lo[c] = choose(entry(a.lo, c), entry(b.lo, c));
    result.hi[c] = choose(entry(a.hi, c), entry(b.hi, c));
  }
  result.axis = std::max(a.axis, b.axis);
  const std::vector<int> order = common_order(operands);
  result.layout = layout_of(a.shape, order);
  result.q = add_eltwise(lowering, in_order(lowering, operands, order), function);
  lowering.set(0, std::move(result));
}

void lower_concat(Lowering& lowering, int axis) {
  std::vector<Traced> operands;
  if (!take_operands(lowering, operands)) return;
  Traced result;
  int other = -1;  // an axis with vectors that the operands share
  for (const Traced& traced : operands) {
    if (traced.axis >= 0 && traced.axis != axis) other = traced.axis;
  }
  if (other >= 0) {
    const int64_t channels = operands[0].shape[other];
    result.scale.resize(channels), result.bias.resize(channels);
    result.lo.resize(channels), result.hi.resize(channels);
    for (int64_t c = 0; c < channels; ++c) {
      const Traced& first = operands[0];
      result.scale[c] = entry(first.scale, c), result.bias[c] = entry(first.bias, c);
      result.lo[c] = entry(first.lo, c), result.hi[c] = entry(first.hi, c);
      for (const Traced& traced : operands) {
        if (traced.axis == axis || entry(traced.scale, c) != result.scale[c] ||
            entry(traced.bias, c) != result.bias[c]) {
          return lowering.keep("the scales of its operands differ along another axis",
                               "quantize with one scale before they meet");
        }
        result.lo[c] = std::min(result.lo[c], entry(traced.lo, c));
        result.hi[c] = std::max(result.hi[c], entry(traced.hi, c));
      }
    }
    result.axis = other;
  } else {
    result.scale.clear(), result.bias.clear(), result.lo.clear(), result.hi.clear();
    for (const Traced& traced : operands) {
      for (int64_t c = 0; c < traced.shape[axis]; ++c) {
        result.scale.push_back(entry(traced.scale, c)),
            result.bias.push_back(entry(traced.bias, c));
        result.lo.push_back(entry(traced.lo, c)), result.hi.push_back(entry(traced.hi, c));
      }
    }
    result.axis = axis;
    const auto one_for_all = [](const auto& values) {
      return std::all_of(values.begin(), values.end(),
                         [&](const auto& v) { return v == values[0]; });
    };
    if (one_for_all(result.scale) && one_for_all(result.bias)) {
      result.scale.resize(1), result.bias.resize(1);
      result.lo = {*std::min_element(result.lo.begin(), result.lo.end())};
      result.hi = {*std::max_element(result.hi.begin(), result.hi.end())};
      result.axis = -1;
    }
  }
  const std::vector<int> order = common_order(operands);
  const int64_t dimension = std::find(order.begin(), order.end(), axis) - order.begin();
  result.layout = layout_of(lowering.node().out[0].shape, order);
  result.q = {
      &lowering.target().add(require_op("concat_streams"), in_order(lowering, operands, order),
                             lowering.node().name, {{"axis", dimension}}),
      0};
  lowering.set(0, std::move(result));
}

void lower_split(Lowering& lowering, int axis, const std::vector<int64_t>& sizes) {
  const Traced operand = lowering.in(0);
  if (!operand.is_integer()) return lowering.keep("its operand is constant", "");
  const std::vector<int> order = common_order({operand});
  const int64_t dimension = std::find(order.begin(), order.end(), axis) - order.begin();
  const Node& node = lowering.node();
  Node& split =
      lowering.target().add(require_op("split_stream"), {lowering.ordered(operand, order)},
                            node.name, {{"axis", dimension}, {"sizes", sizes}});
  int64_t first = 0;
  for (size_t port = 0; port < sizes.size(); ++port) {
    Traced part = operand;
    part.q = {&split, static_cast<int>(port)};
    part.layout = layout_of(node.out[port].shape, order);
    if (operand.axis == axis) cut_vectors(part, first, first + sizes[port]);
    first += sizes[port];
    lowering.set(port, std::move(part));
  }
}

}  // namespace foldstream
