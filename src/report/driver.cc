// SPDX-License-Identifier: Apache-2.0
#include "src/report/driver.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "src/util/error.h"

namespace foldstream {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kBusBytes = kBusBits / 8;

Json field_entry(const MemoryField& field, const Node& node) {
  Json loops = Json::array();
  for (const MemoryField::Loop& loop : field.loops) {
    loops.push_back(
        {{"count", loop.count}, {"element", loop.element}, {"word", loop.word}, {"bit", loop.bit}});
  }
  return {{"constant", field.tensor},
          {"shape", node.tensor(field.tensor)->type.shape},
          {"bits", field.bits},
          {"first_bit", field.bit},
          {"offset", field.offset},
          {"least", field.least},
          {"greatest", field.greatest},
          {"saturates", field.saturates},
          {"loops", loops}};
}

const Node& node_called(const Graph& core, const std::string& name) {
  for (const Node& node : core.nodes) {
    if (node.name == name) return node;
  }
  throw Error(fmt::format("there is no node '{}'", name));
}

}  // namespace

std::vector<BusWord> bus_image(const Node& node, const DesignNode& entry) {
  std::vector<BusWord> image;
  for (const DesignMemory& memory : entry.memories) {
    if (!memory.bus_address) continue;
    for (BusWord word : bus_words(memory.shape, memory_words(node, memory.shape))) {
      word.address += *memory.bus_address;
      image.push_back(word);
    }
  }
  return image;
}

std::string image_text(const std::vector<BusWord>& image) {
  std::string text;
  for (const BusWord& word : image) {
    text += fmt::format("{:08x} {:08x}\n", word.address * kBusBytes, word.data);
  }
  return text;
}

std::map<std::string, std::string> driver_files(const Design& design, const Graph& core) {
  std::map<std::string, std::string> files;
  if (design.bus_address_bits == 0) return files;
  Json memories = Json::array();
  for (const DesignNode& entry : design.nodes) {
    const Node& node = node_called(core, entry.name);
    for (const DesignMemory& memory : entry.memories) {
      if (!memory.bus_address) continue;
      const BusRegion region(memory.shape);
      Json fields = Json::array();
      for (const MemoryField& field : memory.shape.fields) {
        fields.push_back(field_entry(field, node));
      }
      memories.push_back({{"node", entry.name},
                          {"memory", memory.shape.name},
                          {"address", *memory.bus_address * kBusBytes},
                          {"bytes", (int64_t{1} << region.address_bits) * kBusBytes},
                          {"words", memory.shape.depth},
                          {"width", memory.shape.width},
                          {"columns", region.columns},
                          {"word_bytes", region.stride * kBusBytes},
                          {"fields", fields}});
    }
    const std::vector<BusWord> image = bus_image(node, entry);
    if (!image.empty()) files[entry.instance.substr(2) + ".image"] = image_text(image);
  }
  const Json map = {{"bus",
                     {{"protocol", "AXI4-Lite"},
                      {"data_bits", kBusBits},
                      {"address_bits", design.bus_address_bits + 2}}},
                    {"memories", memories}};
  files["memories.json"] = map.dump(2) + "\n";
  return files;
}

}  // namespace foldstream
