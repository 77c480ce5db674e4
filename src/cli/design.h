// SPDX-License-Identifier: Apache-2.0
// The options by which a model becomes a design, shared by the commands that make one.
#pragma once

#include <string>

#include "src/cli/command.h"
#include "src/flow/compile.h"

namespace foldstream {

struct DesignOptions {
  std::string input_type;  // "u8": the float input is an integer of this type ...
  double input_scale = 1;  // ... divided by this
  bool standalone_thresholds = false;
};

void add_input_options(CLI::App& command, DesignOptions& options);

CompileOptions compile_options(const DesignOptions& options);

}  // namespace foldstream
