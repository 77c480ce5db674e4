// SPDX-License-Identifier: Apache-2.0
#include "src/report/front.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/report/log_scale.h"
#include "src/report/numbers.h"

namespace foldstream {
namespace {

constexpr double kWidth = 760, kHeight = 420, kLeft = 70, kRight = 20, kTop = 34, kBottom = 50;

struct Series {
  const char* name;
  const char* colour;
  double Cost::*amount;
  int64_t whole;
};

std::vector<Series> series_of(const Part& part) {
  std::vector<Series> all = {{"LUT", "#2a7f9e", &Cost::lut, part.lut},
                             {"BRAM", "#c2410c", &Cost::bram18, part.bram18},
                             {"URAM", "#4d7c0f", &Cost::uram, part.uram},
                             {"DSP", "#6d28d9", &Cost::dsp, part.dsp}};
  std::erase_if(all, [](const Series& series) { return series.whole <= 0; });
  return all;
}

double rate(const FrontPoint& point, double clock_mhz) {
  return clock_mhz * 1e6 / static_cast<double>(point.cycles);
}

std::string power(int exponent) {
  const double value = std::pow(10, exponent);
  return exponent >= 0 ? grouped(static_cast<int64_t>(std::llround(value)))
                       : fmt::format("{:.{}f}", value, -exponent);
}

std::string front_svg(const std::vector<FrontPoint>& front, const Part& part, double clock_mhz) {
  const std::vector<Series> all = series_of(part);
  double slow = 1e300, fast = 0, least = 100, most = 100;
  for (const FrontPoint& point : front) {
    slow = std::min(slow, rate(point, clock_mhz)), fast = std::max(fast, rate(point, clock_mhz));
    for (const Series& series : all) {
      const double percent = 100 * point.cost.*series.amount / static_cast<double>(series.whole);
      if (percent > 0) least = std::min(least, percent), most = std::max(most, percent);
    }
  }
  const LogScale x{decade_below(slow), std::max(decade_above(fast), decade_below(slow) + 1), kLeft,
                   kWidth - kRight};
  const LogScale y{std::min(1, decade_below(least)), decade_above(most), kHeight - kBottom, kTop};
  std::string svg = fmt::format(
      "<svg viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n",
      kWidth, kHeight);
  for (int e = x.first; e <= x.last; ++e) {
    const double at = x.at(std::pow(10, e));
    svg += fmt::format(
        "<path d=\"M{0:.1f} {1}V{2}\" stroke=\"#dfe3e6\"/>"
        "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\" fill=\"#68737d\">{4}</text>\n",
        at, kTop, kHeight - kBottom, kHeight - kBottom + 18, power(e));
  }
  for (int e = y.first; e <= y.last; ++e) {
    const double at = y.at(std::pow(10, e));
    svg += fmt::format(
        "<path d=\"M{0} {1:.1f}H{2}\" stroke=\"{3}\"/>"
        "<text x=\"{4}\" y=\"{5:.1f}\" text-anchor=\"end\" fill=\"#68737d\">{6} %</text>\n",
        kLeft, at, kWidth - kRight, e == 2 ? "#68737d" : "#dfe3e6", kLeft - 8, at + 4, power(e));
  }
  svg += fmt::format(
      "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#1d2327\">frames a second at {} "
      "MHz</text>\n<text x=\"{}\" y=\"18\" fill=\"#1d2327\">share of {}</text>\n",
      (kLeft + kWidth - kRight) / 2, kHeight - 10, clock_mhz, kLeft, part.name);
  double legend = kWidth - kRight - 70.0 * static_cast<double>(all.size());
  for (const Series& series : all) {
    svg += fmt::format(
        "<circle cx=\"{:.0f}\" cy=\"14\" r=\"4\" fill=\"{}\"/><text x=\"{:.0f}\" y=\"18\" "
        "fill=\"#1d2327\">{}</text>\n",
        legend, series.colour, legend + 9, series.name);
    legend += 70;
    for (const FrontPoint& point : front) {
      const double amount = point.cost.*series.amount;
      if (amount <= 0) continue;
      svg += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\" fill-opacity=\"0.75\">"
          "<title>{} {} at {:.0f} frames a second</title></circle>\n",
          x.at(rate(point, clock_mhz)), y.at(100 * amount / static_cast<double>(series.whole)),
          series.colour, grouped(ceiling(amount)), series.name, rate(point, clock_mhz));
    }
  }
  return svg + "</svg>\n";
}

}  // namespace

std::string front_page(const std::string& name, const std::vector<FrontPoint>& front,
                       const Part& part, double clock_mhz) {
  std::string page = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title>\n"
      "<style>body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 820px; margin: 40px auto; "
      "padding: 0 20px; color: #1d2327; }} svg {{ max-width: 100%; height: auto; }} table {{ "
      "border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }} th, td {{ "
      "padding: 5px 10px; text-align: right; border-bottom: 1px solid #dfe3e6; }}</style>\n"
      "<h1>{0}</h1>\n<p>What each rate costs on {1}: no folding listed is beaten by another in "
      "rate "
      "and every resource. Before queues; latency in cycles, with queues that are long "
      "enough.</p>\n",
      name, part.name);
  page += front_svg(front, part, clock_mhz);
  page +=
      "<table>\n<tr><th>folding</th><th>frames a second</th><th>cycles</th><th>latency</th>"
      "<th>LUT</th><th>FF</th><th>BRAM_18K</th><th>URAM</th><th>DSP</th>"
      "<th>bits a cycle streamed</th></tr>\n";
  for (size_t k = 0; k < front.size(); ++k) {
    const Cost& cost = front[k].cost;
    page += fmt::format(
        "<tr><td>{}</td><td>{:.1f}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td><td>{}</td><td>{}</td></tr>\n",
        k + 1, rate(front[k], clock_mhz), grouped(front[k].cycles), grouped(front[k].latency),
        grouped(ceiling(cost.lut)), grouped(ceiling(cost.ff)), grouped(ceiling(cost.bram18)),
        grouped(ceiling(cost.uram)), grouped(ceiling(cost.dsp)), grouped(ceiling(cost.stream)));
  }
  return page + "</table>\n</html>\n";
}

}  // namespace foldstream
