// SPDX-License-Identifier: Apache-2.0
// Writes what run.py simulates: generated arithmetic modules, random inputs with the results that
// plain integer arithmetic gives for them, and one checking module for each case.
//   usage: arith_vectors FOLDER
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "src/arith/compare.h"
#include "src/arith/constant_matrix.h"
#include "src/arith/dot.h"
#include "src/arith/dot_embedded.h"
#include "src/arith/dot_packed.h"
#include "src/util/error.h"

namespace foldstream::arith {
namespace {

using Bits = std::vector<bool>;  // least significant first

void append(Bits& bits, std::uint64_t word, int width) {
  for (int i = 0; i < width; ++i) bits.push_back((word >> i & 1) != 0);
}

std::string hex(Bits bits) {
  while (bits.size() % 4 != 0) bits.push_back(false);
  std::string out;
  for (std::size_t i = 0; i < bits.size(); i += 4) {
    const int digit = bits[i] | bits[i + 1] << 1 | bits[i + 2] << 2 | bits[i + 3] << 3;
    out += "0123456789abcdef"[digit];
  }
  std::reverse(out.begin(), out.end());
  return out + "\n";
}

class Writer {
 public:
  explicit Writer(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // `vector` fills the inputs' bits, in the order of the ports, and the output's.
  void add(const Generated& generated, int vectors,
           const std::function<void(Bits& in, Bits& out)>& vector) {
    for (const SvSource& source : generated.sources) {
      std::ofstream(folder_ / (source.name + ".sv")) << source.text;
    }
    const std::string name = "check_" + generated.name;
    std::string in_rows, out_rows;
    Bits in, out;
    for (int i = 0; i < vectors; ++i) {
      in.clear();
      out.clear();
      vector(in, out);
      in_rows += hex(in);
      out_rows += hex(out);
    }
    std::ofstream(folder_ / (name + ".in")) << in_rows;
    std::ofstream(folder_ / (name + ".out")) << out_rows;
    SvModule m(name, "Feeds random inputs and compares with the expected outputs.",
               "One vector a cycle.");
    m.input("clk_i");
    m.output("errors_o", 32);
    m.output("done_o");
    const int in_width = static_cast<int>(in.size());
    const int out_width = static_cast<int>(out.size());
    m.raw(fmt::format("logic [{}:0] inputs [{}];\nlogic [{}:0] expected [{}];", in_width - 1,
                      vectors, out_width - 1, vectors));
    m.raw(fmt::format(
        "initial begin\n  $readmemh(\"{0}.in\", inputs);\n  $readmemh(\"{0}.out\", expected);\nend",
        name));
    m.raw(
        fmt::format("int unsigned step = 0;\nlogic [{}:0] given;\nlogic [{}:0] found;\nassign "
                    "given = inputs[step % {}];",
                    in_width - 1, out_width - 1, vectors));
    SvBindings connections;
    int low = 0;
    for (const SvPort& port : generated.ports) {
      if (port.name == "clk_i") {
        connections.emplace_back(port.name, "clk_i");
      } else if (port.output) {
        FOLDSTREAM_CHECK(port.width == out_width);
        connections.emplace_back(port.name, "found");
      } else {
        connections.emplace_back(port.name, fmt::format("given[{}:{}]", low + port.width - 1, low));
        low += port.width;
      }
    }
    FOLDSTREAM_CHECK(low == in_width);
    m.instance(generated.name, "dut", {}, connections);
    m.raw(
        fmt::format("assign done_o = step >= {0} + {1};\n"
                    "always_ff @(posedge clk_i) begin\n"
                    "  if (!done_o) step <= step + 1;\n"
                    "  if (!done_o && step >= {1} && found != expected[step - {1}]) begin\n"
                    "    errors_o <= errors_o + 1;\n"
                    "    if (errors_o < 3) $display(\"{2}: vector %0d: found %h, expected %h\", "
                    "step - {1}, found, expected[step - {1}]);\n"
                    "  end\n"
                    "end\n"
                    "initial errors_o = 0;",
                    vectors, generated.latency, generated.name));
    std::ofstream(folder_ / (name + ".sv")) << m.text();
    names_.push_back(name);
  }

  void finish() {
    SvModule m("check_all", "All cases side by side.", "Finishes when all have.");
    m.input("clk_i");
    m.output("errors_o", 32);
    m.output("done_o");
    const int n = static_cast<int>(names_.size());
    m.wire("done", n);
    m.wire("errors", 32 * n);
    std::string total;
    for (int i = 0; i < n; ++i) {
      m.instance(names_[i], fmt::format("case_{}", i), {},
                 {{"clk_i", "clk_i"},
                  {"errors_o", fmt::format("errors[{}:{}]", 32 * i + 31, 32 * i)},
                  {"done_o", SvModule::bit("done", n, i)}});
      total += fmt::format("{}errors[{}:{}]", i == 0 ? "" : " + ", 32 * i + 31, 32 * i);
    }
    m.assign("done_o", "&done");
    m.assign("errors_o", total);
    std::ofstream(folder_ / "check_all.sv") << m.text();
    fmt::print("{} cases\n", n);
  }

 private:
  std::filesystem::path folder_;
  std::vector<std::string> names_;
};

std::int64_t draw(std::mt19937_64& random, const Type& type) {
  for (;;) {
    const std::int64_t value =
        std::uniform_int_distribution<std::int64_t>(type.minimum(), type.maximum())(random);
    if (type.holds(value)) return value;
  }
}

// Vectors for dot products of a spec, with factors at their ends among them; `fits` holds for every
// partial sum.
template <class AnyDot, class Fits>
void add_dot(Writer& writer, std::mt19937_64& random, const DotSpec& spec, const AnyDot& dot,
             int vectors, const Fits& fits) {
  const int scale = spec.activation.coding == Coding::kBipolar ? 2 : 1;
  int extreme = 0;
  writer.add(dot.module(), vectors, [&](Bits& in, Bits& out) {
    ++extreme;
    std::vector<std::int64_t> x(spec.lanes);
    for (std::int64_t& value : x) {
      value = extreme % 50 == 1   ? spec.activation.maximum()
              : extreme % 50 == 2 ? spec.activation.minimum()
                                  : draw(random, spec.activation);
    }
    for (int r = 0; r < spec.rows; ++r) {
      std::vector<std::int64_t> w(spec.lanes);
      for (std::int64_t& value : w) {
        // Neighbouring rows at opposite ends, with activations at each end.
        value = extreme % 50 > 2 || extreme % 50 == 0 ? draw(random, spec.weight)
                : (extreme / 50 + r) % 2 == 0         ? spec.weight.maximum()
                                                      : spec.weight.minimum();
      }
      const Bits stored = dot.stored_bits(w);
      in.insert(in.end(), stored.begin(), stored.end());
      std::int64_t sum = 0;
      for (int i = 0; i < spec.lanes; ++i) sum += w[i] * x[i];
      const std::int64_t partial = sum - dot.row_constant(w);
      FOLDSTREAM_CHECK(partial >= 0 && fits(partial));
      append(out, static_cast<std::uint64_t>(partial / scale), dot.partial_width());
    }
    for (const std::int64_t value : x)
      append(in, spec.activation.encode(value), spec.activation.bits);
  });
}

void dot_cases(Writer& writer, std::mt19937_64& random) {
  const Type bipolar{Coding::kBipolar, 1}, ternary{Coding::kTernary, 2};
  const auto u = [](int bits) { return Type{Coding::kUnsigned, bits}; };
  const auto s = [](int bits) { return Type{Coding::kSigned, bits}; };
  struct Shape {
    int rows, lanes;
    Type weight, activation;
    int registers;
  };
  const std::vector<Shape> shapes = {
      {1, 1, bipolar, u(1), 0},     {2, 2, bipolar, bipolar, 0}, {3, 8, bipolar, u(1), 1},
      {4, 64, bipolar, bipolar, 2}, {2, 37, bipolar, u(2), 2},   {2, 21, bipolar, s(3), 0},
      {1, 128, bipolar, u(1), 1},   {2, 8, s(2), u(2), 0},       {2, 32, s(2), u(2), 2},
      {1, 1, s(2), u(2), 0},        {2, 32, s(4), u(4), 2},      {3, 7, s(4), s(4), 1},
      {2, 16, ternary, u(2), 1},    {2, 19, ternary, s(4), 0},   {1, 24, ternary, bipolar, 2},
      {2, 8, u(3), u(2), 0},        {1, 6, s(8), u(8), 1},       {1, 9, s(8), s(8), 2},
      {2, 11, s(1), u(3), 0},       {1, 5, s(3), bipolar, 0},    {1, 3, s(5), u(16), 3},
      {1, 12, u(1), u(1), 0},
  };
  for (const Family family : {Family::kXilinx, Family::kGeneric}) {
    for (const Shape& shape : shapes) {
      DotSpec spec;
      spec.name = fmt::format("dot_{}x{}_{}_{}_{}", shape.rows, shape.lanes, shape.weight.text(),
                              shape.activation.text(), family == Family::kXilinx ? "x" : "g");
      spec.rows = shape.rows;
      spec.lanes = shape.lanes;
      spec.weight = shape.weight;
      spec.activation = shape.activation;
      spec.family = family;
      spec.levels_per_register = shape.registers;
      const Dot dot(spec);
      add_dot(writer, random, spec, dot, 500, [&](std::int64_t partial) {
        return partial % dot.scale() == 0 && partial / dot.scale() <= dot.partial_maximum();
      });
    }
  }
}

// Packings of DSP blocks of every kind; the unit tests look at all pairs of widths.
void dot_packed_cases(Writer& writer, std::mt19937_64& random) {
  const auto u = [](int bits) { return Type{Coding::kUnsigned, bits}; };
  const auto s = [](int bits) { return Type{Coding::kSigned, bits}; };
  const std::vector<std::pair<Type, Type>> widths = {
      {s(8), u(8)}, {s(8), s(8)}, {s(4), u(4)}, {s(4), s(4)}, {u(4), u(4)},
      {s(2), u(6)}, {s(3), u(5)}, {s(6), s(2)}, {s(5), u(4)}, {s(4), u(8)}};
  int count = 0;
  for (const int multiplier_bits : {25, 27}) {
    for (const auto& [weight, activation] : widths) {
      DotSpec spec;
      spec.weight = weight, spec.activation = activation;
      spec.rows = 5 + count % 4, spec.lanes = 4 + count % 5;
      spec.multiplier_bits = multiplier_bits;
      spec.name = fmt::format("packed_{}", count++);
      add_dot(writer, random, spec, DotPacked(spec), 200, [](std::int64_t) { return true; });
    }
  }
}

void dot_embedded_cases(Writer& writer, std::mt19937_64& random) {
  const Type bipolar{Coding::kBipolar, 1};
  struct Shape {
    int folds, rows, lanes;
    Type weight, activation;
    int registers;
  };
  const std::vector<Shape> shapes = {
      {4, 3, 32, bipolar, {Coding::kUnsigned, 1}, 1},
      {8, 2, 20, bipolar, bipolar, 0},
      {1, 2, 13, bipolar, {Coding::kUnsigned, 1}, 2},
      {3, 2, 10, {Coding::kSigned, 2}, {Coding::kUnsigned, 2}, 2},
      {2, 2, 9, {Coding::kSigned, 4}, {Coding::kSigned, 4}, 1},
      {16, 1, 8, {Coding::kTernary, 2}, {Coding::kSigned, 2}, 0},
  };
  for (const Family family : {Family::kXilinx, Family::kGeneric}) {
    int number = 0;
    for (const Shape& shape : shapes) {
      DotEmbeddedSpec spec;
      spec.name = fmt::format("embedded_{}_{}", number++, family == Family::kXilinx ? "x" : "g");
      spec.activation = shape.activation;
      spec.family = family;
      spec.levels_per_register = shape.registers;
      spec.weights.resize(shape.folds);
      for (auto& fold : spec.weights) {
        fold.resize(shape.rows);
        for (auto& row : fold) {
          for (int i = 0; i < shape.lanes; ++i) row.push_back(draw(random, shape.weight));
        }
      }
      const DotEmbedded dot = dot_embedded(spec);
      const int fold_bits = shape.folds > 1 ? dot.module.port("fold_i").width : 0;
      writer.add(dot.module, 500, [&](Bits& in, Bits& out) {
        const int fold = static_cast<int>(random() % shape.folds);
        append(in, static_cast<std::uint64_t>(fold), fold_bits);
        std::vector<std::int64_t> x(shape.lanes);
        for (std::int64_t& value : x) {
          value = draw(random, spec.activation);
          append(in, spec.activation.encode(value), spec.activation.bits);
        }
        for (int r = 0; r < shape.rows; ++r) {
          std::int64_t sum = -dot.constant[fold][r];
          for (int i = 0; i < shape.lanes; ++i) sum += spec.weights[fold][r][i] * x[i];
          FOLDSTREAM_CHECK(sum % dot.scale == 0 && sum >= 0 &&
                           sum / dot.scale <= dot.partial_maximum);
          append(out, static_cast<std::uint64_t>(sum / dot.scale), dot.partial_width);
        }
      });
    }
  }
}

void compare_cases(Writer& writer, std::mt19937_64& random) {
  struct Shape {
    int lanes, folds, bits, count;
    bool is_signed;
    int registers;
    bool inverted;
  };
  const std::vector<Shape> shapes = {
      {1, 1, 8, 1, false, 1, false}, {8, 8, 16, 1, true, 1, true},  {4, 8, 16, 3, true, 1, true},
      {3, 5, 7, 2, true, 0, true},   {2, 8, 12, 15, true, 1, true}, {4, 1, 10, 7, false, 2, true},
      {1, 3, 9, 255, true, 1, true}, {2, 1, 9, 15, true, 1, false}, {2, 8, 6, 6, false, 1, true},
      {1, 64, 11, 7, true, 2, true}, {2, 2, 1, 1, false, 0, true},  {1, 16, 13, 4, true, 1, false},
      {5, 1, 16, 3, true, 0, true},  {2, 4, 5, 31, true, 1, true},
  };
  for (const Family family : {Family::kXilinx, Family::kGeneric}) {
    int number = 0;
    for (const Shape& shape : shapes) {
      CompareSpec spec;
      spec.name = fmt::format("compare_{}_{}", number++, family == Family::kXilinx ? "x" : "g");
      spec.lanes = shape.lanes;
      spec.folds = shape.folds;
      spec.value_bits = shape.bits;
      spec.value_signed = shape.is_signed;
      spec.levels_per_register = shape.registers;
      spec.family = family;
      const Type type{shape.is_signed ? Coding::kSigned : Coding::kUnsigned, shape.bits};
      const std::int64_t margin =
          (type.maximum() - type.minimum()) / 8 + 2;  // some thresholds lie outside
      for (int c = 0; c < shape.lanes * shape.folds; ++c) {
        std::vector<std::int64_t> thresholds(shape.count);
        for (std::int64_t& t : thresholds) {
          t = std::uniform_int_distribution<std::int64_t>(type.minimum() - margin,
                                                          type.maximum() + margin)(random);
        }
        std::sort(thresholds.begin(), thresholds.end());
        spec.thresholds.push_back(thresholds);
        spec.inverted.push_back(shape.inverted && random() % 3 == 0);
      }
      const Generated generated = compare(spec);
      const int fold_bits = shape.folds > 1 ? generated.port("fold_i").width : 0;
      const int out_bits = generated.port("result_o").width / shape.lanes;
      writer.add(generated, 1000, [&](Bits& in, Bits& out) {
        const int fold = static_cast<int>(random() % shape.folds);
        for (int lane = 0; lane < shape.lanes; ++lane) {
          const int channel = fold * shape.lanes + lane;
          std::int64_t value = draw(random, type);
          if (random() % 2 == 0) {  // close to a threshold
            value = spec.thresholds[channel][random() % shape.count] +
                    static_cast<std::int64_t>(random() % 3) - 1;
            value = std::clamp(value, type.minimum(), type.maximum());
          }
          append(in, type.encode(value), shape.bits);
          append(out, static_cast<std::uint64_t>(compare_reference(spec, channel, value)),
                 out_bits);
        }
        append(in, static_cast<std::uint64_t>(fold), fold_bits);
      });
    }
  }
}

void matrix_cases(Writer& writer, std::mt19937_64& random) {
  struct Shape {
    int rows, columns;
    std::int64_t low, high;
    double density;
    Type activation;
    int count;  // thresholds
    int registers;
    bool bipolar;
  };
  const auto u = [](int bits) { return Type{Coding::kUnsigned, bits}; };
  const auto s = [](int bits) { return Type{Coding::kSigned, bits}; };
  const Type bipolar{Coding::kBipolar, 1};
  const std::vector<Shape> shapes = {
      {16, 64, -1, 1, 1, bipolar, 1, 0, true},   {16, 50, -1, 1, 1, u(1), 0, 2, true},
      {9, 30, -2, 1, 1, u(2), 3, 2, false},      {12, 40, -1, 1, 0.6, s(2), 3, 1, false},
      {6, 20, -8, 7, 0.8, u(4), 0, 2, false},    {5, 9, -128, 127, 1, s(8), 15, 3, false},
      {20, 64, -2, 1, 0.1, u(2), 3, 1, false},   {20, 24, -1, 1, 0.15, u(1), 1, 0, false},
      {7, 12, -3, 3, 0.3, bipolar, 2, 1, false}, {1, 1, -2, 1, 1, u(2), 0, 0, false},
      {4, 5, 0, 0, 1, u(2), 3, 0, false},        {10, 33, -1, 1, 1, u(2), 3, 2, true},
      {3, 100, 0, 1, 0.5, u(1), 0, 1, false},
  };
  // Rows enough that they have pairs in common, pipelined in every way.
  const std::vector<Shape> with_pairs = {
      {20, 16, -8, 7, 1, u(4), 0, 0, false},    {20, 8, -8, 7, 1, s(4), 7, 1, false},
      {20, 6, -128, 127, 1, s(8), 0, 2, false}, {30, 8, -4, 3, 1, s(3), 3, 3, false},
      {40, 30, -2, 1, 1, u(2), 3, 1, false},
  };
  for (const Family family : {Family::kXilinx, Family::kGeneric}) {
    int number = 0;
    const auto add = [&](const Shape& shape) {
      ConstantMatrixSpec spec;
      spec.name = fmt::format("matrix_{}_{}", number++, family == Family::kXilinx ? "x" : "g");
      spec.activation = shape.activation;
      spec.family = family;
      spec.levels_per_register = shape.registers;
      spec.register_sums = shape.registers == 2;
      spec.register_result = shape.registers > 0;
      for (int r = 0; r < shape.rows; ++r) {
        std::vector<std::int64_t> row(shape.columns);
        for (std::int64_t& w : row) {
          w = std::uniform_int_distribution<std::int64_t>(shape.low, shape.high)(random);
          if (shape.bipolar) w = random() % 2 == 0 ? 1 : -1;
          if (std::uniform_real_distribution<>(0, 1)(random) >= shape.density) w = 0;
        }
        if (r == 2) row = spec.weights[0];  // rows that are equal
        spec.weights.push_back(row);
        spec.bias.push_back(static_cast<std::int64_t>(random() % 21) - 10);
        if (shape.count == 0) continue;
        // Around where the sums fall, a few out of reach.
        std::vector<std::int64_t> thresholds(shape.count);
        const double deviation = 2 + std::sqrt(shape.columns) *
                                         static_cast<double>(shape.high - shape.low) *
                                         static_cast<double>(shape.activation.maximum()) / 3;
        for (std::int64_t& t : thresholds)
          t = static_cast<std::int64_t>(std::normal_distribution<>(0, deviation)(random));
        if (r % 7 == 3) thresholds.front() = -1000000;
        if (r % 7 == 4) thresholds.back() = 1000000;
        std::sort(thresholds.begin(), thresholds.end());
        spec.thresholds.push_back(thresholds);
        spec.inverted.push_back(random() % 3 == 0);
      }
      ConstantMatrix matrix = constant_matrix(spec);
      const int out_bits =
          shape.count == 0 ? matrix.sum_width : matrix.module.port("result_o").width / shape.rows;
      writer.add(matrix.module, 500, [&](Bits& in, Bits& out) {
        std::vector<std::int64_t> x(shape.columns);
        for (std::int64_t& value : x) value = draw(random, shape.activation);
        for (const std::int64_t value : x)
          append(in, shape.activation.encode(value), shape.activation.bits);
        for (int r = 0; r < shape.rows; ++r)
          append(out, static_cast<std::uint64_t>(constant_matrix_reference(spec, r, x)), out_bits);
      });
      return matrix.report;
    };
    for (const Shape& shape : shapes) add(shape);
    for (const Shape& shape : with_pairs) {
      if (add(shape).pairs > 0 || family == Family::kGeneric) continue;
      fmt::print(stderr, "matrix {}: no pairs, choose another\n", number - 1);
      std::exit(1);
    }
  }
}

}  // namespace
}  // namespace foldstream::arith

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: arith_vectors FOLDER\n");
    return 2;
  }
  std::filesystem::create_directories(argv[1]);
  std::mt19937_64 random(1);
  foldstream::arith::Writer writer(argv[1]);
  foldstream::arith::dot_cases(writer, random);
  foldstream::arith::dot_packed_cases(writer, random);
  foldstream::arith::dot_embedded_cases(writer, random);
  foldstream::arith::compare_cases(writer, random);
  foldstream::arith::matrix_cases(writer, random);
  writer.finish();
  return 0;
}
