// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/accelerator.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

#include "src/rtl/axilite.h"
#include "src/rtl/library.h"
#include "src/rtl/sv_module.h"
#include "src/rtl/writable.h"
#include "src/util/error.h"
#include "src/util/names.h"
#include "src/util/sha256.h"

namespace foldstream {
namespace {

constexpr int64_t kBusBytes = kBusBits / 8;
constexpr int64_t kBurstWords = 16;    // the most that AXI3, of older processors, has
constexpr int64_t kPageBytes = 4096;   // no burst may cross one
constexpr int64_t kFirstRegister = 4;  // of fst_control's movers, in words of the bus
constexpr int64_t kRegisters = 4;      // places of a mover, one of them empty

constexpr const char* kReader = "fst_axi_reader";
constexpr const char* kWriter = "fst_axi_writer";
constexpr const char* kSplit = "fst_word_split";
constexpr const char* kJoin = "fst_word_join";
constexpr const char* kConverter = "fst_width_converter";
constexpr const char* kControl = "fst_control";

int64_t rounded_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// The identity of a design: the beginning of the hash of its files.
uint32_t identity_of(const std::map<std::string, std::string>& files) {
  std::string all;
  for (const auto& [path, text] : files) all += fmt::format("{} {}\n", path, sha256(text));
  return static_cast<uint32_t>(std::stoul(sha256(all).substr(0, 8), nullptr, 16));
}

class Writer {
 public:
  Writer(const Design& design, int64_t word_bytes)
      : design_(design),
        word_bits_(8 * word_bytes),
        module_(design.name + "_accelerator",
                fmt::format("Network {} with movers of its frames behind AXI4.", design.name),
                "Registers behind s_axilite say what to move; fst_control has their list.") {
    result_.name = module_.name();
    result_.word_bytes = word_bytes;
    result_.identity = identity_of(design.files);
  }

  Accelerator run() {
    module_.input("aclk");
    module_.input("aresetn");
    if (design_.memory_clock_ratio > 1) module_.input("memory_aclk");
    module_.wire("rst");
    module_.assign("rst", "!aresetn");
    list_movers();
    add_control();
    for (size_t i = 0; i < result_.movers.size(); ++i) add_mover(i);
    if (design_.memory_clock_ratio > 1) core_.emplace_back("memory_clk_i", "memory_aclk");
    module_.comment("The network");
    module_.instance(design_.name, "u_core", {}, core_);
    result_.ports = module_.ports();
    result_.files = Library().files(cells_);
    result_.files[result_.name + ".sv"] = module_.text();
    return std::move(result_);
  }

 private:
  void list_movers() {
    const auto add = [&](Mover::Kind kind, size_t index, std::string port, const Stream& stream) {
      Mover mover{kind, index, std::move(port), stream.beats, 0, 0, 0};
      mover.slot_bytes = slot_bytes(stream, result_.word_bytes);
      mover.frame_bytes = rounded_up(mover.slot_bytes * stream.beats, result_.word_bytes);
      const auto place = static_cast<int64_t>(result_.movers.size());
      mover.address = (kFirstRegister + kRegisters * place) * kBusBytes;
      result_.movers.push_back(std::move(mover));
    };
    for (size_t i = 0; i < design_.inputs.size(); ++i) {
      add(Mover::Kind::operand, i, fmt::format("m_axi_{}", i), design_.inputs[i].stream);
    }
    for (size_t i = 0; i < design_.outputs.size(); ++i) {
      add(Mover::Kind::result, i, fmt::format("m_axi_{}", i), design_.outputs[i].stream);
    }
    for (size_t i = 0; i < design_.weights.size(); ++i) {
      Stream words = design_.weights[i].stream;
      words.beats = design_.weights[i].shape.depth;
      add(Mover::Kind::weights, i, fmt::format("m_axi_weights_{}", i), words);
    }
  }

  void add_control() {
    const auto movers = static_cast<int64_t>(result_.movers.size());
    const int64_t control_words = kFirstRegister + kRegisters * movers;
    const int64_t memory_bits = design_.bus_address_bits;
    int64_t bits = std::bit_width(static_cast<uint64_t>(control_words - 1));
    if (memory_bits > 0) bits = std::max(bits, memory_bits) + 1;
    result_.address_bits = bits + 2;
    module_.comment("Registers");
    add_axilite(module_, static_cast<int>(result_.address_bits));
    module_.wire("start");
    module_.wire("addresses", static_cast<int>(64 * movers));
    module_.wire("words", static_cast<int>(32 * movers));
    module_.wire("busy", static_cast<int>(movers));
    module_.wire("error", static_cast<int>(movers));
    std::string answer = "bus_answer", mapped = "bus_mapped", write = "bus_write";
    if (memory_bits > 0) {
      // The upper half of the bus is the memories', from its beginning on.
      result_.memories_address = (int64_t{1} << (bits - 1)) * kBusBytes;
      module_.wire("of_memories");
      const auto above = static_cast<int>(bits - memory_bits);
      module_.assign("of_memories",
                     fmt::format("{} == {}",
                                 SvModule::slice("bus_address", static_cast<int>(bits),
                                                 static_cast<int>(memory_bits), above),
                                 SvModule::number(above, int64_t{1} << (above - 1))));
      module_.wire("memories_write");
      module_.wire("control_write");
      module_.assign("memories_write", "bus_write && of_memories");
      module_.assign("control_write", "bus_write && !of_memories");
      for (const char* side : {"memories", "control"}) {
        module_.wire(fmt::format("{}_answer", side), kBusBits);
        module_.wire(fmt::format("{}_mapped", side));
      }
      // Both answer as late, and who was asked is as old as the answer.
      module_.wire("asked_q", kBusLatency);
      module_.raw(
          fmt::format("always_ff @(posedge aclk) begin\n"
                      "  asked_q <= {{asked_q[{}:0], of_memories}};\nend",
                      kBusLatency - 2));
      const std::string asked = fmt::format("asked_q[{}]", kBusLatency - 1);
      module_.assign(answer, fmt::format("{} ? memories_answer : control_answer", asked));
      module_.assign(mapped, fmt::format("{} ? memories_mapped : control_mapped", asked));
      core_.insert(core_.end(),
                   {{"bus_write_i", "memories_write"},
                    {"bus_address_i", SvModule::slice("bus_address", static_cast<int>(bits), 0,
                                                      static_cast<int>(memory_bits))},
                    {"bus_data_i", "bus_data"},
                    {"bus_data_o", "memories_answer"},
                    {"bus_mapped_o", "memories_mapped"}});
      answer = "control_answer", mapped = "control_mapped", write = "control_write";
    }
    module_.instance(kControl, "u_control",
                     {{"Movers", std::to_string(movers)},
                      {"Identity", fmt::format("32'h{:08x}", result_.identity)},
                      {"AddressWidth", std::to_string(bits)}},
                     {{"clk_i", "aclk"},
                      {"rst_i", "rst"},
                      {"bus_write_i", write},
                      {"bus_address_i", "bus_address"},
                      {"bus_data_i", "bus_data"},
                      {"bus_data_o", answer},
                      {"bus_mapped_o", mapped},
                      {"start_o", "start"},
                      {"addresses_o", "addresses"},
                      {"words_o", "words"},
                      {"busy_i", "busy"},
                      {"error_i", "error"}});
    cells_.insert({kAxilite, kControl});
  }

  void add_mover(size_t index) {
    const Mover& mover = result_.movers[index];
    if (mover.kind == Mover::Kind::result) {
      const DesignPort& port = design_.outputs[mover.index];
      module_.comment(fmt::format("Result {}", one_word(port.name)));
      wires(port.prefix, port.stream.width());
      add_result(index, port);
      stream_of(port.prefix, port.prefix, true, core_);
      return;
    }
    const bool is_weights = mover.kind == Mover::Kind::weights;
    const std::string& prefix =
        is_weights ? design_.weights[mover.index].prefix : design_.inputs[mover.index].prefix;
    const Stream& stream =
        is_weights ? design_.weights[mover.index].stream : design_.inputs[mover.index].stream;
    module_.comment(is_weights
                        ? fmt::format("Weights of {}", one_word(design_.weights[mover.index].node))
                        : fmt::format("Operand {}", one_word(design_.inputs[mover.index].name)));
    wires(prefix, stream.width());
    add_source(index, prefix, stream.width());
    stream_of(prefix, prefix, false, core_);
  }

  // <prefix>_valid, _ready, _data between movers and network.
  void wires(const std::string& prefix, int64_t width) {
    module_.wire(prefix + "_valid");
    module_.wire(prefix + "_ready");
    module_.wire(prefix + "_data", static_cast<int>(width));
  }

  // What reader and writer have in common.
  std::pair<SvBindings, SvBindings> mover_bindings(size_t index) const {
    const bool shallow = word_bits_ <= 64;
    const int64_t burst = std::min(kBurstWords, kPageBytes * 8 / word_bits_);
    SvBindings parameters{{"WordWidth", std::to_string(word_bits_)},
                          {"BurstWords", std::to_string(burst)},
                          {"Depth", shallow ? "64" : "128"}};
    const auto movers = static_cast<int>(result_.movers.size());
    const auto at = static_cast<int>(index);
    SvBindings connections{{"clk_i", "aclk"},
                           {"rst_i", "rst"},
                           {"start_i", "start"},
                           {"address_i", SvModule::slice("addresses", 64 * movers, 64 * at, 64)},
                           {"words_i", SvModule::slice("words", 32 * movers, 32 * at, 32)},
                           {"busy_o", SvModule::bit("busy", movers, at)},
                           {"error_o", SvModule::bit("error", movers, at)}};
    return {parameters, connections};
  }

  void master(const std::string& port, const std::string& name, int64_t width, bool output,
              SvBindings& connections) {
    const std::string outside = fmt::format("{}_{}", port, name);
    output ? module_.output(outside, static_cast<int>(width))
           : module_.input(outside, static_cast<int>(width));
    connections.emplace_back(fmt::format("m_axi_{}_{}", name, output ? "o" : "i"), outside);
  }

  // Signals of an address that no mover changes.
  void fixed(const std::string& port, const char* channel) {
    const auto drive = [&](const char* name, int width, int64_t value) {
      const std::string signal = fmt::format("{}_{}{}", port, channel, name);
      module_.output(signal, width);
      module_.assign(signal, SvModule::number(width, value));
    };
    drive("size", 3, std::countr_zero(static_cast<uint64_t>(word_bits_ / 8)));
    drive("burst", 2, 1);  // INCR
    drive("cache", 4, 3);  // normal, bufferable
    drive("prot", 3, 0);
  }

  void add_source(size_t index, const std::string& prefix, int64_t width) {
    const Mover& mover = result_.movers[index];
    auto [parameters, connections] = mover_bindings(index);
    if (mover.kind == Mover::Kind::weights) {
      parameters.emplace_back("PassWords", std::to_string(mover.frame_bytes * 8 / word_bits_));
    }
    const std::string& port = mover.port;
    master(port, "arvalid", 1, true, connections);
    master(port, "arready", 1, false, connections);
    master(port, "araddr", 64, true, connections);
    master(port, "arlen", 8, true, connections);
    fixed(port, "ar");
    master(port, "rvalid", 1, false, connections);
    master(port, "rready", 1, true, connections);
    master(port, "rdata", word_bits_, false, connections);
    master(port, "rresp", 2, false, connections);
    master(port, "rlast", 1, false, connections);
    const std::string words = prefix + "_words";
    wires(words, word_bits_);
    stream_of("m", words, true, connections);
    module_.instance(kReader, fmt::format("u_{}_reader", prefix), parameters, connections);
    cells_.insert(kReader);

    const int64_t slot = mover.slot_bytes * 8;
    const std::string slots = adapt(prefix, mover, words, true);
    module_.assign(prefix + "_valid", slots + "_valid");
    module_.assign(slots + "_ready", prefix + "_ready");
    module_.assign(prefix + "_data", SvModule::slice(slots + "_data", static_cast<int>(slot), 0,
                                                     static_cast<int>(width)));
    if (slot > width) {
      module_.wire(fmt::format("{}_unused", prefix));
      module_.assign(
          fmt::format("{}_unused", prefix),
          "^" + SvModule::slice(slots + "_data", static_cast<int>(slot), static_cast<int>(width),
                                static_cast<int>(slot - width)));
    }
  }

  void add_result(size_t index, const DesignPort& port) {
    const Mover& mover = result_.movers[index];
    auto [parameters, connections] = mover_bindings(index);
    const std::string& axi = mover.port;
    master(axi, "awvalid", 1, true, connections);
    master(axi, "awready", 1, false, connections);
    master(axi, "awaddr", 64, true, connections);
    master(axi, "awlen", 8, true, connections);
    fixed(axi, "aw");
    master(axi, "wvalid", 1, true, connections);
    master(axi, "wready", 1, false, connections);
    master(axi, "wdata", word_bits_, true, connections);
    master(axi, "wstrb", word_bits_ / 8, true, connections);
    master(axi, "wlast", 1, true, connections);
    master(axi, "bvalid", 1, false, connections);
    master(axi, "bready", 1, true, connections);
    master(axi, "bresp", 2, false, connections);

    const int64_t slot = mover.slot_bytes * 8, width = port.stream.width();
    const std::string slots = port.prefix + "_slots";
    wires(slots, slot);
    module_.assign(slots + "_valid", port.prefix + "_valid");
    module_.assign(port.prefix + "_ready", slots + "_ready");
    module_.assign(slots + "_data",
                   slot == width ? port.prefix + "_data"
                                 : fmt::format("{{{}'d0, {}_data}}", slot - width, port.prefix));
    stream_of("s", adapt(port.prefix, mover, slots, false), false, connections);
    module_.instance(kWriter, fmt::format("u_{}_writer", port.prefix), parameters, connections);
    cells_.insert(kWriter);
  }

  // Binds an instance's stream `formal`, which it gives or takes, to the wires of `stem`.
  static void stream_of(const std::string& formal, const std::string& stem, bool gives,
                        SvBindings& connections) {
    const char along = gives ? 'o' : 'i', against = gives ? 'i' : 'o';
    connections.emplace_back(fmt::format("{}_valid_{}", formal, along), stem + "_valid");
    connections.emplace_back(fmt::format("{}_ready_{}", formal, against), stem + "_ready");
    connections.emplace_back(fmt::format("{}_data_{}", formal, along), stem + "_data");
  }

  // Between words of memory and slots of beats: the stem of the other side's wires.
  std::string adapt(const std::string& prefix, const Mover& mover, const std::string& from,
                    bool to_beats) {
    const int64_t slot = mover.slot_bytes * 8;
    if (slot == word_bits_) return from;
    const std::string to = prefix + (to_beats ? "_slots" : "_words");
    wires(to, to_beats ? slot : word_bits_);
    SvBindings connections{{"clk_i", "aclk"}, {"rst_i", "rst"}};
    stream_of("s", from, false, connections);
    stream_of("m", to, true, connections);
    SvBindings parameters;
    const char* cell = kConverter;
    if (slot > word_bits_) {
      const std::string many = std::to_string(slot / word_bits_);
      parameters = {{"LaneWidth", std::to_string(word_bits_)},
                    {"InLanes", to_beats ? "1" : many},
                    {"OutLanes", to_beats ? many : "1"}};
    } else {
      cell = to_beats ? kSplit : kJoin;
      parameters = {{"SlotWidth", std::to_string(slot)},
                    {"Slots", std::to_string(word_bits_ / slot)},
                    {"Beats", std::to_string(mover.beats)}};
    }
    module_.instance(cell, fmt::format("u_{}_adapter", prefix), parameters, connections);
    cells_.insert(cell);
    return to;
  }

  const Design& design_;
  const int64_t word_bits_;
  SvModule module_;
  SvBindings core_{{"clk_i", "aclk"}, {"rst_i", "rst"}};
  std::set<std::string> cells_;
  Accelerator result_;
};

}  // namespace

int64_t slot_bytes(const Stream& stream, int64_t word_bytes) {
  const int64_t bytes = (stream.width() + 7) / 8;
  if (bytes > word_bytes || stream.beats == 1) return rounded_up(bytes, word_bytes);
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(bytes)));
}

Accelerator make_accelerator(const Design& design, int64_t word_bytes) {
  FOLDSTREAM_CHECK(word_bytes >= 8 && word_bytes <= 128 &&
                   std::has_single_bit(static_cast<uint64_t>(word_bytes)));
  return Writer(design, word_bytes).run();
}

}  // namespace foldstream
