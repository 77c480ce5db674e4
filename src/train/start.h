// SPDX-License-Identifier: Apache-2.0
// A QONNX model, ours or one that Brevitas wrote, as the start of training.
#pragma once

#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "src/ir/graph.h"
#include "src/train/network.h"

namespace foldstream::train {

// What the model says of the network's tensors, by their names in Network::state: weights, biases,
// batch normalizations and learned scales, matched in their order. Bit widths may differ. Throws
// Error where the model has other layers; `path` names it.
State values_of_model(const Network& network, const Graph& model, const std::string& path);

}  // namespace foldstream::train
