// SPDX-License-Identifier: Apache-2.0
#include "src/cli/design.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <functional>
#include <set>
#include <utility>

#include "src/cost/cost.h"
#include "src/flow/writable.h"
#include "src/fold/fold.h"
#include "src/fold/folding_file.h"
#include "src/ir/verify.h"
#include "src/passes/group_pixels.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/interrupt.h"

namespace foldstream {
namespace {

constexpr const char* kDefaultPart = "xc7z020clg400-1";
constexpr int64_t kMostMemoryClockRatio = 8;
constexpr double kSlowestClock = 1e-3, kFastestClock = 1e5;  // MHz
constexpr double kFastestMemory = 1e6;                       // Gbit/s

// What is left of a budget when so much is kept for queues, which come after the folding.
Cost less(const Cost& budget, const Cost& kept) {
  return {budget.lut - kept.lut,   budget.ff - kept.ff,   budget.bram18 - kept.bram18,
          budget.uram - kept.uram, budget.dsp - kept.dsp, budget.stream};
}

// Bits a cycle that streams of weights may bring.
double streamed_bits(const DesignOptions& options, double share) {
  double bandwidth = 0;
  if (options.weight_gbits) {
    bandwidth = *options.weight_gbits * 1e9;
  } else if (!options.board.empty()) {
    bandwidth = share * weight_bandwidth(find_board(options.board), options.clock_mhz);
  }
  return std::floor(bandwidth / (options.clock_mhz * 1e6));
}

// The best that a share of the part holds is asked for, not the least that does.
bool fills(const DesignOptions& options) { return options.max || options.min_latency; }
double share_of(const DesignOptions& options) { return fills(options) ? options.share : 1; }
// Whether a folding is searched for, and not given.
bool searches(const DesignOptions& options) {
  return fills(options) || options.fps > 0 || latency_limit(options) != kAnyLatency;
}

// What the search is not told of the options.
struct Reserve {
  Cost kept;                      // of the budget, for queues
  int64_t latency = kAnyLatency;  // most cycles of the first frame with endless queues
};

// What is kept from one search to the next, which has less of the budget.
using Searched = std::optional<FoldMax>;

// The nodes that take several pixels at once, and how many.
std::string groups_of(const Graph& core) {
  std::string text;
  for (const Node& node : core.nodes) {
    if (!node.attr.contains("pixels")) continue;
    text += fmt::format("{} {};", node.name, fmt::join(node.integers("pixels", {}), " "));
  }
  return text;
}

// The fastest folding that fits. Where a pixel a clock is what keeps a layer from more, with more
// pixels at once, as long as that makes it faster. `known` is what a larger budget allows.
FoldResult fold_fastest(Graph& core, FoldMax& search, const Part& part, const Cost& budget,
                        const WeightLevels& levels, int64_t latency,
                        const std::optional<FoldResult>& known) {
  const Graph plain = core.clone();
  FoldResult result = search.fold(core, budget, latency);
  if (known && result.cycles <= known->cycles) return result;
  const auto faster_within = [&](int64_t cycles) {
    Graph grouped = plain.clone();
    if (!group_pixels(grouped, cycles, part.family)) return false;
    try {
      FoldResult found = fold_max(grouped, part, budget, levels, latency);
      if (found.cycles >= result.cycles) return false;
      core = std::move(grouped), result = std::move(found);
      return true;
    } catch (const Error&) {  // not even its smallest hardware fits
      return false;
    }
  };
  Graph present = plain.clone();
  while (group_pixels(present, result.cycles - 1, part.family) &&
         (faster_within(result.cycles / 2) || faster_within(result.cycles - 1))) {
    present = plain.clone();
  }
  // More pixels were asked for than these cycles take.
  Graph fewest = plain.clone();
  group_pixels(fewest, result.cycles, part.family);
  if (groups_of(fewest) == groups_of(core)) return result;
  try {
    FoldResult found = fold_max(fewest, part, budget, levels, latency);
    if (found.cycles <= result.cycles && found.price < result.price)
      core = std::move(fewest), result = std::move(found);
  } catch (const Error&) {  // a limit of the latency may ask for more
  }
  return result;
}

using Search = std::function<FoldResult(Graph&)>;

// What `search` finds for the least latency: `core` is `plain` with as many pixels at once as the
// rate of a frame every `slowest` cycles asks for; with more and more of them where that makes the
// first frame earlier and fits.
FoldResult fold_earliest(Graph& core, const Graph& plain, Family family, int64_t slowest,
                         const Search& search) {
  std::set<std::string> tried{groups_of(core)};
  FoldResult result = search(core);
  for (int64_t cycles = result.latency - 1; cycles > 0;) {
    const int64_t latency = result.latency;
    Graph grouped = plain.clone();
    group_pixels(grouped, std::min(cycles, slowest), family);
    if (tried.insert(groups_of(grouped)).second) {
      try {
        FoldResult found = search(grouped);
        if (found.latency < result.latency) core = std::move(grouped), result = std::move(found);
      } catch (const Error&) {  // not even its smallest hardware fits
        break;
      }
    }
    cycles = result.latency < latency ? result.latency - 1 : cycles / 2;
  }
  return result;
}

// What `search` finds, where `core` is `plain` with as many pixels at once that no node needs more
// than `cycles`. A first frame in so many may ask for more of them still.
FoldResult fold_in_time(Graph& core, const Graph& plain, Family family, int64_t cycles,
                        const Search& search) {
  try {
    return search(core);
  } catch (const Error&) {
    std::exception_ptr failure = std::current_exception();
    while ((cycles /= 2) > 0) {
      Graph grouped = plain.clone();
      if (!group_pixels(grouped, cycles, family)) continue;
      try {
        FoldResult found = search(grouped);
        core = std::move(grouped);
        return found;
      } catch (const Error&) {  // says what the most pixels at once come to
        failure = std::current_exception();
      }
    }
    std::rethrow_exception(failure);
  }
}

// Chooses the folding of every node of `core`.
void fold(Graph& core, const DesignOptions& options, const Reserve& reserve, Searched& searched,
          Designed& result) {
  const Part& part = *result.part;
  const int64_t cycles =
      options.fps > 0 ? cycles_for_rate(options.fps, options.clock_mhz) : INT64_MAX;
  const double share = share_of(options);
  const Cost budget = less(budget_on(part, share, options), reserve.kept);
  const bool search = searches(options);
  const WeightLevels levels = search ? weight_levels(options, part, share) : WeightLevels{};
  // No frame is quicker than any of its nodes.
  const int64_t slowest = std::min(cycles, reserve.latency);
  const bool in_a_hurry = options.min_latency || reserve.latency != kAnyLatency;
  const Graph plain = in_a_hurry ? core.clone() : Graph{};
  if (search) group_pixels(core, slowest, part.family);
  const auto in_time = [&](const Search& find) {
    return !in_a_hurry ? find(core) : fold_in_time(core, plain, part.family, slowest, find);
  };
  if (options.min_latency) {
    result.folded = fold_earliest(core, plain, part.family, slowest, [&](Graph& graph) {
      return fold_quickest(graph, cycles, part, budget, levels);
    });
    result.latency = result.folded->latency;
  } else if (options.max) {
    if (!searched) searched.emplace(core.clone(), part, levels);
    bool is_first = true;
    result.folded = in_time([&](Graph& graph) {
      if (std::exchange(is_first, false)) {
        return fold_fastest(graph, *searched, part, budget, levels, reserve.latency, result.folded);
      }
      FoldMax of_groups(graph.clone(), part, levels);
      return fold_fastest(graph, of_groups, part, budget, levels, reserve.latency, std::nullopt);
    });
  } else if (search) {
    result.folded = in_time([&](Graph& graph) {
      return has_budget(options) ? fold_within(graph, cycles, part, budget, levels, reserve.latency)
                                 : fold_for_cycles(graph, cycles, part, levels, reserve.latency);
    });
  } else {
    // An empty file names no node, which leaves every one its smallest hardware.
    if (options.folding.empty()) {
      apply_folding(core, Json::object());
      return;
    }
    FoldingRemarks remarks =
        apply_folding(core, parse_json(read_file(options.folding), options.folding), part.uram > 0);
    result.warnings = std::move(remarks.warnings);
    result.notes.insert(result.notes.end(), remarks.notes.begin(), remarks.notes.end());
    result.stream_queues = std::move(remarks.stream_queues);
  }
}

// Of depths that a folding file gives, those behind nodes that there are not.
void warn_of_strangers(const Graph& core, Designed& result) {
  for (const auto& [name, depth] : result.stream_queues) {
    const bool found = std::any_of(core.nodes.begin(), core.nodes.end(),
                                   [&](const Node& node) { return node.name == name; });
    if (found) continue;
    result.warnings.push_back(
        fmt::format("StreamQueues of '{}' has no effect: the compiler makes no such node", name));
  }
}

}  // namespace

void add_input_options(const Command& command, DesignOptions& options) {
  command.option("--input-type", options.input_type,
                 "the model's float input is an integer of this type (u8, s4 ...) divided by "
                 "--input-scale, or 'bipolar' (-1 and +1), so that what computes on it "
                 "becomes hardware");
  command.option("--input-scale", options.input_scale, "see --input-type; 255 for pixels");
  command.flag("--standalone-thresholds", options.standalone_thresholds,
               "keep thresholds out of the matrix-vector units");
}

void add_device_options(const Command& command, DesignOptions& options) {
  const Option board = command.option("--board", options.board, "board to build for");
  command.option("--part", options.part, fmt::format("part to build for ({})", kDefaultPart))
      .excludes(board);
  command.option("--clock", options.clock_mhz, "clock in MHz")
      .between(kSlowestClock, kFastestClock)
      .shows_default();
  command.option("--share", options.share, "share of the part that may be used")
      .between(0.01, 1)
      .shows_default();
  const auto budget = [&](const char* name, std::optional<int64_t>& most, const char* what) {
    command.option(name, most, fmt::format("at most so many {}", what)).not_negative();
  };
  budget("--lut", options.lut, "look-up tables");
  budget("--ff", options.ff, "flip-flops");
  budget("--bram", options.bram18, "blocks of memory of 18 Kbit");
  budget("--uram", options.uram, "UltraRAM blocks");
  budget("--dsp", options.dsp, "DSP blocks");
}

void add_latency_options(const Command& command, DesignOptions& options) {
  const Option cycles = command
                            .option("--latency-cycles", options.latency_cycles,
                                    "from the first beat of a frame in to its last beat out, at an "
                                    "idle design, at most so many cycles")
                            .whole(1, int64_t{1} << 50);
  command.option("--latency-ns", options.latency_ns, "the same in nanoseconds of the clock")
      .positive()
      .excludes(cycles);
}

void add_weight_options(const Command& command, DesignOptions& options) {
  command
      .option("--weights", options.weights,
              "in a search, where weights may be that would be in block memory: "
              "bitstream; load, in UltraRAM that a driver fills before the first frame, too; "
              "stream, or read from memory outside again and again; auto: the first of these "
              "with which a folding fits")
      .one_of({"auto", "bitstream", "load", "stream"})
      .shows_default();
  command
      .option("--weight-bandwidth", options.weight_gbits,
              "Gbit/s that streams of weights may bring, instead of what the board has")
      .between(0, kFastestMemory);
}

void refuse_design_options(const DesignOptions& options, const std::string& path) {
  const std::vector<std::string> given =
      options.given ? options.given() : std::vector<std::string>();
  if (given.empty()) return;
  throw Error(
      fmt::format("'{}' is built already, so {} can't change it", path, fmt::join(given, ", ")),
      "name the model instead, or build it again");
}

void add_design_options(const Command& command, DesignOptions& options) {
  const std::vector<std::string> others = command.names();
  add_device_options(command, options);
  const Option fps = command.option("--fps", options.fps, "frames a second to reach").positive();
  const Option max = command.flag("--max", options.max, "as fast as the part allows").excludes(fps);
  add_latency_options(command, options);
  const Option quickest =
      command.flag("--min-latency", options.min_latency,
                   "the first frame in as few cycles as the part allows; with --fps of those "
                   "foldings that reach it");
  quickest.excludes(max);
  const Option folding =
      command.option("--folding", options.folding,
                     "a folding file under FINN's schema, final_hw_config.json for example");
  folding.excludes(fps).excludes(max).excludes(quickest);
  for (const char* latency : {"--latency-cycles", "--latency-ns"}) {
    folding.excludes(command.option_named(latency));
    quickest.excludes(command.option_named(latency));
  }
  const Option pack = command.flag("--pack-memories", options.pack_memories,
                                   "let memories of weights share block memories");
  command
      .option("--memory-clock-ratio", options.memory_clock_ratio,
              "with --pack-memories: block memories have a clock so many times as fast as the "
              "design's")
      .whole(1, kMostMemoryClockRatio)
      .needs(pack)
      .shows_default();
  command.flag("--least-queues", options.least_queues,
               "make every queue the least that it can be, and prove it; takes minutes for "
               "large networks");
  for (const char* budget : {"--lut", "--ff", "--bram", "--uram", "--dsp"})
    command.option_named(budget).excludes(folding);
  command
      .option("--writable-weights", options.writable_weights,
              "a node, or all: its weights and thresholds can be written over AXI4-Lite; "
              "NODE:s4 for weights of a wider type; repeatable")
      .one_value_each();
  add_weight_options(command, options);
  add_input_options(command, options);
  std::vector<std::string> ours;
  for (const std::string& name : command.names()) {
    if (std::ranges::find(others, name) == others.end()) ours.push_back(name);
  }
  options.given = [command, ours] {
    std::vector<std::string> given = command.given();
    std::erase_if(given, [&](const std::string& name) {
      return std::ranges::find(ours, name) == ours.end();
    });
    return given;
  };
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
  result.streamline.every_input = input_format(options.input_type, options.input_scale);
  return result;
}

const Part& chosen_part(const DesignOptions& options) {
  if (!options.board.empty()) return find_part(find_board(options.board).part);
  return find_part(options.part.empty() ? kDefaultPart : options.part);
}

int64_t latency_limit(const DesignOptions& options) {
  if (options.latency_cycles) return *options.latency_cycles;
  if (options.latency_ns) return cycles_for_time(*options.latency_ns, options.clock_mhz);
  return kAnyLatency;
}

WeightLevels weight_levels(const DesignOptions& options, const Part& part, double share) {
  const bool ultra = part.uram > 0;
  const double streamed = streamed_bits(options, share);
  const WeightPlaces bitstream{.ultra = ultra}, load{.ultra = ultra, .loads = ultra},
      stream{.ultra = ultra, .loads = ultra, .streamed = streamed};
  if (options.weights == "bitstream") return {bitstream};
  if (options.weights == "load") {
    if (!ultra) throw Error(fmt::format("--weights load: {} has no UltraRAM", part.name));
    return {load};
  }
  if (options.weights == "stream") {
    if (streamed < 8) {
      throw Error("--weights stream: how fast streams of weights may be is not known",
                  "name a board with memory, or give --weight-bandwidth GBIT");
    }
    return {stream};
  }
  WeightLevels levels{bitstream};
  if (ultra) levels.push_back(load);
  if (streamed >= 8) levels.push_back(stream);
  return levels;
}

bool has_budget(const DesignOptions& options) {
  return options.lut || options.ff || options.bram18 || options.uram || options.dsp;
}

Cost budget_on(const Part& part, double share, const DesignOptions& options) {
  Cost budget = whole_of(part, share);
  const Cost whole = whole_of(part);
  const auto set = [](double& most, double all, const std::optional<int64_t>& asked) {
    if (asked) most = std::min(all, static_cast<double>(*asked));
  };
  set(budget.lut, whole.lut, options.lut);
  set(budget.ff, whole.ff, options.ff);
  set(budget.bram18, whole.bram18, options.bram18);
  set(budget.uram, whole.uram, options.uram);
  set(budget.dsp, whole.dsp, options.dsp);
  budget.stream = streamed_bits(options, share);
  return budget;
}

namespace {

// Steps that are repeated count together.
class StepClock {
 public:
  explicit StepClock(Designed& result) : result_(result) {}
  void done(const char* step) {
    check_interrupt();
    const Clock::time_point now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    for (auto& [name, total] : result_.seconds) {
      if (name == step) return void(total += seconds);
    }
    result_.seconds.emplace_back(step, seconds);
  }

 private:
  using Clock = std::chrono::steady_clock;
  Designed& result_;
  Clock::time_point last_ = Clock::now();
};

// Makes hardware of the compiled core.
void size_core(const DesignOptions& options, const Reserve& reserve, Searched& searched,
               Designed& result) {
  StepClock clock(result);
  Graph& core = result.compiled.parts.core;
  fold(core, options, reserve, searched, result);
  if (any_writable(core)) settle_types(result.compiled.parts);  // the folding file may say so, too
  clock.done("fold");
  insert_stream_nodes(core);
  clock.done("insert_stream_nodes");
  if (options.pack_memories) {
    result.shared = share_memories(core, *result.part, options.memory_clock_ratio);
    clock.done("pack_memories");
  }
  result.queues =
      set_queues(core, result.part->family, result.latency,
                 options.least_queues ? QueueEffort::each_the_least : QueueEffort::what_pays,
                 result.stream_queues);
  warn_of_strangers(core, result);
  verify(core);
  clock.done("set_queues");
}

// Repeats the search until its folding leaves room for the queues, which are known only behind it:
// where they pass the budget, as much of it is kept for them; where a deep one makes the first
// frame late, as many cycles. Whether there was need to.
bool leave_room_for_queues(const Parts& unfolded, const DesignOptions& options, Reserve reserve,
                           Searched& searched, Designed& result) {
  const bool limited = fills(options) || has_budget(options);
  const Cost budget = budget_on(*result.part, share_of(options), options);
  constexpr int kAttempts = 4;
  for (int attempt = 0;; ++attempt) {
    const Cost total = total_cost(result.compiled.parts.core, result.part->family);
    const bool too_large = limited && !fits(total, budget);
    const int64_t late = result.queues.latency_cycles - result.latency;
    if (!too_large && late <= 0) return attempt > 0;
    if (options.min_latency && !too_large) {
      result.notes.push_back(fmt::format(
          "queues in block memory make the first frame {} cycles later than the folding alone",
          late));
      return attempt > 0;
    }
    const std::string found = too_large ? "takes " + exceeded(total, budget)
                                        : fmt::format("needs {} cycles for the first frame, not {}",
                                                      result.queues.latency_cycles, result.latency);
    if (attempt == kAttempts && too_large) {
      result.warnings.push_back("with its queues the design " + found);
      return true;
    }
    const auto keep = [](double& of, double all, double folded, double most) {
      if (all > most) of = std::max(of, std::ceil(all - folded));
    };
    if (too_large) {
      const Cost& folded = result.folded->cost;
      Cost& kept = reserve.kept;
      keep(kept.lut, total.lut, folded.lut, budget.lut);
      keep(kept.ff, total.ff, folded.ff, budget.ff);
      keep(kept.bram18, total.bram18, folded.bram18, budget.bram18);
      keep(kept.uram, total.uram, folded.uram, budget.uram);
      keep(kept.dsp, total.dsp, folded.dsp, budget.dsp);
    }
    if (late > 0 && !options.min_latency) {
      reserve.latency -= late;
      searched.reset();  // other groups of pixels may be needed
    }
    result.compiled.parts = unfolded.clone();
    try {
      if (attempt == kAttempts || reserve.latency < 1) throw Error("no folding was found");
      size_core(options, reserve, searched, result);
    } catch (const Error& error) {
      throw Error(fmt::format("with its queues the design {}, and with room for them: {}", found,
                              error.what()),
                  error.help());
    }
  }
}

}  // namespace

Designed compiled_design(const Graph& model, const std::string& name,
                         const DesignOptions& options) {
  if (has_budget(options) && !searches(options)) {
    throw Error("a budget of resources without a rate or a latency",
                "add --max for the fastest that keeps it, --min-latency, --fps N or "
                "--latency-cycles N");
  }
  Designed result;
  result.part = &chosen_part(options);
  result.latency = latency_limit(options);
  StepClock clock(result);
  result.compiled = compile(model, compile_options(options));
  Parts& parts = result.compiled.parts;
  parts.core.name = name;
  result.notes = result.compiled.notes;
  if (!options.writable_weights.empty()) {
    make_writable(parts, options.writable_weights, result.part->family);
  }
  clock.done("streamline");
  return result;
}

void size_design(const DesignOptions& options, Designed& result) {
  const Reserve reserve{{}, result.latency};
  Parts& parts = result.compiled.parts;
  const bool bounded = fills(options) || has_budget(options) || reserve.latency != kAnyLatency;
  const Parts unfolded = bounded ? parts.clone() : Parts{};
  Searched searched;
  size_core(options, reserve, searched, result);
  const bool has_less =
      bounded && leave_room_for_queues(unfolded, options, reserve, searched, result);
  if (result.shared) result.notes.push_back(result.shared->text());
  result.weights = weights_report(
      parts.core, result.part->family, result.queues.interval_cycles, options.clock_mhz,
      streamed_bits(options, share_of(options)) * options.clock_mhz * 1e6);
  for (const std::string& note : weights_notes(result.weights)) result.notes.push_back(note);
  if (!result.folded) return;
  result.proof = result.folded->proof();
  if (has_less) result.proof += " for the budget less what its queues take";
  if (result.proof != "proved optimal") result.notes.push_back("folding: " + result.proof);
}

Designed design(const Graph& model, const std::string& name, const DesignOptions& options) {
  Designed result = compiled_design(model, name, options);
  size_design(options, result);
  return result;
}

}  // namespace foldstream
