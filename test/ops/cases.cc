// SPDX-License-Identifier: Apache-2.0
// Reads every line of src/ops/*/cases.txt, makes a node of it, checks what needs no simulation, and
// writes its modules with stimuli, results and rhythm for bench.cc. Of a design (design.fst of a
// folder that build wrote) it takes every distinct hardware node.
//
//   mvau in=u2[3,16] w:s2[8,16] t:ascending:s8[8,3] flip:u1[8] pe=4 simd=8
//   illegal mvau in=u2[16] w:s2[8,16] pe=3 | pe = 3 does not divide 8 output channels
//
// Operands `in=`, random constants `name:kind` with kind a type, `bipolar[...]`, `ternary[...]` or
// `ascending:type` or `even:type`, rows at even distances; attributes `name=integer`,
// `name=[list]`, `name=word`; `family=generic`, `family=ultrascale`; `frames=N`. With `scaled=1`
// thresholds become a multiplication as well, as on the way to a design.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <random>
#include <set>
#include <sstream>

#include "src/cost/cost.h"
#include "src/exec/crew.h"
#include "src/exec/program.h"
#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/ir/pass.h"
#include "src/ir/text.h"
#include "src/ir/verify.h"
#include "src/kernel/convert.h"
#include "src/kernel/level.h"
#include "src/rtl/rom.h"
#include "src/rtl/writable.h"
#include "src/sim/stream_graph.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

struct Case {
  std::string label;
  Graph graph;
  Node* node = nullptr;
  Family family = Family::xilinx;
  int64_t frames = 0;
};

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  fmt::print("FAILED {}\n  {}\n", where, what);
  std::exit(1);
}

std::vector<int64_t> parse_list(std::string text) {
  std::vector<int64_t> list;
  for (char& c : text) {
    if (c == '[' || c == ']' || c == ',') c = ' ';
  }
  std::istringstream in(text);
  for (int64_t value; in >> value;) list.push_back(value);
  return list;
}

Type parse_type(const std::string& text) {
  const size_t bracket = text.find('[');
  Type type = parse_element(text.substr(0, bracket));
  type.shape = parse_list(text.substr(bracket));
  return type;
}

std::vector<int64_t> random_values(const Type& type, std::mt19937_64& random) {
  std::vector<int64_t> values(type.count());
  const auto span = static_cast<uint64_t>(type.max() - type.min()) + 1;
  for (int64_t& value : values) value = type.min() + static_cast<int64_t>(random() % span);
  return values;
}

Tensor random_tensor(std::string kind, std::mt19937_64& random) {
  const auto opens_with = [&](const std::string& word) {
    if (kind.compare(0, word.size(), word) != 0) return false;
    kind = kind.substr(word.size());
    return true;
  };
  if (opens_with("bipolar")) {
    const Shape shape = parse_list(kind);
    std::vector<int64_t> values(element_count(shape));
    for (int64_t& value : values) value = (random() & 1) != 0 ? 1 : -1;
    return make_ints(shape, std::move(values));
  }
  if (opens_with("ternary")) {
    const Shape shape = parse_list(kind);
    std::vector<int64_t> values(element_count(shape));
    for (int64_t& value : values) value = static_cast<int64_t>(random() % 3) - 1;
    return make_ints(shape, std::move(values));
  }
  const bool ascending = opens_with("ascending:"), even = opens_with("even:");
  const Type type = parse_type(kind);
  std::vector<int64_t> values = random_values(type, random);
  if (even) {
    const int64_t count = type.shape.back(), span = type.max() - type.min();
    for (size_t row = 0; row < values.size(); row += count) {
      // In sixteenths, the largest distance at most four times the smallest.
      const int64_t least = span * 4 / count;
      const auto distance = least + static_cast<int64_t>(random() % (3 * least + 1));
      const auto first = static_cast<int64_t>(random() % (span * 16 - distance * (count - 1) + 1));
      for (int64_t i = 0; i < count; ++i) {
        values[row + i] = type.min() + (first + i * distance) / 16;
      }
    }
  }
  if (ascending) {
    for (size_t row = 0; row < values.size(); row += type.shape.back()) {
      std::sort(values.begin() + row, values.begin() + row + type.shape.back());
    }
  }
  return make_ints(type, std::move(values));
}

// The same line gives the same constants.
void read_case(const std::string& line, Case& c) {
  std::mt19937_64 random(std::hash<std::string>{}(line));
  std::istringstream words(line);
  std::string name, word;
  words >> name;
  const Op* op = find_op(name);
  if (op == nullptr) fail(line, "no such operator");
  c.graph.name = "case";
  std::vector<Value> in;
  std::map<std::string, Attr, std::less<>> attr;
  std::map<std::string, Tensor, std::less<>> data;
  while (words >> word) {
    const size_t at = word.find_first_of("=:");
    const std::string key = word.substr(0, at), value = word.substr(at + 1);
    if (word[at] == ':') {
      data[key] = random_tensor(value, random);
    } else if (key == "in") {
      const Type type = parse_type(value);
      Node& input = c.graph.add(require_op("input"), {}, fmt::format("x{}", in.size()),
                                {{"type", element_name(type)}, {"shape", type.shape}});
      in.push_back({&input, 0});
    } else if (key == "family") {
      c.family = value == "generic"      ? Family::generic
                 : value == "ultrascale" ? Family::ultrascale
                                         : Family::xilinx;
    } else if (key == "frames") {
      c.frames = std::stoll(value);
    } else if (value[0] == '[') {
      attr[key] = parse_list(value);
    } else if (std::isalpha(static_cast<unsigned char>(value[0])) != 0) {
      attr[key] = value;
    } else {
      attr[key] = std::stoll(value);
    }
  }
  const bool scaled = attr.contains("scaled");
  c.node = &c.graph.add(*op, std::move(in), "node", std::move(attr), std::move(data));
  if (scaled) run_pass(*find_pass("scale_thresholds"), c.graph);
  for (size_t port = 0; port < c.node->out.size(); ++port) {
    c.graph.outputs.push_back({fmt::format("y{}", port), {c.node, static_cast<int>(port)}});
  }
}

void expect_error(const std::string& line) {
  const size_t bar = line.find(" | ");
  const std::string node = line.substr(0, bar), expected = line.substr(bar + 3);
  Case c;
  try {
    read_case(node, c);
    c.node->op->ports(*c.node);
  } catch (const Error& error) {
    const std::string text = std::string(error.what()) + "; " + error.help();
    if (text.find(expected) == std::string::npos) fail(line, "the error is: " + text);
    return;
  }
  fail(line, "no error");
}

void check_text(const Case& c) {
  const std::string text = print(c.graph);
  const Graph read = parse(text);
  verify(read);
  if (print(read) != text) fail(c.label, "the text form does not come back the same");
}

// A step more than the largest legal folding is refused, and the error says what is legal.
void check_folds(const Case& c) {
  if (c.node->op->folds == nullptr) return;
  for (const Fold& fold : c.node->op->folds(*c.node)) {
    Node illegal = *c.node;
    illegal.attr[fold.attr] = fold.legal.back() + 1;
    const std::string legal = fmt::format("legal values are {}", fmt::join(fold.legal, ", "));
    try {
      illegal.op->ports(illegal);
      fail(c.label, fmt::format("{} = {} is not refused", fold.attr, fold.legal.back() + 1));
    } catch (const Error& error) {
      if (error.help() != legal) fail(c.label, "illegal folding: the help is: " + error.help());
    }
  }
}

// Decision record 7: a step takes from several inputs only where registers hold their beats. And
// the steps move what the streams have, which the stream graph checks.
void check_holds(const Case& c, const Rhythm& rhythm) {
  for (const Block& block : rhythm.frame) {
    for (const Phase& phase : block.phases) {
      const int inputs = std::popcount(phase.take) + (rhythm.store && phase.acquire > 0 ? 1 : 0);
      if (inputs > 1 && rhythm.hold == 0)
        fail(c.label, "a step takes from several inputs, and no register holds their beats");
    }
  }
  stream_graph(c.graph, c.family, WeightStreams::shown);
}

// A memory outside is what the operator said before its hardware was written, and costs what it
// would inside.
void check_memories(const Case& c, const Hardware& hardware) {
  std::vector<MemoryShape> shapes;
  for (const OutsideMemory& memory : hardware.outside) {
    shapes.push_back(memory.shape);
    if (static_cast<int64_t>(memory.words.size()) != memory.shape.depth)
      fail(c.label,
           fmt::format("memory '{}' has {} words", memory.shape.name, memory.words.size()));
  }
  if (memory_place(*c.node) == MemoryPlace::inside) {
    if (!shapes.empty()) fail(c.label, "has a memory outside that it should have inside");
  } else if (c.node->op->memories == nullptr ||
             hardware.outside[0].place != memory_place(*c.node)) {
    fail(c.label, "has a memory elsewhere than it should");
  } else if (shapes != c.node->op->memories(*c.node, c.family)) {
    fail(c.label, "the memories outside are others than the operator says");
  }
}

// What the CPU twin makes of the operands of several frames is what the operator's meaning makes of
// them, at every level of instructions.
class TwinCheck {
 public:
  explicit TwinCheck(const Case& c) : case_(c) {}

  void add_frame(const std::vector<Tensor>& in, const std::vector<Tensor>& out) {
    frames_.push_back({in, out});
  }

  void check() const {
    const auto frames = static_cast<int64_t>(frames_.size());
    exec::Crew crew(1);
    for (const std::string& level : kernel::levels()) {
      const exec::Program program(case_.graph, {.level = level});
      std::vector<std::vector<std::byte>> in, out;
      for (size_t port = 0; port < program.inputs().size(); ++port) {
        const Storage& storage = program.inputs()[port].storage;
        in.emplace_back(frames * storage.bytes());
        for (int64_t f = 0; f < frames; ++f) {
          kernel::store(frames_[f].in[port], storage, in.back().data() + f * storage.bytes());
        }
      }
      for (const exec::Port& port : program.outputs()) {
        out.emplace_back(frames * port.storage.bytes());
      }
      std::vector<const void*> from;
      std::vector<void*> to;
      for (const auto& memory : in) from.push_back(memory.data());
      for (auto& memory : out) to.push_back(memory.data());
      program.run(from, to, frames, crew);
      for (size_t port = 0; port < out.size(); ++port) {
        const Storage& storage = program.outputs()[port].storage;
        Tensor found = make_zero(program.outputs()[port].type);
        for (int64_t f = 0; f < frames; ++f) {
          kernel::load(storage, out[port].data() + f * storage.bytes(), found);
          if (found.ints == frames_[f].out[port].ints) continue;
          fail(case_.label, fmt::format("the CPU twin at {} gives other integers in frame {}, "
                                        "result {}",
                                        level, f, port));
        }
      }
    }
  }

 private:
  struct Frame {
    std::vector<Tensor> in, out;
  };
  const Case& case_;
  std::vector<Frame> frames_;
};

std::string hex(const std::vector<bool>& bits) {
  std::string text;
  for (size_t digit = (bits.size() + 3) / 4; digit-- > 0;) {
    int value = 0;
    for (size_t b = 4 * digit; b < std::min(4 * digit + 4, bits.size()); ++b) {
      value |= static_cast<int>(bits[b]) << (b - 4 * digit);
    }
    text += "0123456789abcdef"[value];
  }
  return text;
}

void write_beats(std::ostream& out, const Stream& stream, const Tensor& frame) {
  if (stream.lanes * stream.beats != frame.count()) fail("streams", "beats don't make up a frame");
  for (int64_t beat = 0; beat < stream.beats; ++beat) {
    std::vector<bool> bits;
    for (int64_t lane = 0; lane < stream.lanes; ++lane) {
      const int64_t value = frame.ints[beat * stream.lanes + lane];
      for (int64_t b = 0; b < stream.bits; ++b) bits.push_back((value >> b & 1) != 0);
    }
    out << hex(bits) << '\n';
  }
}

// A frame's stream of weights.
void write_words(std::ostream& out, const OutsideMemory& memory) {
  for (int64_t read = 0; read < memory.shape.reads; ++read) {
    for (const std::vector<bool>& word : memory.words) out << hex(word) << '\n';
  }
}

class Bench {
 public:
  explicit Bench(std::filesystem::path folder)
      : folder_(std::move(folder)), data_(folder_ / "cases.data"), costs_(folder_ / "costs.txt") {}

  void add(const Case& c) {
    const Node& node = *c.node;
    const std::string instance = fmt::format("dut_{}", count_++);
    Ports ports = node.op->ports(node);
    const Rhythm rhythm = node.op->rhythm(node, c.family);
    const Hardware hardware = node.op->emit(node, c.family, instance);
    write(hardware);
    for (const OutsideMemory& memory : hardware.outside) {
      const std::string module = instance + "_" + memory.shape.name;
      if (memory.place == MemoryPlace::streamed) {
        ports.in.push_back(weight_stream(memory.shape));
      } else {
        write(has_bus(memory) ? writable_memory(module, memory)
                              : private_rom(module, memory, memory_latency(node)));
      }
    }
    check_memories(c, hardware);
    const Cost cost = node_cost(node, c.family);
    costs_ << fmt::format("{:.0f} {:.0f} {:.0f} {:.0f}\n", cost.lut, cost.ff, cost.bram18,
                          cost.dsp);
    connect(instance, hardware, ports);

    check_holds(c, rhythm);
    const int64_t steps = rhythm.steps();
    const int64_t frames = c.frames != 0 ? c.frames : std::clamp<int64_t>(1500 / steps, 4, 200);
    data_ << "case " << c.label << '\n';
    data_ << rhythm.depth << ' ' << rhythm.queue << ' ' << steps << ' ' << rhythm.store.has_value()
          << ' ' << frames << ' ' << ports.in.size() << ' ' << ports.out.size() << '\n';
    std::vector<Phase> phases;
    for (const Block& block : rhythm.frame) {
      for (int64_t i = 0; i < block.repeat; ++i) {
        phases.insert(phases.end(), block.phases.begin(), block.phases.end());
      }
    }
    data_ << phases.size() << '\n';
    for (const Phase& p : phases) {
      data_ << p.steps << ' ' << p.take << ' ' << p.give << ' ' << p.acquire << ' ' << p.release
            << '\n';
    }
    for (size_t i = 0; i < ports.in.size(); ++i)
      data_ << (i == 0 && rhythm.store ? rhythm.store->room : rhythm.hold) << '\n';
    for (const auto* side : {&ports.in, &ports.out}) {
      for (const Stream& s : *side) data_ << s.width() << ' ' << s.beats << '\n';
    }
    TwinCheck twin(c);
    std::mt19937_64 random(count_);
    for (int64_t frame = 0; frame < frames; ++frame) {
      std::vector<Tensor> in;
      std::vector<const Tensor*> operands;
      for (const Value& value : node.in) {
        in.push_back(make_ints(value.type(), random_values(value.type(), random)));
      }
      for (const Tensor& tensor : in) operands.push_back(&tensor);
      const std::vector<Tensor> out = evaluate_node(node, operands);
      for (size_t i = 0; i < in.size(); ++i) write_beats(data_, ports.in[i], in[i]);
      for (const OutsideMemory& memory : hardware.outside) {
        if (memory.place == MemoryPlace::streamed) write_words(data_, memory);
      }
      for (size_t i = 0; i < out.size(); ++i) write_beats(data_, ports.out[i], out[i]);
      twin.add_frame(in, out);
    }
    twin.check();
  }

  void finish() {
    std::ofstream top(folder_ / "bench.sv");
    top << fmt::format(
        "// SPDX-License-Identifier: Apache-2.0\n// Every case, side by side.\nmodule bench (\n"
        "  input  logic clk_i,\n  input  logic rst_i,\n"
        "  input  logic [{0}:0] s_valid_i,\n  output logic [{0}:0] s_ready_o,\n"
        "  input  logic [{1}:0] s_data_i,\n  output logic [{2}:0] m_valid_o,\n"
        "  input  logic [{2}:0] m_ready_i,\n  output logic [{3}:0] m_data_o\n);\n",
        padded(inputs_) - 1, 32 * padded(input_words_) - 1, padded(outputs_) - 1,
        32 * padded(output_words_) - 1);
    top << body_ << "endmodule\n";
    std::ofstream list(folder_ / "modules.txt");
    for (const std::string& name : modules_) list << name << '\n';
    std::ofstream cells(folder_ / "cells.txt");
    for (const std::string& name : cells_) cells << name << '\n';
  }

 private:
  // More than 64 bits, so that Verilator's type is the same for all ports.
  static int64_t padded(int64_t count) { return std::max<int64_t>(count, 65); }

  void write(const TextFile& file) { std::ofstream(folder_ / file.name) << file.text; }

  void write(const Hardware& hardware) {
    for (const TextFile& file : hardware.modules) {
      write(file);
      modules_.push_back(file.name);
    }
    for (const TextFile& file : hardware.memories) write(file);
    cells_.insert(hardware.cells.begin(), hardware.cells.end());
  }

  // No bus writes here, so UltraRAM, which would be empty, is constant.
  static bool has_bus(const OutsideMemory& memory) { return memory.on_bus() && !memory.ultra; }

  void connect(const std::string& instance, const Hardware& hardware, const Ports& ports) {
    std::string parameters;
    for (const auto& [name, value] : hardware.parameters) {
      parameters += fmt::format("{}.{}({})", parameters.empty() ? "" : ", ", name, value);
    }
    std::string connections = "    .clk_i, .rst_i";
    const auto prefix = [](char side, size_t port, size_t of) {
      return of == 1 ? std::string(1, side) : fmt::format("{}{}", side, port);
    };
    size_t weights = 0;  // of the inputs, the last ones
    for (const OutsideMemory& memory : hardware.outside)
      weights += memory.place == MemoryPlace::streamed ? 1 : 0;
    const size_t operands = ports.in.size() - weights;
    for (size_t i = 0; i < ports.in.size(); ++i) {
      const std::string s =
          i < operands ? prefix('s', i, operands) : hardware.outside[i - operands].shape.name;
      connections += fmt::format(
          ",\n    .{0}_valid_i(s_valid_i[{1}]), .{0}_ready_o(s_ready_o[{1}]), "
          ".{0}_data_i(s_data_i[{2}+:{3}])",
          s, inputs_, 32 * input_words_, ports.in[i].width());
      ++inputs_;
      input_words_ += (ports.in[i].width() + 31) / 32;
    }
    for (size_t i = 0; i < ports.out.size(); ++i) {
      const std::string m = prefix('m', i, ports.out.size());
      connections += fmt::format(
          ",\n    .{0}_valid_o(m_valid_o[{1}]), .{0}_ready_i(m_ready_i[{1}]), "
          ".{0}_data_o(m_data_o[{2}+:{3}])",
          m, outputs_, 32 * output_words_, ports.out[i].width());
      ++outputs_;
      output_words_ += (ports.out[i].width() + 31) / 32;
    }
    for (const OutsideMemory& memory : hardware.outside) {
      if (memory.place == MemoryPlace::streamed) continue;
      const MemoryShape& shape = memory.shape;
      const std::string name = instance + "_" + shape.name;
      connections += fmt::format(",\n    .{0}_address_o({1}_address), .{0}_word_i({1}_word)",
                                 shape.name, name);
      std::string bus;
      if (has_bus(memory)) {
        body_ += fmt::format("  logic [31:0] {0}_bus;\n  logic {0}_mapped;\n", name);
        bus = fmt::format(
            ", .bus_write_i(1'b0), .bus_address_i('0), .bus_data_i('0), .bus_data_o({0}_bus), "
            ".bus_mapped_o({0}_mapped)",
            name);
      }
      body_ += fmt::format(
          "  logic [{1}:0] {0}_address;\n  logic [{2}:0] {0}_word;\n  {0} u_{0} (.clk_i, "
          ".address_i({0}_address), .word_o({0}_word){3});\n",
          name, shape.address_bits() - 1, shape.width - 1, bus);
    }
    body_ += fmt::format("  {}{} u_{} (\n{}\n  );\n", hardware.top,
                         parameters.empty() ? "" : fmt::format(" #({})", parameters), instance,
                         connections);
  }

  std::filesystem::path folder_;
  std::ofstream data_,
      costs_;  // costs: LUT, FF, block memories and DSP blocks of each case, for bench/
  std::string body_;
  std::vector<std::string> modules_;
  std::set<std::string> cells_;
  int64_t count_ = 0, inputs_ = 0, outputs_ = 0, input_words_ = 0, output_words_ = 0;
};

// A frame of so many pixels a side at most. It keeps the parity of each side, so that strides of
// two end on the same side of the last pixel.
Shape smaller(Shape shape, int64_t side) {
  if (shape.size() != 4) return shape;
  for (const int d : {1, 2}) {
    if (shape[d] > side) shape[d] = side + (shape[d] - side) % 2;
  }
  return shape;
}

Case alone(const Node& node, int64_t side) {
  Case c;
  c.label = describe(node) + ":";
  c.graph.name = "case";
  std::vector<Value> in;
  for (const Value& operand : node.in) {
    const Type& type = operand.type();
    const Shape shape = smaller(type.shape, side);
    c.label += fmt::format(" {}", to_string(type));
    if (shape != type.shape) c.label += fmt::format(" as {}", to_string(shape));
    Node& input = c.graph.add(require_op("input"), {}, fmt::format("x{}", in.size()),
                              {{"type", element_name(type)}, {"shape", shape}});
    in.push_back({&input, 0});
  }
  c.node = &c.graph.add(*node.op, std::move(in), "node", node.attr, node.data);
  for (size_t port = 0; port < c.node->out.size(); ++port) {
    c.graph.outputs.push_back({fmt::format("y{}", port), {c.node, static_cast<int>(port)}});
  }
  return c;
}

// What nodes of one shape have in common: all but the values of their constants.
std::string shape_of(const Node& node) {
  Node bare = node;
  bare.attr.erase("queue");
  std::string text(node.op->name);
  for (const Value& operand : node.in) text += " " + to_string(operand.type());
  for (const auto& [name, tensor] : node.data) text += " " + name + " " + to_string(tensor.type);
  for (const auto& [name, value] : bare.attr) {
    text += " " + name + " ";
    std::visit([&](const auto& v) { text += fmt::format("{}", v); }, value);
  }
  return text;
}

// Of each node the largest frame that the bench walks through in a bearable time. A kernel keeps
// five pixels a side for its first, inner and last positions; what fits no smaller frame stays as
// it is.
int64_t add_design(Bench& bench, const Graph& core, Family family) {
  constexpr int64_t kMostSteps = 8000, kWhole = std::numeric_limits<int64_t>::max();
  std::set<std::string> seen;
  for (const Node& node : core.nodes) {
    if (node.op->kind != Op::Kind::hardware || !seen.insert(shape_of(node)).second) continue;
    Case chosen;
    for (const int64_t side :
         {kWhole, int64_t{11}, int64_t{7}, int64_t{5}, int64_t{3}, int64_t{1}}) {
      if (side < 5 && node.attr.contains("kernel")) break;
      try {
        chosen = alone(node, side);
      } catch (const Error&) {
        break;
      }
      if (chosen.node->op->rhythm(*chosen.node, family).steps() <= kMostSteps) break;
    }
    // A queue that is as short as the design allows may not keep the full rate that the bench asks
    // of each node.
    if (const int64_t queue = chosen.node->integer("queue", 0); queue > 0) {
      chosen.node->attr.erase("queue");
      if (chosen.node->op->rhythm(*chosen.node, family).queue < queue) {
        chosen.node->attr["queue"] = queue;
      }
    }
    chosen.family = family;
    chosen.frames = chosen.node->op->rhythm(*chosen.node, family).steps() <= kMostSteps ? 4 : 2;
    bench.add(chosen);
  }
  return static_cast<int64_t>(seen.size());
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace
}  // namespace foldstream

int main(int argc, char** argv) {
  using namespace foldstream;
  if (argc < 3) {
    std::cerr << "usage: ops_cases OUTPUT_FOLDER CASES_FILE|DESIGN.fst...\n";
    return 2;
  }
  Bench bench(argv[1]);
  int64_t cases = 0, errors = 0;
  for (int i = 2; i < argc; ++i) {
    if (std::string(argv[i]).ends_with(".fst")) {
      try {
        cases += add_design(bench, parse(text_of(argv[i])), Family::xilinx);
      } catch (const Error& error) {
        fail(argv[i], std::string(error.what()) + "; " + error.help());
      }
      continue;
    }
    std::ifstream file(argv[i]);
    for (std::string line; std::getline(file, line);) {
      if (line.empty() || line[0] == '#') continue;
      if (line.rfind("illegal ", 0) == 0) {
        expect_error(line.substr(8));
        ++errors;
        continue;
      }
      Case c;
      c.label = line;
      try {
        read_case(line, c);
        check_text(c);
        check_folds(c);
        bench.add(c);
      } catch (const Error& error) {
        fail(line, std::string(error.what()) + "; " + error.help() + "\n" + print(c.graph));
      }
      ++cases;
    }
  }
  bench.finish();
  fmt::print("{} cases: text form and folding as they should be; {} errors as expected\n", cases,
             errors);
  return 0;
}
