// SPDX-License-Identifier: Apache-2.0
#include "src/train/checkpoint.h"

#include <fmt/format.h>

#include <cstring>

#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/sha256.h"

namespace foldstream::train {
namespace {

constexpr std::string_view kMagic = "foldstream checkpoint 1\n";
constexpr size_t kHash = 64;

}  // namespace

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  nlohmann::ordered_json header = {{"info", checkpoint.info},
                                   {"tensors", nlohmann::ordered_json::array()}};
  for (const SavedTensor& tensor : checkpoint.tensors) {
    header["tensors"].push_back({{"name", tensor.name}, {"shape", tensor.shape}});
  }
  std::string bytes = std::string(kMagic) + header.dump() + "\n";
  for (const SavedTensor& tensor : checkpoint.tensors) {
    const size_t at = bytes.size(), size = tensor.values.size() * sizeof(float);
    bytes.resize(at + size);
    if (size > 0) std::memcpy(bytes.data() + at, tensor.values.data(), size);
  }
  bytes += sha256(bytes);
  write_whole(path, bytes);
}

Checkpoint read_checkpoint(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  const auto damaged = [&]() {
    return Error(fmt::format("'{}' is not a whole checkpoint", path.string()),
                 "remove it and train from the start");
  };
  if (bytes.size() < kMagic.size() + kHash || !bytes.starts_with(kMagic)) throw damaged();
  const size_t end = bytes.size() - kHash;
  if (sha256(std::string_view(bytes).substr(0, end)) != bytes.substr(end)) throw damaged();
  const size_t line = bytes.find('\n', kMagic.size());
  if (line == std::string::npos || line >= end) throw damaged();
  const std::string_view text = std::string_view(bytes).substr(kMagic.size(), line - kMagic.size());
  Checkpoint checkpoint;
  try {
    const auto header = nlohmann::ordered_json::parse(text);
    checkpoint.info = header.at("info");
    size_t at = line + 1;
    for (const auto& entry : header.at("tensors")) {
      SavedTensor tensor{.name = entry.at("name").get<std::string>(),
                         .shape = entry.at("shape").get<Shape>(),
                         .values = {}};
      const auto count = checked_element_count(tensor.shape);
      if (!count || static_cast<size_t>(*count) > (end - at) / sizeof(float)) throw damaged();
      tensor.values.resize(*count);
      if (*count > 0) std::memcpy(tensor.values.data(), bytes.data() + at, *count * sizeof(float));
      at += *count * sizeof(float);
      checkpoint.tensors.push_back(std::move(tensor));
    }
    if (at != end) throw damaged();
  } catch (const nlohmann::json::exception&) {
    throw damaged();
  }
  return checkpoint;
}

}  // namespace foldstream::train
