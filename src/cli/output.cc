// SPDX-License-Identifier: Apache-2.0
#include "src/cli/output.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "src/fold/folding_file.h"
#include "src/ir/text.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/parallel.h"
#include "src/util/sha256.h"

namespace foldstream {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;
constexpr const char* kBuildAgain = "build it again";

Json read_manifest(const fs::path& folder) {
  const fs::path path = folder / kManifest;
  Json json = parse_json(read_file(path), path.string());
  if (!json.is_object() || !json.contains("foldstream") || !json.contains("format") ||
      json["format"] != kFormat || !json.contains("files") || !json.contains("options")) {
    throw Error(fmt::format("'{}' was not written by this version of Foldstream", path.string()),
                kBuildAgain);
  }
  return json;
}

Graph read_graph(const fs::path& folder, const std::string& name, const Json& files) {
  const std::string text = read_file(folder / name);
  if (files.value(name, "") != sha256(text)) {
    throw Error(fmt::format("'{}' was changed since it was built", (folder / name).string()),
                kBuildAgain);
  }
  return parse(text);
}

}  // namespace

bool is_output(const fs::path& folder) {
  try {
    std::error_code error;
    return fs::is_directory(folder, error) && read_manifest(folder).contains("foldstream");
  } catch (const Error&) {
    return false;
  }
}

namespace {

// Reads those of the folder's graphs that are asked for.
Built read(const fs::path& folder,
           const std::vector<std::pair<const char*, Graph& (*)(Built&)>>& graphs) {
  std::error_code error;
  if (!fs::exists(folder / kManifest, error) && !error) {
    throw Error(fmt::format("'{}' is a folder without {}", folder.string(), kManifest),
                "name a folder that 'foldstream build' wrote, or a model");
  }
  const Json json = read_manifest(folder);
  const auto changed = [&] {
    return Error(fmt::format("'{}' was changed since it was built", (folder / kManifest).string()),
                 kBuildAgain);
  };
  Built built;
  const Json& options = json.at("options");
  try {
    built.name = options.at("name").get<std::string>();
    built.clock_mhz = options.at("clock_mhz").get<double>();
    if (const auto latency = options.find("latency_cycles"); latency != options.end()) {
      built.latency = latency->get<int64_t>();
    }
    for (const auto& graph : graphs) json.at("files").at(graph.first).get<std::string>();
    built.part = &find_part(options.at("part").get<std::string>());
  } catch (const Json::exception&) {
    throw changed();
  }
  if (!(built.clock_mhz > 0 && built.clock_mhz < 1e6)) throw changed();
  parallel_for(graphs.size(), [&](size_t i) {
    graphs[i].second(built) = read_graph(folder, graphs[i].first, json.at("files"));
  });
  return built;
}

Graph& core_of(Built& built) { return built.parts.core; }

}  // namespace

Built read_output(const fs::path& folder) {
  return read(folder, {{"model.fst", [](Built& built) -> Graph& { return built.model; }},
                       {"design.fst", core_of},
                       {"head.fst", [](Built& built) -> Graph& { return built.parts.head; }},
                       {"tail.fst", [](Built& built) -> Graph& { return built.parts.tail; }}});
}

Built read_hardware(const fs::path& folder) { return read(folder, {{"design.fst", core_of}}); }

Design read_design(const fs::path& folder, const Built& built) {
  Design design = stitch(built.parts.core, built.part->family);
  for (auto& [path, text] : design.files) text = read_file(folder / "rtl" / path);
  return design;
}

void check_model_output(const fs::path& path) {
  if (path.extension() == ".fst") {
    throw Error(fmt::format("'{}' is the name of a graph in text form", path.string()),
                "the model is written as ONNX: name it .onnx");
  }
  check_writable(path);
}

Json manifest(const std::map<std::string, std::string>& files, const Json& options) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const auto& [path, text] : files) entries.emplace_back(path, "");
  parallel_for(entries.size(),
               [&](size_t i) { entries[i].second = sha256(files.at(entries[i].first)); });
  Json hashes = Json::object();
  for (const auto& [path, hash] : entries) hashes[path] = hash;
  return {{"foldstream", FOLDSTREAM_VERSION},
          {"format", kFormat},
          {"options", options},
          {"files", hashes}};
}

}  // namespace foldstream
