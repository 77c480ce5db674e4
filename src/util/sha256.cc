// SPDX-License-Identifier: Apache-2.0
#include "src/util/sha256.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "src/util/error.h"

namespace foldstream {

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  FOLDSTREAM_CHECK(
      EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

}  // namespace foldstream
