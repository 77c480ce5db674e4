// SPDX-License-Identifier: Apache-2.0
// The CPU twin: channels side by side, windows where they lie.
#include "src/ir/kernel.h"

#include <algorithm>
#include <array>

#include "src/kernel/depthwise.h"
#include "src/ops/vvau/vvau.h"

namespace foldstream::vvau {
namespace {

class DepthwiseKernel final : public Kernel {
 public:
  DepthwiseKernel(std::unique_ptr<kernel::Depthwise> depthwise, const KernelSite& site,
                  std::vector<int64_t> offsets)
      : depthwise_(std::move(depthwise)),
        in_bytes_(site.in[0].storage.bytes()),
        out_stride_(site.out[0].stride()),
        offsets_(std::move(offsets)) {}

  bool divisible() const override { return true; }

  void run(const KernelCall& call) const override {
    const auto windows = static_cast<int64_t>(offsets_.size()), all = call.frames * windows;
    const int64_t end = all * (call.piece + 1) / call.pieces;
    std::array<const std::byte*, kSome> from;
    std::array<std::byte*, kSome> to;
    for (int64_t first = all * call.piece / call.pieces; first < end;) {
      const int64_t count = std::min<int64_t>(kSome, end - first);
      for (int64_t i = 0; i < count; ++i, ++first) {
        from[i] = call.in[0] + first / windows * in_bytes_ + offsets_[first % windows];
        to[i] = call.out[0] + first * out_stride_;
      }
      depthwise_->run(from.data(), to.data(), count);
    }
  }

 private:
  static constexpr int64_t kSome = 64;

  std::unique_ptr<kernel::Depthwise> depthwise_;
  int64_t in_bytes_, out_stride_;
  std::vector<int64_t> offsets_;
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
  return std::make_unique<DepthwiseKernel>(std::move(depthwise), site, frame.window_offsets());
}

}  // namespace

const Kernels kernels{.ranges = ranges, .make = make, .windowed = true};

}  // namespace foldstream::vvau
