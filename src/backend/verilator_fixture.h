// SPDX-License-Identifier: Apache-2.0
// For tests that simulate: skipped where Verilator isn't installed.
#pragma once

#include <gtest/gtest.h>

#include "src/backend/tools.h"
#include "src/util/error.h"

namespace foldstream {

// A derived SetUp asks IsSkipped() after this one.
class VerilatorTest : public testing::Test {
 protected:
  void SetUp() override {
    try {
      tool_package("verilator");
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
  }
};

}  // namespace foldstream
