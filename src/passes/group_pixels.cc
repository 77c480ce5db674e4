// SPDX-License-Identifier: Apache-2.0
#include "src/passes/group_pixels.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "src/ir/folding.h"
#include "src/ir/op.h"
#include "src/ir/pass.h"
#include "src/util/error.h"
#include "src/util/floor_div.h"
#include "src/window/geometry.h"

namespace foldstream {
namespace {

using Attributes = std::map<std::string, Attr, std::less<>>;
using Data = std::map<std::string, Tensor, std::less<>>;
using window::Axis;
using window::Geometry;

constexpr int64_t kMostWeights = int64_t{1} << 24;  // of a rewritten layer, zeros included

bool is(const Node& node, const char* op) { return node.op == &require_op(op); }

// The fewest steps that a node has in any folding: one attribute after the other at its best.
int64_t least_steps(const Node& node, Family family) {
  Node folded = node;
  const std::vector<Fold> folds = node.op->folds ? node.op->folds(node) : std::vector<Fold>{};
  for (const Fold& fold : folds) folded.attr[fold.attr] = fold.legal.front();
  int64_t least = node.op->rhythm(folded, family).steps();
  for (const Fold& fold : folds) {
    int64_t best = fold.legal.front();
    for (const int64_t value : fold.legal) {
      folded.attr[fold.attr] = value;
      const int64_t steps = node.op->rhythm(folded, family).steps();
      if (steps < least) least = steps, best = value;
    }
    folded.attr[fold.attr] = best;
  }
  return least;
}

Shape grouped(Shape shape, int64_t pixels) {
  shape[shape.size() - 2] /= pixels;
  shape.back() *= pixels;
  return shape;
}

// So many copies one after the other along the first axis, or of the elements of each row.
Tensor repeated(const Tensor& tensor, int64_t copies, size_t axis = 0) {
  Shape shape = tensor.type.shape;
  const int64_t row =
      element_count({shape.begin() + static_cast<std::ptrdiff_t>(axis), shape.end()});
  shape[axis] *= copies;
  std::vector<int64_t> values;
  values.reserve(element_count(shape));
  for (int64_t first = 0; first < tensor.count(); first += row) {
    for (int64_t copy = 0; copy < copies; ++copy) {
      values.insert(values.end(), tensor.ints.begin() + first, tensor.ints.begin() + first + row);
    }
  }
  return make_ints(integer_type(tensor.type.bits, tensor.type.is_signed, shape), std::move(values));
}

// The graph made anew, node by node.
class Rewriter {
 public:
  explicit Rewriter(const Graph& before) {
    after_.name = before.name;
    for (const Node& node : before.nodes) {
      names_.insert(node.name);
      for (const Value& value : node.in) ++uses_[value];
    }
    for (const Output& output : before.outputs) ++uses_[output.value];
  }

  Graph& after() { return after_; }
  int64_t uses(const Value& value) const { return uses_.at(value); }  // in the old graph
  Value now(Value value) const { return now_.at(value); }
  void set(const Value& old, Value value) { now_[old] = value; }

  void copy(const Node& node) {
    std::vector<Value> in;
    for (const Value& value : node.in) in.push_back(now(value));
    Node& twin = after_.add(*node.op, std::move(in), node.name, node.attr, node.data);
    for (size_t port = 0; port < node.out.size(); ++port) {
      const auto at = static_cast<int>(port);
      set({const_cast<Node*>(&node), at}, {&twin, at});
    }
  }

  // The value under another shape; of views in a row only the last stays.
  Value view(Value value, const Shape& shape, const std::string& name) {
    while (is(*value.node, "reshape")) value = value.node->in[0];
    if (value.type().shape == shape) return value;
    return {&after_.add(require_op("reshape"), {value}, fresh(name), {{"shape", shape}}), 0};
  }

  std::string fresh(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 1; !names_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

 private:
  Graph after_;
  std::map<Value, Value> now_;
  std::map<Value, int64_t> uses_;
  std::set<std::string> names_;
};

// A node that can be rewritten.
class Layer {
 public:
  virtual ~Layer() = default;
  // Steps a frame that it takes now at the least.
  virtual int64_t steps(Family family) const = 0;
  // What there is to choose from, the fewest pixels first.
  virtual std::vector<PixelGroups> choices() const = 0;
  // The steps with these pixels; nothing where it can't have them.
  virtual std::optional<int64_t> steps(const PixelGroups& groups, Family family) const = 0;
  // The rewritten node: its result has the shape of the old one's in groups.
  virtual Value build(Rewriter& to, const PixelGroups& groups) const = 0;
};

// Rows times a vector of what lies under a window: an mvau behind a sliding window, one over the
// pixels themselves, or a vvau. In groups it is an mvau over a window of whole groups; a tap that
// isn't an output pixel's has a weight of zero there.
class Convolution final : public Layer {
 public:
  static std::unique_ptr<Layer> find(const Node& node) {
    if (node.attr.contains("memory") || node.in[0].type().shape.size() < 3) return nullptr;
    if (is(node, "vvau")) return std::unique_ptr<Layer>(new Convolution(node, node));
    if (!is(node, "mvau")) return nullptr;
    if (is(*node.in[0].node, "sliding_window")) {
      return std::unique_ptr<Layer>(new Convolution(node, *node.in[0].node));
    }
    Node pixel;
    pixel.in = node.in;
    const size_t axes = node.in[0].type().shape.size() == 3 ? 1 : 2;
    if (node.in[0].type().shape.size() > 4) return nullptr;
    pixel.attr["kernel"] = std::vector<int64_t>(axes, 1);
    return std::unique_ptr<Layer>(new Convolution(node, pixel));
  }

  int64_t steps(Family family) const override {
    const Node& before = *unit_.in[0].node;
    const int64_t steps = least_steps(unit_, family);
    return is(before, "sliding_window") ? std::max(steps, least_steps(before, family)) : steps;
  }

  std::vector<PixelGroups> choices() const override {
    std::vector<PixelGroups> choices;
    const int64_t width = g_.columns.windows();
    for (const int64_t out : divisors(width)) {
      for (const int64_t in : divisors(g_.columns.size)) {
        if (out == width || out * g_.columns.stride % in == 0) choices.push_back({in, out});
      }
    }
    return choices;
  }

  std::optional<int64_t> steps(const PixelGroups& groups, Family family) const override {
    const auto plan = planned(groups);
    if (!plan) return std::nullopt;
    const int64_t vectors = g_.images * g_.rows.windows() * g_.columns.windows() / groups.out;
    if (plan->is_plain) return vectors;
    Graph alone;
    Type type = in_.type();
    type.shape = grouped(type.shape, groups.in);
    Node& input = alone.add(require_op("input"), {}, "in",
                            {{"type", element_name(type)}, {"shape", type.shape}});
    const Node& window =
        alone.add(require_op("sliding_window"), {{&input, 0}}, "window", attributes(*plan));
    return std::max(vectors, least_steps(window, family));
  }

  Value build(Rewriter& to, const PixelGroups& groups) const override {
    const Plan plan = *planned(groups);
    Value value = to.view(to.now(in_), grouped(in_.type().shape, groups.in), unit_.name + "_view");
    if (!plan.is_plain) {
      // A window of its own goes, and leaves its name.
      const Value before = unit_.in[0];
      std::string name = is(*before.node, "sliding_window") && to.uses(before) == 1
                             ? before.node->name
                             : to.fresh(unit_.name + "_window");
      value = {
          &to.after().add(require_op("sliding_window"), {value}, std::move(name), attributes(plan)),
          0};
    }
    Attributes attributes{{"pixels", std::vector<int64_t>{groups.in, groups.out}}};
    for (const char* kept : {"range", "shift"}) {
      if (unit_.attr.contains(kept)) attributes[kept] = unit_.attr.at(kept);
    }
    Data data{{"w", weights(plan, groups)}};
    for (const char* constant : {"t", "flip", "multiplier", "addend"}) {
      const Tensor* tensor = unit_.tensor(constant);
      if (tensor == nullptr) continue;
      data[constant] = tensor->type.shape[0] == 1 ? *tensor : repeated(*tensor, groups.out);
    }
    Node node{&require_op("mvau"), {value}, attributes, data, {}, unit_.name};
    infer_node(node);
    const Type &found = node.out[0], &wanted = unit_.out[0];
    if (found.bits != wanted.bits || found.is_signed != wanted.is_signed) {
      // Without the taps in the padding the weights may allow less.
      attributes["range"] = std::vector<int64_t>{wanted.min(), wanted.max()};
    }
    return {&to.after().add(*node.op, {value}, unit_.name, attributes, data), 0};
  }

 private:
  // Of windows over groups.
  struct Plan {
    Axis rows, columns;
    int64_t first = 0;      // group of the first window, from the frame's first
    bool is_plain = false;  // each window is one group: none is needed
  };

  Convolution(const Node& unit, const Node& window)
      : unit_(unit),
        in_(window.in[0]),
        g_(window),
        w_(*unit.tensor("w")),
        depthwise_(is(unit, "vvau")),
        window_groups_(window.integer("groups", 1)),
        unit_groups_(depthwise_ ? 1 : unit.integer("groups", 1)),
        rows_(w_.type.shape[0]) {}

  std::optional<Plan> planned(const PixelGroups& groups) const {
    const Axis& from = g_.columns;
    const int64_t windows = from.windows();
    if (groups.in < 1 || groups.out < 1 || from.size % groups.in != 0 ||
        windows % groups.out != 0) {
      return std::nullopt;
    }
    const int64_t size = from.size / groups.in, count = windows / groups.out;
    const int64_t moves = groups.out * from.stride;
    if (count > 1 && moves % groups.in != 0) return std::nullopt;
    int64_t first = floor_div(from.position(0, 0), groups.in);
    int64_t last = floor_div(from.position(groups.out - 1, from.kernel - 1), groups.in);
    if (count == 1 && g_.pad_value == 0) {  // what lies in the padding adds nothing
      first = std::max<int64_t>(first, 0);
      last = std::min(last, size - 1);
    }
    Plan plan;
    plan.first = first;
    plan.rows = g_.rows;
    plan.rows.kernel = g_.rows.reach(), plan.rows.dilation = 1;
    plan.columns = {.size = size, .kernel = last - first + 1};
    plan.columns.stride = count > 1 ? moves / groups.in : 1;
    plan.columns.before = -first;
    const int64_t end = first + (count - 1) * plan.columns.stride + plan.columns.kernel;
    plan.columns.after = std::max<int64_t>(0, end - size);
    if (const int64_t unused = size - end; unused >= plan.columns.stride) {
      if (count > 1) return std::nullopt;
      plan.columns.stride = unused + 1;
    }
    if (plan.columns.windows() != count) return std::nullopt;
    const auto weights = checked_element_count(
        {groups.out * rows_, plan.rows.kernel * plan.columns.kernel, groups.in * g_.channels});
    if (!weights || *weights > kMostWeights) return std::nullopt;
    plan.is_plain = plan.rows.kernel == 1 && plan.columns.kernel == 1 && !plan.rows.padded() &&
                    !plan.columns.padded() && plan.rows.stride == 1 &&
                    plan.columns.windows() == size;
    return plan;
  }

  Attributes attributes(const Plan& plan) const {
    const auto axes = [&](int64_t rows, int64_t columns) {
      return g_.one_axis ? std::vector<int64_t>{columns} : std::vector<int64_t>{rows, columns};
    };
    Attributes attr{{"kernel", axes(plan.rows.kernel, plan.columns.kernel)},
                    {"stride", axes(plan.rows.stride, plan.columns.stride)}};
    std::vector<int64_t> pad = axes(plan.rows.before, plan.columns.before);
    const std::vector<int64_t> after = axes(plan.rows.after, plan.columns.after);
    pad.insert(pad.end(), after.begin(), after.end());
    attr["pad"] = pad;
    if (g_.pad_value != 0) attr["pad_value"] = g_.pad_value;
    return attr;
  }

  // Of an output row for a tap and a channel, as the layer has it.
  int64_t weight(int64_t row, int64_t tap, int64_t channel) const {
    if (depthwise_) return channel == row ? w_.ints[row * g_.taps() + tap] : 0;
    const int64_t width = g_.channels / window_groups_, columns = w_.type.shape[1];
    const int64_t at = (channel / width * g_.taps() + tap) * width + channel % width;
    if (at / columns != row / (rows_ / unit_groups_)) return 0;
    return w_.ints[row * columns + at % columns];
  }

  Tensor weights(const Plan& plan, const PixelGroups& groups) const {
    const int64_t position = groups.in * g_.channels;
    const int64_t columns = plan.rows.kernel * plan.columns.kernel * position;
    std::vector<int64_t> w(groups.out * rows_ * columns);
    for (int64_t pixel = 0; pixel < groups.out; ++pixel) {
      for (int64_t kw = 0; kw < g_.columns.kernel; ++kw) {
        const int64_t from = g_.columns.position(pixel, kw);
        const int64_t group = floor_div(from, groups.in) - plan.first;
        if (group < 0 || group >= plan.columns.kernel) continue;
        const int64_t inside = from - floor_div(from, groups.in) * groups.in;
        for (int64_t kh = 0; kh < g_.rows.kernel; ++kh) {
          const int64_t tap = kh * g_.columns.kernel + kw;
          const int64_t at = (kh * g_.rows.dilation * plan.columns.kernel + group) * position +
                             inside * g_.channels;
          for (int64_t row = 0; row < rows_; ++row) {
            int64_t* to = w.data() + (pixel * rows_ + row) * columns + at;
            for (int64_t c = 0; c < g_.channels; ++c) to[c] = weight(row, tap, c);
          }
        }
      }
    }
    return make_ints(Shape{groups.out * rows_, columns}, std::move(w));
  }

  const Node& unit_;
  const Value in_;
  const Geometry g_;
  const Tensor& w_;
  const bool depthwise_;
  const int64_t window_groups_, unit_groups_, rows_;
};

// Each element from the same element of its operands: in groups with its constants repeated.
class Pointwise final : public Layer {
 public:
  static std::unique_ptr<Layer> find(const Node& node) {
    const bool joins = is(node, "eltwise");
    const bool known =
        joins || is(node, "threshold") || is(node, "add_constant") || is(node, "multiply_constant");
    if (!known || node.attr.contains("axis") || node.attr.contains("memory") ||
        node.out[0].shape.size() < 3) {
      return nullptr;
    }
    return std::unique_ptr<Layer>(new Pointwise(node, joins ? 1 : 0));
  }

  int64_t steps(Family family) const override { return least_steps(node_, family); }

  std::vector<PixelGroups> choices() const override {
    std::vector<PixelGroups> choices;
    for (const int64_t pixels : divisors(width())) choices.push_back({pixels, pixels});
    return choices;
  }

  std::optional<int64_t> steps(const PixelGroups& groups, Family) const override {
    if (groups.in != groups.out || groups.in < 1 || width() % groups.in != 0) return std::nullopt;
    return node_.out[0].count() / node_.out[0].shape.back() / groups.out;
  }

  Value build(Rewriter& to, const PixelGroups& groups) const override {
    const Shape shape = grouped(node_.out[0].shape, groups.in);
    std::vector<Value> in;
    for (const Value& value : node_.in) {
      in.push_back(to.view(to.now(value), shape, node_.name + "_view"));
    }
    Attributes attributes = node_.attr;
    attributes["pixels"] = std::vector<int64_t>{groups.in, groups.out};
    Data data = node_.data;
    for (auto& [key, tensor] : data) {
      // A single one is that of every channel; of factors it is known by having no such axis.
      if (tensor.type.shape.size() > channel_axis_ &&
          (channel_axis_ > 0 || tensor.type.shape[channel_axis_] > 1)) {
        tensor = repeated(tensor, groups.out, channel_axis_);
      }
    }
    return {&to.after().add(*node_.op, std::move(in), node_.name, std::move(attributes),
                            std::move(data)),
            0};
  }

 private:
  Pointwise(const Node& node, size_t channel_axis) : node_(node), channel_axis_(channel_axis) {}

  int64_t width() const { return node_.out[0].shape[node_.out[0].shape.size() - 2]; }

  const Node& node_;
  const size_t channel_axis_;  // of its constants
};

// A pool whose windows and their distances along a row are whole groups: first each group becomes
// one, then the pool goes on with those, a row's several at a time where it has nothing more to do
// along it.
class Pool final : public Layer {
 public:
  static std::unique_ptr<Layer> find(const Node& node) {
    if (!is(node, "pool")) return nullptr;
    std::unique_ptr<Pool> pool(new Pool(node));
    return pool->g_.columns.padded() ? nullptr : std::move(pool);
  }

  int64_t steps(Family family) const override { return least_steps(node_, family); }

  std::vector<PixelGroups> choices() const override {
    std::vector<PixelGroups> choices;
    for (const int64_t out : divisors(g_.columns.windows())) {
      for (const int64_t in : divisors(g_.columns.size)) {
        if (plan({in, out})) choices.push_back({in, out});
      }
    }
    return choices;
  }

  std::optional<int64_t> steps(const PixelGroups& groups, Family family) const override {
    if (!plan(groups)) return std::nullopt;
    Graph before;
    before.name = "alone";
    Node& input = before.add(require_op("input"), {}, "in",
                             {{"type", element_name(in_.type())}, {"shape", in_.type().shape}});
    Rewriter alone(before);
    alone.copy(input);
    Pool pool(node_);
    pool.in_ = {&input, 0};
    const Value result = pool.build(alone, groups);
    if (element_name(result.type()) != element_name(node_.out[0])) return std::nullopt;
    int64_t most = 0;
    for (const Node& node : alone.after().nodes) {
      if (node.op->kind == Op::Kind::hardware) most = std::max(most, least_steps(node, family));
    }
    return most;
  }

  Value build(Rewriter& to, const PixelGroups& groups) const override {
    const Plan made = *plan(groups);
    Value value = to.view(to.now(in_), grouped(in_.type().shape, groups.in), node_.name + "_view");
    const std::vector<int64_t> pixels{groups.in, groups.out};
    Attributes attr{{"function", node_.text("function", "max")}};
    if (made.merged > 1) {
      Attributes merge = attr;
      merge["kernel"] = made.merged, merge["channels"] = g_.channels;
      if (made.is_done) merge["pixels"] = pixels;
      value = {&to.after().add(require_op("pool_pixels"), {value},
                               made.is_done ? node_.name : to.fresh(node_.name + "_pixels"),
                               std::move(merge)),
               0};
      if (made.is_done) return value;
    }
    const auto axes = [&](int64_t rows, int64_t columns) {
      return g_.one_axis ? std::vector<int64_t>{columns} : std::vector<int64_t>{rows, columns};
    };
    attr["kernel"] = axes(g_.rows.kernel, g_.columns.kernel / made.merged);
    attr["stride"] = axes(g_.rows.stride, made.stride);
    if (g_.rows.padded()) attr["pad"] = std::vector<int64_t>{g_.rows.before, 0, g_.rows.after, 0};
    if (node_.attr.contains("pad_value")) {
      attr["pad_value"] = g_.pad_value * (node_.text("function", "max") == "sum" ? made.merged : 1);
    }
    attr["pixels"] = pixels;
    return {&to.after().add(require_op("pool"), {value}, node_.name, std::move(attr)), 0};
  }

 private:
  struct Plan {
    int64_t merged = 1;  // pixels that become one
    int64_t stride = 1;  // along a row behind that
    bool is_done = false;
  };

  explicit Pool(const Node& node) : node_(node), in_(node.in[0]), g_(node) {}

  std::optional<Plan> plan(const PixelGroups& groups) const {
    const Axis& columns = g_.columns;
    if (groups.in < 1 || groups.out < 1 || columns.size % groups.in != 0 ||
        columns.windows() % groups.out != 0) {
      return std::nullopt;
    }
    Plan plan;
    if (groups.out > 1) {
      // Nothing is left to do along the row when pixels have become one.
      if (columns.kernel != columns.stride || columns.windows() * columns.stride != columns.size ||
          groups.in != groups.out * columns.kernel) {
        return std::nullopt;
      }
      plan.merged = columns.kernel;
    } else {
      const bool one = columns.windows() == 1;
      if (columns.kernel % groups.in != 0 || (!one && columns.stride % groups.in != 0)) {
        return std::nullopt;
      }
      plan.merged = groups.in;
      plan.stride = one ? 1 : columns.stride / groups.in;
      if (one && columns.kernel != columns.size) return std::nullopt;
    }
    plan.is_done = plan.merged == columns.kernel && g_.rows.kernel == 1 && g_.rows.stride == 1 &&
                   !g_.rows.padded() && columns.windows() * plan.merged == columns.size;
    return plan;
  }

  const Node& node_;
  Value in_;
  const Geometry g_;
};

std::unique_ptr<Layer> find_layer(const Node& node) {
  if (node.op->kind != Op::Kind::hardware || node.attr.contains("pixels")) return nullptr;
  for (const auto find : {Convolution::find, Pointwise::find, Pool::find}) {
    if (std::unique_ptr<Layer> layer = find(node)) return layer;
  }
  return nullptr;
}

// Rewrites the nodes for which `choose` gives a number of pixels.
bool rewrite(Graph& core,
             const std::function<std::optional<PixelGroups>(const Node&, const Layer&)>& choose) {
  Rewriter to(core);
  bool changed = false;
  for (const Node& node : core.nodes) {
    const std::unique_ptr<Layer> layer = find_layer(node);
    const auto groups = layer ? choose(node, *layer) : std::nullopt;
    if (!groups) {
      to.copy(node);
      continue;
    }
    const Value result = layer->build(to, *groups);
    to.set({const_cast<Node*>(&node), 0}, to.view(result, node.out[0].shape, node.name + "_frame"));
    changed = true;
  }
  if (!changed) return false;
  for (const Output& output : core.outputs) {
    to.after().outputs.push_back({output.name, to.now(output.value)});
  }
  to.after().remove_dead();
  core = std::move(to.after());
  return true;
}

// To half of the cycles that the slowest node takes at the least.
bool run(Graph& graph) {
  int64_t most = 0;
  for (const Node& node : graph.nodes) {
    if (node.op->kind == Op::Kind::hardware) {
      most = std::max(most, least_steps(node, Family::generic));
    }
  }
  return group_pixels(graph, most / 2, Family::generic);
}

}  // namespace

bool group_pixels(Graph& core, int64_t cycles, Family family) {
  return rewrite(core, [&](const Node&, const Layer& layer) -> std::optional<PixelGroups> {
    int64_t least = layer.steps(family);
    std::optional<PixelGroups> best;
    if (least <= cycles) return best;
    for (const PixelGroups& groups : layer.choices()) {
      const auto steps = layer.steps(groups, family);
      if (!steps || *steps >= least) continue;
      least = *steps, best = groups;
      if (least <= cycles) break;
    }
    return best;
  });
}

void group_pixels(Graph& core, const std::string& name, const PixelGroups& groups) {
  const bool changed =
      rewrite(core, [&](const Node& node, const Layer& layer) -> std::optional<PixelGroups> {
        if (node.name != name) return std::nullopt;
        if (!layer.steps(groups, Family::generic)) {
          throw Error(fmt::format("{}: {} pixels a position in and {} out", describe(node),
                                  groups.in, groups.out),
                      "rows must divide into such groups, windows move by whole groups");
        }
        return groups;
      });
  if (!changed) {
    throw Error(fmt::format("no node '{}' that takes several pixels at once", name),
                "convolutions, pools without padding along rows and pointwise nodes can");
  }
}

extern const Pass pass_group_pixels;
const Pass pass_group_pixels{
    "group_pixels", "several pixels a position where layers keep a core above half of its cycles",
    run};

}  // namespace foldstream
