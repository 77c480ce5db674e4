// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "src/report/numbers.h"
#include "src/report/report.h"

namespace foldstream {
namespace {

constexpr std::string_view kStyle = R"(
:root { --ground: #fbfbf9; --card: #ffffff; --ink: #1d2327; --soft: #68737d; --line: #dfe3e6;
  --bar: #2a7f9e; --bar-soft: #d8e9ef; --hot: #c2410c; --hot-soft: #fde8dd; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181b; --card: #1c2226; --ink: #e6eaed;
  --soft: #93a0aa; --line: #323b41; --bar: #58b4d4; --bar-soft: #20404c; --hot: #fb8b4f; --hot-soft: #4a2a1a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 40px 0 12px; font-weight: 650; }
p { margin: 0 0 8px; max-width: 75ch; }
.soft { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 24px 0 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 14px 16px; }
.card .value { font-size: 24px; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; letter-spacing: -.01em; }
.card .unit { font-size: 13px; color: var(--soft); font-weight: 400; }
.card .label { color: var(--soft); font-size: 13px; }
.meter { height: 5px; border-radius: 3px; background: var(--bar-soft); margin-top: 8px; overflow: hidden; }
.meter i { display: block; height: 100%; background: var(--bar); }
.meter.hot i { background: var(--hot); } .meter.hot { background: var(--hot-soft); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 7px 12px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); font-size: 13px; }
th:nth-child(-n+3), td:nth-child(-n+3) { text-align: left; }
tr:last-child td { border-bottom: 0; }
tr.total td { font-weight: 650; border-top: 2px solid var(--line); }
tr.hot td:first-child { box-shadow: inset 3px 0 0 var(--hot); }
td small { display: block; color: var(--soft); }
td.why { white-space: normal; min-width: 30ch; }
.share { display: inline-block; width: 90px; height: 8px; border-radius: 2px; background: var(--bar-soft); vertical-align: middle; margin-left: 8px; }
.share i { display: block; height: 100%; border-radius: 2px; background: var(--bar); }
tr.hot .share i { background: var(--hot); } tr.hot .share { background: var(--hot-soft); }
svg { display: block; font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
svg .box { fill: var(--card); stroke: var(--line); stroke-width: 1.5; } svg .hot .box { stroke: var(--hot); }
svg .wire { fill: none; stroke: var(--soft); stroke-width: 1.5; } svg .head { fill: var(--soft); }
svg text { fill: var(--ink); } svg .name { font-weight: 650; } svg .soft { fill: var(--soft); font-size: 11px; }
svg .grid { stroke: var(--line); } svg .roof { stroke: var(--bar); stroke-width: 2; } svg .point { fill: var(--hot); }
svg .track { fill: var(--bar-soft); } svg .fill { fill: var(--bar); } svg .hot .fill { fill: var(--hot); } svg .hot .track { fill: var(--hot-soft); }
)";

std::string escape(std::string_view text) {
  std::string result;
  for (char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

// At most so many characters, cut in the middle: ends tell names apart.
std::string shortened(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  const size_t tail = most / 2, head = most - tail - 1;
  return text.substr(0, head) + "\u2026" + text.substr(text.size() - tail);
}

std::string folding(const ReportNode& node) {
  std::vector<std::string> parts;
  for (const auto& [attr, value] : node.folding) {
    std::string name = attr;
    for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    parts.push_back(fmt::format("{} {}", name, value));
  }
  return fmt::format("{}", fmt::join(parts, " \u00b7 "));
}

std::string card(const std::string& value, const std::string& unit, const std::string& label) {
  return fmt::format(
      "<div class=\"card\"><div class=\"value\">{} <span class=\"unit\">{}</span></div><div "
      "class=\"label\">{}</div></div>\n",
      value, unit, label);
}

std::string meter_card(const Use& use) {
  const double share = use.available > 0 ? use.used / use.available : 1;
  return fmt::format(
      "<div class=\"card\"><div class=\"value\">{} <span class=\"unit\">of {}</span></div><div "
      "class=\"label\">{}, {:.1f} %{}</div><div class=\"meter{}\"><i style=\"width:{:.1f}%\"></i>"
      "</div></div>\n",
      grouped(ceiling(use.used)), grouped(ceiling(use.available)),
      use.resource == "BRAM_18K" ? "BRAM 18K" : use.resource, 100 * share,
      use.fits() ? "" : ": does not fit", use.fits() ? "" : " hot", 100 * std::min(share, 1.0));
}

// The graph from left to right, one column for each step away from the input.
class Drawing {
 public:
  explicit Drawing(const Report& report) : report_(report) {
    for (const ReportNode& node : report.nodes) {
      row_.push_back(rows_.size() > node.column ? rows_[node.column] : 0);
      rows_.resize(std::max(rows_.size(), node.column + 1), 0);
      ++rows_[node.column];
    }
    tallest_ = rows_.empty() ? 1 : *std::max_element(rows_.begin(), rows_.end());
  }

  std::string svg() const {
    const int width = 2 * kEnd + static_cast<int>(rows_.size()) * (kBox + kGap) + kGap;
    const int height = static_cast<int>(tallest_) * (kHeight + kSpace) + kSpace;
    std::string text = fmt::format(
        "<svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\" "
        "aria-label=\"pipeline\">"
        "<defs><marker id=\"arrow\" markerWidth=\"7\" markerHeight=\"7\" refX=\"6\" refY=\"3.5\" "
        "orient=\"auto\"><path class=\"head\" d=\"M0 0L7 3.5L0 7Z\"/></marker></defs>\n",
        width, height);
    size_t inputs = 0, outputs = 0;
    for (const ReportEdge& edge : report_.edges) {
      const bool is_in = edge.from == Report::kOutside, is_out = edge.to == Report::kOutside;
      const Point from = is_in ? outside(true, inputs++) : right(edge.from);
      const Point to = is_out ? outside(false, outputs++) : left(edge.to);
      text += wire(from, to, edge);
      if (is_in || is_out) {
        const Point at = is_in ? from : to;
        text += fmt::format(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"{}\" "
            "class=\"name\">{}<title>{}</title></text>\n",
            is_in ? at.x - 6 : at.x + 6, at.y + 4, is_in ? "end" : "start",
            escape(shortened(edge.outside, 11)), escape(edge.outside));
      }
    }
    for (size_t i = 0; i < report_.nodes.size(); ++i) text += box(i);
    return text + "</svg>\n";
  }

 private:
  static constexpr int kBox = 168, kHeight = 92, kGap = 62, kSpace = 26, kEnd = 92;
  struct Point {
    int x, y;
  };

  // Columns are centred.
  Point corner(size_t i) const {
    const size_t column = report_.nodes[i].column;
    const int above = static_cast<int>(tallest_ - rows_[column]) * (kHeight + kSpace) / 2;
    return {kEnd + kGap + static_cast<int>(column) * (kBox + kGap),
            kSpace + above + static_cast<int>(row_[i]) * (kHeight + kSpace)};
  }
  Point left(size_t i) const { return {corner(i).x, corner(i).y + kHeight / 2}; }
  Point right(size_t i) const { return {corner(i).x + kBox, corner(i).y + kHeight / 2}; }
  Point outside(bool is_in, size_t ordinal) const {
    const int middle = (static_cast<int>(tallest_) * (kHeight + kSpace) + kSpace) / 2 +
                       static_cast<int>(ordinal) * 24;
    return {is_in ? kEnd : kEnd + kGap + static_cast<int>(rows_.size()) * (kBox + kGap), middle};
  }

  static std::string wire(Point from, Point to, const ReportEdge& edge) {
    const int bend = (to.x - from.x) / 2;
    return fmt::format(
        "<path class=\"wire\" marker-end=\"url(#arrow)\" d=\"M{} {}C{} {} {} {} {} {}\"><title>{} "
        "lanes of {} bits, {} beats a frame</title></path><text class=\"soft\" x=\"{}\" y=\"{}\" "
        "text-anchor=\"middle\">{}\u00d7{}b</text>\n",
        from.x, from.y, from.x + bend, from.y, to.x - bend, to.y, to.x - 1, to.y, edge.stream.lanes,
        edge.stream.bits, grouped(edge.stream.beats), from.x + bend, (from.y + to.y) / 2 - 7,
        edge.stream.lanes, edge.stream.bits);
  }

  std::string box(size_t i) const {
    const ReportNode& node = report_.nodes[i];
    const Point at = corner(i);
    const int inner = kBox - 24;
    const double share = static_cast<double>(node.cycles) /
                         static_cast<double>(std::max<int64_t>(report_.max_cycles, 1));
    return fmt::format(
        "<g{}><title>{}: {}</title><rect class=\"box\" x=\"{}\" y=\"{}\" width=\"{}\" "
        "height=\"{}\" "
        "rx=\"7\"/><text class=\"name\" x=\"{}\" y=\"{}\">{}</text><text class=\"soft\" x=\"{}\" "
        "y=\"{}\">{}</text><text x=\"{}\" y=\"{}\">{} cycles</text><rect class=\"track\" x=\"{}\" "
        "y=\"{}\" width=\"{}\" height=\"6\" rx=\"2\"/><rect class=\"fill\" x=\"{}\" y=\"{}\" "
        "width=\"{:.1f}\" height=\"6\" rx=\"2\"/></g>\n",
        node.cycles == report_.max_cycles ? " class=\"hot\"" : "", escape(node.name),
        escape(node.node), at.x, at.y, kBox, kHeight, at.x + 12, at.y + 22,
        escape(shortened(node.name, 19)), at.x + 12, at.y + 39,
        escape(node.folding.empty() ? node.type : folding(node)), at.x + 12, at.y + 62,
        grouped(node.cycles), at.x + 12, at.y + 72, inner, at.x + 12, at.y + 72,
        std::max(2.0, inner * share));
  }

  const Report& report_;
  std::vector<size_t> row_;   // by node
  std::vector<size_t> rows_;  // by column
  size_t tallest_ = 1;
};

std::string table(const Report& report) {
  std::string text =
      "<table><thead><tr><th>Node</th><th>Operands and result</th><th>Folding</th><th>Cycles</th>"
      "<th>Latency</th><th>Busy</th><th>Starved</th><th>Blocked</th><th>Queue</th><th>LUT</th>"
      "<th>FF</th><th>BRAM</th><th>DSP</th></tr></thead><tbody>\n";
  for (const ReportNode& node : report.nodes) {
    const auto span =
        static_cast<double>(node.activity.busy + node.activity.starved + node.activity.blocked);
    const auto percent = [&](int64_t count) {
      return fmt::format("{:.0f} %", span > 0 ? 100 * static_cast<double>(count) / span : 0);
    };
    text += fmt::format(
        "<tr{}><td>{}<small>{}</small></td><td>{}<small>\u2192 "
        "{}</small></td><td>{}</td><td>{}<span "
        "class=\"share\"><i "
        "style=\"width:{:.1f}%\"></i></span></td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        node.cycles == report.max_cycles ? " class=\"hot\"" : "", escape(node.name),
        escape(node.node), escape(node.in), escape(node.out), escape(folding(node)),
        grouped(node.cycles),
        100 * static_cast<double>(node.cycles) /
            static_cast<double>(std::max<int64_t>(report.max_cycles, 1)),
        grouped(node.latency), percent(node.activity.busy), percent(node.activity.starved),
        percent(node.activity.blocked), grouped(node.queue), grouped(ceiling(node.cost.lut)),
        grouped(ceiling(node.cost.ff)), grouped(ceiling(node.cost.bram18)),
        grouped(ceiling(node.cost.dsp)));
  }
  if (report.bus.lut > 0) {
    text += fmt::format(
        "<tr><td>{}</td><td></td><td></td><td></td><td></td><td></td><td></td><td></td><td></td>"
        "<td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        kBus, grouped(ceiling(report.bus.lut)), grouped(ceiling(report.bus.ff)),
        grouped(ceiling(report.bus.bram18)), grouped(ceiling(report.bus.dsp)));
  }
  text += fmt::format(
      "<tr class=\"total\"><td>Whole design</td><td></td><td></td><td>{}</td><td>{}</td><td></td>"
      "<td></td><td></td><td></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
      grouped(report.interval_cycles), grouped(report.latency_cycles),
      grouped(ceiling(report.total.lut)), grouped(ceiling(report.total.ff)),
      grouped(ceiling(report.total.bram18)), grouped(ceiling(report.total.dsp)));
  return text + "</tbody></table>\n";
}

// Beats waiting over one interval, the queue's depth as the full height.
std::string fill_chart(const std::vector<double>& fill, int64_t depth) {
  constexpr int kWidth = 220, kHeight = 34;
  std::string points;
  for (size_t i = 0; i < fill.size(); ++i) {
    const double share = std::min(1.0, fill[i] / static_cast<double>(std::max<int64_t>(depth, 1)));
    points += fmt::format(" {:.1f},{:.1f} {:.1f},{:.1f}",
                          static_cast<double>(i) * kWidth / static_cast<double>(fill.size()),
                          kHeight * (1 - share),
                          static_cast<double>(i + 1) * kWidth / static_cast<double>(fill.size()),
                          kHeight * (1 - share));
  }
  return fmt::format(
      "<svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\" aria-label=\"beats "
      "waiting over one interval\"><rect class=\"track\" width=\"{0}\" height=\"{1}\"/><polygon "
      "class=\"fill\" points=\"0,{1}{2} {0},{1}\"/></svg>",
      kWidth, kHeight, points);
}

std::string bars(const Report& report) {
  std::string text = "<table><tbody>\n";
  const double most = std::max(1.0, report.bounds.front().cycles);
  for (const ReportBound& bound : report.bounds) {
    text += fmt::format(
        "<tr{}><td>{}</td><td></td><td></td><td>{} cycles<span class=\"share\"><i "
        "style=\"width:{:.1f}%\"></i></span></td></tr>\n",
        bound.cycles == most ? " class=\"hot\"" : "", escape(bound.what),
        grouped(std::llround(bound.cycles)), 100 * bound.cycles / most);
  }
  return text + "</tbody></table>\n";
}

std::string queue_table(const Report& report) {
  std::string text =
      "<table><thead><tr><th>Behind</th><th>Why not less</th><th>Filling over one "
      "interval</th><th>Beats</th><th>Bits</th></tr></thead><tbody>\n";
  for (size_t i = 0; i < report.nodes.size(); ++i) {
    const QueueDepth& depth = report.queues->depths.at(i);
    int64_t bits = 0;
    std::string charts;
    for (const ReportEdge& edge : report.edges) {
      if (edge.from != i) continue;
      bits += edge.stream.width();
      if (!edge.fill.empty()) charts += fill_chart(edge.fill, depth.beats);
    }
    text += fmt::format(
        "<tr><td>{}<small>{}</small></td><td class=\"why\">{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "</tr>\n",
        escape(report.nodes[i].name), escape(depth.node), escape(why(depth)), charts,
        grouped(depth.beats), grouped(depth.beats * bits));
  }
  return text + "</tbody></table>\n";
}

}  // namespace

std::string report_html(const Report& report) {
  std::string text = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"><title>{0}: report</title><style>{1}</style>"
      "</head>\n<body><main>\n<h1>{0}</h1>\n<p class=\"soft\">{2}{3}, {4:g} MHz</p>\n<div "
      "class=\"cards\">\n",
      escape(report.title), kStyle, report.board.empty() ? "" : escape(report.board) + ", ",
      escape(report.part.name), report.clock_mhz);
  text += card(grouped(std::llround(report.frames_per_second())), "frames/s", "throughput");
  text += card(grouped(report.interval_cycles), report.interval_cycles == 1 ? "cycle" : "cycles",
               "from frame to frame");
  text += card(grouped(report.latency_cycles), "cycles",
               report.latency_ns() < 1e5
                   ? fmt::format("latency, {:.0f} ns", report.latency_ns())
                   : fmt::format("latency, {:.2f} ms", report.latency_ns() / 1e6));
  for (const Use& use : report.uses) {
    if (use.used > 0 || use.resource == "LUT") text += meter_card(use);
  }
  text += fmt::format("</div>\n<h2>What limits it</h2>\n<p>{}</p>\n", escape(report.limit()));
  text += "<div class=\"scroll\">" + bars(report) + "</div>\n";
  if (report.roofline) {
    text +=
        "<h2>Roofline</h2>\n<div class=\"scroll\">" + roofline_svg(*report.roofline) + "</div>\n";
  }
  text += "<h2>Pipeline</h2>\n<div class=\"scroll\">" + Drawing(report).svg() + "</div>\n";
  text += "<h2>Nodes</h2>\n<div class=\"scroll\">" + table(report) + "</div>\n";
  text +=
      "<p class=\"soft\" style=\"margin-top:10px\">Cycles are those of a frame without waiting; "
      "latency is "
      "what a node adds to the first frame; busy, starved and blocked are shares of the cycles "
      "from a "
      "node's first chance to its last step. Cycles, latency and queues are exact, by the cycle "
      "model; "
      "resources are estimates.</p>\n";
  if (report.queues) {
    text += "<h2>Queues</h2>\n<div class=\"scroll\">" + queue_table(report) + "</div>\n";
    text += fmt::format(
        "<p class=\"soft\" style=\"margin-top:10px\">With these the network is as fast as its "
        "slowest node: {} cycles a frame. {}</p>\n",
        grouped(report.queues->interval_cycles),
        report.queues->cheapest ? "No other depths that are cost less together."
                                : "Each was made as short as the others allow.");
  }
  if (!report.remarks.empty()) {
    text += "<h2>Remarks</h2>\n<ul>\n";
    for (const std::string& remark : report.remarks) text += "<li>" + escape(remark) + "</li>\n";
    text += "</ul>\n";
  }
  return text + "</main></body></html>\n";
}

}  // namespace foldstream
