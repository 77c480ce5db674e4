// SPDX-License-Identifier: Apache-2.0
// Quantizers against their meaning in QONNX, gradients against differences, and the exported model
// against the network.
#include "src/train/network.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/onnx/reader.h"
#include "src/onnx/writer.h"
#include "src/train/export.h"
#include "src/train/operations.h"
#include "src/train/samples.h"
#include "src/train/start.h"
#include "src/util/error.h"

namespace foldstream::train {
namespace {

std::vector<Quantizer> quantizers() {
  std::vector<Quantizer> all;
  for (const int bits : {1, 2, 3, 8, 16}) {
    for (const bool is_signed : {true, false}) {
      for (const bool narrow : {false, true}) {
        Quantizer quantizer;
        quantizer.bits = bits;
        quantizer.is_signed = is_signed;
        quantizer.narrow = narrow;
        if (quantizer.lowest() < quantizer.highest()) all.push_back(quantizer);
      }
    }
  }
  return all;
}

// Ties, ends of the range, what is far outside, zeros of both signs, and random numbers.
std::vector<float> points(const Quantizer& quantizer, float scale) {
  std::vector<float> x = {0.0F, -0.0F, 1e30F, -1e30F, std::numeric_limits<float>::denorm_min()};
  for (float code = -6; code <= 6; code += 0.5F) {
    for (const float base :
         {0.0F, static_cast<float>(quantizer.lowest()), static_cast<float>(quantizer.highest())}) {
      x.push_back((base + code) * scale);
      x.push_back(std::nextafter(x.back(), 0.0F));
    }
  }
  Random random(1, 2);
  while (x.size() % 64 != 3) x.push_back(static_cast<float>(random.between(-5, 5)) * scale);
  return x;
}

// The same quantizer as a node of the graph.
std::vector<double> reference(const Quantizer& quantizer, float scale,
                              const std::vector<float>& x) {
  Graph graph;
  const Shape shape = {static_cast<int64_t>(x.size())};
  Node& input =
      graph.add(require_op("input"), {}, "x", {{"type", std::string("f32")}, {"shape", shape}});
  const Tensor factor = make_floats({}, {scale});
  Node& node = quantizer.bipolar() ? graph.add(require_op("bipolar_quant"), {{&input, 0}}, "q", {},
                                               {{"scale", factor}})
                                   : graph.add(require_op("quant"), {{&input, 0}}, "q",
                                               {{"bits", int64_t{quantizer.bits}},
                                                {"signed", int64_t{quantizer.is_signed}},
                                                {"narrow", int64_t{quantizer.narrow}},
                                                {"rounding", std::string("ROUND")}},
                                               {{"scale", factor}, {"zero", make_floats({}, {0})}});
  graph.outputs.push_back({"y", {&node, 0}});
  const Tensor operand = make_floats(shape, {x.begin(), x.end()});
  return Evaluator(graph).run(std::span(&operand, 1))[0].reals;
}

TEST(QuantizerTest, EqualsItsNodeInQonnx) {
  for (const Quantizer& quantizer : quantizers()) {
    for (const float scale : {1.0F, 0.25F, 0.3F}) {
      const std::vector<float> x = points(quantizer, scale);
      const std::vector<double> expected = reference(quantizer, scale, x);
      const torch::Tensor constant = quantized(torch::tensor(x), scale, quantizer);
      const torch::Tensor variable = quantized(torch::tensor(x), torch::tensor(scale), quantizer);
      for (size_t i = 0; i < x.size(); ++i) {
        const auto at = static_cast<int64_t>(i);
        EXPECT_EQ(constant[at].item<float>(), static_cast<float>(expected[i]))
            << x[i] << " at " << scale << ", " << quantizer.bits << " bits";
        EXPECT_EQ(variable[at].item<float>(), static_cast<float>(expected[i]))
            << x[i] << " at " << scale << ", " << quantizer.bits << " bits";
      }
    }
  }
}

TEST(QuantizerTest, KernelsAndTensorOperationsAgree) {
  for (Quantizer quantizer : quantizers()) {
    for (const Estimator estimator : {Estimator::straight, Estimator::triangle}) {
      quantizer.estimator = estimator;
      quantizer.width = 0.75;
      const std::vector<float> x = points(quantizer, 0.5F);
      std::vector<torch::Tensor> values, slopes;
      for (const torch::ScalarType type : {torch::kFloat, torch::kDouble}) {  // double: no kernel
        const torch::Tensor operand = torch::tensor(x).to(type).requires_grad_(true);
        values.push_back(quantized(operand, 0.5, quantizer));
        values.back().sum().backward();
        slopes.push_back(operand.grad().to(torch::kFloat));
      }
      EXPECT_TRUE(torch::equal(values[0], values[1].to(torch::kFloat)));
      EXPECT_TRUE(torch::allclose(slopes[0], slopes[1], 1e-5, 1e-5)) << quantizer.bits;
    }
  }
}

// An estimator redistributes the step, and doesn't change its size.
TEST(QuantizerTest, TheTriangleAddsUpToTheSteps) {
  for (Quantizer quantizer : quantizers()) {
    if (quantizer.bits > 3) continue;
    quantizer.estimator = Estimator::triangle;
    const double lo = quantizer.lowest() - 2, hi = quantizer.highest() + 2, step = 1e-3;
    const torch::Tensor x =
        torch::arange(lo, hi, step, torch::kDouble).to(torch::kFloat).requires_grad_(true);
    quantized(x, 1, quantizer).sum().backward();
    EXPECT_NEAR(x.grad().sum().item<double>() * step, quantizer.highest() - quantizer.lowest(),
                1e-2);
  }
}

TEST(QuantizerTest, AScaleIsLearnedByTheRoundingError) {
  Quantizer quantizer;
  quantizer.bits = 3;
  const torch::Tensor x = torch::tensor({0.3F, -0.8F, 9.0F, -9.0F});
  const torch::Tensor scale = torch::tensor(0.5F).requires_grad_(true);
  quantized(x, scale, quantizer).sum().backward();
  // Inside round(t) - t, outside the end of the range.
  const double expected = (1 - 0.6) + (-2 + 1.6) + 3 - 3;
  EXPECT_NEAR(scale.grad().item<double>(), expected, 1e-5);
}

// The slope of a loss by each score, by differences.
template <class Function>
void expect_slopes(const Function& loss, const torch::Tensor& scores) {
  torch::Tensor x = scores.clone().requires_grad_(true);
  loss(x).backward();
  constexpr double kStep = 1e-6;
  for (int64_t i = 0; i < scores.numel(); ++i) {
    torch::Tensor up = scores.clone(), down = scores.clone();
    up.view(-1)[i] += kStep;
    down.view(-1)[i] -= kStep;
    const double slope = (loss(up) - loss(down)).template item<double>() / (2 * kStep);
    EXPECT_NEAR(x.grad().view(-1)[i].item<double>(), slope, 1e-6);
  }
}

// With windows that overlap, padding, values that are equal, that are no numbers, and windows of
// nothing but minus infinity.
TEST(PoolTest, KernelsAndTensorOperationsAgree) {
  const int64_t planes = 6;
  for (const std::vector<int64_t>& k : std::vector<std::vector<int64_t>>{{2, 2, 2, 2, 0, 0},
                                                                         {3, 2, 1, 2, 1, 0},
                                                                         {3, 3, 2, 2, 1, 1},
                                                                         {1, 5, 3, 1, 0, 2},
                                                                         {4, 4, 3, 4, 2, 1},
                                                                         {2, 3, 5, 7, 1, 1}}) {
    for (const int64_t width : {11, 12, 70}) {
      for (const float other : {0.0F, std::numeric_limits<float>::quiet_NaN(),
                                -std::numeric_limits<float>::infinity()}) {
        torch::manual_seed(1);
        torch::Tensor values = torch::randint(-2, 3, {2, 3, 9, width}).to(torch::kFloat);
        values.masked_fill_(torch::rand(values.sizes()) < (std::isinf(other) ? 0.7 : 0.2), other);
        const torch::Tensor x = values.clone().requires_grad_(true);
        const torch::Tensor y = torch::max_pool2d(x, {k[0], k[1]}, {k[2], k[3]}, {k[4], k[5]});
        const torch::Tensor slope = torch::randn(y.sizes());
        y.backward(slope);
        Pool pool{9, width, y.size(2), y.size(3), k[0], k[1], k[2], k[3], k[4], k[5]};
        torch::Tensor out = torch::empty_like(y), places = torch::empty(y.sizes(), torch::kInt);
        torch::Tensor gradient = torch::empty_like(values), chosen = torch::empty_like(y);
        max_pool(pool, values.data_ptr<float>(), out.data_ptr<float>(), places.data_ptr<int32_t>(),
                 planes);
        max_pool_gradient(pool, slope.data_ptr<float>(), places.data_ptr<int32_t>(),
                          gradient.data_ptr<float>(), planes);
        train::chosen(pool, values.data_ptr<float>(), places.data_ptr<int32_t>(),
                      chosen.data_ptr<float>(), planes);
        EXPECT_TRUE(torch::equal(out.nan_to_num(77), y.detach().nan_to_num(77))) << k;
        EXPECT_TRUE(torch::equal(out.isnan(), y.isnan())) << k;
        EXPECT_TRUE(torch::equal(chosen.nan_to_num(77), out.nan_to_num(77))) << k;
        EXPECT_TRUE(torch::allclose(gradient, x.grad(), 0, 1e-6)) << k;
      }
    }
  }
}

TEST(LossTest, GradientsAreSlopes) {
  torch::manual_seed(5);
  const torch::Tensor scores = torch::randn({4, 3}, torch::kDouble);
  const torch::Tensor teacher = torch::randn({4, 3}, torch::kDouble);
  const torch::Tensor labels = torch::tensor({0, 2, 1, 1}, torch::kLong);
  expect_slopes([&](const torch::Tensor& x) { return squared_hinge(x, labels); }, scores);
  expect_slopes([&](const torch::Tensor& x) { return cross_entropy(x, labels, 0.7); }, scores);
  expect_slopes([&](const torch::Tensor& x) { return distillation(x, teacher, 2); }, scores);
}

TEST(LossTest, ValuesAreThoseOfTheirDefinitions) {
  const torch::Tensor scores = torch::tensor({{2.0, -0.5}, {0.5, 0.5}}, torch::kDouble);
  const torch::Tensor labels = torch::tensor({0, 1}, torch::kLong);
  EXPECT_NEAR(squared_hinge(scores, labels).item<double>(), (0 + 0.25 + 2.25 + 0.25) / 4, 1e-12);
  const double first = -2.5 + std::log1p(std::exp(2.5));
  EXPECT_NEAR(cross_entropy(scores, labels, 1).item<double>(), (first + std::log(2)) / 2, 1e-12);
}

// Every kind of layer and of scale.
constexpr std::string_view kEverything = R"(
name = "everything"
input = [3, 12, 12]
classes = 5
[data]
set = "npy"
validation = 1
[training]
epochs = 1
[quantizer.input]
bits = 8
value = 0.0078125
narrow = false
[quantizer.binary]
bits = 1
[quantizer.rows]
bits = 4
scale = "statistics"
per_channel = true
power_of_two = true
[quantizer.learned]
bits = 3
scale = "learned"
power_of_two = true
[quantizer.relu]
bits = 4
signed = false
scale = "learned"
power_of_two = true
[quantizer.branch]
bits = 4
signed = false
scale = "learned"
power_of_two = true
shared = true
[[layer]]
type = "affine"
mul = 2
sub = 1
[[layer]]
type = "quantize"
quantizer = "input"
[[layer]]
type = "conv"
channels = 8
kernel = 3
weights = "binary"
[[layer]]
type = "batch_norm"
[[layer]]
type = "relu"
[[layer]]
type = "quantize"
quantizer = "branch"
name = "short"
[[layer]]
type = "conv"
channels = 8
kernel = 3
padding = 1
groups = 8
weights = "rows"
[[layer]]
type = "batch_norm"
[[layer]]
type = "quantize"
quantizer = "branch"
[[layer]]
type = "add"
with = "short"
[[layer]]
type = "quantize"
quantizer = "relu"
[[layer]]
type = "max_pool"
kernel = 2
[[layer]]
type = "conv"
channels = 6
kernel = 1
weights = "learned"
bias = true
[[layer]]
type = "dropout"
rate = 0.2
[[layer]]
type = "quantize"
quantizer = "relu"
[[layer]]
type = "average_pool"
kernel = 5
bits = 4
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
units = 5
weights = "rows"
[[layer]]
type = "tensor_norm"
)";

constexpr std::string_view kOneAxis = R"(
name = "one-axis"
input = [2, 16]
classes = 2
[data]
set = "npy"
validation = 1
[training]
epochs = 1
[quantizer.w]
bits = 2
[quantizer.a]
bits = 2
signed = false
[[layer]]
type = "quantize"
quantizer = "a"
[[layer]]
type = "conv"
channels = 4
kernel = 3
padding = 1
weights = "w"
[[layer]]
type = "batch_norm"
[[layer]]
type = "quantize"
quantizer = "a"
[[layer]]
type = "average_pool"
kernel = 16
bits = 3
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
units = 2
weights = "w"
)";

void train_a_little(Network& network, int64_t steps) {
  std::vector<int64_t> shape = {16};
  for (const int64_t size : network.recipe().input) shape.push_back(size);
  for (int64_t step = 1; step <= steps; ++step) {
    const torch::Tensor labels = torch::randint(network.recipe().classes, {16}, torch::kLong);
    const torch::Tensor loss = cross_entropy(network.forward(torch::rand(shape), true), labels, 1);
    loss.backward();
    network.step(0.01, 0, step);
  }
}

void expect_equal_scores(Network& network) {
  const Graph model = read_model_bytes(write_model(exported(network)), "model");
  const Evaluator evaluator(model);
  std::vector<int64_t> shape = {8};
  for (const int64_t size : network.recipe().input) shape.push_back(size);
  const torch::NoGradGuard no_gradient;
  const torch::Tensor x = torch::rand(shape).mul(255).round().div(255);
  const torch::Tensor scores = network.forward(x, false);
  for (int64_t i = 0; i < x.size(0); ++i) {
    const torch::Tensor one = x[i].contiguous();
    Tensor sample = make_zero(evaluator.inputs()[0]->out[0]);
    for (int64_t e = 0; e < one.numel(); ++e) sample.reals[e] = one.data_ptr<float>()[e];
    const std::vector<Tensor> found = evaluator.run(std::span(&sample, 1));
    for (int64_t c = 0; c < scores.size(1); ++c) {
      EXPECT_EQ(static_cast<float>(found[0].reals[c]), scores[i][c].item<float>())
          << i << ", " << c;
    }
  }
}

TEST(ExportTest, TheModelGivesTheNetworksScores) {
  Network network(parse_recipe(kEverything, "everything"), 1, torch::kCPU);
  train_a_little(network, 6);
  expect_equal_scores(network);
}

TEST(ExportTest, TheModelOfOneAxisToo) {
  Network network(parse_recipe(kOneAxis, "one-axis"), 1, torch::kCPU);
  train_a_little(network, 6);
  expect_equal_scores(network);
}

// Products of bytes where they suit, against the operations of a device, which are of floats.
TEST(NetworkTest, BytesGiveTheScoresOfFloats) {
  for (const std::string_view text : {kEverything, kOneAxis}) {
    const Recipe recipe = parse_recipe(text, "r.toml");
    Network bytes(recipe, 1, torch::kCPU), floats(recipe, 2, torch::kCPU, false);
    train_a_little(bytes, 3);
    floats.load(bytes.state(false));
    std::vector<int64_t> shape = {8};
    for (const int64_t size : recipe.input) shape.push_back(size);
    const torch::Tensor x = torch::rand(shape).mul(255).round().div(255);
    EXPECT_TRUE(torch::equal(bytes.forward(x, false), floats.forward(x, false)));
  }
}

TEST(NetworkTest, GradientsInBytesPointTheSameWay) {
  std::string text(kEverything);
  const std::string key = "epochs = 1\n";
  text.insert(text.find(key), "gradients = \"int8\"\n");
  Network floats(parse_recipe(kEverything, "floats"), 1, torch::kCPU);
  Network bytes(parse_recipe(text, "bytes"), 1, torch::kCPU);
  for (Network* network : {&floats, &bytes}) {
    torch::manual_seed(1);
    train_a_little(*network, 1);
  }
  const auto wanted = floats.state(true), found = bytes.state(true);
  int64_t rounded = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto& [name, first] = wanted[i];
    if (!name.ends_with(".weight.first") || first.norm().item<double>() == 0) continue;
    const torch::Tensor other = found[i].second;
    const double cosine = ((first * other).sum() / (first.norm() * other.norm())).item<double>();
    EXPECT_GT(cosine, 0.99) << name;
    rounded += torch::equal(first, other) ? 0 : 1;
  }
  EXPECT_GT(rounded, 3);
}

// Without the last layer, whose numbers a model holds as constants of plain arithmetic.
std::string without_tensor_norm(std::string_view recipe) {
  return std::string(recipe.substr(0, recipe.rfind("[[layer]]")));
}

TEST(StartTest, ANetworkIsTakenBackFromItsModel) {
  for (const std::string& text : {without_tensor_norm(kEverything), std::string(kOneAxis)}) {
    const Recipe recipe = parse_recipe(text, "r.toml");
    Network trained(recipe, 1, torch::kCPU), other(recipe, 2, torch::kCPU);
    train_a_little(trained, 6);
    const Graph model = read_model_bytes(write_model(exported(trained)), "model");
    other.load(values_of_model(other, model, "model"));
    std::vector<int64_t> shape = {8};
    for (const int64_t size : recipe.input) shape.push_back(size);
    const torch::Tensor x = torch::rand(shape);
    EXPECT_TRUE(torch::equal(trained.forward(x, false), other.forward(x, false)));
  }
}

TEST(StartTest, ABiasIsTakenOrMissed) {
  const std::string without(kOneAxis);
  const std::string with = without + "bias = true\n";
  Network biased(parse_recipe(with, "r.toml"), 1, torch::kCPU);
  biased.load({{"linear6.bias", torch::tensor({1.0F, -2.0F})}});
  const Graph model = exported(biased);
  Network other(parse_recipe(with, "r.toml"), 2, torch::kCPU);
  other.load(values_of_model(other, model, "m.onnx"));
  EXPECT_TRUE(torch::equal(other.bias(6), torch::tensor({1.0F, -2.0F})));
  const Network none(parse_recipe(without, "r.toml"), 1, torch::kCPU);
  EXPECT_THROW(values_of_model(none, model, "m.onnx"), Error);
  EXPECT_EQ(values_of_model(other, exported(none), "m.onnx").size() + 1,
            values_of_model(other, model, "m.onnx").size());
}

TEST(StartTest, AModelOfOtherLayersIsRefused) {
  const auto message = [](const std::string& text) {
    Network network(parse_recipe(text, "r.toml"), 1, torch::kCPU);
    const Network own(parse_recipe(kOneAxis, "one-axis"), 1, torch::kCPU);
    try {
      values_of_model(network, exported(own), "m.onnx");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string text(kOneAxis);
  const auto with = [&](const std::string& old, const std::string& by) {
    return std::string(text).replace(text.rfind(old), old.size(), by);
  };
  EXPECT_EQ(message(text), "");
  EXPECT_EQ(message(with("bits = 2", "bits = 5")), "");
  EXPECT_EQ(message(with("[[layer]]\ntype = \"batch_norm\"\n", "")),
            "'m.onnx' has 1 batch normalizations, but r.toml has 0");
  EXPECT_EQ(
      message(with("channels = 4", "channels = 5")),
      "'m.onnx', node 'conv1' (conv): found [4,2,3], but layer 'conv1' of r.toml takes [5,2,3]");
}

TEST(NetworkTest, StateRestoresTheScoresAndTheNextStep) {
  const Recipe recipe = parse_recipe(kEverything, "everything");
  Network first(recipe, 1, torch::kCPU), second(recipe, 2, torch::kCPU);
  train_a_little(first, 3);
  second.load(first.state(true));
  torch::manual_seed(9);
  train_a_little(first, 2);
  torch::manual_seed(9);
  train_a_little(second, 2);
  const torch::Tensor x = torch::rand({4, 3, 12, 12});
  EXPECT_TRUE(torch::equal(first.forward(x, false), second.forward(x, false)));
}

// One weight before a quantize layer, whose codes are all 1: the gradient is by the largest value.
TEST(NetworkTest, TheGradientOfAPoolIsThatOfTheLargestValue) {
  const Recipe recipe = parse_recipe(R"(
name = "pool"
input = [1, 2, 2]
classes = 1
[data]
set = "npy"
validation = 1
[training]
epochs = 1
[quantizer.sign]
bits = 1
estimator = "triangle"
[[layer]]
type = "conv"
channels = 1
kernel = 1
[[layer]]
type = "quantize"
quantizer = "sign"
[[layer]]
type = "max_pool"
kernel = 2
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
units = 1
)",
                                     "pool");
  const torch::Tensor x = torch::tensor({0.125F, 0.5F, 0.75F, 0.25F}).reshape({1, 1, 2, 2});
  Network network(recipe, 1, torch::kCPU);
  network.load(
      {{"conv0.weight", torch::ones({1, 1, 1, 1})}, {"linear4.weight", torch::ones({1, 1})}});
  const torch::Tensor scores = network.forward(x, true);
  EXPECT_EQ(scores.item<float>(), 1);
  scores.sum().backward();
  network.step(0.01, 0, 1);
  for (const auto& [name, value] : network.state(true)) {
    // A tenth of the gradient, which is the triangle's at 0.75 by the operand.
    if (name == "conv0.weight.first") {
      EXPECT_NEAR(value.item<float>(), 0.1 * 2 * (1 - 0.75) * 0.75, 1e-6);
    }
  }
}

// Codes that something else takes too, from a scale that is learned.
TEST(NetworkTest, PooledCodesAreThoseOfThePool) {
  std::string text(kEverything);
  const std::string pool = "type = \"max_pool\"\nkernel = 2\n";
  text.insert(text.find(pool) + pool.size(), "name = \"pooled\"\n");
  const std::string quantize = "[[layer]]\ntype = \"quantize\"\nquantizer = \"relu\"\n";
  text.insert(text.find(quantize) + quantize.size(), "name = \"codes\"\n");
  const std::string conv = "[[layer]]\ntype = \"conv\"\nchannels = 6\n";
  text.insert(text.find(conv), R"([[layer]]
type = "conv"
channels = 8
kernel = 2
stride = 2
from = "codes"
weights = "rows"
[[layer]]
type = "batch_norm"
[[layer]]
type = "quantize"
quantizer = "relu"
[[layer]]
type = "add"
with = "pooled"
)");
  Network network(parse_recipe(text, "branches"), 1, torch::kCPU);
  train_a_little(network, 6);
  expect_equal_scores(network);
}

TEST(NetworkTest, MuonTrainsWhatIsBetweenTheFirstAndTheLastWeights) {
  std::string text(kEverything);
  text.replace(text.find("epochs = 1"), 10, "epochs = 1\noptimizer = \"muon\"");
  const Recipe recipe = parse_recipe(text, "muon");
  Network network(recipe, 1, torch::kCPU);
  train_a_little(network, 3);
  expect_equal_scores(network);
  std::vector<std::string> by_adam;  // which has a second moment
  for (const auto& [name, value] : network.state(true)) {
    if (name.ends_with(".weight.second") && value.abs().max().item<float>() > 0) {
      by_adam.push_back(name.substr(0, name.find('.')));
    }
  }
  EXPECT_EQ(by_adam, (std::vector<std::string>{"conv2", "batch_norm3", "batch_norm7", "linear17",
                                               "tensor_norm18"}));
}

TEST(NetworkTest, SeedsReproduceAndDiffer) {
  const Recipe recipe = parse_recipe(kEverything, "everything");
  const auto weights = [&](uint64_t seed) {
    return Network(recipe, seed, torch::kCPU).state(false)[0].second.clone();
  };
  EXPECT_TRUE(torch::equal(weights(1), weights(1)));
  EXPECT_FALSE(torch::equal(weights(1), weights(2)));
}

}  // namespace
}  // namespace foldstream::train
