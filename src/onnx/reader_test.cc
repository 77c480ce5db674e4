// SPDX-License-Identifier: Apache-2.0
#include "src/onnx/reader.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <functional>

#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/ir/text.h"
#include "src/onnx/writer.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

using onnx::TensorProto;

// x [1, 3] -> MatMul with w -> Add b -> y, to be damaged by the tests.
onnx::ModelProto small_model() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(13);
  onnx::GraphProto& graph = *model.mutable_graph();
  graph.set_name("small");
  auto& input = *graph.add_input();
  input.set_name("x");
  auto& type = *input.mutable_type()->mutable_tensor_type();
  type.set_elem_type(TensorProto::FLOAT);
  for (const int64_t dim : {1, 3}) type.mutable_shape()->add_dim()->set_dim_value(dim);
  graph.add_output()->set_name("y");
  const auto node = [&](const char* op, const char* name, std::vector<std::string> in,
                        const char* out) {
    onnx::NodeProto& proto = *graph.add_node();
    proto.set_op_type(op);
    proto.set_name(name);
    for (const std::string& operand : in) proto.add_input(operand);
    proto.add_output(out);
  };
  // Not in topological order: the reader sorts.
  node("Add", "bias", {"h", "b"}, "y");
  node("MatMul", "layer", {"x", "w"}, "h");
  auto& w = *graph.add_initializer();
  w.set_name("w");
  w.set_data_type(TensorProto::FLOAT);
  for (const int64_t dim : {3, 2}) w.add_dims(dim);
  for (const float v : {1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}) w.add_float_data(v);
  auto& b = *graph.add_initializer();
  b.set_name("b");
  b.set_data_type(TensorProto::FLOAT);
  b.add_dims(2);
  b.add_float_data(0.5F);
  b.add_float_data(-1);
  return model;
}

Graph read(const onnx::ModelProto& model) {
  return read_model_bytes(model.SerializeAsString(), "m");
}

std::string message_of(const onnx::ModelProto& model) {
  try {
    read(model);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// The error after `damage`.
std::string error_after(const std::function<void(onnx::GraphProto&)>& damage) {
  onnx::ModelProto model = small_model();
  damage(*model.mutable_graph());
  return message_of(model);
}

TEST(Reader, SortsNodesAndMakesInitializersConstants) {
  const Graph graph = read(small_model());
  EXPECT_EQ(print(graph),
            "foldstream 1\n"
            "graph \"small\"\n"
            "%0 \"x\" = input {shape=[1, 3], type=\"f32\"} : f32[1,3]\n"
            "%1 \"w\" = constant (value=@0) : f32[3,2]\n"
            "%2 \"layer\" = matmul %0, %1 : f32[1,2]\n"
            "%3 \"b\" = constant (value=@1) : f32[2]\n"
            "%4 \"bias\" = add %2, %3 : f32[1,2]\n"
            "output \"y\" %4\n"
            "@0 = f32[3,2] 1.0 2.0 3.0 4.0 5.0 6.0\n"
            "@1 = f32[2] 0.5 -1.0\n");
}

TEST(Reader, GivesEveryNodeANameOfItsOwn) {
  onnx::ModelProto model = small_model();
  onnx::GraphProto& graph = *model.mutable_graph();
  const auto relu = [&](const char* name, const char* in, const char* out) {
    onnx::NodeProto& proto = *graph.add_node();
    proto.set_op_type("Relu");
    proto.set_name(name);
    proto.add_input(in);
    proto.add_output(out);
  };
  graph.mutable_output(0)->set_name("last");
  relu("layer", "y", "r2"), relu("", "r2", "r3"), relu("Relu_3", "r3", "r4");
  relu("layer_1", "r4", "last");
  std::vector<std::string> names;
  for (const Node& node : read(model).nodes) {
    if (node.op->name == "matmul" || node.op->name == "relu") names.push_back(node.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"layer", "layer_2", "Relu_3_1", "Relu_3", "layer_1"}));
}

TEST(Reader, ReadsItsOwnWriting) {
  const Graph graph = read(small_model());
  const std::string bytes = write_model(graph);
  EXPECT_EQ(write_model(graph), bytes);
  const Graph again = read_model_bytes(bytes, "again");
  const Tensor x = make_floats({1, 3}, {1, -2, 0.5});
  EXPECT_EQ(Evaluator(again).run(std::vector<Tensor>{x}),
            Evaluator(graph).run(std::vector<Tensor>{x}));
}

TEST(Reader, DynamicBatchIsOneFrame) {
  onnx::ModelProto model = small_model();
  auto& shape = *model.mutable_graph()
                     ->mutable_input(0)
                     ->mutable_type()
                     ->mutable_tensor_type()
                     ->mutable_shape();
  shape.mutable_dim(0)->set_dim_param("N");
  EXPECT_EQ(read(model).nodes.front().out[0], float_type({1, 3}));
  shape.mutable_dim(0)->set_dim_value(0);
  EXPECT_EQ(read(model).nodes.front().out[0], float_type({1, 3}));
  shape.mutable_dim(1)->set_dim_param("length");
  EXPECT_EQ(message_of(model), "m: graph input 'x': dimension 1 is 'length', expected a number");
}

TEST(Reader, RefusesWhatIsNoModel) {
  const auto message = [](std::string_view bytes) -> std::string {
    try {
      read_model_bytes(bytes, "m");
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message(""), "m: is empty");
  EXPECT_EQ(message("hello"), "m: is not an ONNX model, or is damaged or cut short");
  EXPECT_EQ(message("\x1f\x8b\x08"), "m: is compressed (gzip)");
  const std::string bytes = small_model().SerializeAsString();
  EXPECT_EQ(message(bytes.substr(0, bytes.size() - 7)),
            "m: is not an ONNX model, or is damaged or cut short");
  EXPECT_EQ(message(onnx::ModelProto().SerializeAsString() + "\x08\x08"), "m: holds no graph");
  EXPECT_THROW(read_model("no/such/model.onnx"), Error);
}

// A name with a line's end would end the comment it is put into, in sources that are run.
TEST(Reader, RefusesNamesThatAreNotText) {
  const auto refused = [](const auto& damage) {
    onnx::ModelProto model = small_model();
    damage(*model.mutable_graph());
    try {
      read(model);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(refused([](onnx::GraphProto& graph) { graph.mutable_node(0)->set_name("a\nb"); }),
            "m: the name of a node, 'a?b', holds a control character");
  EXPECT_EQ(refused([](onnx::GraphProto& graph) { graph.set_name("\x1b[2J"); }),
            "m: the name of the graph, '?[2J', holds a control character");
  EXPECT_EQ(refused([](onnx::GraphProto& graph) { graph.mutable_node(1)->set_output(0, "\t"); }),
            "m: the name of a tensor, '?', holds a control character");
  EXPECT_NE(refused([](onnx::GraphProto& graph) {
              graph.mutable_node(0)->set_name("caf\xe9");
            }).find("holds bytes that are not UTF-8"),
            std::string::npos);
}

TEST(Reader, RefusesBrokenWires) {
  EXPECT_EQ(error_after([](auto& graph) { graph.mutable_node(0)->set_input(1, "gone"); }),
            "m: node 'bias' (Add): tensor 'gone' comes from nowhere");
  EXPECT_EQ(error_after([](auto& graph) { graph.mutable_node(1)->set_input(0, "y"); }),
            "m: node 'bias' (Add): depends on its own result");
  EXPECT_EQ(error_after([](auto& graph) { graph.mutable_node(1)->set_output(0, "y"); }),
            "m: node 'layer' (MatMul): tensor 'y' has another source already");
  EXPECT_EQ(error_after([](auto& graph) { *graph.add_initializer() = graph.initializer(0); }),
            "m: two initializers are called 'w'");
  EXPECT_EQ(error_after([](auto& graph) { *graph.add_output() = graph.output(0); }),
            "m: two graph outputs are called 'y'");
  EXPECT_EQ(error_after([](auto& graph) { graph.clear_output(); }), "m: has no outputs");
  EXPECT_EQ(error_after([](auto& graph) { graph.mutable_node(1)->mutable_input()->RemoveLast(); }),
            "m: node 'layer' (MatMul): has 1 operands, expected 2");
}

TEST(Reader, RefusesBadTensors) {
  const auto w = [](const std::function<void(TensorProto&)>& damage) {
    return error_after([&](auto& graph) { damage(*graph.mutable_initializer(0)); });
  };
  EXPECT_EQ(w([](auto& t) { t.set_float_data(3, std::nanf("")); }),
            "m: initializer 'w': element 3 is not a number (NaN)");
  EXPECT_EQ(w([](auto& t) { t.set_dims(0, 4); }),
            "m: initializer 'w': 8 elements of shape [4,2] expected, 6 found");
  EXPECT_EQ(w([](auto& t) { t.set_dims(0, INT64_MAX); }),
            "m: initializer 'w': shape [9223372036854775807,2]");
  EXPECT_EQ(w([](auto& t) { t.set_dims(0, -3); }), "m: initializer 'w': shape [-3,2]");
  EXPECT_EQ(w([](auto& t) { t.set_raw_data("abc"); }),
            "m: initializer 'w': 24 bytes for shape [3,2] expected, 3 found");
  EXPECT_EQ(w([](auto& t) { t.set_data_type(TensorProto::STRING); }),
            "m: initializer 'w': element type STRING is not supported");
  EXPECT_EQ(w([](auto& t) { t.set_data_type(99); }),
            "m: initializer 'w': element type number 99 is not supported");
  EXPECT_EQ(w([](auto& t) { t.set_data_location(TensorProto::EXTERNAL); }),
            "m: initializer 'w': its data is in another file");
  EXPECT_EQ(w([](auto& t) { t.set_dims(0, 2), t.set_dims(1, 3); }),
            "m: node 'layer' (matmul): operand 0 is f32[1,3] and operand 1 is f32[2,3]: 3 columns "
            "meet 2 rows");
}

TEST(Reader, RefusesUnknownOperatorsByName) {
  EXPECT_EQ(error_after([](auto& graph) { graph.mutable_node(1)->set_op_type("MatMull"); }),
            "m: node 'layer' (MatMull): operator 'MatMull' of domain '' is not supported");
  onnx::ModelProto model = small_model();
  model.mutable_graph()->mutable_node(1)->set_op_type("MatMull");
  try {
    read(model);
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(
        error.help().starts_with("the nearest supported operator is MatMul; supported are "))
        << error.help();
  }
  model.mutable_graph()->mutable_node(1)->set_op_type("MatMul");
  model.mutable_graph()->mutable_node(1)->set_domain("com.example");
  EXPECT_EQ(message_of(model),
            "m: node 'layer' (MatMul): operator 'MatMul' of domain 'com.example' is not supported");
}

TEST(Reader, IgnoresWhatNoOutputNeeds) {
  EXPECT_EQ(error_after([](auto& graph) {
              onnx::NodeProto& node = *graph.add_node();
              node.set_op_type("Nonsense");
              node.add_input("x");
              node.add_output("unused");
            }),
            "no error");
}

TEST(Reader, RefusesSubgraphs) {
  EXPECT_EQ(error_after([](auto& graph) {
              auto& attribute = *graph.mutable_node(1)->add_attribute();
              attribute.set_name("body");
              attribute.set_type(onnx::AttributeProto::GRAPH);
            }),
            "m: node 'layer' (MatMul): attribute 'body': holds a subgraph");
}

TEST(Reader, ReadsTypedFieldsAndRawData) {
  const auto read_as = [](int type, const std::function<void(TensorProto&)>& fill) {
    onnx::ModelProto model = small_model();
    TensorProto& b = *model.mutable_graph()->mutable_initializer(1);
    b.clear_float_data();
    b.set_data_type(type);
    fill(b);
    onnx::GraphProto& graph = *model.mutable_graph();
    graph.clear_node();
    graph.mutable_output(0)->set_name("b");
    return *read(model).outputs.at(0).value.node->tensor("value");
  };
  EXPECT_EQ(
      read_as(TensorProto::DOUBLE, [](auto& t) { t.add_double_data(0.1), t.add_double_data(2); }),
      make_floats({2}, {0.1, 2}));
  EXPECT_EQ(read_as(TensorProto::FLOAT16,
                    [](auto& t) { t.add_int32_data(0x3c00), t.add_int32_data(0xc400); }),
            make_floats({2}, {1, -4}));
  EXPECT_EQ(read_as(TensorProto::BFLOAT16,
                    [](auto& t) { t.set_raw_data(std::string("\x80\x3f\x00\xc0", 4)); }),
            make_floats({2}, {1, -2}));
  EXPECT_EQ(read_as(TensorProto::INT8, [](auto& t) { t.set_raw_data("\xff\x05"); }),
            make_ints(integer_type(8, true, {2}), {-1, 5}));
  EXPECT_EQ(
      read_as(TensorProto::UINT8, [](auto& t) { t.add_int32_data(255), t.add_int32_data(0); }),
      make_ints(integer_type(8, false, {2}), {255, 0}));
  EXPECT_EQ(read_as(22, [](auto& t) { t.set_raw_data("\x8f"); }),
            make_ints(integer_type(4, true, {2}), {-1, -8}));
  EXPECT_EQ(read_as(TensorProto::BOOL, [](auto& t) { t.set_raw_data(std::string("\x00\x01", 2)); }),
            make_ints(integer_type(1, false, {2}), {0, 1}));
}

}  // namespace
}  // namespace foldstream
