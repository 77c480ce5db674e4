// SPDX-License-Identifier: Apache-2.0
#include "src/fold/folding_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "src/fold/finn_names.h"
#include "src/fold/fold.h"
#include "src/fold/queues.h"
#include "src/ir/op.h"
#include "src/ir/text.h"
#include "src/passes/group_pixels.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// A dense layer of bipolar weights without thresholds; its sums become one bit by a second node.
Value dense(Graph& graph, Value in, const std::string& name, int64_t rows, bool binarize) {
  const int64_t columns = in.type().shape.back();
  std::vector<int64_t> weights(static_cast<size_t>(rows * columns));
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = i * 2654435761u >> 7 & 1 ? 1 : -1;
  Node& sum = graph.add(require_op("mvau"), {in}, name, {},
                        {{"w", make_ints(Shape{rows, columns}, std::move(weights))}});
  if (!binarize) return {&sum, 0};
  std::vector<int64_t> levels(static_cast<size_t>(rows), 3);
  sum.data["t"] = make_ints(Shape{rows, 1}, std::move(levels));
  infer_node(sum);
  return {&sum, 0};
}

// The shape of TFC: 784-64-64-64-10 and the best class.
Graph tfc() {
  Graph graph;
  graph.name = "tfc";
  Node& x = graph.add(require_op("input"), {}, "x",
                      {{"type", "u1"}, {"shape", std::vector<int64_t>{1, 784}}});
  Value value{&x, 0};
  for (const char* name : {"fc0", "fc1", "fc2"}) value = dense(graph, value, name, 64, true);
  value = dense(graph, value, "fc3", 10, false);
  Node& label = graph.add(require_op("label_select"), {value}, "label");
  graph.outputs.push_back({"y", {&label, 0}});
  return graph;
}

nlohmann::ordered_json json(const char* text) { return nlohmann::ordered_json::parse(text); }

std::string failure(Graph& graph, const char* text) {
  try {
    apply_folding(graph, json(text));
  } catch (const Error& error) {
    return std::string(error.what()) + " / " + error.help();
  }
  return "no error";
}

TEST(FoldingFile, FinnsOwnFileGivesFinnsCycles) {
  for (const std::string net : {"tfc-w1a1", "tfc-w1a2", "tfc-w2a2"}) {
    const std::string folder = FOLDSTREAM_SOURCE_DIR "/../shared/reference/finn/";
    std::ifstream config(folder + "folding_configs/" + net + "_folding_config.json");
    std::string number = net;  // tfc-w1a2 is tfc_1w2a in FINN's reports
    number = "tfc_" + net.substr(5, 1) + "w" + net.substr(7, 1) + "a";
    std::ifstream cycles(folder + number + "/estimate_layer_cycles.json");
    if (!config || !cycles) GTEST_SKIP() << "FINN's files are not here";
    std::stringstream text;
    text << config.rdbuf();
    Graph graph = tfc();
    const FoldingRemarks remarks = apply_folding(graph, parse_json(text.str(), net));
    // FINN's input quantizer is a node of its own, this graph starts behind it.
    ASSERT_EQ(remarks.warnings.size(), 1u);
    EXPECT_TRUE(remarks.warnings[0].starts_with("'Thresholding_rtl_0' has no effect"));
    const auto expected = nlohmann::json::parse(cycles);
    int compared = 0;
    for (const auto& [name, node] : finn_names(graph)) {
      std::string finns = name;
      finns.replace(finns.find("_rtl_"), 5, "_hls_");
      EXPECT_EQ(node->op->rhythm(*node, Family::generic).steps(), expected.at(finns).get<int64_t>())
          << finns;
      ++compared;
    }
    EXPECT_EQ(compared, 5);
    insert_stream_nodes(graph);
    EXPECT_EQ(set_queues(graph, Family::generic).interval_cycles, 64);
  }
}

TEST(FoldingFile, WhatIsWrittenReadsBackToTheSame) {
  Graph graph = tfc();
  fold_for_cycles(graph, 100, find_part("xc7z020"));
  Graph unfolded = graph.clone();
  insert_stream_nodes(graph);
  set_queues(graph, Family::xilinx);
  const nlohmann::ordered_json file = final_hw_config(graph);
  for (Node& node : unfolded.nodes) node.attr.erase("pe"), node.attr.erase("simd");
  const FoldingRemarks remarks =
      apply_folding(unfolded, parse_json(file.dump(2), "final_hw_config.json"));
  EXPECT_TRUE(remarks.warnings.empty());
  insert_stream_nodes(unfolded);
  set_queues(unfolded, Family::xilinx);
  EXPECT_EQ(print(unfolded), print(graph));
  EXPECT_EQ(final_hw_config(unfolded).dump(), file.dump());
}

// Queues that are longer than the rate asks for, behind nodes of the compiler's own, too.
TEST(FoldingFile, QueuesReadBackToTheSame) {
  Graph plain;
  Node& x = plain.add(require_op("input"), {}, "x", {{"type", "u4"}, {"shape", Shape{1, 6, 6, 4}}});
  Node& window = plain.add(require_op("sliding_window"), {{&x, 0}}, "window",
                           {{"kernel", Shape{3, 3}}, {"pad", Shape{1, 1, 1, 1}}});
  Node& short_way = plain.add(require_op("threshold"), {{&x, 0}}, "short", {},
                              {{"t", make_ints(Shape{1, 3}, {4, 8, 12})}});
  Node& pool = plain.add(require_op("pool"), {{&x, 0}}, "pool",
                         {{"kernel", Shape{3, 3}}, {"pad", Shape{1, 1, 1, 1}}});
  Node& both = plain.add(require_op("concat_streams"), {{&short_way, 0}, {&pool, 0}}, "both",
                         {{"axis", int64_t{3}}});
  plain.outputs.push_back({"windows", {&window, 0}});
  plain.outputs.push_back({"y", {&both, 0}});
  Graph graph = plain.clone();
  apply_folding(graph, nlohmann::ordered_json::object());
  insert_stream_nodes(graph);
  set_queues(graph, Family::xilinx);
  bool has_fifo = false;
  for (Node& node : graph.nodes) {
    if (node.op->kind == Op::Kind::hardware) node.attr["queue"] = node.integer("queue") + 3;
    has_fifo = has_fifo || node.op->name == "fifo";
  }
  EXPECT_TRUE(has_fifo);
  const nlohmann::ordered_json file = final_hw_config(graph);
  Graph again = plain.clone();
  const FoldingRemarks remarks = apply_folding(again, file);
  EXPECT_TRUE(remarks.warnings.empty() && remarks.notes.empty());
  insert_stream_nodes(again);
  const QueueResult result =
      set_queues(again, Family::xilinx, kAnyLatency, QueueEffort::what_pays, remarks.stream_queues);
  EXPECT_EQ(print(again), print(graph));
  EXPECT_TRUE(result.least());  // all were asked for
  Graph wrong = plain.clone();
  EXPECT_NE(failure(wrong, R"({"StreamQueues": {"x_fork": 0}})").find("expected a depth"),
            std::string::npos);
  EXPECT_NE(failure(wrong, R"({"StreamQueues": 3})").find("not an object"), std::string::npos);
}

// Nodes that take several pixels at once are made so again before their entries are read.
TEST(FoldingFile, GroupsOfPixelsReadBackToTheSame) {
  Graph plain;
  Node& x = plain.add(require_op("input"), {}, "x", {{"type", "u1"}, {"shape", Shape{1, 4, 8, 3}}});
  Node& pool = plain.add(require_op("pool"), {dense(plain, {&x, 0}, "pixels", 4, true)}, "pool",
                         {{"kernel", Shape{2, 2}}, {"stride", Shape{2, 2}}});
  plain.outputs.push_back({"y", {&pool, 0}});
  Graph graph = plain.clone();
  ASSERT_TRUE(group_pixels(graph, 8, Family::xilinx));
  fold_for_cycles(graph, 8, find_part("xc7z020"));
  const nlohmann::ordered_json file = final_hw_config(graph);
  EXPECT_EQ(file["PixelGroups"].dump(), R"({"pixels":[4,4],"pool":[4,2]})");
  Graph again = plain.clone();
  EXPECT_TRUE(apply_folding(again, file).warnings.empty());
  EXPECT_EQ(print(again), print(graph));
  Graph wrong = plain.clone();
  EXPECT_NE(failure(wrong, R"({"PixelGroups": {"pixels": [3, 3]}})").find("3 pixels a position"),
            std::string::npos);
  EXPECT_NE(failure(wrong, R"({"PixelGroups": {"pixels": 2}})").find("expected pixels"),
            std::string::npos);
}

TEST(FoldingFile, NamesOfEveryStyle) {
  Graph graph = tfc();
  apply_folding(graph, json(R"({"Defaults": {"PE": [2, ["MVAU"], 5, ["LabelSelect_hls"]]},
      "MVAU_0": {"SIMD": 49}, "MVAU_rtl_1": {"PE": 8}, "fc3": {"PE": 10, "SIMD": 16}})"));
  const auto fold = [&](size_t i, const char* attr) { return graph.nodes[i].integer(attr); };
  EXPECT_EQ(fold(1, "pe"), 2);
  EXPECT_EQ(fold(1, "simd"), 49);
  EXPECT_EQ(fold(2, "pe"), 8);
  EXPECT_EQ(fold(2, "simd"), 1);
  EXPECT_EQ(fold(3, "pe"), 2);
  EXPECT_EQ(fold(4, "pe"), 10);
  EXPECT_EQ(fold(4, "simd"), 16);
  EXPECT_EQ(fold(5, "pe"), 5);
  // FINN numbers each style apart; the order of the file tells them from each other.
  apply_folding(graph, json(R"({"MVAU_hls_0": {"PE": 1}, "MVAU_rtl_0": {"PE": 2},
      "MVAU_rtl_1": {"PE": 4}, "MVAU_hls_1": {"PE": 5}})"));
  EXPECT_EQ(fold(1, "pe"), 1);
  EXPECT_EQ(fold(2, "pe"), 2);
  EXPECT_EQ(fold(3, "pe"), 4);
  EXPECT_EQ(fold(4, "pe"), 5);
}

TEST(FoldingFile, WhatHasNoEffectIsSaid) {
  Graph graph = tfc();
  const FoldingRemarks remarks = apply_folding(graph, json(R"({
      "MVAU_0": {"ram_style": "block", "resType": "lut"}, "MVAU_1": {"ram_style": "auto"},
      "StreamingFIFO_rtl_0": {"depth": 32}, "ConvolutionInputGenerator_rtl_0": {"SIMD": 2}})"));
  ASSERT_EQ(remarks.notes.size(), 3u);
  EXPECT_EQ(remarks.notes[0],
            "forks, width converters and queues are made by the compiler again "
            "(StreamingFIFO_rtl_0)");
  EXPECT_EQ(
      remarks.notes[1],
      "ram_style has no effect here (weights and buffers are placed by the operator): MVAU_0, "
      "MVAU_1");
  ASSERT_EQ(remarks.warnings.size(), 4u);
  EXPECT_EQ(remarks.warnings[0],
            "'ConvolutionInputGenerator_rtl_0' has no effect: the graph has no "
            "ConvolutionInputGenerator node; its nodes are MVAU_rtl_0, MVAU_rtl_1, MVAU_rtl_2, "
            "MVAU_rtl_3, LabelSelect_rtl_0");
  EXPECT_EQ(remarks.warnings[1],
            "no entry for 'MVAU_rtl_2', node 'fc2' (mvau): it keeps PE = 1, SIMD = 1");
}

TEST(FoldingFile, PlacesOfWeightsComeBack) {
  const char* text = R"({"MVAU_0": {"ram_style": "ultra"}, "MVAU_1": {"mem_mode": "external"},
      "MVAU_2": {"ram_style": "ultra", "runtime_writeable_weights": 1}, "MVAU_3": {}})";
  Graph graph = tfc();
  apply_folding(graph, json(text), true);
  const auto place = [](const Graph& of, const char* name) {
    for (const Node& node : of.nodes) {
      if (node.name == name)
        return node.text("memory", "-") + std::to_string(node.integer("ultra", 0));
    }
    return std::string();
  };
  const auto check = [&](const Graph& of) {
    EXPECT_EQ(place(of, "fc0"), "loaded0");
    EXPECT_EQ(place(of, "fc1"), "streamed0");
    EXPECT_EQ(place(of, "fc2"), "writable1");
    EXPECT_EQ(place(of, "fc3"), "-0");
  };
  check(graph);
  Graph again = tfc();
  apply_folding(again, parse_json(final_hw_config(graph).dump(2), "final_hw_config.json"), true);
  check(again);
  // A part without UltraRAM.
  Graph plain = tfc();
  const FoldingRemarks remarks = apply_folding(plain, json(text));
  EXPECT_EQ(place(plain, "fc0"), "-0");
  EXPECT_EQ(place(plain, "fc2"), "writable0");
  EXPECT_EQ(remarks.notes.size(), 1u);
  EXPECT_EQ(
      failure(graph, R"({"MVAU_1": {"mem_mode": "external", "runtime_writeable_weights": 1}})"),
      "folding file: 'MVAU_1', node 'fc1' (mvau): its weights can't be streamed and writable / "
      "leave out runtime_writeable_weights, or mem_mode = external");
}

TEST(FoldingFile, WhatIsWrongIsAnError) {
  Graph graph = tfc();
  EXPECT_EQ(failure(graph, R"({"MVAU_0": {"PE": 7}})"),
            "folding file: 'MVAU_0', node 'fc0' (mvau): PE = 7 is not legal / legal values are 1, "
            "2, 4, 8, 16, 32, 64");
  EXPECT_EQ(failure(graph, R"({"MVAU_0": {"PE": "x"}})"),
            "folding file: 'MVAU_0', node 'fc0' (mvau): PE = \"x\" is not legal / legal values are "
            "1, 2, 4, 8, 16, 32, 64");
  EXPECT_EQ(failure(graph, R"({"MVAU_hls_4": {}})"),
            "folding file: 'MVAU_hls_4', but the graph has 4 MVAU nodes / its nodes are "
            "MVAU_rtl_0, MVAU_rtl_1, MVAU_rtl_2, MVAU_rtl_3, LabelSelect_rtl_0");
  EXPECT_EQ(failure(graph, R"({"MVUA_rtl_0": {}})"),
            "folding file: no node is called 'MVUA_rtl_0' / did you mean 'MVAU_rtl_0' or "
            "'MVAU_rtl_1' or 'MVAU_rtl_2'?");
  EXPECT_EQ(
      failure(graph, R"({"MVAU_0": {"SMID": 7}})"),
      "folding file: 'MVAU_0', node 'fc0' (mvau): there is no attribute 'SMID' / did you mean "
      "'SIMD'?");
  EXPECT_EQ(failure(graph, R"({"MVAU_0": {"ram_style": "blok"}})"),
            "folding file: 'MVAU_0', node 'fc0' (mvau): ram_style = \"blok\" is not legal / legal "
            "values are 'auto', 'block', 'distributed', 'ultra'");
  EXPECT_EQ(failure(graph, R"({"MVAU_0": {"outFIFODepths": [2, 2]}})"),
            "folding file: 'MVAU_0', node 'fc0' (mvau): outFIFODepths = [2,2] is not legal / "
            "expected a list of at most 1 depth");
  EXPECT_EQ(failure(graph, R"({"MVAU_0": {}, "fc0": {}})"),
            "folding file: 'fc0' names node 'fc0' (mvau) a second time / ");
  EXPECT_EQ(failure(graph, R"({"MVAU_hls_0": {}, "MVAU_rtl_0": {}})"),
            "folding file: 2 HLS and RTL entries of MVAU for 4 nodes: which is which can't be told "
            "/ name every node, or call them MVAU_0 to MVAU_3");
  EXPECT_EQ(failure(graph, "[]"),
            "folding file: found no JSON object / expected { \"<node>\": { \"PE\": 4 } }");
  EXPECT_THROW(parse_json(R"({"a": {"PE": 1}, "b": 2, "a": {"PE": 2}})", "f.json"), Error);
  EXPECT_NO_THROW(parse_json(R"({"a": {"PE": 1}, "b": {"PE": 1}})", "f.json"));
  EXPECT_THROW(parse_json("{\n\"a\": ", "f.json"), Error);
}

}  // namespace
}  // namespace foldstream
