// SPDX-License-Identifier: Apache-2.0
// What the pools over [N, C, L] and [N, C, H, W] share.
#pragma once

#include <functional>
#include <vector>

#include "src/ir/onnx_node.h"
#include "src/source/window.h"

namespace foldstream {

// The window of a pool's attributes `kernel`, `stride`, `dilation`, `pad`.
WindowShape pool_window(const Node& node);

std::vector<Type> infer_pool(const Node& node);

// y [N, C, places] from x [N, C, spatial]: `pool` gives a result from the elements of one window
// that are no padding, in order, and the place of the window along each axis.
Tensor eval_pool(const Node& node, const Tensor& x,
                 const std::function<double(const std::vector<double>& elements,
                                            const std::vector<int64_t>& place)>& pool);

// Imports a pool with the attributes of its window and `more`; a pool over all positions where the
// node has no kernel of its own (`global`); channels last in QONNX's domain of that name.
std::vector<Value> import_pool(std::string_view op, const OnnxNode& source, bool global,
                               NodeAttributes more, Graph& graph);

}  // namespace foldstream
