// SPDX-License-Identifier: Apache-2.0
// The two kinds of failure: Error for what a user can cause, FOLDSTREAM_CHECK for what only we can.
#pragma once

#include <stdexcept>
#include <string>

namespace foldstream {

// What a user can cause and mend. `message` says where it is, what was found and what was expected,
// in one lower-case line without a full stop; `help`, when not empty, says what to do.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, std::string help = "")
      : std::runtime_error(message), help_(std::move(help)) {}
  const std::string& help() const { return help_; }

 private:
  std::string help_;
};

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace foldstream

// Holds unless Foldstream itself is wrong; prints where and aborts.
#define FOLDSTREAM_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::foldstream::check_failed(#condition, __FILE__, __LINE__))
