// SPDX-License-Identifier: Apache-2.0
#include "src/fold/folding_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <set>

#include "src/fold/finn_names.h"
#include "src/ir/op.h"
#include "src/passes/group_pixels.h"
#include "src/util/error.h"
#include "src/util/suggest.h"

namespace foldstream {
namespace {

using Json = nlohmann::ordered_json;

// FINN's hardware operators, so that an entry for one that this graph doesn't need is told from a
// slip of the pen.
constexpr std::string_view kFinnTypes[] = {"MVAU",
                                           "VVAU",
                                           "Thresholding",
                                           "ConvolutionInputGenerator",
                                           "FMPadding",
                                           "FMPadding_Pixel",
                                           "Pool",
                                           "GlobalAccPool",
                                           "LabelSelect",
                                           "Lookup",
                                           "DuplicateStreams",
                                           "StreamingConcat",
                                           "StreamingSplit",
                                           "AddStreams",
                                           "ChannelwiseOp",
                                           "ElementwiseAdd",
                                           "ElementwiseSub",
                                           "ElementwiseMul",
                                           "ElementwiseDiv",
                                           "ElementwiseMax",
                                           "Upsample",
                                           "UpsampleNearestNeighbour",
                                           "Crop",
                                           "Requant",
                                           "InnerShuffle",
                                           "OuterShuffle",
                                           "Shuffle",
                                           "LayerNorm",
                                           "HWSoftmax",
                                           "StreamingDataWidthConverter",
                                           "StreamingFIFO",
                                           "IODMA",
                                           "TLastMarker",
                                           "CheckSum",
                                           "StreamingMaxPool",
                                           "DownSampler",
                                           "FINNLoop"};

// Of these the compiler makes its own between the nodes of the graph.
constexpr std::string_view kStreamTypes[] = {"StreamingDataWidthConverter", "StreamingFIFO",
                                             "DuplicateStreams"};

// FINN's attributes that steer no folding here: the values FINN knows (none: any number), and what
// becomes of them.
struct FinnAttribute {
  std::string_view name;
  std::vector<std::string_view> values;
  std::string_view meaning;
};
const FinnAttribute kFinnAttributes[] = {
    {"ram_style",
     {"auto", "block", "distributed", "ultra"},
     "weights and buffers are placed by the operator"},
    {"ram_style_thresholds",
     {"auto", "block", "distributed"},
     "thresholds are part of the unit that compares"},
    {"resType", {"auto", "lut", "dsp"}, "the operator chooses between LUT and DSP"},
    {"mem_mode",
     {"internal_embedded", "internal_decoupled", "external", "const", "decoupled"},
     "weights are embedded"},
    {"preferred_impl_style", {"", "hls", "rtl"}, "everything is RTL"},
    {"impl_style", {"rtl", "vivado", "hls"}, "queues choose their memory by depth"},
    {"mem_port", {}, "memory ports belong to the shell"},
    {"runtime_writeable_weights", {"0", "1"}, "the node has no weights"},
    {"pumpedMemory", {}, "there is one clock"},
    {"pumpedCompute", {}, "there is one clock"},
    {"dynamic_input", {}, "the second operand is constant"},
    {"depth_trigger_uram", {}, "thresholds are placed by the operator"},
    {"depth_trigger_bram", {}, "thresholds are placed by the operator"},
    {"uniform_thres", {}, "thresholds are compared as they are"},
    {"deep_pipeline", {}, "every pipeline has the depth its rhythm says"},
    {"slr", {}, "placement is left to the vendor's tool"},
    {"partition_id", {}, "the graph is one design"},
    {"device_id", {}, "the graph is one design"},
    {"depth", {}, "queues are sized by the cycle model"},
    {"M", {}, "PixelGroups says how many pixels a beat has"},
    {"parallel_window", {}, "the window is as wide as its folding says"},
};

// Nodes that take and give several pixels at once, by their own names: [in, out].
constexpr const char* kPixelGroups = "PixelGroups";
// Depths of the queues behind forks, width converters and FIFOs, by the nodes' own names.
constexpr const char* kStreamQueues = "StreamQueues";
constexpr int64_t kDeepestQueue = int64_t{1} << 30;

const FinnAttribute* find_attribute(std::string_view name) {
  for (const FinnAttribute& attribute : kFinnAttributes) {
    if (attribute.name == name) return &attribute;
  }
  return nullptr;
}

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<Fold> folds_of(const Node& node) {
  return node.op->folds == nullptr ? std::vector<Fold>{} : node.op->folds(node);
}

// "MVAU_hls_0" is number 0 of type "MVAU" in style "hls"; without a number it is no such name.
struct FinnName {
  std::string type, style;
  size_t number = 0;
};
std::optional<FinnName> split_name(const std::string& name) {
  const size_t underscore = name.rfind('_');
  if (underscore == std::string::npos || underscore + 1 == name.size()) return std::nullopt;
  const std::string digits = name.substr(underscore + 1);
  if (digits.size() > 9 || !std::all_of(digits.begin(), digits.end(),
                                        [](unsigned char c) { return std::isdigit(c) != 0; }))
    return std::nullopt;
  FinnName result{name.substr(0, underscore), "", std::stoul(digits)};
  for (const char* style : {"_hls", "_rtl"}) {
    if (result.type.ends_with(style)) {
      result.style = style + 1;
      result.type.resize(result.type.size() - 4);
    }
  }
  return result;
}

class Applier {
 public:
  Applier(Graph& core, const Json& file, bool has_ultra_ram)
      : core_(core), file_(file), has_ultra_ram_(has_ultra_ram) {
    for (Node& node : core.nodes) {
      if (node.op->kind != Op::Kind::hardware) continue;
      nodes_.push_back(&node);
      by_type_[finn_type(node)].push_back(&node);
    }
  }

  FoldingRemarks run() {
    if (!file_.is_object())
      throw Error("folding file: found no JSON object", "expected { \"<node>\": { \"PE\": 4 } }");
    for (Node* node : nodes_) reset(*node);
    if (const auto defaults = file_.find("Defaults"); defaults != file_.end())
      apply_defaults(*defaults);
    find_mixed_styles();
    std::set<const Node*> named;
    for (const auto& [key, attributes] : file_.items()) {
      if (key == "Defaults" || key == kPixelGroups || key == kStreamQueues) continue;
      if (!attributes.is_object())
        throw Error(fmt::format("folding file: entry '{}' is not an object", key));
      Node* node = resolve(key);
      if (node == nullptr) continue;
      if (!named.insert(node).second)
        throw Error(fmt::format("folding file: '{}' names {} a second time", key, describe(*node)));
      // Where weights are decides what else there is to fold by.
      for (const bool place : {true, false}) {
        for (const auto& [name, value] : attributes.items()) {
          if ((name == "mem_mode") == place) apply(*node, key, name, value, false);
        }
      }
    }
    settle_ultra_ram();
    for (const auto& [name, node] : finn_names(core_)) {
      if (!named.contains(node) && !folds_of(*node).empty())
        remarks_.warnings.push_back(fmt::format("no entry for '{}', {}: it keeps {}", name,
                                                describe(*node), folding(*node)));
    }
    if (file_.contains(kStreamQueues)) {
      read_stream_queues(file_[kStreamQueues]);
    } else if (!made_again_.empty()) {
      remarks_.notes.push_back(
          fmt::format("forks, width converters and queues are made by the compiler again ({})",
                      fmt::join(made_again_, ", ")));
    }
    for (const auto& [name, uses] : ignored_) {
      remarks_.notes.push_back(fmt::format("{} has no effect here ({}): {}", name,
                                           find_attribute(name)->meaning, fmt::join(uses, ", ")));
    }
    return std::move(remarks_);
  }

 private:
  static void reset(Node& node) {
    const size_t count = folds_of(node).size();
    for (size_t i = 0; i < count; ++i) {  // legal values may depend on those before
      const Fold fold = folds_of(node)[i];
      node.attr[fold.attr] = fold.legal.front();
    }
  }

  static std::string folding(const Node& node) {
    std::vector<std::string> parts;
    for (const Fold& fold : folds_of(node))
      parts.push_back(fmt::format("{} = {}", upper(fold.attr), node.integer(fold.attr)));
    return fmt::format("{}", fmt::join(parts, ", "));
  }

  // { "<attribute>": [value, "all" or ["<type>", ...], value, ...] }
  void apply_defaults(const Json& defaults) {
    if (!defaults.is_object()) throw Error("folding file: 'Defaults' is not an object");
    for (const auto& [name, list] : defaults.items()) {
      if (!list.is_array() || list.size() % 2 != 0) {
        throw Error(
            fmt::format("folding file: default '{}' is not a list of values and types", name),
            "expected [value, [\"all\"]] or [value, [\"MVAU\"]]");
      }
      for (size_t i = 0; i < list.size(); i += 2) {
        std::vector<std::string> types;
        const auto add = [&](const Json& type) {
          if (!type.is_string())
            throw Error(fmt::format("folding file: default '{}': a type is not a string", name));
          types.push_back(type.get<std::string>());
        };
        if (list[i + 1].is_array()) {
          for (const Json& type : list[i + 1]) add(type);
        } else {
          add(list[i + 1]);
        }
        for (Node* node : nodes_) {
          const std::string own = finn_type(*node);
          const bool meant = std::any_of(types.begin(), types.end(), [&](const std::string& type) {
            return type == "all" || type == own || type == own + "_hls" || type == own + "_rtl";
          });
          if (meant) apply(*node, "Defaults", name, list[i], true);
        }
      }
    }
  }

  void read_stream_queues(const Json& queues) {
    if (!queues.is_object()) {
      throw Error(fmt::format("folding file: '{}' is not an object", kStreamQueues),
                  "expected { \"<node>\": 4 }");
    }
    for (const auto& [name, depth] : queues.items()) {
      if (!is_depth(depth) || depth == 0) {
        throw Error(
            fmt::format("folding file: {} of '{}' is {}", kStreamQueues, name, depth.dump()),
            fmt::format("expected a depth of 1 to {}", kDeepestQueue));
      }
      remarks_.stream_queues[name] = depth.get<int64_t>();
    }
  }

  static bool is_depth(const Json& value) {
    return value.is_number_integer() && value.get<int64_t>() >= 0 &&
           value.get<int64_t>() <= kDeepestQueue;
  }

  // FINN counts the HLS and the RTL nodes of a type apart. Where a file has both, the order of its
  // entries, which is that of the graph, says which is which.
  void find_mixed_styles() {
    std::map<std::string, std::set<std::string>> styles;
    std::map<std::string, std::vector<std::string>> entries;
    for (const auto& [key, attributes] : file_.items()) {
      const auto name = split_name(key);
      if (!name || name->style.empty() || !by_type_.contains(name->type)) continue;
      styles[name->type].insert(name->style);
      entries[name->type].push_back(key);
    }
    for (const auto& [type, used] : styles) {
      if (used.size() < 2) continue;
      const std::vector<Node*>& nodes = by_type_.at(type);
      if (entries.at(type).size() != nodes.size()) {
        throw Error(fmt::format("folding file: {} HLS and RTL entries of {} for {} nodes: which is "
                                "which can't be told",
                                entries.at(type).size(), type, nodes.size()),
                    fmt::format("name every node, or call them {}_0 to {}_{}", type, type,
                                nodes.size() - 1));
      }
      for (size_t i = 0; i < nodes.size(); ++i) mixed_[entries.at(type)[i]] = nodes[i];
      remarks_.notes.push_back(
          fmt::format("HLS and RTL entries of {} are taken in the order of the file", type));
    }
  }

  // Null for an entry that means nothing to this graph, with a remark.
  Node* resolve(const std::string& key) {
    for (Node* node : nodes_) {
      if (node->name == key) return node;
    }
    if (const auto it = mixed_.find(key); it != mixed_.end()) return it->second;
    const auto name = split_name(key);
    if (name && contains(kStreamTypes, name->type)) {
      made_again_.push_back(key);
      return nullptr;
    }
    if (name) {
      if (const auto it = by_type_.find(name->type); it != by_type_.end()) {
        if (name->number < it->second.size()) return it->second[name->number];
        throw Error(fmt::format("folding file: '{}', but the graph has {} {} node{}", key,
                                it->second.size(), name->type, it->second.size() == 1 ? "" : "s"),
                    "its nodes are " + known_names());
      }
      if (contains(kFinnTypes, name->type)) {
        remarks_.warnings.push_back(
            fmt::format("'{}' has no effect: the graph has no {} node; its nodes are {}", key,
                        name->type, known_names()));
        return nullptr;
      }
    }
    std::vector<std::string> names;
    for (const auto& [known, node] : finn_names(core_)) names.push_back(known);
    for (const Node* node : nodes_) names.push_back(node->name);
    throw Error(fmt::format("folding file: no node is called '{}'", key), did_you_mean(key, names));
  }

  std::string known_names() const {
    std::vector<std::string> names;
    for (const auto& [name, node] : finn_names(core_)) names.push_back(name);
    return fmt::format("{}", fmt::join(names, ", "));
  }

  void apply(Node& node, const std::string& key, const std::string& name, const Json& value,
             bool is_default) {
    const auto where = [&] { return fmt::format("folding file: '{}', {}", key, describe(node)); };
    std::vector<std::string> valid;
    for (const Fold& fold : folds_of(node)) {
      valid.push_back(upper(fold.attr));
      if (upper(fold.attr) != upper(name)) continue;
      if (!value.is_number_integer() || std::find(fold.legal.begin(), fold.legal.end(),
                                                  value.get<int64_t>()) == fold.legal.end()) {
        throw Error(fmt::format("{}: {} = {} is not legal", where(), name, value.dump()),
                    fmt::format("legal values are {}", fmt::join(fold.legal, ", ")));
      }
      node.attr[fold.attr] = value.get<int64_t>();
      return;
    }
    if (name == "runtime_writeable_weights" && node.op->memories != nullptr) {
      if (value != 0 && value != 1) {
        throw Error(fmt::format("{}: runtime_writeable_weights = {}", where(), value.dump()),
                    "legal values are 0 and 1");
      }
      if (value == 1) set_place(node, where(), "writable");
      return;
    }
    if (name == "mem_mode" && value == "external" && can_be_streamed(node)) {
      set_place(node, where(), "streamed");
      return;
    }
    if (name == "ram_style" && value == "ultra" && has_ultra_ram_ && node.op->memories != nullptr) {
      node.attr["ultra"] = int64_t{1};
      return;
    }
    if (name == "outFIFODepths" || name == "inFIFODepths") {
      apply_depths(node, where(), name, value);
      return;
    }
    const FinnAttribute* attribute = find_attribute(name);
    // A default for all types speaks to those that have the attribute.
    if (attribute == nullptr && is_default && (upper(name) == "PE" || upper(name) == "SIMD"))
      return;
    if (attribute == nullptr) {
      for (const char* depths : {"outFIFODepths", "inFIFODepths"}) valid.emplace_back(depths);
      for (const FinnAttribute& known : kFinnAttributes) valid.emplace_back(known.name);
      throw Error(fmt::format("{}: there is no attribute '{}'", where(), name),
                  did_you_mean(name, valid));
    }
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (!attribute->values.empty() && !contains(attribute->values, text)) {
      throw Error(fmt::format("{}: {} = {} is not legal", where(), name, value.dump()),
                  fmt::format("legal values are '{}'", fmt::join(attribute->values, "', '")));
    }
    ignored_[name].insert(key);
  }

  static bool can_be_streamed(const Node& node) {
    if (node.op->memories == nullptr) return false;
    const std::vector<MemoryShape> memories = node.op->memories(node, Family::generic);
    return std::all_of(memories.begin(), memories.end(),
                       [](const MemoryShape& memory) { return memory.reads > 0; });
  }

  static void set_place(Node& node, const std::string& where, const std::string& place) {
    const std::string now = node.text("memory", place);
    if (now != place) {
      throw Error(fmt::format("{}: its weights can't be {} and {}", where, now, place),
                  "leave out runtime_writeable_weights, or mem_mode = external");
    }
    node.attr["memory"] = place;
  }

  // Weights of which the file says only that they are in UltraRAM are loaded there.
  void settle_ultra_ram() {
    for (Node* node : nodes_) {
      if (node->integer("ultra", 0) == 0 || memory_place(*node) == MemoryPlace::writable) continue;
      node->attr.erase("ultra");
      if (memory_place(*node) == MemoryPlace::inside) node->attr["memory"] = std::string("loaded");
    }
  }

  // A stream has one queue, behind its producer. FINN's depth of it is the larger of what both ends
  // ask for; here it is the least that the queue may be made.
  void apply_depths(Node& node, const std::string& where, const std::string& name,
                    const Json& value) {
    const bool is_out = name == "outFIFODepths";
    const size_t ports = is_out ? node.out.size() : node.in.size();
    if (!value.is_array() || value.size() > ports ||
        !std::all_of(value.begin(), value.end(), is_depth)) {
      throw Error(
          fmt::format("{}: {} = {} is not legal", where, name, value.dump()),
          fmt::format("expected a list of at most {} depth{}", ports, ports == 1 ? "" : "s"));
    }
    for (size_t port = 0; port < value.size(); ++port) {
      Node* producer = is_out ? &node : node.in[port].node;
      while (producer->op->kind == Op::Kind::view) producer = producer->in[0].node;
      if (producer->op->kind != Op::Kind::hardware)
        continue;  // the host's side of the first stream
      const int64_t depth = std::max<int64_t>(value[port].get<int64_t>(), 1);
      producer->attr["queue"] = std::max(producer->integer("queue", 1), depth);
    }
  }

  Graph& core_;
  const Json& file_;
  const bool has_ultra_ram_;
  std::vector<Node*> nodes_;
  std::map<std::string, std::vector<Node*>> by_type_;
  std::map<std::string, Node*> mixed_;
  std::vector<std::string> made_again_;                   // entries
  std::map<std::string, std::set<std::string>> ignored_;  // attribute -> entries
  FoldingRemarks remarks_;
};

}  // namespace

FoldingRemarks apply_folding(Graph& core, const Json& file, bool has_ultra_ram) {
  if (file.is_object() && file.contains(kPixelGroups)) {
    const Json& groups = file[kPixelGroups];
    if (!groups.is_object()) {
      throw Error(fmt::format("folding file: '{}' is not an object", kPixelGroups));
    }
    for (const auto& [name, pixels] : groups.items()) {
      if (!pixels.is_array() || pixels.size() != 2 || !pixels[0].is_number_integer() ||
          !pixels[1].is_number_integer()) {
        throw Error(
            fmt::format("folding file: {} of '{}' is {}", kPixelGroups, name, pixels.dump()),
            "expected pixels of a position in and out: [2, 2]");
      }
      group_pixels(core, name, {pixels[0].get<int64_t>(), pixels[1].get<int64_t>()});
    }
  }
  return Applier(core, file, has_ultra_ram).run();
}

Json parse_json(const std::string& text, const std::string& name) {
  // A key that is there twice would silently hide the first.
  std::vector<std::set<std::string>> keys;
  const auto once = [&](int, Json::parse_event_t event, Json& key) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(key.get<std::string>()).second) {
      throw Error(fmt::format("{}: {} is there twice", name, key.dump()),
                  "leave one of the entries out");
    }
    return true;
  };
  try {
    return Json::parse(text, once);
  } catch (const nlohmann::json::parse_error& error) {
    const auto at = std::min(error.byte, text.size());
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    throw Error(fmt::format("{}: not JSON at line {}", name, line),
                "a comma, quote or bracket is missing there or is one too many");
  }
}

Json final_hw_config(const Graph& core) {
  Json file;
  file["Defaults"] = Json::object();
  for (const Node& node : core.nodes) {
    if (node.attr.contains("pixels")) file[kPixelGroups][node.name] = node.integers("pixels", {});
  }
  Json queues = Json::object();
  for (const auto& [name, node] : finn_names(core)) {
    Json& entry = file[name] = Json::object();
    for (const Fold& fold : folds_of(*node)) {
      const auto it = node->attr.find(fold.attr);
      if (it != node->attr.end()) entry[upper(fold.attr)] = std::get<int64_t>(it->second);
    }
    const MemoryPlace place = memory_place(*node);
    if (place == MemoryPlace::writable) entry["runtime_writeable_weights"] = 1;
    if (place == MemoryPlace::loaded || node->integer("ultra", 0) == 1) {
      entry["ram_style"] = "ultra";
    }
    if (place == MemoryPlace::streamed) entry["mem_mode"] = "external";
    if (!node->attr.contains("queue")) continue;
    const int64_t queue = node->integer("queue");
    entry["outFIFODepths"] = std::vector<int64_t>(node->out.size(), queue);
    if (contains(kStreamTypes, finn_type(*node))) queues[node->name] = queue;
  }
  if (!queues.empty()) file[kStreamQueues] = queues;
  return file;
}

}  // namespace foldstream
