// SPDX-License-Identifier: Apache-2.0
// The CPU twin: vectors where they lie, windows without a copy of them.
#include "src/ir/kernel.h"

#include "src/kernel/matrix.h"
#include "src/kernel/vectors.h"
#include "src/ops/mvau/mvau.h"
#include "src/window/geometry.h"

namespace foldstream::mvau {
namespace {

class MatrixKernel final : public Kernel {
 public:
  MatrixKernel(std::unique_ptr<kernel::Matrix> matrix, kernel::Vectors vectors)
      : matrix_(std::move(matrix)), vectors_(std::move(vectors)) {}

  bool divisible() const override { return true; }
  int64_t scratch_bytes(int64_t) const override { return matrix_->scratch_bytes(); }
  Multiplier multiplier() const override { return matrix_->multiplier(); }

  void run(const KernelCall& call) const override {
    const int64_t all = vectors_.count(call.frames), pieces = call.pieces;
    // Shares of the vectors where there are enough of them, else of the rows.
    const bool by_vectors = all >= pieces * kernel::Vectors::kSome;
    const int64_t begin = by_vectors ? call.begin(all) : 0;
    const int64_t end = by_vectors ? call.end(all) : all;
    vectors_.each(call, begin, end,
                  [&](const std::byte* const* from, std::byte* const* to, int64_t some) {
                    matrix_->run(from, to, some, by_vectors ? 0 : call.piece,
                                 by_vectors ? 1 : pieces, call.scratch);
                  });
  }

 private:
  std::unique_ptr<kernel::Matrix> matrix_;
  kernel::Vectors vectors_;
};

std::vector<Range> ranges(const Node& node, std::span<const Range>) {
  const Shape shape(node);
  if (shape.thresholds) return {{0, shape.thresholds->levels()}};
  return {shape.sums};
}

Form wants(const Node& node, size_t, const Range& operand, Form) {
  return kernel::matrix_operand(*node.tensor("w"), operand, Shape(node).vectors);
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
  return std::make_unique<MatrixKernel>(std::move(matrix),
                                        kernel::Vectors(site, std::move(vectors)));
}

}  // namespace

const Kernels kernels{.ranges = ranges, .wants = wants, .make = make, .takes_windows = true};

}  // namespace foldstream::mvau
