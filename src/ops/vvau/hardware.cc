// SPDX-License-Identifier: Apache-2.0
// The modules of a depthwise layer. Stage by stage: the walk over the windows, which gives a
// channel's window before the next channel's; the beat it reads and its weights; products and
// accumulators; thresholds.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/arith/dot.h"
#include "src/arith/registers.h"
#include "src/arith/scaled_levels.h"
#include "src/arith/thresholding.h"
#include "src/arith/weights.h"
#include "src/ops/vvau/vvau.h"
#include "src/rtl/block.h"
#include "src/rtl/rom.h"
#include "src/util/error.h"

namespace foldstream::vvau {
namespace {

int unsigned_width(int64_t maximum) {
  return std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(maximum))));
}

arith::DotSpec dot_spec(const Layer& layer, const Folding& folding, Family family) {
  arith::DotSpec spec;
  spec.rows = static_cast<int>(folding.pe);
  spec.lanes = static_cast<int>(folding.lines);
  spec.own_activations = true;
  // Weights that can be written stand for all of their type.
  spec.weight = folding.memory == MemoryPlace::writable ? arith::activation_type(layer.w->type)
                                                        : arith::weight_type(*layer.w);
  spec.activation = arith::activation_type(layer.g.element);
  spec.family = arith::family_of(family);
  return spec;
}

// Steps of a window of a channel.
int64_t window_steps(const Layer& layer, const Folding& folding) {
  return layer.g.taps() / folding.lines;
}

int64_t words(const Layer& layer, const Folding& folding) {
  return folding.channel_folds * window_steps(layer, folding);
}

int64_t product_registers(const Layer& layer, const Folding& folding) {
  return arith::sum_registers(folding.lines, layer.g.element.bits, layer.w->type.bits);
}

// A dot product of each channel at once, or what stands for one: `make(spec)`.
template <class Make, class Latency>
auto products_within(const Layer& layer, const Folding& folding, arith::DotSpec spec,
                     const Make& make, const Latency& latency_of) {
  return arith::within(
      0, product_registers(layer, folding),
      [&](int levels) {
        spec.levels_per_register = levels;
        return make(spec);
      },
      latency_of);
}

RomWord bits_of(int64_t value, int width) {
  RomWord bits;
  for (int b = 0; b < width; ++b) bits.push_back((value >> b & 1) != 0);
  return bits;
}

class Emitter {
 public:
  Emitter(const Node& node, const Rhythm& rhythm, Family family, const std::string& instance)
      : node_(node),
        layer_(node),
        folding_(node),
        rhythm_(rhythm),
        family_(family),
        instance_(instance),
        pe_(static_cast<int>(folding_.pe)),
        module_(instance,
                fmt::format("Depthwise layer: {} x {} over {} x {} of {} channels, {} at once{}{}.",
                            layer_.g.rows.kernel, layer_.g.columns.kernel, layer_.g.rows.size,
                            layer_.g.columns.size, layer_.g.channels, folding_.pe,
                            folding_.lines > 1 ? ", all lines" : "",
                            layer_.thresholds ? ", thresholds" : ""),
                fmt::format("Latency {}, {} steps a frame, ring of {}, queue of {}.", rhythm.depth,
                            rhythm.steps(), folding_.walk->places * folding_.walk->unit,
                            rhythm.queue)) {}

  Hardware emit() {
    add_block_ports(module_, folding_.walk->shape.width, pe_ * layer_.out.bits);
    beats();
    arith::DotSpec spec = dot_spec(layer_, folding_, family_);
    spec.name = instance_ + "_products";
    const arith::Dot dot = products_within(
        layer_, folding_, spec, [](const arith::DotSpec& made) { return arith::Dot(made); },
        [](const arith::Dot& made) { return made.module().latency; });
    for (int64_t channel = 0; channel < layer_.g.channels; ++channel) {
      constants_.push_back(dot.row_constant({layer_.w->ints.data() + channel * layer_.g.taps(),
                                             static_cast<size_t>(layer_.g.taps())}));
    }
    weights(dot);
    products(dot);
    accumulators(dot.partial_width());
    if (layer_.thresholds) thresholds();
    add_output_queue(module_, rhythm_, pe_ * layer_.out.bits, "give", push_, result_);
    add_top(module_, hardware_);
    return std::move(hardware_);
  }

 private:
  // The beat that a step reads, or the lines' beats, when the weights are there.
  void beats() {
    const int64_t latency = window::memory_latency(*folding_.walk);
    if (folding_.lines > 1) {
      beat_ = by_channel(window::add_line_walk(module_, *folding_.walk, layer_.g));
    } else {
      beat_ = window::add_walk(module_, *folding_.walk);
      if (layer_.g.padded()) {
        beat_ = window::add_padding(module_, layer_.g, folding_.pe, beat_,
                                    delayed_data(module_, "in_frame", 1, latency));
      }
    }
    const auto width = static_cast<int>(pe_ * folding_.lines * layer_.g.element.bits);
    beat_ = delayed_data(module_, beat_, width, folding_.word_latency - latency);
  }

  // Beats of several lines with a channel's elements side by side.
  std::string by_channel(const std::string& lines) {
    const int bits = layer_.g.element.bits, count = static_cast<int>(folding_.lines);
    const int width = pe_ * count * bits;
    std::vector<std::string> elements;  // most significant first
    for (int channel = pe_; channel-- > 0;) {
      for (int line = count; line-- > 0;) {
        elements.push_back(SvModule::slice(lines, width, (line * pe_ + channel) * bits, bits));
      }
    }
    module_.wire("window_lines", width);
    module_.assign("window_lines", SvModule::concat(elements));
    return "window_lines";
  }

  // Words of so many bits by channel fold or by channel fold and tap: those of the step, a register
  // after its issue. `advance` is high in the last step that uses a word.
  std::string constant_words(const std::string& name, const std::vector<RomWord>& content,
                             const std::string& advance) {
    if (std::all_of(content.begin(), content.end(),
                    [&](const RomWord& word) { return word == content[0]; })) {
      return SvModule::constant(content[0]);
    }
    const std::string address = name + "_word_q";
    add_fold_counter(module_, address, static_cast<int64_t>(content.size()), advance);
    module_.wire(name, static_cast<int>(content[0].size()));
    add_rom(module_, instance_ + "_" + name, content, address, name, &hardware_.memories);
    return name;
  }

  void weights(const arith::Dot& dot) {
    module_.comment("Weights");
    std::vector<RomWord> content;
    std::vector<int64_t> beat(folding_.lines);
    for (int64_t fold = 0; fold < folding_.channel_folds; ++fold) {
      for (int64_t step = 0; step < window_steps(layer_, folding_); ++step) {
        RomWord& word = content.emplace_back();
        for (int64_t channel = fold * pe_; channel < (fold + 1) * pe_; ++channel) {
          for (int64_t line = 0; line < folding_.lines; ++line) {
            beat[line] =
                layer_.w->ints[channel * layer_.g.taps() + line * layer_.g.columns.kernel + step];
          }
          const RomWord stored = dot.stored_bits(beat);
          word.insert(word.end(), stored.begin(), stored.end());
        }
      }
    }
    if (folding_.memory == MemoryPlace::inside) {
      weights_ = constant_words("weights", content, "issue");
      return;
    }
    const auto depth = static_cast<int64_t>(content.size());
    const int width = add_fold_counter(module_, "weights_word_q", depth, "issue");
    const MemoryShape shape = memories(node_, family_)[0];
    if (folding_.memory == MemoryPlace::writable) content = memory_words(node_, shape);
    add_node_memory(module_, node_, instance_, shape, content,
                    width > 0 ? "weights_word_q" : "1'b0", hardware_);
    weights_ = "weights";
  }

  void products(const arith::Dot& dot) {
    module_.comment("Products, without what each channel adds to all of its own");
    module_.wire("partial", pe_ * dot.partial_width());
    SvBindings connections{
        {"weights_i", weights_}, {"activations_i", beat_}, {"partial_o", "partial"}};
    if (dot.module().latency > 0) connections.insert(connections.begin(), {"clk_i", "clk_i"});
    module_.instance(dot.module().name, "u_products", {}, connections);
    products_stage_ = folding_.word_latency + dot.module().latency;
    for (const arith::SvSource& source : dot.module().sources) {
      hardware_.modules.push_back({source.name + ".sv", source.text});
    }
  }

  // With thresholds a sum begins at 0 and the thresholds lack what the products do; without them it
  // begins with that and ends as the result.
  void accumulators(int partial_width) {
    module_.comment("Accumulators");
    sum_width_ = layer_.acc.bits;
    std::vector<RomWord> begin;
    if (folding_.memory == MemoryPlace::writable) {
      // The same for all channels. With thresholds a sum less the least there is.
      if (layer_.thresholds) sum_width_ = arith::reached_bits(layer_.sums), threshold_words();
      RomWord& word = begin.emplace_back();
      for (int r = 0; r < pe_; ++r) {
        FOLDSTREAM_CHECK(constants_[r] == constants_[0]);
        const int64_t first = constants_[0] - (layer_.thresholds ? layer_.sums.lo : 0);
        const RomWord bits = bits_of(first, sum_width_);
        word.insert(word.end(), bits.begin(), bits.end());
      }
    } else if (layer_.thresholds) {
      int64_t largest = 0;
      Type element = layer_.g.element;
      for (int64_t channel = 0; channel < layer_.g.channels; ++channel) {
        largest = std::max(largest,
                           arith::row_range(*layer_.w, channel, element).hi - constants_[channel]);
      }
      sum_width_ = unsigned_width(largest);
      begin.assign(1, RomWord(pe_ * sum_width_));
    } else {
      for (int64_t fold = 0; fold < folding_.channel_folds; ++fold) {
        RomWord& word = begin.emplace_back();
        for (int r = 0; r < pe_; ++r) {
          const RomWord bits = bits_of(constants_[fold * pe_ + r], sum_width_);
          word.insert(word.end(), bits.begin(), bits.end());
        }
      }
    }
    const int64_t latency = products_stage_;
    const std::string initial =
        constant_words("begin_sum", begin, delayed_control(module_, "give", latency - 1));
    const std::string valid = delayed_control(module_, "issue", latency);
    const std::string first = delayed_data(module_, "first_tap", 1, latency);
    const int width = pe_ * sum_width_, addend = std::min(partial_width, sum_width_);
    module_.wire("initial_sum", width);
    module_.assign("initial_sum", initial);
    module_.wire("next_sum", width);
    module_.wire("sum_q", width);
    for (int r = 0; r < pe_; ++r) {
      const auto word = [&](const char* name) {
        return SvModule::slice(name, width, r * sum_width_, sum_width_);
      };
      module_.instance(
          "fst_accumulate", fmt::format("u_accumulate_{}", r),
          {{"Width", std::to_string(sum_width_)}, {"AddendWidth", std::to_string(addend)}},
          {{"first_i", first},
           {"initial_i", word("initial_sum")},
           {"previous_i", word("sum_q")},
           // What a sum modulo two to its width does not need is left out.
           {"addend_i", SvModule::slice("partial", pe_ * partial_width, r * partial_width, addend)},
           {"sum_o", word("next_sum")}});
    }
    module_.register_data("sum_q", fmt::format("{} ? next_sum : sum_q", valid));
    push_ = delayed_control(module_, "give", latency + 1), result_ = "sum_q";
  }

  // The thresholds of a channel, a register after its last step's products.
  void threshold_words() {
    const MemoryShape shape = memories(node_, family_)[1];
    const int width = add_fold_counter(module_, "thresholds_fold_q", folding_.channel_folds,
                                       delayed_control(module_, "give", products_stage_));
    add_node_memory(module_, node_, instance_, shape, memory_words(node_, shape),
                    width > 0 ? "thresholds_fold_q" : "1'b0", hardware_);
  }

  void thresholds() {
    module_.comment("Thresholds");
    if (folding_.memory == MemoryPlace::writable) {
      result_ = arith::add_threshold_count(
          module_, *layer_.thresholds, node_.tensor("flip") != nullptr, memories(node_, family_)[1],
          layer_.sums, folding_.pe, "sum_q");
      push_ = delayed_control(module_, push_,
                              arith::threshold_memory_latency(layer_.thresholds->levels()));
      return;
    }
    const arith::Generated compare =
        arith::levels(node_, *layer_.thresholds,
                      {.name = instance_ + "_thresholds",
                       .lanes = pe_,
                       .folds = static_cast<int>(folding_.channel_folds),
                       .value = integer_type(sum_width_, false, {}),
                       .offset = constants_},
                      family_);
    SvBindings connections{{"value_i", "sum_q"}};
    if (compare.latency > 0) connections.insert(connections.begin(), {"clk_i", "clk_i"});
    if (add_fold_counter(module_, "fold_q", folding_.channel_folds, push_) > 0) {
      connections.emplace_back("fold_i", "fold_q");
    }
    module_.wire("result", pe_ * layer_.out.bits);
    connections.emplace_back("result_o", "result");
    module_.instance(compare.name, "u_thresholds", {}, connections);
    for (const arith::SvSource& source : compare.sources) {
      hardware_.modules.push_back({source.name + ".sv", source.text});
    }
    push_ = delayed_control(module_, push_, compare.latency), result_ = "result";
  }

  const Node& node_;
  const Layer layer_;
  const Folding folding_;
  const Rhythm& rhythm_;
  const Family family_;
  const std::string instance_;
  const int pe_;
  SvModule module_;
  Hardware hardware_;
  int sum_width_ = 1;
  int64_t products_stage_ = 0;      // registers from the issue to the products
  std::vector<int64_t> constants_;  // of the channels: what their products don't hold
  std::string beat_, weights_, push_, result_;
};

}  // namespace

int64_t pipeline_stages(const Node& node, const Folding& folding, Family family) {
  // Beat and weights; products; accumulator; thresholds.
  const Tensor* t = node.tensor("t");
  const int64_t sums = folding.word_latency + product_registers(Layer(node), folding) + 1;
  if (t == nullptr) return sums;
  return sums + (folding.memory == MemoryPlace::writable
                     ? arith::threshold_memory_latency(t->type.shape[1])
                     : arith::levels_latency(node, folding.channel_folds, family));
}

Cost cost(const Node& node, const Rhythm& rhythm, Family family) {
  const Layer layer(node);
  const Folding folding(node);
  const auto pe = static_cast<double>(folding.pe);
  Cost cost = queue_cost(rhythm, folding.pe * layer.out.bits);
  const int64_t beat_registers = folding.word_latency - window::memory_latency(*folding.walk);
  cost += folding.lines > 1 ? window::line_walk_cost(*folding.walk, layer.g, beat_registers > 0)
                            : window::walk_cost(*folding.walk);
  // The beat, where no block memory has it in its register; issue and the first of a sum as far as
  // that, the last to the end.
  cost.ff += pe * static_cast<double>(beat_registers * folding.lines * layer.g.element.bits) +
             static_cast<double>(2 * folding.word_latency + stages_of(rhythm));
  // Padding is the reset of the beat's register, or a table for each bit of a block memory's.
  if (layer.g.padded() && folding.lines == 1 && beat_registers == 0) {
    cost.lut += pe * layer.g.element.bits;
  }
  const arith::DotSpec spec = dot_spec(layer, folding, family);
  cost += arith::resources(pe * products_within(
                                    layer, folding, spec,
                                    [](const arith::DotSpec& made) { return arith::dot_row(made); },
                                    [](const arith::DotRow& made) { return made.latency; })
                                    .cost);
  const int64_t depth = words(layer, folding);
  if (depth > 1) {
    if (folding.memory == MemoryPlace::inside)
      cost += plan_rom(folding.pe * folding.lines * spec.weight.bits, depth).cost;
    cost += fold_counter_cost(depth);
  }
  const int sum_width = layer.acc.bits;
  cost.lut += pe * sum_width, cost.ff += pe * sum_width;
  if (const Tensor* t = node.tensor("t"); t != nullptr) {
    cost += folding.memory == MemoryPlace::writable
                ? arith::resources(
                      arith::threshold_memory_cost(folding.pe, t->type.shape[1], sum_width))
                : arith::levels_cost(node, folding.pe, folding.channel_folds, sum_width, family);
    cost += fold_counter_cost(folding.channel_folds);  // of the thresholds' word
  } else if (folding.channel_folds > 1 && folding.memory != MemoryPlace::writable &&
             arith::constant_depends_on_weights(spec)) {
    cost += fold_counter_cost(folding.channel_folds);
    cost += plan_rom(folding.pe * sum_width, folding.channel_folds).cost;
  }
  return cost;
}

std::vector<MemoryShape> memories(const Node& node, Family family) {
  const Layer layer(node);
  const Folding folding(node);
  const int64_t bits = dot_spec(layer, folding, family).weight.bits, taps = layer.g.taps();
  const int64_t width = folding.lines * bits, steps = window_steps(layer, folding);
  std::vector<MemoryShape> memories{{"weights", folding.pe * width, words(layer, folding)}};
  if (folding.memory != MemoryPlace::writable) return memories;
  memories[0].fields.push_back({.tensor = "w",
                                .bits = bits,
                                .least = layer.w->type.min(),
                                .greatest = layer.w->type.max(),
                                .loops = {{folding.channel_folds, folding.pe * taps, steps, 0},
                                          {steps, 1, 1, 0},
                                          {folding.pe, taps, 0, width},
                                          {folding.lines, layer.g.columns.kernel, 0, bits}}});
  if (layer.thresholds) {
    memories.push_back(
        arith::threshold_memory(node, layer.sums, folding.pe, folding.channel_folds));
  }
  return memories;
}

Hardware emit(const Node& node, const Rhythm& rhythm, Family family, const std::string& instance) {
  return Emitter(node, rhythm, family, instance).emit();
}

}  // namespace foldstream::vvau
