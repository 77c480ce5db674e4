// SPDX-License-Identifier: Apache-2.0
// The CPU twin: channels side by side, windows where they lie.
#include "src/ir/kernel.h"

#include "src/kernel/depthwise.h"
#include "src/kernel/vectors.h"
#include "src/ops/vvau/vvau.h"

namespace foldstream::vvau {
namespace {

class DepthwiseKernel final : public Kernel {
 public:
  DepthwiseKernel(std::unique_ptr<kernel::Depthwise> depthwise, kernel::Vectors windows)
      : depthwise_(std::move(depthwise)), windows_(std::move(windows)) {}

  bool divisible() const override { return true; }

  void run(const KernelCall& call) const override {
    const int64_t all = windows_.count(call.frames);
    windows_.each(call, call.begin(all), call.end(all),
                  [&](const std::byte* const* from, std::byte* const* to, int64_t some) {
                    depthwise_->run(from, to, some);
                  });
  }

 private:
  std::unique_ptr<kernel::Depthwise> depthwise_;
  kernel::Vectors windows_;
};

std::vector<Range> ranges(const Node& node, std::span<const Range>) {
  const Layer layer(node);
  if (layer.thresholds) return {{0, layer.thresholds->levels()}};
  return {layer.sums};
}

std::unique_ptr<Kernel> make(const KernelSite& site) {
  const Layer layer(site.node);
  const Operand& operand = site.in[0];
  kernel::DepthwiseSpec spec{.w = layer.w,
                             .in = operand.storage,
                             .range = operand.range,
                             .tap_offsets = {},
                             .thresholds = layer.thresholds ? &*layer.thresholds : nullptr,
                             .out = site.out[0]};
  const window::PaddedFrame frame(layer.g, operand.storage.stride());
  spec.tap_offsets = frame.tap_offsets();
  auto depthwise = kernel::Depthwise::make(spec);
  if (depthwise == nullptr) return nullptr;
  return std::make_unique<DepthwiseKernel>(std::move(depthwise),
                                           kernel::Vectors(site, frame.window_offsets()));
}

}  // namespace

const Kernels kernels{.ranges = ranges, .make = make, .windowed = true};

}  // namespace foldstream::vvau
