// SPDX-License-Identifier: Apache-2.0
#include "src/report/report.h"

#include <gtest/gtest.h>

#include "src/sim/fake_op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Two blocks in a row: four cycles, then two.
Graph pair() {
  Graph graph;
  graph.name = "pair <&>";
  Node& x = graph.add(require_op("input"), {}, "x",
                      {{"type", "u1"}, {"shape", std::vector<int64_t>{1, 4}}});
  Node& a = graph.add(fake::block, {{&x, 0}}, "a",
                      {{"phases", std::vector<int64_t>{2, 1, 0, 2, 1, 1}},
                       {"elements", std::vector<int64_t>{4}},
                       {"depth", int64_t{3}}});
  Node& b = graph.add(
      fake::block, {{&a, 0}}, "b",
      {{"phases", std::vector<int64_t>{1, 1, 0, 1, 1, 1}}, {"elements", std::vector<int64_t>{1}}});
  graph.outputs.push_back({"y", {&b, 0}});
  return graph;
}

TEST(Report, LatencyIsMadeUpOfTheNodes) {
  const Report report = make_report(pair(), find_part("xc7z020"), "Pynq-Z1", 100);
  ASSERT_EQ(report.nodes.size(), 2u);
  // The last of four steps issues in cycle 3 and shows three later; the next block adds one.
  EXPECT_EQ(report.nodes[0].latency, 6);
  EXPECT_EQ(report.nodes[1].latency, 1);
  EXPECT_EQ(report.latency_cycles, 7);
  EXPECT_EQ(report.interval_cycles, 4);
  EXPECT_EQ(report.critical_path_cycles, 6);
  EXPECT_EQ(report.nodes[1].column, 1u);
  EXPECT_DOUBLE_EQ(report.frames_per_second(), 25e6);
  EXPECT_DOUBLE_EQ(report.latency_ns(), 70);
}

TEST(Report, FilesHaveFinnsKeys) {
  const Report report = make_report(pair(), find_part("xc7z020"), "", 100);
  EXPECT_EQ(estimate_layer_cycles(report).dump(), R"({"fake_block_rtl_0":4,"fake_block_rtl_1":2})");
  EXPECT_EQ(
      estimate_network_performance(report).dump(),
      R"({"critical_path_cycles":6,"max_cycles":4,"max_cycles_node_name":"fake_block_rtl_0",)"
      R"("estimated_throughput_fps":25000000.0,"estimated_latency_ns":60.0,)"
      R"("interval_cycles":4,"latency_cycles":7,"throughput_fps":25000000.0,"latency_ns":70.0})");
  EXPECT_EQ(op_and_param_counts(report).dump(),
            R"({"fake_block_rtl_0":{},"fake_block_rtl_1":{},"total":{}})");
  EXPECT_EQ(estimate_layer_resources(report)["total"].dump(),
            R"({"BRAM_18K":0.0,"LUT":0.0,"FF":0.0,"URAM":0.0,"DSP":0.0})");
  const auto measured = rtlsim_performance({10, 40, 10, 50, 7, 4}, 100);
  EXPECT_EQ(measured["latency_cycles"], 7);
  EXPECT_DOUBLE_EQ(measured["throughput[images/s]"].get<double>(), 10 / (50 / 100e6));
  EXPECT_DOUBLE_EQ(measured["stable_throughput[images/s]"].get<double>(), 25e6);
}

TEST(Report, PageIsSelfContainedAndEscaped) {
  const Report report = make_report(pair(), find_part("xc7z020"), "Pynq-Z1", 100);
  const std::string page = report_html(report);
  EXPECT_NE(page.find("pair &lt;&amp;&gt;"), std::string::npos);
  EXPECT_EQ(page.find("pair <&>"), std::string::npos);
  for (const char* outside : {"http", "src=", "<script", "<link", "@import", "url(\""})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  EXPECT_EQ(page, report_html(make_report(pair(), find_part("xc7z020"), "Pynq-Z1", 100)));
}

TEST(Report, ARooflineHoldsWhatIsDoneAgainstLanesPartAndMemory) {
  Graph graph = pair();
  EXPECT_FALSE(make_report(graph, find_part("xc7z020"), "Pynq-Z1", 100).roofline);
  // 4 cycles a frame of 400 multiplications, 2 of 100: 150 lanes; a frame is 4 bits in, 1 out.
  graph.nodes[1].attr["macs"] = int64_t{400};
  graph.nodes[2].attr["macs"] = int64_t{100};
  const Report report = make_report(graph, find_part("xc7z020"), "Pynq-Z1", 100);
  ASSERT_TRUE(report.roofline);
  EXPECT_DOUBLE_EQ(report.roofline->intensity, 500.0 / 5);
  EXPECT_DOUBLE_EQ(report.roofline->achieved, 500 * 25e6);
  ASSERT_EQ(report.roofline->roofs.size(), 2U);  // the fakes cost nothing
  EXPECT_DOUBLE_EQ(report.roofline->roofs[0].at(7), 150 * 100e6);
  EXPECT_DOUBLE_EQ(report.roofline->roofs[1].at(2), 2 * 0.75 * 16.8e9);
  EXPECT_NE(report_html(report).find("<h2>Roofline</h2>"), std::string::npos);
}

TEST(Report, WrongClockIsAnError) {
  EXPECT_THROW(make_report(pair(), find_part("xc7z020"), "", 0), Error);
}

}  // namespace
}  // namespace foldstream
