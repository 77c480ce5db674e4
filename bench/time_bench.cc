// SPDX-License-Identifier: Apache-2.0
// How long the questions about time take on the example network: folding, queues, cycles.
#include <benchmark/benchmark.h>

#include "src/flow/compile.h"
#include "src/fold/fold.h"
#include "src/fold/queues.h"
#include "src/onnx/reader.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/sim/cycle_model.h"

namespace {

using namespace foldstream;

Graph example_core() {
  const Graph model = read_model(FOLDSTREAM_SOURCE_DIR "/examples/tfc/tfc-w2a2.onnx");
  return std::move(compile(model, {}).parts.core);
}

Graph folded_core(int64_t cycles) {
  Graph core = example_core();
  fold_for_cycles(core, cycles, find_part("xc7z020"));
  insert_stream_nodes(core);
  return core;
}

void fold(benchmark::State& state) {
  Graph core = example_core();
  for (auto _ : state)
    benchmark::DoNotOptimize(fold_for_cycles(core, state.range(0), find_part("xc7z020")));
}
BENCHMARK(fold)->Arg(64)->Arg(1000)->Unit(benchmark::kMillisecond);

void queues(benchmark::State& state) {
  const Graph core = folded_core(state.range(0));
  for (auto _ : state) {
    Graph copy = core.clone();
    benchmark::DoNotOptimize(set_queues(copy, Family::xilinx));
  }
}
BENCHMARK(queues)->Arg(64)->Arg(1000)->Unit(benchmark::kMillisecond);

// Every beat of a thousand frames, and the same answer by way of the steady state.
void cycles(benchmark::State& state) {
  Graph core = folded_core(state.range(0));
  set_queues(core, Family::xilinx);
  const StreamGraph streams = stream_graph(core, Family::xilinx);
  SimOptions options;
  options.frames = 1000;
  options.record = state.range(1) != 0;
  int64_t simulated = 0;
  for (auto _ : state) simulated += simulate(streams, options).cycles;
  state.counters["cycles/s"] =
      benchmark::Counter(static_cast<double>(simulated), benchmark::Counter::kIsRate);
}
BENCHMARK(cycles)
    ->ArgNames({"interval", "every_beat"})
    ->Args({64, 1})
    ->Args({64, 0})
    ->Args({1000, 1})
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
