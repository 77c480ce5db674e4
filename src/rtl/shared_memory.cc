// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/shared_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <set>

#include "src/rtl/block.h"
#include "src/rtl/rom.h"
#include "src/rtl/sv_module.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr size_t kPartFields = 10;
constexpr int64_t kPorts = 2;

int64_t address_bits(int64_t words) { return MemoryShape{"", 1, words}.address_bits(); }

int64_t bank_address_bits(const SharedPart& part) { return address_bits(part.mode.words); }

// Columns with the parts that hold them, from the first word on.
struct Columns {
  int64_t first = 0, count = 0;
  std::vector<size_t> parts;
};

std::vector<Columns> columns_of(const std::string& module, const MemoryShape& shape,
                                const std::vector<SharedPart>& parts) {
  const auto refuse = [&](const std::string& what) {
    throw Error(fmt::format("{}: {}", module, what),
                "the attribute memory_parts must hold every bit once; let the memories be packed "
                "again");
  };
  std::set<int64_t> ends{0, shape.width};
  for (const SharedPart& shared : parts) {
    const MemoryPart& part = shared.part;
    if (part.bits < 1 || part.first_bit < 0 || part.bits > shape.width - part.first_bit ||
        part.words < 1 || part.first_word < 0 || part.words > shape.depth - part.first_word) {
      refuse("a part is not of this memory");
    }
    ends.insert(part.first_bit), ends.insert(part.first_bit + part.bits);
  }
  std::vector<Columns> columns;
  for (auto end = std::next(ends.begin()); end != ends.end(); ++end) {
    Columns& group = columns.emplace_back();
    group.first = *std::prev(end), group.count = *end - group.first;
    for (size_t p = 0; p < parts.size(); ++p) {
      const MemoryPart& part = parts[p].part;
      if (part.first_bit <= group.first && *end <= part.first_bit + part.bits)
        group.parts.push_back(p);
    }
    std::sort(group.parts.begin(), group.parts.end(), [&](size_t a, size_t b) {
      return parts[a].part.first_word < parts[b].part.first_word;
    });
    int64_t word = 0;
    for (const size_t p : group.parts) {
      if (parts[p].part.first_word != word) refuse("words are missing, or there twice");
      word += parts[p].part.words;
    }
    const bool is_table = group.parts.empty() && group.first == 0;
    if (!is_table && word != shape.depth) refuse("words are missing, or there twice");
  }
  return columns;
}

// Says that these bits are not needed, which linters want to be told.
void add_unused(SvModule& module, const std::vector<std::string>& signals) {
  if (signals.empty()) return;
  std::string all = "1'b0";
  for (const std::string& signal : signals) all += ", " + signal;
  module.wire("unused");
  module.assign("unused", fmt::format("&{{{}}}", all));
}

}  // namespace

std::vector<SharedPart> shared_parts(const Node& node) {
  const std::vector<int64_t> fields = node.integers("memory_parts", {});
  const auto fail = [&](const std::string& what) {
    throw Error(fmt::format("{}: memory_parts {}", describe(node), what),
                "let the memories be packed again");
  };
  if (fields.size() % kPartFields != 0)
    fail(fmt::format("has {} numbers, not {} for each part", fields.size(), kPartFields));
  std::vector<SharedPart> parts;
  for (size_t i = 0; i < fields.size(); i += kPartFields) {
    const int64_t* f = fields.data() + i;
    constexpr int64_t kMost = int64_t{1} << 30;
    if (std::any_of(f, f + kPartFields, [](int64_t v) { return v < 0 || v > kMost; }))
      fail("has a number that can't be");
    SharedPart part{f[0], f[4], f[3], {f[1], f[2]}, {0, f[5], f[6], f[7], f[8], f[9]}};
    if (part.part.bits > part.blocks * part.mode.width ||
        part.part.offset + part.part.words > part.mode.words) {
      fail("has a part that its bank doesn't hold");
    }
    parts.push_back(part);
  }
  return parts;
}

void set_shared_parts(Node& node, const std::vector<SharedPart>& parts) {
  std::vector<int64_t> fields;
  for (const SharedPart& shared : parts) {
    const MemoryPart& part = shared.part;
    fields.insert(fields.end(),
                  {shared.bank, shared.mode.width, shared.mode.words, shared.blocks, shared.place,
                   part.first_bit, part.bits, part.first_word, part.words, part.offset});
  }
  node.attr["memory_parts"] = fields;
}

int64_t memory_clock_ratio(const Graph& graph) {
  int64_t ratio = 0;
  for (const Node& node : graph.nodes) {
    if (!node.attr.contains("memory_parts")) continue;
    const int64_t own = node.integer("memory_clock_ratio", 1);
    if (own < 1 || (ratio != 0 && own != ratio)) {
      throw Error(fmt::format("{}: memory_clock_ratio = {}", describe(node), own),
                  ratio == 0 ? "it must be 1 or more"
                             : fmt::format("other nodes have {}, but a design has one", ratio));
    }
    ratio = own;
  }
  return std::max<int64_t>(ratio, 1);
}

Hardware memory_bank(const std::string& name, const MemoryBank& bank,
                     const std::vector<std::vector<std::vector<bool>>>& contents, int64_t ratio) {
  int64_t width = 0, depth = 0;
  for (const MemoryPart& part : bank.parts) {
    width = std::max(width, part.bits), depth = std::max(depth, part.offset + part.words);
  }
  std::vector<RomWord> words(depth, RomWord(width));
  for (size_t p = 0; p < bank.parts.size(); ++p) {
    const MemoryPart& part = bank.parts[p];
    for (int64_t word = 0; word < part.words; ++word) {
      std::copy(contents[p][word].begin(), contents[p][word].end(),
                words[part.offset + word].begin());
    }
  }
  const int64_t bits = address_bits(bank.mode.words);
  SvModule module(name,
                  fmt::format("Memory that others share: {} words of {} bits, {} parts.", depth,
                              width, bank.parts.size()),
                  ratio == 1 ? "Latency 1, interval 1."
                             : fmt::format("Latency 2, interval 1, read {} times a cycle.", ratio));
  module.input("clk_i");
  if (ratio > 1) module.input("memory_clk_i"), module.input("rst_i");
  for (size_t p = 0; p < bank.parts.size(); ++p) {
    module.input(fmt::format("part{}_address_i", p), static_cast<int>(bits));
    module.output(fmt::format("part{}_word_o", p), static_cast<int>(bank.parts[p].bits));
  }
  Hardware hardware;
  module.raw(fmt::format("(* rom_style = \"block\" *)\nlogic [{}:0] {} [{}];\n", width - 1,
                         module.fresh("words"), depth));
  hardware.memories.push_back(memory_image(name, words));
  module.raw(fmt::format("initial $readmemh(\"{}\", words);", hardware.memories[0].name));
  const auto low = [&](const std::string& signal, int64_t of, int64_t first, int64_t count) {
    return SvModule::slice(signal, static_cast<int>(of), static_cast<int>(first),
                           static_cast<int>(count));
  };
  const int64_t needed = address_bits(depth);
  const auto parts = static_cast<int64_t>(bank.parts.size());
  std::vector<std::string> unused;
  const auto rest = [&](const std::string& signal, int64_t of, int64_t first, int64_t end) {
    if (first < end) unused.push_back(low(signal, of, first, end - first));
  };
  for (int64_t port = 0; port < std::min(kPorts, parts); ++port) {
    module.comment(fmt::format("Port {}", port));
    const std::string word = fmt::format("port{}_word_q", port);
    int64_t own = 0;
    for (int64_t part = port; part < parts; part += kPorts) {
      own = std::max(own, bank.parts[part].bits);
    }
    module.wire(word, static_cast<int>(own));
    std::string address = fmt::format("part{}_address_i", port), of_parts = word;
    const int64_t reads = (parts - port + kPorts - 1) / kPorts;
    if (ratio > 1) {
      std::vector<std::string> addresses;  // the last first
      for (int64_t read = reads; read-- > 0;) {
        addresses.push_back(fmt::format("part{}_address_i", port + kPorts * read));
      }
      const std::string all = fmt::format("port{}_addresses", port);
      address = fmt::format("port{}_address", port), of_parts = fmt::format("port{}_words", port);
      module.wire(all, static_cast<int>(bits * reads));
      module.assign(all, SvModule::concat(addresses));
      module.wire(address, static_cast<int>(bits));
      module.wire(of_parts, static_cast<int>(own * reads));
      module.instance("fst_memory_port", fmt::format("u_port{}", port),
                      {{"Width", std::to_string(own)},
                       {"AddressWidth", std::to_string(bits)},
                       {"Ratio", std::to_string(ratio)},
                       {"Reads", std::to_string(reads)}},
                      {{"clk_i", "clk_i"},
                       {"memory_clk_i", "memory_clk_i"},
                       {"rst_i", "rst_i"},
                       {"address_i", all},
                       {"word_o", of_parts},
                       {"memory_address_o", address},
                       {"memory_word_i", word}});
    }
    module.raw(fmt::format(
        "always_ff @(posedge {}) {} <= words[{}]{};", ratio > 1 ? "memory_clk_i" : "clk_i", word,
        low(address, bits, 0, needed), own < width ? fmt::format("[{}:0]", own - 1) : ""));
    rest(address, bits, needed, bits);
    for (int64_t read = 0; read < reads; ++read) {
      const int64_t part = port + kPorts * read;
      module.assign(fmt::format("part{}_word_o", part),
                    low(of_parts, own * reads, own * read, bank.parts[part].bits));
      rest(of_parts, own * reads, own * read + bank.parts[part].bits, own * (read + 1));
    }
  }
  add_unused(module, unused);
  add_top(module, hardware);
  return hardware;
}

Hardware shared_memory(const std::string& name, const OutsideMemory& memory, int64_t latency,
                       const std::vector<SharedPart>& parts) {
  const MemoryShape& shape = memory.shape;
  const std::vector<Columns> columns = columns_of(name, shape, parts);
  const auto own_bits = static_cast<int>(shape.address_bits());
  SvModule module(name,
                  fmt::format("Memory: {} words of {} bits, {} parts in shared memories.",
                              shape.depth, shape.width, parts.size()),
                  fmt::format("Latency {}, interval 1.", latency));
  module.input("clk_i");
  module.input("address_i", own_bits);
  module.output("word_o", static_cast<int>(shape.width));
  for (size_t p = 0; p < parts.size(); ++p) {
    module.output(fmt::format("part{}_address_o", p),
                  static_cast<int>(bank_address_bits(parts[p])));
    module.input(fmt::format("part{}_word_i", p), static_cast<int>(parts[p].part.bits));
  }
  Hardware hardware;
  module.comment("Addresses in the shared memories");
  std::map<std::pair<int64_t, int64_t>, std::string> addresses;  // by bits and what is added
  for (size_t p = 0; p < parts.size(); ++p) {
    const auto bits = static_cast<int>(bank_address_bits(parts[p]));
    const int64_t places = int64_t{1} << bits;
    const int64_t shift =
        ((parts[p].part.offset - parts[p].part.first_word) % places + places) % places;
    std::string& address = addresses[{bits, shift}];
    if (address.empty()) {
      address = own_bits >= bits ? SvModule::slice("address_i", own_bits, 0, bits)
                                 : fmt::format("{{{}'d0, address_i}}", bits - own_bits);
      if (shift > 0) {
        const std::string sum = fmt::format("address_{}_{}", bits, shift);
        module.wire(sum, bits);
        module.assign(sum, fmt::format("{} + {}'d{}", address, bits, shift));
        address = sum;
      }
    }
    module.assign(fmt::format("part{}_address_o", p), address);
  }
  module.comment("Words, each column from the part that has the word");
  std::map<int64_t, std::string> from;  // high when the address was this or above
  std::vector<std::string> words;
  bool is_clocked = false;
  for (const Columns& group : columns) {
    is_clocked = is_clocked || group.parts.size() != 1;
    const std::string wire = fmt::format("columns_{}", group.first);
    module.wire(wire, static_cast<int>(group.count));
    if (group.parts.empty()) {
      std::vector<RomWord> table;
      for (const std::vector<bool>& word : memory.words) {
        table.emplace_back(word.begin(), word.begin() + group.count);
      }
      const std::string read = wire + "_read";
      module.wire(read, static_cast<int>(group.count));
      add_rom(module, name + "_table", table, "address_i", read, &hardware.memories);
      module.assign(wire, delayed_data(module, read, group.count, latency - 1));
    } else {
      std::string chosen;
      for (const size_t p : group.parts) {
        const MemoryPart& part = parts[p].part;
        const std::string own = SvModule::slice(
            fmt::format("part{}_word_i", p), static_cast<int>(part.bits),
            static_cast<int>(group.first - part.first_bit), static_cast<int>(group.count));
        if (chosen.empty()) {
          chosen = own;
          continue;
        }
        std::string& reached = from[part.first_word];
        if (reached.empty()) {
          const std::string now = fmt::format("from_{}", part.first_word);
          module.wire(now);
          module.assign(now, fmt::format("address_i >= {}'d{}", own_bits, part.first_word));
          reached = delayed_data(module, now, 1, latency);
        }
        chosen = fmt::format("{} ? {} : {}", reached, own,
                             chosen.find('?') == std::string::npos ? chosen : "(" + chosen + ")");
      }
      module.assign(wire, chosen);
    }
    words.insert(words.begin(), wire);
  }
  module.assign("word_o", SvModule::concat(words));
  if (!is_clocked) add_unused(module, {"clk_i"});
  add_top(module, hardware);
  return hardware;
}

Cost shared_memory_cost(const MemoryShape& shape, const std::vector<SharedPart>& parts,
                        int64_t ratio) {
  Cost cost;
  std::set<std::pair<int64_t, int64_t>> shifts;
  std::set<int64_t> starts;
  for (const SharedPart& shared : parts) {
    const auto bits = static_cast<double>(bank_address_bits(shared));
    if (shared.place == 0) cost.bram18 += static_cast<double>(shared.blocks);
    if (shared.part.offset != shared.part.first_word) {
      const bool is_new =
          shifts.insert({bank_address_bits(shared), shared.part.offset - shared.part.first_word})
              .second;
      if (is_new) cost.lut += bits;
    }
    if (shared.part.first_word > 0) starts.insert(shared.part.first_word);
    if (ratio > 1) {
      // The port chooses addresses and holds words.
      cost.lut += bits / 2;
      cost.ff += bits + 2 * static_cast<double>(shared.part.bits);
    }
  }
  const auto latency = ratio > 1 ? 2.0 : 1.0;
  cost.lut += static_cast<double>(starts.size() * shape.address_bits()) / 3;
  cost.ff += static_cast<double>(starts.size()) * latency;
  for (const Columns& group : columns_of(shape.name, shape, parts)) {
    const auto count = static_cast<double>(group.count);
    const auto choices = static_cast<double>(group.parts.size());
    if (group.parts.empty()) {
      cost += plan_rom(group.count, shape.depth).cost;
      cost.ff += (latency - 1) * count;
    } else if (choices > 1) {
      // Two multiplexers of two, or one of four, in a look-up table.
      cost.lut += count * (choices == 2 ? 0.5 : (choices - 1) / 3);
    }
  }
  return cost;
}

}  // namespace foldstream
