// SPDX-License-Identifier: Apache-2.0
// Memory that vectors are loaded from: aligned to a cache line, and readable for one behind its
// end.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace foldstream::kernel {

inline constexpr size_t kLine = 64;

template <class T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T) + kLine, std::align_val_t(kLine)));
  }
  void deallocate(T* memory, size_t) { ::operator delete(memory, std::align_val_t(kLine)); }
  bool operator==(const AlignedAllocator&) const { return true; }
};

template <class T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

}  // namespace foldstream::kernel
