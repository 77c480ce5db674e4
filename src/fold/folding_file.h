// SPDX-License-Identifier: Apache-2.0
// Folding files under FINN's schema: folding_config.json is read, final_hw_config.json is written
// and read.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "src/ir/graph.h"

namespace foldstream {

// What a file said beyond the folding that was applied. Nothing of a file is left out silently.
struct FoldingRemarks {
  // Least depths of queues behind nodes that the compiler makes later, by their own names.
  std::map<std::string, int64_t> stream_queues;
  std::vector<std::string> warnings;  // entries without effect that may be meant otherwise
  std::vector<std::string> notes;     // what FINN's attributes mean, or don't, for this hardware
};

// Applies a file to a core graph without stream nodes. Nodes are called as FINN does ("MVAU_hls_0",
// "MVAU_rtl_0", "MVAU_0") or by their own name. Nodes the file doesn't name get the values under
// Defaults, else their smallest hardware. Throws Error on a node or an attribute that doesn't exist
// and on a folding that isn't legal, with what is. Without UltraRAM in the part, memories that the
// file wants there are where they would be.
FoldingRemarks apply_folding(Graph& core, const nlohmann::ordered_json& file,
                             bool has_ultra_ram = false);

// The text of a file parsed; throws Error with the place where it isn't JSON. `name` is for errors.
nlohmann::ordered_json parse_json(const std::string& text, const std::string& name);

// The folding and queues of a graph, stream nodes included; apply_folding and the compiler make the
// same design of it again.
nlohmann::ordered_json final_hw_config(const Graph& core);

}  // namespace foldstream
