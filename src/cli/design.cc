// SPDX-License-Identifier: Apache-2.0
#include "src/cli/design.h"

#include <fmt/format.h>

#include <cmath>

#include "src/util/error.h"

namespace foldstream {

void add_input_options(CLI::App& command, DesignOptions& options) {
  command.add_option("--input-type", options.input_type,
                     "the model's float input is an integer of this type (u8, s4 ...) divided by "
                     "--input-scale, so that its quantizer becomes hardware");
  command.add_option("--input-scale", options.input_scale, "see --input-type; 255 for pixels");
  command.add_flag("--standalone-thresholds", options.standalone_thresholds,
                   "keep thresholds out of the matrix-vector units");
}

CompileOptions compile_options(const DesignOptions& options) {
  CompileOptions result;
  result.standalone_thresholds = options.standalone_thresholds;
  if (!(options.input_scale > 0) || !std::isfinite(options.input_scale)) {
    throw Error(fmt::format("--input-scale is {}, but must be positive", options.input_scale));
  }
  if (!options.input_type.empty()) {
    const Type type = parse_element(options.input_type);
    if (type.is_float) {
      throw Error(fmt::format("--input-type is '{}', but must be an integer", options.input_type),
                  "use u8 for pixels");
    }
    result.streamline.every_input = InputFormat{type.bits, type.is_signed, options.input_scale};
  } else if (options.input_scale != 1) {
    throw Error("--input-scale without --input-type", "add --input-type u8 for pixels");
  }
  return result;
}

}  // namespace foldstream
