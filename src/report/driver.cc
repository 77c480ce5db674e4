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
    const MemoryWords words =
        memory.first_words.empty() ? memory_words(node, memory.shape) : memory.first_words;
    for (BusWord word : bus_words(memory.shape, words)) {
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

namespace {

constexpr int64_t kStreamAlignment = 4096;  // a page, and where bursts may not go across

// The first byte of each stream's words in the memory image, and that behind all.
std::vector<int64_t> stream_offsets(const Design& design) {
  std::vector<int64_t> offsets{0};
  for (const DesignWeights& weights : design.weights) {
    const int64_t end = offsets.back() + weights.shape.depth * stream_bytes(weights.shape);
    offsets.push_back((end + kStreamAlignment - 1) / kStreamAlignment * kStreamAlignment);
  }
  return offsets;
}

Json streams_json(const Design& design) {
  const std::vector<int64_t> offsets = stream_offsets(design);
  Json streams = Json::array();
  for (size_t i = 0; i < design.weights.size(); ++i) {
    const DesignWeights& weights = design.weights[i];
    const int64_t bytes = stream_bytes(weights.shape);
    streams.push_back({{"node", weights.node},
                       {"port", weights.prefix + "_axis"},
                       {"offset", offsets[i]},
                       {"bytes", weights.shape.depth * bytes},
                       {"words", weights.shape.depth},
                       {"width", weights.shape.width},
                       {"word_bytes", bytes},
                       {"reads_per_frame", weights.shape.reads}});
  }
  return streams;
}

}  // namespace

std::string memory_image(const Design& design) {
  const std::vector<int64_t> offsets = stream_offsets(design);
  std::string image(static_cast<size_t>(offsets.back()), '\0');
  for (size_t i = 0; i < design.weights.size(); ++i) {
    const DesignWeights& weights = design.weights[i];
    auto at = static_cast<size_t>(offsets[i]);
    for (const std::vector<bool>& word : weights.words) {
      for (size_t b = 0; b < word.size(); ++b) {
        if (word[b]) image[at + b / 8] = static_cast<char>(image[at + b / 8] | 1 << b % 8);
      }
      at += static_cast<size_t>(stream_bytes(weights.shape));
    }
  }
  return image;
}

std::map<std::string, std::string> driver_files(const Design& design, const Graph& core) {
  std::map<std::string, std::string> files;
  if (design.bus_address_bits == 0 && design.weights.empty()) return files;
  Json memories = Json::array(), first = Json::array();
  for (const DesignNode& entry : design.nodes) {
    const Node& node = node_called(core, entry.name);
    bool load = false;
    for (const DesignMemory& memory : entry.memories) {
      if (!memory.bus_address) continue;
      const BusRegion region(memory.shape);
      Json fields = Json::array();
      for (const MemoryField& field : memory.shape.fields) {
        fields.push_back(field_entry(field, node));
      }
      const bool is_empty = in_ultra_ram(node, memory.shape);
      load = load || is_empty;
      memories.push_back({{"node", entry.name},
                          {"memory", memory.shape.name},
                          {"empty_at_start", is_empty},
                          {"address", *memory.bus_address * kBusBytes},
                          {"bytes", (int64_t{1} << region.address_bits) * kBusBytes},
                          {"words", memory.shape.depth},
                          {"width", memory.shape.width},
                          {"columns", region.columns},
                          {"word_bytes", region.stride * kBusBytes},
                          {"fields", fields}});
    }
    const std::vector<BusWord> image = bus_image(node, entry);
    const std::string file = entry.instance.substr(2) + ".image";
    if (!image.empty()) files[file] = image_text(image);
    if (load) first.push_back(file);
  }
  if (!design.weights.empty()) files["weights.bin"] = memory_image(design);
  Json map = {{"load_before_first_frame", first}, {"memories", memories}};
  if (design.bus_address_bits > 0) {
    map["bus"] = {{"protocol", "AXI4-Lite"},
                  {"data_bits", kBusBits},
                  {"address_bits", design.bus_address_bits + 2}};
  }
  if (!design.weights.empty()) {
    map["streams"] = {{"file", "weights.bin"}, {"streams", streams_json(design)}};
  }
  files["memories.json"] = map.dump(2) + "\n";
  return files;
}

std::string accelerator_json(const Accelerator& accelerator, const Design& design,
                             double clock_mhz) {
  Json operands = Json::array(), results = Json::array(), weights = Json::array();
  for (const Mover& mover : accelerator.movers) {
    Json entry = Json::object();
    const auto describe = [&](const DesignPort& port) {
      // The first axis of a type is that of frames, where it is one.
      Shape shape = port.type.shape;
      if (!shape.empty() && shape.front() == 1) shape.erase(shape.begin());
      entry = {{"name", port.name},          {"shape", shape},
               {"bits", port.type.bits},     {"signed", port.type.is_signed},
               {"lanes", port.stream.lanes}, {"beats", port.stream.beats}};
    };
    if (mover.kind == Mover::Kind::operand) describe(design.inputs[mover.index]);
    if (mover.kind == Mover::Kind::result) describe(design.outputs[mover.index]);
    if (mover.kind == Mover::Kind::weights) entry["node"] = design.weights[mover.index].node;
    entry["port"] = mover.port;
    entry["register"] = mover.address;
    entry["slot_bytes"] = mover.slot_bytes;
    entry["frame_bytes"] = mover.frame_bytes;
    Json& list = mover.kind == Mover::Kind::operand  ? operands
                 : mover.kind == Mover::Kind::result ? results
                                                     : weights;
    list.push_back(std::move(entry));
  }
  Json all = {{"name", design.name},
              {"clock_mhz", clock_mhz},
              {"identity", accelerator.identity},
              {"word_bytes", accelerator.word_bytes},
              {"address_bits", accelerator.address_bits},
              {"memories_address", nullptr},
              {"operands", operands},
              {"results", results},
              {"weights", weights}};
  if (design.bus_address_bits > 0) all["memories_address"] = accelerator.memories_address;
  return all.dump(2) + "\n";
}

}  // namespace foldstream
