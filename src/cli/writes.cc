// SPDX-License-Identifier: Apache-2.0
#include "src/cli/writes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "src/flow/writable.h"
#include "src/report/driver.h"
#include "src/util/error.h"
#include "src/util/npy.h"

namespace foldstream {

void add_write_option(const Command& command, std::vector<std::string>& writes) {
  command
      .option("--write", writes,
              "NODE.CONSTANT=FILE.npy: a constant of a node built with --writable-weights "
              "(w: weights, t: thresholds, flip), written at run time; repeatable")
      .one_value_each();
}

std::vector<std::string> apply_writes(Graph& core, const std::vector<std::string>& writes,
                                      Family family) {
  std::vector<std::string> nodes;
  std::set<std::string> seen;
  for (const std::string& write : writes) {
    const size_t equals = write.find('=');
    if (equals == std::string::npos) {
      throw Error(fmt::format("--write: '{}' names no file", write),
                  "expected NODE.CONSTANT=FILE.npy");
    }
    const NpyArray array = read_npy(write.substr(equals + 1));
    if (array.kind == NpyArray::Kind::floats) {
      throw Error(fmt::format("--write: '{}' holds floats", write.substr(equals + 1)),
                  "constants of hardware are integers");
    }
    const std::string name = write.substr(0, equals);
    if (!seen.insert(name).second) {
      throw Error(fmt::format("--write: '{}' is written twice", name), "name each constant once");
    }
    nodes.push_back(write_constant(core, name, array.shape, array.ints, family));
  }
  return nodes;
}

std::vector<BusWord> bus_image(const Graph& core, const Design& design,
                               const std::vector<std::string>& nodes) {
  std::vector<BusWord> image;
  for (const DesignNode& entry : design.nodes) {
    if (std::find(nodes.begin(), nodes.end(), entry.name) == nodes.end()) continue;
    for (const Node& node : core.nodes) {
      if (node.name != entry.name) continue;
      const std::vector<BusWord> words = bus_image(node, entry);
      image.insert(image.end(), words.begin(), words.end());
    }
  }
  return image;
}

}  // namespace foldstream
