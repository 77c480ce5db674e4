// SPDX-License-Identifier: Apache-2.0
#include "src/api/foldstream_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "src/exec/crew.h"
#include "src/exec/program.h"
#include "src/flow/compile.h"
#include "src/onnx/reader.h"
#include "src/util/error.h"

using namespace foldstream;

struct fs_network {
  std::unique_ptr<exec::Program> program;
  std::unique_ptr<exec::Crew> crew;
};

namespace {

void tell(const std::string& message, char* error, size_t bytes) {
  if (error == nullptr || bytes == 0) return;
  const size_t count = std::min(message.size(), bytes - 1);
  std::memcpy(error, message.data(), count);
  error[count] = '\0';
}

// Runs `work` and makes a status of what it throws.
template <class Work>
int guarded(char* error, size_t bytes, const Work& work) {
  try {
    work();
    return FS_OK;
  } catch (const Error& failure) {
    std::string message = failure.what();
    if (!failure.help().empty()) message += "; " + failure.help();
    tell(message, error, bytes);
    return FS_WRONG_USE;
  } catch (const std::bad_alloc&) {
    tell("out of memory", error, bytes);
    return FS_OUT_OF_MEMORY;
  } catch (const std::exception& failure) {
    tell(failure.what(), error, bytes);
    return FS_WRONG_USE;
  }
}

int describe(const std::vector<exec::Port>& ports, size_t index, fs_port* port) {
  if (index >= ports.size() || port == nullptr) return FS_WRONG_USE;
  const exec::Port& from = ports[index];
  int element = FS_INT64;
  switch (from.storage.form) {
    case Form::floats:
      element = FS_FLOAT32;
      break;
    case Form::words:
      element = FS_INT32;
      break;
    case Form::bytes:
      element = FS_UINT8;
      break;
    default:
      break;
  }
  *port = {from.name.c_str(), element, from.type.shape.size(), from.type.shape.data(),
           static_cast<size_t>(from.storage.bytes())};
  return FS_OK;
}

}  // namespace

int fs_load(const char* path, const fs_options* options, fs_network** network, char* error,
            size_t error_bytes) {
  if (network == nullptr || path == nullptr) {
    tell("fs_load needs a path and a place for the network", error, error_bytes);
    return FS_WRONG_USE;
  }
  *network = nullptr;
  return guarded(error, error_bytes, [&] {
    const fs_options given = options == nullptr ? fs_options{} : *options;
    CompileOptions compile;
    compile.streamline.every_input =
        input_format(given.input_type == nullptr ? "" : given.input_type,
                     given.input_scale == 0 ? 1 : given.input_scale);
    const Compiled compiled = streamline_only(read_model(path), compile);
    const Graph& graph = compiled.steps.back().graph;
    const exec::ProgramOptions how{.level = given.instructions == nullptr ? "" : given.instructions,
                                   .byte_scale = given.byte_scale};
    auto made = std::make_unique<fs_network>();
    made->crew = std::make_unique<exec::Crew>(given.threads);
    made->program = std::make_unique<exec::Program>(graph, how);
    *network = made.release();
  });
}

void fs_free(fs_network* network) { delete network; }

size_t fs_input_count(const fs_network* network) { return network->program->inputs().size(); }
size_t fs_output_count(const fs_network* network) { return network->program->outputs().size(); }

int fs_input(const fs_network* network, size_t index, fs_port* port) {
  return describe(network->program->inputs(), index, port);
}
int fs_output(const fs_network* network, size_t index, fs_port* port) {
  return describe(network->program->outputs(), index, port);
}

int fs_run(fs_network* network, const void* const* inputs, void* const* outputs, int64_t frames,
           char* error, size_t error_bytes) {
  return guarded(error, error_bytes, [&] {
    if (frames < 0) throw Error(fmt::format("{} frames", frames), "give 0 or more");
    if (frames == 0) return;
    const size_t in = network->program->inputs().size(), out = network->program->outputs().size();
    if (std::find(inputs, inputs + in, nullptr) != inputs + in ||
        std::find(outputs, outputs + out, nullptr) != outputs + out) {
      throw Error("an array is missing", "give one for every input and every output");
    }
    const std::vector<const void*> from(inputs, inputs + in);
    const std::vector<void*> to(outputs, outputs + out);
    network->program->run(from, to, frames, *network->crew);
  });
}
