// SPDX-License-Identifier: Apache-2.0
// The modules of a matrix-vector unit. Stage by stage: the issue controller; the vector's beat,
// read back where it serves several rows, and its weights; dot products; accumulators; thresholds.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <tuple>
#include <vector>

#include "src/arith/constant_matrix.h"
#include "src/arith/dot.h"
#include "src/arith/dot_embedded.h"
#include "src/arith/dot_packed.h"
#include "src/arith/registers.h"
#include "src/arith/scaled_levels.h"
#include "src/arith/threshold_search.h"
#include "src/arith/thresholding.h"
#include "src/arith/weights.h"
#include "src/ops/mvau/mvau.h"
#include "src/rtl/block.h"
#include "src/rtl/rom.h"
#include "src/util/error.h"

namespace foldstream::mvau {
namespace {

constexpr int64_t kEmbeddedWords = 8;  // words of weights that tables hold besides multiplying
constexpr int64_t kComparedRows = 8;   // row folds whose thresholds a comparator's tables hold well
constexpr int64_t kTableDepth = 64;    // words of weights in look-up tables; more are block memory

int unsigned_width(int64_t maximum) {
  return std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(maximum))));
}

int64_t sum_registers(int64_t lanes, const Type& in, const Type& w) {
  return arith::sum_registers(lanes, in.bits, w.bits);
}

int64_t latency_of(const arith::Dot& dot) { return dot.module().latency; }
int64_t latency_of(const arith::DotRow& row) { return row.latency; }
int64_t latency_of(const arith::DotPacked& dot) { return dot.module().latency; }
int64_t latency_of(const arith::DotEmbedded& dot) { return dot.module.latency; }
int64_t latency_of(const arith::ConstantMatrix& matrix) { return matrix.module.latency; }

template <class Make>
auto within(int64_t fixed, int64_t registers, const Make& make) {
  return arith::within(fixed, registers, make, [](const auto& made) { return latency_of(made); });
}

arith::DotSpec dot_spec(const Node& node, const Folding& folding, Family family,
                        size_t stride = 1) {
  arith::DotSpec spec;
  spec.rows = static_cast<int>(folding.pe);
  spec.lanes = static_cast<int>(folding.simd);
  // Multipliers take weights as their type says, which needs no look at each of them. Weights that
  // can be written stand for all of their type, in a coding whose constants don't depend on them.
  spec.weight = folding.dsp || folding.memory == MemoryPlace::writable
                    ? arith::activation_type(node.tensor("w")->type)
                    : arith::weight_type(*node.tensor("w"), stride);
  spec.activation = arith::activation_type(node.in_type(0));
  spec.family = arith::family_of(family);
  spec.multiplier_bits = arith::multiplier_bits(family);
  return spec;
}

// Registers of dot products with weights from a memory, with DSP blocks those of the chains and of
// the sum of what each gives.
struct DotRegisters {
  int64_t chain = 0, sum = 0;
};

DotRegisters dot_registers(const Node& node, const Folding& folding, Family family) {
  const Type& w = node.tensor("w")->type;
  if (!folding.dsp) return {0, sum_registers(folding.simd, node.in_type(0), w)};
  const arith::Packing packing = arith::find_packing(dot_spec(node, folding, family));
  const Type bit = integer_type(1, false, {});
  return {arith::packed_registers(packing), sum_registers(packing.chains, bit, bit)};
}

// Sums of some size rest before they are compared.
bool registers_sums(int64_t columns, const Type& in) { return columns * in.bits > 32; }

// Registers of the whole matrix in logic behind its sums, where it compares them.
int64_t compare_registers(const Node& node, int64_t columns) {
  const Tensor* t = node.tensor("t");
  if (t == nullptr) return 0;
  const int levels = std::bit_width(static_cast<uint64_t>(t->type.shape[1]));
  return (registers_sums(columns, node.in_type(0)) ? 1 : 0) + arith::memory_levels(levels, 0);
}

// The whole matrix in logic.
arith::ConstantMatrixSpec matrix_spec(const Node& node, bool compares, Family family) {
  const Tensor& w = *node.tensor("w");
  const int64_t rows = w.type.shape[0], columns = w.type.shape[1];
  std::optional<Thresholds> thresholds;
  if (compares && node.tensor("t") != nullptr) thresholds.emplace(node, rows);
  arith::ConstantMatrixSpec spec;
  spec.activation = arith::activation_type(node.in_type(0));
  spec.family = arith::family_of(family);
  spec.register_sums = thresholds && registers_sums(columns, node.in_type(0));
  for (int64_t row = 0; row < rows; ++row) {
    const auto first = w.ints.begin() + row * columns;
    spec.weights.emplace_back(first, first + columns);
    if (!thresholds) continue;
    const int64_t* t = thresholds->row(row);
    spec.thresholds.emplace_back(t, t + thresholds->levels());
    spec.inverted.push_back(thresholds->flipped(row));
  }
  return spec;
}

// With so many registers in its sums at most.
arith::ConstantMatrix made_matrix(arith::ConstantMatrixSpec spec, int64_t registers) {
  int64_t most = registers + (spec.register_sums ? 1 : 0);
  if (!spec.thresholds.empty()) {
    most += arith::memory_levels(std::bit_width(spec.thresholds.front().size()), 0);
  }
  return within(0, most, [&](int levels) {
    spec.levels_per_register = levels;
    arith::ConstantMatrix matrix = arith::constant_matrix(spec);
    spec.pairs = matrix.report.pairs > 0;  // wherever the registers are
    return matrix;
  });
}

// Weights in the tables that multiply.
arith::DotEmbeddedSpec embedded_spec(const Node& node, const Folding& folding, Family family) {
  const Tensor& w = *node.tensor("w");
  const int64_t columns = w.type.shape[1];
  arith::DotEmbeddedSpec spec;
  spec.activation = arith::activation_type(node.in_type(0));
  spec.family = arith::family_of(family);
  for (int64_t row = 0; row < folding.row_folds; ++row) {
    for (int64_t column = 0; column < folding.column_folds; ++column) {
      auto& word = spec.weights.emplace_back();
      for (int64_t r = 0; r < folding.pe; ++r) {
        const auto first =
            w.ints.begin() + (row * folding.pe + r) * columns + column * folding.simd;
        word.emplace_back(first, first + folding.simd);
      }
    }
  }
  return spec;
}

// Where the weights are: constants of the logic, tables that multiply, or a memory.
enum class Form { unfolded, embedded, memory };

Form form(const Node& node, const Folding& folding, Family family) {
  const int64_t words = folding.row_folds * folding.column_folds;
  if (folding.memory != MemoryPlace::inside) return Form::memory;
  if (words == 1) return Form::unfolded;
  if (folding.dsp) return Form::memory;
  const bool fits =
      family != Family::generic && words <= kEmbeddedWords &&
      arith::dot_embedded_fits(arith::activation_type(node.in_type(0)), static_cast<int>(words));
  return fits ? Form::embedded : Form::memory;
}

// A single threshold that a comparator could only have from a table is where the sum begins
// instead, from a smaller table, and the sum's sign is the result.
bool sign_decides(const Node& node, const Folding& folding) {
  const Tensor* t = node.tensor("t");
  return t != nullptr && t->type.shape[1] == 1 && !folding.scaled &&
         folding.memory != MemoryPlace::writable && folding.row_folds > kComparedRows &&
         folding.row_folds <= kTableDepth;
}

bool replays(const Folding& folding) { return folding.group_row_folds > 1 && folding.reuse == 1; }
bool replays_from_memory(const Folding& folding) {
  return replays(folding) && folding.column_folds > 1;
}

// Registers from an issue to the vector's beat and its weights.
int64_t vector_stages(const Folding& folding) {
  const bool from_memory = replays_from_memory(folding) || folding.reuse > 1;
  return std::max<int64_t>(from_memory ? 2 : 1, folding.word_latency);
}

int bits_of_index(int64_t count) {
  return count > 1 ? std::bit_width(static_cast<uint64_t>(count - 1)) : 1;
}

// With `reuse`: words of the memories of vectors, two groups of them, and of results; each part
// begins at a power of two.
int64_t stored_beats(const Folding& folding) {
  const int64_t beats = folding.reuse * folding.column_folds;
  return (int64_t{1} << bits_of_index(beats)) + beats;
}
int64_t stored_results(const Folding& folding) {
  return int64_t{1} << (bits_of_index(folding.reuse) + bits_of_index(folding.row_folds));
}

}  // namespace

bool may_use_dsp(const Node& node) {
  const Type& in = node.in_type(0);
  const Type& w = node.tensor("w")->type;
  // What sums of signed activations lack would depend on the weights.
  if (in.is_signed && memory_place(node) == MemoryPlace::writable) return false;
  return arith::dot_packed_fits(arith::activation_type(w), arith::activation_type(in));
}

int64_t pipeline_stages(const Node& node, const Folding& folding, Family family) {
  const Type& in = node.in_type(0);
  const Type& w = node.tensor("w")->type;
  const Tensor* t = node.tensor("t");
  if (form(node, folding, family) == Form::unfolded) {
    const int64_t sums = 1 + sum_registers(folding.simd, in, w);
    if (folding.scaled) return sums + arith::levels_latency(node, 1, family);
    return sums + compare_registers(node, folding.simd);
  }
  // Words of vector and weights; products; accumulator; thresholds.
  int64_t stages = vector_stages(folding) + 1;
  const DotRegisters registers = dot_registers(node, folding, family);
  stages += registers.chain + registers.sum;
  if (t != nullptr && folding.memory == MemoryPlace::writable) {
    stages += arith::threshold_memory_latency(t->type.shape[1]);
  } else if (t != nullptr && !sign_decides(node, folding)) {
    stages += arith::levels_latency(node, folding.row_folds, family);
  }
  return stages;
}

// The last result of each vector is kept when it is to be given: of vector v it is written so many
// steps before the last one, and given so many after the first.
int64_t idle_steps(const Node& node, const Folding& folding, Family family) {
  return std::max<int64_t>(
      0, pipeline_stages(node, folding, family) - (folding.reuse - 1) - (folding.row_folds - 1));
}

namespace {

class Emitter {
 public:
  Emitter(const Node& node, const Rhythm& rhythm, Family family, const std::string& instance)
      : node_(node),
        shape_(node),
        folding_(node),
        rhythm_(rhythm),
        family_(family),
        instance_(instance),
        module_(instance,
                fmt::format("Matrix-vector unit: {} rows of {}, {} x {} at once{}.", shape_.rows,
                            shape_.columns, folding_.pe, folding_.simd,
                            shape_.thresholds ? ", thresholds" : ""),
                fmt::format("Latency {}, {} steps a vector, queue of {}.", rhythm.depth,
                            folding_.row_folds * folding_.column_folds, rhythm.queue)) {}

  Hardware emit() {
    const int64_t simd_width = folding_.simd * shape_.in.bits;
    add_block_ports(module_, simd_width, folding_.pe * shape_.out.bits);
    if (folding_.memory == MemoryPlace::streamed) hold_inputs(simd_width);
    const Form where = form(node_, folding_, family_);
    std::string give = "give";
    if (where == Form::unfolded) {
      give = "issue";
      matrix(simd_width);
    } else {
      if (folding_.reuse > 1) {
        shared_control();
      } else {
        control();
      }
      vector_words(simd_width);
      if (where == Form::embedded) {
        embedded_products();
      } else {
        memory_products();
      }
      accumulators();
      result();
    }
    // A part that came out with fewer registers than the rule allows is made as late as it says.
    const int64_t late = pipeline_stages(node_, folding_, family_) - stage_;
    FOLDSTREAM_CHECK(late >= 0);
    push_ = delayed_control(module_, push_, late);
    result_ = delayed_data(module_, result_, folding_.pe * shape_.out.bits, late);
    if (folding_.reuse > 1) results();
    add_output_queue(module_, rhythm_, folding_.pe * shape_.out.bits, give, push_, result_);
    add_top(module_, hardware_);
    return std::move(hardware_);
  }

 private:
  static std::string text(int64_t value) { return std::to_string(value); }

  // Every step takes a word of weights, and some a beat of the vector.
  void hold_inputs(int64_t vector_width) {
    const MemoryShape shape = memories(node_, family_)[0];
    module_.comment("Holding registers");
    add_stream_in(module_, shape.name, shape.width);
    // With reuse vectors are stored.
    if (folding_.reuse == 1) {
      vector_in_ = add_holding_register(module_, "s", "vector", vector_width);
    }
    weights_in_ = add_holding_register(module_, shape.name, "word", shape.width);
  }

  void control() {
    const int64_t words = folding_.row_folds * folding_.column_folds;
    column_width_ = unsigned_width(folding_.column_folds - 1);
    word_width_ = unsigned_width(words - 1);
    module_.comment("Issue controller");
    module_.wire("available");
    module_.wire("issue");
    module_.wire("take");
    module_.wire("give");
    module_.wire("first_column");
    module_.wire("column", column_width_);
    module_.wire("word", word_width_);
    module_.instance("fst_mvau_control", "u_control",
                     {{"ColumnFolds", text(folding_.column_folds)},
                      {"RowFolds", text(folding_.group_row_folds)},
                      {"Groups", text(folding_.groups)}},
                     {{"clk_i", "clk_i"},
                      {"rst_i", "rst_i"},
                      {"s_valid_i", vector_in_.valid},
                      {"s_ready_o", vector_in_.take},
                      {"weights_valid_i", weights_in_.valid},
                      {"available_i", "available"},
                      {"issue_o", "issue"},
                      {"take_o", "take"},
                      {"give_o", "give"},
                      {"first_column_o", "first_column"},
                      {"column_o", "column"},
                      {"word_o", "word"}});
  }

  void shared_control() {
    module_.comment("Issue controller");
    const int beat_width = bits_of_index(folding_.reuse * folding_.column_folds) + 1;
    const int vector_width = bits_of_index(folding_.reuse);
    for (const char* wire : {"available", "write", "take_shared", "issue", "first_column", "finish",
                             "finish_row", "give"}) {
      module_.wire(wire);
    }
    module_.wire("write_address", beat_width);
    module_.wire("read_address", beat_width);
    module_.wire("vector", vector_width);
    module_.wire("given_result", vector_width + bits_of_index(folding_.row_folds));
    module_.instance("fst_mvau_shared_words", "u_control",
                     {{"ColumnFolds", text(folding_.column_folds)},
                      {"RowFolds", text(folding_.row_folds)},
                      {"Vectors", text(folding_.reuse)},
                      {"Idle", text(idle_steps(node_, folding_, family_))}},
                     {{"clk_i", "clk_i"},
                      {"rst_i", "rst_i"},
                      {"s_valid_i", "s_valid_i"},
                      {"s_ready_o", "s_ready_o"},
                      {"write_o", "write"},
                      {"write_address_o", "write_address"},
                      {"weights_valid_i", weights_in_.valid},
                      {"word_o", "take_shared"},
                      {"available_i", "available"},
                      {"issue_o", "issue"},
                      {"read_address_o", "read_address"},
                      {"first_column_o", "first_column"},
                      {"vector_o", "vector"},
                      {"finish_o", "finish"},
                      {"finish_row_o", "finish_row"},
                      {"give_o", "give"},
                      {"result_o", "given_result"}});
    finish_ = "finish", finish_row_ = "finish_row";
  }

  // Kept as they come, row by row, and given vector by vector.
  void results() {
    module_.comment("Results of a group");
    const int64_t width = folding_.pe * shape_.out.bits;
    add_fold_counter(module_, "result_vector_q", folding_.reuse, push_);
    module_.wire("result_row_done");
    module_.assign("result_row_done",
                   fmt::format("{} && result_vector_q == {}'d{}", push_,
                               bits_of_index(folding_.reuse), folding_.reuse - 1));
    const bool several =
        add_fold_counter(module_, "result_row_q", folding_.row_folds, "result_row_done") > 0;
    module_.wire("kept_result", static_cast<int>(width));
    module_.instance(
        "fst_mvau_store", "u_results",
        {{"Width", text(width)}, {"Depth", text(stored_results(folding_))}, {"Latency", "1"}},
        {{"clk_i", "clk_i"},
         {"write_i", push_},
         {"write_address_i",
          SvModule::concat({"result_vector_q", several ? "result_row_q" : "1'b0"})},
         {"data_i", result_},
         {"address_i", "given_result"},
         {"data_o", "kept_result"}});
    push_ = delayed_control(module_, "give", 1), result_ = "kept_result";
  }

  void matrix(int64_t width) {
    add_beat_issue(module_);
    module_.comment("The whole matrix");
    const std::string vector = delayed_data(module_, "s_data_i", width, 1);
    arith::ConstantMatrixSpec spec = matrix_spec(node_, !folding_.scaled, family_);
    spec.name = instance_ + "_matrix";
    const int64_t registers = sum_registers(folding_.simd, shape_.in, shape_.w->type);
    const arith::ConstantMatrix matrix = made_matrix(std::move(spec), registers);
    const bool thresholds = shape_.thresholds.has_value() && !folding_.scaled;
    const int out_bits = folding_.scaled ? shape_.acc.bits : shape_.out.bits;
    const int bits = thresholds ? shape_.out.bits : matrix.sum_width;
    const auto rows = static_cast<int>(shape_.rows);
    module_.wire("result", rows * bits);
    add_instance(matrix.module, "u_matrix",
                 {{"activations_i", vector}, {thresholds ? "result_o" : "sums_o", "result"}});
    stage_ = 1 + matrix.module.latency;
    push_ = delayed_control(module_, "issue", stage_);
    result_ = "result";
    if (bits != out_bits) {
      // The generator's sums are wider than the results by bits that repeat the sign, or narrower.
      std::vector<std::string> words;
      for (int row = rows; row-- > 0;) {
        const int kept = std::min(bits, out_bits);
        std::string word = SvModule::slice("result", rows * bits, row * bits, kept);
        if (kept < out_bits) word = fmt::format("{}'($signed({}))", out_bits, word);
        words.push_back(word);
      }
      module_.wire("sums", rows * out_bits);
      module_.assign("sums", SvModule::concat(words));
      result_ = "sums";
    }
    if (!folding_.scaled) return;
    const arith::Generated given = levels(shape_.acc, {});
    module_.wire("levels", rows * shape_.out.bits);
    add_instance(given, "u_levels", {{"value_i", result_}, {"result_o", "levels"}});
    stage_ += given.latency;
    push_ = delayed_control(module_, "issue", stage_);
    result_ = "levels";
  }

  void add_instance(const arith::Generated& generated, const std::string& name,
                    SvBindings connections) {
    if (generated.latency > 0) connections.insert(connections.begin(), {"clk_i", "clk_i"});
    module_.instance(generated.name, name, {}, connections);
    for (const arith::SvSource& source : generated.sources) {
      hardware_.modules.push_back({source.name + ".sv", source.text});
    }
  }

  // The beat of the vector that the step uses.
  void vector_words(int64_t width) {
    module_.comment("Vector");
    module_.wire("vector_q", static_cast<int>(width));
    stage_ = 1;
    const auto keep = [&](const std::string& instance, int64_t beats, const std::string& write,
                          const std::string& write_address, const std::string& address) {
      stage_ = 2;
      module_.instance("fst_mvau_store", instance, {{"Width", text(width)}, {"Depth", text(beats)}},
                       {{"clk_i", "clk_i"},
                        {"write_i", write},
                        {"write_address_i", write_address},
                        {"data_i", vector_in_.data},
                        {"address_i", address},
                        {"data_o", "vector_q"}});
    };
    if (folding_.reuse > 1) {
      keep("u_vectors", stored_beats(folding_), "write", "write_address", "read_address");
    } else if (replays_from_memory(folding_)) {
      keep("u_replay", folding_.column_folds, "take", "column", "column");
    } else if (replays(folding_)) {
      module_.register_data("vector_q", fmt::format("take ? {} : vector_q", vector_in_.data));
    } else {
      module_.register_data("vector_q", vector_in_.data);
    }
    vector_ = delayed_data(module_, "vector_q", width, vector_stages(folding_) - stage_);
    stage_ = vector_stages(folding_);
  }

  // Word of weights w: for each of the rows worked on together its stored bits, row 0 lowest.
  template <class Dot>
  std::vector<bool> weight_word(const Dot& dot, int64_t row_fold, int64_t column_fold) const {
    std::vector<bool> bits;
    for (int64_t r = 0; r < folding_.pe; ++r) {
      const int64_t* row = shape_.w->ints.data() + (row_fold * folding_.pe + r) * shape_.columns;
      const auto stored =
          dot.stored_bits({row + column_fold * folding_.simd, static_cast<size_t>(folding_.simd)});
      bits.insert(bits.end(), stored.begin(), stored.end());
    }
    return bits;
  }

  template <class Dot>
  void weight_words(const Dot& dot) {
    const int64_t words = folding_.row_folds * folding_.column_folds;
    std::vector<std::vector<bool>> content;
    for (int64_t row = 0; row < folding_.row_folds; ++row) {
      for (int64_t column = 0; column < folding_.column_folds; ++column) {
        content.push_back(weight_word(dot, row, column));
      }
    }
    FOLDSTREAM_CHECK(static_cast<int64_t>(content.size()) == words);
    module_.comment("Weights");
    const MemoryShape shape = memories(node_, family_)[0];
    if (folding_.memory == MemoryPlace::streamed) {
      if (folding_.reuse > 1) {
        module_.assign(weights_in_.take, "take_shared");
        module_.wire("shared_q", static_cast<int>(shape.width));
        module_.register_data("shared_q",
                              fmt::format("take_shared ? {} : shared_q", weights_in_.data));
        weights_ = delayed_data(module_, "shared_q", shape.width, stage_ - 1);
      } else {
        module_.assign(weights_in_.take, "issue");
        weights_ = delayed_data(module_, weights_in_.data, shape.width, stage_);
      }
      hardware_.outside.push_back({shape, std::move(content), folding_.memory});
      return;
    }
    const std::string address =
        delayed_data(module_, "word", word_width_, stage_ - folding_.word_latency);
    if (folding_.memory == MemoryPlace::writable) content = memory_words(node_, shape);
    add_node_memory(module_, node_, instance_, shape, content, address, hardware_);
  }

  void memory_products() {
    arith::DotSpec spec = dot_spec(node_, folding_, family_);
    spec.name = instance_ + "_dot";
    const DotRegisters registers = dot_registers(node_, folding_, family_);
    const auto make = [&]<class Dot>() {
      return within(registers.chain, registers.sum, [&](int levels) {
        spec.levels_per_register = levels;
        return Dot(spec);
      });
    };
    if (folding_.dsp) {
      dot_products(make.operator()<arith::DotPacked>());
    } else {
      dot_products(make.operator()<arith::Dot>());
    }
  }

  template <class Dot>
  void dot_products(const Dot& dot) {
    weight_words(dot);
    module_.comment("Dot products, without each row's constant");
    partial_width_ = dot.partial_width();
    module_.wire("partial", static_cast<int>(folding_.pe) * partial_width_);
    add_instance(dot.module(), "u_dot",
                 {{"weights_i", weights_}, {"activations_i", vector_}, {"partial_o", "partial"}});
    stage_ += dot.module().latency;
    for (int64_t row = 0; row < shape_.rows; ++row) {
      constants_.push_back(dot.row_constant(
          {shape_.w->ints.data() + row * shape_.columns, static_cast<size_t>(shape_.columns)}));
    }
  }

  void embedded_products() {
    arith::DotEmbeddedSpec spec = embedded_spec(node_, folding_, family_);
    spec.name = instance_ + "_dot";
    const int64_t registers = sum_registers(folding_.simd, shape_.in, shape_.w->type);
    const arith::DotEmbedded dot = within(0, registers, [&](int levels) {
      spec.levels_per_register = levels;
      return arith::dot_embedded(spec);
    });
    module_.comment("Dot products with weights in their tables, without each row's constant");
    const std::string fold = delayed_data(module_, "word", word_width_, stage_);
    partial_width_ = dot.partial_width;
    module_.wire("partial", static_cast<int>(folding_.pe) * partial_width_);
    add_instance(dot.module, "u_dot",
                 {{"fold_i", fold}, {"activations_i", vector_}, {"partial_o", "partial"}});
    stage_ += dot.module.latency;
    FOLDSTREAM_CHECK(dot.scale == 1);
    for (int64_t row = 0; row < shape_.rows; ++row) {
      int64_t constant = 0;
      for (int64_t column = 0; column < folding_.column_folds; ++column) {
        const int64_t word = row / folding_.pe * folding_.column_folds + column;
        constant += dot.constant[word][row % folding_.pe];
      }
      constants_.push_back(constant);
    }
  }

  // Where each row's sum begins, and the bits it then needs. Without thresholds with what the
  // partials lack, so that it ends as the result. A single threshold that a comparator could only
  // have from a table is subtracted here, from a smaller one, and the sign is the result. Else at
  // 0: the comparators' thresholds then lack what the partials do.
  void begin_sums() {
    begin_.assign(shape_.rows, 0);
    begins_at_threshold_ = sign_decides(node_, folding_);
    if (folding_.memory == MemoryPlace::writable) {
      // The same for all rows. With thresholds a sum less the least there is, so never negative.
      for (int64_t row = 0; row < shape_.rows; ++row) {
        FOLDSTREAM_CHECK(constants_[row] == constants_[0]);
        begin_[row] = constants_[row] - (shape_.thresholds ? shape_.sums.lo : 0);
      }
      sum_width_ = shape_.thresholds ? arith::reached_bits(shape_.sums) : shape_.acc.bits;
      return;
    }
    arith::Range all{-1, 0};
    for (int64_t row = 0; row < shape_.rows; ++row) {
      arith::Range range = arith::row_range(*shape_.w, row, shape_.in);
      int64_t shift = -constants_[row];
      if (begins_at_threshold_) {
        const int64_t t = std::clamp(*shape_.thresholds->row(row), range.lo, range.hi + 1);
        begin_[row] = constants_[row] - t;
        shift = -t;
      } else if (!shape_.thresholds) {
        begin_[row] = constants_[row];
        shift = 0;
      }
      all = {std::min(all.lo, range.lo + shift), std::max(all.hi, range.hi + shift)};
    }
    sum_width_ = !shape_.thresholds     ? shape_.acc.bits
                 : begins_at_threshold_ ? type_for_range(all.lo, all.hi, {}).bits
                                        : unsigned_width(all.hi);
  }

  // For row r of those worked on together: a constant, or a slice of the words of a table.
  std::vector<std::string> initial_sums() {
    const auto pe = static_cast<int>(folding_.pe);
    const auto bits_of = [&](int64_t value) {
      std::vector<bool> bits;
      for (int b = 0; b < sum_width_; ++b) bits.push_back((value >> b & 1) != 0);
      return bits;
    };
    std::vector<std::string> initial;
    bool same = true;
    for (int64_t row = 0; row < shape_.rows; ++row) same = same && begin_[row] == begin_[row % pe];
    if (same) {
      for (int r = 0; r < pe; ++r) initial.push_back(SvModule::constant(bits_of(begin_[r])));
      return initial;
    }
    const std::string given = delayed_control(module_, finish_row_, stage_ - 1);
    const int width = pe * sum_width_;
    add_fold_counter(module_, "row_q", folding_.row_folds, given);
    module_.wire("initial_sum", width);
    std::vector<RomWord> words(folding_.row_folds);
    for (int64_t row = 0; row < shape_.rows; ++row) {
      const std::vector<bool> bits = bits_of(begin_[row]);
      words[row / pe].insert(words[row / pe].end(), bits.begin(), bits.end());
    }
    add_rom(module_, instance_ + "_initial", words, "row_q", "initial_sum", &hardware_.memories);
    for (int r = 0; r < pe; ++r) {
      initial.push_back(SvModule::slice("initial_sum", width, r * sum_width_, sum_width_));
    }
    return initial;
  }

  void accumulators() {
    const auto pe = static_cast<int>(folding_.pe);
    const bool several = folding_.column_folds > 1;
    begin_sums();
    module_.comment("Accumulators");
    const std::string valid = several ? delayed_control(module_, "issue", stage_) : "";
    given_ = delayed_control(module_, finish_, stage_);
    if (folding_.memory == MemoryPlace::writable && shape_.thresholds) threshold_words();
    const std::string first =
        several ? delayed_data(module_, "first_column", 1, stage_) : std::string("1'b1");
    const std::vector<std::string> initial = initial_sums();
    const int addend_width = std::min(partial_width_, sum_width_);
    if (several && folding_.reuse > 1) keep_sums(valid, pe * sum_width_);
    const char* previous = folding_.reuse > 1 ? "kept_sum" : "sum_q";
    module_.wire("next_sum", pe * sum_width_);
    module_.wire("sum_q", pe * sum_width_);
    for (int r = 0; r < pe; ++r) {
      const auto word = [&](const char* name) {
        return SvModule::slice(name, pe * sum_width_, r * sum_width_, sum_width_);
      };
      module_.instance("fst_accumulate", fmt::format("u_accumulate_{}", r),
                       {{"Width", text(sum_width_)}, {"AddendWidth", text(addend_width)}},
                       {{"first_i", first},
                        {"initial_i", initial[r]},
                        {"previous_i", several ? word(previous) : fmt::format("{}'d0", sum_width_)},
                        // What a sum modulo two to its width does not need is left out.
                        {"addend_i", SvModule::slice("partial", pe * partial_width_,
                                                     r * partial_width_, addend_width)},
                        {"sum_o", word("next_sum")}});
    }
    module_.register_data("sum_q",
                          several ? fmt::format("{} ? next_sum : sum_q", valid) : "next_sum");
    ++stage_;
    module_.wire("summed_q");
    module_.register_control("summed_q", given_, "1'b0");
    given_ = "summed_q";
  }

  // The sums of a group's vectors, each read and written in the same cycle.
  void keep_sums(const std::string& valid, int width) {
    const std::string vector =
        delayed_data(module_, "vector", bits_of_index(folding_.reuse), stage_);
    module_.wire("kept_sum", width);
    module_.raw(
        fmt::format("(* ram_style = \"distributed\" *)\nlogic [{}:0] {} [{}];\n"
                    "always_ff @(posedge clk_i) if ({}) {}[{}] <= next_sum;",
                    width - 1, module_.fresh("sums"), int64_t{1} << bits_of_index(folding_.reuse),
                    valid, "sums", vector));
    module_.assign("kept_sum", fmt::format("sums[{}]", vector));
  }

  // That a row's sums are complete, beside the last of them.
  std::string row_done() {
    return folding_.reuse > 1 ? delayed_control(module_, finish_row_, stage_) : given_;
  }

  // The thresholds of a row beside its finished sum.
  void threshold_words() {
    const MemoryShape shape = memories(node_, family_)[1];
    const int width = add_fold_counter(module_, "thresholds_row_q", folding_.row_folds, given_);
    add_node_memory(module_, node_, instance_, shape, memory_words(node_, shape),
                    width > 0 ? "thresholds_row_q" : "1'b0", hardware_);
  }

  // The signs of the sums; y = (sum >= threshold) xor flip.
  void signs() {
    const auto pe = static_cast<int>(folding_.pe);
    module_.comment("Thresholds: reached where a sum that began at minus its own is not negative");
    bool any_flip = false;
    for (int64_t row = 0; row < shape_.rows; ++row) {
      any_flip = any_flip || shape_.thresholds->flipped(row);
    }
    std::string flips;
    if (any_flip) {
      const int width = add_fold_counter(module_, "sign_row_q", folding_.row_folds, row_done());
      std::vector<bool> bits((size_t{1} << width) * pe);
      for (int64_t row = 0; row < shape_.rows; ++row) bits[row] = shape_.thresholds->flipped(row);
      module_.localparam(fmt::format("bit [{}:0]", bits.size() - 1), "Flips",
                         SvModule::constant(bits));
      flips = fmt::format(" ^ Flips[{}*sign_row_q+:{}]", pe, pe);
    }
    std::vector<std::string> reached;
    for (int r = pe; r-- > 0;) {
      reached.push_back("!" + SvModule::bit("sum_q", pe * sum_width_, (r + 1) * sum_width_ - 1));
    }
    module_.wire("result", pe);
    module_.assign("result", SvModule::concat(reached) + flips);
    push_ = given_, result_ = "result";
  }

  void result() {
    if (!shape_.thresholds) {
      push_ = given_, result_ = "sum_q";
      return;
    }
    if (begins_at_threshold_) return signs();
    if (folding_.memory == MemoryPlace::writable) {
      module_.comment("Thresholds reached");
      result_ = arith::add_threshold_count(
          module_, *shape_.thresholds, node_.tensor("flip") != nullptr, memories(node_, family_)[1],
          shape_.sums, folding_.pe, "sum_q");
      const int latency = arith::threshold_memory_latency(shape_.thresholds->levels());
      stage_ += latency;
      push_ = delayed_control(module_, given_, latency);
      return;
    }
    module_.comment("Thresholds");
    const arith::Generated compare = levels(integer_type(sum_width_, false, {}), constants_);
    SvBindings connections{{"value_i", "sum_q"}};
    if (add_fold_counter(module_, "row_q", folding_.row_folds, row_done()) > 0) {
      connections.emplace_back("fold_i", "row_q");
    }
    module_.wire("result", static_cast<int>(folding_.pe) * shape_.out.bits);
    connections.emplace_back("result_o", "result");
    add_instance(compare, "u_thresholds", connections);
    stage_ += compare.latency;
    push_ = delayed_control(module_, given_, compare.latency);
    result_ = "result";
  }

  // Of sums of that type, from which each row's offset is missing.
  arith::Generated levels(const Type& sum, const std::vector<int64_t>& offset) const {
    return arith::levels(node_, *shape_.thresholds,
                         {.name = instance_ + "_thresholds",
                          .lanes = static_cast<int>(folding_.pe),
                          .folds = static_cast<int>(folding_.row_folds),
                          .value = sum,
                          .offset = offset},
                         family_);
  }

  const Node& node_;
  const Shape shape_;
  const Folding folding_;
  const Rhythm& rhythm_;
  const Family family_;
  const std::string instance_;
  SvModule module_;
  Hardware hardware_;
  int column_width_ = 1, word_width_ = 1, sum_width_ = 1, partial_width_ = 1;
  int64_t stage_ = 0;               // registers passed since the issue
  std::vector<int64_t> constants_;  // of the rows: what their partials don't hold
  std::vector<int64_t> begin_;      // where their sums begin
  bool begins_at_threshold_ = false;
  // Where beats and words come from: straight from the port and a memory, or registers.
  HeldInput vector_in_{"s_valid_i", "s_data_i", "s_ready_o"}, weights_in_{"1'b1", "", ""};
  // With the step that completes a row's sum, and with that of the last vector.
  std::string finish_ = "give", finish_row_ = "give";
  std::string vector_, weights_ = "weights", given_, push_, result_;
};

// Generated parts as their generators count them, one row at a time and remembered: a folding
// search asks for every candidate.
template <class Key, class Make>
arith::Cost remembered(const Key& key, const Make& make) {
  static std::mutex mutex;
  static std::map<Key, arith::Cost> known;
  {
    const std::lock_guard lock(mutex);
    if (const auto found = known.find(key); found != known.end()) return found->second;
  }
  const arith::Cost cost = make();
  const std::lock_guard lock(mutex);
  return known.emplace(key, cost).first->second;
}

// A long sum costs what a shorter one does for each of its lanes.
constexpr int kPricedLanes = 128;

constexpr double kMostProducts = 8;  // of a DSP block; more than any that there are

// `registers`: in the sum.
arith::Cost dot_cost(arith::DotSpec spec, int64_t registers, bool dsp) {
  double times = 1;
  if (spec.lanes > kPricedLanes) {
    times *= static_cast<double>(spec.lanes) / kPricedLanes;
    spec.lanes = kPricedLanes;
  }
  if (!dsp) {
    return times * spec.rows * within(0, registers, [&](int levels) {
                                 spec.levels_per_register = levels;
                                 return arith::dot_row(spec);
                               }).cost;
  }
  // DSP blocks depend on all rows.
  spec.levels_per_register = registers > 0 ? 2 : 0;
  return times * remembered(std::tuple(spec.rows, spec.lanes, spec.weight.coding, spec.weight.bits,
                                       spec.activation.coding, spec.activation.bits, spec.family,
                                       spec.multiplier_bits, registers > 0),
                            [&] { return arith::DotPacked(spec).module().cost; });
}

// A matrix or an embedded product depends on all its weights: of a large one some rows and some
// columns stand for the others.
constexpr int64_t kSampledEmbedded = 2048;  // products with a bit of an activation
constexpr int64_t kSampledMatrix = 32768;
// Among more rows, what is made once for all is a small share: counts of bits, and sums of operands
// of several bits.
constexpr int64_t kRowsSharingBits = 64, kRowsSharingSums = 256;
constexpr int64_t kLongRows = 16;
constexpr size_t kSampledWeights = 16384;

// Rows and columns of a fold: those of the first `rows` rows of each row fold.
struct Sample {
  int64_t rows = 0;
  std::vector<int64_t> columns;
  Node node;
  double filled = 0;   // its weights that aren't zero
  double in_rows = 0;  // the same of all columns of its rows
};

// The share of weights that aren't zero, and so cost something; of large tensors that of some.
double density(const Tensor& w) {
  constexpr size_t kCounted = 65536;
  const size_t stride = w.ints.size() / kCounted | 1;  // odd, not to stay in one column
  size_t all = 0, filled = 0;
  for (size_t i = 0; i < w.ints.size(); i += stride, ++all) filled += w.ints[i] != 0 ? 1 : 0;
  return static_cast<double>(filled) / static_cast<double>(all);
}

// Weights of a column of a fold in the first `rows` rows of each row fold that aren't zero.
int64_t filled_in_column(const Tensor& w, const Folding& folding, int64_t rows, int64_t column) {
  const int64_t width = folding.simd * folding.column_folds;
  int64_t filled = 0;
  for (int64_t row = 0; row < folding.row_folds * rows; ++row) {
    const int64_t first = (row / rows * folding.pe + row % rows) * width + column;
    for (int64_t at = first; at < first + width; at += folding.simd) filled += w.ints[at] != 0;
  }
  return filled;
}

// The first rows of each row fold, and of the columns in which those have a weight that isn't zero
// the first ones: weights that aren't zero with as many bits of activations as `limit` says.
Sample sample_of(const Node& node, const Folding& folding, int64_t rows, int64_t limit) {
  const Tensor& w = *node.tensor("w");
  const int64_t bits = node.in_type(0).bits;
  Sample sample;
  sample.rows = rows;
  int64_t filled = 0, in_rows = 0, occupied = 0;
  for (int64_t column = 0; column < folding.simd; ++column) {
    const int64_t here = filled_in_column(w, folding, rows, column);
    if (here == 0) continue;
    ++occupied, in_rows += here;
    if (!sample.columns.empty() && filled + here > limit / bits) continue;
    filled += here;
    sample.columns.push_back(column);
  }
  if (sample.columns.empty()) sample.columns.push_back(0), occupied = 1;
  sample.filled = static_cast<double>(filled), sample.in_rows = static_cast<double>(in_rows);
  const auto kept = static_cast<int64_t>(sample.columns.size());
  sample.node.op = node.op, sample.node.in = node.in, sample.node.attr = node.attr;
  sample.node.name = node.name;
  for (const auto& [name, tensor] : node.data) {
    const bool weights = name == "w";
    if (!weights && (folding.scaled || (name != "t" && name != "flip"))) continue;
    Tensor& part = sample.node.data[name] = {tensor.type, {}, {}};
    if (tensor.type.shape[0] == 1) {
      part.ints = tensor.ints;
    } else {
      const int64_t width = tensor.count() / tensor.type.shape[0];
      part.type.shape[0] = folding.row_folds * rows;
      if (weights) part.type.shape[1] = folding.column_folds * kept;
      for (int64_t row = 0; row < folding.row_folds * rows; ++row) {
        const auto first = tensor.ints.begin() + (row / rows * folding.pe + row % rows) * width;
        if (!weights) {
          part.ints.insert(part.ints.end(), first, first + width);
          continue;
        }
        for (int64_t fold = 0; fold < folding.column_folds; ++fold) {
          for (const int64_t column : sample.columns) {
            part.ints.push_back(first[fold * folding.simd + column]);
          }
        }
      }
    }
    // Sums of fewer columns are compared with as much less, so that rows don't become constant.
    if (name == "t") {
      for (int64_t& value : part.ints) value = value * kept / occupied;
    }
  }
  return sample;
}

void add_key(std::vector<int64_t>& key, const Sample& sample) {
  key.push_back(sample.rows), key.push_back(static_cast<int64_t>(sample.columns.size()));
  for (const auto& [name, tensor] : sample.node.data) {
    key.insert(key.end(), tensor.ints.begin(), tensor.ints.end());
  }
}

std::vector<int64_t> key_of(const Sample& sample, const Folding& folding, Family family,
                            int64_t registers) {
  const Type& in = sample.node.in_type(0);
  std::vector<int64_t> key{folding.row_folds * folding.column_folds,
                           folding.scaled,
                           in.bits,
                           in.is_signed,
                           registers,
                           static_cast<int64_t>(family)};
  add_key(key, sample);
  return key;
}

arith::Cost embedded_cost(const Sample& sample, const Folding& folding, Family family,
                          int64_t registers) {
  return remembered(key_of(sample, folding, family, registers), [&] {
    arith::DotEmbeddedSpec spec = embedded_spec(sample.node, folding, family);
    return within(0, registers,
                  [&](int levels) {
                    spec.levels_per_register = levels;
                    return arith::dot_embedded(spec);
                  })
        .module.cost;
  });
}

arith::ConstantMatrix built(const Sample& sample, const Folding& folding, Family family,
                            int64_t registers) {
  return made_matrix(matrix_spec(sample.node, !folding.scaled, family), registers);
}

// With the registers of the results where the matrix came out with fewer than the rule allows.
arith::Cost as_late_as_said(const Node& node, const Folding& folding, const Sample& sample,
                            Family family, int64_t registers) {
  const arith::ConstantMatrix matrix = built(sample, folding, family, registers);
  const arith::ConstantMatrixSpec spec = matrix_spec(sample.node, !folding.scaled, family);
  const int64_t late = registers + (spec.register_sums ? 1 : 0) - matrix.module.latency;
  arith::Cost cost = matrix.module.cost;
  cost.flip_flops += static_cast<double>(late * sample.rows * node.out[0].bits);
  return cost;
}

// Of all columns of the sample's rows.
arith::Cost matrix_cost(const Node& node, const Folding& folding, const Sample& sample,
                        Family family, int64_t registers) {
  std::vector<int64_t> key = key_of(sample, folding, family, registers);
  key.push_back(node.out[0].bits);
  if (sample.filled == sample.in_rows) {
    return remembered(key,
                      [&] { return as_late_as_said(node, folding, sample, family, registers); });
  }
  // Registers are those of each row, and depend on how long it is.
  const Sample long_rows = sample_of(node, folding, std::min(kLongRows, sample.rows),
                                     std::numeric_limits<int64_t>::max());
  add_key(key, long_rows);
  return remembered(key, [&] {
    arith::Cost cost = as_late_as_said(node, folding, long_rows, family, registers);
    cost = static_cast<double>(sample.rows) / static_cast<double>(long_rows.rows) * cost;
    // Beside what each weight takes each row has its last sum and its thresholds: half as many
    // columns tell the one from the other.
    const Sample half = sample_of(node, folding, sample.rows, kSampledMatrix / 2);
    const double more = built(sample, folding, family, 0).module.cost.luts;
    const double each = half.filled < sample.filled
                            ? (more - built(half, folding, family, 0).module.cost.luts) /
                                  (sample.filled - half.filled)
                            : more / sample.filled;
    cost.luts =
        more + std::clamp(each, 0.0, more / sample.filled) * (sample.in_rows - sample.filled);
    return cost;
  });
}

// `least`: only what it takes at least, without building it.
arith::Cost sampled_cost(const Node& node, const Folding& folding, Family family, bool least) {
  const Tensor& w = *node.tensor("w");
  const bool unfolded = form(node, folding, family) == Form::unfolded;
  const double filled = density(w) * static_cast<double>(w.count());
  const double in_row = filled / static_cast<double>(folding.pe) * node.in_type(0).bits;
  const int64_t limit = unfolded ? kSampledMatrix : kSampledEmbedded;
  const int64_t sharing = node.in_type(0).bits > 1 ? kRowsSharingSums : kRowsSharingBits;
  const auto rows =
      std::clamp<int64_t>(static_cast<int64_t>(static_cast<double>(limit) / std::max(1.0, in_row)),
                          unfolded ? std::min(sharing, folding.pe) : 1, folding.pe);
  const Sample sample = sample_of(node, folding, rows, limit);
  Folding sampled = folding;
  sampled.pe = rows, sampled.simd = static_cast<int64_t>(sample.columns.size());
  const auto times = [](double part, double whole) { return part > 0 ? whole / part : 1; };
  arith::Cost bound;
  bound.luts =
      times(sample.filled, filled) *
      (unfolded
           ? arith::constant_matrix_least_luts(matrix_spec(sample.node, !folding.scaled, family))
           : arith::dot_embedded_least_luts(embedded_spec(sample.node, sampled, family)));
  if (least) return bound;
  const int64_t registers = sum_registers(folding.simd, node.in_type(0), w.type);
  arith::Cost cost =
      unfolded
          ? times(sample.in_rows, filled) * matrix_cost(node, folding, sample, family, registers)
          : times(sample.filled, filled) * embedded_cost(sample, sampled, family, registers);
  cost.luts = std::max(cost.luts, bound.luts);
  return cost;
}

// The controller, the vector's beat, and what follows a step to its sum.
Cost control_cost(const Folding& folding, Form form, int64_t stages, int64_t vector_width) {
  const int64_t columns = folding.column_folds, rows = folding.row_folds;
  const bool column_is_low = (columns & (columns - 1)) == 0;
  Cost cost = counter_cost(columns);
  // The word is the column where there is one row, and row and column side by side where they are
  // a power of two.
  const int64_t counted = rows == 1 ? 1 : column_is_low ? rows : rows * columns;
  cost += counter_cost(counted);
  if (folding.groups > 1) cost += counter_cost(folding.group_row_folds);
  cost.lut += 4;
  // Issue, and with several columns also the first and the last of them.
  const int64_t to_sum = vector_stages(folding);
  const auto follow = static_cast<double>(columns > 1 ? 3 : 1);
  cost.ff += follow * static_cast<double>(to_sum) + static_cast<double>(stages - to_sum);
  // The vector's beat; the address of the word that comes with it.
  cost.ff += static_cast<double>(
      vector_width * (1 + to_sum - (replays_from_memory(folding) || folding.reuse > 1 ? 2 : 1)));
  const int64_t address_stages = form == Form::embedded ? to_sum : to_sum - folding.word_latency;
  cost.ff += static_cast<double>(address_stages) * unsigned_width(rows * columns - 1);
  if (replays_from_memory(folding)) {
    cost += memory_cost(vector_width, columns);
    cost.ff += counter_cost(columns).ff;  // its address
  }
  return cost;
}

}  // namespace

Cost cost(const Node& node, const Rhythm& rhythm, Family family, bool least) {
  const Folding folding(node);
  const Type& in = node.in_type(0);
  const Type& out = node.out[0];
  const auto pe = static_cast<double>(folding.pe);
  const int64_t vector_width = folding.simd * in.bits;
  const int64_t words = folding.row_folds * folding.column_folds;
  Cost cost = queue_cost(rhythm, folding.pe * out.bits);
  if (folding.memory == MemoryPlace::streamed && folding.reuse == 1) {
    cost += hold_cost(vector_width);
  }
  const auto add = [&](const arith::Cost& part) { cost += arith::resources(part); };
  const Form where = form(node, folding, family);
  bool same_begin = false;  // of all rows' sums
  if (where == Form::unfolded) {
    add(sampled_cost(node, folding, family, least));
    cost.lut += 1, cost.ff += static_cast<double>(vector_width + stages_of(rhythm));
    if (folding.scaled) {
      cost += arith::levels_cost(node, folding.pe, 1, Shape(node).acc.bits, family);
    }
    return cost;
  }
  const bool shares = folding.reuse > 1;
  cost += control_cost(folding, where,
                       shares ? pipeline_stages(node, folding, family) : stages_of(rhythm),
                       vector_width);
  if (where == Form::embedded) {
    add(sampled_cost(node, folding, family, least));
  } else {
    // Some thousand weights, evenly spread, tell the format of a large layer well enough.
    const size_t stride = 1 + static_cast<size_t>(node.tensor("w")->count()) / kSampledWeights;
    const arith::DotSpec spec = dot_spec(node, folding, family, stride | 1);
    if (!least || !folding.dsp) {
      add(dot_cost(spec, dot_registers(node, folding, family).sum, folding.dsp));
    } else if (family != Family::generic) {
      cost.dsp += pe * static_cast<double>(folding.simd) / kMostProducts;
    }
    const int64_t word_width = folding.pe * folding.simd * spec.weight.bits;
    if (folding.memory == MemoryPlace::inside) cost += plan_rom(word_width, words).cost;
    if (folding.memory == MemoryPlace::streamed) {
      cost += hold_cost(word_width);
      cost.ff += static_cast<double>(word_width * vector_stages(folding));
    }
    same_begin = folding.dsp ? !in.is_signed : !arith::constant_depends_on_weights(spec);
  }
  const int64_t largest = (in.max() - in.min()) * folding.simd * folding.column_folds *
                          std::max<int64_t>(1, node.tensor("w")->type.max());
  const int sum_width = unsigned_width(largest);
  cost.lut += pe * sum_width, cost.ff += pe * sum_width;
  if (shares) {
    cost += memory_cost(vector_width, stored_beats(folding));
    cost += memory_cost(folding.pe * out.bits, stored_results(folding));
    if (folding.column_folds > 1) cost += memory_cost(folding.pe * sum_width, folding.reuse);
    // Where beats are written, which of the vectors and rows results are of.
    for (const int64_t count : {2 * folding.reuse * folding.column_folds, folding.reuse,
                                folding.reuse, folding.row_folds, folding.row_folds}) {
      cost += counter_cost(count);
    }
  }
  const Tensor* t = node.tensor("t");
  if (folding.memory == MemoryPlace::writable) {
    if (t != nullptr) {
      add(arith::threshold_memory_cost(folding.pe, t->type.shape[1], sum_width));
      cost += counter_cost(folding.row_folds);
    }
  } else if (folding.row_folds > 1 && (t == nullptr ? !same_begin : sign_decides(node, folding))) {
    // Where sums begin.
    cost += counter_cost(folding.row_folds);
    cost += plan_rom(folding.pe * sum_width, folding.row_folds).cost;
  } else if (t != nullptr) {
    cost += counter_cost(folding.row_folds);
    cost += arith::levels_cost(node, folding.pe, folding.row_folds, sum_width, family);
  }
  return cost;
}

std::vector<MemoryShape> memories(const Node& node, Family family) {
  const Folding folding(node);
  const int64_t bits = dot_spec(node, folding, family).weight.bits;
  std::vector<MemoryShape> memories{
      {.name = "weights",
       .width = folding.pe * folding.simd * bits,
       .depth = folding.row_folds * folding.column_folds,
       .reads = node.in_type(0).count() / node.in_type(0).shape.back() / folding.reuse}};
  if (folding.memory != MemoryPlace::writable) return memories;
  const Type& w = node.tensor("w")->type;
  const int64_t columns = w.shape[1];
  const int64_t offset = folding.dsp ? -w.min() : 0;  // DSP blocks take weights from zero up
  memories[0].fields.push_back(
      {.tensor = "w",
       .bits = bits,
       .offset = offset,
       .least = w.min() + offset,
       .greatest = w.max() + offset,
       .loops = {{folding.row_folds, folding.pe * columns, folding.column_folds, 0},
                 {folding.pe, columns, 0, folding.simd * bits},
                 {folding.column_folds, folding.simd, 1, 0},
                 {folding.simd, 1, 0, bits}}});
  if (node.tensor("t") != nullptr) {
    memories.push_back(
        arith::threshold_memory(node, Shape(node).sums, folding.pe, folding.row_folds));
  }
  return memories;
}

Hardware emit(const Node& node, const Rhythm& rhythm, Family family, const std::string& instance) {
  return Emitter(node, rhythm, family, instance).emit();
}

}  // namespace foldstream::mvau
