// SPDX-License-Identifier: Apache-2.0
// foldstream eval: accuracy over a data set, and whether the engines agree on every frame.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/data/data_set.h"
#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr int64_t kChunk = 500;  // frames in memory at a time

struct Options {
  std::string network, engine = "float", data_set, folder;
  int64_t limit = 0;
  double scale = 0;
  RunOptions how;
};

// The class that a result names: an index by itself, a single score by its sign, several scores by
// the largest, the first of equals.
int64_t class_of(const Tensor& result) {
  if (!result.type.is_float) {
    if (result.count() == 1) return result.ints[0];
    return std::max_element(result.ints.begin(), result.ints.end()) - result.ints.begin();
  }
  if (result.count() == 1) return result.reals[0] > 0 ? 1 : 0;
  return std::max_element(result.reals.begin(), result.reals.end()) - result.reals.begin();
}

Type input_type(const Graph& model) {
  const Node* input = nullptr;
  for (const Node& node : model.nodes) {
    if (node.op->kind != Op::Kind::input) continue;
    if (input != nullptr) throw Error("the model has several inputs, but a sample is one");
    input = &node;
  }
  if (input == nullptr || !input->out[0].is_float) {
    throw Error("the model has no float input to show samples to");
  }
  return input->out[0];
}

int run(const Program& program, const Options& options) {
  const Engine engine = parse_engine(options.engine);
  const Network network = load_network(options.network);
  const Graph& model = network.model;
  const Type type = input_type(model);
  const DataSet data = load_data_set(options.data_set, options.folder, options.limit);
  const double scale = options.scale > 0 ? options.scale : data.default_scale();
  const EngineRunner runner(network, engine, options.how);
  // Every engine is held against the one before it in the chain. The float reference knows no
  // constants but the model's own.
  const Engine reference = engine == Engine::rtl ? Engine::integer : Engine::float_reference;
  std::unique_ptr<EngineRunner> other;
  if (engine != reference && (reference == Engine::integer || options.how.writes.empty())) {
    other = std::make_unique<EngineRunner>(network, reference, options.how);
  }

  int64_t correct = 0, mismatches = 0;
  std::string first;
  Progress progress("frames", data.count * (other ? 2 : 1));
  for (int64_t begin = 0; begin < data.count; begin += kChunk) {
    std::vector<Frame> frames;
    for (int64_t i = begin; i < std::min(begin + kChunk, data.count); ++i) {
      frames.push_back({data.sample(i, type.shape, scale)});
    }
    std::vector<Frame> core, expected_core;
    const std::vector<Frame> results = runner.run(frames, progress, &core);
    const std::vector<Frame> expected =
        other ? other->run(frames, progress, &expected_core) : results;
    for (size_t i = 0; i < frames.size(); ++i) {
      correct += class_of(results[i].at(0)) == data.labels[begin + static_cast<int64_t>(i)] ? 1 : 0;
      std::string found = difference(model, results[i], expected[i]);
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

  const double accuracy =
      data.count == 0 ? 0 : static_cast<double>(correct) / static_cast<double>(data.count);
  if (program.json) {
    Json json = {{"accuracy", accuracy},     {"correct", correct},       {"total", data.count},
                 {"mismatches", mismatches}, {"engine", options.engine}, {"dataset", data.name}};
    if (!first.empty()) json["first_mismatch"] = first;
    std::cout << json.dump(2) << "\n";
  } else {
    std::cout << fmt::format("accuracy {:.2f} % ({} of {}) by the {} engine\n", 100 * accuracy,
                             correct, data.count, options.engine);
    if (other)
      std::cout << fmt::format("{} mismatches with the {} engine\n", mismatches,
                               engine_name(reference));
    if (!first.empty()) std::cout << "first: " << first << "\n";
  }
  return mismatches == 0 ? kDone : kAnswerIsNo;
}

}  // namespace

void add_eval(Program& program) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(
      program, "eval", "Accuracy over a data set, and whether the engines agree on every frame.",
      "foldstream eval model.onnx --dataset mnist --data build/digits --engine integer",
      [&program, options] { return run(program, *options); });
  command.add_option("network", options->network, "a model, or a folder that build wrote")
      ->required();
  std::string names;
  for (const std::string& name : data_set_names()) names += (names.empty() ? "" : ", ") + name;
  command.add_option("--dataset", options->data_set, names)->required();
  command.add_option("--data", options->folder, "the folder with its files")->required();
  command.add_option("--limit", options->limit, "only the first samples")->check(positive());
  command
      .add_option("--scale", options->scale,
                  "samples are divided by this; 255 for bytes and 1 for floats by default")
      ->check(positive());
  command.add_option("--engine", options->engine, kEngineHelp)->capture_default_str();
  add_run_options(command, options->how);
}

}  // namespace foldstream
