// SPDX-License-Identifier: Apache-2.0
#include "src/source/moves.h"

#include <algorithm>

#include "src/ir/op.h"
#include "src/source/window_layers.h"

namespace foldstream {
namespace {

std::vector<int64_t> by_dimension(const std::vector<int64_t>& by_axis,
                                  const std::vector<int>& order, size_t first = 0) {
  std::vector<int64_t> result;
  for (const int axis : order) result.push_back(by_axis.at(first + axis));
  return result;
}

// Result 0: `traced`, whose stream went through a hardware operator.
void set_moved(Lowering& lowering, Traced traced, const std::vector<int>& order,
               std::string_view op, std::map<std::string, Attr, std::less<>> attr) {
  const Node& node = lowering.node();
  traced.q = {&lowering.target().add(require_op(op), {lowering.ordered(traced, order)}, node.name,
                                     std::move(attr)),
              0};
  traced.layout = layout_of(node.out[0].shape, order);
  lowering.set(0, std::move(traced));
}

bool is_stream(Lowering& lowering) {
  if (lowering.in(0).is_integer()) return true;
  lowering.keep("its operand is constant", "");
  return false;
}

}  // namespace

void lower_zero_pad(Lowering& lowering, const std::vector<int64_t>& pad) {
  std::optional<Traced> x = lowering.affine(0);
  if (!x || !x->is_integer()) {
    return lowering.keep("a step before it that is not affine is not followed by a quantizer",
                         "quantize the activation before it is padded");
  }
  if (std::all_of(pad.begin(), pad.end(), [](int64_t p) { return p == 0; })) {
    return lowering.set(0, lowering.in(0));
  }
  const size_t rank = x->shape.size();
  if (x->axis >= 0 && (pad[x->axis] != 0 || pad[rank + x->axis] != 0)) {
    return lowering.keep("it pads the axis along which scales vary",
                         "quantize with one scale before it is padded");
  }
  const std::optional<int64_t> zero = zero_code(lowering, *x);
  if (!zero) {
    return lowering.keep("zero is no integer of its operand",
                         "quantize the operand with a zero point that is an integer");
  }
  for (int64_t& lo : x->lo) lo = std::min(lo, *zero);
  for (int64_t& hi : x->hi) hi = std::max(hi, *zero);
  const std::vector<int> order = present_order(*x);
  std::vector<int64_t> pads = by_dimension(pad, order);
  const std::vector<int64_t> after = by_dimension(pad, order, rank);
  pads.insert(pads.end(), after.begin(), after.end());
  std::map<std::string, Attr, std::less<>> attr{{"pad", pads}};
  if (*zero != 0) attr["pad_value"] = *zero;
  set_moved(lowering, std::move(*x), order, "pad_stream", std::move(attr));
}

void lower_crop(Lowering& lowering, const std::vector<int64_t>& begin,
                const std::vector<int64_t>& end) {
  if (!is_stream(lowering)) return;
  Traced x = lowering.in(0);
  if (x.axis >= 0) cut_vectors(x, begin[x.axis], end[x.axis]);
  const std::vector<int> order = present_order(x);
  set_moved(lowering, std::move(x), order, "crop",
            {{"begin", by_dimension(begin, order)}, {"end", by_dimension(end, order)}});
}

void lower_upsample(Lowering& lowering, const std::vector<int64_t>& scale) {
  if (!is_stream(lowering)) return;
  Traced x = lowering.in(0);
  if (x.axis >= 0 && scale[x.axis] != 1) {
    return lowering.keep("it repeats channels that have scales of their own",
                         "quantize with one scale before it");
  }
  // Whole vectors are repeated: the last dimension is one that isn't.
  std::vector<int> order = present_order(x);
  const auto once = [&](int axis) { return scale[axis] == 1; };
  const auto last = std::find_if(order.rbegin(), order.rend(), once);
  if (last == order.rend()) return lowering.keep("it repeats elements along every axis", "");
  std::rotate(last.base() - 1, last.base(), order.end());
  set_moved(lowering, std::move(x), order, "upsample", {{"scale", by_dimension(scale, order)}});
}

void lower_rearrangement(Lowering& lowering, const Shape& split, const std::vector<int>& perm) {
  if (!is_stream(lowering)) return;
  Traced x = lowering.in(0);
  const Node& node = lowering.node();
  if (x.axis >= 0) {
    return lowering.keep("it takes channels apart that have scales of their own",
                         "quantize with one scale before it");
  }
  // The stream's dimensions, taken apart, and put in the order of the result: channels last again
  // where they are so now.
  const std::vector<int> order = present_order(x);
  const bool last = !std::is_sorted(order.begin(), order.end());
  const auto parts_of = [&](const Shape& shape, const Shape& parts) {
    std::vector<std::vector<int>> result(shape.size());
    size_t next = 0;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      for (int64_t size = 1; next < parts.size() && size < shape[axis]; ++next) {
        size *= parts[next];
        if (parts[next] > 1) result[axis].push_back(static_cast<int>(next));
      }
    }
    return result;
  };
  Shape joined;
  for (const int part : perm) joined.push_back(split[part]);
  const auto before = parts_of(x.shape, split), after = parts_of(node.out[0].shape, joined);
  Shape taken_apart;
  std::vector<int> dimension(split.size(), -1);  // of each part in the stream taken apart
  for (const int axis : order) {
    for (const int part : before[axis]) {
      dimension[part] = static_cast<int>(taken_apart.size());
      taken_apart.push_back(split[part]);
    }
  }
  const std::vector<int> result_order = last ? channels_last_order(node.out[0].shape.size())
                                             : natural_order(node.out[0].shape.size());
  Traced parts = x;
  parts.shape = taken_apart;
  parts.layout = {};
  parts.q = {&lowering.target().add(require_op("reshape"), {lowering.ordered(x, order)},
                                    node.name + "_parts", {{"shape", taken_apart}}),
             0};
  std::vector<int> moved;
  Shape shape;
  for (const int axis : result_order) {
    shape.push_back(node.out[0].shape[axis]);
    for (const int place : after[axis]) {
      if (dimension[perm[place]] >= 0) moved.push_back(dimension[perm[place]]);
    }
  }
  x.q = {&lowering.target().add(require_op("reshape"), {lowering.ordered(parts, moved)}, node.name,
                                {{"shape", shape}}),
         0};
  x.layout = last ? Layout{node.out[0].shape, result_order} : Layout{};
  lowering.set(0, std::move(x));
}

}  // namespace foldstream
