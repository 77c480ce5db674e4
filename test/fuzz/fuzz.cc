// SPDX-License-Identifier: Apache-2.0
// Feeds damaged models and texts to the readers for a fixed time, from a fixed seed. What is read
// must verify, print and parse back, run, lower and be written; what isn't must be an Error.
//   fuzz reader|structure|text [--seconds N] [--seed N] [--only ITERATION]
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/ir/text.h"
#include "src/onnx/reader.h"
#include "src/onnx/writer.h"
#include "src/passes/streamline.h"
#include "src/util/error.h"
#include "test/fuzz/models.h"

extern "C" void __sanitizer_set_death_callback(void (*callback)());

namespace foldstream {
namespace {

using Random = std::mt19937_64;

int64_t iteration = 0;

void report() { std::fprintf(stderr, "fuzz: in iteration %ld\n", static_cast<long>(iteration)); }

size_t below(Random& random, size_t limit) { return limit == 0 ? 0 : random() % limit; }

// Bytes that numbers and lengths at their limits are made of.
void damage_bytes(Random& random, std::string& bytes, const std::vector<std::string>& others) {
  const size_t times = 1 + below(random, 4);
  for (size_t i = 0; i < times; ++i) {
    const size_t at = below(random, bytes.size());
    switch (below(random, 8)) {
      case 0:
        if (!bytes.empty()) bytes[at] = static_cast<char>(random());
        break;
      case 1:
        if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ 1 << below(random, 8));
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.erase(at, 1 + below(random, 16));
        break;
      case 4:
        bytes.insert(at, 1 + below(random, 10), static_cast<char>(0xff));
        break;
      case 5: {
        const std::string part = bytes.substr(at, 1 + below(random, 64));
        bytes.insert(below(random, bytes.size()), part);
        break;
      }
      case 6: {
        const std::string& other = others[below(random, others.size())];
        bytes.insert(at, other.substr(below(random, other.size()), 1 + below(random, 200)));
        break;
      }
      default:
        if (!bytes.empty()) bytes[at] = static_cast<char>(random() % 2 == 0 ? 0 : 0x7f);
        break;
    }
  }
}

int64_t odd_integer(Random& random) {
  constexpr int64_t kOdd[] = {0,  1,   -1,  2,       3,         7,         -2,        64,
                              21, 255, 256, 1 << 20, INT64_MAX, INT64_MIN, 1LL << 32, 1LL << 31};
  return kOdd[below(random, std::size(kOdd))];
}

float odd_real(Random& random) {
  constexpr float kOdd[] = {0, -0.0F, 1, -1, 0.5F, 1e30F, 1e-40F, 3e38F, 2, 8, 33, 1.5F};
  const size_t pick = below(random, std::size(kOdd) + 3);
  if (pick == std::size(kOdd)) return std::numeric_limits<float>::infinity();
  if (pick == std::size(kOdd) + 1) return std::numeric_limits<float>::quiet_NaN();
  if (pick == std::size(kOdd) + 2) return -std::numeric_limits<float>::infinity();
  return kOdd[pick];
}

// A model that is still a model, with wrong numbers and wires in it.
void damage_structure(Random& random, onnx::ModelProto& model) {
  onnx::GraphProto& graph = *model.mutable_graph();
  const size_t times = 1 + below(random, 3);
  for (size_t i = 0; i < times && graph.node_size() > 0; ++i) {
    auto& node = *graph.mutable_node(static_cast<int>(below(random, graph.node_size())));
    auto& other = *graph.mutable_node(static_cast<int>(below(random, graph.node_size())));
    auto* tensor =
        graph.initializer_size() == 0
            ? nullptr
            : graph.mutable_initializer(static_cast<int>(below(random, graph.initializer_size())));
    auto* attribute =
        node.attribute_size() == 0
            ? nullptr
            : node.mutable_attribute(static_cast<int>(below(random, node.attribute_size())));
    switch (below(random, 16)) {
      case 0:
        node.set_op_type(other.op_type());
        break;
      case 1:
        if (node.input_size() > 0 && other.output_size() > 0) {
          node.set_input(static_cast<int>(below(random, node.input_size())), other.output(0));
        }
        break;
      case 2:
        if (node.input_size() > 0) {
          node.set_input(static_cast<int>(below(random, node.input_size())), "");
        }
        break;
      case 3:
        if (node.input_size() > 0) node.mutable_input()->RemoveLast();
        break;
      case 4:
        if (tensor != nullptr) node.add_input(tensor->name());
        break;
      case 5:
        if (tensor != nullptr && tensor->dims_size() > 0) {
          tensor->set_dims(static_cast<int>(below(random, tensor->dims_size())),
                           odd_integer(random));
        }
        break;
      case 6:
        if (tensor != nullptr && tensor->float_data_size() > 0) {
          tensor->set_float_data(static_cast<int>(below(random, tensor->float_data_size())),
                                 odd_real(random));
        }
        break;
      case 7:
        if (tensor != nullptr && tensor->int64_data_size() > 0) {
          tensor->set_int64_data(static_cast<int>(below(random, tensor->int64_data_size())),
                                 odd_integer(random));
        }
        break;
      case 8:
        if (tensor != nullptr) tensor->set_data_type(static_cast<int>(below(random, 24)));
        break;
      case 9:
        if (attribute != nullptr && attribute->has_i()) attribute->set_i(odd_integer(random));
        break;
      case 10:
        if (attribute != nullptr && attribute->has_f()) attribute->set_f(odd_real(random));
        break;
      case 11:
        if (attribute != nullptr && attribute->ints_size() > 0) {
          attribute->set_ints(static_cast<int>(below(random, attribute->ints_size())),
                              odd_integer(random));
        }
        break;
      case 12:
        if (attribute != nullptr) attribute->set_name(other.op_type());
        break;
      case 13:
        *graph.add_node() = node;
        break;
      case 14: {
        auto& shape =
            *graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
        if (shape.dim_size() > 0) {
          shape.mutable_dim(static_cast<int>(below(random, shape.dim_size())))
              ->set_dim_value(odd_integer(random));
        }
        break;
      }
      default:
        if (other.input_size() > 0 && node.output_size() > 0) {
          other.set_input(0, node.output(0));
        }
        break;
    }
  }
}

// Everything that is done to a graph that was read.
void use(const Graph& graph) {
  const std::string text = print(graph);
  FOLDSTREAM_CHECK(print(parse(text)) == text);
  constexpr int64_t kSmall = 100000;
  int64_t elements = 0;
  for (const Node& node : graph.nodes) {
    for (const Type& type : node.out) elements += std::min(type.count(), kSmall + 1);
    if (elements > kSmall) return;
  }
  try {
    const Evaluator evaluator(graph);
    std::vector<Tensor> inputs;
    for (const Node* input : evaluator.inputs()) inputs.push_back(make_zero(input->out[0]));
    evaluator.run(inputs);
  } catch (const Error&) {
  }
  const std::string written = write_model(graph);
  try {
    read_model_bytes(written, "written");
  } catch (const Error&) {
  }
  try {
    const Graph lowered = streamline(graph, {}).graph;
    const std::string lowered_text = print(lowered);
    FOLDSTREAM_CHECK(print(parse(lowered_text)) == lowered_text);
    write_model(lowered);
  } catch (const Error&) {
  }
}

int run(const std::string& target, double seconds, uint64_t seed, int64_t only) {
  const std::vector<onnx::ModelProto> models = seed_models();
  std::vector<std::string> seeds;
  for (const onnx::ModelProto& model : models) {
    const std::string bytes = model.SerializeAsString();
    const Graph graph = read_model_bytes(bytes, "seed");  // the seeds themselves are legal
    use(graph);
    seeds.push_back(target == "text" ? print(graph) : bytes);
    if (target == "text") seeds.push_back(print(streamline(graph, {}).graph));
  }
  const auto start = std::chrono::steady_clock::now();
  int64_t read = 0, refused = 0;
  for (iteration = std::max<int64_t>(only, 0);; ++iteration) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    if (spent.count() > seconds || (only >= 0 && iteration > only)) break;
    Random random(seed * 1000003 + static_cast<uint64_t>(iteration));
    std::string bytes;
    if (target == "structure") {
      onnx::ModelProto model = models[below(random, models.size())];
      damage_structure(random, model);
      bytes = model.SerializeAsString();
    } else {
      bytes = seeds[below(random, seeds.size())];
      damage_bytes(random, bytes, seeds);
    }
    try {
      const Graph graph = target == "text" ? parse(bytes) : read_model_bytes(bytes, "fuzz");
      ++read;
      use(graph);
    } catch (const Error& error) {
      FOLDSTREAM_CHECK(*error.what() != '\0');
      ++refused;
    }
  }
  fmt::print("{}: {} inputs, {} read, {} refused\n", target, iteration, read, refused);
  return read > 0 && refused > 0 ? 0 : 1;
}

int main(int argc, char** argv) {
  double seconds = 20;
  uint64_t seed = 1;
  int64_t only = -1;
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--seconds") seconds = std::atof(argv[i + 1]);
    if (option == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
    if (option == "--only") only = std::strtoll(argv[i + 1], nullptr, 10);
  }
  __sanitizer_set_death_callback(report);
  std::signal(SIGABRT, [](int) { report(); });
  return run(argc > 1 ? argv[1] : "reader", seconds, seed, only);
}

}  // namespace
}  // namespace foldstream

int main(int argc, char** argv) { return foldstream::main(argc, argv); }
