// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/rtl/block.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

enum class Function { max, min, sum };

// A position is runs of `pixels` pixels of `channels` elements.
struct Layer {
  explicit Layer(const Node& node) {
    if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
      throw Error("takes one integer operand of at least one dimension");
    }
    const std::string name = node.text("function", "max");
    if (name != "max" && name != "min" && name != "sum") {
      throw Error(fmt::format("function '{}'", name), "legal values are max, min, sum");
    }
    function = name == "max" ? Function::max : name == "min" ? Function::min : Function::sum;
    in = node.in_type(0);
    pixels = node.integer("kernel"), channels = node.integer("channels");
    const int64_t position = in.shape.back();
    if (pixels < 2 || channels < 1 || position % channels != 0 ||
        position / channels % pixels != 0) {
      throw Error(fmt::format("runs of {} pixels of {} channels in positions of {} elements",
                              pixels, channels, position),
                  "positions are whole runs, of at least 2 pixels each");
    }
    runs = position / channels / pixels;
    positions = in.count() / position;
    if (function == Function::sum && in.bits > 40) {
      throw Error(fmt::format("sums of {} bits", in.bits), "legal are up to 40 bits");
    }
  }

  // Of a result that so many pixels went into.
  Type type_of(int64_t count) const {
    Type type = function == Function::sum ? type_for_range(count * in.min(), count * in.max(), {})
                                          : integer_type(in.bits, in.is_signed, {});
    return type;
  }
  // Pixels of a run before each round, and the one that is left.
  std::vector<int64_t> rounds() const {
    std::vector<int64_t> rounds{pixels};
    while (rounds.back() > 1) rounds.push_back((rounds.back() + 1) / 2);
    return rounds;
  }

  Function function = Function::max;
  Type in;
  int64_t pixels = 2, channels = 1, runs = 1, positions = 1;
};

std::vector<Type> infer(const Node& node) {
  const Layer layer(node);
  Type type = layer.type_of(layer.pixels);
  type.shape = layer.in.shape;
  type.shape.back() /= layer.pixels;
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Layer layer(node);
  Tensor out = make_zero(node.out[0]);
  const int64_t* x = in[0]->ints.data();
  int64_t* y = out.ints.data();
  for (int64_t run = 0; run < layer.positions * layer.runs; ++run, y += layer.channels) {
    for (int64_t pixel = 0; pixel < layer.pixels; ++pixel, x += layer.channels) {
      for (int64_t c = 0; c < layer.channels; ++c) {
        if (pixel == 0) {
          y[c] = x[c];
        } else if (layer.function == Function::sum) {
          y[c] += x[c];
        } else {
          y[c] = layer.function == Function::max ? std::max(y[c], x[c]) : std::min(y[c], x[c]);
        }
      }
    }
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Layer layer(node);
  const auto shaped = [](const Type& type, Shape shape) {
    Type result = type;
    result.shape = std::move(shape);
    return result;
  };
  const auto indices = [&](std::vector<int64_t> values, const char* hint) {
    const auto size = static_cast<int64_t>(values.size());
    return sink.index_constant(make_ints(Shape{size}, std::move(values)), hint);
  };
  const int64_t all = layer.positions * layer.runs;
  const Shape split{all, layer.pixels, layer.channels};
  const std::string runs = sink.temporary("runs", shaped(layer.in, split));
  sink.node("", "Reshape", {sink.input(0), indices(split, "split")}, {runs});
  const std::string results = sink.temporary("results", shaped(node.out[0], {all, layer.channels}));
  const char* const type = layer.function == Function::max   ? "ReduceMax"
                           : layer.function == Function::min ? "ReduceMin"
                                                             : "ReduceSum";
  if (layer.function == Function::sum) {
    sink.node("", type, {runs, indices({1}, "axes")}, {results}, {{"keepdims", int64_t{0}}});
  } else {
    sink.node("", type, {runs}, {results},
              {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}});
  }
  sink.node("", "Reshape", {results, indices(node.out[0].shape, "shape")}, {sink.output(0)});
}

std::vector<Fold> folds(const Node&) { return {}; }

Ports ports(const Node& node) {
  const Layer layer(node);
  const Type& out = node.out[0];
  return {.in = {{layer.in.shape.back(), layer.in.bits, layer.positions}},
          .out = {{out.shape.back(), out.bits, layer.positions}}};
}

Rhythm rhythm(const Node& node, Family) {
  const Layer layer(node);
  Rhythm rhythm{.frame = {{1, {{layer.positions, 1, 1}}}}};
  finish_rhythm(node, static_cast<int64_t>(layer.rounds().size()) - 1, 1, rhythm);
  return rhythm;
}

Cost cost(const Node& node, Family family) {
  const Layer layer(node);
  const Rhythm steps = rhythm(node, family);
  Cost cost = queue_cost(steps, ports(node).out[0].width());
  const std::vector<int64_t> rounds = layer.rounds();
  cost.lut += 1;
  cost.ff += static_cast<double>(stages_of(steps));
  int64_t joined = 1;
  for (size_t round = 0; round + 1 < rounds.size(); ++round) {
    const auto elements = static_cast<double>(layer.runs * layer.channels);
    const Type in = layer.type_of(std::min(joined, layer.pixels));
    joined *= 2;
    const Type out = layer.type_of(std::min(joined, layer.pixels));
    // A table for each bit of a choice between numbers of three bits, six together; else comparing
    // takes a table pair for two bits besides.
    const double luts = layer.function == Function::sum
                            ? adder_luts(in, in, out.bits)
                            : in.bits + (in.bits <= 3 ? 0 : (in.bits + 1) / 2);
    cost.lut += elements * static_cast<double>(rounds[round] / 2) * luts;
    cost.ff += elements * static_cast<double>(rounds[round]) * in.bits;
  }
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Layer layer(node);
  const Ports streams = ports(node);
  const Rhythm steps = rhythm(node, family);
  SvModule module(
      instance,
      fmt::format("Pool of pixels of a beat: {} of {} runs of {}, {} channels.",
                  node.text("function", "max"), layer.runs, layer.pixels, layer.channels),
      fmt::format("Latency {}, interval 1, queue of {}.", steps.depth, steps.queue));
  add_block_ports(module, streams.in[0].width(), streams.out[0].width());
  add_beat_issue(module);
  module.comment("Rounds, a register before each");
  const std::vector<int64_t> rounds = layer.rounds();
  std::string value = "s_data_i";
  int64_t joined = 1;
  for (size_t round = 0; round + 1 < rounds.size(); ++round) {
    const Type in = layer.type_of(std::min(joined, layer.pixels));
    joined *= 2;
    const Type out = layer.type_of(std::min(joined, layer.pixels));
    const int64_t elements = layer.runs * layer.channels;
    const std::string operand = delayed_data(module, value, elements * rounds[round] * in.bits, 1);
    value = fmt::format("round{}", round);
    module.wire(value, static_cast<int>(elements * rounds[round + 1] * out.bits));
    module.instance("fst_pool_pixels", fmt::format("u_round{}", round),
                    {{"Function", std::to_string(static_cast<int>(layer.function))},
                     {"Runs", std::to_string(layer.runs)},
                     {"Pixels", std::to_string(rounds[round])},
                     {"Channels", std::to_string(layer.channels)},
                     {"InWidth", std::to_string(in.bits)},
                     {"Signed", in.is_signed ? "1'b1" : "1'b0"},
                     {"Width", std::to_string(out.bits)}},
                    {{"data_i", operand}, {"data_o", value}});
  }
  const std::string push =
      delayed_control(module, "issue", static_cast<int64_t>(rounds.size()) - 1);
  add_output_queue(module, steps, streams.out[0].width(), "issue", push, value);
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

}  // namespace

extern const Op op_pool_pixels;
const Op op_pool_pixels{.name = "pool_pixels",
                        .doc = "largest, least or sum of neighbouring pixels of a position",
                        .kind = Op::Kind::hardware,
                        .to_onnx = to_onnx,
                        .infer = infer,
                        .eval = eval,
                        .folds = folds,
                        .ports = ports,
                        .rhythm = rhythm,
                        .cost = cost,
                        .emit = emit,
                        .finn_name = "PoolPixels"};

}  // namespace foldstream
