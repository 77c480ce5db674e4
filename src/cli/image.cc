// SPDX-License-Identifier: Apache-2.0
// foldstream image: constants for a built design, as words for its AXI4-Lite bus and as the bytes
// that its streams of weights read.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/cli/writes.h"
#include "src/report/driver.h"
#include "src/util/error.h"
#include "src/util/files.h"

namespace foldstream {
namespace {

struct Options {
  std::string network, output, memory;
  std::vector<std::string> writes;
};

int run(const Program& program, const Options& options) {
  if (options.output.empty() && options.memory.empty()) {
    throw Error("image: nothing to write", "give --output for the bus, --memory for streams");
  }
  Built built = load_hardware(options.network);
  const Design design = stitch(built.parts.core, built.part->family);
  Json json = Json::object();
  std::string text, for_bus, for_memory;
  size_t words = 0;
  const auto wrote = [&](const char* key, const std::string& path, size_t count, const char* unit) {
    json[key] = path;
    json[unit] = count;
    text += fmt::format("{} {} written to '{}'\n", count, unit, path);
  };
  if (!options.output.empty()) {
    std::vector<BusWord> image = design.first_writes();
    if (!options.writes.empty()) {
      const std::vector<std::string> nodes =
          apply_writes(built.parts.core, options.writes, built.part->family);
      image = bus_image(built.parts.core, design, nodes);
    } else if (image.empty()) {
      throw Error(fmt::format("'{}' has no memories that must be loaded", options.network),
                  "--write NODE.w=W.npy makes an image of other constants");
    }
    for_bus = image_text(image);
    words = image.size();
  }
  if (!options.memory.empty()) {
    if (design.weights.empty()) {
      throw Error(fmt::format("'{}' has no streams of weights", options.network));
    }
    for_memory = memory_image(design);
  }
  for (const std::string* path : {&options.output, &options.memory}) {
    if (!path->empty()) check_writable(*path);
  }
  if (!options.output.empty()) {
    write_whole(options.output, for_bus);
    wrote("output", options.output, words, "words");
  }
  if (!options.memory.empty()) {
    write_whole(options.memory, for_memory);
    wrote("memory", options.memory, for_memory.size(), "bytes");
  }
  std::cout << (program.json ? json.dump(2) + "\n" : text);
  return kDone;
}

}  // namespace

void add_image(Program& program) {
  const auto options = std::make_shared<Options>();
  const Command command = program.add_command(
      "image", "Makes images of constants that a design does not have in its bitstream.",
      "foldstream image out --write MatMul_0.w=w.npy --output new.image",
      [&program, options] { return run(program, *options); });
  command.option("network", options->network, "a folder that build wrote").required();
  command.option("--output", options->output,
                 "for the bus, a byte address and a word a line: what must be loaded before "
                 "the first frame or, with --write, other constants");
  command.option("--memory", options->memory,
                 "for memory outside: the words of all streams of weights");
  add_write_option(command, options->writes);
  command.option_named("--write").needs(command.option_named("--output"));
}

}  // namespace foldstream
