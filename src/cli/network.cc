// SPDX-License-Identifier: Apache-2.0
#include "src/cli/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <thread>

#include "src/backend/verilator.h"
#include "src/cli/writes.h"
#include "src/exec/crew.h"
#include "src/ir/text.h"
#include "src/kernel/convert.h"
#include "src/onnx/reader.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/interrupt.h"
#include "src/util/parallel.h"
#include "src/util/suggest.h"

namespace foldstream {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kEngines = {"float", "integer", "cpu", "rtl"};

// "element 3: 5 instead of 4", or nothing.
std::string tensor_difference(const Tensor& found, const Tensor& expected) {
  for (int64_t i = 0; i < expected.count(); ++i) {
    if (expected.type.is_float) {
      const double a = found.reals.at(i), b = expected.reals[i];
      if (a == b || (a != a && b != b)) continue;
      return fmt::format("element {}: {} instead of {}", i, a, b);
    }
    const int64_t a = found.ints.at(i), b = expected.ints[i];
    if (a != b) return fmt::format("element {}: {} instead of {}", i, a, b);
  }
  return "";
}

}  // namespace

Graph load_model(const std::string& path) {
  if (path == "-") {
    return parse(std::string(std::istreambuf_iterator<char>(std::cin), {}));
  }
  if (path.ends_with(".fst")) {
    const std::string text = read_file(path);
    try {
      return parse(text);
    } catch (const Error& error) {
      throw Error(fmt::format("'{}': {}", path, error.what()), error.help());
    }
  }
  return read_model(path);
}

std::string design_name(const std::string& path, const Graph& model) {
  return module_name(path == "-" ? model.name : fs::path(path).stem().string());
}

Network load_network(const std::string& path) {
  std::error_code error;  // what can't be looked at can't be opened either, and that is said
  if (!fs::is_directory(path, error)) {
    Graph model = load_model(path);
    std::string name = design_name(path, model);
    return {path, std::move(name), std::move(model), {}};
  }
  Built built = read_output(path);
  Graph model = built.model.clone();
  return {path, built.name, std::move(model), std::move(built)};
}

Built load_hardware(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    throw Error(fmt::format("'{}' is not a folder", path),
                "name a folder that 'foldstream build' wrote");
  }
  return read_hardware(path);
}

Engine parse_engine(const std::string& name) {
  if (name == "float") return Engine::float_reference;
  if (name == "integer") return Engine::integer;
  if (name == "cpu") return Engine::cpu;
  if (name == "rtl") return Engine::rtl;
  throw Error(fmt::format("there is no engine '{}'", name), did_you_mean(name, kEngines));
}

std::string engine_name(Engine engine) { return kEngines[static_cast<size_t>(engine)]; }

Stage parse_stage(const std::string& name) {
  if (name == "head") return Stage::head;
  if (name == "hardware") return Stage::hardware;
  if (name == "tail") return Stage::tail;
  throw Error(fmt::format("there is no stage '{}'", name),
              did_you_mean(name, {"head", "hardware", "tail"}));
}

void add_run_options(const Command& command, RunOptions& options) {
  command
      .option("--stall", options.stall,
              "rtl: chance, in each cycle, of a pause at each end of the hardware")
      .between(0, 0.99)
      .shows_default();
  command.option("--seed", options.seed, "rtl: of the random pauses")
      .whole(0, std::numeric_limits<int64_t>::max())
      .shows_default();
  command.option("--threads", options.threads, "cpu: threads; 0 for one on each core")
      .shows_default();
  command.option("--instructions", options.level,
                 "cpu: the level of instructions to use, AVX2 for example; the best by default");
  options.given = [command] { return command.given(); };
  add_write_option(command, options.writes);
  add_design_options(command, options.design);
}

void refuse_idle_options(const RunOptions& options, const Network& network, Engine engine) {
  if (network.built) refuse_design_options(options.design, network.path);
  if (!options.given) return;
  for (const std::string& name : options.given()) {
    const bool of_rtl = name == "--stall" || name == "--seed";
    const bool of_cpu = name == "--threads" || name == "--instructions";
    if ((of_rtl && engine != Engine::rtl) || (of_cpu && engine != Engine::cpu)) {
      throw Error(fmt::format("{} with the {} engine", name, engine_name(engine)),
                  fmt::format("it is for the {} engine alone", of_rtl ? "rtl" : "cpu"));
    }
  }
}

TwinGraph twin_graph(const Network& network, const RunOptions& options) {
  TwinGraph twin;
  twin.outputs = network.model.outputs.size();
  if (network.built) {
    const Parts& built = network.built->parts;
    Parts parts{built.head.clone(), built.core.clone(), built.tail.clone()};
    if (!options.writes.empty()) {
      apply_writes(parts.core, options.writes, network.built->part->family);
    }
    twin.graph = join(parts);
    return twin;
  }
  if (!options.writes.empty()) {
    Parts parts = std::move(design(network.model, network.name, options.design).compiled.parts);
    apply_writes(parts.core, options.writes, chosen_part(options.design).family);
    twin.graph = join(parts);
    return twin;
  }
  // What stays in float runs too, between hardware as well.
  Compiled compiled = streamline_only(network.model, compile_options(options.design));
  twin.graph = std::move(compiled.steps.back().graph);
  try {
    twin.graph = join(partition(twin.graph, compiled.findings));
  } catch (const Error&) {
    return twin;
  }
  return twin;
}

Graph TwinGraph::of_model() const {
  Graph model = graph.clone();
  model.outputs.resize(outputs);
  model.remove_dead();
  return model;
}

std::vector<std::string> notes_on(const exec::Program& program) {
  std::vector<std::string> notes;
  for (const exec::StepInfo& step : program.steps()) {
    if (step.is_kernel) continue;
    notes.push_back(fmt::format("node '{}' ({}) has no kernel, so it is slow", step.node, step.op));
  }
  return notes;
}

Tensor tensor_of(const exec::Port& port, const std::byte* memory) {
  Tensor tensor = make_zero(port.type);
  kernel::load(port.storage, memory, tensor);
  return tensor;
}

struct EngineRunner::State {
  Engine engine;
  RunOptions options;
  Parts parts;
  // The float reference is `whole`; the other engines are head, core and tail.
  std::unique_ptr<Evaluator> whole, head, core, tail;
  std::unique_ptr<Simulation> simulation;
  std::vector<BusWord> writes;  // before the simulation's first frame
  std::unique_ptr<exec::Program> program;
  std::unique_ptr<exec::Crew> crew;
  TwinGraph twin;  // that it runs
};

EngineRunner::EngineRunner(const Network& network, Engine engine, const RunOptions& options)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.engine = engine;
  state.options = options;
  if (engine == Engine::float_reference) {
    if (!options.writes.empty()) {
      throw Error("--write with the float engine", "use --engine integer, cpu or rtl");
    }
    state.whole = std::make_unique<Evaluator>(network.model);
    return;
  }
  if (engine == Engine::cpu) {
    state.twin = twin_graph(network, options);
    state.program = std::make_unique<exec::Program>(state.twin.graph,
                                                    exec::ProgramOptions{.level = options.level});
    state.crew = std::make_unique<exec::Crew>(options.threads);
    return;
  }
  if (network.built) {
    const Parts& parts = network.built->parts;
    state.parts = {parts.head.clone(), parts.core.clone(), parts.tail.clone()};
    if (engine == Engine::rtl) {
      state.simulation = std::make_unique<Simulation>(read_design(network.path, *network.built));
    }
  } else if (engine == Engine::rtl) {
    Designed designed = design(network.model, network.name, options.design);
    state.parts = std::move(designed.compiled.parts);
    state.simulation =
        std::make_unique<Simulation>(stitch(state.parts.core, designed.part->family));
  } else if (!options.writes.empty()) {
    state.parts = std::move(design(network.model, network.name, options.design).compiled.parts);
  } else {
    state.parts = compile(network.model, compile_options(options.design)).parts;
  }
  if (!options.writes.empty()) {
    const Family family =
        network.built ? network.built->part->family : chosen_part(options.design).family;
    const std::vector<std::string> nodes = apply_writes(state.parts.core, options.writes, family);
    if (state.simulation) {
      state.writes = bus_image(state.parts.core, state.simulation->design(), nodes);
    }
  }
  state.head = std::make_unique<Evaluator>(state.parts.head);
  state.core = std::make_unique<Evaluator>(state.parts.core);
  state.tail = std::make_unique<Evaluator>(state.parts.tail);
}

EngineRunner::~EngineRunner() = default;

std::vector<Frame> EngineRunner::run_program(const State& state, const std::vector<Frame>& frames,
                                             Progress& progress, std::vector<Frame>* from_core) {
  const exec::Program& program = *state.program;
  const size_t count = frames.size();
  std::vector<std::vector<std::byte>> in, out;
  std::vector<const void*> from;
  std::vector<void*> to;
  for (size_t i = 0; i < program.inputs().size(); ++i) {
    const exec::Port& port = program.inputs()[i];
    auto& memory = in.emplace_back(count * static_cast<size_t>(port.storage.bytes()));
    for (size_t f = 0; f < count; ++f) {
      kernel::store(frames[f].at(i), port.storage,
                    memory.data() + f * static_cast<size_t>(port.storage.bytes()));
    }
    from.push_back(memory.data());
  }
  for (const exec::Port& port : program.outputs()) {
    to.push_back(out.emplace_back(count * static_cast<size_t>(port.storage.bytes())).data());
  }
  check_interrupt();
  program.run(from, to, static_cast<int64_t>(count), *state.crew);
  progress.advance(static_cast<int64_t>(count));
  std::vector<Frame> results(count);
  if (from_core != nullptr) from_core->assign(count, {});
  for (size_t f = 0; f < count; ++f) {
    for (size_t i = 0; i < out.size(); ++i) {
      const exec::Port& port = program.outputs()[i];
      Tensor tensor =
          tensor_of(port, out[i].data() + f * static_cast<size_t>(port.storage.bytes()));
      if (i < state.twin.outputs) {
        results[f].push_back(std::move(tensor));
      } else if (from_core != nullptr) {
        (*from_core)[f].push_back(std::move(tensor));
      }
    }
  }
  return results;
}

namespace {

// One simulation a core, each with its share of the frames, back to back.
void for_each_share(size_t frames,
                    const std::function<void(size_t share, size_t begin, size_t end)>& run) {
  const size_t shares = std::min<size_t>(std::max(1u, std::thread::hardware_concurrency()), frames);
  parallel_for(shares, [&](size_t share) {
    run(share, frames * share / shares, frames * (share + 1) / shares);
  });
}

}  // namespace

std::vector<Frame> EngineRunner::simulate(const State& state, const std::vector<Frame>& operands,
                                          size_t share) {
  const Simulation::Result result =
      state.simulation->run(operands, {.seed = state.options.seed + share,
                                       .input_stall = state.options.stall,
                                       .output_stall = state.options.stall,
                                       .writes = state.writes});
  std::vector<Frame> results;
  for (size_t i = 0; i < operands.size(); ++i) {
    results.push_back(state.simulation->outputs(result, static_cast<int64_t>(i)));
  }
  return results;
}

std::vector<Frame> EngineRunner::run(const std::vector<Frame>& frames, Progress& progress,
                                     std::vector<Frame>* from_core) const {
  const State& state = *state_;
  std::vector<Frame> results(frames.size());
  if (state.whole) {
    parallel_for(frames.size(), [&](size_t i) {
      check_interrupt();
      results[i] = state.whole->run(frames[i]);
      progress.advance(1);
    });
    return results;
  }
  if (state.program) return run_program(state, frames, progress, from_core);
  // The head gives the core's operands, then values for the tail, which takes the core's results
  // before them.
  const auto cut = static_cast<std::ptrdiff_t>(state.core->inputs().size());
  if (from_core != nullptr) from_core->assign(frames.size(), {});
  const auto finish = [&](size_t i, Frame operands, const Frame& from_head) {
    if (from_core != nullptr) (*from_core)[i] = operands;
    operands.insert(operands.end(), from_head.begin() + cut, from_head.end());
    results[i] = state.tail->run(operands);
    progress.advance(1);
  };
  if (state.engine == Engine::integer) {
    parallel_for(frames.size(), [&](size_t i) {
      check_interrupt();
      const Frame from_head = state.head->run(frames[i]);
      finish(i, state.core->run({from_head.data(), static_cast<size_t>(cut)}), from_head);
    });
    return results;
  }
  for_each_share(frames.size(), [&](size_t share, size_t begin, size_t end) {
    std::vector<Frame> from_head, operands;
    for (size_t i = begin; i < end; ++i) {
      check_interrupt();
      from_head.push_back(state.head->run(frames[i]));
      operands.emplace_back(from_head.back().begin(), from_head.back().begin() + cut);
    }
    std::vector<Frame> from_hardware = simulate(state, operands, share);
    for (size_t i = begin; i < end; ++i) {
      finish(i, std::move(from_hardware[i - begin]), from_head[i - begin]);
    }
  });
  return results;
}

const Graph& EngineRunner::graph(Stage stage) const {
  const State& state = *state_;
  if (state.engine != Engine::integer && state.engine != Engine::rtl) {
    throw Error(fmt::format("a stage of a network by the {} engine", engine_name(state.engine)),
                "stages are what integers run through: use --engine integer or rtl");
  }
  return stage == Stage::head       ? state.parts.head
         : stage == Stage::hardware ? state.parts.core
                                    : state.parts.tail;
}

std::vector<Frame> EngineRunner::run(Stage stage, const std::vector<Frame>& frames,
                                     Progress& progress) const {
  const State& state = *state_;
  std::vector<Frame> results(frames.size());
  if (stage == Stage::hardware && state.engine == Engine::rtl) {
    for_each_share(frames.size(), [&](size_t share, size_t begin, size_t end) {
      const std::vector<Frame> operands(frames.begin() + static_cast<std::ptrdiff_t>(begin),
                                        frames.begin() + static_cast<std::ptrdiff_t>(end));
      std::vector<Frame> found = simulate(state, operands, share);
      std::move(found.begin(), found.end(), results.begin() + static_cast<std::ptrdiff_t>(begin));
      progress.advance(static_cast<int64_t>(end - begin));
    });
    return results;
  }
  const Evaluator& evaluator = stage == Stage::head       ? *state.head
                               : stage == Stage::hardware ? *state.core
                                                          : *state.tail;
  parallel_for(frames.size(), [&](size_t i) {
    check_interrupt();
    results[i] = evaluator.run(frames[i]);
    progress.advance(1);
  });
  return results;
}

const TwinGraph& EngineRunner::twin() const { return state_->twin; }

std::vector<std::string> EngineRunner::notes() const {
  return state_->program ? notes_on(*state_->program) : std::vector<std::string>();
}

std::string EngineRunner::first_difference(const std::vector<Frame>& frames) const {
  const State& state = *state_;
  if (state.engine != Engine::rtl || frames.empty()) return "";
  const auto cut = static_cast<std::ptrdiff_t>(state.core->inputs().size());
  std::vector<Frame> operands;
  for (const Frame& frame : frames) {
    const Frame from_head = state.head->run(frame);
    operands.emplace_back(from_head.begin(), from_head.begin() + cut);
  }
  const Simulation& simulation = *state.simulation;
  const Simulation::Result result = simulation.run(operands, {.seed = state.options.seed,
                                                              .input_stall = state.options.stall,
                                                              .output_stall = state.options.stall,
                                                              .watch_edges = true,
                                                              .writes = state.writes});
  std::map<std::string, std::vector<Tensor>> expected;
  state.core->run(operands.back(), [&](const Node& node, const std::vector<Tensor>& values) {
    expected[node.name] = values;
  });
  const auto last = static_cast<int64_t>(frames.size()) - 1;
  const Design& design = simulation.design();
  for (size_t i = 0; i < design.edges.size(); ++i) {
    const DesignEdge& edge = design.edges[i];
    Tensor wanted = expected.at(edge.from).at(static_cast<size_t>(edge.port));
    const std::string found = tensor_difference(simulation.edge(result, i, last), wanted);
    if (found.empty()) continue;
    for (const DesignNode& node : design.nodes) {
      if (node.name == edge.from) {
        return fmt::format("node '{}' ({}), {}", node.name, node.op, found);
      }
    }
  }
  return "";
}

std::string difference(const Graph& model, const Frame& found, const Frame& expected) {
  FOLDSTREAM_CHECK(found.size() == expected.size());
  for (size_t port = 0; port < found.size(); ++port) {
    const std::string text = tensor_difference(found[port], expected[port]);
    if (!text.empty()) return fmt::format("output '{}', {}", model.outputs.at(port).name, text);
  }
  return "";
}

std::string core_difference(const Frame& found, const Frame& expected) {
  FOLDSTREAM_CHECK(found.size() == expected.size());
  for (size_t port = 0; port < found.size(); ++port) {
    const std::string text = tensor_difference(found[port], expected[port]);
    if (!text.empty()) return fmt::format("result {} of the hardware, {}", port, text);
  }
  return "";
}

}  // namespace foldstream
