// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/sv_module.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <unordered_map>

#include "src/util/error.h"
#include "src/util/names.h"

namespace foldstream {
namespace {

constexpr std::size_t kColumns = 100;

bool is_identifier(const std::string& name) {
  if (name.empty() || !(std::isalpha(static_cast<unsigned char>(name[0])) || name[0] == '_')) {
    return false;
  }
  return std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

// Breaks one logical line after spaces so that it fits; the lines after the first open with
// `continuation`.
std::string wrapped(std::string_view indent, const std::string& line,
                    std::string_view continuation) {
  if (indent.size() + line.size() <= kColumns) return fmt::format("{}{}\n", indent, line);
  std::string out;
  std::string margin(indent);
  std::size_t begin = 0;
  while (begin < line.size()) {
    const std::size_t room = kColumns - margin.size();
    std::size_t end = line.size();
    if (end - begin > room) {
      const std::size_t space = line.rfind(' ', begin + room);
      end = space == std::string::npos || space <= begin ? line.find(' ', begin + room) : space;
      if (end == std::string::npos) end = line.size();
    }
    out += fmt::format("{}{}\n", margin, line.substr(begin, end - begin));
    begin = end + 1;
    margin = continuation;
  }
  return out;
}

std::string wrapped(std::string_view indent, const std::string& line) {
  return wrapped(indent, line, std::string(indent) + "    ");
}

std::string range_of(const std::string& width) { return fmt::format(" [{}-1:0]", width); }

std::string range_of(int width) {
  FOLDSTREAM_CHECK(width >= 1);
  return width == 1 ? std::string() : fmt::format(" [{}:0]", width - 1);
}

}  // namespace

SvModule::SvModule(std::string name, std::string summary, std::string timing)
    : name_(std::move(name)), summary_(std::move(summary)), timing_(std::move(timing)) {
  FOLDSTREAM_CHECK(is_identifier(name_));
}

void SvModule::take(const std::string& name) {
  FOLDSTREAM_CHECK(is_identifier(name));
  FOLDSTREAM_CHECK(names_.insert(name).second);
}

std::string SvModule::fresh(const std::string& stem) {
  std::string name = stem;
  if (names_.count(name) != 0) {
    int& next = next_suffix_.try_emplace(stem, 2).first->second;
    do name = fmt::format("{}_{}", stem, next++);
    while (names_.count(name) != 0);
  }
  take(name);
  return name;
}

void SvModule::parameter(std::string_view type, std::string_view name, std::string_view value,
                         std::string_view comment) {
  take(std::string(name));
  // The comment follows the comma, so it is kept apart until the list is printed.
  parameters_.push_back(fmt::format("parameter {} {} = {}\n{}", type, name, value, comment));
}

void SvModule::port(const std::string& name, const std::string& range, bool output) {
  take(name);
  port_lines_.push_back(fmt::format("{} logic{} {}", output ? "output" : "input ", range, name));
}

void SvModule::input(const std::string& name, int width) {
  port(name, range_of(width), false);
  ports_.push_back({name, width, false});
}

void SvModule::output(const std::string& name, int width) {
  port(name, range_of(width), true);
  ports_.push_back({name, width, true});
}

void SvModule::input(const std::string& name, const std::string& width) {
  port(name, range_of(width), false);
}

void SvModule::output(const std::string& name, const std::string& width) {
  port(name, range_of(width), true);
}

void SvModule::close_registers() {
  if (!pending_data_.empty()) {
    const auto pending = std::move(pending_data_);
    pending_data_.clear();
    body_ += "  always_ff @(posedge clk_i) begin\n";
    for (const auto& [target, value] : pending)
      body_ += wrapped("    ", fmt::format("{} <= {};", target, value));
    body_ += "  end\n";
  }
  if (!pending_control_.empty()) {
    const auto pending = std::move(pending_control_);
    pending_control_.clear();
    body_ += "  always_ff @(posedge clk_i) begin\n    if (rst_i) begin\n";
    for (const Control& r : pending)
      body_ += wrapped("      ", fmt::format("{} <= {};", r.target, r.reset));
    body_ += "    end else begin\n";
    for (const Control& r : pending)
      body_ += wrapped("      ", fmt::format("{} <= {};", r.target, r.value));
    body_ += "    end\n  end\n";
  }
}

void SvModule::comment(std::string_view text) {
  FOLDSTREAM_CHECK(unfit_name(text).empty());  // a line's end would end the comment
  close_registers();
  if (!body_.empty()) body_ += "\n";
  body_ += wrapped("  // ", std::string(text), "  // ");
}

void SvModule::localparam(std::string_view type, const std::string& name, std::string_view value) {
  close_registers();
  take(name);
  body_ += wrapped("  ", fmt::format("localparam {} {} = {};", type, name, value));
}

void SvModule::wire(const std::string& name, int width) {
  close_registers();
  if (!taken(name)) take(name);
  wires_.insert(name);
  body_ += fmt::format("  logic{} {};\n", range_of(width), name);
}

void SvModule::kept_wire(const std::string& name, int width) {
  close_registers();
  if (!taken(name)) take(name);
  body_ += fmt::format("  (* keep *) logic{} {};\n", range_of(width), name);
}

void SvModule::wire(const std::string& name, const std::string& width) {
  close_registers();
  if (!taken(name)) take(name);
  wires_.insert(name);
  body_ += fmt::format("  logic{} {};\n", range_of(width), name);
}

void SvModule::assign(std::string_view target, std::string_view expression) {
  close_registers();
  body_ += wrapped("  ", fmt::format("assign {} = {};", target, expression));
}

void SvModule::instance(std::string_view module, const std::string& name,
                        const SvBindings& parameters, const SvBindings& connections) {
  close_registers();
  if (!taken(name)) take(name);
  const auto bound = [](const std::pair<std::string, std::string>& b) {
    return fmt::format(".{}({})", b.first, b.second);
  };
  const auto joined = [&](const SvBindings& bindings) {
    std::string out;
    for (const auto& b : bindings) out += (out.empty() ? "" : ", ") + bound(b);
    return out;
  };
  const std::string values = parameters.empty() ? "" : fmt::format("#({}) ", joined(parameters));
  const std::string one_line =
      fmt::format("{} {}{} ({});", module, values, name, joined(connections));
  if (one_line.size() + 2 <= kColumns) {
    body_ += fmt::format("  {}\n", one_line);
    return;
  }
  if (parameters.empty()) {
    body_ += fmt::format("  {} {} (\n", module, name);
  } else {
    body_ += fmt::format("  {} #(\n", module);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      body_ += wrapped("    ", bound(parameters[i]) + (i + 1 < parameters.size() ? "," : ""));
    }
    body_ += fmt::format("  ) {} (\n", name);
  }
  for (std::size_t i = 0; i < connections.size(); ++i) {
    body_ += wrapped("    ", bound(connections[i]) + (i + 1 < connections.size() ? "," : ""));
  }
  body_ += "  );\n";
}

void SvModule::register_data(std::string_view target, std::string_view value) {
  if (!pending_control_.empty()) close_registers();
  pending_data_.emplace_back(target, value);
}

void SvModule::register_control(std::string_view target, std::string_view value,
                                std::string_view reset) {
  if (!pending_data_.empty()) close_registers();
  pending_control_.push_back({std::string(target), std::string(value), std::string(reset)});
}

void SvModule::raw(std::string_view text) {
  close_registers();
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line(text.substr(begin, end - begin));
    body_ += line.empty() ? "\n" : wrapped("  ", line);
    begin = end + 1;
  }
}

std::string SvModule::text() const {
  SvModule closed = *this;
  closed.close_registers();
  std::string out = "// SPDX-License-Identifier: Apache-2.0\n";
  out += wrapped("// ", summary_, "// ");
  out += wrapped("// ", timing_, "// ");
  out += fmt::format("module {}", name_);
  if (!parameters_.empty()) {
    out += " #(\n";
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const std::size_t split = parameters_[i].find('\n');
      const std::string note = parameters_[i].substr(split + 1);
      out += fmt::format("  {}{}{}\n", parameters_[i].substr(0, split),
                         i + 1 < parameters_.size() ? "," : "", note.empty() ? "" : "  // " + note);
    }
    out += ")";
  }
  out += " (\n";
  for (std::size_t i = 0; i < port_lines_.size(); ++i) {
    out += fmt::format("  {}{}\n", port_lines_[i], i + 1 < port_lines_.size() ? "," : "");
  }
  out += ");\n";
  out += closed.with_unused_named();
  out += "endmodule\n";
  return out;
}

namespace {

// Calls see(begin, end) for every identifier of the text.
template <class See>
void for_each_word(std::string_view text, const See& see) {
  const auto in_word = [&](std::size_t at) {
    return std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '_';
  };
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && in_word(end)) ++end;
    if (end > at) see(at, end);
    at = end + (end > at ? 0 : 1);
  }
}

}  // namespace

std::string SvModule::with_unused_named() const {
  // Declared, and named once more: by what drives it.
  std::unordered_map<std::string_view, int> uses;
  for_each_word(body_, [&](std::size_t begin, std::size_t end) {
    ++uses[std::string_view(body_).substr(begin, end - begin)];
  });
  std::unordered_set<std::string_view> unused;
  for (const std::string& name : wires_) {
    const bool is_named = name.starts_with("unused") || taken("unused_" + name);
    if (!is_named && uses[name] == 2) unused.insert(name);
  }
  if (unused.empty()) return body_;
  std::string body;
  std::size_t done = 0;
  for_each_word(body_, [&](std::size_t begin, std::size_t end) {
    if (!unused.contains(std::string_view(body_).substr(begin, end - begin))) return;
    body.append(body_, done, begin - done);
    body += "unused_";
    done = begin;
  });
  body.append(body_, done);
  std::string fitted;
  for (std::size_t begin = 0; begin < body.size();) {
    const std::size_t end = std::min(body.find('\n', begin), body.size());
    const std::string line = body.substr(begin, end - begin);
    const std::size_t margin = std::min(line.find_first_not_of(' '), line.size());
    fitted += line.size() <= kColumns ? line + "\n"
                                      : wrapped(line.substr(0, margin), line.substr(margin));
    begin = end + 1;
  }
  return fitted;
}

std::string SvModule::bit(const std::string& vector, int width, int index) {
  FOLDSTREAM_CHECK(index >= 0 && index < width);
  return width == 1 ? vector : fmt::format("{}[{}]", vector, index);
}

std::string SvModule::slice(const std::string& vector, int width, int low, int count) {
  FOLDSTREAM_CHECK(low >= 0 && count >= 1 && low + count <= width);
  if (count == width) return vector;
  if (count == 1) return bit(vector, width, low);
  return fmt::format("{}[{}:{}]", vector, low + count - 1, low);
}

std::string SvModule::concat(const std::vector<std::string>& msb_first) {
  FOLDSTREAM_CHECK(!msb_first.empty());
  if (msb_first.size() == 1) return msb_first[0];
  std::string out = "{";
  for (std::size_t i = 0; i < msb_first.size(); ++i) out += (i == 0 ? "" : ", ") + msb_first[i];
  return out + "}";
}

std::string SvModule::number(int width, std::int64_t value) {
  return value < 0 ? fmt::format("-{}'sd{}", width, -value) : fmt::format("{}'d{}", width, value);
}

std::string SvModule::constant(const std::vector<bool>& bits) {
  FOLDSTREAM_CHECK(!bits.empty());
  std::vector<std::string> chunks;  // least significant first
  for (std::size_t low = 0; low < bits.size(); low += 64) {
    const std::size_t count = std::min<std::size_t>(64, bits.size() - low);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value |= std::uint64_t{bits[low + i]} << i;
    chunks.push_back(fmt::format("{}'h{:0{}x}", count, value, (count + 3) / 4));
  }
  std::reverse(chunks.begin(), chunks.end());
  return concat(chunks);
}

}  // namespace foldstream
