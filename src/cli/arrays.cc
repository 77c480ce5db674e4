// SPDX-License-Identifier: Apache-2.0
#include "src/cli/arrays.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

struct Port {
  std::string name;
  Type type;
};

std::vector<Port> inputs_of(const Graph& model) {
  std::vector<Port> ports;
  for (const Node& node : model.nodes) {
    if (node.op->kind == Op::Kind::input) ports.push_back({node.name, node.out[0]});
  }
  return ports;
}

std::vector<Port> outputs_of(const Graph& model) {
  std::vector<Port> ports;
  for (const Output& output : model.outputs) ports.push_back({output.name, output.value.type()});
  return ports;
}

bool names(const std::string& given, const std::string& port) {
  return given.starts_with(port + "=");
}

bool any_names(const std::vector<Port>& ports, const std::string& given) {
  return std::ranges::any_of(ports, [&](const Port& port) { return names(given, port.name); });
}

// `what` the ports are, in words.
std::vector<PortFile> assigned(const std::vector<Port>& ports,
                               const std::vector<std::string>& given, std::string_view what) {
  std::vector<PortFile> files;
  std::string all;
  for (const Port& port : ports) {
    files.push_back({port.name, ""});
    all += (all.empty() ? "'" : ", '") + port.name + "'";
  }
  const std::string help = fmt::format("give NAME=FILE for each of the model's {}s: {}", what, all);
  for (const std::string& text : given) {
    auto file = std::ranges::find_if(files, [&](const PortFile& f) { return names(text, f.port); });
    const bool named = file != files.end();
    if (!named && files.size() == 1) file = files.begin();
    if (file == files.end()) {
      throw Error(fmt::format("'{}' is for none of the model's {} {}s", text, files.size(), what),
                  help);
    }
    if (!file->path.empty()) {
      throw Error(
          fmt::format("{} '{}' has two files: '{}' and '{}'", what, file->port, file->path, text));
    }
    file->path = named ? text.substr(file->port.size() + 1) : text;
  }
  for (const PortFile& file : files) {
    if (file.path.empty()) throw Error(fmt::format("{} '{}' has no file", what, file.port), help);
  }
  return files;
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

// The frames of type `type` in the file of an array; `who` opens what is said when it doesn't fit.
std::vector<Tensor> split(const Type& type, const std::string& who, const std::string& name) {
  const NpyArray array = read_npy(name);
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
  std::vector<Tensor> frames;
  int64_t at = 0;
  for (int64_t i = 0; i < count; ++i) {
    Tensor tensor = make_zero(type);
    for (int64_t e = 0; e < type.count(); ++e, ++at) {
      if (type.is_float) {
        const double value = is_float ? array.reals[at] : static_cast<double>(array.ints[at]);
        tensor.reals[e] = static_cast<float>(value);
        if (!std::isfinite(tensor.reals[e])) {
          throw Error(fmt::format("'{}', frame {}, element {} is {}, no finite float32", name, i, e,
                                  value));
        }
      } else {
        tensor.ints[e] = array.ints[at];
        if (tensor.ints[e] < type.min() || tensor.ints[e] > type.max()) {
          throw Error(fmt::format("'{}', frame {}, element {} is {}, outside {}", name, i, e,
                                  tensor.ints[e], element_name(type)));
        }
      }
    }
    frames.push_back(std::move(tensor));
  }
  return frames;
}

// The frames of all ports; `verb` says what the model does with them.
std::vector<Frame> joined(const std::vector<Port>& ports, const std::vector<PortFile>& files,
                          std::string_view verb) {
  std::vector<Frame> frames;
  for (size_t port = 0; port < ports.size(); ++port) {
    const std::string who = ports.size() == 1
                                ? fmt::format("the model {}", verb)
                                : fmt::format("the model {} as '{}'", verb, ports[port].name);
    std::vector<Tensor> own = split(ports[port].type, who, files[port].path);
    if (port == 0) frames.resize(own.size());
    if (own.size() != frames.size()) {
      throw Error(fmt::format("'{}' holds {} frames, but '{}' {}", files[port].path, own.size(),
                              files[0].path, frames.size()),
                  "give as many of each");
    }
    for (size_t i = 0; i < own.size(); ++i) frames[i].push_back(std::move(own[i]));
  }
  return frames;
}

}  // namespace

std::vector<PortFile> input_files(const Graph& model, const std::vector<std::string>& given) {
  return assigned(inputs_of(model), given, "input");
}

std::vector<PortFile> output_files(const Graph& model, const std::vector<std::string>& given) {
  return assigned(outputs_of(model), given, "output");
}

bool names_input(const Graph& model, const std::string& given) {
  return any_names(inputs_of(model), given);
}

bool names_output(const Graph& model, const std::string& given) {
  return any_names(outputs_of(model), given);
}

std::vector<Frame> frames_of(const Graph& model, const std::vector<PortFile>& files) {
  return joined(inputs_of(model), files, "takes");
}

std::vector<Frame> results_of(const Graph& model, const std::vector<PortFile>& files,
                              size_t count) {
  std::vector<Frame> frames = joined(outputs_of(model), files, "gives");
  if (frames.size() != count) {
    throw Error(fmt::format("'{}' holds {} frames, but there are {} to compare", files[0].path,
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
