// SPDX-License-Identifier: Apache-2.0
// How long the folding search takes on a model: processor time of all threads, and wall time.
//
//   fold_bench MODEL.onnx CYCLES|max [PART]
#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <string>

#include "src/flow/compile.h"
#include "src/fold/fold.h"
#include "src/onnx/reader.h"
#include "src/util/error.h"

int main(int argc, char** argv) {
  using namespace foldstream;
  if (argc < 3) {
    fmt::print("usage: fold_bench MODEL.onnx CYCLES|max [PART]\n");
    return 2;
  }
  try {
    Graph core = std::move(compile(read_model(argv[1]), {}).parts.core);
    const Part& part = find_part(argc > 3 ? argv[3] : "xc7z020clg400-1");
    const std::string target = argv[2];
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t processor = std::clock();
    const FoldResult result = target == "max" ? fold_max(core, part, whole_of(part, 0.7))
                                              : fold_for_cycles(core, std::stoll(target), part);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print("{} cycles, {:.0f} LUT, {:.0f} FF, {:.0f} BRAM_18K, {:.0f} DSP: {}\n", result.cycles,
               result.cost.lut, result.cost.ff, result.cost.bram18, result.cost.dsp,
               result.proof());
    fmt::print("{:.3f} s of processor time, {:.3f} s\n",
               static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC, seconds);
  } catch (const Error& error) {
    fmt::print("error: {}\n  help: {}\n", error.what(), error.help());
    return 2;
  }
  return 0;
}
