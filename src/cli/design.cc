// SPDX-License-Identifier: Apache-2.0
#include "src/cli/design.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "src/fold/fold.h"
#include "src/fold/folding_file.h"
#include "src/ir/verify.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/interrupt.h"

namespace foldstream {
namespace {

constexpr const char* kDefaultPart = "xc7z020clg400-1";
constexpr int64_t kMostMemoryClockRatio = 8;

// Chooses the folding of every node of `core`.
void fold(Graph& core, const DesignOptions& options, Designed& result) {
  if (options.fps > 0) {
    fold_for_cycles(core, cycles_for_rate(options.fps, options.clock_mhz), *result.part);
  } else if (options.max) {
    fold_max(core, *result.part, whole_of(*result.part, options.share));
  } else {
    // An empty file names no node, which leaves every one its smallest hardware.
    if (options.folding.empty()) {
      apply_folding(core, Json::object());
      return;
    }
    FoldingRemarks remarks =
        apply_folding(core, parse_json(read_file(options.folding), options.folding));
    result.warnings = std::move(remarks.warnings);
    result.notes.insert(result.notes.end(), remarks.notes.begin(), remarks.notes.end());
  }
}

}  // namespace

void add_input_options(CLI::App& command, DesignOptions& options) {
  command.add_option("--input-type", options.input_type,
                     "the model's float input is an integer of this type (u8, s4 ...) divided by "
                     "--input-scale, or 'bipolar' (-1 and +1), so that what computes on it "
                     "becomes hardware");
  command.add_option("--input-scale", options.input_scale, "see --input-type; 255 for pixels");
  command.add_flag("--standalone-thresholds", options.standalone_thresholds,
                   "keep thresholds out of the matrix-vector units");
}

void add_design_options(CLI::App& command, DesignOptions& options) {
  auto* board = command.add_option("--board", options.board, "board to build for");
  command.add_option("--part", options.part, fmt::format("part to build for ({})", kDefaultPart))
      ->excludes(board);
  command.add_option("--clock", options.clock_mhz, "clock in MHz")
      ->check(positive())
      ->capture_default_str();
  auto* fps =
      command.add_option("--fps", options.fps, "frames a second to reach")->check(positive());
  auto* max = command.add_flag("--max", options.max, "as fast as the part allows")->excludes(fps);
  command
      .add_option("--folding", options.folding,
                  "a folding file under FINN's schema, final_hw_config.json for example")
      ->excludes(fps)
      ->excludes(max);
  command.add_option("--share", options.share, "share of the part that --max may use")
      ->check(CLI::Range(0.01, 1.0))
      ->capture_default_str();
  auto* pack = command.add_flag("--pack-memories", options.pack_memories,
                                "let memories of weights share block memories");
  command
      .add_option("--memory-clock-ratio", options.memory_clock_ratio,
                  "with --pack-memories: block memories have a clock so many times as fast as the "
                  "design's")
      ->check(CLI::Range(int64_t{1}, kMostMemoryClockRatio))
      ->needs(pack)
      ->capture_default_str();
  add_input_options(command, options);
}

Json memories_json(const SharedMemories& shared) {
  Json json = {
      {"memories", shared.memories},
      {"memory_clock_ratio", shared.ratio},
      {"BRAM_18K_alone", shared.blocks_alone},
      {"BRAM_18K", shared.packing.banks.empty() ? shared.blocks_alone
                                                : static_cast<double>(shared.packing.blocks)},
      {"BRAM_18K_bound", shared.packing.bound},
      {"bits", shared.packing.bits},
      {"efficiency", shared.packing.efficiency()},
      {"banks", Json::array()}};
  for (const MemoryBank& bank : shared.packing.banks) {
    json["banks"].push_back({{"blocks", bank.blocks},
                             {"width", bank.mode.width},
                             {"words", bank.mode.words},
                             {"parts", bank.parts.size()}});
  }
  return json;
}

CompileOptions compile_options(const DesignOptions& options) {
  CompileOptions result;
  result.standalone_thresholds = options.standalone_thresholds;
  if (!(options.input_scale > 0) || !std::isfinite(options.input_scale)) {
    throw Error(fmt::format("--input-scale is {}, but must be positive", options.input_scale));
  }
  if (options.input_type == "bipolar") {
    if (options.input_scale != 1) throw Error("--input-scale with bipolar inputs", "leave it out");
    result.streamline.every_input = InputFormat{1, false, 0.5, -1};
  } else if (!options.input_type.empty()) {
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

const Part& chosen_part(const DesignOptions& options) {
  if (!options.board.empty()) return find_part(find_board(options.board).part);
  return find_part(options.part.empty() ? kDefaultPart : options.part);
}

Designed design(const Graph& model, const std::string& name, const DesignOptions& options) {
  Designed result;
  result.part = &chosen_part(options);
  using Clock = std::chrono::steady_clock;
  Clock::time_point last = Clock::now();
  const auto done = [&](const char* step) {
    check_interrupt();
    const Clock::time_point now = Clock::now();
    result.seconds.emplace_back(step, std::chrono::duration<double>(now - last).count());
    last = now;
  };
  result.compiled = compile(model, compile_options(options));
  Graph& core = result.compiled.parts.core;
  core.name = name;
  result.notes = result.compiled.notes;
  done("streamline");
  fold(core, options, result);
  done("fold");
  insert_stream_nodes(core);
  done("insert_stream_nodes");
  if (options.pack_memories) {
    result.shared = share_memories(core, *result.part, options.memory_clock_ratio);
    result.notes.push_back(result.shared->text());
    done("pack_memories");
  }
  result.queues = set_queues(core, result.part->family);
  verify(core);
  done("set_queues");
  return result;
}

}  // namespace foldstream
