// SPDX-License-Identifier: Apache-2.0
// Kernels of the CPU twin for float operators of one and two operands, which stay at the network's
// edges.
#pragma once

#include <memory>
#include <vector>

#include "src/ir/kernel.h"

namespace foldstream {

// `kApply` is the reference's function of one float.
template <float (*kApply)(float)>
class UnaryKernel final : public Kernel {
 public:
  explicit UnaryKernel(int64_t count) : count_(count) {}
  static std::unique_ptr<Kernel> make(const KernelSite& site) {
    if (site.in[0].constant != nullptr) return nullptr;
    return std::make_unique<UnaryKernel>(site.node.out[0].count());
  }

  void run(const KernelCall& call) const override {
    const auto* __restrict x = reinterpret_cast<const float*>(call.in[0]);
    auto* __restrict y = reinterpret_cast<float*>(call.out[0]);
    for (int64_t i = 0; i < call.frames * count_; ++i) y[i] = kApply(x[i]);
  }

 private:
  int64_t count_;
};

// `Apply` computes two floats' result as the reference does: one operation, rounded once. Computed
// operands have the shape of the result, constants any that broadcasts to it.
template <class Apply>
class BinaryKernel final : public Kernel {
 public:
  static std::unique_ptr<Kernel> make(const KernelSite& site) {
    if (site.out[0].form != Form::floats) return nullptr;
    auto kernel = std::make_unique<BinaryKernel>();
    const Shape& shape = site.node.out[0].shape;
    kernel->count_ = site.node.out[0].count();
    for (size_t port = 0; port < 2; ++port) {
      const Tensor* constant = site.in[port].constant;
      if (constant == nullptr) {
        if (site.node.in_type(port).shape != shape) return nullptr;
        continue;
      }
      for (const int64_t offset : broadcast_offsets(constant->type.shape, shape)) {
        kernel->constant_[port].push_back(static_cast<float>(constant->reals[offset]));
      }
    }
    return kernel;
  }

  void run(const KernelCall& call) const override {
    for (int64_t f = 0; f < call.frames; ++f) {
      const float* x[2];
      for (size_t port = 0; port < 2; ++port) {
        x[port] = constant_[port].empty()
                      ? reinterpret_cast<const float*>(call.in[port]) + f * count_
                      : constant_[port].data();
      }
      float* y = reinterpret_cast<float*>(call.out[0]) + f * count_;
      for (int64_t i = 0; i < count_; ++i) y[i] = Apply()(x[0][i], x[1][i]);
    }
  }

 private:
  int64_t count_ = 0;
  std::vector<float> constant_[2];  // element by element of the result
};

inline bool always_uniform(const Node&) { return true; }

template <float (*kApply)(float)>
inline constexpr Kernels kUnaryKernels{.make = UnaryKernel<kApply>::make,
                                       .uniform = always_uniform};
template <class Apply>
inline constexpr Kernels kBinaryKernels{.make = BinaryKernel<Apply>::make,
                                        .uniform = always_uniform};

}  // namespace foldstream
