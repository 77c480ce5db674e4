// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/stitch.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <functional>
#include <set>

#include "src/ir/op.h"
#include "src/rtl/axilite.h"
#include "src/rtl/library.h"
#include "src/rtl/rom.h"
#include "src/rtl/sv_module.h"
#include "src/util/error.h"
#include "src/util/names.h"
#include "src/util/parallel.h"

namespace foldstream {
namespace {

// Reserved words of SystemVerilog.
constexpr std::string_view kKeywords =
    " alias always always_comb always_ff always_latch and assert assign assume automatic"
    " begin bind bit break buf byte case cell checker class clocking config const cover"
    " default design disable do edge else end enum event export final for force forever"
    " fork function generate genvar global if import incdir include initial inout input"
    " inside instance int integer join large let library local logic longint macromodule"
    " matches medium modport module nand negedge new nor not null or output package packed"
    " parameter posedge primitive priority program property protected pure rand real ref"
    " reg release repeat restrict return scalared sequence signed small solve specify"
    " static string strong struct super supply0 supply1 table tagged task this time tran"
    " tri type typedef union unique unsigned until use var vectored virtual void wait weak"
    " while wire with within xnor xor ";

// Letters, digits and single underscores, none at the ends.
std::string word_of(const std::string& text) {
  std::string word;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += c;
    } else if (!word.empty() && word.back() != '_') {
      word += '_';
    }
  }
  while (!word.empty() && word.back() == '_') word.pop_back();
  return word;
}

std::string unique(const std::string& stem, std::set<std::string>& taken) {
  std::string name = stem;
  for (int i = 2; !taken.insert(name).second; ++i) name = fmt::format("{}_{}", stem, i);
  return name;
}

// "s" alone, "s0", "s1" of several.
std::string prefix_of(char side, size_t index, size_t count) {
  return count == 1 ? std::string(1, side) : fmt::format("{}{}", side, index);
}

std::string describe(const Stream& stream) {
  return fmt::format("{} lanes of {} bits, {} beats a frame", stream.lanes, stream.bits,
                     stream.beats);
}

// One stream in the top: its source and its taker, either of which may be the design's edge.
struct Wire {
  std::string stem;  // <stem>_valid, <stem>_ready, <stem>_data
  Stream stream;
  std::string from;  // for messages
  int takers = 0;
};

class Stitcher {
 public:
  Stitcher(const Graph& core, Family family) : core_(core) {
    design_.family = family;
    design_.name = module_name(core.name);
    design_.memory_clock_ratio = memory_clock_ratio(core);
    for (const char* top : {"axis", "accelerator", "ip", "probe"}) {
      tops_.insert(fmt::format("nodes/{}_{}.sv", design_.name, top));
    }
  }

  Design run() {
    name_nodes();
    for (const Node& node : core_.nodes) {
      if (node.op->kind == Op::Kind::hardware) connect_operands(node);
    }
    connect_outputs();
    check_takers();
    emit_nodes();
    design_.files[design_.name + ".sv"] = top(false).text();
    design_.probe = top(true).text();
    const SvModule axis = axi_top();
    design_.axis_ports = axis.ports();
    design_.files[design_.name + "_axis.sv"] = axis.text();
    design_.files.merge(library_.files(cells_));
    add_lists();
    return std::move(design_);
  }

 private:
  static Value through_views(Value value) {
    while (value.node->op->kind == Op::Kind::view) value = value.node->in.at(0);
    return value;
  }

  void name_nodes() {
    size_t inputs = 0;
    for (const Node& node : core_.nodes) inputs += node.op->kind == Op::Kind::input ? 1 : 0;
    for (const Node& node : core_.nodes) {
      if (node.op->kind == Op::Kind::input) {
        design_.inputs.push_back(
            {prefix_of('s', design_.inputs.size(), inputs), node.name, {}, node.out[0]});
        wires_[{const_cast<Node*>(&node), 0}] = {design_.inputs.back().prefix, {}, "the input", 0};
      } else if (node.op->kind == Op::Kind::hardware) {
        const std::string word = word_of(node.name);
        stems_[&node] = unique(word.empty() ? std::string(node.op->name) : word, taken_);
        ports_.emplace(&node, node.op->ports(node));
        const Ports& node_ports = ports_.at(&node);
        for (size_t port = 0; port < node_ports.out.size(); ++port) {
          const std::string stem =
              node_ports.out.size() == 1
                  ? stems_.at(&node)
                  : unique(fmt::format("{}_{}", stems_.at(&node), port), taken_);
          wires_[{const_cast<Node*>(&node), static_cast<int>(port)}] = {
              stem, node_ports.out[port], foldstream::describe(node), 0};
        }
      } else if (node.op->kind != Op::Kind::view) {
        throw Error(fmt::format("{} can't be hardware", foldstream::describe(node)),
                    "only integer operators between the first and the last quantizer can");
      }
    }
  }

  void connect_operands(const Node& node) {
    const Ports& ports = ports_.at(&node);
    FOLDSTREAM_CHECK(ports.in.size() == node.in.size());
    for (size_t port = 0; port < node.in.size(); ++port) {
      const Value source = through_views(node.in[port]);
      Wire& wire = wires_.at(source);
      ++wire.takers;
      if (source.node->op->kind == Op::Kind::input) {
        wire.stream = ports.in[port];
        for (DesignPort& input : design_.inputs) {
          if (input.name == source.node->name) input.stream = ports.in[port];
        }
        continue;
      }
      if (wire.stream != ports.in[port]) {
        throw Error(fmt::format("{} gives {}, but {} takes {}", wire.from, describe(wire.stream),
                                foldstream::describe(node), describe(ports.in[port])),
                    "put a width_converter between them");
      }
      design_.edges.push_back(
          {wire.stem, source.node->name, source.port, node.name, wire.stream, source.type()});
    }
  }

  void connect_outputs() {
    for (const Output& output : core_.outputs) {
      const Value source = through_views(output.value);
      if (source.node->op->kind != Op::Kind::hardware) {
        throw Error(fmt::format("output '{}' is not computed by a hardware node", output.name));
      }
      Wire& wire = wires_.at(source);
      ++wire.takers;
      design_.outputs.push_back({prefix_of('m', design_.outputs.size(), core_.outputs.size()),
                                 output.name, wire.stream, output.value.type()});
    }
  }

  void check_takers() const {
    for (const auto& [value, wire] : wires_) {
      if (wire.takers == 1) continue;
      if (wire.takers > 1) {
        throw Error(fmt::format("result {} of {} is used {} times, but a stream has one taker",
                                value.port, foldstream::describe(*value.node), wire.takers),
                    "put a fork behind it");
      }
      if (value.node->op->kind == Op::Kind::input) {
        throw Error(fmt::format("input '{}' is used by no hardware node", value.node->name));
      }
    }
  }

  void emit_nodes() {
    std::vector<const Node*> nodes;
    for (const Node& node : core_.nodes) {
      if (node.op->kind == Op::Kind::hardware) nodes.push_back(&node);
    }
    std::vector<Hardware> emitted(nodes.size());
    parallel_for(nodes.size(), [&](size_t i) {
      const std::string module = fmt::format("{}_{}", design_.name, stems_.at(nodes[i]));
      emitted[i] = nodes[i]->op->emit(*nodes[i], design_.family, module);
    });
    for (size_t i = 0; i < nodes.size(); ++i) {
      const Node& node = *nodes[i];
      Hardware& hardware = emitted[i];
      // What a node calls the modules inside of its own may be what another node is called.
      const std::string module = fmt::format("{}_{}", design_.name, stems_.at(nodes[i]));
      for (int number = 2; collides(hardware); ++number) {
        hardware = node.op->emit(node, design_.family, fmt::format("{}_{}", module, number));
      }
      add_files(hardware);
      design_.nodes.push_back({node.name,
                               std::string(node.op->name),
                               "u_" + stems_.at(&node),
                               hardware.top,
                               std::move(hardware.parameters),
                               {}});
      for (OutsideMemory& memory : hardware.outside) {
        const std::string stem =
            unique(fmt::format("{}_{}", stems_.at(&node), memory.shape.name), taken_);
        if (memory.place == MemoryPlace::streamed) {
          design_.weights.push_back({stem, weights_name(node, memory.shape), node.name,
                                     memory.shape, weight_stream(memory.shape),
                                     std::move(memory.words)});
          continue;
        }
        const std::string module = fmt::format("{}_{}", design_.name, stem);
        std::vector<SharedPart> parts = shared_parts(node);
        Hardware hardware_of = memory.on_bus() ? writable_memory(module, memory)
                               : parts.empty()
                                   ? private_rom(module, memory, memory_latency(node))
                                   : shared_memory(module, memory, memory_latency(node), parts);
        for (const SharedPart& part : parts) place(node, memory, part);
        add_files(hardware_of);
        DesignMemory& entry = design_.nodes.back().memories.emplace_back(
            DesignMemory{memory.shape, stem, "u_" + stem, hardware_of.top,
                         std::move(hardware_of.parameters), std::move(parts)});
        if (memory.on_bus()) entry.bus_address = 0;
        if (memory.place == MemoryPlace::loaded) entry.first_words = std::move(memory.words);
      }
    }
    emit_banks();
    place_on_bus();
  }

  // Takes the words of a part to its place in its bank.
  void place(const Node& node, const OutsideMemory& memory, const SharedPart& shared) {
    const MemoryPart& part = shared.part;
    const auto [it, added] = bank_of_.try_emplace(shared.bank);
    BankWords& bank = it->second;
    if (added) bank.bank = {shared.mode, shared.blocks, {}};
    const auto at = static_cast<size_t>(shared.place);
    const bool fits = at < static_cast<size_t>(2 * design_.memory_clock_ratio) &&
                      bank.bank.mode == shared.mode && bank.bank.blocks == shared.blocks &&
                      (at >= bank.contents.size() || bank.contents[at].empty());
    const int64_t latency = design_.memory_clock_ratio > 1 ? 2 : 1;
    if (!fits || memory_latency(node) != latency) {
      throw Error(fmt::format("{}: a part of its memory doesn't fit bank {}",
                              foldstream::describe(node), shared.bank),
                  "let the memories be packed again");
    }
    if (at >= bank.contents.size()) {
      bank.contents.resize(at + 1);
      bank.bank.parts.resize(at + 1);
    }
    bank.bank.parts[at] = part;
    for (int64_t word = 0; word < part.words; ++word) {
      const auto first = memory.words[part.first_word + word].begin() + part.first_bit;
      bank.contents[at].emplace_back(first, first + part.bits);
    }
  }

  void emit_banks() {
    for (auto& [id, words] : bank_of_) {
      for (const auto& content : words.contents) {
        if (content.empty()) {
          throw Error(fmt::format("bank {} of shared memories lacks a part", id),
                      "let the memories be packed again");
        }
      }
      const std::string stem = unique(fmt::format("bank_{}", id), taken_);
      Hardware hardware = memory_bank(fmt::format("{}_{}", design_.name, stem), words.bank,
                                      words.contents, design_.memory_clock_ratio);
      add_files(hardware);
      bank_stems_[id] = stem;
      design_.banks.push_back({words.bank, stem, "u_" + stem, hardware.top});
    }
  }

  // The larger a region, the lower its address, so that each begins at a multiple of its size.
  void place_on_bus() {
    std::vector<DesignMemory*> regions;
    for (DesignNode& node : design_.nodes) {
      for (DesignMemory& memory : node.memories) {
        if (memory.bus_address) regions.push_back(&memory);
      }
    }
    if (regions.empty()) return;
    const auto bits = [](const DesignMemory* memory) {
      return BusRegion(memory->shape).address_bits;
    };
    std::stable_sort(regions.begin(), regions.end(),
                     [&](const auto* a, const auto* b) { return bits(a) > bits(b); });
    int64_t next = 0;
    for (DesignMemory* memory : regions) {
      memory->bus_address = next;
      next += int64_t{1} << bits(memory);
    }
    design_.bus_address_bits = std::bit_width(static_cast<uint64_t>(next - 1));
    constexpr int64_t kMostBits = 30;  // 4 GiB of bytes
    if (design_.bus_address_bits > kMostBits) {
      throw Error("the writable memories need more than 4 GiB of addresses",
                  "make fewer nodes writable");
    }
  }

  std::string part_wires(const SharedPart& part) const {
    return fmt::format("{}_part{}", bank_stems_.at(part.bank), part.place);
  }

  static std::string module_path(const TextFile& file) {
    return fmt::format("nodes/{}{}", file.name, file.name.ends_with(".sv") ? "" : ".sv");
  }

  // Whether a file of it is there already with another text, or its module is one of the tops.
  bool collides(const Hardware& hardware) const {
    const auto differs = [&](const std::string& path, const std::string& text) {
      const auto it = design_.files.find(path);
      return it != design_.files.end() && it->second != text;
    };
    return std::ranges::any_of(hardware.modules,
                               [&](const TextFile& file) {
                                 return tops_.contains(module_path(file)) ||
                                        differs(module_path(file), file.text);
                               }) ||
           std::ranges::any_of(hardware.memories,
                               [&](const TextFile& file) { return differs(file.name, file.text); });
  }

  void add_files(Hardware& hardware) {
    if (collides(hardware)) {
      throw Error(fmt::format("two nodes have need of a module called '{}'", hardware.top),
                  "rename one of them");
    }
    for (TextFile& file : hardware.modules) add_file(module_path(file), std::move(file.text));
    for (TextFile& file : hardware.memories) add_file(file.name, std::move(file.text));
    cells_.insert(hardware.cells.begin(), hardware.cells.end());
    if (library_.has(hardware.top)) cells_.insert(hardware.top);
  }

  void add_file(const std::string& path, std::string text) {
    const auto [it, added] = design_.files.try_emplace(path, text);
    FOLDSTREAM_CHECK(added || it->second == text);
  }

  // Values in a fixed order: the graph's, not that of addresses.
  void for_each_wire(const std::function<void(const Value&, const Wire&)>& see) const {
    for (const Node& node : core_.nodes) {
      for (size_t port = 0; port < node.out.size(); ++port) {
        const Value value{const_cast<Node*>(&node), static_cast<int>(port)};
        const auto it = wires_.find(value);
        if (it != wires_.end()) see(value, it->second);
      }
    }
  }

  // Everything that comes from outside, by the prefix of its ports: operands, then weights.
  std::vector<std::pair<std::string, Stream>> streams_in() const {
    std::vector<std::pair<std::string, Stream>> streams;
    for (const DesignPort& port : design_.inputs) streams.emplace_back(port.prefix, port.stream);
    for (const DesignWeights& weights : design_.weights)
      streams.emplace_back(weights.prefix, weights.stream);
    return streams;
  }

  SvModule top(bool probe) const {
    SvModule module(
        probe ? design_.name + "_probe" : design_.name,
        fmt::format("Network {}: {} nodes joined by streams.", design_.name, design_.nodes.size()),
        "Every valid and every ready is a function of registers alone.");
    module.input("clk_i");
    module.input("rst_i");
    if (design_.memory_clock_ratio > 1) module.input("memory_clk_i");
    for (const auto& [prefix, stream] : streams_in()) {
      module.input(prefix + "_valid_i");
      module.output(prefix + "_ready_o");
      module.input(prefix + "_data_i", static_cast<int>(stream.width()));
    }
    for (const DesignPort& port : design_.outputs) {
      module.output(port.prefix + "_valid_o");
      module.input(port.prefix + "_ready_i");
      module.output(port.prefix + "_data_o", static_cast<int>(port.stream.width()));
    }
    for (size_t i = 0; probe && i < design_.edges.size(); ++i) {
      module.output(fmt::format("p{}_valid_o", i));
      module.output(fmt::format("p{}_ready_o", i));
      module.output(fmt::format("p{}_data_o", i),
                    static_cast<int>(design_.edges[i].stream.width()));
    }
    for_each_wire([&](const Value& value, const Wire& wire) {
      if (value.node->op->kind == Op::Kind::input || is_output(value)) return;
      module.wire(wire.stem + "_valid");
      if (wire.takers > 0) module.wire(wire.stem + "_ready");
      module.wire(wire.stem + "_data", static_cast<int>(wire.stream.width()));
    });
    for (const DesignBank& bank : design_.banks) instantiate(bank, module);
    if (design_.bus_address_bits > 0) add_bus(module);
    size_t index = 0;
    for (const Node& node : core_.nodes) {
      if (node.op->kind != Op::Kind::hardware) continue;
      instantiate(node, design_.nodes[index++], module);
    }
    for_each_wire([&](const Value& value, const Wire& wire) {
      if (value.node->op->kind == Op::Kind::hardware && wire.takers == 0) {
        // A result that nobody needs is taken and dropped.
        module.raw(
            fmt::format("logic unused_{0};\nassign unused_{0} = &{{1'b0, {0}_valid, "
                        "{0}_data}};",
                        wire.stem));
      }
    });
    for (size_t i = 0; probe && i < design_.edges.size(); ++i) {
      module.assign(fmt::format("p{}_valid_o", i), design_.edges[i].name + "_valid");
      module.assign(fmt::format("p{}_ready_o", i), design_.edges[i].name + "_ready");
      module.assign(fmt::format("p{}_data_o", i), design_.edges[i].name + "_data");
    }
    return module;
  }

  // Registers in front of the memories and behind them.
  void add_bus(SvModule& module) const {
    const auto bits = static_cast<int>(design_.bus_address_bits);
    module.comment("Bus of the writable memories");
    module.input("bus_write_i");
    module.input("bus_address_i", bits);
    module.input("bus_data_i", kBusBits);
    module.output("bus_data_o", kBusBits);
    module.output("bus_mapped_o");
    module.wire("bus_write_q");
    module.wire("bus_address_q", bits);
    module.wire("bus_data_q", kBusBits);
    module.wire("bus_answer_q", kBusBits);
    module.wire("bus_mapped_q");
    module.register_data("bus_address_q", "bus_address_i");
    module.register_data("bus_data_q", "bus_data_i");
    module.register_control("bus_write_q", "bus_write_i", "1'b0");
    std::string answer, mapped;
    for (const DesignNode& node : design_.nodes) {
      for (const DesignMemory& memory : node.memories) {
        if (!memory.bus_address) continue;
        const std::string& stem = memory.wires;
        const auto low = static_cast<int>(BusRegion(memory.shape).address_bits);
        module.wire(stem + "_selected");
        module.wire(stem + "_mapped");
        module.wire(stem + "_answers_q");
        module.wire(stem + "_bus_data", kBusBits);
        module.assign(
            stem + "_selected",
            low == bits
                ? "1'b1"
                : fmt::format("{} == {}", SvModule::slice("bus_address_q", bits, low, bits - low),
                              SvModule::number(bits - low, *memory.bus_address >> low)));
        module.register_data(stem + "_answers_q", fmt::format("{0}_selected && {0}_mapped", stem));
        answer += fmt::format("{}({{{}{{{}_answers_q}}}} & {}_bus_data)",
                              answer.empty() ? "" : " | ", kBusBits, stem, stem);
        mapped += fmt::format("{}{}_answers_q", mapped.empty() ? "" : " || ", stem);
      }
    }
    module.register_data("bus_answer_q", answer);
    module.register_data("bus_mapped_q", mapped);
    module.assign("bus_data_o", "bus_answer_q");
    module.assign("bus_mapped_o", "bus_mapped_q");
  }

  // The names of the AXI4-Stream standard, so that vendors' tools recognise the ports.
  SvModule axi_top() {
    SvModule module(design_.name + "_axis",
                    fmt::format("Network {} behind AXI4-Stream.", design_.name),
                    "tdata is padded to whole bytes; tlast marks the last beat of a frame.");
    module.input("aclk");
    module.input("aresetn");
    SvBindings connections = {{"clk_i", "aclk"}, {"rst_i", "rst"}};
    if (design_.memory_clock_ratio > 1) {
      module.input("memory_aclk");
      connections.emplace_back("memory_clk_i", "memory_aclk");
    }
    const auto bytes = [](const Stream& stream) {
      return static_cast<int>((stream.width() + 7) / 8 * 8);
    };
    for (const auto& [prefix, stream] : streams_in()) {
      module.input(prefix + "_axis_tvalid");
      module.output(prefix + "_axis_tready");
      module.input(prefix + "_axis_tdata", bytes(stream));
      module.input(prefix + "_axis_tlast");
    }
    for (const DesignPort& port : design_.outputs) {
      module.output(port.prefix + "_axis_tvalid");
      module.input(port.prefix + "_axis_tready");
      module.output(port.prefix + "_axis_tdata", bytes(port.stream));
      module.output(port.prefix + "_axis_tlast");
    }
    module.wire("rst");
    module.assign("rst", "!aresetn");
    const auto wires = [&](const std::string& prefix, const Stream& stream) {
      module.wire(prefix + "_valid");
      module.wire(prefix + "_ready");
      module.wire(prefix + "_data", static_cast<int>(stream.width()));
    };
    for (const auto& [prefix, stream] : streams_in()) {
      wires(prefix, stream);
      module.instance("fst_axis_in", "u_" + prefix, {{"Width", std::to_string(stream.width())}},
                      {{"s_axis_tvalid_i", prefix + "_axis_tvalid"},
                       {"s_axis_tready_o", prefix + "_axis_tready"},
                       {"s_axis_tdata_i", prefix + "_axis_tdata"},
                       {"s_axis_tlast_i", prefix + "_axis_tlast"},
                       {"m_valid_o", prefix + "_valid"},
                       {"m_ready_i", prefix + "_ready"},
                       {"m_data_o", prefix + "_data"}});
      connections.emplace_back(prefix + "_valid_i", prefix + "_valid");
      connections.emplace_back(prefix + "_ready_o", prefix + "_ready");
      connections.emplace_back(prefix + "_data_i", prefix + "_data");
    }
    for (const DesignPort& port : design_.outputs) {
      wires(port.prefix, port.stream);
      connections.emplace_back(port.prefix + "_valid_o", port.prefix + "_valid");
      connections.emplace_back(port.prefix + "_ready_i", port.prefix + "_ready");
      connections.emplace_back(port.prefix + "_data_o", port.prefix + "_data");
    }
    if (design_.bus_address_bits > 0) {
      add_axilite(module, static_cast<int>(design_.bus_address_bits) + 2);
      cells_.insert(kAxilite);
      connections.insert(connections.end(), {{"bus_write_i", "bus_write"},
                                             {"bus_address_i", "bus_address"},
                                             {"bus_data_i", "bus_data"},
                                             {"bus_data_o", "bus_answer"},
                                             {"bus_mapped_o", "bus_mapped"}});
    }
    module.instance(design_.name, "u_core", {}, connections);
    for (const DesignPort& port : design_.outputs) {
      module.instance("fst_axis_out", "u_" + port.prefix,
                      {{"Width", std::to_string(port.stream.width())},
                       {"BeatsPerFrame", std::to_string(port.stream.beats)}},
                      {{"clk_i", "aclk"},
                       {"rst_i", "rst"},
                       {"s_valid_i", port.prefix + "_valid"},
                       {"s_ready_o", port.prefix + "_ready"},
                       {"s_data_i", port.prefix + "_data"},
                       {"m_axis_tvalid_o", port.prefix + "_axis_tvalid"},
                       {"m_axis_tready_i", port.prefix + "_axis_tready"},
                       {"m_axis_tdata_o", port.prefix + "_axis_tdata"},
                       {"m_axis_tlast_o", port.prefix + "_axis_tlast"}});
    }
    cells_.insert({"fst_axis_in", "fst_axis_out"});
    return module;
  }

  const DesignPort* output_of(const Value& value) const {
    for (size_t i = 0; i < core_.outputs.size(); ++i) {
      if (through_views(core_.outputs[i].value) == value) return &design_.outputs[i];
    }
    return nullptr;
  }
  bool is_output(const Value& value) const { return output_of(value) != nullptr; }

  static SvBindings bindings(const std::map<std::string, int64_t>& parameters) {
    SvBindings result;
    for (const auto& [key, value] : parameters) result.emplace_back(key, std::to_string(value));
    return result;
  }

  void instantiate(const DesignBank& bank, SvModule& module) const {
    module.comment("Memory that nodes share");
    SvBindings connections = {{"clk_i", "clk_i"}};
    if (design_.memory_clock_ratio > 1) {
      connections.emplace_back("memory_clk_i", "memory_clk_i");
      connections.emplace_back("rst_i", "rst_i");
    }
    const int64_t bits = MemoryShape{"", 1, bank.bank.mode.words}.address_bits();
    for (size_t p = 0; p < bank.bank.parts.size(); ++p) {
      const std::string formal = fmt::format("part{}", p);
      const std::string stem = fmt::format("{}_{}", bank.wires, formal);
      module.wire(stem + "_address", static_cast<int>(bits));
      module.wire(stem + "_word", static_cast<int>(bank.bank.parts[p].bits));
      connections.emplace_back(formal + "_address_i", stem + "_address");
      connections.emplace_back(formal + "_word_o", stem + "_word");
    }
    module.instance(bank.module, bank.instance, {}, connections);
  }

  void instantiate(const Node& node, const DesignNode& entry, SvModule& module) const {
    SvBindings connections = {{"clk_i", "clk_i"}, {"rst_i", "rst_i"}};
    for (size_t port = 0; port < node.in.size(); ++port) {
      const Value source = through_views(node.in[port]);
      const std::string& stem = wires_.at(source).stem;
      const bool outside = source.node->op->kind == Op::Kind::input;
      const std::string formal = prefix_of('s', port, node.in.size());
      connections.emplace_back(formal + "_valid_i", stem + (outside ? "_valid_i" : "_valid"));
      connections.emplace_back(formal + "_ready_o", stem + (outside ? "_ready_o" : "_ready"));
      connections.emplace_back(formal + "_data_i", stem + (outside ? "_data_i" : "_data"));
    }
    const size_t outputs = ports_.at(&node).out.size();
    for (size_t port = 0; port < outputs; ++port) {
      const Value value{const_cast<Node*>(&node), static_cast<int>(port)};
      const DesignPort* outside = output_of(value);
      const Wire& wire = wires_.at(value);
      const std::string stem = outside != nullptr ? outside->prefix : wire.stem;
      const std::string formal = prefix_of('m', port, outputs);
      connections.emplace_back(formal + "_valid_o", stem + (outside ? "_valid_o" : "_valid"));
      connections.emplace_back(formal + "_ready_i", wire.takers == 0 ? "1'b1"
                                                    : outside        ? stem + "_ready_i"
                                                                     : stem + "_ready");
      connections.emplace_back(formal + "_data_o", stem + (outside ? "_data_o" : "_data"));
    }
    // A name may be anything; tools take some words at the beginning of a comment for orders.
    module.comment(fmt::format("Node {} ({})", one_word(entry.name), entry.op));
    for (const DesignMemory& memory : entry.memories) {
      const std::string address = memory.wires + "_address", word = memory.wires + "_word";
      module.wire(address, static_cast<int>(memory.shape.address_bits()));
      module.wire(word, static_cast<int>(memory.shape.width));
      connections.emplace_back(memory.shape.name + "_address_o", address);
      connections.emplace_back(memory.shape.name + "_word_i", word);
      SvBindings behind{{"clk_i", "clk_i"}, {"address_i", address}, {"word_o", word}};
      if (memory.bus_address) {
        const std::string& stem = memory.wires;
        behind.emplace_back("bus_write_i", fmt::format("bus_write_q && {}_selected", stem));
        behind.emplace_back(
            "bus_address_i",
            SvModule::slice("bus_address_q", static_cast<int>(design_.bus_address_bits), 0,
                            static_cast<int>(BusRegion(memory.shape).address_bits)));
        behind.emplace_back("bus_data_i", "bus_data_q");
        behind.emplace_back("bus_data_o", stem + "_bus_data");
        behind.emplace_back("bus_mapped_o", stem + "_mapped");
      }
      for (size_t p = 0; p < memory.parts.size(); ++p) {
        const std::string stem = part_wires(memory.parts[p]);
        behind.emplace_back(fmt::format("part{}_address_o", p), stem + "_address");
        behind.emplace_back(fmt::format("part{}_word_i", p), stem + "_word");
      }
      module.instance(memory.module, memory.instance, bindings(memory.parameters), behind);
    }
    for (const DesignWeights& weights : design_.weights) {
      if (weights.node != node.name) continue;
      for (const char* port : {"valid_i", "ready_o", "data_i"}) {
        connections.emplace_back(fmt::format("{}_{}", weights.shape.name, port),
                                 fmt::format("{}_{}", weights.prefix, port));
      }
    }
    module.instance(entry.module, entry.instance, bindings(entry.parameters), connections);
  }

  void add_lists() {
    for (const auto& [name, family] :
         {std::pair{"files.f", Family::generic}, std::pair{"files_xilinx.f", Family::xilinx}}) {
      std::string list = "+incdir+lib\n";
      for (const std::string& path : design_.sources(family)) list += path + "\n";
      design_.files[name] = list;
    }
  }

  const Graph& core_;
  const Library library_;
  Design design_;
  std::set<std::string> tops_;   // where modules would lie that are called as the tops are
  std::set<std::string> taken_;  // stems of nodes, of their several results and of memories
  struct BankWords {
    MemoryBank bank;
    std::vector<std::vector<std::vector<bool>>> contents;  // of its parts
  };
  std::map<int64_t, BankWords> bank_of_;  // by its number in the nodes' attributes
  std::map<int64_t, std::string> bank_stems_;
  std::map<const Node*, std::string> stems_;
  std::map<const Node*, Ports> ports_;
  std::map<Value, Wire> wires_;
  std::set<std::string> cells_;
};

}  // namespace

Design stitch(const Graph& core, Family family) { return Stitcher(core, family).run(); }

std::string module_name(const std::string& text) {
  std::string name = word_of(text);
  const bool is_keyword = kKeywords.find(" " + name + " ") != std::string_view::npos;
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) || is_keyword ||
      name.starts_with("fst_")) {
    name = name.empty() ? "network" : "network_" + name;
  }
  return name;
}

std::vector<BusWord> Design::first_writes() const {
  std::vector<BusWord> writes;
  for (const DesignNode& node : nodes) {
    for (const DesignMemory& memory : node.memories) {
      for (BusWord word : bus_words(memory.shape, memory.first_words)) {
        word.address += memory.bus_address.value_or(0);
        writes.push_back(word);
      }
    }
  }
  return writes;
}

std::vector<std::string> Design::memories() const {
  std::vector<std::string> paths;
  for (const auto& [path, text] : files) {
    if (path.find('/') == std::string::npos && !path.ends_with(".sv") && !path.ends_with(".f")) {
      paths.push_back(path);
    }
  }
  return paths;
}

std::vector<std::string> Design::sources(Family technology) const {
  const std::string_view other = technology == Family::generic ? kXilinxCells : kGenericCells;
  std::vector<std::string> cells, generated;
  for (const auto& [path, text] : files) {
    if (!path.ends_with(".sv") || path.starts_with(other)) continue;
    const bool is_generated = path.starts_with("nodes/");
    if (path.find('/') != std::string::npos) (is_generated ? generated : cells).push_back(path);
  }
  std::vector<std::string> order = std::move(cells);
  order.insert(order.end(), generated.begin(), generated.end());
  order.push_back(name + ".sv");
  order.push_back(name + "_axis.sv");
  return order;
}

}  // namespace foldstream
