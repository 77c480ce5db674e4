// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>

#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/ir/steps.h"
#include "src/rtl/block.h"
#include "src/rtl/rom.h"
#include "src/rtl/walk.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

const Tensor& table(const Node& node) { return *node.tensor("table"); }
int64_t entries(const Node& node) { return table(node).type.shape[0]; }
int64_t width(const Node& node) { return table(node).type.shape[1]; }

std::vector<Type> infer(const Node& node) {
  constexpr int kMostBits = 32;
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).is_signed ||
      node.in_type(0).bits > kMostBits) {
    throw Error("takes one operand of indices, integers u1 to u32");
  }
  const Tensor* rows = node.tensor("table");
  if (rows == nullptr || rows->type.is_float || rows->type.shape.size() != 2 ||
      rows->count() == 0) {
    throw Error("needs integers 'table' [entries, width]");
  }
  Type type = rows->type;
  type.shape = node.in_type(0).shape;
  type.shape.push_back(width(node));
  if (!checked_element_count(type.shape)) {
    throw Error(fmt::format("gives {}, more than can be held", to_string(type)));
  }
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  auto to = out.ints.begin();
  for (const int64_t index : in[0]->ints) {
    const int64_t row = std::min(index, entries(node) - 1);
    to = std::copy_n(table(node).ints.begin() + row * width(node), width(node), to);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  Type type = node.in_type(0);
  std::string index = sink.input(0);
  if (type.max() >= entries(node)) {
    const std::string last = sink.constant(make_ints(Shape{}, {entries(node) - 1}), "last");
    const std::string clipped = sink.temporary("clipped", float_type(type.shape));
    sink.node("", "Min", {index, last}, {clipped});
    index = clipped;
  }
  const std::string row = sink.temporary("row", integer_type(64, true, type.shape));
  sink.node("", "Cast", {index}, {row}, {{"to", int64_t{7}}});
  sink.node("", "Gather", {sink.constant(table(node), "table"), row}, {sink.output(0)},
            {{"axis", int64_t{0}}});
}

// Registers between issue and queue: the address and the word.
constexpr int64_t kStages = 2;

int64_t lanes(const Node& node) { return folding(node, "pe", width(node), "entries of a row"); }

std::vector<Fold> folds(const Node& node) { return {{"pe", divisors(width(node))}}; }

Ports ports(const Node& node) {
  const int64_t pe = lanes(node);
  const Type &in = node.in_type(0), &out = node.out[0];
  return {.in = {{1, in.bits, in.count()}}, .out = {{pe, out.bits, out.count() / pe}}};
}

Rhythm rhythm(const Node& node, Family) {
  std::vector<Phase> row{{1, 1, 1}};
  add_steps(row, {width(node) / lanes(node) - 1, 0, 1});
  Rhythm rhythm{.frame = {{node.in_type(0).count(), row}}};
  finish_steps(node, kStages, rhythm);
  return rhythm;
}

int address_bits(const Node& node) {
  const int64_t words = table(node).count() / lanes(node);
  return std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(words - 1))));
}

Cost cost(const Node& node, Family family) {
  const Stream out = ports(node).out[0];
  Cost cost = queue_cost(rhythm(node, family), out.width());
  cost += plan_rom(out.width(), table(node).count() / out.lanes).cost;
  const double address = address_bits(node);
  const auto runs =
      static_cast<double>(std::bit_width(static_cast<uint64_t>(width(node) / out.lanes - 1)));
  // The next word's address or that of the next row's first word, which is as many sums as its run
  // has bits but one.
  if (const int64_t run = width(node) / out.lanes; run > 1) {
    const auto each = static_cast<uint64_t>(run);
    cost.lut += address + 1 + (std::popcount(each) - 1) * (address - std::countr_zero(each));
  }
  // The last row instead of what is behind it: a comparison; the address is then set and cleared by
  // its register, unless it is multiplied or counts on.
  if (node.in_type(0).max() >= entries(node)) {
    cost.lut += (runs > 0 ? 1.5 : 0.3) * node.in_type(0).bits;
  }
  cost.ff += address + runs + 2;
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Stream in = ports(node).in[0], out = ports(node).out[0];
  const Rhythm steps = rhythm(node, family);
  const int64_t runs = width(node) / out.lanes;
  SvModule module(
      instance,
      fmt::format("Lookup: {} rows of {}, {} entries at once.", entries(node), width(node),
                  out.lanes),
      fmt::format("Latency {}, {} steps a row, queue of {}.", steps.depth, runs, steps.queue));
  add_block_ports(module, in.width(), out.width());
  module.comment("Issue: an index, then the rest of its row");
  for (const char* wire : {"available", "issue", "take"}) module.wire(wire);
  const Walk walk(module, {{"run", runs}}, "issue");
  module.assign("take", walk.at(0, 0));
  module.assign("s_ready_o", "take && available");
  module.assign("issue", "(!take || s_valid_i) && available");
  module.comment("Address of the word");
  std::string row = "s_data_i";
  const auto bits = static_cast<int>(in.bits);
  if (node.in_type(0).max() >= entries(node)) {
    module.wire("row", bits);
    const std::string last = SvModule::number(bits, entries(node) - 1);
    module.assign("row", fmt::format("s_data_i > {0} ? {0} : s_data_i", last));
    row = "row";
  }
  const int address = address_bits(node);
  module.wire("address_q", address);
  // The address of the row behind a table of one row would not fit.
  std::string first = fmt::format("{}'({})", address, row);
  if (entries(node) == 1) {
    first = SvModule::number(address, 0);
  } else if (runs > 1) {
    // Written as a sum, which synthesis would put into a DSP block as a product.
    std::vector<std::string> terms;
    for (int shift = 0; (runs >> shift) > 0; ++shift) {
      if ((runs >> shift & 1) != 0) terms.push_back(fmt::format("({} << {})", first, shift));
    }
    first = fmt::format("{}", fmt::join(terms, " + "));
  }
  module.register_data("address_q", runs == 1 ? first
                                              : fmt::format("!issue ? address_q : take ? {} : "
                                                            "address_q + {}",
                                                            first, SvModule::number(address, 1)));
  std::vector<RomWord> words(table(node).count() / out.lanes);
  for (int64_t i = 0; i < table(node).count(); ++i) {
    for (int64_t bit = 0; bit < out.bits; ++bit) {
      words[i / out.lanes].push_back((table(node).ints[i] >> bit & 1) != 0);
    }
  }
  Hardware hardware;
  module.wire("word", static_cast<int>(out.width()));
  add_rom(module, instance + "_table", words, "address_q", "word", &hardware.memories);
  add_output_queue(module, steps, out.width(), "issue", delayed_control(module, "issue", kStages),
                   "word");
  add_top(module, hardware);
  return hardware;
}

}  // namespace

extern const Op op_lookup;
const Op op_lookup{.name = "lookup",
                   .doc = "rows of a table, by their indices",
                   .kind = Op::Kind::hardware,
                   .to_onnx = to_onnx,
                   .infer = infer,
                   .eval = eval,
                   .folds = folds,
                   .ports = ports,
                   .rhythm = rhythm,
                   .cost = cost,
                   .emit = emit,
                   .finn_name = "Lookup"};

}  // namespace foldstream
