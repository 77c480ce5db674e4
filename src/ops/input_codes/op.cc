// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <cmath>

#include "src/ir/kernel.h"
#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

Type code_type(const Node& node) {
  return integer_type(static_cast<int>(node.integer("bits")), node.integer("signed", 0) != 0,
                      node.in_type(0).shape);
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || !node.in_type(0).is_float) throw Error("takes one float operand");
  const int64_t bits = node.integer("bits");
  if (bits < 1 || bits > 16) {
    throw Error(fmt::format("{} bits for the codes of an input", bits), "legal are 1 to 16");
  }
  if (!(node.real("divisor", 1) > 0) || !std::isfinite(node.real("divisor", 1))) {
    throw Error("the divisor of an input must be positive and finite");
  }
  return {code_type(node)};
}

// Of the frame's element i; throws Error where there is none.
class Codes {
 public:
  explicit Codes(const Node& node)
      : type_(code_type(node)),
        divisor_(node.real("divisor", 1)),
        offset_(node.real("offset", 0)) {}

  int64_t of(double x, int64_t i) const {
    const double code = std::nearbyint((x - offset_) * divisor_);
    if (!(code >= static_cast<double>(type_.min()) && code <= static_cast<double>(type_.max())) ||
        static_cast<float>(code / divisor_ + offset_) != static_cast<float>(x)) {
      throw Error(
          fmt::format("element {} is {}, which is not code / {} + {} with a code of type {}", i, x,
                      divisor_, offset_, element_name(type_)),
          "give inputs in the format that was declared at build, or build with another input "
          "format");
    }
    return static_cast<int64_t>(code);
  }

 private:
  Type type_;
  double divisor_, offset_;
};

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Codes codes(node);
  Tensor out = make_zero(node.out[0]);
  for (int64_t i = 0; i < out.count(); ++i) out.ints[i] = codes.of(in[0]->reals[i], i);
  return {std::move(out)};
}

class CodesKernel final : public Kernel {
 public:
  explicit CodesKernel(const KernelSite& site)
      : codes_(site.node), name_(describe(site.node)), out_(site.out[0]) {}

  void run(const KernelCall& call) const override {
    const auto* x = reinterpret_cast<const float*>(call.in[0]);
    auto* to = reinterpret_cast<uint8_t*>(call.out[0]);
    const int64_t count = out_.vectors * out_.length;
    try {
      for (int64_t i = 0; i < call.frames * count; ++i) {
        to[i] = static_cast<uint8_t>(codes_.of(x[i], i % count) - out_.base);
      }
    } catch (const Error& error) {
      throw Error(fmt::format("{}: {}", name_, error.what()), error.help());
    }
  }

 private:
  Codes codes_;
  std::string name_;
  Storage out_;
};

std::unique_ptr<Kernel> make(const KernelSite& site) {
  if (site.out[0].form != Form::bytes) return nullptr;
  return std::make_unique<CodesKernel>(site);
}

bool uniform(const Node&) { return true; }

const Kernels kernels{.make = make, .uniform = uniform};

void to_onnx(const Node& node, OnnxSink& sink) {
  const Tensor divisor = make_floats({}, {node.real("divisor", 1)}),
               offset = make_floats({}, {node.real("offset", 0)});
  const std::string shifted = sink.temporary("shifted"), scaled = sink.temporary("scaled");
  sink.node("", "Sub", {sink.input(0), sink.constant(offset, "offset")}, {shifted});
  sink.node("", "Mul", {shifted, sink.constant(divisor, "divisor")}, {scaled});
  sink.node("", "Round", {scaled}, {sink.output(0)});
}

}  // namespace

extern const Op op_input_codes;
const Op op_input_codes{
    .name = "input_codes",
    .doc = "the integers behind a float input of declared format: x = code / divisor + offset",
    .kind = Op::Kind::edge,
    .to_onnx = to_onnx,
    .infer = infer,
    .eval = eval,
    .kernels = &kernels};

}  // namespace foldstream
