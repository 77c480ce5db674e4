// SPDX-License-Identifier: Apache-2.0
// The CPU twin: sums of bytes; other functions are tables of the engine where values are few.
#include "src/ir/kernel.h"

#include "src/ops/eltwise/eltwise.h"

namespace foldstream::eltwise {
namespace {

class Sum final : public Kernel {
 public:
  explicit Sum(const KernelSite& site)
      : count_(site.out[0].vectors * site.out[0].length),
        bases_(static_cast<uint8_t>(site.in[0].storage.base + site.in[1].storage.base -
                                    site.out[0].base)) {}

  void run(const KernelCall& call) const override {
    // Nothing of it may be one with what is written, or the loop takes a byte at a time.
    const auto* __restrict a = reinterpret_cast<const uint8_t*>(call.in[0]);
    const auto* __restrict b = reinterpret_cast<const uint8_t*>(call.in[1]);
    auto* __restrict y = reinterpret_cast<uint8_t*>(call.out[0]);
    const int64_t count = call.frames * count_;
    const uint8_t bases = bases_;
    for (int64_t i = 0; i < count; ++i) y[i] = static_cast<uint8_t>(a[i] + b[i] + bases);
  }

 private:
  int64_t count_;
  uint8_t bases_;  // what the stored sum is less than that of the stored operands
};

std::unique_ptr<Kernel> make(const KernelSite& site) {
  if (function(site.node) != Function::add || !factors(site.node, 0).empty()) return nullptr;
  for (const Operand& operand : site.in) {
    if (operand.constant != nullptr || operand.storage.form != Form::bytes) return nullptr;
  }
  if (site.out[0].form != Form::bytes) return nullptr;
  return std::make_unique<Sum>(site);
}

// Unless a sum has factors of its own for each channel.
bool uniform(const Node& node) { return factors(node, 0).size() <= 1; }

std::vector<Range> ranges(const Node& node, std::span<const Range> in) {
  if (function(node) == Function::add && factors(node, 0).empty()) {
    return {{in[0].lo + in[1].lo, in[0].hi + in[1].hi}};
  }
  return {{node.out[0].min(), node.out[0].max()}};
}

}  // namespace

const Kernels kernels{.ranges = ranges, .make = make, .uniform = uniform};

}  // namespace foldstream::eltwise
