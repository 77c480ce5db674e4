// SPDX-License-Identifier: Apache-2.0
// A model or a built design, and the engines that run frames through it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/cli/design.h"
#include "src/cli/output.h"
#include "src/exec/program.h"
#include "src/ir/graph.h"
#include "src/util/progress.h"

namespace foldstream {

using Frame = std::vector<Tensor>;  // operands or results, one a graph input or output

// ONNX, or the text form in a .fst file or "-" for standard input.
Graph load_model(const std::string& path);
// The name of a design made of the model at `path`.
std::string design_name(const std::string& path, const Graph& model);

// What a command was given: a model, or a folder that `build` wrote.
struct Network {
  std::string path;
  std::string name;
  Graph model;
  std::optional<Built> built;
};

Network load_network(const std::string& path);
// A folder only, and of its graphs the core alone.
Built load_hardware(const std::string& path);

enum class Engine { float_reference, integer, cpu, rtl };
Engine parse_engine(const std::string& name);
std::string engine_name(Engine engine);
inline constexpr const char* kEngineHelp = "float, integer, cpu or rtl";

// The parts of a network on its way from a model's inputs to its outputs (compile.h: Parts).
enum class Stage { head, hardware, tail };
Stage parse_stage(const std::string& name);

struct RunOptions {
  DesignOptions design;  // for models: how to make integers and hardware of them
  double stall = 0;      // chance, in each cycle, of a pause at each end of the hardware
  uint64_t seed = 1;
  std::vector<std::string> writes = {};  // of constants, at run time (writes.h)
  int threads = 0;                       // of the cpu engine; 0: one for each core
  std::string level = {};                // of its instructions; empty: the best there is
  // Which of those of one engine alone are on the command line, by the options' names.
  std::function<std::vector<std::string>()> given = {};
};

void add_run_options(const Command& command, RunOptions& options);
// Throws Error where an option is given that says something to other engines alone, or to models
// and the network is built.
void refuse_idle_options(const RunOptions& options, const Network& network, Engine engine);

// The graph that the CPU twin runs: the model's outputs, then, where the model has a part that
// becomes hardware, that part's results.
struct TwinGraph {
  Graph graph;
  size_t outputs = 0;  // of the model

  Graph of_model() const;  // without the others
};
TwinGraph twin_graph(const Network& network, const RunOptions& options);

// Nodes of a program that no kernel computes, in words.
std::vector<std::string> notes_on(const exec::Program& program);

// Results of a program as tensors; `memory` is what its outputs were written to.
Tensor tensor_of(const exec::Port& port, const std::byte* memory);

// Runs frames through one engine.
class EngineRunner {
 public:
  EngineRunner(const Network& network, Engine engine, const RunOptions& options);
  ~EngineRunner();

  // The model's results. `from_core`, where asked for, gets those of the hardware part before the
  // host's tail, which may hide a difference (an index of the largest score does); the float
  // reference has none.
  std::vector<Frame> run(const std::vector<Frame>& frames, Progress& progress,
                         std::vector<Frame>* from_core = nullptr) const;

  // One stage alone, by the integer engine or the rtl engine: its graph, and frames through it.
  const Graph& graph(Stage stage) const;
  std::vector<Frame> run(Stage stage, const std::vector<Frame>& frames, Progress& progress) const;

  const TwinGraph& twin() const;  // of the cpu engine
  // Nodes that the cpu engine has no kernel for, in words.
  std::vector<std::string> notes() const;

  // The rtl engine: the first stream between nodes on which the last of `frames`, run one after the
  // other, differs from the integers: "node 'fc1' (mvau), element 3: 5 instead of 4". Empty when
  // none does.
  std::string first_difference(const std::vector<Frame>& frames) const;

 private:
  struct State;
  static std::vector<Frame> simulate(const State& state, const std::vector<Frame>& operands,
                                     size_t share);
  static std::vector<Frame> run_program(const State& state, const std::vector<Frame>& frames,
                                        Progress& progress, std::vector<Frame>* from_core);
  std::unique_ptr<State> state_;
};

// The first element in which two results of a frame differ, in words; empty when they are equal.
std::string difference(const Graph& model, const Frame& found, const Frame& expected);
// The same for results of the hardware part.
std::string core_difference(const Frame& found, const Frame& expected);

}  // namespace foldstream
