// SPDX-License-Identifier: Apache-2.0
#include "src/train/export.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream::train {
namespace {

using Kind = LayerSpec::Kind;
using Attributes = std::map<std::string, Attr, std::less<>>;
using Data = std::map<std::string, Tensor, std::less<>>;

Tensor tensor_of(const torch::Tensor& values, Shape shape) {
  const torch::Tensor flat = values.detach().cpu().to(torch::kFloat).contiguous();
  const float* data = flat.data_ptr<float>();
  return make_floats(std::move(shape), std::vector<double>(data, data + flat.numel()));
}

Tensor scalar(double value) {
  return make_floats({}, {static_cast<double>(static_cast<float>(value))});
}

class Exporter {
 public:
  explicit Exporter(const Network& network) : network_(network) {
    graph_.name = network.recipe().name;
  }

  Graph graph() {
    Shape shape = {1};
    const Recipe& recipe = network_.recipe();
    shape.insert(shape.end(), recipe.input.begin(), recipe.input.end());
    input_ = {&graph_.add(require_op("input"), {}, "input",
                          {{"type", std::string("f32")}, {"shape", shape}}),
              0};
    for (size_t i = 0; i < recipe.layers.size(); ++i) add_layer(static_cast<int>(i));
    graph_.outputs.push_back({"scores", results_.back()});
    return std::move(graph_);
  }

 private:
  Value add(const char* op, std::vector<Value> operands, const std::string& name,
            Attributes attributes = {}, Data data = {}) {
    return {&graph_.add(require_op(op), std::move(operands), name, std::move(attributes),
                        std::move(data)),
            0};
  }

  Value constant(const std::string& name, Tensor value) {
    return add("constant", {}, name, {}, {{"value", std::move(value)}});
  }

  Value result(int index) const { return index < 0 ? input_ : results_.at(index); }

  // `scale` broadcasts to x.
  Value quantize(const Quantizer& quantizer, Value x, const std::string& name, Tensor scale) {
    if (quantizer.bipolar()) return add("bipolar_quant", {x}, name, {}, {{"scale", scale}});
    return add("quant", {x}, name,
               {{"bits", int64_t{quantizer.bits}},
                {"signed", int64_t{quantizer.is_signed}},
                {"narrow", int64_t{quantizer.narrow}},
                {"rounding", std::string("ROUND")}},
               {{"scale", std::move(scale)}, {"zero", scalar(0)}});
  }

  Value weights(int index) {
    const LayerSpec& layer = spec(index);
    Shape shape = {layer.units, layer.in[0] / layer.groups};
    shape.insert(shape.end(), layer.kernel.begin(), layer.kernel.end());
    const Value values =
        constant(layer.name + "_weight", tensor_of(network_.weights(index), shape));
    if (!layer.quantizer) return values;
    const torch::Tensor scale = network_.weight_scale(index);
    Shape scale_shape;
    if (scale.dim() == 1) {
      scale_shape.assign(shape.size(), 1);
      scale_shape[0] = layer.units;
    }
    return quantize(*layer.quantizer, values, layer.name + "_weight_quant",
                    tensor_of(scale, scale_shape));
  }

  void add_layer(int index) {
    const LayerSpec& layer = spec(index);
    Value x = result(layer.from);
    const std::string& name = layer.name;
    switch (layer.kind) {
      case Kind::affine:
        if (layer.mul != 1) x = add("mul", {x, constant(name + "_mul", scalar(layer.mul))}, name);
        if (layer.sub != 0) {
          x = add("sub", {x, constant(name + "_sub", scalar(layer.sub))}, name + "_difference");
        }
        break;
      case Kind::quantize: {
        const torch::Tensor scale = network_.activation_scale(index);
        Shape shape;
        if (scale.dim() == 1) {
          shape.assign(layer.in.size() + 1, 1);
          shape[1] = layer.in[0];
        }
        x = quantize(*layer.quantizer, x, name, tensor_of(scale, shape));
        break;
      }
      case Kind::relu:
        x = add("relu", {x}, name);
        break;
      case Kind::linear: {
        const Value w = add("transpose", {weights(index)}, name + "_transposed",
                            {{"perm", std::vector<int64_t>{1, 0}}});
        x = add_bias(index, add("matmul", {x, w}, name));
        break;
      }
      case Kind::conv: {
        Attributes attributes = window(layer);
        if (layer.groups > 1) attributes["groups"] = layer.groups;
        x = add_bias(index, add("conv", {x, weights(index)}, name, std::move(attributes)));
        break;
      }
      case Kind::batch_norm:
        x = add("batch_normalization", {x}, name, {{"epsilon", layer.epsilon}},
                {{"scale", vector(index, "weight")},
                 {"bias", vector(index, "bias")},
                 {"mean", vector(index, "mean")},
                 {"var", vector(index, "variance")}});
        break;
      case Kind::tensor_norm: {
        const torch::Tensor deviation = (network_.norm(index, "variance") + layer.epsilon).sqrt();
        x = add("sub", {x, constant(name + "_mean", one(network_.norm(index, "mean")))},
                name + "_centred");
        x = add("div", {x, constant(name + "_deviation", one(deviation))}, name + "_scaled");
        x = add("mul", {x, constant(name + "_weight", one(network_.norm(index, "weight")))},
                name + "_weighted");
        x = add("add", {x, constant(name + "_bias", one(network_.norm(index, "bias")))}, name);
        break;
      }
      case Kind::max_pool: {
        Attributes attributes = window(layer);
        attributes["kernel"] = layer.kernel;
        x = add("max_pool", {x}, name, std::move(attributes));
        break;
      }
      case Kind::average_pool:
        x = average(index, x);
        break;
      case Kind::dropout:
        break;
      case Kind::flatten:
        x = add("reshape", {x}, name, {{"shape", std::vector<int64_t>{1, layer.out[0]}}});
        break;
      case Kind::add:
        x = add("add", {x, result(layer.with)}, name);
        break;
    }
    results_.push_back(x);
  }

  Value average(int index, Value x) {
    const LayerSpec& layer = spec(index);
    const AveragePool pool = average_pool(layer, *spec(layer.source).quantizer);
    Attributes attributes = window(layer);
    attributes["kernel"] = layer.kernel;
    attributes["counts_pad"] = int64_t{1};
    x = add("average_pool", {x}, layer.name, std::move(attributes));
    const torch::Tensor scale =
        network_.activation_scale(layer.source) / static_cast<float>(pool.elements);
    const torch::Tensor out_scale = scale * static_cast<float>(int64_t{1} << pool.shift);
    return add("trunc", {x}, layer.name + "_trunc",
               {{"in_bits", int64_t{pool.sum_bits}},
                {"out_bits", int64_t{std::min(layer.bits, pool.sum_bits)}},
                {"rounding", std::string("FLOOR")},
                {"signed", int64_t{pool.lowest < 0}},
                {"narrow", int64_t{0}}},
               {{"scale", tensor_of(scale, {})},
                {"zero", scalar(0)},
                {"out_scale", tensor_of(out_scale, {})}});
  }

  Value add_bias(int index, Value x) {
    const torch::Tensor bias = network_.bias(index);
    if (!bias.defined()) return x;
    Shape shape(spec(index).out.size() + 1, 1);
    shape[1] = spec(index).units;
    const std::string& name = spec(index).name;
    return add("add", {x, constant(name + "_bias", tensor_of(bias, shape))}, name + "_biased");
  }

  static Attributes window(const LayerSpec& layer) {
    Shape pad = layer.padding;
    pad.insert(pad.end(), layer.padding.begin(), layer.padding.end());
    return {{"stride", layer.stride}, {"pad", std::move(pad)}};
  }

  Tensor vector(int index, const char* what) const {
    return tensor_of(network_.norm(index, what), {spec(index).in[0]});
  }
  static Tensor one(const torch::Tensor& value) { return tensor_of(value, {}); }
  const LayerSpec& spec(int index) const { return network_.recipe().layers.at(index); }

  const Network& network_;
  Graph graph_;
  Value input_;
  std::vector<Value> results_;
};

}  // namespace

Graph exported(const Network& network) { return Exporter(network).graph(); }

}  // namespace foldstream::train
