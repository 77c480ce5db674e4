// SPDX-License-Identifier: Apache-2.0
#include "src/train/start.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream::train {
namespace {

using Kind = LayerSpec::Kind;

bool is(const Node& node, std::string_view op) { return node.op->name == op; }
bool is_quantizer(const Node& node) { return is(node, "quant") || is(node, "bipolar_quant"); }

torch::Tensor floats(const Tensor& tensor) {
  return torch::tensor(std::vector<float>(tensor.reals.begin(), tensor.reals.end()))
      .reshape(tensor.type.shape);
}

// A constant that reaches an operand by way of at most quantizers and transpositions.
struct Constant {
  torch::Tensor value;
  const Node* quantizer = nullptr;
};

std::optional<Constant> constant_of(const Node* node) {
  Constant found;
  bool transposed = false;
  for (; !is(*node, "constant"); node = node->in[0].node) {
    const bool swaps = is(*node, "transpose") && node->out[0].shape.size() == 2;
    if (!swaps && !is_quantizer(*node)) return std::nullopt;
    transposed = transposed != swaps;
    if (!swaps) found.quantizer = node;
  }
  found.value = floats(*node->tensor("value"));
  if (transposed) found.value = found.value.t().contiguous();
  return found;
}

class Start {
 public:
  Start(const Network& network, const Graph& model, const std::string& path)
      : recipe_(network.recipe()), model_(model), path_(path) {
    std::vector<const Node*> products, norms, quantizers;
    for (const Node& node : model.nodes) {
      const bool product = is(node, "matmul") || is(node, "conv");
      if (product && constant_of(node.in[1].node)) products.push_back(&node);
      if (is(node, "batch_normalization")) norms.push_back(&node);
      if (is_quantizer(node) && !constant_of(&node)) {
        quantizers.push_back(&node);
      }
    }
    match(products, {Kind::linear, Kind::conv}, "products by weights",
          [&](const LayerSpec& layer, const Node& node) { take_product(layer, node); });
    match(norms, {Kind::batch_norm}, "batch normalizations",
          [&](const LayerSpec& layer, const Node& node) { take_norm(layer, node); });
    match(quantizers, {Kind::quantize}, "quantizers of activations",
          [&](const LayerSpec& layer, const Node& node) {
            take_scale(layer, Network::scale_name(layer), node);
          });
  }

  State values() { return std::move(values_); }

 private:
  template <class F>
  void match(const std::vector<const Node*>& nodes, std::vector<Kind> kinds, const char* what,
             const F& take) {
    std::vector<const LayerSpec*> layers;
    for (const LayerSpec& layer : recipe_.layers) {
      if (std::find(kinds.begin(), kinds.end(), layer.kind) != kinds.end()) {
        layers.push_back(&layer);
      }
    }
    if (nodes.size() != layers.size()) {
      throw Error(fmt::format("'{}' has {} {}, but {} has {}", path_, nodes.size(), what,
                              recipe_.path, layers.size()),
                  "training starts from a model with the recipe's layers; their bits may differ");
    }
    for (size_t i = 0; i < nodes.size(); ++i) take(*layers[i], *nodes[i]);
  }

  void take(const std::string& name, torch::Tensor value, const std::vector<int64_t>& shape,
            const Node& node, const LayerSpec& layer) {
    if (value.sizes() != torch::IntArrayRef(shape)) {
      const Shape found(value.sizes().begin(), value.sizes().end());
      throw Error(fmt::format("'{}', {}: found {}, but layer '{}' of {} takes {}", path_,
                              describe(node), to_string(found), layer.name, recipe_.path,
                              to_string(Shape(shape.begin(), shape.end()))));
    }
    values_.emplace_back(name, std::move(value));
  }

  void take_product(const LayerSpec& layer, const Node& node) {
    const Constant weights = *constant_of(node.in[1].node);
    std::vector<int64_t> shape = {layer.units, layer.in[0] / layer.groups};
    shape.insert(shape.end(), layer.kernel.begin(), layer.kernel.end());
    // A matrix product has its weights as [operands, results].
    take(layer.name + ".weight",
         is(node, "matmul") ? weights.value.t().contiguous() : weights.value, shape, node, layer);
    if (layer.quantizer && weights.quantizer != nullptr) {
      take_scale(layer, layer.name + ".scale", *weights.quantizer);
    }
    // Without one in the model it is as it would begin anyway: 0.
    for (const Node& next : model_.nodes) {
      if (!is(next, "add")) continue;
      const int port = next.in[0].node == &node ? 1 : 0;
      if (next.in[1 - port].node != &node) continue;
      const auto bias = constant_of(next.in[port].node);
      if (!bias) continue;
      if (!layer.bias) {
        throw Error(fmt::format("'{}', {}: is a bias, but layer '{}' of {} has none", path_,
                                describe(next), layer.name, recipe_.path),
                    "give the layer bias = true");
      }
      return take(layer.name + ".bias", bias->value.flatten(), {layer.units}, next, layer);
    }
  }

  void take_norm(const LayerSpec& layer, const Node& node) {
    const std::vector<int64_t> shape = {layer.in[0]};
    for (const auto& [mine, theirs] : {std::pair("weight", "scale"), std::pair("bias", "bias"),
                                       std::pair("mean", "mean"), std::pair("variance", "var")}) {
      take(layer.name + "." + mine, floats(*node.tensor(theirs)), shape, node, layer);
    }
  }

  void take_scale(const LayerSpec& layer, const std::string& name, const Node& quantizer) {
    if (layer.quantizer->scale != Quantizer::Scale::learned) return;
    const torch::Tensor scale = floats(*quantizer.tensor("scale")).log2();
    const int64_t channels = layer.kind == Kind::quantize ? layer.in[0] : layer.units;
    if (layer.quantizer->per_channel) {
      take(name, scale.numel() == 1 ? scale.expand({channels}).contiguous() : scale.flatten(),
           {channels}, quantizer, layer);
    } else {
      take(name, scale.numel() == 1 ? scale.reshape({}) : scale.flatten(), {}, quantizer, layer);
    }
    values_.emplace_back(name + ".calibrated", torch::ones({}));
  }

  const Recipe& recipe_;
  const Graph& model_;
  const std::string& path_;
  State values_;
};

}  // namespace

State values_of_model(const Network& network, const Graph& model, const std::string& path) {
  return Start(network, model, path).values();
}

}  // namespace foldstream::train
