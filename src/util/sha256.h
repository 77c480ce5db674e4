// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4), for manifests and the names of cached simulations.
#pragma once

#include <string>
#include <string_view>

namespace foldstream {

std::string sha256(std::string_view bytes);  // 64 hexadecimal digits

}  // namespace foldstream
