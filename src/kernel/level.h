// SPDX-License-Identifier: Apache-2.0
// Instruction sets: kernels are compiled for each, and chosen when they are made.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace foldstream::kernel {

// Those that this machine has, the best first: "AMX", then under Highway's names ("AVX3_DL",
// "AVX2", ...).
std::vector<std::string> levels();

// Kernels made inside `make` are for that level; empty: the best. Throws Error when the machine
// lacks it.
void at_level(const std::string& level, const std::function<void()>& make);

}  // namespace foldstream::kernel
