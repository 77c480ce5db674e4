// SPDX-License-Identifier: Apache-2.0
// Vectors that begin anywhere in a frame, windows that overlap too, and the results' vectors, which
// follow one another.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "src/ir/kernel.h"

namespace foldstream::kernel {

class Vectors {
 public:
  static constexpr int64_t kSome = 64;  // that are handed over at once

  // `offsets`: where a frame's begin, in bytes.
  Vectors(const KernelSite& site, std::vector<int64_t> offsets)
      : in_bytes_(site.in[0].storage.bytes()),
        out_stride_(site.out[0].stride()),
        offsets_(std::move(offsets)) {}

  int64_t count(int64_t frames) const { return frames * static_cast<int64_t>(offsets_.size()); }

  // run(from, to, count) for vectors begin ... end - 1 of the call's frames: their addresses and
  // those of the results, at most kSome at a time.
  template <class Run>
  void each(const KernelCall& call, int64_t begin, int64_t end, const Run& run) const {
    const auto vectors = static_cast<int64_t>(offsets_.size());
    std::array<const std::byte*, kSome> from;
    std::array<std::byte*, kSome> to;
    int64_t frame = begin / vectors, v = begin % vectors;
    for (int64_t first = begin; first < end;) {
      const int64_t some = std::min(kSome, end - first);
      for (int64_t i = 0; i < some; ++i, ++first) {
        from[i] = call.in[0] + frame * in_bytes_ + offsets_[v];
        to[i] = call.out[0] + first * out_stride_;
        if (++v == vectors) v = 0, ++frame;
      }
      run(from.data(), to.data(), some);
    }
  }

 private:
  int64_t in_bytes_, out_stride_;
  std::vector<int64_t> offsets_;
};

}  // namespace foldstream::kernel
