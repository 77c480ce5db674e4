// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/arith/linear.h"
#include "src/arith/product.h"
#include "src/arith/thresholding.h"
#include "src/arith/weights.h"
#include "src/ir/onnx_node.h"
#include "src/rtl/pointwise.h"
#include "src/rtl/rom.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr int kMostBits = 31;

const Tensor& constants(const Node& node) { return pointwise::constants(node, "c", kMostBits); }

std::vector<Type> infer(const Node& node) {
  pointwise::check_operand(node);
  const Type& in = node.in_type(0);
  if (in.bits > kMostBits) {
    throw Error(fmt::format("an operand of {} bits", in.bits), "legal are up to 31 bits");
  }
  int64_t lo = INT64_MAX, hi = INT64_MIN;
  for (const int64_t factor : constants(node).ints) {
    const auto [least, most] = std::minmax({in.min() * factor, in.max() * factor});
    lo = std::min(lo, least), hi = std::max(hi, most);
  }
  return {type_for_range(lo, hi, in.shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const std::vector<int64_t>& c = constants(node).ints;
  Tensor out = make_zero(node.out[0]);
  pointwise::for_each_run(node, [&](int64_t channel, int64_t first, int64_t count) {
    const int64_t factor = c[c.size() == 1 ? 0 : channel];
    for (int64_t i = first; i < first + count; ++i) out.ints[i] = in[0]->ints[i] * factor;
  });
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node(
      "", "Mul",
      {sink.input(0), sink.constant(pointwise::along_axis(node, constants(node)), "constants")},
      {sink.output(0)});
}

Rhythm rhythm(const Node& node, Family) { return pointwise::rhythm(node, 2); }

// Of a constant for each lane.
arith::LinearSpec shifts_spec(const Node& node, Family family) {
  const Stream out = pointwise::ports(node).out[0];
  arith::LinearSpec spec;
  spec.operands = {arith::activation_type(node.in_type(0))};
  for (int64_t lane = 0; lane < out.lanes; ++lane) {
    spec.factors.push_back({pointwise::lane_constants(node, constants(node).ints, lane)[0]});
  }
  spec.sum_bits = static_cast<int>(out.bits);
  spec.family = arith::family_of(family);
  return spec;
}

arith::ProductSpec product_spec(const Node& node, Family family) {
  arith::ProductSpec spec;
  spec.a = arith::activation_type(node.in_type(0));
  spec.b = arith::activation_type(constants(node).type);
  spec.product_bits = static_cast<int>(std::min(node.out[0].bits, spec.a.bits + spec.b.bits));
  spec.family = arith::family_of(family);
  return spec;
}

// By a DSP block.
bool multiplied(const Node& node, Family family) {
  return in_multiplier(node.in_type(0).bits, constants(node).type.bits, node.out[0].bits, family);
}

Cost cost(const Node& node, Family family) {
  Cost cost = pointwise::frame_cost(node, rhythm(node, family));
  const Ports streams = pointwise::ports(node);
  const Stream &in = streams.in[0], &out = streams.out[0];
  const Tensor& c = constants(node);
  const int64_t folds = pointwise::channel_folds(node);
  if (folds == 1) {
    cost += arith::resources(arith::linear(shifts_spec(node, family)).cost);
    // What is zero whatever comes isn't kept, and what is multiplied by zero isn't either.
    for (int64_t lane = 0; lane < in.lanes; ++lane) {
      const int64_t factor = pointwise::lane_constants(node, c.ints, lane)[0];
      if (factor == 0) {
        cost.ff -= static_cast<double>(in.bits);
      } else {
        const auto zeros = std::countr_zero(static_cast<uint64_t>(factor));
        cost.ff += static_cast<double>(std::max<int64_t>(0, out.bits - zeros));
      }
    }
    return cost;
  }
  const RomPlan memory = plan_rom(out.lanes * c.type.bits, folds);
  cost += memory.cost;
  const auto lanes = static_cast<double>(in.lanes);
  if (multiplied(node, family)) {
    // A DSP block has registers of its own for operands and product.
    cost.dsp += lanes * multipliers(in.bits, c.type.bits);
    cost.ff -= static_cast<double>(in.width() + memory.table_bits);
  } else {
    const Cost product = arith::resources(arith::product(product_spec(node, family)).cost);
    for (int64_t lane = 0; lane < in.lanes; ++lane) cost += product;
    cost.ff += static_cast<double>(out.width());
  }
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Ports streams = pointwise::ports(node);
  const Stream &in = streams.in[0], &out = streams.out[0];
  const Tensor& c = constants(node);
  const auto bits = static_cast<int>(out.bits), width = static_cast<int>(out.width());
  std::vector<RomWord> words;
  if (pointwise::channel_folds(node) > 1) {
    words = pointwise::constant_words(node, c.ints, c.type.bits);
  }
  return pointwise::emit(
      node, rhythm(node, family), instance, "Multiplication by constants", 1, words,
      [&](SvModule& module, const pointwise::Computation& beat, std::vector<TextFile>& modules) {
        const auto add_modules = [&](const arith::Generated& generated) {
          for (const arith::SvSource& source : generated.sources) {
            modules.push_back({source.name + ".sv", source.text});
          }
        };
        module.wire("result", width);
        if (words.empty()) {
          arith::LinearSpec spec = shifts_spec(node, family);
          spec.name = instance + "_shifts";
          const arith::Generated shifts = arith::linear(spec);
          add_modules(shifts);
          module.instance(shifts.name, "u_shifts", {},
                          {{"operand0_i", beat.value}, {"sum_o", "result"}});
          return delayed_data(module, "result", width, 1);
        }
        const auto slice = [](const std::string& vector, const Stream& stream, int64_t lane) {
          return SvModule::slice(vector, static_cast<int>(stream.width()),
                                 static_cast<int>(lane * stream.bits),
                                 static_cast<int>(stream.bits));
        };
        const Stream word{in.lanes, c.type.bits, 1};
        if (multiplied(node, family)) {
          for (int64_t lane = 0; lane < out.lanes; ++lane) {
            module.assign(slice("result", out, lane),
                          fmt::format("{}'({} * {})", bits,
                                      with_sign(node.in_type(0), slice(beat.value, in, lane)),
                                      with_sign(c.type, slice(beat.word, word, lane))));
          }
          return delayed_data(module, "result", width, 1);
        }
        arith::ProductSpec spec = product_spec(node, family);
        spec.name = instance + "_product";
        const arith::Generated product = arith::product(spec);
        add_modules(product);
        for (int64_t lane = 0; lane < out.lanes; ++lane) {
          module.instance(product.name, fmt::format("u_product_{}", lane), {},
                          {{"a_i", slice(beat.value, in, lane)},
                           {"b_i", slice(beat.word, word, lane)},
                           {"product_o", slice("result", out, lane)}});
        }
        return delayed_data(module, "result", width, 1);
      });
}

std::map<std::string, int64_t> counts(const Node& node) {
  const Tensor& c = *node.tensor("c");
  return {{fmt::format("param_constant_{}b", c.type.bits), c.count()}};
}

}  // namespace

extern const Op op_multiply_constant;
const Op op_multiply_constant{.name = "multiply_constant",
                              .doc = "each element times the constant of its channel",
                              .kind = Op::Kind::hardware,
                              .to_onnx = to_onnx,
                              .infer = infer,
                              .eval = eval,
                              .pointwise = true,
                              .folds = pointwise::folds,
                              .ports = pointwise::ports,
                              .rhythm = rhythm,
                              .cost = cost,
                              .emit = emit,
                              .counts = counts,
                              .finn_name = "ChannelwiseOp"};

}  // namespace foldstream
