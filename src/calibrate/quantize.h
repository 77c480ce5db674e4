// SPDX-License-Identifier: Apache-2.0
// Quantization without training: a float model and some samples become a model with quantizers
// before every product.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/ir/graph.h"

namespace foldstream {

struct QuantizeOptions {
  int weight_bits = 8;
  int activation_bits = 8;
  bool power_of_two = false;  // scales, so that every sum of products is exact in float32
};

// Errors are roots of the mean square, relative to that of the values.
struct QuantizedWeights {
  std::string name;  // of the product
  double error = 0;
};
struct QuantizedActivation {
  std::string name;  // of the node that gives it
  double scale = 0;
  bool is_signed = false;
  double error = 0;  // over the samples
};

struct QuantizedModel {
  Graph graph;
  std::vector<QuantizedWeights> weights;
  std::vector<QuantizedActivation> activations;
};

// `model` is a source graph with one float input; `samples` are operands for it. A Quant comes
// before each operand that has none of
// - every matrix product and convolution by constant weights: weights signed, narrow, with one
// scale
//   a row of the result;
// and, if there is such a product behind it,
// - every average pool, mean or sum over places;
// - every add, sub, mul, max, min and concat of computed values, but for functions of one value, as
//   x * sigmoid(x);
// - every padding with zeros;
// - every such function, sigmoid, tanh, elu, erf, softplus, abs and power of sums that have more
//   values than streamlining tries out;
// - every max pool of what rises with such sums in some channels and falls in others.
// Activations have one scale each, those that an add, sub, max, min or concat joins the same one,
// and are unsigned where no sample was negative; concat takes all signed if one is. Scales have the
// least square error. Throws Error when there is no such product, or a sample gives what is no
// number.
QuantizedModel quantize_model(const Graph& model, const std::vector<Tensor>& samples,
                              const QuantizeOptions& options);

}  // namespace foldstream
