// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "src/ops/dequantize/dequantize.h"

namespace foldstream::dequantize {
namespace {

// Elements that are bytes from a base on, words or longs.
template <class Element>
class Dequantizer final : public Kernel {
 public:
  explicit Dequantizer(const KernelSite& site) : base_(site.in[0].storage.base) {
    const Node& node = site.node;
    const Shape& shape = node.out[0].shape;
    const Tensor &scale = *node.tensor("scale"), &bias = *node.tensor("bias");
    const int64_t axis = node.integer("axis", -1), count = node.out[0].count();
    int64_t inner = 1;
    for (size_t d = axis + 1; axis >= 0 && d < shape.size(); ++d) inner *= shape[d];
    for (int64_t i = 0; i < count; ++i) {
      const int64_t c = axis < 0 ? 0 : i / inner % shape[axis];
      scale_.push_back(scale.reals[scale.count() == 1 ? 0 : c]);
      bias_.push_back(bias.reals[bias.count() == 1 ? 0 : c]);
    }
  }

  void run(const KernelCall& call) const override {
    const auto* q = reinterpret_cast<const Element*>(call.in[0]);
    auto* y = reinterpret_cast<float*>(call.out[0]);
    const auto count = static_cast<int64_t>(scale_.size());
    for (int64_t f = 0; f < call.frames; ++f, q += count, y += count) {
      for (int64_t i = 0; i < count; ++i) {
        const auto value = static_cast<double>(base_ + static_cast<int64_t>(q[i]));
        y[i] = static_cast<float>(scale_[i] * value + bias_[i]);
      }
    }
  }

 private:
  int64_t base_;
  std::vector<double> scale_, bias_;  // element by element
};

std::unique_ptr<Kernel> make(const KernelSite& site) {
  switch (site.in[0].storage.form) {
    case Form::bytes:
      return std::make_unique<Dequantizer<uint8_t>>(site);
    case Form::words:
      return std::make_unique<Dequantizer<int32_t>>(site);
    case Form::longs:
      return std::make_unique<Dequantizer<int64_t>>(site);
    default:
      return nullptr;
  }
}

}  // namespace

const Kernels kernels{.make = make};

}  // namespace foldstream::dequantize
