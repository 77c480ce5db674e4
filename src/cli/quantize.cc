// SPDX-License-Identifier: Apache-2.0
// foldstream quantize: a float model to QONNX by samples alone, and what that costs in accuracy.
#include "src/calibrate/quantize.h"

#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <span>

#include "src/cli/classes.h"
#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/cli/output.h"
#include "src/data/data_set.h"
#include "src/ir/eval.h"
#include "src/onnx/writer.h"
#include "src/util/error.h"
#include "src/util/files.h"

namespace foldstream {
namespace {

struct Options {
  std::string model, data_set, folder, output;
  int64_t samples = 200, limit = 0;
  double scale = 0;
  QuantizeOptions how;
};

int64_t correct_of(const Graph& model, const DataSet& data, const Shape& shape, double scale,
                   Progress& progress) {
  const Evaluator evaluator(model);
  int64_t correct = 0;
  for (int64_t i = 0; i < data.count; ++i) {
    const Tensor sample = data.sample(i, shape, scale);
    correct += class_of(evaluator.run(std::span(&sample, 1))[0]) == data.labels[i] ? 1 : 0;
    progress.advance(1);
  }
  return correct;
}

int run(const Program& program, const Options& options) {
  check_model_output(options.output);
  const Graph model = load_model(options.model);
  const Shape shape = input_type(model).shape;
  const DataSet training =
      load_data_set(options.data_set, options.folder, options.samples, Split::train);
  const DataSet test = load_data_set(options.data_set, options.folder, options.limit);
  check_labels(test, model);
  const double scale = options.scale > 0 ? options.scale : training.default_scale();
  std::vector<Tensor> samples;
  for (int64_t i = 0; i < training.count; ++i) samples.push_back(training.sample(i, shape, scale));
  const QuantizedModel quantized = quantize_model(model, samples, options.how);
  write_whole(options.output, write_model(quantized.graph));

  Progress progress("frames", 2 * test.count);
  const int64_t before = correct_of(model, test, shape, scale, progress);
  const int64_t after = correct_of(quantized.graph, test, shape, scale, progress);
  const auto share = [&](int64_t correct) {
    return static_cast<double>(correct) / static_cast<double>(test.count);
  };
  if (program.json) {
    Json weights = Json::array(), activations = Json::array();
    for (const QuantizedWeights& one : quantized.weights) {
      weights.push_back({{"name", one.name}, {"error", one.error}});
    }
    for (const QuantizedActivation& one : quantized.activations) {
      activations.push_back({{"name", one.name},
                             {"scale", one.scale},
                             {"signed", one.is_signed},
                             {"error", one.error}});
    }
    const Json json = {{"float_accuracy", share(before)},
                       {"accuracy", share(after)},
                       {"correct", after},
                       {"total", test.count},
                       {"loss", share(before) - share(after)},
                       {"weights", weights},
                       {"activations", activations}};
    std::cout << json.dump(2) << "\n";
    return kDone;
  }
  for (const QuantizedWeights& one : quantized.weights) {
    std::cout << fmt::format("{}: weights off by {:.2f} %\n", one.name, 100 * one.error);
  }
  for (const QuantizedActivation& one : quantized.activations) {
    std::cout << fmt::format("{}: results off by {:.2f} % ({}, scale {:.6g})\n", one.name,
                             100 * one.error, one.is_signed ? "signed" : "unsigned", one.scale);
  }
  std::cout << fmt::format(
      "accuracy {:.2f} % ({} of {}), {:.2f} % in float: a loss of {:.2f} points\n",
      100 * share(after), after, test.count, 100 * share(before),
      100 * (share(before) - share(after)));
  std::cout << fmt::format("written to '{}'\n", options.output);
  return kDone;
}

}  // namespace

void add_quantize(Program& program) {
  const auto options = std::make_shared<Options>();
  const Command command = program.add_command(
      "quantize", "Quantizes a float model by samples, without training it.",
      "foldstream quantize float.onnx --dataset mnist --data mnist -o quantized.onnx",
      [&program, options] { return run(program, *options); });
  command.option("model", options->model, "an ONNX model with float weights").required();
  std::string names;
  for (const std::string& name : data_set_names()) names += (names.empty() ? "" : ", ") + name;
  command.option("--dataset", options->data_set, names).required();
  command.option("--data", options->folder, "the folder with its training and test files")
      .required();
  command.option("-o,--output", options->output, "the model to write").required();
  command.option("--weight-bits", options->how.weight_bits, "2 to 16").whole(2, 16).shows_default();
  command.option("--activation-bits", options->how.activation_bits, "2 to 16")
      .whole(2, 16)
      .shows_default();
  command.flag("--power-of-two", options->how.power_of_two,
               "scales that are powers of two: sums are exact in float32");
  command.option("--samples", options->samples, "training samples that choose the scales")
      .positive()
      .shows_default();
  command.option("--limit", options->limit, "only the first test samples").positive();
  command
      .option("--scale", options->scale,
              "samples are divided by this; 255 for bytes and 1 for floats by default")
      .between(1e-30, 1e30);
}

}  // namespace foldstream
