// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/word_steps.h"

#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernel/word_steps.cc"
#include "hwy/foreach_target.h"
// Highway's own order: the targets first.
#include "hwy/highway.h"
#include "src/kernel/finish-inl.h"

HWY_BEFORE_NAMESPACE();
namespace foldstream::kernel {
namespace HWY_NAMESPACE {
namespace {

using D = hn::ScalableTag<int32_t>;
constexpr int kLanes = hn::MaxLanes(D());
constexpr int kBlocks = kLanes >= 4 ? 2 : 8 / kLanes;  // a tile's results fill bytes
constexpr int64_t kRows = kLanes * kBlocks;

void run(const Finish<int32_t>& finish, const int32_t* x, int64_t count, uint8_t* to,
         int64_t stride) {
  const D d;
  const int64_t tiles = (finish.rows + kRows - 1) / kRows;
  for (int64_t v = 0; v < count; ++v, x += finish.rows, to += stride) {
    uint8_t* const outs[] = {to};
    for (int64_t at = 0; at < tiles; ++at) {
      const int64_t row = at * kRows, left = finish.rows - row;
      const int32_t* from = x + row;
      HWY_ALIGN int32_t last[kRows] = {};
      if (left < kRows) {
        std::memcpy(last, from, static_cast<size_t>(left) * sizeof *from);
        from = last;
      }
      store_tile<1, kBlocks>(
          d, [&](int, int b) { return hn::LoadU(d, from + b * kLanes); }, finish, at, outs);
    }
  }
}

WordStepsRoutine routine() { return {kLanes, run}; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace foldstream::kernel {
namespace {

HWY_EXPORT(routine);

class WordSteps final : public Kernel {
 public:
  WordSteps(const FinishSpec& spec, const WordStepsRoutine& routine)
      : finish_(spec, routine.lanes), out_(spec.out), run_(routine.run) {}

  void run(const KernelCall& call) const override {
    run_(finish_, reinterpret_cast<const int32_t*>(call.in[0]), call.frames * out_.vectors,
         reinterpret_cast<uint8_t*>(call.out[0]), out_.stride());
  }

 private:
  Finish<int32_t> finish_;
  Storage out_;
  decltype(WordStepsRoutine::run) run_;
};

}  // namespace

WordStepsRoutine word_steps_routine() { return HWY_DYNAMIC_DISPATCH(routine)(); }

std::unique_ptr<Kernel> make_word_steps(const Operand& operand, const Thresholds& thresholds,
                                        const Storage& out) {
  const int64_t channels = operand.storage.length;
  const FinishSpec spec{channels, std::vector<int64_t>(channels),
                        std::vector<Range>(channels, operand.range), &thresholds, out};
  if (!can_finish(spec)) return nullptr;
  return std::make_unique<WordSteps>(spec, word_steps_routine());
}

}  // namespace foldstream::kernel
#endif
