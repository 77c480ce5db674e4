// SPDX-License-Identifier: Apache-2.0
// UNSW-NB15: connections of a network, normal or attacks, as the two CSV files of its authors'
// partition.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "src/data/data_set.h"

namespace foldstream {

// The file of a part.
std::string unsw_nb15_file(Split split);

// As many features as published networks take.
inline constexpr int64_t kUnswNb15Features = 593;

// Features as bits in floats, 0 or 1, kUnswNb15Features a connection; label 0 normal, 1 attack.
// Numbers become 8 bits of their logarithm, scaled to the largest of the training file; each text
// column one bit for each value that occurs in the training file; the rest is 0. Samples are in a
// fixed mixed order.
DataSet load_unsw_nb15(const std::filesystem::path& folder, int64_t limit, Split split);

}  // namespace foldstream
