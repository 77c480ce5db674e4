// SPDX-License-Identifier: Apache-2.0
// foldstream eval: accuracy over a data set, and whether the engines agree on every frame.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "src/cli/classes.h"
#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/data/data_set.h"
#include "src/exec/crew.h"
#include "src/exec/program.h"
#include "src/ir/op.h"
#include "src/util/error.h"
#include "src/util/interrupt.h"

namespace foldstream {
namespace {

constexpr int64_t kChunk = 500;  // frames in memory at a time
// Of a CPU twin's frames so many are computed by the integer graph too.
constexpr int64_t kTwinChecks = 20;

struct Options {
  std::string network, engine = "float", data_set, folder;
  int64_t limit = 0;
  double scale = 0;
  std::optional<int64_t> compare;  // frames that the engine before it computes too
  RunOptions how;
};

// Classes of all samples by the CPU twin, in one go.
std::vector<int64_t> classes_of(const TwinGraph& twin, const DataSet& data, double scale,
                                const Type& type, const RunOptions& how, Progress& progress) {
  data.sample(0, type.shape, scale);  // whether samples fit at all
  const exec::Program twin_program(
      twin.of_model(), {.level = how.level, .byte_scale = data.bytes.empty() ? 0 : scale});
  exec::Crew crew(how.threads);
  const exec::Port& port = twin_program.outputs().front();
  std::vector<std::vector<std::byte>> out;
  constexpr int64_t kFrames = 4096;
  for (const exec::Port& output : twin_program.outputs()) {
    out.emplace_back(static_cast<size_t>(std::min(kFrames, data.count) * output.storage.bytes()));
  }
  std::vector<void*> to;
  for (auto& memory : out) to.push_back(memory.data());
  std::vector<int64_t> classes;
  for (int64_t begin = 0; begin < data.count; begin += kFrames) {
    check_interrupt();
    const int64_t count = std::min(kFrames, data.count - begin);
    const int64_t elements = type.count() * begin;
    std::vector<float> scaled;
    if (data.bytes.empty()) {
      for (const float value : std::span(data.floats).subspan(elements, type.count() * count)) {
        scaled.push_back(value / static_cast<float>(scale));
      }
    }
    const void* from =
        data.bytes.empty() ? static_cast<const void*>(scaled.data()) : data.bytes.data() + elements;
    twin_program.run({from}, to, count, crew);
    for (int64_t i = 0; i < count; ++i) {
      classes.push_back(class_of(tensor_of(port, out[0].data() + i * port.storage.bytes())));
    }
    progress.advance(count);
  }
  return classes;
}

int run(const Program& program, const Options& options) {
  const Engine engine = parse_engine(options.engine);
  const Network network = load_network(options.network);
  refuse_idle_options(options.how, network, engine);
  const Graph& model = network.model;
  const Type type = input_type(model);
  const DataSet data = load_data_set(options.data_set, options.folder, options.limit);
  check_labels(data, model);
  const double scale = options.scale > 0 ? options.scale : data.default_scale();
  const int64_t compared = std::min(
      data.count, options.compare.value_or(engine == Engine::cpu ? kTwinChecks : data.count));
  const EngineRunner runner(network, engine, options.how);
  // Every engine is held against the one before it in the chain. The float reference knows no
  // constants but the model's own.
  const bool above_integers = engine == Engine::rtl || engine == Engine::cpu;
  const Engine reference = above_integers ? Engine::integer : Engine::float_reference;
  std::unique_ptr<EngineRunner> other;
  if (compared > 0 && engine != reference &&
      (reference == Engine::integer || options.how.writes.empty())) {
    other = std::make_unique<EngineRunner>(network, reference, options.how);
  }

  int64_t correct = 0, mismatches = 0;
  std::string first;
  const int64_t shown = engine == Engine::cpu ? compared : data.count;
  Progress progress("frames",
                    (engine == Engine::cpu ? data.count : 0) + shown + (other ? compared : 0));
  std::vector<int64_t> classes;
  if (engine == Engine::cpu) {
    classes = classes_of(runner.twin(), data, scale, type, options.how, progress);
    for (int64_t i = 0; i < data.count; ++i) correct += classes[i] == data.labels[i] ? 1 : 0;
  }
  for (int64_t begin = 0; begin < shown; begin += kChunk) {
    std::vector<Frame> frames;
    for (int64_t i = begin; i < std::min(begin + kChunk, shown); ++i) {
      frames.push_back({data.sample(i, type.shape, scale)});
    }
    std::vector<Frame> core, expected_core;
    const std::vector<Frame> results = runner.run(frames, progress, &core);
    std::vector<Frame> checked;
    if (other && begin < compared) {
      checked.assign(frames.begin(), frames.begin() + std::min<int64_t>(compared - begin, kChunk));
    }
    const std::vector<Frame> expected =
        checked.empty() ? std::vector<Frame>() : other->run(checked, progress, &expected_core);
    for (size_t i = 0; i < frames.size(); ++i) {
      const auto sample = begin + static_cast<int64_t>(i);
      const int64_t found_class = class_of(results[i].at(0));
      if (classes.empty()) correct += found_class == data.labels[sample] ? 1 : 0;
      if (i >= expected.size()) continue;
      std::string found = difference(model, results[i], expected[i]);
      if (found.empty() && !classes.empty() && classes[sample] != found_class) {
        found = fmt::format("class {} in bulk, {} alone", classes[sample], found_class);
      }
      if (found.empty() && !expected_core.empty()) {
        found = core_difference(core[i], expected_core[i]);
      }
      if (found.empty()) continue;
      const auto frame = static_cast<int64_t>(i);
      if (mismatches++ == 0) {
        const std::string node =
            runner.first_difference({frames.begin(), frames.begin() + frame + 1});
        first = fmt::format("frame {}, {}", begin + frame, node.empty() ? found : node);
      }
    }
  }

  const double accuracy = static_cast<double>(correct) / static_cast<double>(data.count);
  if (program.json) {
    Json json = {{"accuracy", accuracy},     {"correct", correct},       {"total", data.count},
                 {"mismatches", mismatches}, {"engine", options.engine}, {"dataset", data.name}};
    json["compared"] = other ? compared : 0;
    if (!first.empty()) json["first_mismatch"] = first;
    std::cout << json.dump(2) << "\n";
  } else {
    std::cout << fmt::format("accuracy {:.2f} % ({} of {}) by the {} engine\n", 100 * accuracy,
                             correct, data.count, options.engine);
    if (other)
      std::cout << fmt::format(
          "{} mismatches with the {} engine{}\n", mismatches, engine_name(reference),
          compared < data.count ? fmt::format(" in {} samples", compared) : "");
    if (!first.empty()) std::cout << "first: " << first << "\n";
    for (const std::string& note : runner.notes()) std::cout << "note: " << note << "\n";
  }
  return mismatches == 0 ? kDone : kAnswerIsNo;
}

}  // namespace

void add_eval(Program& program) {
  const auto options = std::make_shared<Options>();
  const Command command = program.add_command(
      "eval", "Accuracy over a data set, and whether the engines agree on every frame.",
      "foldstream eval model.onnx --dataset mnist --data build/digits --engine integer",
      [&program, options] { return run(program, *options); });
  command.option("network", options->network, "a model, or a folder that build wrote").required();
  std::string names;
  for (const std::string& name : data_set_names()) names += (names.empty() ? "" : ", ") + name;
  command.option("--dataset", options->data_set, names).required();
  command.option("--data", options->folder, "the folder with its files").required();
  command.option("--limit", options->limit, "only the first samples").positive();
  command
      .option("--scale", options->scale,
              "samples are divided by this; 255 for bytes and 1 for floats by default")
      .between(1e-30, 1e30);
  command.option("--engine", options->engine, kEngineHelp).shows_default();
  command
      .option("--compare", options->compare,
              "samples to hold against the engine before it; all by default, with cpu 20")
      .not_negative();
  add_run_options(command, options->how);
}

}  // namespace foldstream
