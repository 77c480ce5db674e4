// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "src/ir/folding.h"
#include "src/ir/kernel.h"
#include "src/ir/onnx_node.h"
#include "src/rtl/block.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

int64_t classes(const Node& node) { return node.in_type(0).shape.back(); }

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand with classes along its last axis");
  }
  const int64_t k = node.integer("k", 1);
  if (k < 1 || k > classes(node)) {
    throw Error(fmt::format("k = {} of {} classes", k, classes(node)),
                fmt::format("legal values are 1 to {}", classes(node)));
  }
  Shape shape = node.in_type(0).shape;
  shape.back() = k;
  return {type_for_range(0, classes(node) - 1, std::move(shape))};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const int64_t count = classes(node), k = node.integer("k", 1);
  Tensor out = make_zero(node.out[0]);
  std::vector<int64_t> order(count);
  for (int64_t row = 0; row < in[0]->count() / count; ++row) {
    const int64_t* x = in[0]->ints.data() + row * count;
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + k, order.end(),
                      [&](int64_t a, int64_t b) { return x[a] != x[b] ? x[a] > x[b] : a < b; });
    std::copy_n(order.begin(), k, out.ints.begin() + row * k);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const std::string k = sink.index_constant(make_ints(Shape{1}, {node.integer("k", 1)}), "k");
  const std::string places = sink.temporary("places", integer_type(64, true, node.out[0].shape));
  sink.node("", "TopK", {sink.input(0), k}, {sink.temporary("values"), places},
            {{"axis", int64_t{-1}}, {"largest", int64_t{1}}, {"sorted", int64_t{1}}});
  sink.node("", "Cast", {places}, {sink.output(0)}, {{"to", int64_t{1}}});
}

std::vector<Fold> folds(const Node& node) { return {{"pe", divisors(classes(node))}}; }

Ports ports(const Node& node) {
  const int64_t pe = folding(node, "pe", classes(node), "classes"), k = node.integer("k", 1);
  const Type &in = node.in_type(0), &out = node.out[0];
  return {.in = {{pe, in.bits, in.count() / pe}}, .out = {{k, out.bits, out.count() / k}}};
}

Rhythm rhythm(const Node& node, Family) {
  const int64_t pe = folding(node, "pe", classes(node), "classes");
  const int64_t column_folds = classes(node) / pe;
  std::vector<Phase> phases;
  if (column_folds > 1) phases.push_back({column_folds - 1, 1, 0});
  phases.push_back({1, 1, 1});
  Rhythm rhythm{.frame = {{node.in_type(0).count() / classes(node), phases}}};
  finish_rhythm(node, 2, column_folds, rhythm);
  return rhythm;
}

// A tree of comparisons and choices for one label, whose result is compared with the largest so far
// unless there is no other beat; for several, each element is compared with each of them, and each
// bit is chosen among what stood there, what stood before and the element.
Cost cost(const Node& node, Family family) {
  const Stream in = ports(node).in[0], out = ports(node).out[0];
  const int64_t beats = classes(node) / in.lanes, labels = out.lanes;
  Cost cost = queue_cost(rhythm(node, family), out.width());
  const double compare = 0.75 * static_cast<double>(in.bits) + 1;
  const int64_t word = in.bits + out.bits;
  const bool keeps_values = beats > 1;
  if (labels == 1) {
    int64_t chosen = (in.lanes - 1) * in.bits;
    // A choice at level n of the tree gives n bits of a label.
    for (int64_t left = in.lanes, level = 1; left > 1; left = (left + 1) / 2, ++level) {
      chosen += left / 2 * level;
    }
    cost.lut += static_cast<double>(chosen) +
                static_cast<double>(in.lanes - (keeps_values ? 0 : 1)) * compare;
  } else {
    // The first elements of a single beat find empty places, and their labels are constants. Where
    // there is one lane, the enable of the first place's registers chooses.
    const int64_t empty = keeps_values ? 0 : labels * (labels + 1) / 2;
    const int64_t chosen =
        keeps_values ? in.lanes * labels - (in.lanes == 1 ? 1 : 0) : (in.lanes - 1) * labels;
    cost.lut += static_cast<double>(in.lanes * labels - empty) * compare +
                static_cast<double>(chosen * (keeps_values ? word : in.bits + out.bits / 2));
    // Whether there is one yet that the first beat doesn't bring.
    if (keeps_values) cost.ff += static_cast<double>(std::max<int64_t>(0, labels - in.lanes));
  }
  cost.lut += 3;
  cost += counter_cost(beats);
  // The label of a beat's first element.
  if (beats > 1)
    cost.lut += static_cast<double>(out.bits), cost.ff += static_cast<double>(out.bits);
  // The beat, the largest and their labels, the bits that say when those are given.
  cost.ff += static_cast<double>(in.width() + labels * (keeps_values ? word : out.bits) +
                                 stages_of(rhythm(node, family)) + (beats > 1 ? 1 : 0));
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Stream in = ports(node).in[0], out = ports(node).out[0];
  const Rhythm steps = rhythm(node, family);
  const int64_t beats = classes(node) / in.lanes;
  SvModule module(
      instance,
      fmt::format("Label select: the {} largest of {}, {} at once.", out.lanes, classes(node),
                  in.lanes),
      fmt::format("Latency {}, {} steps a vector, queue of {}.", steps.depth, beats, steps.queue));
  add_block_ports(module, in.width(), out.width());
  module.comment("Issue: the last beat of a vector gives one");
  for (const char* wire : {"available", "issue", "last", "give"}) module.wire(wire);
  const int beat_width = add_fold_counter(module, "beat_q", beats, "issue");
  module.assign("last",
                beat_width == 0 ? "1'b1" : fmt::format("beat_q == {}'d{}", beat_width, beats - 1));
  module.assign("s_ready_o", "!last || available");
  module.assign("issue", "s_valid_i && s_ready_o");
  module.assign("give", "issue && last");
  module.comment("Largest so far");
  const std::string value = delayed_data(module, "s_data_i", in.width(), 1);
  const std::string valid = delayed_control(module, "issue", 1);
  module.wire("labels", static_cast<int>(out.width()));
  module.instance("fst_label_select", "u_select",
                  {{"Width", std::to_string(in.bits)},
                   {"Signed", node.in_type(0).is_signed ? "1'b1" : "1'b0"},
                   {"Lanes", std::to_string(in.lanes)},
                   {"Beats", std::to_string(beats)},
                   {"Count", std::to_string(out.lanes)},
                   {"LabelWidth", std::to_string(out.bits)}},
                  {{"clk_i", "clk_i"},
                   {"rst_i", "rst_i"},
                   {"valid_i", valid},
                   {"data_i", value},
                   {"labels_o", "labels"}});
  const std::string push = delayed_control(module, "give", 2);
  add_output_queue(module, steps, out.width(), "give", push, "labels");
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

// Elements and labels that are bytes, words or longs.
template <class Element, class Label>
class LabelKernel final : public Kernel {
 public:
  explicit LabelKernel(const KernelSite& site)
      : rows_(site.in[0].storage.vectors),
        classes_(site.in[0].storage.length),
        labels_(site.out[0].length) {}

  void run(const KernelCall& call) const override {
    const auto* x = reinterpret_cast<const Element*>(call.in[0]);
    auto* y = reinterpret_cast<Label*>(call.out[0]);
    for (int64_t row = 0; row < call.frames * rows_; ++row, x += classes_, y += labels_) {
      for (int64_t c = 0; c < classes_; ++c) {
        // Behind those that aren't less.
        int64_t place = std::min(c, labels_);
        while (place > 0 && x[y[place - 1]] < x[c]) --place;
        if (place == labels_) continue;
        for (int64_t i = std::min(c, labels_ - 1); i > place; --i) y[i] = y[i - 1];
        y[place] = static_cast<Label>(c);
      }
    }
  }

 private:
  int64_t rows_, classes_, labels_;
};

template <class Element>
std::unique_ptr<Kernel> make_of(const KernelSite& site) {
  if (site.out[0].form == Form::bytes) return std::make_unique<LabelKernel<Element, uint8_t>>(site);
  if (site.out[0].form == Form::words) return std::make_unique<LabelKernel<Element, int32_t>>(site);
  return nullptr;
}

std::unique_ptr<Kernel> make(const KernelSite& site) {
  switch (site.in[0].storage.form) {
    case Form::bytes:
      return make_of<uint8_t>(site);
    case Form::words:
      return make_of<int32_t>(site);
    case Form::longs:
      return make_of<int64_t>(site);
    default:
      return nullptr;
  }
}

const Kernels kernels{.make = make};

}  // namespace

extern const Op op_label_select;
const Op op_label_select{.name = "label_select",
                         .doc = "indices of the k largest elements, the lower index first in ties",
                         .kind = Op::Kind::hardware,
                         .to_onnx = to_onnx,
                         .infer = infer,
                         .eval = eval,
                         .folds = folds,
                         .ports = ports,
                         .rhythm = rhythm,
                         .cost = cost,
                         .emit = emit,
                         .finn_name = "LabelSelect",
                         .kernels = &kernels};

}  // namespace foldstream
