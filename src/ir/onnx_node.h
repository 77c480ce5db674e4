// SPDX-License-Identifier: Apache-2.0
// ONNX nodes without protobuf: what an operator's import reads and its export writes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "src/ir/graph.h"

namespace foldstream {

// A node of the model being read. Lists of floats and tensor attributes are in `tensors`.
struct OnnxNode {
  std::string type;  // "MatMul"
  std::string
      domain;  // "" or "qonnx" (every domain in which QONNX operators are found reads as "qonnx")
  int64_t version = 0;  // of the domain's operator set
  std::string name;
  std::vector<Value> in;  // a missing optional input is an empty Value
  int outputs = 1;
  std::vector<bool> used;  // by output: does anything depend on it
  std::map<std::string, Attr, std::less<>> attr;
  std::map<std::string, Tensor, std::less<>> tensors;

  // The value of a constant input, or null.
  const Tensor* constant(size_t port) const;
  bool uses(size_t output) const { return output < used.size() && used[output]; }
  bool has(size_t port) const { return port < in.size() && in[port]; }
};

// Where an operator's to_onnx writes the nodes that compute the same. Integers are carried in float
// tensors, as the QONNX package executes them, with their type noted beside them.
class OnnxSink {
 public:
  virtual ~OnnxSink() = default;
  virtual std::string input(size_t port) = 0;   // name of the node's own operand
  virtual std::string output(size_t port) = 0;  // name its result must have
  virtual std::string constant(const Tensor& value,
                               std::string_view hint) = 0;  // ints become float tensors
  virtual std::string index_constant(const Tensor& value,
                                     std::string_view hint) = 0;  // ints stay int64
  virtual std::string typed_constant(const Tensor& value,
                                     std::string_view hint) = 0;  // ints keep their own type
  // The operator set that what is written needs at least.
  virtual void need_version(std::string_view domain, int64_t version) = 0;
  // A fresh tensor name; of the shape of the node's result 0 in float, or of `type`.
  virtual std::string temporary(std::string_view hint) = 0;
  virtual std::string temporary(std::string_view hint, const Type& type) = 0;
  virtual void node(std::string_view domain, std::string_view type, std::vector<std::string> inputs,
                    std::vector<std::string> outputs,
                    std::map<std::string, Attr, std::less<>> attributes = {}) = 0;
};

}  // namespace foldstream
