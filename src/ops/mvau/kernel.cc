// SPDX-License-Identifier: Apache-2.0
// The CPU twin: vectors where they lie, windows without a copy of them.
#include "src/ir/kernel.h"

#include <algorithm>
#include <array>

#include "src/kernel/matrix.h"
#include "src/ops/mvau/mvau.h"
#include "src/window/geometry.h"

namespace foldstream::mvau {
namespace {

class MatrixKernel final : public Kernel {
 public:
  MatrixKernel(std::unique_ptr<kernel::Matrix> matrix, const KernelSite& site,
               std::vector<int64_t> offsets)
      : matrix_(std::move(matrix)),
        in_bytes_(site.in[0].storage.bytes()),
        out_stride_(site.out[0].stride()),
        offsets_(std::move(offsets)) {}

  bool divisible() const override { return true; }
  int64_t scratch_bytes(int64_t) const override { return matrix_->scratch_bytes(); }
  Multiplier multiplier() const override { return matrix_->multiplier(); }

  void run(const KernelCall& call) const override {
    const auto vectors = static_cast<int64_t>(offsets_.size()), all = call.frames * vectors;
    // Shares of the vectors where there are enough of them, else of the rows.
    const bool by_vectors = all >= call.pieces * kSome;
    const int64_t begin = by_vectors ? all * call.piece / call.pieces : 0;
    const int64_t end = by_vectors ? all * (call.piece + 1) / call.pieces : all;
    std::array<const std::byte*, kSome> from;
    std::array<std::byte*, kSome> to;
    int64_t frame = begin / vectors, v = begin % vectors;
    for (int64_t first = begin; first < end;) {
      const int64_t count = std::min<int64_t>(kSome, end - first);
      for (int64_t i = 0; i < count; ++i, ++first) {
        from[i] = call.in[0] + frame * in_bytes_ + offsets_[v];
        to[i] = call.out[0] + first * out_stride_;
        if (++v == vectors) v = 0, ++frame;
      }
      matrix_->run(from.data(), to.data(), count, by_vectors ? 0 : call.piece,
                   by_vectors ? 1 : call.pieces, call.scratch);
    }
  }

 private:
  static constexpr int64_t kSome = 64;

  std::unique_ptr<kernel::Matrix> matrix_;
  int64_t in_bytes_, out_stride_;
  std::vector<int64_t> offsets_;
};

std::vector<Range> ranges(const Node& node, std::span<const Range>) {
  const Shape shape(node);
  if (shape.thresholds) return {{0, shape.thresholds->levels()}};
  return {shape.sums};
}

Form wants(const Node& node, size_t, const Range& operand, Form) {
  return kernel::matrix_operand(*node.tensor("w"), operand);
}

std::unique_ptr<Kernel> make(const KernelSite& site) {
  const Shape shape(site.node);
  const Operand& operand = site.in[0];
  const int64_t columns = shape.columns;
  kernel::MatrixSpec spec{.w = shape.w,
                          .groups = shape.groups,
                          .in = operand.storage,
                          .range = operand.range,
                          .runs = {},
                          .group_step = 0,
                          .thresholds = shape.thresholds ? &*shape.thresholds : nullptr,
                          .out = site.out[0]};
  // A group's elements lie together in a vector, or in every tap of a window.
  const bool packed = operand.storage.form != Form::bytes;
  const auto element_offset = [&](int64_t element) {
    const int64_t word = operand.storage.form == Form::trits ? 16 : 8;
    return packed ? element / 64 * word : element;
  };
  std::vector<int64_t> vectors;  // where a frame's begin, in bytes
  if (operand.windows == nullptr) {
    if (packed && shape.groups > 1 && columns % 64 != 0) return nullptr;
    spec.runs = {{0, columns}};
    spec.group_step = element_offset(columns);
    for (int64_t v = 0; v < shape.vectors; ++v) {
      vectors.push_back(v * operand.storage.stride());
    }
  } else {
    const window::Geometry g(*operand.windows);
    if (operand.windows->integer("groups", 1) != shape.groups) return nullptr;
    const int64_t channels = g.channels / shape.groups;
    if (packed && shape.groups > 1 && channels % 64 != 0) return nullptr;
    const window::PaddedFrame frame(g, operand.storage.stride());
    for (const int64_t offset : frame.tap_offsets()) spec.runs.push_back({offset, channels});
    vectors = frame.window_offsets();
    spec.group_step = element_offset(channels);
  }
  auto matrix = kernel::make_matrix(spec);
  if (matrix == nullptr) return nullptr;
  return std::make_unique<MatrixKernel>(std::move(matrix), site, std::move(vectors));
}

}  // namespace

const Kernels kernels{.ranges = ranges, .wants = wants, .make = make, .takes_windows = true};

}  // namespace foldstream::mvau
