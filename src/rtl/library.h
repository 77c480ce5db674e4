// SPDX-License-Identifier: Apache-2.0
// The SystemVerilog library that the program carries: its modules, and which of them use which.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "src/util/embedded.h"

namespace foldstream {

inline constexpr std::string_view kGenericCells = "tech/generic/";
inline constexpr std::string_view kXilinxCells = "tech/xilinx/";

class Library {
 public:
  Library();

  bool has(const std::string& module) const { return files_.contains(module); }

  // Files of the modules and of all that they use, path below rtl/ -> text: lib/ holds the modules,
  // tech/FAMILY/ the twins of each family's cells. Nothing for no modules.
  std::map<std::string, std::string> files(std::set<std::string> modules) const;

 private:
  // Other modules whose names stand in the module's text, outside comments.
  std::set<std::string> uses(const std::string& module) const;

  std::map<std::string, std::vector<const EmbeddedFile*>> files_;  // by module
};

}  // namespace foldstream
