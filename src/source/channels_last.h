// SPDX-License-Identifier: Apache-2.0
// What imports of layers over [N, C, spatial...] share: the same layers of QONNX's channels-last
// domain, and biases.
#pragma once

#include <string>
#include <string_view>

#include "src/ir/onnx_node.h"

namespace foldstream {

// The domain in which QONNX's channels-last layers are found.
constexpr std::string_view kChannelsLastDomain = "channels_last";

// [N, spatial..., C] to [N, C, spatial...], and back. Throws Error on fewer than two axes.
Value channels_first(Value x, const std::string& name, Graph& graph);
Value channels_last(Value x, const std::string& name, Graph& graph);

// x + bias [C] along axis 1.
Value add_bias(Value x, Value bias, const std::string& name, Graph& graph);

}  // namespace foldstream
