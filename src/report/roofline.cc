// SPDX-License-Identifier: Apache-2.0
#include "src/report/roofline.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "src/report/log_scale.h"

namespace foldstream {
namespace {

constexpr double kWidth = 720, kHeight = 320, kLeft = 84, kRight = 40, kTop = 16, kBottom = 44;

std::string with_prefix(int exponent) {
  constexpr std::array<const char*, 6> kPrefixes = {"", "k", "M", "G", "T", "P"};
  const int group = exponent < 0 ? 0 : std::min(exponent / 3, 5);
  return fmt::format("{:g}{}{}", std::pow(10, exponent - 3 * group), group > 0 ? " " : "",
                     kPrefixes[static_cast<size_t>(group)]);
}

}  // namespace

std::string roofline_svg(const Roofline& roofline) {
  const double x = roofline.intensity;
  double most = roofline.achieved;
  for (const Roof& roof : roofline.roofs) {
    if (!roof.is_memory) most = std::max(most, roof.rate);
  }
  // Where memory meets the highest roof is shown, too.
  double left = x, right = x;
  for (const Roof& roof : roofline.roofs) {
    if (!roof.is_memory) continue;
    left = std::min(left, most / roof.rate), right = std::max(right, most / roof.rate);
  }
  const LogScale across{decade_below(left) - 1, decade_below(right) + 2, kLeft, kWidth - kRight};
  const LogScale up{decade_below(roofline.achieved) - 1, decade_below(most) + 1, kHeight - kBottom,
                    kTop};
  std::string text = fmt::format(
      "<svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\" "
      "aria-label=\"multiplications a second over multiplications a bit moved\">\n",
      kWidth, kHeight);
  for (int e = up.first; e <= up.last; ++e) {
    const double y = up.at(std::pow(10, e));
    text += fmt::format(
        "<line class=\"grid\" x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\"/><text "
        "class=\"soft\" "
        "x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
        kLeft, y, kWidth - kRight, y, kLeft - 8, y + 4, with_prefix(e));
  }
  for (int e = across.first; e <= across.last; ++e) {
    text +=
        fmt::format("<text class=\"soft\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                    across.at(std::pow(10, e)), kHeight - kBottom + 16, with_prefix(e));
  }
  text += fmt::format(
      "<text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"end\">multiplications a second over "
      "multiplications a bit that is moved over memory</text>\n",
      kWidth - kRight, kHeight - 8);
  for (const Roof& roof : roofline.roofs) {
    // From the lower left end to where it meets the highest roof or the right end.
    const double first = std::pow(10, across.first), last = std::pow(10, across.last);
    const double from =
        roof.is_memory ? std::max(first, std::pow(10, up.first) / roof.rate) : first;
    const double to = roof.is_memory ? std::min(last, most / roof.rate) : last;
    text += fmt::format(
        "<line class=\"roof\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>",
        across.at(from), up.at(roof.at(from)), across.at(to), up.at(roof.at(to)));
    text += roof.is_memory
                ? fmt::format("<text class=\"soft\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                              across.at(from) + 18, up.at(roof.at(from)) - 4, roof.what)
                : fmt::format(
                      "<text class=\"soft\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}"
                      "</text>\n",
                      kWidth - kRight - 4, up.at(roof.rate) - 4, roof.what);
  }
  text += fmt::format(
      "<circle class=\"point\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"><title>{:.3g} multiplications a "
      "second, {:.3g} a bit</title></circle>\n</svg>\n",
      across.at(x), up.at(roofline.achieved), roofline.achieved, x);
  return text;
}

}  // namespace foldstream
