// SPDX-License-Identifier: Apache-2.0
#include "test/fuzz/models.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <variant>

namespace foldstream {
namespace {

using Attribute = std::variant<int64_t, float, std::string, std::vector<int64_t>>;

class Model {
 public:
  Model(std::vector<int64_t> shape, int64_t version) {
    proto_.set_ir_version(8);
    for (const char* domain : {"", "qonnx.custom_op.general"}) {
      auto& import = *proto_.add_opset_import();
      import.set_domain(domain);
      import.set_version(*domain == '\0' ? version : 1);
    }
    auto& input = *graph().add_input();
    input.set_name("x");
    auto& tensor = *input.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(onnx::TensorProto::FLOAT);
    for (const int64_t dim : shape) tensor.mutable_shape()->add_dim()->set_dim_value(dim);
    graph().add_output()->set_name("y");
  }

  std::string floats(std::vector<int64_t> dims, std::vector<float> values) {
    auto& tensor = initializer(dims, onnx::TensorProto::FLOAT);
    int64_t count = 1;
    for (const int64_t dim : dims) count *= dim;
    for (int64_t i = 0; i < count; ++i) tensor.add_float_data(values[i % values.size()]);
    return tensor.name();
  }

  std::string integers(std::vector<int64_t> values) {
    auto& tensor = initializer({static_cast<int64_t>(values.size())}, onnx::TensorProto::INT64);
    for (const int64_t value : values) tensor.add_int64_data(value);
    return tensor.name();
  }

  std::string bytes(std::vector<int64_t> dims, const std::string& values) {
    auto& tensor = initializer(dims, onnx::TensorProto::INT8);
    tensor.set_raw_data(values);
    return tensor.name();
  }

  std::string node(const std::string& type, std::vector<std::string> inputs,
                   const std::map<std::string, Attribute>& attributes = {},
                   const std::string& domain = "") {
    auto& node = *graph().add_node();
    node.set_op_type(type);
    node.set_domain(domain);
    for (const std::string& input : inputs) node.add_input(input);
    const std::string result = fmt::format("t{}", ++count_);
    node.add_output(result);
    for (const auto& [key, value] : attributes) {
      auto& attribute = *node.add_attribute();
      attribute.set_name(key);
      if (const auto* integer = std::get_if<int64_t>(&value)) {
        attribute.set_type(onnx::AttributeProto::INT);
        attribute.set_i(*integer);
      } else if (const auto* real = std::get_if<float>(&value)) {
        attribute.set_type(onnx::AttributeProto::FLOAT);
        attribute.set_f(*real);
      } else if (const auto* text = std::get_if<std::string>(&value)) {
        attribute.set_type(onnx::AttributeProto::STRING);
        attribute.set_s(*text);
      } else {
        attribute.set_type(onnx::AttributeProto::INTS);
        for (const int64_t entry : std::get<std::vector<int64_t>>(value)) attribute.add_ints(entry);
      }
    }
    return result;
  }

  std::string qonnx(const std::string& type, std::vector<std::string> inputs,
                    const std::map<std::string, Attribute>& attributes = {}) {
    return node(type, std::move(inputs), attributes, "qonnx.custom_op.general");
  }

  onnx::GraphProto& graph() { return *proto_.mutable_graph(); }

  onnx::ModelProto finish(const std::string& result) {
    auto& last = *graph().add_node();
    last.set_op_type("Identity");
    last.add_input(result);
    last.add_output("y");
    return proto_;
  }

 private:
  onnx::TensorProto& initializer(const std::vector<int64_t>& dims, int type) {
    auto& tensor = *graph().add_initializer();
    tensor.set_name(fmt::format("c{}", ++count_));
    tensor.set_data_type(type);
    for (const int64_t dim : dims) tensor.add_dims(dim);
    return tensor;
  }

  onnx::ModelProto proto_;
  int count_ = 0;
};

onnx::ModelProto quantized_network() {
  Model m({1, 2, 3}, 13);
  const std::string scale = m.floats({}, {0.5F}), zero = m.floats({}, {0}),
                    bits = m.floats({}, {3}), one = m.floats({}, {1});
  const auto quant = [&](const std::string& x, const std::string& s) {
    return m.qonnx("Quant", {x, s, zero, bits},
                   {{"signed", int64_t{1}}, {"narrow", int64_t{0}}, {"rounding_mode", "HALF_UP"}});
  };
  std::string x = m.node("Flatten", {"x"}, {{"axis", int64_t{1}}});
  x = quant(x, scale);
  const std::string w = quant(m.floats({4, 6}, {1, -2, 0, 3, -1}), m.floats({4, 1}, {1, 0.5F}));
  x = m.node("MatMul", {x, m.node("Transpose", {w}, {{"perm", std::vector<int64_t>{1, 0}}})});
  const std::string gamma = m.floats({4}, {1.5F, -2, 0, 0.3F}), beta = m.floats({4}, {0.1F}),
                    mean = m.floats({4}, {-1, 2}), var = m.floats({4}, {4, 9});
  x = m.node("BatchNormalization", {x, gamma, beta, mean, var}, {{"epsilon", 1e-5F}});
  x = m.node("Relu", {x});
  x = m.qonnx("BipolarQuant", {x, one});
  x = m.node("Gemm", {x, m.floats({3, 4}, {1, -1}), m.floats({3}, {0.5F})},
             {{"transB", int64_t{1}}, {"alpha", 2.0F}});
  auto& annotation = *m.graph().add_quantization_annotation();
  annotation.set_tensor_name("x");
  auto& entry = *annotation.add_quant_parameter_tensor_names();
  entry.set_key("finn_datatype");
  entry.set_value("UINT8");
  return m.finish(m.node("ArgMax", {x}, {{"axis", int64_t{1}}}));
}

onnx::ModelProto threshold_network() {
  Model m({1, 1, 4}, 11);
  const std::string shape = m.node("Shape", {"x"});
  const std::string first = m.node("Gather", {shape, m.integers({0})}, {{"axis", int64_t{0}}});
  const std::string target = m.node("Concat", {first, m.integers({-1})}, {{"axis", int64_t{0}}});
  std::string x = m.node("Reshape", {"x", target});
  x = m.node("Sub", {m.node("Mul", {x, m.floats({}, {2})}), m.floats({1}, {1})});
  x = m.qonnx("MultiThreshold", {x, m.floats({1, 1}, {0})},
              {{"out_dtype", "BIPOLAR"}, {"out_scale", 2.0F}, {"out_bias", -1.0F}});
  x = m.node("MatMul", {x, m.floats({4, 5}, {1, -1, -1})});
  x = m.node("Unsqueeze", {x}, {{"axes", std::vector<int64_t>{2}}});
  x = m.node("Squeeze", {x}, {{"axes", std::vector<int64_t>{2}}});
  x = m.qonnx("MultiThreshold", {x, m.floats({5, 3}, {-1, 0, 2})}, {{"out_dtype", "UINT2"}});
  x = m.node("MatMul", {x, m.floats({5, 3}, {2, 0, 1})});
  x = m.node("Div", {m.node("Add", {x, m.floats({3}, {1, 2, 3})}), m.floats({1}, {4})});
  const std::string sorted = m.node("TopK", {x, m.integers({2})}, {{"axis", int64_t{-1}}});
  m.graph().mutable_node(m.graph().node_size() - 1)->add_output("places");
  m.graph().add_output()->set_name("places");
  return m.finish(m.node("Softmax", {sorted}, {{"axis", int64_t{1}}}));
}

onnx::ModelProto linear_network() {
  Model m({1, 6}, 13);
  const std::string scale = m.floats({}, {0.25F}), zero = m.bytes({}, std::string(1, '\3'));
  std::string x = m.node("QuantizeLinear", {"x", scale, zero});
  x = m.node("DequantizeLinear", {x, scale, zero});
  const std::string w = m.bytes({6, 2}, std::string("\1\2\3\xff\xfe\5\6\7\x80\x7f\0\1", 12));
  const std::string weights =
      m.node("DequantizeLinear", {w, m.floats({2}, {0.5F, 2}), m.bytes({2}, std::string(2, '\0'))},
             {{"axis", int64_t{1}}});
  x = m.node("MatMul", {x, weights});
  x = m.node("Clip", {x, m.floats({}, {-3}), m.floats({}, {3})});
  x = m.node("QuantizeLinear", {x, scale, zero});
  x = m.node("DequantizeLinear", {x, scale, zero});
  x = m.qonnx("Trunc", {x, scale, m.floats({}, {0}), m.floats({}, {8}), m.floats({}, {6})},
              {{"rounding_mode", "FLOOR"}});
  return m.finish(m.node("LogSoftmax", {x}));
}

onnx::ModelProto scalar_functions() {
  Model m({1, 3}, 13);
  std::string x = "x";
  for (const char* type :
       {"Sigmoid", "Softplus", "Erf", "Tanh", "Sign", "Abs", "Neg", "Round", "Floor", "Ceil"}) {
    x = m.node(type, {x});
  }
  x = m.node("Pow", {m.node("Sqrt", {m.node("Abs", {x})}), m.floats({}, {2})});
  x = m.node("Cast", {m.node("Cast", {x}, {{"to", int64_t{7}}})}, {{"to", int64_t{1}}});
  x = m.node("Dropout", {x});
  const std::string filled = m.node("ConstantOfShape", {m.integers({1, 3})});
  x = m.node("Add", {x, filled});
  const std::string spread =
      m.node("Quant", {x, m.floats({1, 3}, {1, 2, 0.5F}), m.floats({}, {1}), m.floats({}, {1})},
             {{"signed", int64_t{1}}, {"narrow", int64_t{1}}}, "onnx.brevitas");
  return m.finish(spread);
}

}  // namespace

std::vector<onnx::ModelProto> seed_models() {
  return {quantized_network(), threshold_network(), linear_network(), scalar_functions()};
}

}  // namespace foldstream
