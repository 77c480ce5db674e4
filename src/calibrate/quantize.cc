// SPDX-License-Identifier: Apache-2.0
#include "src/calibrate/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string_view>

#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/passes/streamline.h"
#include "src/util/error.h"
#include "src/util/interrupt.h"

namespace foldstream {
namespace {

constexpr size_t kMostValues = 40000;  // of one activation, kept for the choice of its scale
constexpr int kCandidates = 60;        // scales tried, from the largest magnitude down
constexpr double kLeastShare = 0.2;    // of the largest magnitude, below which none is tried

struct Range {
  int bits = 8;
  bool is_signed = true, narrow = false;

  double lowest() const { return is_signed ? -std::ldexp(1.0, bits - 1) + (narrow ? 1 : 0) : 0; }
  double highest() const { return std::ldexp(1.0, is_signed ? bits - 1 : bits) - 1; }
};

double rounded(double value, double scale, const Range& range) {
  const double code = std::nearbyint(std::clamp(value / scale, range.lowest(), range.highest()));
  return code * scale;
}

double square_error(std::span<const double> values, double scale, const Range& range) {
  double sum = 0;
  for (const double value : values) {
    const double error = value - rounded(value, scale, range);
    sum += error * error;
  }
  return sum;
}

double squares(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return sum;
}

double relative(double error, double whole) { return whole > 0 ? std::sqrt(error / whole) : 0; }

// Values that are quantized alike, and the range of their codes.
struct Member {
  std::span<const double> values;
  Range range;
};

// The scale with the least square error of all members, as a float32. Where all are 0, or so small
// that a scale for them would lose bits of its own, 1.
double best_scale(std::span<const Member> members, bool power_of_two) {
  double most = 0;  // the scale that makes the largest magnitude the highest code
  for (const Member& member : members) {
    for (const double value : member.values) {
      most = std::max(most, std::abs(value) / member.range.highest());
    }
  }
  std::set<double> scales;
  for (int i = 0; i < kCandidates; ++i) {
    double scale = most * (1 - (1 - kLeastShare) * i / (kCandidates - 1));
    if (power_of_two) scale = std::exp2(std::ceil(std::log2(scale)));
    const auto rounded = static_cast<float>(scale);
    if (std::isnormal(rounded)) scales.insert(static_cast<double>(rounded));
  }
  double best = 1, least = std::numeric_limits<double>::infinity();
  for (const double scale : scales) {
    double error = 0;
    for (const Member& member : members) error += square_error(member.values, scale, member.range);
    if (error < least) {
      best = scale;
      least = error;
    }
  }
  return best;
}

bool is(const Node& node, std::string_view op) { return node.op->name == op; }
bool is_one_of(const Node& node, std::span<const std::string_view> ops) {
  return std::ranges::find(ops, node.op->name) != ops.end();
}
bool is_quantizer(const Node& node) { return is(node, "quant") || is(node, "bipolar_quant"); }
bool is_constant(const Value& value) { return value.node->op->kind == Op::Kind::constant; }

// A product whose operand 1 is constant.
bool is_product(const Node& node) {
  const bool kind = is(node, "matmul") || is(node, "conv") || is(node, "conv_transpose");
  return kind && is_constant(node.in[1]) && node.in_type(1).is_float;
}

// Sums over places of operand 0, which hardware adds up as integers.
bool is_pool(const Node& node) {
  return is(node, "average_pool") || is(node, "reduce_mean") || is(node, "reduce_sum");
}

// Where computed values meet: operands that hardware joins as integers.
bool is_join(const Node& node) {
  constexpr std::string_view kJoins[] = {"add", "sub", "mul", "max", "min", "concat"};
  return is_one_of(node, kJoins) && node.in.size() > 1 &&
         std::ranges::none_of(node.in, is_constant);
}

// How many integers reach `value`, which is a product's result or an affine function of one; no
// number where it is neither.
double integers_before(const Value& value, const QuantizeOptions& options) {
  constexpr std::string_view kAffine[] = {
      "add", "sub", "mul", "div", "batch_normalization", "reshape", "transpose"};
  const Node* node = value.node;
  while (is_one_of(*node, kAffine)) {
    const auto computed = std::ranges::find_if_not(node->in, is_constant);
    if (std::ranges::count_if(node->in, is_constant) + 1 != std::ssize(node->in)) break;
    node = computed->node;
  }
  if (!is_product(*node)) return std::numeric_limits<double>::infinity();
  const Type &weights = node->in_type(1), &result = node->out[0];
  const int64_t rows = is(*node, "matmul") ? weights.shape.back() : result.shape[1];
  const Range of_weights{.bits = options.weight_bits, .is_signed = true, .narrow = true};
  const auto operands = static_cast<double>(weights.count() / rows);
  return operands * of_weights.highest() * std::ldexp(1.0, options.activation_bits);
}

// An activation that streamlining tries out point by point.
bool is_curve(const Node& node) {
  constexpr std::string_view kCurves[] = {"sigmoid",  "tanh", "elu",  "erf",
                                          "softplus", "abs",  "power"};
  return is_one_of(node, kCurves);
}

// Of each node that computes element by element, the nearest value that all its computed operands
// are functions of.
class Sources {
 public:
  explicit Sources(const Graph& model) {
    constexpr std::string_view kFunctions[] = {"add", "sub",  "mul",  "div",  "max",
                                               "min", "relu", "clip", "sign", "leaky_relu"};
    for (const Node& node : model.nodes) {
      if (!is_one_of(node, kFunctions) && !is_curve(node)) continue;
      if (const std::optional<Value> source = common(node)) nearest_.emplace(&node, *source);
    }
  }

  // Null where there is none.
  const Value* of(const Node& node) const {
    const auto found = nearest_.find(&node);
    return found == nearest_.end() ? nullptr : &found->second;
  }

 private:
  // `value`, what it is a function of, what that is one of, and so on.
  std::vector<Value> chain(Value value) const {
    std::vector<Value> all{value};
    while (const Value* source = of(*value.node)) all.push_back(value = *source);
    return all;
  }

  std::optional<Value> common(const Node& node) const {
    std::optional<std::vector<Value>> shared;
    for (const Value& operand : node.in) {
      if (is_constant(operand)) continue;
      std::vector<Value> own = chain(operand);
      if (!shared) {
        shared = std::move(own);
        continue;
      }
      const std::set<Value> known(own.begin(), own.end());
      std::erase_if(*shared, [&](const Value& value) { return !known.contains(value); });
    }
    if (!shared || shared->empty()) return std::nullopt;
    return shared->front();
  }

  std::map<const Node*, Value> nearest_;
};

bool one_sign(const Tensor& tensor) {
  const auto [least, most] = std::ranges::minmax(tensor.reals);
  return least >= 0 || most <= 0;
}

// Whether the value is known to rise, or to fall, with the integers of the product before it, in
// all channels: then hardware has its largest from theirs. `functions`: joins of functions of one
// value, whose order isn't known.
bool keeps_order(Value value, const std::map<const Node*, Value>& functions) {
  constexpr std::string_view kOrdered[] = {"add",     "sub",      "mul",      "div",
                                           "relu",    "clip",     "max_pool", "batch_normalization",
                                           "reshape", "transpose"};
  while (is_one_of(*value.node, kOrdered)) {
    const Node& node = *value.node;
    if (functions.contains(&node)) return false;
    if (is(node, "batch_normalization") && !one_sign(*node.tensor("scale"))) return false;
    const auto computed = std::ranges::find_if_not(node.in, is_constant);
    if (std::ranges::count_if(node.in, is_constant) + 1 != std::ssize(node.in)) return true;
    if (is(node, "mul") || is(node, "div")) {
      for (const Value& operand : node.in) {
        if (is_constant(operand) && !one_sign(*operand.node->tensor("value"))) return false;
      }
    }
    value = *computed;
  }
  return !is_curve(*value.node);
}

// Which values get a quantizer, and which of them share a scale.
class Plan {
 public:
  Plan(const Graph& model, const QuantizeOptions& options) {
    // Behind the last product nothing has to become integers.
    std::set<const Node*> before;
    for (auto node = model.nodes.rbegin(); node != model.nodes.rend(); ++node) {
      if (!is_product(*node) && !before.contains(&*node)) continue;
      for (const Value& operand : node->in) before.insert(operand.node);
    }
    const Sources sources(model);
    for (const Node& node : model.nodes) {
      if (!before.contains(&node) || !is_join(node)) continue;
      if (const Value* source = sources.of(node)) {
        functions_.emplace(&node, *source);
        look_inside(node, *source);
      }
    }
    for (const Node& node : model.nodes) {
      if (!node.out.empty() && !node.out[0].is_float) continue;
      const bool early = before.contains(&node);
      const auto many = [&](const Value& value) {
        return integers_before(value, options) > static_cast<double>(kMostTried);
      };
      if (const auto function = functions_.find(&node); function != functions_.end()) {
        if (!many(function->second)) continue;
        for (const Node* taker : takers_.at(&node)) places_.insert(taker);
        leaves(function->second, [](const Value&) {});
        continue;
      }
      const bool curve = early && is_curve(node) && !inside_.contains(&node) && many(node.in[0]);
      const bool unordered = early && is(node, "max_pool") && !keeps_order(node.in[0], functions_);
      const bool zeros = early && is(node, "pad") && node.real("value", 0) == 0;
      if (is_product(node) || (early && is_pool(node)) || curve || unordered || zeros) {
        places_.insert(&node);
        leaves(node.in[0], [](const Value&) {});
      } else if (early && is_join(node)) {
        join(node);
      }
    }
  }

  // Whether the node's computed operands are quantized.
  bool has(const Node& node) const { return places_.contains(&node); }
  bool quantizes(const Value& value) const { return group_.contains(value); }
  // Those that have the value's scale, itself included.
  const std::vector<Value>& sharing(const Value& value) const {
    return members_.at(group_.at(value));
  }
  // Whether they have one range, too: what is joined from them is the operand of a product.
  bool has_one_range(const Value& value) const { return one_range_.contains(group_.at(value)); }

 private:
  // Notes what is between a join of functions of `source` and that, and what takes it.
  void look_inside(const Node& join, const Value& source) {
    std::vector<const Node*> open{&join};
    std::set<const Node*> seen{&join};
    while (!open.empty()) {
      const Node& node = *open.back();
      open.pop_back();
      for (const Value& operand : node.in) {
        if (operand == source) {
          takers_[&join].insert(&node);
        } else if (!is_constant(operand) && seen.insert(operand.node).second) {
          inside_.insert(operand.node);
          open.push_back(operand.node);
        }
      }
    }
  }

  // The values that a quantizer is put behind so that `value` is quantized, each to `use`.
  template <class F>
  void leaves(const Value& value, const F& use) {
    if (is_constant(value) || is_quantizer(*value.node)) return;
    Value source = value;
    while (!places_.contains(source.node) &&
           (is(*source.node, "reshape") || is(*source.node, "transpose") ||
            is(*source.node, "max_pool"))) {
      source = source.node->in[0];
    }
    const Node& node = *source.node;
    if (places_.contains(&node) &&
        (is(node, "concat") || is(node, "max_pool") || is(node, "pad"))) {
      for (const Value& operand : node.in) leaves(operand, use);
      return;
    }
    if (group_.emplace(value, value).second) members_[value].push_back(value);
    use(value);
  }

  void join(const Node& node) {
    std::optional<Value> first;
    for (const Value& operand : node.in) {
      leaves(operand, [&](const Value& leaf) {
        if (is(node, "mul")) return;  // scales multiply, whatever they are
        if (first) unite(*first, leaf);
        first = leaf;
      });
    }
    places_.insert(&node);
    if (first && is(node, "concat")) one_range_.insert(group_.at(*first));
  }

  void unite(const Value& a, const Value& b) {
    const Value into = group_.at(a), from = group_.at(b);  // copies: the map changes
    if (into == from) return;
    for (const Value& member : members_.at(from)) {
      group_[member] = into;
      members_[into].push_back(member);
    }
    members_.erase(from);
    if (one_range_.erase(from) > 0) one_range_.insert(into);
  }

  // Joins of functions of one value, which they are functions of; nodes inside such functions;
  // nodes that take the value.
  std::map<const Node*, Value> functions_;
  std::set<const Node*> inside_;
  std::map<const Node*, std::set<const Node*>> takers_;
  std::set<const Node*> places_;
  std::map<Value, Value> group_;                 // of each quantized value: the name of its group
  std::map<Value, std::vector<Value>> members_;  // in the order of the model
  std::set<Value> one_range_;
};

// Some of the values that each quantized one had, and whether any was negative.
class Observations {
 public:
  explicit Observations(const Plan& plan) : plan_(plan) {}

  void see(const Node& node, const std::vector<Tensor>& results, size_t samples) {
    for (size_t port = 0; port < results.size(); ++port) {
      const Value value{const_cast<Node*>(&node), static_cast<int>(port)};
      if (!plan_.quantizes(value)) continue;
      Seen& seen = seen_[value];
      const std::vector<double>& reals = results[port].reals;
      for (const double real : reals) {
        if (!std::isfinite(real)) {
          throw Error(fmt::format("{}: gives {} for one of the samples", describe(node), real),
                      "check the weights, and what samples are divided by (--scale)");
        }
        seen.negative = seen.negative || real < 0;
      }
      // As many from each sample: one from each of equal stretches, at a place that repeats with no
      // axis.
      const size_t wanted = std::max<size_t>(1, kMostValues / samples);
      const size_t stretch = std::max<size_t>(1, reals.size() / wanted);
      for (size_t i = 0; i < reals.size(); i += stretch) {
        const size_t at = i + random_() % std::min(stretch, reals.size() - i);
        seen.values.push_back(reals[at]);
      }
    }
  }

  const std::vector<double>& of(const Value& value) const { return seen_.at(value).values; }
  bool negative(const Value& value) const { return seen_.at(value).negative; }

 private:
  struct Seen {
    std::vector<double> values;
    bool negative = false;
  };
  const Plan& plan_;
  std::map<Value, Seen> seen_;
  std::mt19937 random_;  // of one seed, the same on every machine
};

class Quantizing {
 public:
  Quantizing(const Graph& model, const Plan& plan, const Observations& observations,
             const QuantizeOptions& options)
      : model_(model), plan_(plan), observations_(observations), options_(options) {}

  QuantizedModel run() {
    result_.graph.name = model_.name;
    for (const Node& node : model_.nodes) copy(node);
    for (const Output& output : model_.outputs) {
      result_.graph.outputs.push_back({output.name, copied(output.value)});
    }
    result_.graph.remove_dead();
    return std::move(result_);
  }

 private:
  Value copied(const Value& value) const { return {copies_.at(value.node), value.port}; }

  void copy(const Node& node) {
    std::vector<Value> in;
    for (const Value& operand : node.in) {
      const bool quantized = plan_.has(node) && plan_.quantizes(operand);
      in.push_back(quantized ? activation(operand) : copied(operand));
    }
    if (is_product(node)) in[1] = weights(node, in[1]);
    copies_[&node] = &result_.graph.add(*node.op, std::move(in), node.name, node.attr, node.data);
  }

  Value quant(Value x, const std::string& name, const Range& range, Tensor scale) {
    return {&result_.graph.add(require_op("quant"), {x}, name,
                               {{"bits", int64_t{range.bits}},
                                {"signed", int64_t{range.is_signed}},
                                {"narrow", int64_t{range.narrow}},
                                {"rounding", std::string("ROUND")}},
                               {{"scale", std::move(scale)}, {"zero", make_floats({}, {0})}}),
            0};
  }

  Range range_of(const Value& value) const {
    bool is_signed = observations_.negative(value);
    for (const Value& other : plan_.sharing(value)) {
      is_signed = is_signed || (plan_.has_one_range(value) && observations_.negative(other));
    }
    return {.bits = options_.activation_bits, .is_signed = is_signed, .narrow = false};
  }

  Value activation(const Value& value) {
    Value& shared = activations_[value];
    if (shared) return shared;
    std::vector<Member> members;
    for (const Value& member : plan_.sharing(value)) {
      members.push_back({observations_.of(member), range_of(member)});
    }
    const double scale = best_scale(members, options_.power_of_two);
    const Range range = range_of(value);
    const std::vector<double>& values = observations_.of(value);
    result_.activations.push_back(
        {.name = value.node->name,
         .scale = scale,
         .is_signed = range.is_signed,
         .error = relative(square_error(values, scale, range), squares(values))});
    return shared =
               quant(copied(value), value.node->name + "_quant", range, make_floats({}, {scale}));
  }

  // One scale a row of the result: the first axis of a convolution's weights, the second of a
  // transposed one's, the last of a matrix. One scale where groups share these rows.
  Value weights(const Node& node, Value w) {
    const Tensor& tensor = *node.in[1].node->tensor("value");
    const Shape& shape = tensor.type.shape;
    const bool turned = is(node, "conv_transpose");
    const size_t axis = is(node, "conv") ? 0 : turned ? 1 : shape.size() - 1;
    const int64_t count = turned && node.integer("groups", 1) > 1 ? 1 : shape[axis];
    int64_t inner = 1;
    for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
    const Range range{.bits = options_.weight_bits, .is_signed = true, .narrow = true};
    std::vector<std::vector<double>> rows(count);
    for (int64_t i = 0; i < tensor.count(); ++i) {
      rows[i / inner % count].push_back(tensor.reals[i]);
    }
    std::vector<double> scales;
    double error = 0;
    for (const std::vector<double>& row : rows) {
      const Member member{row, range};
      scales.push_back(best_scale(std::span(&member, 1), options_.power_of_two));
      error += square_error(row, scales.back(), range);
    }
    result_.weights.push_back({node.name, relative(error, squares(tensor.reals))});
    Shape scale_shape(shape.size(), 1);
    scale_shape[axis] = count;
    return quant(w, node.name + "_weights", range, make_floats(scale_shape, std::move(scales)));
  }

  const Graph& model_;
  const Plan& plan_;
  const Observations& observations_;
  const QuantizeOptions& options_;
  QuantizedModel result_;
  std::map<const Node*, Node*> copies_;
  std::map<Value, Value> activations_;
};

}  // namespace

QuantizedModel quantize_model(const Graph& source, const std::vector<Tensor>& samples,
                              const QuantizeOptions& options) {
  Graph model = source.clone();
  for (Node& node : model.nodes) fold_constant(node);
  model.remove_dead();
  if (std::none_of(model.nodes.begin(), model.nodes.end(), is_product)) {
    throw Error("the model has no matrix product or convolution by float weights",
                "a model with quantizers is built as it is");
  }
  const Plan plan(model, options);
  Observations observations(plan);
  const Evaluator evaluator(model);
  for (const Tensor& sample : samples) {
    check_interrupt();
    evaluator.run(std::span(&sample, 1), [&](const Node& node, const std::vector<Tensor>& results) {
      observations.see(node, results, samples.size());
    });
  }
  return Quantizing(model, plan, observations, options).run();
}

}  // namespace foldstream
