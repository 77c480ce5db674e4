// SPDX-License-Identifier: Apache-2.0
// The module of a function of two streams: a holding register behind each, the function, the queue.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "src/arith/linear.h"
#include "src/arith/ordering.h"
#include "src/arith/product.h"
#include "src/arith/thresholding.h"
#include "src/arith/weights.h"
#include "src/ir/folding.h"
#include "src/ir/op.h"
#include "src/ops/eltwise/eltwise.h"
#include "src/rtl/block.h"
#include "src/rtl/rom.h"

namespace foldstream::eltwise {
namespace {

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
  spec.operands = {arith::activation_type(node.in_type(0)),
                   arith::activation_type(node.in_type(1))};
  const std::vector<int64_t> a = factors(node, 0), b = factors(node, 1);
  for (int64_t lane = 0; lane < streams.in[0].lanes; ++lane) {
    const int64_t channel = a.size() == 1 ? 0 : lane;
    spec.factors.push_back({a[channel], b[channel]});
  }
  spec.sum_bits = static_cast<int>(streams.out[0].bits);
  spec.family = arith::family_of(family);
  return spec;
}

// Of a port's factors, the narrowest.
Type factor_type(const Node& node, size_t port) {
  const std::vector<int64_t> values = factors(node, port);
  return make_ints(Shape{static_cast<int64_t>(values.size())}, values).type;
}

// What both numbers of a product are: two operands, or an operand and its factor.
std::pair<Type, Type> factor_types(const Node& node, size_t port) {
  return {node.in_type(port),
          function(node) == Function::mul ? node.in_type(1) : factor_type(node, port)};
}

// Whether such a product is made by DSP blocks.
bool in_multiplier(const Node& node, size_t port, Family family) {
  const auto [a, b] = factor_types(node, port);
  return foldstream::in_multiplier(a.bits, b.bits, std::min(node.out[0].bits, a.bits + b.bits),
                                   family);
}

arith::ProductSpec product_spec(const Node& node, size_t port, Family family) {
  const auto [a, b] = factor_types(node, port);
  arith::ProductSpec spec;
  spec.a = arith::activation_type(a), spec.b = arith::activation_type(b);
  spec.product_bits = std::min(node.out[0].bits, a.bits + b.bits);
  spec.family = arith::family_of(family);
  return spec;
}

// A comparison, and which of both operands are compared the other way round or say the opposite.
struct Ordering {
  arith::OrderingSpec spec;
  bool swapped = false, inverted = false;
};

Ordering ordering(const Node& node) {
  Ordering ordering;
  const Function what = function(node);
  ordering.swapped =
      what == Function::min || what == Function::less_equal || what == Function::greater;
  ordering.inverted = what == Function::less || what == Function::greater;
  ordering.spec.equal = what == Function::equal;
  ordering.spec.a = arith::activation_type(node.in_type(ordering.swapped ? 1 : 0));
  ordering.spec.b = arith::activation_type(node.in_type(ordering.swapped ? 0 : 1));
  return ordering;
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
      if (what == Function::mul) {
        products("result", 0, held_[1].data);
      } else if (what == Function::add || what == Function::sub) {
        for (int lane = 0; lane < lanes_; ++lane) {
          module_.assign(result_lane("result", lane), sum(what == Function::add ? "+" : "-", lane));
        }
      } else {
        orderings(what);
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

  // Modulo 2**bits the operands' signs don't matter.
  std::string sum(const char* sign, int lane) const {
    return fmt::format("{} {} {}", operand(0, lane, bits_), sign, operand(1, lane, bits_));
  }

  void orderings(Function what) {
    Ordering way = ordering(node_);
    const std::string verdict = compares(what) ? "result" : "first_is_taken";
    if (!compares(what)) module_.wire(verdict, lanes_);
    if (family_ != Family::generic) {
      way.spec.name = module_.name() + "_compare";
      const arith::Generated compare = arith::ordering(way.spec);
      add_modules(compare);
      const std::string out = way.inverted ? module_.fresh("opposite") : verdict;
      if (way.inverted) {
        module_.wire(out, lanes_);
        module_.assign(verdict, "~" + out);
      }
      for (int lane = 0; lane < lanes_; ++lane) {
        module_.instance(compare.name, fmt::format("u_compare_{}", lane), {},
                         {{"a_i", element(way.swapped ? 1 : 0, lane)},
                          {"b_i", element(way.swapped ? 0 : 1, lane)},
                          {"result_o", SvModule::bit(out, lanes_, lane)}});
      }
    } else {
      const char* const sign = way.spec.equal                                             ? "=="
                               : what == Function::greater                                ? ">"
                               : what == Function::less                                   ? "<"
                               : what == Function::max || what == Function::greater_equal ? ">="
                                                                                          : "<=";
      for (int lane = 0; lane < lanes_; ++lane) {
        module_.assign(SvModule::bit(verdict, lanes_, lane),
                       fmt::format("{} {} {}", whole(0, lane), sign, whole(1, lane)));
      }
    }
    if (compares(what)) return;
    for (int lane = 0; lane < lanes_; ++lane) {
      module_.assign(result_lane("result", lane),
                     fmt::format("{} ? {} : {}", SvModule::bit(verdict, lanes_, lane),
                                 resized(0, lane), resized(1, lane)));
    }
  }

  // With as many bits as hold both operands, a sign among them where one has it.
  std::string whole(size_t port, int lane) const {
    const Type &a = node_.in_type(0), &b = node_.in_type(1);
    const Type both = type_for_range(std::min(a.min(), b.min()), std::max(a.max(), b.max()), {});
    const std::string value = operand(port, lane, both.bits);
    return both.is_signed ? fmt::format("$signed({})", value) : value;
  }

  std::string element(size_t port, int lane) const {
    const Stream& stream = ports_.in[port];
    return SvModule::slice(held_[port].data, static_cast<int>(stream.width()),
                           static_cast<int>(lane * stream.bits), static_cast<int>(stream.bits));
  }

  void add_modules(const arith::Generated& generated) {
    for (const arith::SvSource& source : generated.sources) {
      hardware_.modules.push_back({source.name + ".sv", source.text});
    }
  }

  // The larger or smaller of two fits where one of them doesn't.
  std::string resized(size_t port, int lane) const {
    const Stream& stream = ports_.in[port];
    const auto own = static_cast<int>(stream.bits);
    if (own <= bits_) return operand(port, lane, bits_);
    return SvModule::slice(held_[port].data, static_cast<int>(stream.width()), lane * own, bits_);
  }

  // The lanes of an operand times those of `others`, in the wire `name`.
  void products(const std::string& name, size_t port, const std::string& others) {
    const auto [a, b] = factor_types(node_, port);
    const auto other = [&, bits = b.bits](int lane) {
      return SvModule::slice(others, lanes_ * bits, lane * bits, bits);
    };
    if (in_multiplier(node_, port, family_)) {
      for (int lane = 0; lane < lanes_; ++lane) {
        module_.assign(result_lane(name, lane),
                       fmt::format("{}'({} * {})", bits_, with_sign(a, element(port, lane)),
                                   with_sign(b, other(lane))));
      }
      return;
    }
    arith::ProductSpec spec = product_spec(node_, port, family_);
    spec.name = fmt::format("{}_{}", module_.name(), name);
    const arith::Generated product = arith::product(spec);
    add_modules(product);
    const std::string short_name = spec.product_bits < bits_ ? name + "_short" : name;
    const int short_bits = spec.product_bits;
    if (short_bits < bits_) {
      const bool is_signed = a.is_signed || b.is_signed;
      module_.wire(short_name, lanes_ * short_bits);
      module_.assign(name, widened(module_, name + "_wide", short_name, lanes_,
                                   integer_type(short_bits, is_signed, {}), bits_));
    }
    for (int lane = 0; lane < lanes_; ++lane) {
      module_.instance(product.name, fmt::format("u_{}_{}", name, lane), {},
                       {{"a_i", element(port, lane)},
                        {"b_i", other(lane)},
                        {"product_o", SvModule::slice(short_name, lanes_ * short_bits,
                                                      lane * short_bits, short_bits)}});
    }
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

  // Products with factors from a memory, which rest a cycle before they are added. The memory looks
  // at the fold of the step after this cycle, and has its word when that is issued.
  std::string factors_by_fold() {
    const int64_t folds = channel_folds(node_);
    const int width = std::bit_width(static_cast<uint64_t>(folds - 1));
    const auto number = [&](int64_t value) { return SvModule::number(width, value); };
    module_.wire("fold_q", width);
    module_.wire("fold_d", width);
    module_.assign("fold_d", fmt::format("!issue ? fold_q : fold_q == {} ? {} : fold_q + {}",
                                         number(folds - 1), number(0), number(1)));
    module_.register_control("fold_q", "fold_d", number(0));
    std::vector<std::string> names;
    for (size_t port = 0; port < 2; ++port) {
      const std::vector<int64_t> values = factors(node_, port);
      const int bits = factor_type(node_, port).bits;
      std::vector<RomWord> words(folds);
      for (int64_t channel = 0; channel < folds * lanes_; ++channel) {
        for (int b = 0; b < bits; ++b) {
          words[channel / lanes_].push_back((values[channel] >> b & 1) != 0);
        }
      }
      const std::string word = fmt::format("factors{}", port);
      module_.wire(word, lanes_ * bits);
      add_rom(module_, fmt::format("{}_{}", module_.name(), word), words, "fold_d", word,
              &hardware_.memories);
      names.push_back(fmt::format("product{}", port));
      module_.wire(names.back(), width_);
      products(names.back(), port, word);
    }
    // A register of its own for each lane: of one for all, synthesis puts some lanes into DSP
    // blocks.
    module_.wire("result", width_);
    for (int lane = 0; lane < lanes_; ++lane) {
      std::vector<std::string> rested;
      for (const std::string& name : names) {
        rested.push_back(fmt::format("{}_{}_q", name, lane));
        module_.wire(rested.back(), bits_);
        module_.register_data(rested.back(), result_lane(name, lane));
      }
      module_.assign(result_lane("result", lane), fmt::format("{} + {}", rested[0], rested[1]));
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

namespace {

// An operand times constants that are zero in some lanes isn't held there, and bits that are zero
// in all of a lane's sums aren't kept.
Cost unused_by_factors(const Node& node, const Ports& streams) {
  const std::vector<int64_t> a = factors(node, 0), b = factors(node, 1);
  Cost cost;
  for (int64_t lane = 0; lane < streams.out[0].lanes; ++lane) {
    const int64_t channel = a.size() == 1 ? 0 : lane;
    for (const size_t port : {0, 1}) {
      if ((port == 0 ? a : b)[channel] != 0) continue;
      cost.lut -= static_cast<double>(streams.in[port].bits);
      cost.ff -= static_cast<double>(2 * streams.in[port].bits);
    }
    const auto zeros = std::countr_zero(static_cast<uint64_t>(a[channel] | b[channel]));
    cost.ff -= static_cast<double>(std::min<int64_t>(zeros, streams.out[0].bits));
  }
  return cost;
}

}  // namespace

Cost cost(const Node& node, Family family) {
  const Ports streams = node.op->ports(node);
  const Stream& out = streams.out[0];
  const auto lanes = static_cast<double>(out.lanes), width = static_cast<double>(out.width());
  const Rhythm steps = rhythm(node, family);
  Cost cost = queue_cost(steps, out.width());
  for (const Stream& stream : streams.in) cost += hold_cost(stream.width());
  cost.lut += 2;
  cost.ff += width + static_cast<double>(stages_of(steps));
  const auto add = [&](const Cost& part) {
    for (int64_t i = 0; i < out.lanes; ++i) cost += part;
  };
  // The products of a port and their registers; a DSP block has its own for the product and for
  // what comes in.
  const auto products = [&](size_t port, double held) {
    if (in_multiplier(node, port, family)) {
      const auto [a, b] = factor_types(node, port);
      cost.dsp += lanes * multipliers(a.bits, b.bits);
      cost.ff -= held;
      return true;
    }
    const arith::ProductSpec spec = product_spec(node, port, family);
    add(arith::resources(arith::product(spec).cost));
    cost.ff += lanes * spec.product_bits;
    return false;
  };
  const Function what = function(node);
  const Type &a = node.in_type(0), &b = node.in_type(1);
  if (what == Function::mul) {
    if (products(0, static_cast<double>(streams.in[0].width() + streams.in[1].width()))) {
      cost.ff -= width;
    }
  } else if (node.tensor("factors") == nullptr) {
    const bool sums = what == Function::add || what == Function::sub;
    if (!sums) add({.lut = arith::ordering(ordering(node).spec).cost.luts});
    // Of two numbers one is chosen as two are added; above the shorter, where that has no sign, a
    // register that is cleared chooses.
    if (!compares(what)) cost.lut += lanes * adder_luts(a, b, out.bits);
  } else if (channel_folds(node) == 1) {
    cost += arith::resources(arith::linear(sum_spec(node, family)).cost);
    cost += unused_by_factors(node, streams);
  } else {
    const int64_t folds = channel_folds(node);
    cost += counter_cost(folds);
    bool added = false;
    for (const size_t port : {0, 1}) {
      const RomPlan memory = plan_rom(out.lanes * factor_type(node, port).bits, folds);
      cost += memory.cost;
      const double held = static_cast<double>(streams.in[port].width() + memory.table_bits);
      if (products(port, held)) added = true;
    }
    // A DSP block adds the other product to its own, and has a register for the sum.
    if (added) {
      cost.ff -= width;
    } else {
      cost.lut += width;
    }
  }
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  return Emitter(node, rhythm(node, family), family, instance).emit();
}

}  // namespace foldstream::eltwise
