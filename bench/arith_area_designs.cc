// SPDX-License-Identifier: Apache-2.0
// Writes the designs whose area arith_area.py measures: the generators' modules between registers,
// with random weights; and designs.txt: name, units (lanes, products or synapses), the generator's
// own count of LUTs, and the figure to stay below; and the weights of the sums, NAME.weights: a row
// in each line.
//   usage: arith_area_designs FOLDER xilinx|generic
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "src/arith/compare.h"
#include "src/arith/constant_matrix.h"
#include "src/arith/dot.h"
#include "src/arith/dot_embedded.h"

namespace foldstream::arith {
namespace {

const Type kBipolar{Coding::kBipolar, 1};

class Designs {
 public:
  Designs(std::filesystem::path folder, Family family)
      : folder_(std::move(folder)), family_(family), list_(folder_ / "designs.txt") {}

  Family family() const { return family_; }
  std::mt19937_64& random() { return random_; }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / (name + ".sv")) << text;
  }

  void weights(const std::string& name, const std::vector<std::vector<std::int64_t>>& rows) {
    std::ofstream file(folder_ / (name + ".weights"));
    for (const auto& row : rows) file << fmt::format("{}\n", fmt::join(row, " "));
  }

  void list(const std::string& name, double units, const std::string& unit, double estimate,
            double target) {
    list_ << fmt::format("{} {} {} {:.0f} {}\n", name, units, unit, estimate, target);
  }

  // The module with a register before its inputs and after its outputs.
  void registered(const std::string& name, const Generated& generated) {
    for (const SvSource& source : generated.sources) write(source.name, source.text);
    SvModule m(name, "A generated module between registers.", "For measuring.");
    m.input("clk_i");
    SvBindings connections;
    std::vector<std::pair<std::string, std::string>> registers;
    for (const SvPort& port : generated.ports) {
      if (port.name == "clk_i") {
        connections.emplace_back("clk_i", "clk_i");
        continue;
      }
      if (port.output) {
        m.output(port.name, port.width);
        m.wire("found", port.width);
        connections.emplace_back(port.name, "found");
        registers.emplace_back(port.name, "found");
      } else {
        m.input(port.name, port.width);
        m.wire(port.name + "_q", port.width);
        connections.emplace_back(port.name, port.name + "_q");
        registers.emplace_back(port.name + "_q", port.name);
      }
    }
    m.instance(generated.name, "dut", {}, connections);
    for (const auto& [target, value] : registers) m.register_data(target, value);
    write(name, m.text());
  }

  // A folded matrix-vector unit without back-pressure: counters, weights, dot products,
  // accumulators and a valid bit.
  void folded(const std::string& name, const Generated& dot, int partial_width, int lane_bits,
              int rows, int synapse_folds, int neuron_folds,
              const std::vector<std::vector<bool>>* memory, int sum_width, double target,
              int lanes) {
    for (const SvSource& source : dot.sources) write(source.name, source.text);
    const int folds = synapse_folds * neuron_folds;
    const int address = std::bit_width(static_cast<unsigned>(folds - 1));
    const int low = std::bit_width(static_cast<unsigned>(synapse_folds - 1));
    SvModule m(name, "A folded matrix-vector unit without back-pressure.", "For measuring.");
    m.input("clk_i");
    m.input("rst_i");
    m.input("valid_i");
    m.input("activations_i", lane_bits);
    m.output("valid_o");
    m.output("sums_o", rows * sum_width);
    m.wire("fold_q", address);
    m.wire("first");
    m.wire("last");
    m.assign("first", fmt::format("fold_q[{}:0] == {}'d0", low - 1, low));
    m.assign("last", fmt::format("fold_q[{}:0] == {}'d{}", low - 1, low, synapse_folds - 1));
    m.register_control("fold_q", fmt::format("valid_i ? fold_q + {}'d1 : fold_q", address),
                       fmt::format("{}'d0", address));
    m.wire("activations_q", lane_bits);
    m.wire("fold_1_q", address);
    m.register_data("activations_q", "activations_i");
    m.register_data("fold_1_q", "fold_q");
    SvBindings connections = {{"activations_i", "activations_q"}, {"partial_o", "partial"}};
    m.wire("partial", rows * partial_width);
    if (memory != nullptr) {
      const int width = static_cast<int>(memory->at(0).size());
      std::string rows_hex;
      for (const auto& word : *memory) {
        std::string line;
        for (int i = 0; i < width; i += 4) {
          int digit = 0;
          for (int k = 0; k < 4 && i + k < width; ++k) digit |= word[i + k] << k;
          line += "0123456789abcdef"[digit];
        }
        std::reverse(line.begin(), line.end());
        rows_hex += line + "\n";
      }
      std::ofstream(folder_ / (name + ".hex")) << rows_hex;
      m.raw(
          fmt::format("(* ram_style = \"block\" *) logic [{}:0] memory [{}];\ninitial "
                      "$readmemh(\"{}\", memory);\nlogic [{}:0] weights_q;\n"
                      "always_ff @(posedge clk_i) weights_q <= memory[fold_q];",
                      width - 1, folds, (folder_ / (name + ".hex")).string(), width - 1));
      connections.emplace_back("weights_i", "weights_q");
    } else {
      connections.emplace_back("fold_i", "fold_1_q");
    }
    if (dot.latency > 0) connections.emplace_back("clk_i", "clk_i");
    m.instance(dot.name, "dot", {}, connections);
    // Flags travel beside the data.
    std::string valid = "valid_i", first = "first", last = "last";
    for (int i = 1; i <= 1 + dot.latency; ++i) {
      for (std::string* flag : {&valid, &first, &last}) {
        const std::string next = fmt::format("{}_{}_q",
                                             flag == &valid   ? "valid"
                                             : flag == &first ? "first"
                                                              : "last",
                                             i);
        m.wire(next);
        if (flag == &valid) {
          m.register_control(next, *flag, "1'b0");
        } else {
          m.register_data(next, *flag);
        }
        *flag = next;
      }
    }
    m.instance("fst_accumulator", "accumulator",
               {{"Lanes", std::to_string(rows)},
                {"Width", std::to_string(sum_width)},
                {"AddendWidth", std::to_string(partial_width)}},
               {{"clk_i", "clk_i"},
                {"valid_i", valid},
                {"first_i", first},
                {"fold_i", "1'b0"},
                {"addend_i", "partial"},
                {"sum_o", "sums_o"}});
    m.register_control("valid_o", fmt::format("{} && {}", valid, last), "1'b0");
    write(name, m.text());
    list(name, rows * lanes, "lane", dot.cost.luts + rows * sum_width, target);
  }

 private:
  std::filesystem::path folder_;
  Family family_;
  std::ofstream list_;
  std::mt19937_64 random_{1};
};

std::int64_t draw(std::mt19937_64& random, const Type& type) {
  for (;;) {
    const std::int64_t value =
        std::uniform_int_distribution<std::int64_t>(type.minimum(), type.maximum())(random);
    if (type.holds(value)) return value;
  }
}

void dots(Designs& designs) {
  const auto measure = [&](const std::string& name, int lanes, Type weight, Type activation,
                           double target) {
    DotSpec spec;
    spec.name = "fst_" + name;
    spec.lanes = lanes;
    spec.weight = weight;
    spec.activation = activation;
    spec.family = designs.family();
    const Dot dot(spec);
    designs.registered(name, dot.module());
    designs.list(name, lanes, "product", dot.module().cost.luts, target);
  };
  const Type u1{Coding::kUnsigned, 1}, u2{Coding::kUnsigned, 2}, u4{Coding::kUnsigned, 4},
      u8{Coding::kUnsigned, 8};
  const Type s2{Coding::kSigned, 2}, s4{Coding::kSigned, 4}, s8{Coding::kSigned, 8},
      ternary{Coding::kTernary, 2};
  measure("dot_w1a1_64", 64, kBipolar, u1, 0);
  measure("dot_w1a2_32", 32, kBipolar, u2, 0);
  measure("dot_w2a2_8", 8, s2, u2, 34.0 / 8);
  measure("dot_w2a2_32", 32, s2, u2, 4.2);
  measure("dot_ternary_a2_32", 32, ternary, u2, 0);
  measure("dot_w4a4_8", 8, s4, u4, 151.0 / 8);
  measure("dot_w4a4_32", 32, s4, u4, 17);
  measure("dot_w8a8_8", 8, s8, u8, 0);
}

void folded_units(Designs& designs) {
  const auto memory = [&](const std::string& name, int rows, int lanes, int synapse_folds,
                          int neuron_folds, double target) {
    DotSpec spec;
    spec.name = "fst_" + name;
    spec.rows = rows;
    spec.lanes = lanes;
    spec.weight = kBipolar;
    spec.activation = {Coding::kUnsigned, 1};
    spec.family = designs.family();
    const Dot dot(spec);
    std::vector<std::vector<bool>> words;
    for (int fold = 0; fold < synapse_folds * neuron_folds; ++fold) {
      std::vector<bool> word;
      for (int i = 0; i < rows * lanes; ++i) word.push_back(designs.random()() % 2 != 0);
      words.push_back(word);
    }
    designs.folded(name, dot.module(), dot.partial_width(), lanes, rows, synapse_folds,
                   neuron_folds, &words, 12, target, lanes);
  };
  memory("mvau_memory_8x8", 8, 8, 16, 16, 172.0 / 64);
  memory("mvau_memory_16x64", 16, 64, 16, 16, 1.25);
  memory("mvau_memory_32x32", 32, 32, 16, 16, 1508.0 / 1024);
  const auto embedded = [&](const std::string& name, int rows, int lanes, int synapse_folds,
                            int neuron_folds, double target) {
    DotEmbeddedSpec spec;
    spec.name = "fst_" + name;
    spec.activation = {Coding::kUnsigned, 1};
    spec.family = designs.family();
    spec.weights.resize(synapse_folds * neuron_folds);
    for (auto& fold : spec.weights) {
      fold.resize(rows);
      for (auto& row : fold) {
        for (int i = 0; i < lanes; ++i) row.push_back(draw(designs.random(), kBipolar));
      }
    }
    const DotEmbedded dot = dot_embedded(spec);
    designs.folded(name, dot.module, dot.partial_width, lanes, rows, synapse_folds, neuron_folds,
                   nullptr, 12, target, lanes);
  };
  embedded("mvau_embedded4_16x64", 16, 64, 2, 2, 0.95);
  embedded("mvau_embedded8_16x64", 16, 64, 4, 2, 1252.0 / 1024);
  embedded("mvau_embedded4_32x32", 32, 32, 2, 2, 1157.0 / 1024);
}

void matrices(Designs& designs) {
  const auto measure = [&](const std::string& name, int rows, int columns,
                           const std::vector<std::int64_t>& values, int fan_in, Type activation,
                           int thresholds, double target) {
    ConstantMatrixSpec spec;
    spec.name = "fst_" + name;
    spec.activation = activation;
    spec.family = designs.family();
    double live = 0;
    for (int r = 0; r < rows; ++r) {
      std::vector<std::int64_t> row(columns, 0);
      for (int i = 0; i < columns; ++i) {
        if (fan_in == 0 || i < fan_in) row[i] = values[designs.random()() % values.size()];
      }
      if (fan_in != 0) {
        for (int i = 0; i < fan_in; ++i) {
          while (row[i] == 0) row[i] = values[designs.random()() % values.size()];
        }
        std::shuffle(row.begin(), row.end(), designs.random());
      }
      // Thresholds where the sums fall.
      std::vector<std::int64_t> samples;
      for (int k = 0; k < 199; ++k) {
        std::int64_t sum = 0;
        for (int i = 0; i < columns; ++i)
          sum += row[i] == 0 ? 0 : row[i] * draw(designs.random(), activation);
        samples.push_back(sum);
      }
      std::sort(samples.begin(), samples.end());
      std::vector<std::int64_t> limits;
      for (int t = 1; t <= thresholds; ++t)
        limits.push_back(samples[samples.size() * t / (thresholds + 1)]);
      if (thresholds > 0) spec.thresholds.push_back(limits);
      spec.weights.push_back(row);
      live += fan_in == 0 ? columns : fan_in;
    }
    const ConstantMatrix matrix = constant_matrix(spec);
    designs.registered(name, matrix.module);
    designs.list(name, live, "synapse", matrix.module.cost.luts, target);
    if (thresholds == 0) designs.weights(name, spec.weights);
  };
  const Type u1{Coding::kUnsigned, 1}, u2{Coding::kUnsigned, 2};
  measure("matrix_64x64_binary", 64, 64, {-1, 1}, 0, kBipolar, 1, 0.45);
  measure("matrix_64x64_ternary_a1", 64, 64, {-1, 0, 1}, 0, u1, 1, 0);
  measure("matrix_64x64_w2a2", 64, 64, {-2, -1, 0, 1}, 0, u2, 3, 1.0);
  measure("matrix_64x64_ternary_a2", 64, 64, {-1, 0, 1}, 0, u2, 3, 0.85);
  measure("matrix_64x64_fan_in_7_a2", 64, 64, {-2, -1, 0, 1}, 7, u2, 3, 577.0 / 448);
  measure("matrix_64x593_w2a1", 64, 593, {-2, -1, 0, 1}, 0, u1, 3, 0);
  measure("matrix_64x784_binary", 64, 784, {-1, 1}, 0, u1, 1, 0);
  measure("matrix_64x784_w2a1", 64, 784, {-2, -1, 0, 1}, 0, u1, 3, 0);
  const auto all = [](int bits) {
    std::vector<std::int64_t> values(std::size_t{1} << bits);
    std::iota(values.begin(), values.end(), -(std::int64_t{1} << (bits - 1)));
    return values;
  };
  for (const auto& [rows, columns, bits] : {std::array{64, 64, 2}, std::array{16, 16, 4},
                                            std::array{64, 64, 4}, std::array{64, 16, 6}}) {
    measure(fmt::format("sums_{}x{}_w{}a{}", rows, columns, bits, bits), rows, columns, all(bits),
            0, {Coding::kUnsigned, bits}, 0, 0);
  }
}

void comparators(Designs& designs) {
  const auto measure = [&](int count, int lanes, double target) {
    CompareSpec spec;
    const std::string name = fmt::format("compare_n{}_pe{}", count, lanes);
    spec.name = "fst_" + name;
    spec.lanes = lanes;
    spec.folds = 64 / lanes;
    spec.value_bits = 16;
    spec.family = designs.family();
    for (int c = 0; c < 64; ++c) {
      std::vector<std::int64_t> thresholds;
      for (int t = 0; t < count; ++t)
        thresholds.push_back(draw(designs.random(), {Coding::kSigned, 16}));
      std::sort(thresholds.begin(), thresholds.end());
      spec.thresholds.push_back(thresholds);
    }
    const Generated generated = compare(spec);
    designs.registered(name, generated);
    designs.list(name, 1, "unit", generated.cost.luts, target);
  };
  measure(1, 8, 65);
  measure(3, 8, 201);
  measure(15, 8, 845);
  measure(1, 64, 257);
  measure(3, 64, 833);
  measure(255, 1, 0);
}

}  // namespace
}  // namespace foldstream::arith

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: arith_area_designs FOLDER xilinx|generic\n");
    return 2;
  }
  using namespace foldstream::arith;
  std::filesystem::create_directories(argv[1]);
  Designs designs(argv[1], std::string(argv[2]) == "xilinx" ? Family::kXilinx : Family::kGeneric);
  folded_units(designs);
  dots(designs);
  matrices(designs);
  comparators(designs);
  return 0;
}
