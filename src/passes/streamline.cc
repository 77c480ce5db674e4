// SPDX-License-Identifier: Apache-2.0
#include "src/passes/streamline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <tuple>
#include <unordered_map>

#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/ir/pass.h"
#include "src/ir/permute.h"
#include "src/ir/verify.h"
#include "src/rtl/pointwise.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// A quantizer with more levels than this does not become thresholds.
constexpr int64_t kMostLevels = 1023;

// Gives one entry a channel to vectors that had one for all.
void spread(Traced& traced, int axis) {
  if (axis < 0 || traced.axis == axis) return;
  FOLDSTREAM_CHECK(traced.axis < 0);
  traced.axis = axis;
}

float after(const std::vector<Step>& steps, float x, int64_t channel) {
  for (const Step& step : steps) x = step.apply(x, channel);
  return x;
}

float reference(const Traced& traced, int64_t q, int64_t channel) {
  const double scaled = entry(traced.scale, channel) * static_cast<double>(q);
  return after(traced.steps, static_cast<float>(scaled + entry(traced.bias, channel)), channel);
}

// Which axis of the value each dimension of q is, where they correspond one to one.
std::optional<std::vector<int>> dimension_order(const Traced& traced) {
  if (traced.layout.natural()) return natural_order(traced.shape.size());
  if (traced.layout.dims == traced.shape) return traced.layout.order;
  return std::nullopt;
}

// The dimension of q along which the channel of an element is its place along `axis` of the value.
std::optional<int> dimension_of(const Traced& traced, int axis) {
  if (axis < 0 || traced.layout.natural()) return axis;
  const auto inner = [](const Shape& shape, size_t d) {
    return element_count(Shape(shape.begin() + static_cast<int64_t>(d) + 1, shape.end()));
  };
  const auto& [dims, order] = traced.layout;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] != traced.shape[axis] || inner(dims, d) != inner(traced.shape, axis)) continue;
    return static_cast<int>(std::find(order.begin(), order.end(), static_cast<int>(d)) -
                            order.begin());
  }
  return std::nullopt;
}

int sign(double x) { return (x > 0) - (x < 0); }

// The first q in [lo, hi + 1] from which `holds` is true; `holds` must not become false again.
template <class Predicate>
int64_t first_true(int64_t lo, int64_t hi, const Predicate& holds) {
  int64_t end = hi + 1;
  while (lo < end) {
    const int64_t middle = lo + (end - lo) / 2;
    if (holds(middle)) {
      end = middle;
    } else {
      lo = middle + 1;
    }
  }
  return lo;
}

class Streamliner : public Lowering {
 public:
  Streamliner(const Graph& source, const StreamlineOptions& options)
      : source_(source), options_(options) {}

  Streamlined run() {
    result_.graph.name = source_.name;
    check_formats();
    for (const Node& node : source_.nodes) {
      node_ = &node;
      nodes_before_ = target().nodes.size();
      finding_ = {node.name, std::string(node.op->name), "", "", ""};
      lower_node(node);
      for (size_t port = 0; port < node.out.size(); ++port) {
        FOLDSTREAM_CHECK(traced_.contains({const_cast<Node*>(&node), static_cast<int>(port)}));
      }
      if (node.op->kind != Op::Kind::constant && node.op->kind != Op::Kind::input)
        result_.findings.push_back(finding_);
    }
    for (const Output& output : source_.outputs) {
      target().outputs.push_back({output.name, in_float(output.value)});
    }
    result_.graph.remove_dead();
    name_hardware();
    return std::move(result_);
  }

  const Node& node() const override { return *node_; }
  Graph& target() override { return result_.graph; }
  const Traced& in(size_t port) const override { return traced_.at(node_->in.at(port)); }

  std::optional<Traced> affine(size_t port) const override {
    Traced traced = in(port);
    if (!traced.is_integer() && !traced.codes) return std::nullopt;
    if (traced.steps.empty()) return traced;
    const int64_t channels = traced.channels();
    std::vector<double> scale(channels), bias(channels);
    for (int64_t c = 0; c < channels; ++c) {
      scale[c] = entry(traced.scale, c);
      bias[c] = entry(traced.bias, c);
      for (const Step& step : traced.steps) {
        if (!step.affine) return std::nullopt;
        const auto [mul, add] = step.affine(c);
        scale[c] *= mul;
        bias[c] = bias[c] * mul + add;
      }
    }
    traced.scale = std::move(scale);
    traced.bias = std::move(bias);
    traced.steps.clear();
    return traced;
  }

  std::optional<Traced> weights(size_t port) const override {
    const Traced& traced = in(port);
    if (traced.real) return recognise_integers(*traced.real);
    if (!traced.codes) return std::nullopt;
    std::optional<Traced> result = affine(port);
    if (!result) return std::nullopt;
    // (code + shift) * scale: the zero point belongs to the integers.
    std::vector<int64_t> shift;
    for (size_t c = 0; c < std::max(result->scale.size(), result->bias.size()); ++c) {
      const double scale = entry(result->scale, c), bias = entry(result->bias, c);
      const double zero = scale == 0 ? 0 : bias / scale;
      if (!std::isfinite(zero) || std::abs(zero) > 1e15) return std::nullopt;
      shift.push_back(std::llround(zero));
      if (std::abs(zero - static_cast<double>(shift.back())) > 0) {
        // Codes half way between integers (bipolar: -1, +1 for 0, 1) become integers at half the
        // scale.
        if (2 * zero != std::floor(2 * zero)) return std::nullopt;
        return at_half_scale(*result);
      }
    }
    Tensor codes = *result->codes;
    for_each_channel(*result, [&](int64_t i, int64_t c) { codes.ints[i] += entry(shift, c); });
    result->codes = make_ints(codes.type.shape, std::move(codes.ints));
    result->bias = {0.0};
    for (size_t c = 0; c < shift.size(); ++c) {
      if (result->lo.size() == shift.size()) {
        result->lo[c] += shift[c];
        result->hi[c] += shift[c];
      }
    }
    return result;
  }

  std::optional<std::pair<int, std::vector<double>>> per_channel(
      const Tensor& constant, const Shape& shape) const override {
    const auto value = [&](int64_t i) {
      return constant.type.is_float ? constant.reals[i] : static_cast<double>(constant.ints[i]);
    };
    if (constant.count() == 1) return {{-1, {value(0)}}};
    // The constant varies along those of its axes that are longer than one.
    const size_t rank = constant.type.shape.size();
    if (rank > shape.size()) return std::nullopt;
    const size_t lead = shape.size() - rank;
    int axis = -1;
    for (size_t d = 0; d < rank; ++d) {
      if (constant.type.shape[d] == 1) continue;
      if (axis >= 0 || constant.type.shape[d] != shape[lead + d]) return std::nullopt;
      axis = static_cast<int>(lead + d);
    }
    std::vector<double> values(constant.count());
    for (int64_t i = 0; i < constant.count(); ++i) values[i] = value(i);
    if (std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; })) {
      return {{-1, {values[0]}}};
    }
    return {{axis, std::move(values)}};
  }

  Value ordered(const Traced& traced, const std::vector<int>& order) override {
    const std::optional<std::vector<int>> current = dimension_order(traced);
    if (!current) {
      Traced moved = traced;
      moved.q = natural(traced);
      moved.layout = {};
      return ordered(moved, order);
    }
    std::vector<int64_t> perm;
    for (const int axis : order) {
      perm.push_back(std::find(current->begin(), current->end(), axis) - current->begin());
    }
    return moved(traced.q, perm);
  }

  Value natural(const Traced& traced) override {
    if (traced.layout.natural()) return traced.q;
    return viewed(moved(traced.q, back(traced.layout)), traced.shape);
  }

  void set(size_t port, Traced result) override {
    const Value value{const_cast<Node*>(node_), static_cast<int>(port)};
    result.shape = node_->out.at(port).shape;
    if (result.axis >= 0 && result.shape[result.axis] == 1) result.axis = -1;
    traced_[value] = std::move(result);
    if (finding_.becomes.empty()) finding_.becomes = describe_new_nodes();
  }

  void step(size_t port, int axis, Step step) override {
    Traced result = in(port);
    if (result.is_constant()) {
      keep_constant();
      return;
    }
    if (result.shape != node_->out[0].shape && axis >= 0) {
      // Leading ones that broadcasting adds move the channel axis of what was known before.
      if (result.axis >= 0)
        result.axis += static_cast<int>(node_->out[0].shape.size() - result.shape.size());
    }
    if (element_count(result.shape) != node_->out[0].count()) {
      keep("the constant makes the tensor larger",
           "broadcast it before the quantizer, or drop it from the model");
      return;
    }
    const int64_t channels = axis < 0 ? 1 : node_->out[0].shape.at(static_cast<size_t>(axis));
    for (int64_t c = 0; step.affine && c < channels; ++c) {
      const auto [mul, add] = step.affine(c);
      if (std::isfinite(mul) && std::isfinite(add)) continue;
      keep("a constant of it, or what follows from it, is infinite or no number",
           "use finite constants, and divide by none that is zero");
      return;
    }
    constexpr size_t kMostSteps = 512;  // each is there once for every step behind it
    if (result.steps.size() >= kMostSteps) {
      keep(fmt::format("{} functions of its operand precede it without a quantizer", kMostSteps),
           "put a quantizer between them");
      return;
    }
    if (axis >= 0 && result.axis >= 0 && result.axis != axis) {
      keep(fmt::format("its constants vary along axis {} and those before it along axis {}", axis,
                       result.axis),
           "use constants along one channel axis between two quantizers");
      return;
    }
    if (result.is_integer() && result.layout.natural()) {
      result.q = viewed(result.q, node_->out[0].shape);
    }
    spread(result, axis);
    step.source = node_;
    step.axis = axis;
    step.at = unviewed(result.q);
    step.layout = result.layout;
    result.steps.push_back(std::move(step));
    finding_.becomes = "folded into what follows";
    set(0, std::move(result));
  }

  bool join(float (*function)(float a, float b)) override {
    const Traced &a = in(0), &b = in(1);
    const bool same = a.is_integer() && a.q == b.q && a.layout == b.layout && a.shape == b.shape &&
                      a.scale == b.scale && a.bias == b.bias;
    const bool axes = a.axis < 0 || b.axis < 0 || a.axis == b.axis;
    if (!same || !axes || (affine(0) && affine(1))) return false;
    const auto [end_a, end_b] =
        std::ranges::mismatch(a.steps, b.steps, {}, &Step::source, &Step::source);
    Traced result = a;
    result.axis = std::max(a.axis, b.axis);
    result.steps.assign(a.steps.begin(), end_a);
    Step step;
    step.source = node_;
    step.branches = {{end_a, a.steps.end()}, {end_b, b.steps.end()}};
    step.apply = [function, branches = step.branches](float x, int64_t channel) {
      return function(after(branches[0], x, channel), after(branches[1], x, channel));
    };
    step.direction = [](int64_t) { return 0; };
    step.at = unviewed(result.q);
    step.layout = result.layout;
    result.steps.push_back(std::move(step));
    finding_.becomes = "folded into what follows";
    set(0, std::move(result));
    return true;
  }

  void quantize(Quantizer quantizer) override {
    const Traced& operand = in(0);
    if (operand.is_constant()) {
      quantize_constant(operand, quantizer);
    } else if (operand.is_integer()) {
      quantize_integers(operand, quantizer);
    } else {
      Traced result = coded(quantizer);
      result.q = quantizer.at_edge(target(), operand.kept, node_->name);
      finding_.becomes = "quantized on the host";
      set(0, std::move(result));
    }
  }

  void keep(std::string reason, std::string remedy) override {
    std::vector<Value> operands;
    for (const Value& value : node_->in) operands.push_back(in_float(value));
    Node& copy =
        target().add(*node_->op, std::move(operands), node_->name, node_->attr, node_->data);
    finding_.becomes = "float on the host";
    finding_.reason = std::move(reason);
    finding_.remedy = std::move(remedy);
    for (size_t port = 0; port < node_->out.size(); ++port) {
      Traced result;
      result.kept = {&copy, static_cast<int>(port)};
      set(port, std::move(result));
    }
  }

 private:
  // The level of an integer in a channel.
  using Levels = std::function<int64_t(int64_t q, int64_t channel)>;

  // Foldings, reports and simulations call hardware by name.
  void name_hardware() {
    std::set<std::string> taken;
    for (const Node& node : target().nodes) {
      if (node.op->kind != Op::Kind::hardware && node.op->kind != Op::Kind::constant)
        taken.insert(node.name);
    }
    for (Node& node : target().nodes) {
      if (node.op->kind != Op::Kind::hardware) continue;
      const std::string wanted = node.name;
      for (int i = 1; !taken.insert(node.name).second; ++i)
        node.name = fmt::format("{}_{}", wanted, i);
    }
  }

  void check_formats() const {
    for (const auto& [name, format] : options_.inputs) {
      const bool found = std::any_of(
          source_.nodes.begin(), source_.nodes.end(),
          [&](const Node& node) { return node.op->kind == Op::Kind::input && node.name == name; });
      if (found) continue;
      std::string names;
      for (const Node& node : source_.nodes) {
        if (node.op->kind == Op::Kind::input)
          names += (names.empty() ? "'" : ", '") + node.name + "'";
      }
      throw Error(fmt::format("the model has no input '{}' to give a format to", name),
                  "its inputs are " + names);
    }
  }

  // The permutation that brings q of a layout into the order of its dims.
  static std::vector<int64_t> back(const Layout& layout) {
    std::vector<int64_t> perm(layout.order.size());
    for (size_t d = 0; d < perm.size(); ++d) perm[layout.order[d]] = static_cast<int64_t>(d);
    return perm;
  }

  static Value unviewed(Value q) {
    const Op& view = require_op("reshape");
    while (q.node != nullptr && q.node->op == &view) q = q.node->in[0];
    return q;
  }

  Value viewed(Value q, const Shape& shape) {
    const Op& view = require_op("reshape");
    const Value first = unviewed(q);
    if (first.type().shape == shape) return first;
    return {&target().add(view, {first}, first.node->name + "_view", {{"shape", shape}}), 0};
  }

  // Takes frames from the host element by element.
  static bool enters(const Node& node) {
    return node.op->kind == Op::Kind::edge && node.in.size() == 1 &&
           node.in_type(0).shape == node.out[0].shape;
  }

  // Where the axis of a node's constants is after a permutation.
  static int64_t moved_axis(const Node& node, const std::vector<int64_t>& perm) {
    const int64_t axis = node.integer("axis", static_cast<int64_t>(perm.size()) - 1);
    return std::find(perm.begin(), perm.end(), axis) - perm.begin();
  }

  // Whether a node computes element by element, and hardware does with its operand moved: channels
  // with constants of their own must stay the last dimension.
  static bool takes_moved(const Node& node, const std::vector<int64_t>& perm) {
    if (!node.op->pointwise) return false;
    if (!pointwise::per_channel(node)) return true;
    const Shape& shape = node.out[0].shape;
    for (size_t d = static_cast<size_t>(moved_axis(node, perm)) + 1; d < perm.size(); ++d) {
      if (shape[static_cast<size_t>(perm[d])] > 1) return false;
    }
    return true;
  }

  // Bits of an element where it takes the fewest to move q, or what it is computed from element by
  // element; none on the host.
  static int moved_bits(const Value& q, const std::vector<int64_t>& perm) {
    if (enters(*q.node)) return 0;
    const int bits = q.type().bits;
    return takes_moved(*q.node, perm) ? std::min(bits, moved_bits(q.node->in[0], perm)) : bits;
  }

  // q with dimension d of the result being its dimension perm[d]. The way from the host is moved
  // instead of a stream, and narrow elements instead of wide ones.
  Value moved(Value q, const std::vector<int64_t>& perm) {
    const Shape& shape = q.type().shape;
    Shape result;
    int64_t last = -1;
    bool moves = false;
    for (const int64_t d : perm) {
      result.push_back(shape[d]);
      if (shape[d] == 1) continue;
      moves = moves || d < last;
      last = d;
    }
    if (!moves) return viewed(q, result);
    Value& known = moved_[{q, perm}];
    if (!known) known = moved_anew(q, perm);
    return known;
  }

  Value moved_anew(Value q, const std::vector<int64_t>& perm) {
    Node& node = *q.node;
    const bool edge = enters(node);
    if (!edge && moved_bits(q, perm) == q.type().bits) {
      return {&target().add(require_op("shuffle"), {q}, node.name + "_shuffle", {{"perm", perm}}),
              0};
    }
    Value operand = edge ? Value{&target().add(require_op("transpose"), {node.in[0]},
                                               node.name + "_order", {{"perm", perm}}),
                                 0}
                         : moved(node.in[0], perm);
    auto attr = node.attr;
    const int64_t last = static_cast<int64_t>(perm.size()) - 1;
    const bool has_axis = edge ? node.integer("axis", -1) >= 0 : pointwise::per_channel(node);
    attr.erase("axis");
    if (const int64_t to = moved_axis(node, perm); has_axis && (edge || to != last)) {
      attr["axis"] = to;
    }
    // The copy takes the name; the first normally is dead now.
    const std::string name = node.name;
    node.name += "_unordered";
    return {&target().add(*node.op, {operand}, name, std::move(attr), node.data), 0};
  }

  void lower_node(const Node& node) {
    if (node.op->kind == Op::Kind::input) return lower_input(node);
    if (node.op->kind == Op::Kind::constant) {
      Traced traced;
      traced.real = *node.tensor("value");
      return set(0, std::move(traced));
    }
    bool all_constant = !node.in.empty(), any_float = false;
    for (const Value& value : node.in) {
      const Traced& traced = traced_.at(value);
      all_constant = all_constant && traced.is_constant();
      any_float = any_float || static_cast<bool>(traced.kept);
    }
    if (all_constant && !node.op->takes_floats && !in_codes(node)) return keep_constant();
    if (node.op->lower == nullptr)
      return keep(fmt::format("operator '{}' has no integer form", node.op->name),
                  "move it before the first or after the last quantizer");
    if (any_float && !node.op->takes_floats) {
      keep("", "");
      finding_.becomes = "float on the host, as its operand is";
      return;
    }
    node.op->lower(node, *this);
  }

  bool in_codes(const Node& node) const {
    return std::any_of(node.in.begin(), node.in.end(),
                       [&](const Value& value) { return traced_.at(value).codes.has_value(); });
  }

  void lower_input(const Node& node) {
    Node& copy = target().add(*node.op, {}, node.name, node.attr, node.data);
    Traced traced;
    traced.shape = node.out[0].shape;
    const auto named = options_.inputs.find(node.name);
    std::optional<InputFormat> format = options_.every_input;
    if (named != options_.inputs.end()) format = named->second;
    if (!format || !node.out[0].is_float) {
      traced.kept = {&copy, 0};
      return set(0, std::move(traced));
    }
    Node& codes = target().add(require_op("input_codes"), {{&copy, 0}}, node.name + "_codes",
                               {{"bits", int64_t{format->bits}},
                                {"signed", int64_t{format->is_signed}},
                                {"divisor", format->divisor},
                                {"offset", format->offset}});
    traced.q = {&codes, 0};
    traced.scale = {1 / format->divisor};
    traced.bias = {format->offset};
    traced.lo = {codes.out[0].min()};
    traced.hi = {codes.out[0].max()};
    for (int64_t code = traced.lo[0]; code <= traced.hi[0]; ++code) {
      const double exact = static_cast<double>(code) / format->divisor + format->offset;
      if (reference(traced, code, 0) != static_cast<float>(exact)) {
        throw Error(fmt::format("graph input '{}': code {} / {} is not exact as a product",
                                node.name, code, format->divisor),
                    "leave the input in float, or choose a divisor that is a power of two");
      }
    }
    set(0, std::move(traced));
  }

  // A node of constants that no pass has folded (it feeds a quantizer or a weight).
  void keep_constant() {
    std::vector<Tensor> held;
    for (const Value& value : node_->in) held.push_back(real_of(traced_.at(value)));
    std::vector<const Tensor*> operands;
    for (const Tensor& tensor : held) operands.push_back(&tensor);
    std::vector<Tensor> out = evaluate_node(*node_, operands);
    finding_.becomes = "constant";
    for (size_t port = 0; port < out.size(); ++port) {
      Traced traced;
      traced.real = std::move(out[port]);
      set(port, std::move(traced));
    }
  }

  template <class Visit>
  static void for_each_channel(const Traced& traced, const Visit& visit) {
    const Shape& shape = traced.codes->type.shape;
    const int64_t count = traced.codes->count();
    int64_t inner = 1;
    if (traced.axis >= 0) {
      for (size_t d = traced.axis + 1; d < shape.size(); ++d) inner *= shape[d];
    }
    const int64_t channels = traced.axis < 0 ? 1 : shape[traced.axis];
    for (int64_t i = 0; i < count; ++i) visit(i, traced.axis < 0 ? 0 : i / inner % channels);
  }

  static Tensor real_of(const Traced& traced) {
    if (traced.real) return *traced.real;
    FOLDSTREAM_CHECK(traced.codes.has_value());
    Tensor real = make_zero(float_type(traced.codes->type.shape));
    for_each_channel(traced, [&](int64_t i, int64_t c) {
      real.reals[i] = reference(traced, traced.codes->ints[i], c);
    });
    return real;
  }

  static Traced at_half_scale(Traced traced) {
    Tensor codes = *traced.codes;
    const Traced before = traced;
    for_each_channel(before, [&](int64_t i, int64_t c) {
      codes.ints[i] =
          2 * codes.ints[i] + std::llround(2 * entry(before.bias, c) / entry(before.scale, c));
    });
    for (double& scale : traced.scale) scale /= 2;
    traced.bias = {0.0};
    const auto [lo, hi] = std::minmax_element(codes.ints.begin(), codes.ints.end());
    traced.lo = {*lo}, traced.hi = {*hi};
    traced.codes = make_ints(codes.type.shape, std::move(codes.ints));
    return traced;
  }

  // Float weights that are small integers times one scale: 1 itself, else the smallest magnitude
  // there is.
  static std::optional<Traced> recognise_integers(const Tensor& real) {
    if (!real.type.is_float) return std::nullopt;
    double smallest = 0;
    for (const double v : real.reals) {
      if (v != 0 && (smallest == 0 || std::abs(v) < smallest)) smallest = std::abs(v);
    }
    for (const double scale : {1.0, smallest}) {
      if (scale == 0) continue;
      std::vector<int64_t> codes(real.reals.size());
      bool exact = true;
      for (size_t i = 0; i < codes.size() && exact; ++i) {
        const double code = std::nearbyint(real.reals[i] / scale);
        exact = std::abs(code) < 32768 &&
                static_cast<float>(code * scale) == static_cast<float>(real.reals[i]);
        codes[i] = exact ? static_cast<int64_t>(code) : 0;
      }
      if (!exact) continue;
      Traced traced;
      traced.shape = real.type.shape;
      traced.codes = make_ints(real.type.shape, std::move(codes));
      const auto [lo, hi] =
          std::minmax_element(traced.codes->ints.begin(), traced.codes->ints.end());
      traced.lo = {*lo}, traced.hi = {*hi};
      traced.scale = {scale};
      return traced;
    }
    return std::nullopt;
  }

  // What a quantizer's codes are worth.
  Traced coded(const Quantizer& quantizer, int64_t base = 0) const {
    Traced traced;
    traced.axis = quantizer.axis;
    traced.scale = quantizer.scale;
    traced.bias.clear();
    for (size_t c = 0; c < std::max(quantizer.scale.size(), quantizer.zero.size()); ++c) {
      traced.bias.push_back((static_cast<double>(base) - entry(quantizer.zero, c)) *
                            entry(quantizer.scale, c));
    }
    traced.lo = {quantizer.lo - base};
    traced.hi = {quantizer.hi - base};
    return traced;
  }

  void quantize_constant(const Traced& operand, const Quantizer& quantizer) {
    const Tensor real = real_of(operand);
    Traced result = coded(quantizer);
    result.codes = make_zero(type_for_range(quantizer.lo, quantizer.hi, real.type.shape));
    for_each_channel(result, [&](int64_t i, int64_t c) {
      result.codes->ints[i] = quantizer.code(static_cast<float>(real.reals[i]), c);
    });
    finding_.becomes = "integer constant";
    set(0, std::move(result));
  }

  void quantize_integers(const Traced& operand, const Quantizer& quantizer) {
    if (operand.axis >= 0 && quantizer.axis >= 0 && operand.axis != quantizer.axis) {
      return keep_quantizer(
          fmt::format("its scales vary along axis {} and the values along axis {}", quantizer.axis,
                      operand.axis),
          "quantize along the channel axis of the layer before", quantizer);
    }
    if (quantizer.hi - quantizer.lo > kMostLevels) {
      return keep_quantizer(fmt::format("it has {} levels", quantizer.hi - quantizer.lo + 1),
                            fmt::format("use at most {} levels (10 bits)", kMostLevels + 1),
                            quantizer);
    }
    Traced described = operand;
    spread(described, quantizer.axis);
    const int64_t channels = described.channels();

    const Levels levels = [&](int64_t q, int64_t c) {
      return quantizer.code(reference(described, q, c), c);
    };
    std::vector<int> directions(channels);
    for (int64_t c = 0; c < channels; ++c) {
      directions[c] = direction(described, c, levels);
      const int64_t integers = entry(described.hi, c) - entry(described.lo, c) + 1;
      if (directions[c] == 0 && integers - 1 > kMostTried) {
        return keep_quantizer(
            fmt::format(
                "an activation before it isn't known to keep the order of floats, and there "
                "are {} integers before that, too many to try all",
                integers),
            fmt::format("quantize before the activation as well, or have at most {} integers there",
                        kMostTried + 1),
            quantizer);
      }
    }
    std::optional<Bend> bend;
    if (std::ranges::count(directions, 0) > 0) {
      bend = bend_of(described, directions, levels);
      if (!bend) {
        return keep_quantizer(
            "what it quantizes turns more than once with the integers before it, or up in some "
            "channels and down in others",
            "use an activation that turns at most once, or quantize after each turn", quantizer);
      }
    }
    int64_t base = quantizer.hi, top = quantizer.lo;
    std::vector<int64_t> least(channels), most(channels);
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t first = levels(entry(described.lo, c), c);
      const int64_t last = levels(entry(described.hi, c), c);
      const int64_t middle = bend ? levels(bend->at[c], c) : first;
      std::tie(least[c], most[c]) = std::minmax({first, middle, last});
      base = std::min(base, least[c]), top = std::max(top, most[c]);
    }
    if (top == base) {  // constant in every channel: one level keeps the stream
      if (base == quantizer.lo) {
        ++top;
      } else {
        --base;
      }
    }

    if (is_identity(described, quantizer)) {
      Traced result = coded(quantizer);
      const int64_t offset = quantizer.code(reference(described, entry(described.lo, 0), 0), 0) -
                             entry(described.lo, 0);
      result = coded(quantizer, offset);
      result.q = described.q;
      result.layout = described.layout;
      result.lo = described.lo, result.hi = described.hi;
      if (result.axis < 0) result.axis = described.lo.size() > 1 ? described.axis : -1;
      finding_.becomes = "nothing: the codes are those of its operand";
      return set(0, std::move(result));
    }

    const int axis = described.axis;
    const Value q = bend ? bent(described, levels, *bend, base)
                         : thresholds(described, levels, directions, base, top, node_->name);
    Traced result = coded(quantizer, base);
    result.q = q;
    result.layout = described.layout;
    result.axis = axis >= 0 ? axis : quantizer.axis;
    if (axis >= 0) {
      result.lo.resize(channels), result.hi.resize(channels);
      for (int64_t c = 0; c < channels; ++c)
        result.lo[c] = least[c] - base, result.hi[c] = most[c] - base;
    } else {
      result.lo = {least[0] - base}, result.hi = {most[0] - base};
    }
    set(0, std::move(result));
  }

  // Where levels change their direction, once in each channel: a valley where they fall before it
  // and rise behind it, else a peak.
  struct Bend {
    bool valley;
    std::vector<int64_t> at;
  };

  // Channels that have no direction are tried out. Nothing where they don't bend once, and alike.
  static std::optional<Bend> bend_of(const Traced& traced, const std::vector<int>& directions,
                                     const Levels& levels) {
    Bend valley{true, {}}, peak{false, {}};
    bool valleys = true, peaks = true;
    for (int64_t c = 0; c < std::ssize(directions); ++c) {
      const int64_t lo = entry(traced.lo, c), hi = entry(traced.hi, c);
      if (directions[c] != 0) {
        valley.at.push_back(directions[c] > 0 ? lo : hi);
        peak.at.push_back(directions[c] > 0 ? hi : lo);
        continue;
      }
      std::vector<int64_t> all;
      for (int64_t q = lo; q <= hi; ++q) all.push_back(levels(q, c));
      const auto [least, most] = std::ranges::minmax_element(all);
      const std::ranges::greater falls;
      valleys =
          valleys && std::is_sorted(all.begin(), least, falls) && std::is_sorted(least, all.end());
      peaks = peaks && std::is_sorted(all.begin(), most) && std::is_sorted(most, all.end(), falls);
      valley.at.push_back(lo + (least - all.begin()));
      peak.at.push_back(lo + (most - all.begin()));
    }
    if (valleys) return valley;
    if (peaks) return peak;
    return std::nullopt;
  }

  // Levels from `base` on that bend: those before it and those behind it, each constant beyond it,
  // are thresholds; the greater of both is the level in a valley, the lesser on a peak.
  Value bent(Traced& described, const Levels& levels, const Bend& bend, int64_t base) {
    std::vector<Value> pieces;
    for (const bool behind : {false, true}) {
      const Levels piece = [&](int64_t q, int64_t c) {
        return levels(behind ? std::max(q, bend.at[c]) : std::min(q, bend.at[c]), c);
      };
      int64_t top = base + 1;
      for (int64_t c = 0; c < std::ssize(bend.at); ++c) {
        top = std::max({top, piece(entry(described.lo, c), c), piece(entry(described.hi, c), c)});
      }
      const std::vector<int> directions(bend.at.size(), behind == bend.valley ? 1 : -1);
      pieces.push_back(thresholds(described, piece, directions, base, top,
                                  node_->name + (behind ? "_behind" : "_before")));
    }
    return {&target().add(require_op("eltwise"), std::move(pieces), node_->name,
                          {{"function", std::string(bend.valley ? "max" : "min")}}),
            0};
  }

  // Levels from `base` to `top` that go one way in each channel, as thresholds. Brings q to where
  // their channels are wanted.
  Value thresholds(Traced& described, const Levels& levels, const std::vector<int>& directions,
                   int64_t base, int64_t top, const std::string& name) {
    const int64_t channels = described.channels(), count = top - base;
    std::vector<int64_t> rows(channels * count), flips(channels);
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t lo = entry(described.lo, c), hi = entry(described.hi, c);
      flips[c] = directions[c] < 0;
      for (int64_t i = 0; i < count; ++i) {
        // Rising: the i-th threshold is where level base + 1 + i begins. Falling: counted from the
        // top, where it ends.
        const int64_t v = directions[c] > 0 ? base + 1 + i : top - i;
        rows[c * count + i] = first_true(lo, hi, [&](int64_t q) {
          return directions[c] > 0 ? levels(q, c) >= v : levels(q, c) < v;
        });
      }
    }
    std::map<std::string, Attr, std::less<>> attr;
    int dimension = settled_dimension(described);
    std::map<std::string, Tensor, std::less<>> data;
    const auto row = [&](int64_t c) { return rows.begin() + c * count; };
    bool uniform = true;
    for (int64_t c = 1; c < channels && uniform; ++c) {
      uniform = flips[c] == flips[0] && std::equal(row(0), row(1), row(c));
    }
    const int last = static_cast<int>(described.q.type().shape.size()) - 1;
    if (!uniform && dimension != last) dimension = channels_moved_last(described);
    if (!uniform && dimension != last) attr["axis"] = int64_t{dimension};
    const int64_t different = uniform ? 1 : channels;
    rows.resize(different * count);
    flips.resize(different);
    data["t"] = make_ints(Shape{different, count}, std::move(rows));
    if (std::any_of(flips.begin(), flips.end(), [](int64_t flip) { return flip != 0; })) {
      data["flip"] = make_ints(Shape{different}, std::move(flips));
    }
    return {&target().add(require_op("threshold"), {described.q}, name, std::move(attr),
                          std::move(data)),
            0};
  }

  // The dimension of q along which the vectors of `traced` vary, or -1; brings q into the value's
  // own order where no single dimension does.
  int settled_dimension(Traced& traced) {
    if (const auto dimension = dimension_of(traced, traced.axis)) return *dimension;
    traced.q = natural(traced);
    traced.layout = {};
    return traced.axis;
  }

  // Hardware has channels with constants of their own along the last dimension: brings them there
  // where q's dimensions are axes of the value. Gives where they are then.
  int channels_moved_last(Traced& traced) {
    std::optional<std::vector<int>> order = dimension_order(traced);
    if (!order) return settled_dimension(traced);
    order->erase(std::find(order->begin(), order->end(), traced.axis));
    order->push_back(traced.axis);
    traced.q = ordered(traced, *order);
    traced.layout = layout_of(traced.shape, *order);
    return static_cast<int>(order->size()) - 1;
  }

  // A quantizer in the middle that can't be integers still gives integers: on the host, from the
  // float value.
  void keep_quantizer(std::string reason, std::string remedy, const Quantizer& quantizer) {
    Traced result = coded(quantizer);
    result.q = quantizer.at_edge(target(), in_float(node_->in[0]), node_->name);
    finding_.becomes = "quantized on the host";
    finding_.reason = std::move(reason);
    finding_.remedy = std::move(remedy);
    set(0, std::move(result));
  }

  // +1 or -1 when the level never falls or never rises with q. Static where every step says so,
  // else by trying all points.
  static int direction(const Traced& traced, int64_t c, const Levels& levels) {
    int known = sign(entry(traced.scale, c));
    if (known == 0) known = 1;  // constant
    for (const Step& step : traced.steps) known *= step.direction(c);
    if (known != 0) return known;
    const int64_t lo = entry(traced.lo, c), hi = entry(traced.hi, c);
    if (hi - lo > kMostTried) return 0;
    bool rises = true, falls = true;
    int64_t before = levels(lo, c);
    for (int64_t q = lo + 1; q <= hi; ++q) {
      const int64_t now = levels(q, c);
      rises = rises && now >= before;
      falls = falls && now <= before;
      before = now;
    }
    return rises ? 1 : falls ? -1 : 0;
  }

  // True when the codes are those before plus one constant, at every point of every channel.
  static bool is_identity(const Traced& described, const Quantizer& quantizer) {
    const int64_t channels = std::max<int64_t>(described.channels(), 1);
    std::optional<int64_t> offset;
    int64_t points = 0;
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t lo = entry(described.lo, c), hi = entry(described.hi, c);
      points += hi - lo + 1;
      if (hi - lo > quantizer.hi - quantizer.lo || points > kMostTried) return false;
      for (int64_t q = lo; q <= hi; ++q) {
        const int64_t difference = quantizer.code(reference(described, q, c), c) - q;
        if (offset.value_or(difference) != difference) return false;
        offset = difference;
      }
    }
    return true;
  }

  // The value as the reference has it, for nodes that stay on the host.
  Value in_float(const Value& source) {
    if (const auto it = floats_.find(source); it != floats_.end()) return it->second;
    const Traced& traced = traced_.at(source);
    const Value value = traced.kept            ? traced.kept
                        : traced.is_constant() ? constant(source)
                                               : dequantized(source);
    floats_[source] = value;
    return value;
  }

  Value constant(const Value& source) {
    const Traced& traced = traced_.at(source);
    return {&target().add(require_op("constant"), {}, source.node->name, {},
                          {{"value", real_of(traced)}}),
            0};
  }

  Value dequantized(const Value& source) {
    Traced traced = traced_.at(source);
    std::map<std::string, Attr, std::less<>> attr;
    const int dimension = settled_dimension(traced);
    if (dimension >= 0) attr["axis"] = int64_t{dimension};
    const auto vector = [](const std::vector<double>& values) {
      return make_doubles({static_cast<int64_t>(values.size())}, values);
    };
    Node& real = target().add(require_op("dequantize"), {traced.q}, source.node->name + "_float",
                              std::move(attr),
                              {{"scale", vector(traced.scale)}, {"bias", vector(traced.bias)}});
    Value value{&real, 0};
    if (!traced.layout.natural()) {
      value = {&target().add(require_op("transpose"), {value}, source.node->name + "_order",
                             {{"perm", back(traced.layout)}}),
               0};
    }
    const auto in_place = [&](const Step& step) {
      return step.at == unviewed(traced.q) && step.layout == traced.layout;
    };
    if (!std::ranges::all_of(traced.steps, in_place)) {
      value = shaped(value, source.type().shape);
      for (const Step& step : traced.steps) value = applied(step, value, traced);
    } else {
      value = repeated(traced.steps, value);
    }
    value = shaped(value, source.type().shape);
    if (!source.type().is_float) {  // codes that the model itself has as integers
      value = {&target().add(require_op("cast"), {value}, source.node->name + "_integer",
                             {{"type", element_name(source.type())}}),
               0};
    }
    return value;
  }

  Value shaped(Value value, const Shape& shape) {
    if (value.type().shape == shape) return value;
    return {&target().add(require_op("reshape"), {value}, value.node->name + "_shaped",
                          {{"shape", shape}}),
            0};
  }

  // The steps' own operators on a float value.
  Value repeated(const std::vector<Step>& steps, Value value) {
    for (const Step& step : steps) {
      std::vector<Value> operands;
      for (size_t port = 0; port < step.source->in.size(); ++port) {
        const Value& operand = step.source->in[port];
        if (traced_.at(operand).is_constant()) {
          operands.push_back(in_float(operand));
          continue;
        }
        Value own = step.branches.empty() ? value : repeated(step.branches[port], value);
        // A reshape may lie before a step, whose constants belong to its own shape.
        const Shape& shape = operand.type().shape;
        if (element_count(shape) == own.type().count()) own = shaped(own, shape);
        operands.push_back(as_element(own, operand.type()));
      }
      value = {&target().add(*step.source->op, std::move(operands), step.source->name,
                             step.source->attr, step.source->data),
               0};
    }
    return value;
  }

  // A float value that holds integers, where a step is one on integers.
  Value as_element(Value value, const Type& wanted) {
    if (wanted.is_float || !value.type().is_float) return value;
    return {&target().add(require_op("cast"), {value}, value.node->name + "_integer",
                          {{"type", element_name(wanted)}}),
            0};
  }

  // A step's own operator on a float value of the traced shape, whose elements no longer lie as
  // they did when it was a step: channels are brought to where its constants have them, and back.
  Value applied(const Step& step, Value value, const Traced& traced) {
    const Shape now = value.type().shape;
    const int axis = step.axis >= 0 ? traced.axis : -1;
    int64_t before = 1, channels = 1, behind = 1;
    for (int d = 0; d < static_cast<int>(now.size()); ++d) {
      (d < axis || axis < 0 ? before : d == axis ? channels : behind) *= now[d];
    }
    const auto rank = static_cast<int>(step.source->out[0].shape.size());
    // Where the operator has its channels, or would have the one that all elements are.
    const int at = std::max(step.axis >= 0 ? step.axis : std::min(1, rank - 1), 0);
    Shape shape(static_cast<size_t>(std::max(rank, 1)), 1);
    shape[at] = channels;
    const Shape three{before, channels, behind};
    const std::vector<int64_t> natural_axes{0, 1, 2};
    std::vector<int64_t> perm = natural_axes;  // of `three`
    if (at + 1 < rank) {
      shape[at + 1] = behind;
    } else if (behind > 1) {
      perm = {0, 2, 1};
      before *= behind;
    }
    if (at > 0) {
      shape[at - 1] = before;
    } else if (before > 1 && at + 1 < rank) {
      perm = {1, 0, 2};
      shape[at + 1] *= before;
    } else if (before > 1) {
      shape.insert(shape.begin(), before);
    }
    const auto turned = [&](Value of) {  // undoes itself
      return Value{
          &target().add(require_op("transpose"), {of}, of.node->name + "_order", {{"perm", perm}}),
          0};
    };
    const bool turns = perm != natural_axes;
    if (turns) value = turned(shaped(value, three));
    value = shaped(value, shape);

    std::vector<Value> operands;
    for (size_t port = 0; port < step.source->in.size(); ++port) {
      const Value& operand = step.source->in[port];
      const Traced& described = traced_.at(operand);
      if (described.is_constant()) {
        operands.push_back(
            {&target().add(require_op("constant"), {}, operand.node->name, {},
                           {{"value", for_channels(real_of(described), step, channels)}}),
             0});
        continue;
      }
      Value own = value;
      if (!step.branches.empty()) {
        // The branches begin with what the value was before all of them.
        own = shaped(value, now);
        for (const Step& inner : step.branches[port]) own = applied(inner, own, traced);
        own = shaped(own, shape);
      }
      operands.push_back(as_element(own, operand.type()));
    }
    auto data = step.source->data;
    for (auto& [name, tensor] : data) tensor = for_channels(tensor, step, channels);
    value = {&target().add(*step.source->op, std::move(operands), step.source->name,
                           step.source->attr, std::move(data)),
             0};
    if (turns) value = turned(shaped(value, permuted_shape(three, perm)));
    return shaped(value, now);
  }

  // A step's constant with an entry for each of the channels there are now.
  static Tensor for_channels(const Tensor& constant, const Step& step, int64_t channels) {
    const auto along = std::ranges::find_if(constant.type.shape, [](int64_t n) { return n != 1; });
    if (along == constant.type.shape.end()) return constant;
    Tensor moved = constant;
    auto& size = moved.type.shape[along - constant.type.shape.begin()];
    const auto pick = [&](auto& values, const auto& from) {
      values.clear();
      for (int64_t c = 0; c < channels; ++c) {
        values.push_back(from.at(static_cast<size_t>(step.origin ? step.origin(c) : c)));
      }
    };
    if (step.axis < 0) {  // the same everywhere: one entry does
      moved.type.shape.assign(moved.type.shape.size(), 1);
      if (moved.type.is_float)
        moved.reals = {constant.reals.at(0)};
      else
        moved.ints = {constant.ints.at(0)};
      return moved;
    }
    size = channels;
    if (moved.type.is_float)
      pick(moved.reals, constant.reals);
    else
      pick(moved.ints, constant.ints);
    return moved;
  }

  std::string describe_new_nodes() {
    std::string text;
    for (size_t i = nodes_before_; i < target().nodes.size(); ++i) {
      const Node& node = target().nodes[i];
      if (node.op->kind != Op::Kind::hardware) continue;
      text +=
          fmt::format("{}{} {}", text.empty() ? "" : ", ", node.op->name, to_string(node.out[0]));
    }
    return text.empty() ? "a view of its operand" : text;
  }

  const Graph& source_;
  const StreamlineOptions& options_;
  Streamlined result_;
  const Node* node_ = nullptr;
  size_t nodes_before_ = 0;
  Finding finding_;
  std::map<Value, Traced> traced_;
  std::map<Value, Value> floats_;
  std::map<std::pair<Value, std::vector<int64_t>>, Value> moved_;
};

bool run(Graph& graph) {
  const bool has_source = std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    return node.op->kind == Op::Kind::source;
  });
  if (!has_source) return false;
  graph = streamline(graph, {}).graph;
  return true;
}

}  // namespace

Streamlined streamline(const Graph& source, const StreamlineOptions& options) {
  Streamlined result = Streamliner(source, options).run();
  verify(result.graph);
  return result;
}

extern const Pass pass_streamline;
const Pass pass_streamline{
    "streamline", "describe every value as integers and turn quantizers into thresholds", run};

}  // namespace foldstream
