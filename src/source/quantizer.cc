// SPDX-License-Identifier: Apache-2.0
#include "src/source/quantizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "src/ir/onnx_node.h"
#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::array<std::pair<std::string_view, Rounding>, 7> kRoundings = {{
    {"ROUND", Rounding::half_even},
    {"CEIL", Rounding::ceil},
    {"FLOOR", Rounding::floor},
    {"UP", Rounding::up},
    {"DOWN", Rounding::down},
    {"HALF_UP", Rounding::half_up},
    {"HALF_DOWN", Rounding::half_down},
}};

float at(const std::vector<float>& values, int64_t channel) {
  return values.size() == 1 ? values[0] : values.at(channel);
}

float power_of_two(int exponent) { return static_cast<float>(int64_t{1} << exponent); }

float sign_of(float x) { return x > 0 ? 1.0F : x < 0 ? -1.0F : x == 0 ? 0.0F : x; }

Tensor vector_tensor(const std::vector<float>& values) {
  return make_floats({static_cast<int64_t>(values.size())}, {values.begin(), values.end()});
}

std::vector<float> vector_of(const Node& node, std::string_view key) {
  const Tensor* tensor = node.tensor(key);
  if (tensor == nullptr) return {};
  if (!tensor->type.is_float || tensor->type.shape.size() != 1 || tensor->count() < 1) {
    throw Error(
        fmt::format("'{}' is {}, expected a vector of floats", key, to_string(tensor->type)));
  }
  return {tensor->reals.begin(), tensor->reals.end()};
}

bool all_equal(const std::vector<float>& values, float value) {
  return std::all_of(values.begin(), values.end(), [&](float v) { return v == value; });
}

}  // namespace

Rounding parse_rounding(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (upper == "HALF_EVEN") return Rounding::half_even;
  for (const auto& [text, rounding] : kRoundings) {
    if (text == upper) return rounding;
  }
  throw Error(fmt::format("rounding mode '{}'", name.substr(0, 40)),
              "legal are ROUND, HALF_EVEN, CEIL, FLOOR, UP, DOWN, HALF_UP and HALF_DOWN");
}

std::string_view rounding_name(Rounding rounding) {
  for (const auto& [text, value] : kRoundings) {
    if (value == rounding) return text;
  }
  return "";
}

float round_to_integer(float x, Rounding rounding) {
  switch (rounding) {
    case Rounding::half_even:
      return std::nearbyint(x);
    case Rounding::ceil:
      return std::ceil(x);
    case Rounding::floor:
      return std::floor(x);
    case Rounding::up:
      return sign_of(x) * std::ceil(std::abs(x));
    case Rounding::down:
      return std::trunc(x);
    case Rounding::half_up:
      return sign_of(x) * std::floor(std::abs(x) + 0.5F);
    case Rounding::half_down:
      return sign_of(x) * std::ceil(std::abs(x) - 0.5F);
  }
  return x;
}

float lowest_code(int bits, bool is_signed, bool narrow) {
  if (!is_signed) return 0;
  return -power_of_two(bits - 1) + (narrow ? 1.0F : 0.0F);
}

float highest_code(int bits, bool is_signed, bool narrow) {
  if (is_signed) return power_of_two(bits - 1) - 1.0F;
  return power_of_two(bits) - (narrow ? 2.0F : 1.0F);
}

float Coding::level(float x, int64_t channel) const {
  float t = x;
  if (!scale.empty()) t = t / at(scale, channel);
  if (!zero.empty()) t = t + at(zero, channel);
  if (round_first) t = std::nearbyint(t);
  if (!divisor.empty()) t = t / at(divisor, channel);
  if (!shift.empty()) t = t + at(shift, channel);
  if (!thresholds.empty()) {
    if (std::isnan(t)) return 0;
    const auto& row = thresholds.size() == 1 ? thresholds[0] : thresholds.at(channel);
    return static_cast<float>(std::upper_bound(row.begin(), row.end(), t) - row.begin());
  }
  if (bits > 0) {
    const float high = highest_code(bits, is_signed, narrow);
    const float low = lowest_code(bits, is_signed, narrow);
    t = t > high ? high : t;
    t = t < low ? low : t;
  }
  return round_to_integer(t, rounding);
}

int64_t Coding::code(float x, int64_t channel) const {
  const float value = level(x, channel);
  if (std::isnan(value)) return lowest();
  return std::clamp(static_cast<int64_t>(std::clamp(value, -0x1p62F, 0x1p62F)), lowest(),
                    highest());
}

int64_t Coding::lowest() const {
  if (!thresholds.empty()) return 0;
  return static_cast<int64_t>(lowest_code(bits, is_signed, narrow));
}

int64_t Coding::highest() const {
  if (!thresholds.empty()) return static_cast<int64_t>(thresholds[0].size());
  return static_cast<int64_t>(highest_code(bits, is_signed, narrow));
}

Value add_quantize(Graph& target, Value x, const std::string& name, const Coding& coding,
                   int axis) {
  std::map<std::string, Attr, std::less<>> attr;
  std::map<std::string, Tensor, std::less<>> data;
  if (axis >= 0) attr["axis"] = int64_t{axis};
  if (!coding.scale.empty()) data["scale"] = vector_tensor(coding.scale);
  if (!coding.zero.empty()) data["zero"] = vector_tensor(coding.zero);
  if (!coding.divisor.empty()) data["divisor"] = vector_tensor(coding.divisor);
  if (!coding.shift.empty()) data["shift"] = vector_tensor(coding.shift);
  if (coding.round_first) attr["round_first"] = int64_t{1};
  if (coding.thresholds.empty()) {
    attr["bits"] = int64_t{coding.bits};
    attr["signed"] = int64_t{coding.is_signed};
    if (coding.narrow) attr["narrow"] = int64_t{1};
    attr["rounding"] = std::string(rounding_name(coding.rounding));
  } else {
    std::vector<double> flat;
    for (const auto& row : coding.thresholds) flat.insert(flat.end(), row.begin(), row.end());
    data["thresholds"] = make_floats({static_cast<int64_t>(coding.thresholds.size()),
                                      static_cast<int64_t>(coding.thresholds[0].size())},
                                     std::move(flat));
  }
  Node& node = target.add(require_op("quantize"), {x}, name, std::move(attr), std::move(data));
  return {&node, 0};
}

Coding coding_of(const Node& node) {
  Coding coding;
  coding.scale = vector_of(node, "scale");
  coding.zero = vector_of(node, "zero");
  coding.divisor = vector_of(node, "divisor");
  coding.shift = vector_of(node, "shift");
  coding.round_first = node.integer("round_first", 0) != 0;
  if (const Tensor* thresholds = node.tensor("thresholds")) {
    const Shape& shape = thresholds->type.shape;
    if (!thresholds->type.is_float || shape.size() != 2 || shape[0] < 1) {
      throw Error(fmt::format("its thresholds are {}, expected floats [channels, levels]",
                              to_string(thresholds->type)));
    }
    for (int64_t c = 0; c < shape[0]; ++c) {
      const auto row = thresholds->reals.begin() + c * shape[1];
      coding.thresholds.emplace_back(row, row + shape[1]);
      if (!std::is_sorted(coding.thresholds.back().begin(), coding.thresholds.back().end())) {
        throw Error(fmt::format("its thresholds of channel {} are not ascending", c));
      }
    }
  } else {
    const int64_t bits = node.integer("bits");
    if (bits < 1 || bits > 32) throw Error(fmt::format("{} bits, expected 1 to 32", bits));
    coding.bits = static_cast<int>(bits);
    coding.is_signed = node.integer("signed", 0) != 0;
    coding.narrow = node.integer("narrow", 0) != 0;
    coding.rounding = parse_rounding(node.text("rounding", "ROUND"));
    if (coding.lowest() > coding.highest()) throw Error("a quantizer without a single level");
  }
  return coding;
}

void quantize_to_onnx(const Node& node, OnnxSink& sink) {
  const Coding coding = coding_of(node);
  const int64_t axis = node.integer("axis", -1);
  const size_t rank = node.in_type(0).shape.size();
  const auto parameter = [&](const std::vector<float>& values, std::string_view hint) {
    Shape shape;
    if (values.size() > 1) {
      shape.assign(rank - axis, 1);
      shape[0] = static_cast<int64_t>(values.size());
    }
    return sink.constant(make_floats(shape, {values.begin(), values.end()}), hint);
  };
  std::string x = sink.input(0);
  const auto stage = [&](std::string_view type, std::vector<std::string> operands) {
    operands.insert(operands.begin(), x);
    x = sink.temporary("stage");
    sink.node("", type, std::move(operands), {x});
  };
  if (!coding.scale.empty() && !all_equal(coding.scale, 1)) {
    stage("Div", {parameter(coding.scale, "scale")});
  }
  if (!coding.zero.empty() && !all_equal(coding.zero, 0)) {
    stage("Add", {parameter(coding.zero, "zero")});
  }
  if (coding.round_first) stage("Round", {});
  if (!coding.divisor.empty()) stage("Div", {parameter(coding.divisor, "divisor")});
  if (!coding.shift.empty()) stage("Add", {parameter(coding.shift, "shift")});
  const auto scalar = [&](double value, std::string_view hint) {
    return sink.constant(make_floats({}, {value}), hint);
  };
  if (coding.thresholds.empty()) {
    sink.node("qonnx", "Quant",
              {x, scalar(1, "unit"), scalar(0, "none"), scalar(coding.bits, "bits")},
              {sink.output(0)},
              {{"signed", int64_t{coding.is_signed}},
               {"narrow", int64_t{coding.narrow}},
               {"rounding_mode", std::string(rounding_name(coding.rounding))}});
    return;
  }
  std::map<std::string, Attr, std::less<>> attributes = {
      {"out_dtype", fmt::format("UINT{}", node.out[0].bits)}};
  if (axis >= 0 && rank <= 26) {
    std::string layout;
    for (size_t d = 0; d < rank; ++d) layout += static_cast<int64_t>(d) == axis ? 'C' : 'x';
    attributes["data_layout"] = layout;
  }
  sink.node("qonnx", "MultiThreshold", {x, sink.constant(*node.tensor("thresholds"), "thresholds")},
            {sink.output(0)}, std::move(attributes));
}

std::vector<double> ChannelVectors::take(const Tensor& parameter) {
  auto found = lowering_.per_channel(parameter, shape_);
  if (!found || (found->first >= 0 && axis_ >= 0 && found->first != axis_)) {
    ok_ = false;
    return {0.0};
  }
  if (found->first >= 0) axis_ = found->first;
  return std::move(found->second);
}

std::vector<float> to_floats(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

void lower_quantizer(Lowering& lowering, Coding coding, int axis, std::vector<double> scale,
                     std::vector<double> zero) {
  Quantizer quantizer;
  quantizer.lo = coding.lowest();
  quantizer.hi = coding.highest();
  quantizer.axis = axis;
  quantizer.scale = std::move(scale);
  quantizer.zero = std::move(zero);
  const auto shared = std::make_shared<const Coding>(std::move(coding));
  quantizer.code = [shared](float x, int64_t c) { return shared->code(x, c); };
  quantizer.at_edge = [shared, axis](Graph& target, Value x, const std::string& name) {
    return add_quantize(target, x, name, *shared, axis);
  };
  lowering.quantize(std::move(quantizer));
}

}  // namespace foldstream
