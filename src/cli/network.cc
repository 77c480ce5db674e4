// SPDX-License-Identifier: Apache-2.0
#include "src/cli/network.h"

#include <fmt/format.h>

#include <iostream>
#include <iterator>

#include "src/ir/text.h"
#include "src/onnx/reader.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/interrupt.h"
#include "src/util/parallel.h"
#include "src/util/suggest.h"

namespace foldstream {
namespace {

const std::vector<std::string> kEngines = {"float", "integer"};

bool same(double a, double b) { return a == b || (a != a && b != b); }

}  // namespace

Graph load_model(const std::string& path) {
  if (path == "-") {
    return parse(std::string(std::istreambuf_iterator<char>(std::cin), {}));
  }
  if (path.ends_with(".fst")) {
    try {
      return parse(read_file(path));
    } catch (const Error& error) {
      throw Error(fmt::format("'{}': {}", path, error.what()), error.help());
    }
  }
  return read_model(path);
}

Engine parse_engine(const std::string& name) {
  if (name == "float") return Engine::float_reference;
  if (name == "integer") return Engine::integer;
  throw Error(fmt::format("there is no engine '{}'", name), did_you_mean(name, kEngines));
}

EngineRunner::EngineRunner(const Graph& model, Engine engine, const DesignOptions& options)
    : engine_(engine) {
  if (engine == Engine::float_reference) {
    reference_ = std::make_unique<Evaluator>(model);
  } else {
    compiled_ = compile(model, compile_options(options));
    parts_ = std::make_unique<PartsRunner>(compiled_.parts);
  }
}

std::vector<Frame> EngineRunner::run(const std::vector<Frame>& frames, Progress& progress) const {
  std::vector<Frame> results(frames.size());
  parallel_for(frames.size(), [&](size_t i) {
    check_interrupt();
    results[i] =
        engine_ == Engine::float_reference ? reference_->run(frames[i]) : parts_->run(frames[i]);
    progress.advance(1);
  });
  return results;
}

std::string difference(const Graph& model, const Frame& found, const Frame& expected) {
  FOLDSTREAM_CHECK(found.size() == expected.size());
  for (size_t port = 0; port < found.size(); ++port) {
    const std::string& name = model.outputs.at(port).name;
    for (int64_t i = 0; i < expected[port].count(); ++i) {
      if (expected[port].type.is_float) {
        const double a = found[port].reals.at(i), b = expected[port].reals[i];
        if (!same(a, b)) {
          return fmt::format("output '{}', element {}: {} instead of {}", name, i, a, b);
        }
      } else {
        const int64_t a = found[port].ints.at(i), b = expected[port].ints[i];
        if (a != b) return fmt::format("output '{}', element {}: {} instead of {}", name, i, a, b);
      }
    }
  }
  return "";
}

}  // namespace foldstream
