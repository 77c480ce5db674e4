// SPDX-License-Identifier: Apache-2.0
// The CPU twin: the reference's sums on floats as they lie, for what stays float at a network's
// edge.
#include <algorithm>
#include <memory>
#include <vector>

#include "src/ops/conv/conv.h"

namespace foldstream::conv {
namespace {

class FloatKernel final : public Kernel {
 public:
  FloatKernel(const Convolution& conv, std::vector<double> weights)
      : conv_(conv), product_(conv), weights_(std::move(weights)) {}

  bool divisible() const override { return true; }
  int64_t scratch_bytes(int64_t) const override {
    return product_.scratch() * static_cast<int64_t>(sizeof(double));
  }

  void run(const KernelCall& call) const override {
    const auto* x = reinterpret_cast<const float*>(call.in[0]);
    auto* y = reinterpret_cast<float*>(call.out[0]);
    const int64_t blocks = product_.blocks();
    const int64_t all = call.frames * conv_.images * conv_.groups * blocks;
    for (int64_t i = call.begin(all); i < call.end(all); ++i) {
      const int64_t image = i / blocks;
      product_.run(x + image * conv_.operand(),
                   weights_.data() + image % conv_.groups * conv_.weights(),
                   y + image * conv_.result(), i % blocks, reinterpret_cast<double*>(call.scratch));
    }
  }

 private:
  Convolution conv_;
  GroupProduct product_;
  std::vector<double> weights_;
};

std::unique_ptr<Kernel> make(const KernelSite& site) {
  if (site.in[0].constant != nullptr || site.in[1].constant == nullptr) return nullptr;
  return std::make_unique<FloatKernel>(convolution_of(site.node), site.in[1].constant->reals);
}

}  // namespace

const Kernels kernels{.make = make};

}  // namespace foldstream::conv
