// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/peak.h"

#include <algorithm>

#include "src/kernel/byte_tiles.h"
#include "src/kernel/level.h"
#include "src/kernel/tiles.h"
#include "src/util/clock.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernel/peak.cc"
#include "hwy/foreach_target.h"
// Highway's own order: the targets first.
#include "hwy/highway.h"
#include "src/kernel/products-inl.h"

HWY_BEFORE_NAMESPACE();
FOLDSTREAM_PRODUCTS_TARGET
namespace foldstream::kernel {
namespace HWY_NAMESPACE {
namespace {

constexpr int kSums = 12;  // that don't wait for one another

// Each gives the products that `rounds` rounds make.
double counts(int64_t rounds, uint64_t* out) {
  const CountTag d;
  Counter sums[kSums];
  for (Counter& sum : sums) sum.clear(d);
  auto x = hn::Iota(d, 1);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
      sums[i].add(hn::Xor(x, sums[i].bits()));
    }
    x = hn::Add(x, x);
  }
  auto all = x;
  for (Counter& sum : sums) sum.flush(), all = hn::Add(all, sum.sum);
  hn::StoreU(all, d, out);
  return static_cast<double>(rounds) * kSums * 64 * static_cast<double>(hn::Lanes(d));
}

// A round counts two bits at every place.
template <bool kTernary>
double carries(int64_t rounds, uint64_t* out) {
  const CountTag d;
  CarryCounter sums[kSums];
  for (CarryCounter& sum : sums) sum.clear(d, hn::Zero(d));
  auto x = hn::Iota(d, 1);
  const auto w = hn::Iota(d, 7);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (CarryCounter& sum : sums) {
      const auto low = kTernary ? nand_xor(x, w, sum.ones) : hn::Xor3(x, w, sum.ones);
      sum.add(low, hn::Xor(x, sum.twos.bits()));
    }
    x = hn::Add(x, x);
  }
  auto all = x;
  for (CarryCounter& sum : sums) sum.flush(), all = hn::Add(all, sum.total(d));
  hn::StoreU(all, d, out);
  return static_cast<double>(rounds) * kSums * (kTernary ? 64 : 128) *
         static_cast<double>(hn::Lanes(d));
}

double bytes(int64_t rounds, uint64_t* out) {
  const ProductTag d;
  hn::Vec<ProductTag> sums[kSums];
  for (auto& sum : sums) sum = hn::Zero(d);
  auto x = hn::Iota(d, 1);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = multiply_add<true>(sum, x, x);
    x = hn::Add(x, x);
  }
  auto all = x;
  for (const auto& sum : sums) all = hn::Add(all, sum);
  hn::StoreU(all, d, reinterpret_cast<int32_t*>(out));
  return static_cast<double>(rounds) * kSums * 4 * static_cast<double>(hn::Lanes(d));
}

using Loop = double (*)(int64_t, uint64_t*);

Loop loop(Multiplier multiplier) {
  switch (multiplier) {
    case Multiplier::counts:
      return counts;
    case Multiplier::binary_carries:
      return carries<false>;
    case Multiplier::ternary_carries:
      return carries<true>;
    case Multiplier::bytes:
      return bytes;
    case Multiplier::none:
      break;
  }
  return nullptr;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace foldstream::kernel {

HWY_EXPORT(loop);

double peak_products(Multiplier multiplier, const std::string& level) {
  double (*run)(int64_t, uint64_t*) = nullptr;
  at_level(level, [&] {
    run = HWY_DYNAMIC_DISPATCH(loop)(multiplier);
    if (multiplier == Multiplier::bytes && tiles_in_force()) {
      run = [](int64_t rounds, uint64_t*) { return tile_products(rounds); };
    }
  });
  if (run == nullptr) return 0;
  uint64_t sink[16];
  double products = 0;
  const int64_t begin = thread_nanoseconds();
  do {
    products += run(20000, sink);
  } while (thread_nanoseconds() - begin < 1000000);
  return 1e9 * products / static_cast<double>(thread_nanoseconds() - begin);
}

}  // namespace foldstream::kernel
#endif
