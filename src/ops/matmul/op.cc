// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "src/ir/kernel.h"
#include "src/ir/lowering.h"
#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/linear.h"
#include "src/source/product.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"MatMul", "Gemm"};

Value add_constant(Graph& graph, const std::string& name, Tensor value) {
  return {&graph.add(require_op("constant"), {}, name, {}, {{"value", std::move(value)}}), 0};
}

Value transposed(const OnnxNode& source, Graph& graph, size_t port, std::string_view suffix) {
  if (source.in[port].type().shape.size() != 2) {
    throw Error(fmt::format("operand {} is {}, expected a matrix", port,
                            to_string(source.in[port].type())));
  }
  return {
      &graph.add(require_op("transpose"), {source.in[port]},
                 fmt::format("{}_{}", source.name, suffix), {{"perm", std::vector<int64_t>{1, 0}}}),
      0};
}

// alpha * A' * B' + beta * C, each factor left out where it is one.
std::vector<Value> import_gemm(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 2, 3);
  Value a = source.in[0], b = source.in[1];
  if (integer_attr(source, "transA", 0) != 0) a = transposed(source, graph, 0, "transposed_a");
  if (integer_attr(source, "transB", 0) != 0) b = transposed(source, graph, 1, "transposed_b");
  const bool has_addend = source.has(2);
  const auto scaled = [&](Value value, std::string_view key, std::string_view suffix) -> Value {
    const double factor = real_attr(source, key, 1);
    if (factor == 1) return value;
    const std::string name = fmt::format("{}_{}", source.name, suffix);
    const Value constant = add_constant(graph, name + "_factor", make_floats({}, {factor}));
    return {&graph.add(require_op("mul"), {value, constant}, name), 0};
  };
  Value result{&graph.add(require_op("matmul"), {a, b}, source.name), 0};
  if (result.type().shape.size() != 2) throw Error("its operands are not matrices");
  result = scaled(result, "alpha", "alpha");
  if (has_addend) {
    const Value addend = scaled(source.in[2], "beta", "beta");
    result = {&graph.add(require_op("add"), {result, addend}, source.name + "_bias"), 0};
  }
  return {result};
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  if (source.type == "Gemm") return import_gemm(source, graph);
  return import_as("matmul", source, graph, 2);
}

// Both operands as stacks of matrices; a vector is a matrix of one row or one column.
struct Product {
  Shape stack_a, stack_b, stack;  // leading dimensions
  int64_t rows = 1, inner = 1, columns = 1;
  Shape result;
};

Product product_of(const Node& node) {
  if (node.in.size() != 2) throw Error(fmt::format("has {} operands, expected 2", node.in.size()));
  Shape a = node.in_type(0).shape, b = node.in_type(1).shape;
  if (a.empty() || b.empty()) throw Error("a scalar is not a matrix");
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row) a.insert(a.begin(), 1);
  if (column) b.push_back(1);
  Product product;
  product.rows = a[a.size() - 2], product.inner = a.back(), product.columns = b.back();
  if (b[b.size() - 2] != product.inner) {
    throw Error(fmt::format("operand 0 is {} and operand 1 is {}: {} columns meet {} rows",
                            to_string(node.in_type(0)), to_string(node.in_type(1)), product.inner,
                            b[b.size() - 2]));
  }
  product.stack_a.assign(a.begin(), a.end() - 2);
  product.stack_b.assign(b.begin(), b.end() - 2);
  product.stack = broadcast_shape(product.stack_a, product.stack_b);
  product.result = product.stack;
  if (!row) product.result.push_back(product.rows);
  if (!column) product.result.push_back(product.columns);
  return product;
}

std::vector<Type> infer(const Node& node) {
  Product product = product_of(node);
  for (size_t port = 0; port < 2; ++port) {
    if (!node.in_type(port).is_float) {
      throw Error(
          fmt::format("operand {} is {}, expected floats", port, to_string(node.in_type(port))));
    }
  }
  return {float_type(std::move(product.result))};
}

// Sums in double and rounds once: exact wherever the products and sums fit 53 bits, where the
// reference's float32 sums are exact too.
std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Product product = product_of(node);
  Tensor out = make_zero(node.out[0]);
  const std::vector<int64_t> stack_a = broadcast_offsets(product.stack_a, product.stack);
  const std::vector<int64_t> stack_b = broadcast_offsets(product.stack_b, product.stack);
  const int64_t size_a = product.rows * product.inner, size_b = product.inner * product.columns;
  double* y = out.reals.data();
  for (size_t s = 0; s < stack_a.size(); ++s) {
    add_rows(in[0]->reals.data() + stack_a[s] * size_a, product.rows,
             in[1]->reals.data() + stack_b[s] * size_b, product.inner, product.columns, y);
    y += product.rows * product.columns;
  }
  for (double& v : out.reals) v = static_cast<float>(v);
  return {std::move(out)};
}

// The CPU twin: the reference's sums on floats as they lie, by one matrix that is constant. A few
// rows at a time, of which each needs the whole matrix.
class FloatKernel final : public Kernel {
 public:
  FloatKernel(const Product& product, std::vector<double> w)
      : rows_(element_count(product.stack) * product.rows),
        inner_(product.inner),
        columns_(product.columns),
        w_(std::move(w)) {}

  bool divisible() const override { return true; }
  int64_t scratch_bytes(int64_t) const override {
    return kRows * (inner_ + columns_) * static_cast<int64_t>(sizeof(double));
  }

  void run(const KernelCall& call) const override {
    auto* x = reinterpret_cast<double*>(call.scratch);
    double* y = x + kRows * inner_;
    const int64_t all = call.frames * rows_, end = call.end(all);
    for (int64_t row = call.begin(all); row < end; row += kRows) {
      const int64_t count = std::min(kRows, end - row);
      const auto* from = reinterpret_cast<const float*>(call.in[0]) + row * inner_;
      std::copy(from, from + count * inner_, x);
      std::fill_n(y, count * columns_, 0.0);
      add_rows(x, count, w_.data(), inner_, columns_, y);
      auto* to = reinterpret_cast<float*>(call.out[0]) + row * columns_;
      for (int64_t i = 0; i < count * columns_; ++i) to[i] = static_cast<float>(y[i]);
    }
  }

 private:
  static constexpr int64_t kRows = 8;

  int64_t rows_, inner_, columns_;
  std::vector<double> w_;
};

std::unique_ptr<Kernel> make_kernel(const KernelSite& site) {
  if (site.in[0].constant != nullptr || site.in[1].constant == nullptr) return nullptr;
  const Product product = product_of(site.node);
  if (element_count(product.stack_b) != 1 || product.stack != product.stack_a) return nullptr;
  return std::make_unique<FloatKernel>(product, site.in[1].constant->reals);
}

constexpr Kernels kKernels{.make = make_kernel};

void to_onnx(const Node&, OnnxSink& sink) {
  sink.node("", "MatMul", {sink.input(0), sink.input(1)}, {sink.output(0)});
}

// The operand's elements as vectors along the last dimension of a stream, and which of the value's
// elements lies where in a vector.
struct Vectors {
  Value q;
  Layout layout;                // of the result
  std::vector<int64_t> places;  // empty: in order
};

Vectors vectors_of(const Traced& x, const Shape& result, Lowering& lowering) {
  const auto rank = static_cast<int>(x.shape.size());
  const int64_t inner = x.shape.back();
  std::vector<int> order = x.layout.order;
  if (x.layout.natural()) return {x.q, {}, {}};
  if (x.layout.dims == x.shape && order.back() == rank - 1) return {x.q, {result, order}, {}};
  if (element_count(x.shape) == inner) {
    // One vector in another order: the weights are moved instead.
    Value q = x.q;
    if (q.type().shape != x.shape) {
      q = {&lowering.target().add(require_op("reshape"), {q}, lowering.node().name + "_vector",
                                  {{"shape", x.shape}}),
           0};
    }
    return {q, {}, element_places(x.layout)};
  }
  if (x.layout.dims != x.shape) return {lowering.natural(x), {}, {}};
  order.erase(std::find(order.begin(), order.end(), rank - 1));
  order.push_back(rank - 1);
  return {lowering.ordered(x, order), {result, order}, {}};
}

void lower(const Node& node, Lowering& lowering) {
  if (lowering.in(0).is_constant()) {
    return lowering.keep("its first operand is constant", "put the weights into operand 1");
  }
  if (!lowering.in(1).is_constant()) {
    return lowering.keep("it multiplies two computed values",
                         "products of two activations are not mapped to hardware yet");
  }
  const std::optional<Traced> x = lowering.affine(0);
  if (!x) {
    return lowering.keep("a step before it that is not affine is not followed by a quantizer",
                         "quantize the activation before this layer");
  }
  const std::optional<Traced> w = lowering.weights(1);
  if (!w) {
    return lowering.keep("its weights are not integers times a scale", "quantize the weights");
  }
  const Shape& shape = w->codes->type.shape;
  const int last = static_cast<int>(x->shape.size()) - 1;
  if (shape.size() != 2 || last < 1) {
    return lowering.keep("its weights are not one matrix",
                         "use a matrix of weights and a batch dimension");
  }
  if (x->axis >= 0 && x->axis != last) {
    return lowering.keep(fmt::format("the scales of its operand vary along axis {}", x->axis),
                         "scale along the channel axis");
  }
  WeightedSums sums;
  sums.columns = shape[0], sums.rows = shape[1];
  sums.channel.resize(sums.columns);
  std::iota(sums.channel.begin(), sums.channel.end(), 0);
  (w->axis == 0 ? sums.column_scale : sums.row_scale) = w->scale;
  sums.weights.resize(w->codes->ints.size());
  for (int64_t k = 0; k < sums.columns; ++k) {
    for (int64_t r = 0; r < sums.rows; ++r) {
      sums.weights[r * sums.columns + k] = w->codes->ints[k * sums.rows + r];
    }
  }
  Traced result;
  if (const auto obstacle = describe_sums(*x, std::nullopt, sums, result)) {
    return lowering.keep(obstacle->first, obstacle->second);
  }
  const Vectors vectors = vectors_of(*x, node.out[0].shape, lowering);
  if (!vectors.places.empty()) {
    std::vector<int64_t> row(sums.columns);
    for (auto first = sums.weights.begin(); first != sums.weights.end(); first += sums.columns) {
      for (int64_t k = 0; k < sums.columns; ++k) row[vectors.places[k]] = first[k];
      std::copy(row.begin(), row.end(), first);
    }
  }
  Node& mvau = lowering.target().add(
      require_op("mvau"), {vectors.q}, node.name, {},
      {{"w", make_ints(Shape{sums.rows, sums.columns}, std::move(sums.weights))}});
  result.q = {&mvau, 0};
  result.layout = vectors.layout;
  result.axis = last;
  lowering.set(0, std::move(result));
}

}  // namespace

extern const Op op_matmul;
const Op op_matmul{.name = "matmul",
                   .doc = "matrix product, summed in double and rounded once",
                   .onnx = kOnnx,
                   .import = import,
                   .to_onnx = to_onnx,
                   .infer = infer,
                   .eval = eval,
                   .lower = lower,
                   .kernels = &kKernels};

}  // namespace foldstream
