// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "src/cli/arguments.h"
#include "src/cli/trainer.h"

// Of OpenBLAS; other libraries of this interface don't have it.
extern "C" char* openblas_get_corename() __attribute__((weak));

namespace foldstream {
namespace {

constexpr const char* kChoice = "OPENBLAS_CORETYPE";

// An OpenBLAS older than the processor takes it for one of 2004 and is five times slower than it
// can be. What it takes a processor for is settled before main, so the program starts once more.
void choose_blas() {
  if (openblas_get_corename == nullptr || std::getenv(kChoice) != nullptr) return;
  const std::string_view core = openblas_get_corename();
  if (core != "Prescott" && core != "Core2" && core != "Generic") return;
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool narrow = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!wide && !narrow) return;
  setenv(kChoice, wide ? "SkylakeX" : "Haswell", 1);
  start_program("/proc/self/exe");
}

}  // namespace

std::vector<train::Outcome> run_trainer(std::span<const train::Options> all) {
  choose_blas();
  return train::train(all);
}

}  // namespace foldstream
