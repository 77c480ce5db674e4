// SPDX-License-Identifier: Apache-2.0
// Results that a kernel computes as codes, elements less the base: stored as they are, or packed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/ir/kernel.h"
#include "src/kernel/pack.h"

namespace foldstream::kernel {

// Codes are bytes for bits, trits and bytes, else the form's own elements.
class CodeStore {
 public:
  explicit CodeStore(const Storage& storage) : storage_(storage), routine_(pack_routine()) {}

  const Storage& storage() const { return storage_; }
  int64_t scratch_bytes() const { return packs() ? storage_.length + 64 : 0; }

  // codes(v, to) writes those of vector v of the call's frames.
  template <class Codes>
  void each_vector(const KernelCall& call, const Codes& codes) const {
    const int64_t vectors = call.frames * storage_.vectors, stride = storage_.stride();
    for (int64_t v = 0; v < vectors; ++v) {
      std::byte* vector = call.out[0] + v * stride;
      std::byte* to = packs() ? call.scratch : vector;
      codes(v, to);
      if (packs()) pack(reinterpret_cast<const uint8_t*>(to), reinterpret_cast<uint64_t*>(vector));
    }
  }

  // codes(first, count, to) writes those of elements first ... first + count - 1 of the call's
  // frames: of all at once where nothing lies between vectors.
  template <class Codes>
  void each_run(const KernelCall& call, const Codes& codes) const {
    const int64_t length = storage_.length;
    if (!packs()) return codes(0, call.frames * storage_.vectors * length, call.out[0]);
    each_vector(call, [&](int64_t v, std::byte* to) { codes(v * length, length, to); });
  }

 private:
  bool packs() const { return storage_.form == Form::bits || storage_.form == Form::trits; }
  void pack(const uint8_t* codes, uint64_t* words) const {
    if (storage_.form == Form::bits) {
      routine_.bits(codes, storage_.length, 1, words);
    } else {
      routine_.trits(codes, storage_.length, words);
    }
  }

  Storage storage_;
  PackRoutine routine_;
};

}  // namespace foldstream::kernel
