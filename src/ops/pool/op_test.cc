// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "src/ir/eval.h"

namespace foldstream {
namespace {

struct Window {
  Shape shape;
  std::vector<int64_t> kernel, stride, pad;
};

// Element by element, by the definition.
std::vector<int64_t> by_definition(const std::vector<int64_t>& x, const Window& w,
                                   const std::string& function, int64_t pad_value) {
  const int64_t height = w.shape[1], width = w.shape[2], channels = w.shape[3];
  std::vector<int64_t> y;
  for (int64_t top = -w.pad[0]; top + w.kernel[0] <= height + w.pad[2]; top += w.stride[0]) {
    for (int64_t left = -w.pad[1]; left + w.kernel[1] <= width + w.pad[3]; left += w.stride[1]) {
      for (int64_t c = 0; c < channels; ++c) {
        std::vector<int64_t> window;
        for (int64_t h = top; h < top + w.kernel[0]; ++h) {
          for (int64_t v = left; v < left + w.kernel[1]; ++v) {
            if (h >= 0 && h < height && v >= 0 && v < width) {
              window.push_back(x[(h * width + v) * channels + c]);
            } else if (function == "sum") {
              window.push_back(pad_value);
            }
          }
        }
        int64_t result = 0;
        if (function == "max") result = *std::max_element(window.begin(), window.end());
        if (function == "min") result = *std::min_element(window.begin(), window.end());
        if (function == "sum") {
          for (const int64_t value : window) result += value;
        }
        y.push_back(result);
      }
    }
  }
  return y;
}

TEST(Pool, IsWhatItsDefinitionSays) {
  const Window windows[] = {
      {{1, 4, 6, 3}, {2, 2}, {2, 2}, {0, 0, 0, 0}}, {{1, 5, 7, 2}, {3, 3}, {2, 2}, {1, 1, 1, 1}},
      {{1, 5, 7, 2}, {3, 2}, {1, 3}, {2, 0, 1, 1}}, {{1, 4, 4, 1}, {4, 4}, {1, 1}, {0, 0, 0, 0}},
      {{1, 9, 8, 1}, {2, 1}, {3, 4}, {0, 0, 1, 0}},
  };
  for (const Window& w : windows) {
    for (const char* function : {"max", "min", "sum"}) {
      Graph graph;
      Node& input = graph.add(require_op("input"), {}, "x",
                              {{"type", std::string("s4")}, {"shape", w.shape}});
      const Node& node = graph.add(require_op("pool"), {{&input, 0}}, "pool",
                                   {{"function", std::string(function)},
                                    {"kernel", w.kernel},
                                    {"stride", w.stride},
                                    {"pad", w.pad},
                                    {"pad_value", int64_t{-9}}});
      std::vector<int64_t> x(element_count(w.shape));
      for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int64_t>(i * i * 7 % 16) - 8;
      const Tensor in = make_ints(input.out[0], x);
      const Tensor* operand = &in;
      EXPECT_EQ(evaluate_node(node, {&operand, 1})[0].ints, by_definition(x, w, function, -9))
          << function << to_string(w.shape) << to_string(w.kernel);
    }
  }
}

}  // namespace
}  // namespace foldstream
