// SPDX-License-Identifier: Apache-2.0
// What the parts of the pool operator share.
#pragma once

#include <string>

#include "src/ir/hardware.h"
#include "src/ir/kernel.h"
#include "src/window/geometry.h"

namespace foldstream::pool {

enum class Function { max, min, sum };

Function function(const Node& node);  // throws Error on another one
// The node's windows; throws Error on dilated ones.
window::Geometry geometry(const Node& node);
// Of sums of so many elements of the frame and its padding.
Type sum_type(const window::Geometry& geometry, int64_t count, Shape shape);

Ports ports(const Node& node);
Rhythm rhythm(const Node& node, Family family);
Cost cost(const Node& node, Family family);
Hardware emit(const Node& node, Family family, const std::string& instance);

extern const Kernels kernels;

}  // namespace foldstream::pool
