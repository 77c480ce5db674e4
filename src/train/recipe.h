// SPDX-License-Identifier: Apache-2.0
// A recipe: a network, its quantizers and how it is trained, read from a TOML file.
// docs/training.md lists the keys. Everything that can be known without data is checked here,
// shapes included.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/ir/type.h"

namespace foldstream::train {

// What the gradient of a rounding step is taken to be.
enum class Estimator {
  straight,  // 1 within the range, 0 outside
  triangle,  // a triangle around each threshold that integrates to the step there
};

// A uniform quantizer with zero point 0: round(clip(x / scale)) * scale. One signed bit is the
// sign.
struct Quantizer {
  enum class Scale {
    constant,    // `value`
    statistics,  // the largest magnitude becomes the highest code (weights)
    learned,     // trained with the network
  };
  std::string name;
  int bits = 8;
  bool is_signed = true;
  bool narrow = true;
  Scale scale = Scale::constant;
  double value = 1;           // of a constant scale, and where a learned one without data begins
  bool power_of_two = false;  // the scale is rounded to one
  bool per_channel = false;
  bool shared = false;  // all layers that use it have one scale
  Estimator estimator = Estimator::straight;
  double width = 1;  // the estimator's reach, relative to the range or the step

  bool bipolar() const { return bits == 1 && is_signed; }
  double lowest() const;  // codes
  double highest() const;
  double largest() const;                            // in magnitude
  double step() const { return bipolar() ? 2 : 1; }  // between neighbouring codes
};

struct LayerSpec {
  enum class Kind {
    affine,    // x * mul - sub, the input's range
    quantize,  // activation
    relu,
    linear,  // by quantized weights
    conv,    // by quantized weights; 1-D or 2-D, groups
    batch_norm,
    tensor_norm,  // batch normalization with one mean and variance of all elements
    max_pool,
    average_pool,  // sum, then truncation to `bits`
    dropout,
    flatten,
    add,  // of the layer before and `with`
  };
  Kind kind = Kind::quantize;
  std::string name;  // unique
  int line = 0;      // in the recipe
  int from = -1;     // the layer whose result is the operand; -1: the network's input
  int with = -1;     // of add: the second operand
  std::optional<Quantizer> quantizer;  // of the result or of the weights
  int64_t units = 0;                   // rows of weights
  Shape kernel, stride, padding;       // by spatial axis; padding on both sides
  int64_t groups = 1;
  bool bias = false;
  double epsilon = 1e-5, momentum = 0.1;
  double mul = 1, sub = 0;
  double rate = 0;  // of dropout
  int bits = 0;     // after average_pool
  int source = -1;  // of average_pool: the quantize layer that its operand comes from
  Shape in, out;    // without the batch
};

// What average_pool does to the integers of its operand's quantizer: adds `elements` of them and
// cuts `shift` low bits off the sum, which has `sum_bits`.
struct AveragePool {
  int64_t elements = 1;
  int sum_bits = 0, shift = 0;
  double lowest = 0, highest = 0;  // codes of the result
};
AveragePool average_pool(const LayerSpec& layer, const Quantizer& operand);

// Changes of training images that keep their class; all random, each sample its own.
struct Augmentation {
  int64_t shift = 0;  // pixels each way
  bool flip = false;  // left to right
  double rotate = 0;  // degrees each way
  double zoom = 0;    // share each way
  double shear = 0;   // share each way
  double warp = 0;    // pixels each way, of the points of a grid
  bool whole_pixels() const { return rotate == 0 && zoom == 0 && shear == 0 && warp == 0; }
  bool any() const { return shift > 0 || flip || !whole_pixels(); }
  // How many different changes there are of whole pixels.
  int64_t whole_changes() const { return (2 * shift + 1) * (2 * shift + 1) * (flip ? 2 : 1); }
};

struct Distillation {
  std::string teacher;     // another recipe, beside this one
  double weight = 0.5;     // of the teacher's part of the loss
  double temperature = 1;  // softens both sides
};

// Of convolutions and what lies between them, in training on a device that has both. Codes of up to
// 8 bits are exact in either; what bfloat16 rounds are sums and gradients.
enum class Precision { float32, bfloat16 };

// Of the products of a layer's result gradient, on a processor: with int8 it is rounded to 8 bits,
// at random and without bias.
enum class Gradients { float32, int8 };

// What weights between the first and the last layer with weights are trained by; the others, and
// what is no weight, by Adam.
enum class Optimizer { adam, muon };

enum class Loss { squared_hinge, cross_entropy };

struct Recipe {
  std::string path;  // for messages
  std::string name;
  std::string text;  // the file, for the hash in checkpoints
  std::string data_set;
  Shape input;  // of a sample
  int64_t classes = 0;
  int64_t validation = 0;  // the first samples of the training part
  double divisor = 0;      // samples are divided by this; 0: 255 for bytes and 1 for floats
  Augmentation augment;
  std::vector<LayerSpec> layers;
  int64_t epochs = 1, batch = 100;
  double learning_rate = 0.01, last_learning_rate = 0, weight_decay = 0;
  int64_t warmup = 0;  // epochs
  Optimizer optimizer = Optimizer::adam;
  Precision precision = Precision::float32;
  Gradients gradients = Gradients::float32;
  Loss loss = Loss::cross_entropy;
  double temperature = 1;  // scores are divided by this for cross entropy
  std::optional<Distillation> distillation;
};

// The learning rate of a step, from 0, of `per_epoch` an epoch: up a line, then down along a
// cosine.
double rate_at(const Recipe& recipe, int64_t step, int64_t per_epoch);

// Throws Error with the file and line of what is wrong.
Recipe read_recipe(const std::filesystem::path& path);
Recipe parse_recipe(std::string_view text, const std::string& path);

std::string_view kind_name(LayerSpec::Kind kind);

}  // namespace foldstream::train
