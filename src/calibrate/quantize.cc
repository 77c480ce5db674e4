// SPDX-License-Identifier: Apache-2.0
#include "src/calibrate/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <span>

#include "src/ir/eval.h"
#include "src/ir/op.h"
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

// The scale with the least square error, as a float32.
double best_scale(std::span<const double> values, const Range& range, bool power_of_two) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  if (most == 0) return 1;
  std::set<double> scales;
  for (int i = 0; i < kCandidates; ++i) {
    const double share = 1 - (1 - kLeastShare) * i / (kCandidates - 1);
    double scale = most * share / range.highest();
    if (power_of_two) scale = std::exp2(std::ceil(std::log2(scale)));
    scales.insert(static_cast<double>(static_cast<float>(scale)));
  }
  double best = 0, least = 0;
  for (const double scale : scales) {
    const double error = square_error(values, scale, range);
    if (best == 0 || error < least) {
      best = scale;
      least = error;
    }
  }
  return best;
}

bool is_quantizer(const Node& node) {
  return node.op == &require_op("quant") || node.op == &require_op("bipolar_quant");
}

// A product whose operand 1 is constant.
bool is_product(const Node& node) {
  const bool kind = node.op == &require_op("matmul") || node.op == &require_op("conv");
  return kind && node.in[1].node->op->kind == Op::Kind::constant && node.in_type(1).is_float;
}

// Some of the values that each quantized operand had.
class Observations {
 public:
  explicit Observations(const Graph& model) {
    for (const Node& node : model.nodes) {
      if (is_product(node) && !is_quantizer(*node.in[0].node)) values_[node.in[0]];
    }
  }

  void see(const Node& node, const std::vector<Tensor>& results, size_t samples) {
    for (size_t port = 0; port < results.size(); ++port) {
      const auto found = values_.find({const_cast<Node*>(&node), static_cast<int>(port)});
      if (found == values_.end()) continue;
      const std::vector<double>& reals = results[port].reals;
      // As many from each sample, evenly spread.
      const size_t wanted = std::max<size_t>(1, kMostValues / samples);
      const size_t stride = std::max<size_t>(1, reals.size() / wanted);
      for (size_t i = 0; i < reals.size(); i += stride) found->second.push_back(reals[i]);
    }
  }

  const std::vector<double>& of(const Value& value) const { return values_.at(value); }

 private:
  std::map<Value, std::vector<double>> values_;
};

class Quantizing {
 public:
  Quantizing(const Graph& model, const Observations& observations, const QuantizeOptions& options)
      : model_(model), observations_(observations), options_(options) {}

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
    for (const Value& operand : node.in) in.push_back(copied(operand));
    if (is_product(node)) {
      QuantizedProduct product;
      product.name = node.name;
      if (!is_quantizer(*node.in[0].node)) in[0] = activation(node, in[0], product);
      in[1] = weights(node, in[1], product);
      result_.products.push_back(product);
    }
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

  Value activation(const Node& node, Value x, QuantizedProduct& product) {
    const std::vector<double>& values = observations_.of(node.in[0]);
    const bool is_signed =
        std::any_of(values.begin(), values.end(), [](double v) { return v < 0; });
    const Range range{.bits = options_.activation_bits, .is_signed = is_signed, .narrow = false};
    const double scale = best_scale(values, range, options_.power_of_two);
    product.activation_scale = scale;
    product.activation_signed = is_signed;
    product.activation_error = relative(square_error(values, scale, range), squares(values));
    Value& shared = activations_[node.in[0]];
    if (!shared) shared = quant(x, node.name + "_operand", range, make_floats({}, {scale}));
    return shared;
  }

  // One scale a row of the result: the first axis of a convolution's weights, the last of a matrix.
  Value weights(const Node& node, Value w, QuantizedProduct& product) {
    const Tensor& tensor = *node.in[1].node->tensor("value");
    const Shape& shape = tensor.type.shape;
    const size_t axis = node.op == &require_op("conv") ? 0 : shape.size() - 1;
    int64_t inner = 1;
    for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
    const Range range{.bits = options_.weight_bits, .is_signed = true, .narrow = true};
    std::vector<std::vector<double>> rows(shape[axis]);
    for (int64_t i = 0; i < tensor.count(); ++i) {
      rows[i / inner % shape[axis]].push_back(tensor.reals[i]);
    }
    std::vector<double> scales;
    double error = 0;
    for (const std::vector<double>& row : rows) {
      scales.push_back(best_scale(row, range, options_.power_of_two));
      error += square_error(row, scales.back(), range);
    }
    product.weight_error = relative(error, squares(tensor.reals));
    Shape scale_shape(shape.size(), 1);
    scale_shape[axis] = shape[axis];
    return quant(w, node.name + "_weights", range, make_floats(scale_shape, std::move(scales)));
  }

  const Graph& model_;
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
  Observations observations(model);
  const Evaluator evaluator(model);
  for (const Tensor& sample : samples) {
    check_interrupt();
    evaluator.run(std::span(&sample, 1), [&](const Node& node, const std::vector<Tensor>& results) {
      observations.see(node, results, samples.size());
    });
  }
  return Quantizing(model, observations, options).run();
}

}  // namespace foldstream
