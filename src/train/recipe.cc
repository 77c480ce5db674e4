// SPDX-License-Identifier: Apache-2.0
#include "src/train/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <set>

#include "src/data/data_set.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/suggest.h"

namespace foldstream::train {
namespace {

using Kind = LayerSpec::Kind;

const std::vector<std::pair<std::string_view, Kind>> kKinds = {
    {"affine", Kind::affine},
    {"quantize", Kind::quantize},
    {"relu", Kind::relu},
    {"linear", Kind::linear},
    {"conv", Kind::conv},
    {"batch_norm", Kind::batch_norm},
    {"tensor_norm", Kind::tensor_norm},
    {"max_pool", Kind::max_pool},
    {"average_pool", Kind::average_pool},
    {"dropout", Kind::dropout},
    {"flatten", Kind::flatten},
    {"add", Kind::add},
};

constexpr int kMostBits = 16;
constexpr int64_t kMostUnits = int64_t{1} << 20;
constexpr size_t kMostLayers = 4096;

// Values of a block's parameters, put where its layers say "$name".
struct Binding {
  const toml::node* value = nullptr;
  bool used = false;
};
using Bindings = std::map<std::string, Binding>;

// One table of the recipe: every key is asked for by name, and what was never asked for is an
// error.
class Section {
 public:
  Section(const toml::table& table, std::string path, std::string what, Bindings* bindings)
      : table_(table), path_(std::move(path)), what_(std::move(what)), bindings_(bindings) {}

  int line() const { return static_cast<int>(table_.source().begin.line); }

  [[noreturn]] void fail(const std::string& message, const std::string& help = "") const {
    throw Error(fmt::format("{}:{}: {}", path_, line(), message), help);
  }

  bool has(std::string_view key) const { return table_.contains(key); }

  // Whether the value is one that the block is given.
  bool is_given(std::string_view key) const {
    const toml::value<std::string>* text = table_[key].as_string();
    return text != nullptr && text->get().starts_with('$');
  }

  const toml::node* find(std::string_view key) {
    asked_.emplace_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr || !node->is_string()) return node;
    const std::string& text = node->as_string()->get();
    if (text.empty() || text[0] != '$') return node;
    if (bindings_ != nullptr) {
      if (const auto found = bindings_->find(text.substr(1)); found != bindings_->end()) {
        found->second.used = true;
        return found->second.value;
      }
    }
    wrong(*node, key, "a value", fmt::format("'{}', which the block is not given", text));
  }

  std::string text(std::string_view key, const std::optional<std::string>& absent = {}) {
    const toml::node* node = find(key);
    if (node == nullptr) return absent ? *absent : missing(key, "a text");
    if (!node->is_string()) wrong(*node, key, "a text");
    return node->as_string()->get();
  }

  int64_t integer(std::string_view key, int64_t least, int64_t most,
                  const std::optional<int64_t>& absent = {}) {
    const toml::node* node = find(key);
    if (node == nullptr) return absent ? *absent : (missing(key, "an integer"), 0);
    return integer_of(*node, key, least, most);
  }

  double number(std::string_view key, double least, double most,
                const std::optional<double>& absent = {}) {
    const toml::node* node = find(key);
    if (node == nullptr) return absent ? *absent : (missing(key, "a number"), 0);
    const std::string expected = fmt::format("a number from {} to {}", least, most);
    if (!node->is_number()) wrong(*node, key, expected);
    const double value = *node->value<double>();
    if (!(value >= least && value <= most)) wrong(*node, key, expected, fmt::format("{}", value));
    return value;
  }

  bool flag(std::string_view key, bool absent) {
    const toml::node* node = find(key);
    if (node == nullptr) return absent;
    if (!node->is_boolean()) wrong(*node, key, "true or false");
    return node->as_boolean()->get();
  }

  // A list of integers, or one integer for each of `count` axes.
  Shape integers(std::string_view key, int64_t least, size_t count, int64_t absent) {
    const toml::node* node = find(key);
    if (node == nullptr) return Shape(count, absent);
    if (node->is_integer()) return Shape(count, integer_of(*node, key, least, kMostUnits));
    Shape list = shape_of(*node, key, least);
    if (list.size() != count) {
      wrong(*node, key, fmt::format("one integer or {}", count), to_string(list));
    }
    return list;
  }

  Shape shape(std::string_view key) {
    const toml::node* node = find(key);
    if (node == nullptr) missing(key, "a list of integers");
    return shape_of(*node, key, 1);
  }

  Section section(std::string_view key) {
    const toml::node* node = find(key);
    if (node == nullptr) missing(key, "a table");
    if (!node->is_table()) wrong(*node, key, "a table");
    return {*node->as_table(), path_, fmt::format("[{}]", key), bindings_};
  }

  template <class Enum>
  Enum choice(std::string_view key, const std::vector<std::pair<std::string_view, Enum>>& known,
              const std::optional<Enum>& absent = {}) {
    if (absent && !has(key)) return *absent;
    const std::string value = text(key);
    std::vector<std::string> names;
    for (const auto& [name, choice] : known) {
      if (name == value) return choice;
      names.emplace_back(name);
    }
    throw Error(fmt::format("{}:{}: there is no {} '{}'", path_,
                            table_.get(key)->source().begin.line, key, value),
                did_you_mean(value, names));
  }

  // Every key that `find` was never asked for is an error.
  void finish() const {
    for (const auto& [key, node] : table_) {
      const std::string name(key.str());
      if (std::find(asked_.begin(), asked_.end(), name) != asked_.end()) continue;
      throw Error(
          fmt::format("{}:{}: {} has no key '{}'", path_, node.source().begin.line, what_, name),
          did_you_mean(name, asked_));
    }
  }

  const toml::table& table() const { return table_; }
  const std::string& path() const { return path_; }

 private:
  std::string missing(std::string_view key, std::string_view expected) const {
    fail(fmt::format("{} lacks '{}', expected {}", what_, key, expected));
  }

  [[noreturn]] void wrong(const toml::node& node, std::string_view key, const std::string& expected,
                          const std::string& found = "") const {
    std::string is = found;
    if (is.empty()) {
      std::ostringstream type;
      type << node.type();
      is = "of type " + type.str();
    }
    const auto line = node.source().begin.line;
    throw Error(
        fmt::format("{}:{}: '{}' of {} is {}, expected {}", path_, line, key, what_, is, expected));
  }

  int64_t integer_of(const toml::node& node, std::string_view key, int64_t least,
                     int64_t most) const {
    const std::string expected = fmt::format("an integer from {} to {}", least, most);
    if (!node.is_integer()) wrong(node, key, expected);
    const int64_t value = node.as_integer()->get();
    if (value < least || value > most) wrong(node, key, expected, fmt::format("{}", value));
    return value;
  }

  Shape shape_of(const toml::node& node, std::string_view key, int64_t least) const {
    if (!node.is_array()) wrong(node, key, "a list of integers");
    Shape list;
    for (const toml::node& entry : *node.as_array()) {
      list.push_back(integer_of(entry, key, least, kMostUnits));
    }
    return list;
  }

  const toml::table& table_;
  std::string path_, what_;
  Bindings* bindings_;
  std::vector<std::string> asked_;
};

Quantizer parse_quantizer(Section section, const std::string& name) {
  Quantizer quantizer;
  quantizer.name = name;
  quantizer.bits = static_cast<int>(section.integer("bits", 1, kMostBits));
  quantizer.is_signed = section.flag("signed", true);
  quantizer.narrow = section.flag("narrow", quantizer.is_signed);
  quantizer.scale = section.choice<Quantizer::Scale>("scale",
                                                     {{"constant", Quantizer::Scale::constant},
                                                      {"statistics", Quantizer::Scale::statistics},
                                                      {"learned", Quantizer::Scale::learned}},
                                                     Quantizer::Scale::constant);
  quantizer.value = section.number("value", 1e-6, 1e6, 1);
  quantizer.power_of_two = section.flag("power_of_two", false);
  quantizer.per_channel = section.flag("per_channel", false);
  quantizer.shared = section.flag("shared", false);
  quantizer.estimator = section.choice<Estimator>(
      "estimator", {{"straight", Estimator::straight}, {"triangle", Estimator::triangle}},
      Estimator::straight);
  quantizer.width = section.number("width", 0.01, 100, 1);
  section.finish();
  if (quantizer.lowest() >= quantizer.highest()) {
    section.fail(fmt::format("{} narrow bits leave no two levels", quantizer.bits));
  }
  if (quantizer.shared && quantizer.scale != Quantizer::Scale::learned) {
    section.fail("'shared' is for a learned scale");
  }
  if (quantizer.shared && quantizer.per_channel) {
    section.fail("a scale can't be shared and per channel");
  }
  return quantizer;
}

class Parser {
 public:
  Parser(const toml::table& table, std::string_view text, const std::string& path)
      : root_(table, path, "the recipe", nullptr) {
    recipe_.path = path;
    recipe_.text = text;
  }

  Recipe parse() {
    recipe_.name = root_.text("name");
    recipe_.input = root_.shape("input");
    if (recipe_.input.empty() || recipe_.input.size() > 3) {
      root_.fail(fmt::format("'input' is {}, expected 1 to 3 axes", to_string(recipe_.input)),
                 "[features], [channels, length] or [channels, height, width]");
    }
    recipe_.classes = root_.integer("classes", 1, kMostUnits);
    parse_data(root_.section("data"));
    parse_training(root_.section("training"));
    if (root_.has("quantizer")) {
      Section quantizers = root_.section("quantizer");
      for (const auto& [key, node] : quantizers.table()) {
        const std::string name(key.str());
        quantizers_.emplace(name, parse_quantizer(quantizers.section(name), name));
      }
    }
    if (const toml::node* blocks = root_.find("block")) {
      if (!blocks->is_table()) root_.fail("'block' must be a table of lists of layers");
      blocks_ = blocks->as_table();
    }
    const toml::node* layers = root_.find("layer");
    if (layers == nullptr || !layers->is_array_of_tables()) {
      root_.fail("the recipe has no layers", "write each as [[layer]]");
    }
    root_.finish();
    names_["input"] = -1;
    shapes_[-1] = recipe_.input;
    add_layers(*layers->as_array(), nullptr, "");
    check_scores();
    return std::move(recipe_);
  }

 private:
  void parse_data(Section section) {
    recipe_.data_set = section.text("set");
    const std::vector<std::string> known = data_set_names();
    if (std::find(known.begin(), known.end(), recipe_.data_set) == known.end()) {
      section.fail(fmt::format("there is no data set '{}'", recipe_.data_set),
                   did_you_mean(recipe_.data_set, known));
    }
    recipe_.validation = section.integer("validation", 1, int64_t{1} << 40);
    recipe_.divisor = section.number("divisor", 1e-6, 1e6, 0.0);
    Augmentation& augment = recipe_.augment;
    augment.shift = section.integer("shift", 0, 64, 0);
    augment.flip = section.flag("flip", false);
    augment.rotate = section.number("rotate", 0, 180, 0);
    augment.zoom = section.number("zoom", 0, 0.9, 0);
    augment.shear = section.number("shear", 0, 0.9, 0);
    augment.warp = section.number("warp", 0, 64, 0);
    section.finish();
    if (augment.any() && recipe_.input.size() != 3) {
      section.fail(
          fmt::format("images can be changed, but 'input' is {}", to_string(recipe_.input)),
          "leave out shift, flip, rotate, zoom, shear and warp");
    }
  }

  void parse_training(Section section) {
    recipe_.epochs = section.integer("epochs", 1, 1000000);
    recipe_.batch = section.integer("batch", 2, 1000000, 100);
    recipe_.learning_rate = section.number("learning_rate", 1e-9, 10, 0.01);
    recipe_.last_learning_rate = section.number("last_learning_rate", 0, 10, 0);
    recipe_.weight_decay = section.number("weight_decay", 0, 1, 0);
    recipe_.warmup = section.integer("warmup", 0, 1000000, 0);
    recipe_.optimizer = section.choice<Optimizer>(
        "optimizer", {{"adam", Optimizer::adam}, {"muon", Optimizer::muon}}, Optimizer::adam);
    recipe_.precision = section.choice<Precision>(
        "precision", {{"float32", Precision::float32}, {"bfloat16", Precision::bfloat16}},
        Precision::float32);
    recipe_.gradients = section.choice<Gradients>(
        "gradients", {{"float32", Gradients::float32}, {"int8", Gradients::int8}},
        Gradients::float32);
    recipe_.loss = section.choice<Loss>(
        "loss", {{"squared_hinge", Loss::squared_hinge}, {"cross_entropy", Loss::cross_entropy}},
        Loss::cross_entropy);
    recipe_.temperature = section.number("temperature", 1e-3, 1e6, 1);
    if (section.has("teacher")) {
      Distillation distillation;
      distillation.teacher = section.text("teacher");
      distillation.weight = section.number("teacher_weight", 0, 1, 0.5);
      distillation.temperature = section.number("teacher_temperature", 1e-3, 1e3, 1);
      recipe_.distillation = distillation;
    }
    section.finish();
  }

  void add_layers(const toml::array& layers, Bindings* bindings, const std::string& prefix) {
    for (const toml::node& node : layers) {
      if (!node.is_table()) root_.fail("every layer must be a table");
      Section section(*node.as_table(), recipe_.path, "[[layer]]", bindings);
      if (section.has("block")) {
        use_block(section, prefix);
      } else {
        add_layer(section, prefix);
      }
    }
  }

  void use_block(Section& section, const std::string& prefix) {
    const std::string wanted = section.text("block");
    if (!prefix.empty()) section.fail("a block can't use another block");
    std::vector<std::string> known;
    if (blocks_ != nullptr) {
      for (const auto& [key, node] : *blocks_) known.emplace_back(key.str());
    }
    const toml::node* block = blocks_ == nullptr ? nullptr : blocks_->get(wanted);
    if (block == nullptr || !block->is_array()) {
      section.fail(fmt::format("there is no block '{}'", wanted),
                   known.empty() ? "write its layers as [[block." + wanted + "]]"
                                 : did_you_mean(wanted, known));
    }
    Bindings bindings;
    for (const auto& [key, node] : section.table()) {
      if (key.str() != "block") bindings[std::string(key.str())].value = &node;
    }
    add_layers(*block->as_array(), &bindings, fmt::format("block{}.", ++block_count_));
    for (const auto& [name, binding] : bindings) {
      if (!binding.used) section.fail(fmt::format("block '{}' has no '${}'", wanted, name));
    }
  }

  int layer_of(Section& section, std::string_view key, const std::string& prefix) {
    const std::string name = section.text(key);
    for (const std::string& candidate : {prefix + name, name}) {
      if (const auto found = names_.find(candidate); found != names_.end()) return found->second;
    }
    std::vector<std::string> known;
    for (const auto& [known_name, index] : names_) known.push_back(known_name);
    section.fail(fmt::format("'{}' is '{}', but no layer before has this name", key, name),
                 did_you_mean(name, known));
  }

  Quantizer quantizer_of(Section& section, std::string_view key) {
    const std::string name = section.text(key);
    const auto found = quantizers_.find(name);
    if (found == quantizers_.end()) {
      std::vector<std::string> known;
      for (const auto& [known_name, quantizer] : quantizers_) known.push_back(known_name);
      section.fail(
          fmt::format("there is no quantizer '{}'", name),
          known.empty() ? "write it as [quantizer." + name + "]" : did_you_mean(name, known));
    }
    return found->second;
  }

  void add_layer(Section& section, const std::string& prefix) {
    LayerSpec layer;
    const int index = static_cast<int>(recipe_.layers.size());
    if (recipe_.layers.size() >= kMostLayers) section.fail("there are too many layers");
    layer.line = section.line();
    layer.kind = section.choice<Kind>("type", kKinds);
    layer.from = section.has("from") ? layer_of(section, "from", prefix) : index - 1;
    layer.name = section.text("name", fmt::format("{}{}", kind_name(layer.kind), index));
    // Names that a block is given are known outside of it.
    if (!section.is_given("name")) layer.name = prefix + layer.name;
    layer.in = shapes_.at(layer.from);
    read_keys(section, layer, prefix);
    section.finish();
    if (!names_.emplace(layer.name, index).second) {
      section.fail(fmt::format("there are two layers '{}'", layer.name));
    }
    shapes_[index] = layer.out;
    recipe_.layers.push_back(std::move(layer));
  }

  void read_keys(Section& section, LayerSpec& layer, const std::string& prefix) {
    constexpr double kLarge = 1e6;
    layer.out = layer.in;
    switch (layer.kind) {
      case Kind::affine:
        layer.mul = section.number("mul", -kLarge, kLarge, 1);
        layer.sub = section.number("sub", -kLarge, kLarge, 0);
        break;
      case Kind::quantize:
        layer.quantizer = quantizer_of(section, "quantizer");
        if (layer.quantizer->scale == Quantizer::Scale::statistics) {
          section.fail("a scale from statistics is for weights", "use a constant or a learned one");
        }
        break;
      case Kind::relu:
      case Kind::flatten:
        if (layer.kind == Kind::flatten) layer.out = {element_count(layer.in)};
        break;
      case Kind::linear:
        if (layer.in.size() != 1) {
          section.fail(
              fmt::format("a linear layer takes [features], found {}", to_string(layer.in)),
              "put a layer of type flatten before it");
        }
        layer.units = section.integer("units", 1, kMostUnits);
        weights(section, layer);
        layer.out = {layer.units};
        break;
      case Kind::conv:
        window(section, layer, "a convolution");
        layer.units = section.integer("channels", 1, kMostUnits);
        layer.groups = section.integer("groups", 1, kMostUnits, 1);
        if (layer.in[0] % layer.groups != 0 || layer.units % layer.groups != 0) {
          section.fail(fmt::format("{} groups don't divide {} channels in and {} out", layer.groups,
                                   layer.in[0], layer.units));
        }
        weights(section, layer);
        layer.out[0] = layer.units;
        break;
      case Kind::batch_norm:
      case Kind::tensor_norm:
        layer.epsilon = section.number("epsilon", 1e-12, 1, 1e-5);
        layer.momentum = section.number("momentum", 1e-6, 1, 0.1);
        break;
      case Kind::max_pool:
        window(section, layer, "a pool");
        break;
      case Kind::average_pool:
        window(section, layer, "a pool");
        layer.bits = static_cast<int>(section.integer("bits", 1, 32));
        layer.source = layer.from;
        if (layer.from < 0 || recipe_.layers[layer.from].kind != Kind::quantize ||
            recipe_.layers[layer.from].quantizer->per_channel ||
            recipe_.layers[layer.from].quantizer->bipolar()) {
          section.fail(
              "average_pool must follow a quantize layer of two or more levels and one "
              "scale",
              "it adds integers and cuts bits off the sum");
        }
        break;
      case Kind::dropout:
        layer.rate = section.number("rate", 0, 0.99);
        break;
      case Kind::add: {
        layer.with = layer_of(section, "with", prefix);
        const Shape& other = shapes_.at(layer.with);
        if (other != layer.in) {
          section.fail(fmt::format("adds {} and {}, expected equal shapes", to_string(layer.in),
                                   to_string(other)));
        }
        break;
      }
    }
  }

  void weights(Section& section, LayerSpec& layer) {
    layer.bias = section.flag("bias", false);
    if (section.has("weights")) layer.quantizer = quantizer_of(section, "weights");
    if (layer.quantizer && layer.quantizer->shared) {
      section.fail("weights can't share their scale with another layer");
    }
  }

  void window(Section& section, LayerSpec& layer, const std::string& what) {
    if (layer.in.size() < 2) {
      section.fail(fmt::format("{} takes [channels, length] or [channels, height, width], found {}",
                               what, to_string(layer.in)));
    }
    const size_t axes = layer.in.size() - 1;
    const bool pool = layer.kind != Kind::conv;
    if (!section.has("kernel")) section.fail("[[layer]] lacks 'kernel', expected an integer");
    layer.kernel = section.integers("kernel", 1, axes, 1);
    layer.stride =
        pool && !section.has("stride") ? layer.kernel : section.integers("stride", 1, axes, 1);
    if (pool) section.find("stride");
    layer.padding = section.integers("padding", 0, axes, 0);
    for (size_t axis = 0; axis < axes; ++axis) {
      // Windows of padding alone, or mostly of it, have no value in a model.
      const int64_t most = pool ? layer.kernel[axis] / 2 : layer.kernel[axis] - 1;
      if (layer.padding[axis] > most) {
        section.fail(fmt::format("a kernel of {} takes a padding of at most {} there, found {}",
                                 layer.kernel[axis], most, layer.padding[axis]));
      }
      const int64_t room = layer.in[axis + 1] + 2 * layer.padding[axis];
      if (layer.kernel[axis] > room) {
        section.fail(fmt::format("a kernel of {} does not fit an operand of {} with padding {}",
                                 to_string(layer.kernel), to_string(layer.in),
                                 to_string(layer.padding)));
      }
      layer.out[axis + 1] = (room - layer.kernel[axis]) / layer.stride[axis] + 1;
    }
  }

  void check_scores() const {
    const LayerSpec& last = recipe_.layers.back();
    if (last.out != Shape{recipe_.classes}) {
      throw Error(fmt::format("{}:{}: the last layer gives {}, expected {}: one score a class",
                              recipe_.path, last.line, to_string(last.out),
                              to_string(Shape{recipe_.classes})));
    }
  }

  Section root_;
  Recipe recipe_;
  std::map<std::string, Quantizer> quantizers_;
  const toml::table* blocks_ = nullptr;
  std::map<std::string, int> names_;
  std::map<int, Shape> shapes_;
  int block_count_ = 0;
};

}  // namespace

double rate_at(const Recipe& recipe, int64_t step, int64_t per_epoch) {
  const int64_t warm = recipe.warmup * per_epoch, total = recipe.epochs * per_epoch;
  if (step < warm) {
    return recipe.learning_rate * static_cast<double>(step + 1) / static_cast<double>(warm);
  }
  const double done = static_cast<double>(step - warm) / static_cast<double>(total - warm);
  return recipe.last_learning_rate + (recipe.learning_rate - recipe.last_learning_rate) *
                                         (1 + std::cos(std::numbers::pi * done)) / 2;
}

double Quantizer::lowest() const {
  if (!is_signed) return 0;
  if (bipolar()) return -1;
  return -std::ldexp(1.0, bits - 1) + (narrow ? 1 : 0);
}

double Quantizer::largest() const { return std::max(-lowest(), highest()); }

double Quantizer::highest() const {
  if (!is_signed) return std::ldexp(1.0, bits) - (narrow ? 2 : 1);
  return bipolar() ? 1 : std::ldexp(1.0, bits - 1) - 1;
}

AveragePool average_pool(const LayerSpec& layer, const Quantizer& operand) {
  AveragePool pool;
  for (const int64_t size : layer.kernel) pool.elements *= size;
  const double most = std::max(operand.highest(), -operand.lowest() - 1);
  const double sum = most * static_cast<double>(pool.elements);
  pool.sum_bits = static_cast<int>(std::floor(std::log2(sum))) + 1 + (operand.is_signed ? 1 : 0);
  pool.shift = std::max(0, pool.sum_bits - layer.bits);
  const int bits = std::min(layer.bits, pool.sum_bits);
  pool.lowest = operand.is_signed ? -std::ldexp(1.0, bits - 1) : 0;
  pool.highest = std::ldexp(1.0, operand.is_signed ? bits - 1 : bits) - 1;
  return pool;
}

std::string_view kind_name(LayerSpec::Kind kind) {
  for (const auto& [name, known] : kKinds) {
    if (known == kind) return name;
  }
  FOLDSTREAM_CHECK(false);
  return "";
}

Recipe parse_recipe(std::string_view text, const std::string& path) {
  try {
    const toml::table table = toml::parse(text, path);
    return Parser(table, text, path).parse();
  } catch (const toml::parse_error& error) {
    throw Error(fmt::format("{}:{}: {}", path, error.source().begin.line, error.description()));
  }
}

Recipe read_recipe(const std::filesystem::path& path) {
  return parse_recipe(read_file(path), path.string());
}

}  // namespace foldstream::train
