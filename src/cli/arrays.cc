// SPDX-License-Identifier: Apache-2.0
#include "src/cli/arrays.h"

#include <fmt/format.h>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

const Node& only_input(const Graph& model) {
  const Node* input = nullptr;
  int count = 0;
  for (const Node& node : model.nodes) {
    if (node.op->kind != Op::Kind::input) continue;
    input = &node;
    ++count;
  }
  if (count != 1) {
    throw Error(fmt::format("the model has {} inputs, but one array can feed only one", count));
  }
  return *input;
}

// Frames in an array of this shape for an input of that; 0 when it doesn't fit.
int64_t frame_count(const Shape& array, const Shape& input) {
  if (array == input) return 1;
  if (array.empty()) return 0;
  const Shape frame(array.begin() + 1, array.end());
  if (frame == input) return array[0];
  const bool has_batch = !input.empty() && input[0] == 1;
  return has_batch && frame == Shape(input.begin() + 1, input.end()) ? array[0] : 0;
}

// The frames of type `type` in an array; `who` opens what is said when it doesn't fit.
std::vector<Frame> split(const NpyArray& array, const Type& type, std::string_view who,
                         const std::string& name) {
  const int64_t count = frame_count(array.shape, type.shape);
  if (count == 0) {
    throw Error(fmt::format("'{}' has shape {}, but {} {}", name, to_string(array.shape), who,
                            to_string(type)),
                "give one frame, or several along the first axis");
  }
  const bool is_float = array.kind == NpyArray::Kind::floats;
  if (is_float && !type.is_float) {
    throw Error(fmt::format("'{}' holds floats, but {} {}", name, who, to_string(type)));
  }
  std::vector<Frame> frames;
  int64_t at = 0;
  for (int64_t i = 0; i < count; ++i) {
    Tensor tensor = make_zero(type);
    for (int64_t e = 0; e < type.count(); ++e, ++at) {
      if (type.is_float) {
        const double value = is_float ? array.reals[at] : static_cast<double>(array.ints[at]);
        tensor.reals[e] = static_cast<float>(value);
      } else {
        tensor.ints[e] = array.ints[at];
        if (tensor.ints[e] < type.min() || tensor.ints[e] > type.max()) {
          throw Error(fmt::format("'{}', frame {}, element {} is {}, outside {}", name, i, e,
                                  tensor.ints[e], element_name(type)));
        }
      }
    }
    frames.push_back({std::move(tensor)});
  }
  return frames;
}

}  // namespace

std::vector<Frame> frames_of(const Graph& model, const NpyArray& array, const std::string& name) {
  return split(array, only_input(model).out[0], "the model takes", name);
}

std::vector<Frame> results_of(const Graph& model, const NpyArray& array, size_t count,
                              const std::string& name) {
  if (model.outputs.size() != 1) {
    throw Error(fmt::format("the model has {} outputs, but one array holds only one",
                            model.outputs.size()));
  }
  std::vector<Frame> frames = split(array, model.outputs[0].value.type(), "the model gives", name);
  if (frames.size() != count) {
    throw Error(fmt::format("'{}' holds {} frames, but there are {} to compare", name,
                            frames.size(), count));
  }
  return frames;
}

NpyArray array_of(const std::vector<Frame>& frames, size_t port) {
  FOLDSTREAM_CHECK(!frames.empty());
  const Type& type = frames[0].at(port).type;
  NpyArray array;
  array.kind = type.is_float ? NpyArray::Kind::floats : NpyArray::Kind::integers;
  array.bytes = type.is_float ? 4 : 8;
  array.shape = type.shape;
  const auto count = static_cast<int64_t>(frames.size());
  if (!array.shape.empty() && array.shape[0] == 1) {
    array.shape[0] = count;
  } else if (count > 1) {
    array.shape.insert(array.shape.begin(), count);
  }
  for (const Frame& frame : frames) {
    const Tensor& tensor = frame[port];
    array.reals.insert(array.reals.end(), tensor.reals.begin(), tensor.reals.end());
    array.ints.insert(array.ints.end(), tensor.ints.begin(), tensor.ints.end());
  }
  return array;
}

}  // namespace foldstream
