// SPDX-License-Identifier: Apache-2.0
// The CPU twin: codes by comparing with the least float of each, found through the quantizer
// itself.
#include <algorithm>

#include "src/kernel/codes.h"
#include "src/kernel/float_steps.h"
#include "src/ops/quantize/quantize.h"
#include "src/source/quantizer.h"

namespace foldstream::quantize {
namespace {

class Quantizer final : public Kernel {
 public:
  Quantizer(std::vector<kernel::FloatSteps> steps, int64_t run, const Storage& out)
      : steps_(std::move(steps)),
        run_(run),
        store_(out),
        codes_of_(kernel::float_steps_routine()) {}

  int64_t scratch_bytes(int64_t) const override { return store_.scratch_bytes(); }

  void run(const KernelCall& call) const override {
    const auto* x = reinterpret_cast<const float*>(call.in[0]);
    store_.each_run(call, [&](int64_t first, int64_t count, std::byte* to) {
      codes(x + first, count, first, reinterpret_cast<uint8_t*>(to));
    });
  }

 private:
  // `first`: of these elements in their frame, or in any before it.
  void codes(const float* x, int64_t count, int64_t first, uint8_t* to) const {
    if (steps_.size() == 1) return codes_of_.run(steps_[0], x, count, to);
    const auto channels = static_cast<int64_t>(steps_.size());
    for (int64_t i = 0; i < count;) {
      const int64_t some = std::min(run_ - (first + i) % run_, count - i);
      codes_of_.run(steps_[(first + i) / run_ % channels], x + i, some, to + i);
      i += some;
    }
  }

  std::vector<kernel::FloatSteps> steps_;  // one, or one a channel
  int64_t run_;                            // neighbours that share a channel
  kernel::CodeStore store_;
  kernel::FloatStepsRoutine codes_of_;
};

bool positive(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return value > 0; });
}

std::unique_ptr<Kernel> make(const KernelSite& site) {
  const Coding coding = coding_of(site.node);
  const Storage& out = site.out[0];
  if (site.in[0].constant != nullptr || out.form > Form::bytes || out.base != coding.lowest()) {
    return nullptr;
  }
  // Every stage rounds a monotone function, so the whole never steps down.
  if (!positive(coding.scale) || !positive(coding.divisor)) return nullptr;
  const Shape& shape = site.node.in_type(0).shape;
  const int64_t axis = site.node.integer("axis", -1);
  int64_t run = 1;
  for (size_t d = axis + 1; axis >= 0 && d < shape.size(); ++d) run *= shape[d];
  std::vector<kernel::FloatSteps> steps;
  for (int64_t c = 0; c < (axis < 0 ? 1 : shape[axis]); ++c) {
    auto found = kernel::find_float_steps(coding.highest() - coding.lowest(), [&](float x) {
      return coding.code(x, c) - coding.lowest();
    });
    if (!found) return nullptr;
    steps.push_back(std::move(*found));
  }
  return std::make_unique<Quantizer>(std::move(steps), run, out);
}

std::vector<Range> ranges(const Node& node, std::span<const Range>) {
  const Coding coding = coding_of(node);
  return {{coding.lowest(), coding.highest()}};
}

bool uniform(const Node& node) { return node.integer("axis", -1) < 0; }

}  // namespace

const Kernels kernels{.ranges = ranges, .make = make, .uniform = uniform};

}  // namespace foldstream::quantize
