// SPDX-License-Identifier: Apache-2.0
// The CPU twin: whole vectors of channels at a time, 64 of them in a word where they are bits.
#include "src/ir/kernel.h"

#include <algorithm>
#include <cstring>

#include "src/kernel/convert.h"
#include "src/ops/pool/pool.h"

namespace foldstream::pool {
namespace {

struct Larger {
  template <class T>
  T operator()(T a, T b) const {
    return std::max(a, b);
  }
};
struct Smaller {
  template <class T>
  T operator()(T a, T b) const {
    return std::min(a, b);
  }
};
struct Union {
  uint64_t operator()(uint64_t a, uint64_t b) const { return a | b; }
};
struct Intersection {
  uint64_t operator()(uint64_t a, uint64_t b) const { return a & b; }
};
// Pairs of words "is not the middle", "is the lowest"; the highest is neither.
template <bool kLargest>
struct OfTrits {
  static void combine(uint64_t* to, const uint64_t* from) {
    const uint64_t high[2] = {to[0] & ~to[1], from[0] & ~from[1]};
    const uint64_t highest = kLargest ? high[0] | high[1] : high[0] & high[1];
    to[1] = kLargest ? to[1] & from[1] : to[1] | from[1];
    to[0] = highest | to[1];
  }
};

// Calls visit(window, position) for every window and every position of the frame under it.
template <class Visit>
void for_each_position(const window::Geometry& g, const Visit& visit) {
  window::for_each_tap(
      g, [&](int64_t window, int64_t, int64_t offset) { visit(window, offset / g.channels); });
}

// The taps of every window as positions of the frame, one window after the other.
struct Windows {
  explicit Windows(const window::Geometry& g) {
    for_each_position(g, [&](int64_t window, int64_t position) {
      if (window == static_cast<int64_t>(begin.size())) {
        begin.push_back(static_cast<int64_t>(positions.size()));
      }
      positions.push_back(position);
    });
    begin.push_back(static_cast<int64_t>(positions.size()));
  }
  int64_t count() const { return static_cast<int64_t>(begin.size()) - 1; }

  std::vector<int64_t> begin, positions;
};

// One vector of `Element`s out of those of its window.
template <class Element, class Combine>
class Extreme final : public Kernel {
 public:
  Extreme(const window::Geometry& g, const Storage& in) : windows_(g), in_(in) {}

  void run(const KernelCall& call) const override {
    const int64_t stride = in_.stride();
    const int64_t count = stride / static_cast<int64_t>(sizeof(Element));
    std::byte* to = call.out[0];
    for (int64_t f = 0; f < call.frames; ++f) {
      const std::byte* frame = call.in[0] + f * in_.bytes();
      for (int64_t w = 0; w < windows_.count(); ++w, to += stride) {
        const int64_t *tap = windows_.positions.data() + windows_.begin[w],
                      *end = windows_.positions.data() + windows_.begin[w + 1];
        std::memcpy(to, frame + *tap * stride, static_cast<size_t>(stride));
        auto* result = reinterpret_cast<Element*>(to);
        for (++tap; tap != end; ++tap) {
          const auto* x = reinterpret_cast<const Element*>(frame + *tap * stride);
          if constexpr (requires { Combine::combine(result, x); }) {
            for (int64_t i = 0; i < count; i += 2) Combine::combine(result + i, x + i);
          } else {
            for (int64_t i = 0; i < count; ++i) result[i] = Combine()(result[i], x[i]);
          }
        }
      }
    }
  }

 private:
  Windows windows_;
  Storage in_;
};

// Sums in int32; a padded position adds the padding's value.
template <class In>
class Sum final : public Kernel {
 public:
  Sum(const window::Geometry& g, const Storage& in, const Storage& out)
      : windows_(g), taps_(g.taps()), pad_value_(g.pad_value), in_(in), out_(out) {}

  int64_t scratch_bytes(int64_t) const override { return 4 * in_.length; }

  void run(const KernelCall& call) const override {
    auto* sums = reinterpret_cast<int32_t*>(call.scratch);
    std::byte* to = call.out[0];
    for (int64_t f = 0; f < call.frames; ++f) {
      const std::byte* frame = call.in[0] + f * in_.bytes();
      for (int64_t w = 0; w < windows_.count(); ++w, to += out_.stride()) {
        const int64_t *tap = windows_.positions.data() + windows_.begin[w],
                      *end = windows_.positions.data() + windows_.begin[w + 1];
        const int64_t inside = end - tap;
        std::fill_n(sums, in_.length,
                    static_cast<int32_t>(inside * in_.base + (taps_ - inside) * pad_value_ -
                                         (out_.form == Form::bytes ? out_.base : 0)));
        for (; tap != end; ++tap) {
          const auto* x = reinterpret_cast<const In*>(frame + *tap * in_.stride());
          for (int64_t i = 0; i < in_.length; ++i) sums[i] += static_cast<int32_t>(x[i]);
        }
        if (out_.form == Form::bytes) {
          auto* bytes = reinterpret_cast<uint8_t*>(to);
          for (int64_t i = 0; i < in_.length; ++i) bytes[i] = static_cast<uint8_t>(sums[i]);
        } else {
          std::memcpy(to, sums, static_cast<size_t>(4 * in_.length));
        }
      }
    }
  }

 private:
  Windows windows_;
  int64_t taps_, pad_value_;
  Storage in_, out_;
};

std::vector<Range> ranges(const Node& node, std::span<const Range> in) {
  if (function(node) != Function::sum) return {in[0]};
  const window::Geometry g = geometry(node);
  const int64_t taps = g.taps();
  Range range{taps * in[0].lo, taps * in[0].hi};
  if (g.padded()) {
    range.lo = std::min(range.lo, taps * std::min(in[0].lo, g.pad_value));
    range.hi = std::max(range.hi, taps * std::max(in[0].hi, g.pad_value));
  }
  return {range};
}

Form wants(const Node& node, size_t, const Range& operand, Form result) {
  const Form dense = kernel::dense_form(operand);
  return function(node) == Function::sum || result >= dense ? dense : result;
}

template <class Element>
std::unique_ptr<Kernel> make_extreme(const window::Geometry& g, const Storage& in, bool largest) {
  if (largest) return std::make_unique<Extreme<Element, Larger>>(g, in);
  return std::make_unique<Extreme<Element, Smaller>>(g, in);
}

std::unique_ptr<Kernel> make(const KernelSite& site) {
  const Storage &in = site.in[0].storage, &out = site.out[0];
  const window::Geometry g = geometry(site.node);
  const Function which = function(site.node);
  if (which == Function::sum) {
    if (out.form != Form::bytes && out.form != Form::words) return nullptr;
    if (in.form == Form::bytes) return std::make_unique<Sum<uint8_t>>(g, in, out);
    if (in.form == Form::words) return std::make_unique<Sum<int32_t>>(g, in, out);
    return nullptr;
  }
  if (in.form != out.form || in.base != out.base) return nullptr;
  const bool largest = which == Function::max;
  switch (in.form) {
    case Form::bits:
      if (largest) return std::make_unique<Extreme<uint64_t, Union>>(g, in);
      return std::make_unique<Extreme<uint64_t, Intersection>>(g, in);
    case Form::trits:
      if (largest) return std::make_unique<Extreme<uint64_t, OfTrits<true>>>(g, in);
      return std::make_unique<Extreme<uint64_t, OfTrits<false>>>(g, in);
    case Form::bytes:
      return make_extreme<uint8_t>(g, in, largest);
    case Form::words:
      return make_extreme<int32_t>(g, in, largest);
    case Form::longs:
      return make_extreme<int64_t>(g, in, largest);
    case Form::floats:
      break;
  }
  return nullptr;
}

}  // namespace

const Kernels kernels{.ranges = ranges, .wants = wants, .make = make};

}  // namespace foldstream::pool
