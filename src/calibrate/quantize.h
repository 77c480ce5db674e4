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

// What was chosen for one product.
struct QuantizedProduct {
  std::string name;  // of the node
  double activation_scale = 0;
  bool activation_signed = false;
  double weight_error = 0;      // root of the mean square, relative to that of the weights
  double activation_error = 0;  // the same of the operand, over the samples
};

struct QuantizedModel {
  Graph graph;
  std::vector<QuantizedProduct> products;
};

// `model` is a source graph with one float input; `samples` are operands for it. Every matrix
// product and convolution by constant weights gets a Quant before each operand that has none:
// weights signed, narrow, one scale a row of the result; activations one scale, unsigned where no
// sample was negative. Scales have the least mean square error. Throws Error when there is no such
// product.
QuantizedModel quantize_model(const Graph& model, const std::vector<Tensor>& samples,
                              const QuantizeOptions& options);

}  // namespace foldstream
