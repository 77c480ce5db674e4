// SPDX-License-Identifier: Apache-2.0
// The module of a function of two streams: a holding register behind each, the function, the queue.
#include <fmt/format.h>

#include <algorithm>

#include "src/arith/linear.h"
#include "src/arith/thresholding.h"
#include "src/ir/folding.h"
#include "src/ir/op.h"
#include "src/ops/eltwise/eltwise.h"
#include "src/rtl/block.h"

namespace foldstream::eltwise {
namespace {

arith::Type operand_type(const Type& type) {
  return {type.is_signed ? arith::Coding::kSigned : arith::Coding::kUnsigned, type.bits};
}

// Beats after which the channels, and so the factors, come again.
int64_t channel_folds(const Node& node) {
  const std::vector<int64_t> of_first = factors(node, 0);
  return of_first.size() <= 1 ? 1 : node.in_type(0).shape.back() / node.op->ports(node).in[0].lanes;
}

// Products get a register of their own.
bool multiplies(const Node& node) {
  return function(node) == Function::mul || channel_folds(node) > 1;
}

arith::LinearSpec sum_spec(const Node& node, Family family) {
  const Ports streams = node.op->ports(node);
  arith::LinearSpec spec;
  spec.operands = {operand_type(node.in_type(0)), operand_type(node.in_type(1))};
  const std::vector<int64_t> a = factors(node, 0), b = factors(node, 1);
  for (int64_t lane = 0; lane < streams.in[0].lanes; ++lane) {
    const int64_t channel = a.size() == 1 ? 0 : lane;
    spec.factors.push_back({a[channel], b[channel]});
  }
  spec.sum_bits = static_cast<int>(streams.out[0].bits);
  spec.family = arith::family_of(family);
  return spec;
}

class Emitter {
 public:
  Emitter(const Node& node, const Rhythm& rhythm, Family family, const std::string& instance)
      : node_(node),
        ports_(node.op->ports(node)),
        lanes_(static_cast<int>(ports_.in[0].lanes)),
        bits_(static_cast<int>(ports_.out[0].bits)),
        width_(static_cast<int>(ports_.out[0].width())),
        rhythm_(rhythm),
        family_(family),
        module_(
            instance,
            fmt::format("Two streams, element by element: {}; {} at once.",
                        node.text("function", ""), lanes_),
            fmt::format("Latency {}, interval 1, queue of {}.", rhythm.depth + 1, rhythm.queue)) {}

  Hardware emit() {
    module_.input("clk_i");
    module_.input("rst_i");
    held_ = add_held_inputs(module_, {ports_.in[0].width(), ports_.in[1].width()});
    add_stream_out(module_, 0, 1, width_);
    add_join_issue(module_, held_);
    module_.comment("Function");
    const Function what = function(node_);
    std::string result = "result";
    int64_t stages = 1;
    if (node_.tensor("factors") == nullptr) {
      module_.wire("result", width_);
      for (int lane = 0; lane < lanes_; ++lane) {
        module_.assign(result_lane("result", lane), expression(what, lane));
      }
    } else if (channel_folds(node_) == 1) {
      constant_factors();
    } else {
      result = factors_by_fold();
    }
    if (multiplies(node_)) stages = 2;
    const bool products_rest = node_.tensor("factors") != nullptr && stages == 2;
    const std::string push = delayed_control(module_, "issue", stages);
    result = delayed_data(module_, result, width_, products_rest ? 1 : stages);
    add_output_queue(module_, rhythm_, width_, "issue", push, result);
    add_top(module_, hardware_);
    return std::move(hardware_);
  }

 private:
  std::string result_lane(const std::string& vector, int lane) const {
    return SvModule::slice(vector, width_, lane * bits_, bits_);
  }

  // A lane of an operand with so many bits, by its sign.
  std::string operand(size_t port, int lane, int bits) const {
    const Stream& stream = ports_.in[port];
    const auto own = static_cast<int>(stream.bits);
    const std::string element =
        SvModule::slice(held_[port].data, static_cast<int>(stream.width()), lane * own, own);
    if (own == bits) return element;
    return node_.in_type(port).is_signed ? fmt::format("{}'($signed({}))", bits, element)
                                         : fmt::format("{}'({})", bits, element);
  }

  std::string expression(Function what, int lane) const {
    // Sums and products modulo 2**bits don't look at the operands' signs; comparisons do, with as
    // many bits as hold both.
    const auto modulo = [&](const char* sign) {
      return fmt::format("{} {} {}", operand(0, lane, bits_), sign, operand(1, lane, bits_));
    };
    const Type &a = node_.in_type(0), &b = node_.in_type(1);
    const Type both = type_for_range(std::min(a.min(), b.min()), std::max(a.max(), b.max()), {});
    const auto whole = [&](size_t port) {
      const std::string value = operand(port, lane, both.bits);
      return both.is_signed ? fmt::format("$signed({})", value) : value;
    };
    const auto compared = [&](const char* sign) {
      return fmt::format("{} {} {}", whole(0), sign, whole(1));
    };
    const auto chosen = [&](const char* sign) {
      return fmt::format("{} ? {} : {}", compared(sign), resized(0, lane), resized(1, lane));
    };
    switch (what) {
      case Function::add:
        return modulo("+");
      case Function::sub:
        return modulo("-");
      case Function::mul:
        return product(lane);
      case Function::max:
        return chosen(">=");
      case Function::min:
        return chosen("<=");
      case Function::equal:
        return compared("==");
      case Function::greater:
        return compared(">");
      case Function::greater_equal:
        return compared(">=");
      case Function::less:
        return compared("<");
      default:
        return compared("<=");
    }
  }

  // The larger or smaller of two fits where one of them doesn't.
  std::string resized(size_t port, int lane) const {
    const Stream& stream = ports_.in[port];
    const auto own = static_cast<int>(stream.bits);
    if (own <= bits_) return operand(port, lane, bits_);
    return SvModule::slice(held_[port].data, static_cast<int>(stream.width()), lane * own, bits_);
  }

  // Each operand with its own sign and no bit more than that needs, so that the multiplier is
  // small.
  std::string product(int lane) const {
    const auto factor = [&](size_t port) {
      const int bits = static_cast<int>(ports_.in[port].bits);
      const bool is_signed = node_.in_type(port).is_signed;
      return fmt::format("$signed({})", operand(port, lane, is_signed ? bits : bits + 1));
    };
    return fmt::format("{}'({} * {})", bits_, factor(0), factor(1));
  }

  void constant_factors() {
    arith::LinearSpec spec = sum_spec(node_, family_);
    spec.name = module_.name() + "_sum";
    const arith::Generated sum = arith::linear(spec);
    module_.wire("result", width_);
    module_.instance(
        sum.name, "u_sum", {},
        {{"operand0_i", held_[0].data}, {"operand1_i", held_[1].data}, {"sum_o", "result"}});
    for (const arith::SvSource& source : sum.sources) {
      hardware_.modules.push_back({source.name + ".sv", source.text});
    }
  }

  // Products with factors from a table, which rest a cycle before they are added.
  std::string factors_by_fold() {
    const int64_t folds = channel_folds(node_);
    const int fold_width = add_fold_counter(module_, "fold_q", folds, "issue");
    for (size_t port = 0; port < 2; ++port) {
      const std::vector<int64_t> values = factors(node_, port);
      const Type type = make_ints(Shape{static_cast<int64_t>(values.size())}, values).type;
      const int bits = type.bits + (type.is_signed ? 0 : 1);
      const std::string products = fmt::format("product{}", port);
      module_.wire(products, width_);
      for (int lane = 0; lane < lanes_; ++lane) {
        std::vector<bool> table;
        for (int64_t fold = 0; fold < folds; ++fold) {
          const int64_t value = values[fold * lanes_ + lane];
          for (int b = 0; b < bits; ++b) table.push_back((value >> b & 1) != 0);
        }
        table.resize((size_t{1} << fold_width) * bits);
        const std::string name = fmt::format("Factors{}Lane{}", port, lane);
        module_.localparam(fmt::format("bit [{}:0]", table.size() - 1), name,
                           SvModule::constant(table));
        const auto own = static_cast<int>(ports_.in[port].bits);
        const std::string value =
            operand(port, lane, node_.in_type(port).is_signed ? own : own + 1);
        module_.assign(result_lane(products, lane),
                       fmt::format("{}'($signed({}) * $signed({}[{}*fold_q+:{}]))", bits_, value,
                                   name, bits, bits));
      }
    }
    const std::string a = delayed_data(module_, "product0", width_, 1);
    const std::string b = delayed_data(module_, "product1", width_, 1);
    module_.wire("result", width_);
    for (int lane = 0; lane < lanes_; ++lane) {
      module_.assign(result_lane("result", lane),
                     fmt::format("{} + {}", result_lane(a, lane), result_lane(b, lane)));
    }
    return "result";
  }

  const Node& node_;
  const Ports ports_;
  const int lanes_, bits_, width_;
  const Rhythm& rhythm_;
  const Family family_;
  SvModule module_;
  std::vector<HeldInput> held_;
  Hardware hardware_;
};

}  // namespace

Rhythm rhythm(const Node& node, Family) {
  const int64_t beats = node.op->ports(node).in[0].beats;
  Rhythm rhythm{.frame = {{1, {{beats, 3, 1}}}}};
  finish_rhythm(node, multiplies(node) ? 2 : 1, 1, rhythm);
  rhythm.hold = kHoldPlaces;
  return rhythm;
}

Cost cost(const Node& node, Family family) {
  const Ports streams = node.op->ports(node);
  const Stream &a = streams.in[0], &b = streams.in[1], &out = streams.out[0];
  const auto lanes = static_cast<double>(out.lanes), width = static_cast<double>(out.width());
  const Rhythm steps = rhythm(node, family);
  Cost cost = queue_cost(steps, out.width());
  for (const Stream& stream : streams.in) cost += hold_cost(stream.width());
  cost.lut += 2;
  cost.ff += width + static_cast<double>(stages_of(steps));
  const auto add = [&](double times, const Cost& part) {
    for (double i = 0; i < times; ++i) cost += part;
  };
  const Function what = function(node);
  const auto widest = static_cast<double>(std::max(a.bits, b.bits));
  if (what == Function::mul) {
    const Cost product = product_cost(a.bits, b.bits, family);
    add(lanes, product);
    if (product.dsp > 0) {
      // A DSP block has registers of its own for the product and for what comes in.
      cost.ff -= width + static_cast<double>(a.width() + b.width());
    } else {
      cost.ff += width;
    }
  } else if (node.tensor("factors") == nullptr) {
    if (what == Function::add || what == Function::sub) {
      // Above an operand without a sign only the carry goes on.
      const bool ends = !node.in_type(a.bits < b.bits ? 0 : 1).is_signed && a.bits != b.bits;
      cost.lut += ends ? lanes * static_cast<double>(std::min(a.bits, b.bits) + 1) : width;
    } else {
      const double compare = a.bits + b.bits <= 6 ? 1 : widest / 2;
      cost.lut += lanes * compare + (compares(what) ? 0 : width);
    }
  } else if (channel_folds(node) == 1) {
    cost += arith::resources(arith::linear(sum_spec(node, family)).cost);
  } else {
    const int factor_bits = node.tensor("factors")->type.bits;
    add(lanes, product_cost(a.bits, factor_bits, family));
    add(lanes, product_cost(b.bits, factor_bits, family));
    cost.lut += width + 2 * lanes * factor_bits * static_cast<double>(channel_folds(node)) / 64;
    cost.ff += width;
  }
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  return Emitter(node, rhythm(node, family), family, instance).emit();
}

}  // namespace foldstream::eltwise
