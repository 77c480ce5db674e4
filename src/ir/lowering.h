// SPDX-License-Identifier: Apache-2.0
// How a source operator takes part in streamlining. Every value of the source graph is described by
// what the float reference computes from an exact integer tensor q:
//
//   value[c] = steps( float32( scale[c] * q + bias[c] ) )      for every channel c along `axis`
//
// with the exact range of q in each channel. An operator's `lower` describes its results from those
// of its operands; an activation quantizer turns the whole description into integer thresholds
// found through the reference itself.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/ir/graph.h"

namespace foldstream {

// How the elements of q lie. The value's elements, in their order, seen as a tensor of shape
// `dims`; dimension d of q is dimension order[d] of that. Both empty: q has the value's own shape
// and order. A transposition changes nothing else, and a reshape keeps it: layouts cost hardware
// only where an operator needs another one.
struct Layout {
  Shape dims;
  std::vector<int> order;
  bool operator==(const Layout&) const = default;
  bool natural() const { return order.empty(); }
};

// One scalar operation of the reference on one operand, as float32 executes it.
struct Step {
  const Node* source = nullptr;  // repeated at the edge when the step can't be absorbed
  std::function<float(float x, int64_t channel)> apply;
  std::function<int(int64_t channel)>
      direction;  // +1 never falls, -1 never rises, 0 neither is known
  // y = mul * x + add over the reals; absent when the step isn't affine.
  std::function<std::pair<double, double>(int64_t channel)> affine;
  // Of a step that joins two functions of x, as x * sigmoid(x): the steps of each, by operand.
  std::vector<std::vector<Step>> branches;

  // For repeating it: the channel axis of its constants in the shape of its source, or -1; which of
  // the source's channels a channel is, where views have cut or spread them since; and what it was
  // a step on, where q may since have become another value or lie in another layout.
  int axis = -1;
  std::function<int64_t(int64_t channel)> origin;  // none: the same
  Value at;
  Layout layout;

  // What was channel `to_old(c)` is channel c from now on.
  void move_channels(const std::function<int64_t(int64_t channel)>& to_old);
};

// For each element in the value's order, its offset in q.
std::vector<int64_t> element_places(const Layout& layout);

// A described value. Exactly one of three forms:
//   integer:  `q` is a value of the target graph                (scale, bias, lo, hi, steps
//   describe it) constant: `codes` holds q itself, or `real` the float tensor when it isn't
//   quantized float:    `kept` is a float (or index) value of the target graph, computed at the
//   host's edge
struct Traced {
  Value q;
  std::optional<Tensor> codes;
  std::optional<Tensor> real;
  Value kept;

  Layout layout;  // of q
  int axis = -1;  // of the value's shape; -1: uniform, vectors below have one entry
  std::vector<double> scale{1.0}, bias{0.0};  // one entry, or one a channel
  std::vector<int64_t> lo{0}, hi{0};          // exact range of q
  std::vector<Step> steps;
  Shape shape;  // of the value

  bool is_integer() const { return static_cast<bool>(q); }
  bool is_constant() const { return codes.has_value() || real.has_value(); }
  int64_t channels() const { return axis < 0 ? 1 : shape.at(axis); }
};

// Of a vector with one entry for all channels, or one for each.
template <class T>
const T& entry(const std::vector<T>& values, int64_t channel) {
  return values.size() == 1 ? values[0] : values.at(channel);
}

std::vector<int> natural_order(size_t rank);  // 0, 1, 2 ...
// Which axis of the value each dimension of its q is, where they correspond one to one; else their
// natural order.
std::vector<int> present_order(const Traced& traced);
// Of a q whose dimensions are the axes of a value of that shape in that order.
Layout layout_of(const Shape& shape, const std::vector<int>& order);
// Keeps the entries begin, begin + 1 ... end - 1 of everything that varies along the axis.
void cut_vectors(Traced& traced, int64_t begin, int64_t end);

// An activation or weight quantizer: rising map from floats to codes lo..hi, and back:
// float32((code - zero) * scale).
struct Quantizer {
  int64_t lo = 0, hi = 0;
  int axis = -1;  // channel axis of the vectors below; -1: one entry
  std::vector<double> scale{1.0};
  std::vector<double> zero{0.0};
  std::function<int64_t(float x, int64_t channel)> code;
  // Adds the edge node that computes the codes of a float value on the host.
  std::function<Value(Graph& target, Value x, const std::string& name)> at_edge;
};

// What a model's node became, for `inspect`. `reason` and `remedy` are filled when it keeps float
// arithmetic.
struct Finding {
  std::string node, op, becomes, reason, remedy;
};

class Lowering {
 public:
  virtual ~Lowering() = default;

  virtual const Node& node() const = 0;  // the source node being lowered
  virtual Graph& target() = 0;
  virtual const Traced& in(size_t port) const = 0;

  // The operand as scale * q + bias with every step folded in over the reals, or nothing when a
  // step isn't affine or the operand has no integers.
  virtual std::optional<Traced> affine(size_t port) const = 0;
  // A constant operand as exact integers times a scale (bias 0; the zero point is folded into the
  // codes). Weights without a quantizer are recognised when one scale makes small integers of them.
  // Nothing when that fails.
  virtual std::optional<Traced> weights(size_t port) const = 0;
  // The entries of a constant along the channel axis it varies on, as used on a value of `shape`:
  // {axis, values}; axis -1 when it is uniform. Nothing when it varies along several axes.
  virtual std::optional<std::pair<int, std::vector<double>>> per_channel(
      const Tensor& constant, const Shape& shape) const = 0;

  // q of a described operand with its elements in this order of the value's axes, or in the value's
  // own: as it is where it lies so, else moved on the host or by hardware.
  virtual Value ordered(const Traced& traced, const std::vector<int>& order) = 0;
  virtual Value natural(const Traced& traced) = 0;

  // Results. Each op's lower calls one of these for every output.
  virtual void set(size_t port, Traced result) = 0;
  // result 0 = operand `port` with one more step; `axis` is the channel axis of the step's
  // constants or -1.
  virtual void step(size_t port, int axis, Step step) = 0;
  // result 0 = function(operand 0, operand 1) as one step, where both are steps on the same
  // integers and one of them isn't affine; false, and nothing set, where they aren't.
  virtual bool join(float (*function)(float a, float b)) = 0;
  // result 0 = operand 0 through a quantizer.
  virtual void quantize(Quantizer quantizer) = 0;
  // The node stays in float at the host's edge, for this reason.
  virtual void keep(std::string reason, std::string remedy) = 0;
};

}  // namespace foldstream
