// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/pointwise.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/util/error.h"

namespace foldstream::pointwise {
namespace {

int64_t lanes(const Node& node) {
  if (per_channel(node) && inner(node) > 1) {
    throw Error(fmt::format("{}: constants along axis {} of {}", describe(node), channel_axis(node),
                            to_string(node.in_type(0))),
                "hardware has channels along the last axis");
  }
  return folding(node, "pe", node.in_type(0).shape.back(), "channels");
}

// One of the lanes of such elements, with so many bits.
std::string lane_of(const Type& type, int64_t lanes, const std::string& vector, int64_t lane,
                    int bits) {
  const std::string element =
      SvModule::slice(vector, static_cast<int>(lanes * type.bits),
                      static_cast<int>(lane * type.bits), static_cast<int>(type.bits));
  return type.is_signed && type.bits < bits ? fmt::format("{}'($signed({}))", bits, element)
                                            : fmt::format("{}'({})", bits, element);
}

}  // namespace

void check_operand(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand of at least one dimension");
  }
}

size_t channel_axis(const Node& node) {
  const auto rank = static_cast<int64_t>(node.in_type(0).shape.size());
  const int64_t axis = node.integer("axis", rank - 1);
  if (axis < 0 || axis >= rank) {
    throw Error(fmt::format("axis = {} of an operand with {} dimensions", axis, rank));
  }
  return static_cast<size_t>(axis);
}

bool per_channel(const Node& node) {
  return std::any_of(node.data.begin(), node.data.end(),
                     [](const auto& entry) { return entry.second.type.shape.at(0) > 1; });
}

int64_t channels(const Node& node) { return node.in_type(0).shape[channel_axis(node)]; }

int64_t inner(const Node& node) {
  const Shape& shape = node.in_type(0).shape;
  const auto after = static_cast<std::ptrdiff_t>(channel_axis(node)) + 1;
  return element_count(Shape(shape.begin() + after, shape.end()));
}

const Tensor& constants(const Node& node, std::string_view key, int bits) {
  const Tensor* tensor = node.tensor(key);
  const int64_t count = channels(node);
  if (tensor == nullptr || tensor->type.is_float ||
      (tensor->type.shape != Shape{1} && tensor->type.shape != Shape{count})) {
    throw Error(fmt::format("constants '{}' must be integers of shape [{}] or [1]", key, count));
  }
  if (tensor->type.bits > bits) {
    throw Error(fmt::format("constants '{}' of {} bits", key, tensor->type.bits),
                fmt::format("legal are up to {} bits", bits));
  }
  return *tensor;
}

Tensor along_axis(const Node& node, const Tensor& tensor) {
  Tensor result = tensor;
  if (tensor.count() > 1) {
    result.type.shape.resize(node.in_type(0).shape.size() - channel_axis(node), 1);
  }
  return result;
}

std::vector<Fold> folds(const Node& node) {
  return {{"pe", divisors(node.in_type(0).shape.back())}};
}

Ports ports(const Node& node) {
  const int64_t pe = lanes(node);
  const Type &in = node.in_type(0), &out = node.out[0];
  return {.in = {{pe, in.bits, in.count() / pe}}, .out = {{pe, out.bits, out.count() / pe}}};
}

int64_t channel_folds(const Node& node) {
  const int64_t pe = lanes(node);
  return per_channel(node) ? channels(node) / pe : 1;
}

Rhythm rhythm(const Node& node, int64_t stages) {
  Rhythm rhythm{.frame = {{1, {{node.in_type(0).count() / lanes(node), 1, 1}}}}};
  finish_rhythm(node, stages, 1, rhythm);
  return rhythm;
}

Cost frame_cost(const Node& node, const Rhythm& rhythm) {
  const Ports streams = ports(node);
  Cost cost = queue_cost(rhythm, streams.out[0].width());
  cost += fold_counter_cost(channel_folds(node));
  cost.lut += 1;
  cost.ff += static_cast<double>(streams.in[0].width() + stages_of(rhythm));
  return cost;
}

Hardware emit(const Node& node, const Rhythm& rhythm, const std::string& instance,
              const std::string& summary, int64_t latency, const std::vector<RomWord>& words,
              const Compute& compute) {
  const Ports streams = ports(node);
  const Stream &in = streams.in[0], &out = streams.out[0];
  SvModule module(instance,
                  fmt::format("{}: {} channels, {} at once.", summary, channels(node), in.lanes),
                  fmt::format("Latency {}, interval 1, queue of {}.", rhythm.depth, rhythm.queue));
  add_block_ports(module, in.width(), out.width());
  add_beat_issue(module);
  module.comment(summary);
  Computation computation;
  computation.value = delayed_data(module, "s_data_i", in.width(), 1);
  const std::string given = delayed_control(module, "issue", 1);
  Hardware hardware;
  if (words.empty()) {
    computation.fold_width = add_fold_counter(module, "fold_q", channel_folds(node), given);
    if (computation.fold_width > 0) computation.fold = "fold_q";
  } else {
    add_fold_counter(module, "fold_q", channel_folds(node), "issue");
    computation.word = "word";
    module.wire("word", static_cast<int>(words[0].size()));
    add_rom(module, instance + "_constants", words, "fold_q", "word", &hardware.memories);
  }
  const std::string result = compute(module, computation, hardware.modules);
  const std::string push = delayed_control(module, given, latency);
  add_output_queue(module, rhythm, out.width(), "issue", push, result);
  add_top(module, hardware);
  return hardware;
}

std::vector<int64_t> lane_constants(const Node& node, const std::vector<int64_t>& values,
                                    int64_t lane) {
  const int64_t pe = lanes(node);
  std::vector<int64_t> constants;
  for (int64_t fold = 0; fold < channel_folds(node); ++fold) {
    constants.push_back(values[values.size() == 1 ? 0 : fold * pe + lane]);
  }
  return constants;
}

std::vector<RomWord> constant_words(const Node& node, const std::vector<int64_t>& values,
                                    int bits) {
  std::vector<RomWord> words(channel_folds(node));
  for (int64_t lane = 0; lane < lanes(node); ++lane) {
    const std::vector<int64_t> constants = lane_constants(node, values, lane);
    for (size_t fold = 0; fold < words.size(); ++fold) {
      for (int b = 0; b < bits; ++b) words[fold].push_back((constants[fold] >> b & 1) != 0);
    }
  }
  return words;
}

std::string lane_value(const Node& node, const Computation& computation, int64_t lane, int bits) {
  return lane_of(node.in_type(0), lanes(node), computation.value, lane, bits);
}

std::string lane_value(const Type& constants, int64_t lanes, const Computation& computation,
                       int64_t lane, int bits) {
  return lane_of(constants, lanes, computation.word, lane, bits);
}

}  // namespace foldstream::pointwise
