// SPDX-License-Identifier: Apache-2.0
// A trained network as a source graph, with the nodes that Brevitas writes: weights in floats
// behind Quant or BipolarQuant, activations behind the same.
#pragma once

#include "src/ir/graph.h"
#include "src/train/network.h"

namespace foldstream::train {

// One sample a frame: input [1, ...], output [1, classes].
Graph exported(const Network& network);

}  // namespace foldstream::train
