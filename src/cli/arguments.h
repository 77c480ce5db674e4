// SPDX-License-Identifier: Apache-2.0
// Going on as another program with the arguments of this one.
#pragma once

#include <filesystem>

namespace foldstream {

// Returns only where the program can't be started.
void start_program(const std::filesystem::path& program);

}  // namespace foldstream
