// SPDX-License-Identifier: Apache-2.0
// foldstream image: other constants for a built design, as words for its AXI4-Lite bus.
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
  std::string network, output;
  std::vector<std::string> writes;
};

int run(const Program& program, const Options& options) {
  Built built = load_hardware(options.network);
  const Design design = stitch(built.parts.core, built.part->family);
  const std::vector<std::string> nodes =
      apply_writes(built.parts.core, options.writes, built.part->family);
  const std::vector<BusWord> image = bus_image(built.parts.core, design, nodes);
  write_file(options.output, image_text(image));
  if (program.json) {
    std::cout << Json{{"output", options.output}, {"words", image.size()}}.dump(2) << "\n";
  } else {
    std::cout << fmt::format("{} words of 32 bits written to '{}'\n", image.size(), options.output);
  }
  return kDone;
}

}  // namespace

void add_image(Program& program) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(
      program, "image", "Makes an image of other constants for a design with writable weights.",
      "foldstream image out --write MatMul_0.w=w.npy --output new.image",
      [&program, options] { return run(program, *options); });
  command.add_option("network", options->network, "a folder that build wrote")->required();
  command
      .add_option("--output", options->output,
                  "where the image goes: a byte address and a word a line")
      ->required();
  add_write_option(command, options->writes);
  command.get_option("--write")->required();
}

}  // namespace foldstream
