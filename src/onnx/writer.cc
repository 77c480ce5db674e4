// SPDX-License-Identifier: Apache-2.0
#include "src/onnx/writer.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <unordered_set>

#include "src/ir/onnx_node.h"
#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr int kFileVersion = 8;
constexpr int64_t kOperatorSet = 13;

// ONNX's number of an integer type that it has, 0 for others.
int integer_number(const Type& type) {
  using onnx::TensorProto;
  constexpr int kUint4 = 21, kInt4 = 22;
  switch (type.bits) {
    case 1:
      return type.is_signed ? 0 : TensorProto::BOOL;
    case 4:
      return type.is_signed ? kInt4 : kUint4;
    case 8:
      return type.is_signed ? TensorProto::INT8 : TensorProto::UINT8;
    case 16:
      return type.is_signed ? TensorProto::INT16 : TensorProto::UINT16;
    case 32:
      return type.is_signed ? TensorProto::INT32 : TensorProto::UINT32;
    case 64:
      return type.is_signed ? TensorProto::INT64 : TensorProto::UINT64;
    default:
      return 0;
  }
}

std::string datatype_name(const Type& type) {
  if (type.bits == 1 && !type.is_signed) return "BINARY";
  return fmt::format("{}{}", type.is_signed ? "INT" : "UINT", std::max(type.bits, 2));
}

// The narrowest of QONNX's types that holds a constant.
std::string datatype_name(const Tensor& tensor) {
  const auto all = [&](const auto& holds) {
    return std::all_of(tensor.ints.begin(), tensor.ints.end(), holds);
  };
  if (all([](int64_t v) { return v == -1 || v == 1; })) return "BIPOLAR";
  if (all([](int64_t v) { return v >= -1 && v <= 1; }) && !all([](int64_t v) { return v >= 0; })) {
    return "TERNARY";
  }
  return datatype_name(tensor.type);
}

template <class Stored, class From>
void append(std::string& raw, const std::vector<From>& values) {
  const size_t start = raw.size();
  raw.resize(start + values.size() * sizeof(Stored));
  char* to = raw.data() + start;
  for (const From value : values) {
    const auto stored = static_cast<Stored>(value);
    std::memcpy(to, &stored, sizeof(stored));
    to += sizeof(stored);
  }
}

void append_integers(std::string& raw, const std::vector<int64_t>& values, int bits) {
  constexpr int kHalfByte = 4;
  if (bits <= 1 || bits == 8) return append<uint8_t>(raw, values);
  if (bits == 16) return append<uint16_t>(raw, values);
  if (bits == 32) return append<uint32_t>(raw, values);
  if (bits == 64) return append<uint64_t>(raw, values);
  FOLDSTREAM_CHECK(bits == kHalfByte);
  for (size_t i = 0; i < values.size(); i += 2) {
    const auto low = static_cast<uint8_t>(values[i] & 15);
    const auto high = i + 1 < values.size() ? static_cast<uint8_t>(values[i + 1] & 15) : uint8_t{0};
    raw += static_cast<char>(low | high << kHalfByte);
  }
}

class Writer : public OnnxSink {
 public:
  explicit Writer(const Graph& graph) : graph_(graph) {}

  std::string write() {
    proto_.set_name(graph_.name);
    need_version("", kOperatorSet);
    choose_carriers();
    choose_names();
    for (const Node& node : graph_.nodes) write_node(node);
    for (const Output& output : graph_.outputs) {
      describe(output.name, carrier_.at(output.value), output.value.type(), *proto_.add_output());
      if (names_.at(output.value) != output.name) {
        add_node("", "Identity", {names_.at(output.value)}, {output.name}, {},
                 output.name + "_copy");
      }
    }
    onnx::ModelProto model;
    model.set_ir_version(kFileVersion);
    model.set_producer_name("foldstream");
    for (const auto& [domain, version] : versions_) {
      auto& import = *model.add_opset_import();
      import.set_domain(domain);
      import.set_version(version);
    }
    *model.mutable_graph() = std::move(proto_);
    std::string bytes;
    {
      google::protobuf::io::StringOutputStream stream(&bytes);
      google::protobuf::io::CodedOutputStream out(&stream);
      out.SetSerializationDeterministic(true);
      FOLDSTREAM_CHECK(model.SerializeToCodedStream(&out));
    }
    return bytes;
  }

  std::string input(size_t port) override { return names_.at(node_->in.at(port)); }

  std::string output(size_t port) override {
    return names_.at({const_cast<Node*>(node_), static_cast<int>(port)});
  }

  std::string constant(const Tensor& value, std::string_view hint) override {
    const std::string name = fresh(fmt::format("{}_{}", node_->name, hint));
    add_initializer(name, value,
                    value.type.is_float && value.type.bits == 64 ? onnx::TensorProto::DOUBLE
                                                                 : onnx::TensorProto::FLOAT);
    return name;
  }

  std::string index_constant(const Tensor& value, std::string_view hint) override {
    const std::string name = fresh(fmt::format("{}_{}", node_->name, hint));
    add_initializer(name, value, onnx::TensorProto::INT64);
    return name;
  }

  std::string typed_constant(const Tensor& value, std::string_view hint) override {
    const int number = integer_number(value.type);
    FOLDSTREAM_CHECK(!value.type.is_float && number != 0);
    const std::string name = fresh(fmt::format("{}_{}", node_->name, hint));
    add_initializer(name, value, number);
    return name;
  }

  void need_version(std::string_view domain, int64_t version) override {
    int64_t& chosen = versions_[full_domain(domain)];
    chosen = std::max(chosen, version);
  }

  std::string temporary(std::string_view hint) override {
    return temporary(hint, float_type(node_->out.at(0).shape));
  }

  std::string temporary(std::string_view hint, const Type& type) override {
    std::string name = fresh(fmt::format("{}_{}", node_->name, hint));
    const int number = !type.is_float    ? integer_number(type)
                       : type.bits == 64 ? onnx::TensorProto::DOUBLE
                                         : onnx::TensorProto::FLOAT;
    describe(name, number == 0 ? int{onnx::TensorProto::FLOAT} : number, type,
             *proto_.add_value_info());
    return name;
  }

  void node(std::string_view domain, std::string_view type, std::vector<std::string> inputs,
            std::vector<std::string> outputs,
            std::map<std::string, Attr, std::less<>> attributes) override {
    add_node(domain, type, inputs, outputs, attributes, fresh_node(node_->name));
  }

 private:
  static std::string full_domain(std::string_view domain) {
    return domain == "qonnx" ? "qonnx.custom_op.general" : std::string(domain);
  }

  // Integers that only source operators touch keep their type; others are carried in floats.
  void choose_carriers() {
    std::set<Value> by_integers;
    for (const Node& node : graph_.nodes) {
      if (node.op->kind == Op::Kind::source || node.op->kind == Op::Kind::view) continue;
      by_integers.insert(node.in.begin(), node.in.end());
    }
    // A view carries as its operand does, and the other way round.
    for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node) {
      if (node->op->kind == Op::Kind::view && by_integers.contains({node_of(*node), 0})) {
        by_integers.insert(node->in[0]);
      }
    }
    for (const Node& node : graph_.nodes) {
      for (size_t port = 0; port < node.out.size(); ++port) {
        const Value value{node_of(node), static_cast<int>(port)};
        const Type& type = node.out[port];
        const bool own =
            node.op->kind == Op::Kind::source ||
            (node.op->kind == Op::Kind::view
                 ? carrier_.at(node.in[0]) != onnx::TensorProto::FLOAT
                 : node.op->kind != Op::Kind::edge && node.op->kind != Op::Kind::hardware &&
                       !by_integers.contains(value));
        const int number = type.is_float || !own ? 0 : integer_number(type);
        carrier_[value] = number == 0 ? int{onnx::TensorProto::FLOAT} : number;
      }
    }
  }

  static Node* node_of(const Node& node) { return const_cast<Node*>(&node); }

  void choose_names() {
    for (const Node& node : graph_.nodes) {
      if (node.op->kind == Op::Kind::input) names_[{node_of(node), 0}] = fresh(node.name);
    }
    // Outputs keep their names; where an input or another output has the value, a copy does.
    for (const Output& output : graph_.outputs) taken_.insert(output.name);
    for (const Output& output : graph_.outputs) {
      if (output.value.node->op->kind != Op::Kind::constant) {
        names_.emplace(output.value, output.name);
      }
    }
    for (const Node& node : graph_.nodes) {
      for (size_t port = 0; port < node.out.size(); ++port) {
        const Value value{node_of(node), static_cast<int>(port)};
        if (names_.contains(value)) continue;
        const std::string& name = node.name.empty() ? std::string(node.op->name) : node.name;
        names_[value] = fresh(node.op->kind == Op::Kind::constant ? name
                              : port == 0                         ? name + "_out"
                                          : fmt::format("{}_out{}", name, port));
      }
    }
  }

  std::string fresh(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 1; !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  std::string fresh_node(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 1; !node_names_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  void write_node(const Node& node) {
    node_ = &node;
    if (node.op->kind == Op::Kind::constant) {
      const Value value{node_of(node), 0};
      add_initializer(names_.at(value), *node.tensor("value"),
                      node.out[0].is_float && node.out[0].bits == 64
                          ? int{onnx::TensorProto::DOUBLE}
                          : carrier_.at(value));
      return;
    }
    for (size_t port = 0; port < node.out.size(); ++port) {
      const Value value{node_of(node), static_cast<int>(port)};
      const Type& type = node.out[port];
      const std::string& name = names_.at(value);
      const bool is_input = node.op->kind == Op::Kind::input;
      const bool is_output = std::any_of(graph_.outputs.begin(), graph_.outputs.end(),
                                         [&](const Output& output) { return output.name == name; });
      if (is_input || !is_output) {
        describe(name, carrier_.at(value), type,
                 is_input ? *proto_.add_input() : *proto_.add_value_info());
      }
      if (is_input && node.attr.contains("finn_datatype")) {
        annotate(name, node.text("finn_datatype", ""));
      } else if (!type.is_float && carrier_.at(value) == onnx::TensorProto::FLOAT) {
        annotate(name, datatype_name(type));
      }
    }
    if (node.op->kind == Op::Kind::input) return;
    if (node.op->to_onnx != nullptr) {
      node.op->to_onnx(node, *this);
    } else {
      write_as_it_is(node);
    }
  }

  // An operator without a form in ONNX, to look at.
  void write_as_it_is(const Node& node) {
    std::vector<std::string> inputs, outputs;
    for (size_t port = 0; port < node.in.size(); ++port) inputs.push_back(input(port));
    for (const auto& [key, tensor] : node.data) inputs.push_back(constant(tensor, key));
    for (size_t port = 0; port < node.out.size(); ++port) outputs.push_back(output(port));
    add_node("foldstream", node.op->name, inputs, outputs, node.attr, fresh_node(node.name));
  }

  void add_node(std::string_view domain, std::string_view type,
                const std::vector<std::string>& inputs, const std::vector<std::string>& outputs,
                const std::map<std::string, Attr, std::less<>>& attributes,
                const std::string& name) {
    need_version(domain, domain.empty() ? kOperatorSet : 1);
    onnx::NodeProto& node = *proto_.add_node();
    node.set_name(name);
    node.set_op_type(std::string(type));
    node.set_domain(full_domain(domain));
    size_t count = inputs.size();
    while (count > 0 && inputs[count - 1].empty()) --count;
    for (size_t i = 0; i < count; ++i) node.add_input(inputs[i]);
    for (const std::string& output : outputs) node.add_output(output);
    for (const auto& [key, value] : attributes) {
      onnx::AttributeProto& attribute = *node.add_attribute();
      attribute.set_name(key);
      if (const auto* integer = std::get_if<int64_t>(&value)) {
        attribute.set_type(onnx::AttributeProto::INT);
        attribute.set_i(*integer);
      } else if (const auto* real = std::get_if<double>(&value)) {
        attribute.set_type(onnx::AttributeProto::FLOAT);
        attribute.set_f(static_cast<float>(*real));
      } else if (const auto* text = std::get_if<std::string>(&value)) {
        attribute.set_type(onnx::AttributeProto::STRING);
        attribute.set_s(*text);
      } else {
        attribute.set_type(onnx::AttributeProto::INTS);
        for (const int64_t entry : std::get<std::vector<int64_t>>(value)) attribute.add_ints(entry);
      }
    }
  }

  void add_initializer(const std::string& name, const Tensor& value, int number) {
    onnx::TensorProto& tensor = *proto_.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(number);
    for (const int64_t dim : value.type.shape) tensor.add_dims(dim);
    std::string& raw = *tensor.mutable_raw_data();
    if (number == onnx::TensorProto::DOUBLE) {
      append<double>(raw, value.reals);
    } else if (number != onnx::TensorProto::FLOAT) {
      append_integers(raw, value.ints, number == onnx::TensorProto::INT64 ? 64 : value.type.bits);
    } else if (value.type.is_float) {
      append<float>(raw, value.reals);
    } else {
      append<float>(raw, value.ints);
      annotate(name, datatype_name(value));
    }
  }

  void annotate(const std::string& name, const std::string& datatype) {
    onnx::TensorAnnotation& annotation = *proto_.add_quantization_annotation();
    annotation.set_tensor_name(name);
    onnx::StringStringEntryProto& entry = *annotation.add_quant_parameter_tensor_names();
    entry.set_key("finn_datatype");
    entry.set_value(datatype);
  }

  static void describe(const std::string& name, int number, const Type& type,
                       onnx::ValueInfoProto& info) {
    info.set_name(name);
    auto& tensor = *info.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(number);
    auto& shape = *tensor.mutable_shape();
    for (const int64_t dim : type.shape) shape.add_dim()->set_dim_value(dim);
  }

  const Graph& graph_;
  onnx::GraphProto proto_;
  const Node* node_ = nullptr;
  std::map<std::string, int64_t> versions_;
  std::map<Value, int> carrier_;  // ONNX element type
  std::map<Value, std::string> names_;
  std::unordered_set<std::string> taken_, node_names_;
};

}  // namespace

std::string write_model(const Graph& graph) { return Writer(graph).write(); }

}  // namespace foldstream
