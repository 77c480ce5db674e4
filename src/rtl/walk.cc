// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/walk.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>

#include "src/rtl/block.h"

namespace foldstream {
namespace {

constexpr const char* kAlways = "1'b1";
constexpr const char* kNever = "1'b0";

std::string joined(std::vector<std::string> conditions, const char* neutral, const char* decides,
                   const char* op) {
  std::erase(conditions, neutral);
  if (std::find(conditions.begin(), conditions.end(), decides) != conditions.end()) return decides;
  if (conditions.empty()) return neutral;
  if (conditions.size() == 1) return conditions[0];
  return fmt::format("({})", fmt::join(conditions, op));
}

}  // namespace

Walk::Walk(SvModule& module, std::vector<Loop> loops, const std::string& advance)
    : loops_(std::move(loops)), last_(loops_.size()) {
  std::string inner = advance;
  for (size_t loop = loops_.size(); loop-- > 0;) {
    const auto& [name, count] = loops_[loop];
    if (count == 1) {
      last_[loop] = kAlways;
      continue;
    }
    add_fold_counter(module, name + "_q", count, inner);
    last_[loop] = name + "_last";
    module.wire(last_[loop]);
    module.assign(last_[loop], at(loop, count - 1));
    // Only a loop further out moves on with all of these.
    const bool outermost = std::all_of(loops_.begin(), loops_.begin() + loop,
                                       [](const Loop& outer) { return outer.count == 1; });
    if (!outermost) inner = fmt::format("{} && {}", inner, last_[loop]);
  }
}

std::string Walk::compare(size_t loop, const char* relation, int64_t place) const {
  const auto& [name, count] = loops_[loop];
  const int width = std::bit_width(static_cast<uint64_t>(count - 1));
  return fmt::format("{}_q {} {}'d{}", name, relation, width, place);
}

std::string Walk::at(size_t loop, int64_t place) const {
  if (place < 0 || place >= loops_[loop].count) return kNever;
  return loops_[loop].count == 1 ? kAlways : compare(loop, "==", place);
}

std::string Walk::from(size_t loop, int64_t place) const {
  if (place <= 0) return kAlways;
  if (place >= loops_[loop].count) return kNever;
  return place + 1 == loops_[loop].count ? last_[loop] : compare(loop, ">=", place);
}

std::string Walk::below(size_t loop, int64_t place) const {
  if (place <= 0) return kNever;
  if (place >= loops_[loop].count) return kAlways;
  return place + 1 == loops_[loop].count ? "!" + last_[loop] : compare(loop, "<", place);
}

std::string Walk::within(size_t loop, int64_t begin, int64_t end) const {
  return all_of({from(loop, begin), below(loop, end)});
}

std::string Walk::last(size_t loop) const { return last_[loop]; }

std::string all_of(const std::vector<std::string>& conditions) {
  return joined(conditions, kAlways, kNever, " && ");
}

std::string any_of(const std::vector<std::string>& conditions) {
  return joined(conditions, kNever, kAlways, " || ");
}

}  // namespace foldstream
