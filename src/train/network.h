// SPDX-License-Identifier: Apache-2.0
// A recipe's network with its weights: forward in training and in evaluation, and the optimizer.
//
// In evaluation every operation is the one that the exported model has, in the same order, each
// rounded to float32, so that both give the same scores. Sums of products are the exception where
// they are not exact in float32 (exact_sums.h): `scores` gives those too.
#pragma once

#include <torch/types.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/train/byte_convolution.h"
#include "src/train/device_kernels.h"
#include "src/train/kernels.h"
#include "src/train/normalization.h"
#include "src/train/recipe.h"

namespace foldstream::train {

// Tensors by name.
using State = std::vector<std::pair<std::string, torch::Tensor>>;
State copy_of(const State& state);

// A trained tensor.
struct Parameter {
  std::string name;
  torch::Tensor value;
  torch::Tensor first, second;  // Adam's moments; of Muon the first alone
  bool weight = false;          // weight decay applies
  bool muon = false;            // trained by Muon instead of Adam
  double lowest = -1e30, highest = 1e30;
  // Of weights behind a constant scale: quantized once a step, not in the graph.
  std::optional<Quantizer> quantizer;
  torch::Tensor codes;

  // What the graph uses and the gradient is of.
  const torch::Tensor& leaf() const { return codes.defined() ? codes : value; }
  void refresh();  // codes from value
};

// One step of its optimizer on `parameter` in the processor's memory; moments and, behind a
// constant scale, codes follow.
void update(Parameter& parameter, const torch::Tensor& gradient, const AdamStep& step);

// The quantize layer whose codes a layer's operand has, moved or chosen among; -1 where values are
// other ones.
int codes_from(const Recipe& recipe, const LayerSpec& layer);

class DeviceOptimizer;

class Network {
 public:
  // Weights drawn with `seed`. `kernels`: steps are those of the kernels, on a processor; without,
  // those of DeviceOptimizer. `runner`: trains by a GPU's kernels, too; null on a processor.
  Network(const Recipe& recipe, uint64_t seed, torch::Device device, bool kernels = true,
          const KernelRunner* runner = nullptr);
  ~Network();

  // x [N, input...] to scores [N, classes]. `training`: statistics of the batch, dropout.
  torch::Tensor forward(const torch::Tensor& x, bool training);
  // As in evaluation, with sums of products in double, rounded once, as the engines have them.
  torch::Tensor scores(const torch::Tensor& x);
  // Scores for another network to learn from: as in evaluation, but in the precision of training.
  torch::Tensor teach(const torch::Tensor& x);
  // One step of the optimizers from the gradients, which are cleared, by kernels. `steps` counts
  // from 1.
  void step(double rate, double decay, int64_t steps);
  // The same by DeviceOptimizer, which makes the numbers.
  void step(const torch::Tensor& numbers);

  // Every tensor that evaluation depends on, by name; those of the optimizer too where asked for.
  State state(bool optimizer);
  // Those of them that a learned scale takes from its first operand.
  State scales();
  // Copies into those tensors; `values` are some of them, with the same shapes.
  void load(const State& values);

  const Recipe& recipe() const { return recipe_; }
  // The learned scale of a quantize layer among the tensors of state.
  static std::string scale_name(const LayerSpec& layer);
  // For export, after training: of the layer at `index`.
  torch::Tensor weights(int index) const;       // quantized
  torch::Tensor weight_scale(int index) const;  // scalar, or one a row
  torch::Tensor bias(int index) const;          // undefined where there is none
  torch::Tensor activation_scale(int index) const;
  torch::Tensor norm(int index, const char* what) const;  // weight, bias, mean, variance

 private:
  struct Pass {
    bool training;  // statistics of the batch, dropout
    bool half;      // convolutions and what lies between them in bfloat16
    bool wide;      // sums of products in double
  };

  Parameter& parameter(const std::string& name);
  const Parameter& parameter(const std::string& name) const;
  Parameter& add(const std::string& name, torch::Tensor value);
  void choose_muon();
  void add_layer(const LayerSpec& layer);
  void add_weights(const LayerSpec& layer);
  void add_scale(const std::string& name, const Quantizer& quantizer, int64_t channels);
  torch::Tensor scale_of(const LayerSpec& layer) const;
  torch::Tensor used_weights(const LayerSpec& layer) const;
  torch::Tensor current_scale(const LayerSpec& layer) const;  // without a gradient
  torch::Tensor forward(const torch::Tensor& x, Pass pass);
  torch::Tensor run(const LayerSpec& layer, const torch::Tensor& x, const torch::Tensor& other,
                    Pass pass);
  torch::Tensor product(const LayerSpec& layer, const torch::Tensor& operand, Pass pass) const;
  ByteRange byte_range(const LayerSpec& layer) const;
  bool in_bytes(const LayerSpec& layer, const torch::Tensor& x, const torch::Tensor& weights) const;
  torch::Tensor byte_product(const LayerSpec& layer, const torch::Tensor& x,
                             const torch::Tensor& weights) const;
  Normalization normalization(const LayerSpec& layer) const;
  torch::Tensor normalize(const LayerSpec& layer, const torch::Tensor& x, bool training);
  void join_layers();
  torch::Tensor average(const LayerSpec& layer, const torch::Tensor& x) const;
  void calibrate(const LayerSpec& layer, const torch::Tensor& x);

  Recipe recipe_;
  torch::Device device_;
  bool half_;
  std::vector<bool> only_pooled_;
  // Where a batch_norm layer, the quantize layer behind it and, where its codes are pooled, the
  // pool are one operation in training: the batch_norm layer and how, at the last one's index.
  struct Joint {
    int norm;
    NormalizedCodes how;
  };
  const KernelRunner* runner_;
  std::map<int, Joint> joints_;
  std::set<int> joined_;  // the batch_norm layers of joints
  std::vector<Parameter> parameters_;
  std::map<std::string, size_t, std::less<>> index_;
  std::map<std::string, torch::Tensor, std::less<>> buffers_;  // running statistics
  std::set<std::string, std::less<>> calibrated_;              // scales that have a start
  std::unique_ptr<DeviceOptimizer> device_optimizer_;          // none with kernels
};

}  // namespace foldstream::train
