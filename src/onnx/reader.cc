// SPDX-License-Identifier: Apache-2.0
#include "src/onnx/reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/io/coded_stream.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <queue>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "src/ir/eval.h"
#include "src/ir/onnx_node.h"
#include "src/ir/op.h"
#include "src/ir/verify.h"
#include "src/onnx/tensor.h"
#include "src/util/error.h"
#include "src/util/names.h"

namespace foldstream {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 30;
// What folding constants may make of a model's small ones, in one and in all of them.
constexpr int64_t kMostFoldedElements = int64_t{1} << 22;
constexpr int64_t kMostFoldedInAll = int64_t{1} << 26;
constexpr int64_t kMostValueElements = int64_t{1} << 28;

// One name for each family of domains: "" is ONNX's own, "qonnx" is every one in which QONNX's
// operators are found, "channels_last" the one of its layers over [N, spatial..., C].
std::string normalized_domain(const std::string& domain) {
  if (domain == "ai.onnx") return "";
  for (const std::string_view known :
       {"qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general", "finn"}) {
    if (domain == known) return "qonnx";
  }
  if (domain == "qonnx.custom_op.channels_last") return "channels_last";
  return domain;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      const auto same = [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) ==
               std::tolower(static_cast<unsigned char>(y));
      };
      const size_t changed = diagonal + (same(a[i - 1], b[j - 1]) ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

[[noreturn]] void unknown_operator(const std::string& where, const std::string& domain,
                                   const std::string& type) {
  const std::string shown = printable(type);
  if (type == "FloatQuant") {
    throw Error(fmt::format("{}: quantizes to small floats", where),
                "hardware computes integers: export the model with integer quantizers");
  }
  if (domain.starts_with("finn.custom_op.fpgadataflow")) {
    throw Error(fmt::format("{}: is a hardware layer of FINN's", where),
                "give the QONNX model from before its conversion to hardware");
  }
  std::vector<std::string> names;
  for (const Op* op : ops()) {
    for (const std::string_view name : op->onnx) {
      names.emplace_back(name.substr(name.find(':') + 1));
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const auto nearest =
      std::min_element(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
        return edit_distance(a, shown) < edit_distance(b, shown);
      });
  constexpr size_t kClose = 3;
  std::string help;
  if (nearest != names.end() && edit_distance(*nearest, shown) <= kClose) {
    help = fmt::format("the nearest supported operator is {}; ", *nearest);
  }
  throw Error(fmt::format("{}: operator '{}' of domain '{}' is not supported", where, shown,
                          printable(domain)),
              fmt::format("{}supported are {}", help, fmt::join(names, ", ")));
}

class Reader {
 public:
  Reader(const onnx::ModelProto& model, const std::string& file) : model_(model), file_(file) {}

  Graph read() {
    if (!model_.has_graph()) {
      throw Error(fmt::format("{}: holds no graph", file_), "expected an ONNX model");
    }
    const onnx::GraphProto& graph = model_.graph();
    check_names();
    graph_.name = graph.name();
    name_nodes();
    for (const auto& import : model_.opset_import()) {
      const std::string domain = normalized_domain(import.domain());
      const auto [known, added] = versions_.try_emplace(domain, import.version());
      if (import.version() < 1 || (!added && known->second != import.version())) {
        throw Error(fmt::format("{}: operator set {} of domain '{}'{}", file_, import.version(),
                                printable(import.domain()),
                                added ? "" : fmt::format(", and set {}", known->second)),
                    "expected one set of each domain, numbered from 1");
      }
    }
    if (model_.functions_size() > 0) {
      throw Error(fmt::format("{}: holds local functions", file_), "inline them when exporting");
    }
    if (graph.sparse_initializer_size() > 0) {
      throw Error(fmt::format("{}: holds sparse initializers", file_), "export dense initializers");
    }
    for (const auto& initializer : graph.initializer()) {
      if (!initializers_.emplace(initializer.name(), &initializer).second) {
        throw Error(fmt::format("{}: two initializers are called '{}'", file_,
                                printable(initializer.name())));
      }
    }
    for (const auto& annotation : graph.quantization_annotation()) {
      for (const auto& entry : annotation.quant_parameter_tensor_names()) {
        if (entry.key() == "finn_datatype") {
          datatypes_[annotation.tensor_name()] = entry.value();
        }
      }
    }
    for (const auto& input : graph.input()) read_input(input);
    for (const int index : order()) read_node(graph.node(index), index);
    read_outputs();
    graph_.remove_dead();
    verify(graph_);
    return std::move(graph_);
  }

 private:
  void read_input(const onnx::ValueInfoProto& input) {
    const std::string& name = input.name();
    if (initializers_.contains(name)) return;  // a parameter with a default, which is used
    const std::string where = fmt::format("{}: graph input '{}'", file_, printable(name));
    if (values_.contains(name)) throw Error(fmt::format("{}: is there twice", where));
    if (!input.type().has_tensor_type()) throw Error(fmt::format("{}: is not a tensor", where));
    const auto& tensor = input.type().tensor_type();
    Type type = read_element_type(tensor.elem_type(), where);
    if (type.is_float && tensor.elem_type() != onnx::TensorProto::FLOAT) {
      throw Error(fmt::format("{}: element type {}", where,
                              onnx::TensorProto::DataType_Name(
                                  onnx::TensorProto::DataType(tensor.elem_type()))),
                  "expected FLOAT or an integer type");
    }
    if (!tensor.has_shape()) {
      throw Error(fmt::format("{}: has no shape", where), "export the model with fixed shapes");
    }
    for (int d = 0; d < tensor.shape().dim_size(); ++d) {
      const auto& dim = tensor.shape().dim(d);
      int64_t size = dim.has_dim_value() ? dim.dim_value() : 0;
      if (size <= 0 && d > 0) {
        throw Error(
            fmt::format("{}: dimension {} is {}, expected a number", where, d,
                        dim.has_dim_param() ? fmt::format("'{}'", printable(dim.dim_param()))
                                            : fmt::format("{}", size)),
            "only the first dimension, the batch, may be dynamic");
      }
      type.shape.push_back(size <= 0 ? 1 : size);  // a dynamic batch is one frame
    }
    std::map<std::string, Attr, std::less<>> attr = {{"type", element_name(type)},
                                                     {"shape", type.shape}};
    if (const auto it = datatypes_.find(name); it != datatypes_.end()) {
      attr["finn_datatype"] = it->second;
    }
    try {
      values_[name] = {&graph_.add(require_op("input"), {}, name, std::move(attr)), 0};
    } catch (const Error& error) {
      throw Error(fmt::format("{}: {}", file_, error.what()), error.help());
    }
  }

  // Every name of the graph, before any of them is used.
  void check_names() const {
    const onnx::GraphProto& graph = model_.graph();
    const auto check = [&](const std::string& name, const char* what) {
      const std::string unfit = unfit_name(name);
      if (unfit.empty()) return;
      throw Error(
          fmt::format("{}: the name of {}, '{}', holds {}", file_, what, printable(name), unfit),
          "give it a name of printable characters");
    };
    check(graph.name(), "the graph");
    for (const auto& input : graph.input()) check(input.name(), "a graph input");
    for (const auto& output : graph.output()) check(output.name(), "a graph output");
    for (const auto& initializer : graph.initializer()) check(initializer.name(), "an initializer");
    for (const onnx::NodeProto& node : graph.node()) {
      check(node.name(), "a node");
      check(node.op_type(), "an operator");
      check(node.domain(), "a domain");
      for (const std::string& name : node.input()) check(name, "a tensor");
      for (const std::string& name : node.output()) check(name, "a tensor");
      for (const auto& attribute : node.attribute()) check(attribute.name(), "an attribute");
    }
  }

  std::string describe_node(int index) const {
    const onnx::NodeProto& node = model_.graph().node(index);
    return fmt::format("node '{}' ({})", node_name(index), printable(node.op_type()));
  }

  // Names are the file's, which may leave them out or give one to several nodes: a node that comes
  // later gets a number behind it.
  void name_nodes() {
    const onnx::GraphProto& graph = model_.graph();
    std::unordered_set<std::string> given, taken;
    for (const onnx::NodeProto& node : graph.node()) given.insert(node.name());
    for (int index = 0; index < graph.node_size(); ++index) {
      const onnx::NodeProto& node = graph.node(index);
      const std::string wanted = node.name().empty()
                                     ? fmt::format("{}_{}", printable(node.op_type()), index)
                                     : node.name();
      std::string name = wanted;
      bool is_own = !node.name().empty();
      for (int i = 1; (!is_own && given.contains(name)) || !taken.insert(name).second; ++i) {
        name = fmt::format("{}_{}", wanted, i);
        is_own = false;
      }
      names_.push_back(std::move(name));
    }
  }

  const std::string& node_name(int index) const { return names_[static_cast<size_t>(index)]; }

  // The nodes that the outputs depend on, each after those it depends on, in the file's order where
  // that is possible.
  std::vector<int> order() {
    const onnx::GraphProto& graph = model_.graph();
    std::unordered_map<std::string, int> producer;
    for (int i = 0; i < graph.node_size(); ++i) {
      for (const std::string& name : graph.node(i).output()) {
        if (name.empty()) continue;
        if (!producer.emplace(name, i).second || initializers_.contains(name) ||
            values_.contains(name)) {
          throw Error(fmt::format("{}: {}: tensor '{}' has another source already", file_,
                                  describe_node(i), printable(name)));
        }
      }
    }
    std::vector<bool> live(graph.node_size(), false);
    std::vector<int> pending;
    const auto need = [&](const std::string& name, const auto& who) {
      used_.insert(name);
      if (const auto it = producer.find(name); it != producer.end()) {
        if (!live[it->second]) pending.push_back(it->second);
        live[it->second] = true;
      } else if (!initializers_.contains(name) && !values_.contains(name)) {
        throw Error(
            fmt::format("{}: {}: tensor '{}' comes from nowhere", file_, who(), printable(name)));
      }
    };
    for (const auto& output : graph.output()) {
      need(output.name(), [] { return std::string("graph output"); });
    }
    while (!pending.empty()) {
      const int i = pending.back();
      pending.pop_back();
      for (const std::string& name : graph.node(i).input()) {
        if (!name.empty()) need(name, [&] { return describe_node(i); });
      }
    }
    std::vector<int> missing(graph.node_size(), 0);
    std::vector<std::vector<int>> users(graph.node_size());
    for (int i = 0; i < graph.node_size(); ++i) {
      if (!live[i]) continue;
      for (const std::string& name : graph.node(i).input()) {
        const auto it = producer.find(name);
        if (name.empty() || it == producer.end()) continue;
        ++missing[i];
        users[it->second].push_back(i);
      }
    }
    std::priority_queue<int, std::vector<int>, std::greater<>> ready;
    for (int i = 0; i < graph.node_size(); ++i) {
      if (live[i] && missing[i] == 0) ready.push(i);
    }
    std::vector<int> order;
    while (!ready.empty()) {
      const int i = ready.top();
      ready.pop();
      order.push_back(i);
      for (const int user : users[i]) {
        if (--missing[user] == 0) ready.push(user);
      }
    }
    for (int i = 0; i < graph.node_size(); ++i) {
      if (live[i] && missing[i] > 0) {
        throw Error(fmt::format("{}: {}: depends on its own result", file_, describe_node(i)));
      }
    }
    return order;
  }

  // A tensor by name; initializers become constants when something uses them.
  Value value(const std::string& name) {
    if (name.empty()) return {};
    if (const auto it = values_.find(name); it != values_.end()) return it->second;
    const std::string where = fmt::format("{}: initializer '{}'", file_, printable(name));
    Tensor tensor = read_tensor(*initializers_.at(name), where);
    check_numbers(tensor, where);
    return values_[name] = {
               &graph_.add(require_op("constant"), {}, name, {}, {{"value", std::move(tensor)}}),
               0};
  }

  static void check_numbers(const Tensor& tensor, const std::string& where) {
    for (size_t i = 0; i < tensor.reals.size(); ++i) {
      if (std::isnan(tensor.reals[i])) {
        throw Error(fmt::format("{}: element {} is not a number (NaN)", where, i),
                    "the model was not trained or saved properly");
      }
    }
  }

  void read_node(const onnx::NodeProto& proto, int index) {
    const std::string where = fmt::format("{}: {}", file_, describe_node(index));
    OnnxNode node;
    node.type = proto.op_type();
    node.domain = normalized_domain(proto.domain());
    const Op* op = find_onnx_op(node.domain, node.type);
    if (op == nullptr && node.domain.empty()) {  // old exporters left QONNX's domain out
      op = find_onnx_op("qonnx", node.type);
      if (op != nullptr) node.domain = "qonnx";
    }
    if (op == nullptr) unknown_operator(where, proto.domain(), node.type);
    const auto version = versions_.find(node.domain);
    node.version = version == versions_.end() ? 1 : version->second;
    node.name = node_name(index);
    node.outputs = proto.output_size();
    for (const std::string& name : proto.output()) {
      node.used.push_back(!name.empty() && used_.contains(name));
    }
    for (const std::string& name : proto.input()) node.in.push_back(value(name));
    for (const auto& attribute : proto.attribute()) read_attribute(attribute, where, node);

    const size_t before = graph_.nodes.size();
    std::vector<Value> results;
    try {
      results = op->import(node, graph_);
      for (size_t i = before; i < graph_.nodes.size(); ++i) fold(graph_.nodes[i]);
    } catch (const Error& error) {
      const std::string_view message = error.what();
      throw Error(message.starts_with("node '") ? fmt::format("{}: {}", file_, message)
                                                : fmt::format("{}: {}", where, message),
                  error.help());
    }
    for (int i = 0; i < proto.output_size(); ++i) {
      const std::string& name = proto.output(i);
      const bool there = static_cast<size_t>(i) < results.size() && results[i];
      if (there && !name.empty()) values_[name] = results[i];
      if (!there && node.uses(i)) {
        throw Error(
            fmt::format("{}: result {} ('{}') is not supported", where, i, printable(name)));
      }
    }
  }

  void fold(Node& node) {
    int64_t operands = 0, results = 0;
    for (const Value& value : node.in) operands += value.type().count();
    for (const Type& type : node.out) {
      if (type.count() > kMostValueElements) {
        throw Error(fmt::format("{}: its result {} is too large", describe(node), to_string(type)));
      }
      results += type.count();
    }
    // A long way from what the file itself holds: left to be computed when it is needed.
    if (results > std::max(kMostFoldedElements, 2 * operands)) return;
    if (folded_ + results > std::max(kMostFoldedInAll, 2 * operands)) return;
    if (fold_constant(node)) folded_ += results;
  }

  void read_attribute(const onnx::AttributeProto& attribute, const std::string& node_where,
                      OnnxNode& node) const {
    using onnx::AttributeProto;
    const std::string& name = attribute.name();
    const std::string where = fmt::format("{}: attribute '{}'", node_where, printable(name));
    const auto tensor = [&](Tensor value) {
      check_numbers(value, where);
      node.tensors[name] = std::move(value);
    };
    if (!attribute.ref_attr_name().empty()) {
      throw Error(fmt::format("{}: refers to a function's attribute", where));
    }
    auto type = attribute.type();
    if (type == AttributeProto::UNDEFINED) {  // old files leave it out
      if (attribute.has_i()) type = AttributeProto::INT;
      if (attribute.has_f()) type = AttributeProto::FLOAT;
      if (attribute.has_s()) type = AttributeProto::STRING;
      if (attribute.ints_size() > 0) type = AttributeProto::INTS;
      if (attribute.has_t()) type = AttributeProto::TENSOR;
    }
    switch (type) {
      case AttributeProto::FLOAT:
        if (std::isnan(attribute.f())) throw Error(fmt::format("{}: is not a number", where));
        node.attr[name] = static_cast<double>(attribute.f());
        return;
      case AttributeProto::INT:
        node.attr[name] = int64_t{attribute.i()};
        return;
      case AttributeProto::STRING:
        node.attr[name] = attribute.s();
        return;
      case AttributeProto::INTS:
        node.attr[name] = std::vector<int64_t>(attribute.ints().begin(), attribute.ints().end());
        return;
      case AttributeProto::FLOATS:
        tensor(make_floats({attribute.floats_size()},
                           {attribute.floats().begin(), attribute.floats().end()}));
        return;
      case AttributeProto::TENSOR:
        tensor(read_tensor(attribute.t(), where));
        return;
      case AttributeProto::GRAPH:
      case AttributeProto::GRAPHS:
        throw Error(fmt::format("{}: holds a subgraph", where),
                    "control flow is not supported, export a straight network");
      default:
        throw Error(fmt::format("{}: its kind is not supported", where));
    }
  }

  void read_outputs() {
    const onnx::GraphProto& graph = model_.graph();
    if (graph.output_size() == 0) throw Error(fmt::format("{}: has no outputs", file_));
    std::unordered_set<std::string> seen;
    for (const auto& output : graph.output()) {
      if (!seen.insert(output.name()).second) {
        throw Error(
            fmt::format("{}: two graph outputs are called '{}'", file_, printable(output.name())));
      }
      graph_.outputs.push_back({output.name(), value(output.name())});
    }
  }

  const onnx::ModelProto& model_;
  const std::string& file_;
  Graph graph_;
  int64_t folded_ = 0;
  std::map<std::string, int64_t> versions_;
  std::unordered_map<std::string, const onnx::TensorProto*> initializers_;
  std::unordered_map<std::string, std::string> datatypes_;
  std::unordered_map<std::string, Value> values_;
  std::unordered_set<std::string> used_;
  std::vector<std::string> names_;  // of nodes
};

}  // namespace

Graph read_model(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    throw Error(fmt::format("{}: is a directory", path.string()), "expected an ONNX file");
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(fmt::format("{}: can't be opened", path.string()), "check the path");
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > static_cast<uintmax_t>(kMostBytes)) {
    throw Error(fmt::format("{}: {} bytes, expected at most {}", path.string(), size, kMostBytes));
  }
  std::string bytes;
  std::vector<char> block(1 << 16);
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
    bytes.append(block.data(), in.gcount());
    if (static_cast<int64_t>(bytes.size()) > kMostBytes) {
      throw Error(fmt::format("{}: more than {} bytes", path.string(), kMostBytes));
    }
  }
  return read_model_bytes(bytes, path.string());
}

Graph read_model_bytes(std::string_view bytes, const std::string& name) {
  if (bytes.empty()) throw Error(fmt::format("{}: is empty", name), "expected an ONNX model");
  if (static_cast<int64_t>(bytes.size()) > kMostBytes) {
    throw Error(fmt::format("{}: more than {} bytes", name, kMostBytes));
  }
  if (bytes.starts_with("\x1f\x8b")) {
    throw Error(fmt::format("{}: is compressed (gzip)", name), "unpack it first: gunzip FILE");
  }
  // Its complaints would go to standard error beside ours.
  const google::protobuf::LogSilencer quiet;
  onnx::ModelProto model;
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  if (!model.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    throw Error(fmt::format("{}: is not an ONNX model, or is damaged or cut short", name),
                "expected a file written by onnx.save");
  }
  return Reader(model, name).read();
}

}  // namespace foldstream
