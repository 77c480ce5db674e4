// SPDX-License-Identifier: Apache-2.0
// A writer of structural SystemVerilog: one module with its ports, wires, assignments, instances
// and registers, printed in the order they were added. Names are checked, lines stay within 100
// columns, and equal calls give equal text.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace foldstream {

struct SvPort {
  std::string name;
  int width = 1;
  bool output = false;
};

// Parameters and connections as (formal, actual) pairs; an actual is any expression.
using SvBindings = std::vector<std::pair<std::string, std::string>>;

class SvModule {
 public:
  // `summary` says what the module does; `timing` gives latency, interval and capacity. They become
  // the header's two lines.
  SvModule(std::string name, std::string summary, std::string timing);

  void set_timing(std::string timing) { timing_ = std::move(timing); }  // when it is known last

  // Declarations of the header. A port of width 1 is a scalar. `width` may be an expression of
  // parameters.
  void parameter(std::string_view type, std::string_view name, std::string_view value,
                 std::string_view comment = "");
  void input(const std::string& name, int width = 1);
  void output(const std::string& name, int width = 1);
  void input(const std::string& name, const std::string& width);
  void output(const std::string& name, const std::string& width);

  // Items of the body. A name declared here is new, or was taken by fresh(). A wire that nothing
  // reads, as an instance's output may be, is printed as unused_<name>, which linters know.
  void comment(std::string_view text);  // a section's heading, after an empty line
  void localparam(std::string_view type, const std::string& name, std::string_view value);
  void wire(const std::string& name, int width = 1);  // declares `logic [width-1:0] name;`
  void wire(const std::string& name, const std::string& width);
  // The same, not to be optimized away or gathered with others: `(* keep *)`.
  void kept_wire(const std::string& name, int width);
  void assign(std::string_view target, std::string_view expression);
  void instance(std::string_view module, const std::string& name, const SvBindings& parameters,
                const SvBindings& connections);
  // target <= value at clk_i. Registers added one after another share one always_ff.
  void register_data(std::string_view target, std::string_view value);
  // The same for control: takes `reset` while rst_i is high.
  void register_control(std::string_view target, std::string_view value, std::string_view reset);
  void raw(std::string_view
               text);  // lines as they are, indented by two spaces; for what the calls above lack

  // The first of stem, stem_2, stem_3, ... that is not yet taken; takes it.
  std::string fresh(const std::string& stem);
  bool taken(const std::string& name) const { return names_.count(name) != 0; }

  const std::string& name() const { return name_; }
  const std::vector<SvPort>& ports() const { return ports_; }  // those of fixed width
  std::string text() const;

  // The SystemVerilog spelling of things.
  static std::string bit(const std::string& vector, int width,
                         int index);  // index 0 of a scalar is the scalar
  static std::string slice(const std::string& vector, int width, int low, int count);
  static std::string concat(
      const std::vector<std::string>& msb_first);            // {a, b}; one element stays bare
  static std::string number(int width, std::int64_t value);  // 8'd5, -8'sd5 for negative values
  // A constant of any width, bit 0 first in `bits`; broken into chunks of 64 bits.
  static std::string constant(const std::vector<bool>& bits);

 private:
  void take(const std::string& name);
  void port(const std::string& name, const std::string& range, bool output);
  void close_registers();
  std::string with_unused_named() const;  // the body

  std::string name_, summary_, timing_;
  std::vector<std::string> parameters_, port_lines_;
  std::vector<SvPort> ports_;
  std::unordered_set<std::string> names_, wires_;
  std::map<std::string, int> next_suffix_;
  std::string body_;
  std::vector<std::pair<std::string, std::string>> pending_data_;
  struct Control {
    std::string target, value, reset;
  };
  std::vector<Control> pending_control_;
};

}  // namespace foldstream
