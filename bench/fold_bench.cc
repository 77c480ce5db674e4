// SPDX-License-Identifier: Apache-2.0
// How long the folding search takes on a model: processor time of all threads, and wall time. Given
// a folding file, holds that folding against the search for the same interval; exit status 1 where
// the search finds a dearer one.
//
//   fold_bench MODEL.onnx CYCLES|max|FOLDING.json [PART]
#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <string>

#include "src/cost/cost.h"
#include "src/flow/compile.h"
#include "src/fold/fold.h"
#include "src/fold/folding_file.h"
#include "src/onnx/reader.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/util/error.h"
#include "src/util/files.h"

namespace {

using namespace foldstream;

void print(const char* whose, int64_t cycles, const Cost& cost, const Part& part) {
  fmt::print(
      "{:9}{:12} cycles{:9.0f} LUT{:9.0f} FF{:7.0f} BRAM_18K{:6.0f} DSP, {:.6f} of the part\n",
      whose, cycles, cost.lut, cost.ff, cost.bram18, cost.dsp, price_on(part).of(cost));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print("usage: fold_bench MODEL.onnx CYCLES|max|FOLDING.json [PART]\n");
    return 2;
  }
  try {
    Graph core = std::move(compile(read_model(argv[1]), {}).parts.core);
    const Part& part = find_part(argc > 3 ? argv[3] : "xc7z020clg400-1");
    std::string target = argv[2];
    double limit = 0;
    if (target.ends_with(".json")) {
      apply_folding(core, parse_json(read_file(target), target));
      const int64_t cycles = slowest_node(core, part.family).second;
      Graph whole = core.clone();
      insert_stream_nodes(whole);
      const Cost cost = total_cost(whole, part.family);
      print("the file", cycles, cost, part);
      limit = price_on(part).of(cost);
      target = std::to_string(cycles);
    }
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t processor = std::clock();
    const FoldResult result = target == "max" ? fold_max(core, part, whole_of(part, 0.7))
                                              : fold_for_cycles(core, std::stoll(target), part);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    print("found", result.cycles, result.cost, part);
    fmt::print("{}\n", result.proof());
    fmt::print("{:.3f} s of processor time, {:.3f} s\n",
               static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC, seconds);
    if (limit > 0 && result.price > limit * (1 + 1e-9)) return 1;
  } catch (const Error& error) {
    fmt::print("error: {}\n  help: {}\n", error.what(), error.help());
    return 2;
  }
  return 0;
}
