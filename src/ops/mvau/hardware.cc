// SPDX-License-Identifier: Apache-2.0
// The modules of a matrix-vector unit. Stage by stage: the issue controller; the vector's beat,
// read back where it serves several rows, and its weights; dot products; accumulators; thresholds.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <tuple>

#include "src/arith/dot.h"
#include "src/arith/thresholding.h"
#include "src/ops/mvau/mvau.h"
#include "src/rtl/block.h"
#include "src/util/error.h"

namespace foldstream::mvau {
namespace {

constexpr int64_t kTableDepth = 64;  // words of weights in look-up tables; more are block memory

int unsigned_width(int64_t maximum) {
  return std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(maximum))));
}

// Registers inside the sum: none for what one or two levels of counters add.
int dot_levels_per_register(int64_t product_bits) { return product_bits <= 24 ? 0 : 2; }

arith::DotSpec dot_spec(const Node& node, const Folding& folding, Family family) {
  const WeightFormat format = weight_format(*node.tensor("w"));
  const Type& in = node.in_type(0);
  arith::DotSpec spec;
  spec.rows = static_cast<int>(folding.pe);
  spec.lanes = static_cast<int>(folding.simd);
  spec.weight = {format.bipolar     ? arith::Coding::kBipolar
                 : format.is_signed ? arith::Coding::kSigned
                                    : arith::Coding::kUnsigned,
                 format.bits};
  spec.activation = {in.is_signed ? arith::Coding::kSigned : arith::Coding::kUnsigned, in.bits};
  spec.family = arith::family_of(family);
  spec.levels_per_register = dot_levels_per_register(folding.simd * format.bits * in.bits);
  return spec;
}

// The latencies of generated parts depend on a few numbers each, and rhythm asks often.
template <class Key, class Make>
int remembered(const Key& key, const Make& make) {
  static std::mutex mutex;
  static std::map<Key, int> latencies;
  const std::lock_guard lock(mutex);
  const auto found = latencies.find(key);
  return found != latencies.end() ? found->second : latencies.emplace(key, make()).first->second;
}

int dot_latency(arith::DotSpec spec) {
  if (spec.levels_per_register == 0) return 0;
  spec.rows = 1;
  return remembered(
      std::tuple(spec.lanes, spec.weight.coding, spec.weight.bits, spec.activation.coding,
                 spec.activation.bits, spec.family, spec.levels_per_register),
      [&] { return arith::Dot(spec).module().latency; });
}

bool replays(const Folding& folding) { return folding.row_folds > 1; }
bool replays_from_memory(const Folding& folding) {
  return replays(folding) && folding.column_folds > 1;
}

}  // namespace

int64_t pipeline_stages(const Node& node, const Folding& folding, Family family) {
  int64_t stages = 1 + (replays_from_memory(folding) ? 1 : 0);  // words of vector and weights
  stages += dot_latency(dot_spec(node, folding, family)) + 1;   // accumulator
  if (const Tensor* t = node.tensor("t")) {
    stages += arith::thresholding_latency(t->type.shape[1], folding.row_folds, family);
  }
  return stages;
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
        dot_([&] {
          arith::DotSpec spec = dot_spec(node, folding_, family);
          spec.name = instance + "_dot";
          return arith::Dot(spec);
        }()),
        module_(instance,
                fmt::format("Matrix-vector unit: {} rows of {}, {} x {} at once{}.", shape_.rows,
                            shape_.columns, folding_.pe, folding_.simd,
                            shape_.thresholds ? ", thresholds" : ""),
                fmt::format("Latency {}, {} steps a vector, queue of {}.", rhythm.depth,
                            folding_.row_folds * folding_.column_folds, rhythm.queue)) {}

  Hardware emit() {
    const int64_t simd_width = folding_.simd * shape_.in.bits;
    add_block_ports(module_, simd_width, folding_.pe * shape_.out.bits);
    control();
    const std::string vector = vector_words(simd_width);
    const std::string weights = weight_words();
    dot_products(vector, weights);
    accumulators();
    result();
    add_output_queue(module_, rhythm_, folding_.pe * shape_.out.bits, "give", push_, result_);
    add_top(module_, hardware_);
    return std::move(hardware_);
  }

 private:
  static std::string text(int64_t value) { return std::to_string(value); }

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
    module_.instance(
        "fst_mvau_control", "u_control",
        {{"ColumnFolds", text(folding_.column_folds)}, {"RowFolds", text(folding_.row_folds)}},
        {{"clk_i", "clk_i"},
         {"rst_i", "rst_i"},
         {"s_valid_i", "s_valid_i"},
         {"s_ready_o", "s_ready_o"},
         {"available_i", "available"},
         {"issue_o", "issue"},
         {"take_o", "take"},
         {"give_o", "give"},
         {"first_column_o", "first_column"},
         {"column_o", "column"},
         {"word_o", "word"}});
  }

  // The beat of the vector that the step uses, in a register of stage word_stage_.
  std::string vector_words(int64_t width) {
    module_.comment("Vector");
    module_.wire("vector_q", static_cast<int>(width));
    word_stage_ = 1;
    if (replays_from_memory(folding_)) {
      word_stage_ = 2;
      module_.instance("fst_mvau_replay", "u_replay",
                       {{"Width", text(width)}, {"Depth", text(folding_.column_folds)}},
                       {{"clk_i", "clk_i"},
                        {"write_i", "take"},
                        {"address_i", "column"},
                        {"data_i", "s_data_i"},
                        {"data_o", "vector_q"}});
    } else if (replays(folding_)) {
      module_.register_data("vector_q", "take ? s_data_i : vector_q");
    } else {
      module_.register_data("vector_q", "s_data_i");
    }
    return "vector_q";
  }

  // Word of weights w: for each of the rows worked on together its stored bits, row 0 lowest.
  std::vector<bool> weight_word(int64_t row_fold, int64_t column_fold) const {
    std::vector<bool> bits;
    for (int64_t r = 0; r < folding_.pe; ++r) {
      const int64_t* row = shape_.w->ints.data() + (row_fold * folding_.pe + r) * shape_.columns;
      const auto stored =
          dot_.stored_bits({row + column_fold * folding_.simd, static_cast<size_t>(folding_.simd)});
      bits.insert(bits.end(), stored.begin(), stored.end());
    }
    return bits;
  }

  std::string weight_words() {
    const int64_t words = folding_.row_folds * folding_.column_folds;
    std::vector<std::vector<bool>> content;
    for (int64_t row = 0; row < folding_.row_folds; ++row) {
      for (int64_t column = 0; column < folding_.column_folds; ++column) {
        content.push_back(weight_word(row, column));
      }
    }
    FOLDSTREAM_CHECK(static_cast<int64_t>(content.size()) == words);
    const auto width = static_cast<int64_t>(content[0].size());
    module_.comment("Weights");
    module_.wire("weights", static_cast<int>(width));
    if (words == 1) {
      module_.assign("weights", SvModule::constant(content[0]));
      return "weights";
    }
    const std::string address = delayed_data(module_, "word", word_width_, word_stage_ - 1);
    const std::string name = instance_ + "_weights";
    if (words <= kTableDepth) {
      std::vector<bool> table(64 * width);
      for (int64_t b = 0; b < width; ++b) {
        for (int64_t a = 0; a < words; ++a) table[64 * b + a] = content[a][b];
      }
      module_.instance(
          "fst_mvau_table", "u_weights",
          {{"Width", text(width)}, {"Depth", text(words)}, {"Table", SvModule::constant(table)}},
          {{"clk_i", "clk_i"}, {"address_i", address}, {"data_o", "weights"}});
      return "weights";
    }
    SvModule memory(name, fmt::format("{} words of weights in block memory.", words),
                    "Latency 1, interval 1.");
    memory.input("clk_i");
    memory.input("address_i", word_width_);
    memory.output("data_o", static_cast<int>(width));
    memory.raw(
        fmt::format("(* rom_style = \"block\" *)\n"
                    "logic [{}:0] words [{}];\n\n"
                    "initial $readmemh(\"{}.mem\", words);\n\n"
                    "always_ff @(posedge clk_i) data_o <= words[address_i];",
                    width - 1, words, name));
    module_.instance(name, "u_weights", {},
                     {{"clk_i", "clk_i"}, {"address_i", address}, {"data_o", "weights"}});
    hardware_.modules.push_back({name + ".sv", memory.text()});
    TextFile image{name + ".mem", {}};
    for (const auto& word : content) {
      for (int64_t digit = (width + 3) / 4; digit-- > 0;) {
        int value = 0;
        for (int64_t b = 4 * digit; b < std::min(4 * digit + 4, width); ++b) {
          value |= static_cast<int>(word[b]) << (b - 4 * digit);
        }
        image.text += "0123456789abcdef"[value];
      }
      image.text += '\n';
    }
    FOLDSTREAM_CHECK(std::count(image.text.begin(), image.text.end(), '\n') == words);
    hardware_.memories.push_back(std::move(image));
    return "weights";
  }

  void add_generated(const arith::Generated& generated) {
    for (const arith::SvSource& source : generated.sources) {
      hardware_.modules.push_back({source.name + ".sv", source.text});
    }
  }

  void dot_products(const std::string& vector, const std::string& weights) {
    module_.comment("Dot products, without each row's constant");
    module_.wire("partial", static_cast<int>(folding_.pe) * dot_.partial_width());
    SvBindings connections;
    if (dot_.module().latency > 0) connections.emplace_back("clk_i", "clk_i");
    connections.insert(
        connections.end(),
        {{"weights_i", weights}, {"activations_i", vector}, {"partial_o", "partial"}});
    module_.instance(dot_.module().name, "u_dot", {}, connections);
    add_generated(dot_.module());
    sum_stage_ = word_stage_ + dot_.module().latency;
  }

  int64_t row_constant(int64_t row) const {
    return dot_.row_constant(
        {shape_.w->ints.data() + row * shape_.columns, static_cast<size_t>(shape_.columns)});
  }

  // With thresholds the rows' constants are subtracted from those; without, sums begin with them.
  void accumulators() {
    int64_t largest = 0;
    std::vector<int64_t> constants(shape_.rows);
    for (int64_t row = 0; row < shape_.rows; ++row) {
      constants[row] = row_constant(row);
      largest = std::max(largest, row_range(*shape_.w, row, shape_.in).hi - constants[row]);
    }
    sum_width_ = shape_.thresholds ? unsigned_width(largest) : shape_.acc.bits;
    constants_ = std::move(constants);
    module_.comment("Accumulators");
    valid_ = delayed_control(module_, "issue", sum_stage_);
    given_ = delayed_control(module_, "give", sum_stage_);
    std::string first = "1'b1";
    if (folding_.column_folds > 1) {
      first = delayed_data(module_, "first_column", 1, sum_stage_);
    }
    int row_width = 0;
    const bool offset = !shape_.thresholds;
    if (offset) row_width = add_fold_counter(module_, "row_q", folding_.row_folds, given_);
    module_.wire("next_sum", static_cast<int>(folding_.pe) * sum_width_);
    module_.wire("sum_q", static_cast<int>(folding_.pe) * sum_width_);
    const int partial_width = dot_.partial_width();
    const int addend_width = std::min(partial_width, sum_width_);
    for (int64_t r = 0; r < folding_.pe; ++r) {
      std::string initial = fmt::format("{}'d0", sum_width_);
      if (offset) initial = initial_sum(r, row_width);
      const auto slice = [&](const char* name) {
        return SvModule::slice(name, static_cast<int>(folding_.pe) * sum_width_,
                               static_cast<int>(r) * sum_width_, sum_width_);
      };
      module_.instance(
          "fst_accumulate", fmt::format("u_accumulate_{}", r),
          {{"Width", text(sum_width_)}, {"AddendWidth", text(addend_width)}},
          {{"first_i", first},
           {"initial_i", initial},
           {"previous_i", folding_.column_folds > 1 ? slice("sum_q") : text(sum_width_) + "'d0"},
           {"addend_i", SvModule::slice("partial", static_cast<int>(folding_.pe) * partial_width,
                                        static_cast<int>(r) * partial_width, addend_width)},
           {"sum_o", slice("next_sum")}});
    }
    if (partial_width > addend_width) {
      module_.wire("unused_partial");
      module_.assign("unused_partial", "^partial");
    }
    module_.register_data("sum_q", folding_.column_folds > 1
                                       ? fmt::format("{} ? next_sum : sum_q", valid_)
                                       : "next_sum");
    given_ = delayed_control_once(given_);
  }

  std::string delayed_control_once(const std::string& signal) {
    module_.wire(module_.fresh("summed_q"));
    module_.register_control("summed_q", signal, "1'b0");
    return "summed_q";
  }

  // What row r of the fold that begins adds to: a constant, or one of a table.
  std::string initial_sum(int64_t r, int row_width) {
    const uint64_t mask = (uint64_t{1} << sum_width_) - 1;
    const auto constant = [&](int64_t fold) {
      return static_cast<uint64_t>(constants_[fold * folding_.pe + r]) & mask;
    };
    if (row_width == 0) return fmt::format("{}'d{}", sum_width_, constant(0));
    std::vector<bool> table;
    for (int64_t fold = 0; fold < folding_.row_folds; ++fold) {
      for (int b = 0; b < sum_width_; ++b) table.push_back((constant(fold) >> b & 1) != 0);
    }
    const std::string name = fmt::format("Initial{}", r);
    module_.localparam(fmt::format("bit [{}:0]", table.size() - 1), name,
                       SvModule::constant(table));
    return fmt::format("{}[{}*row_q+:{}]", name, sum_width_, sum_width_);
  }

  void result() {
    if (!shape_.thresholds) {
      push_ = given_, result_ = "sum_q";
      return;
    }
    module_.comment("Thresholds");
    arith::CompareSpec spec =
        arith::thresholding_spec(*shape_.thresholds, folding_.pe, folding_.row_folds,
                                 integer_type(sum_width_, false, {}), constants_, family_);
    spec.name = instance_ + "_thresholds";
    const arith::Generated compare = arith::compare(spec);
    SvBindings connections;
    if (compare.latency > 0) connections.emplace_back("clk_i", "clk_i");
    connections.emplace_back("value_i", "sum_q");
    if (add_fold_counter(module_, "row_q", folding_.row_folds, given_) > 0) {
      connections.emplace_back("fold_i", "row_q");
    }
    module_.wire("result", static_cast<int>(folding_.pe) * shape_.out.bits);
    connections.emplace_back("result_o", "result");
    module_.instance(compare.name, "u_thresholds", {}, connections);
    add_generated(compare);
    push_ = delayed_control(module_, given_, compare.latency);
    result_ = "result";
    FOLDSTREAM_CHECK(sum_stage_ + 1 + compare.latency == pipeline_stages(node_, folding_, family_));
  }

  const Node& node_;
  const Shape shape_;
  const Folding folding_;
  const Rhythm& rhythm_;
  const Family family_;
  const std::string instance_;
  const arith::Dot dot_;
  SvModule module_;
  Hardware hardware_;
  int column_width_ = 1, word_width_ = 1, sum_width_ = 1;
  int64_t word_stage_ = 1, sum_stage_ = 1;
  std::vector<int64_t> constants_;
  std::string valid_, given_, push_, result_;
};

}  // namespace

Hardware emit(const Node& node, const Rhythm& rhythm, Family family, const std::string& instance) {
  return Emitter(node, rhythm, family, instance).emit();
}

}  // namespace foldstream::mvau
