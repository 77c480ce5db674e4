// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/tiles.h"

#include <algorithm>
#include <atomic>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "hwy/targets.h"

namespace foldstream::kernel {
namespace {

std::atomic<bool> out_of_force = false;

#if defined(__x86_64__) && defined(__linux__)
// Intel's manual, volume 2, CPUID: leaf 7, EDX. The kernels take results on by AVX-512.
bool processor_has_tiles() {
  constexpr unsigned kTiles = 1U << 24, kBytes = 1U << 25;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kTiles) != 0 && (d & kBytes) != 0 &&
         std::ranges::count(hwy::SupportedAndGeneratedTargets(), HWY_AVX3_DL) != 0;
}

// Linux keeps the tiles' 8 KiB of a thread only for processes that ask (Documentation/x86/xstate).
bool system_allows_tiles() {
  constexpr long kRequest = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}
#else
bool processor_has_tiles() { return false; }
bool system_allows_tiles() { return false; }
#endif

}  // namespace

bool has_tiles() {
  static const bool has = processor_has_tiles() && system_allows_tiles();
  return has;
}

bool tiles_in_force() { return has_tiles() && !out_of_force.load(std::memory_order_relaxed); }

WithoutTiles::WithoutTiles() { out_of_force.store(true, std::memory_order_relaxed); }
WithoutTiles::~WithoutTiles() { out_of_force.store(false, std::memory_order_relaxed); }

}  // namespace foldstream::kernel
