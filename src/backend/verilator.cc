// SPDX-License-Identifier: Apache-2.0
#include "src/backend/verilator.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <system_error>

#include "src/backend/tools.h"
#include "src/rtl/beats.h"
#include "src/util/embedded.h"
#include "src/util/error.h"
#include "src/util/files.h"
#include "src/util/parallel.h"
#include "src/util/process.h"
#include "src/util/progress.h"
#include "src/util/sha256.h"

namespace foldstream {
namespace {

namespace fs = std::filesystem;

constexpr size_t kCachedSimulations = 32;
constexpr size_t kCachedRuntimes = 3;        // of other compilers and other folders of tools
constexpr int64_t kSplitStatements = 20000;  // of a generated C++ file
constexpr uintmax_t kUnitBytes = 400'000;    // of generated C++ compiled in one piece
constexpr const char* kBench = "src/backend/embedded/simulation.cpp";
constexpr const char* kBus = "src/backend/embedded/simulation_bus.h";
constexpr const char* kProgram = "simulation";
constexpr const char* kPartial = ".partial-";

std::string streams_header(const Design& design, const BuildOptions& options) {
  const auto list = [](const auto& ports) {
    std::string text;
    for (const auto& port : ports) {
      text += fmt::format(" X({}, {}, {})", port.prefix, port.stream.width(), port.stream.beats);
    }
    return text;
  };
  std::string edges;
  for (size_t i = 0; !options.axi && i < design.edges.size(); ++i) {
    const Stream& stream = design.edges[i].stream;
    edges += fmt::format(" X(p{}, {}, {})", i, stream.width(), stream.beats);
  }
  std::string text = fmt::format(
      "#pragma once\n#define FST_INPUTS(X){}\n#define FST_OUTPUTS(X){}\n#define FST_EDGES(X){}\n"
      "#define FST_EDGE_COUNT {}\n#define FST_MEMORY_CLOCK_RATIO {}\n",
      list(design.inputs) + list(design.weights), list(design.outputs), edges,
      options.axi ? 0 : design.edges.size(), design.memory_clock_ratio);
  if (options.axi) text += "#define FST_AXIS\n";
  if (design.bus_address_bits > 0) text += fmt::format("#define FST_BUS_LATENCY {}\n", kBusLatency);
  return text;
}

std::string compiler() {
  const char* chosen = std::getenv("CXX");
  return chosen != nullptr && *chosen != '\0' ? chosen : "c++";
}

void run_or_throw(const std::vector<std::string>& argv, const ProcessOptions& options,
                  std::string_view what) {
  const ProcessResult result = run_process(argv, options);
  if (result.status == 0) return;
  constexpr size_t kShown = 2000;
  throw Error(fmt::format("{} failed (exit status {}): {}", what, result.status,
                          result.output.substr(0, kShown)));
}

struct Unit {
  fs::path source, object;
  std::vector<std::string> flags;  // beside those of all units
};

// Compiles sources to objects, a few at a time.
void compile(const std::vector<Unit>& units, const std::vector<std::string>& flags,
             Progress& progress) {
  parallel_for(units.size(), [&](size_t i) {
    const Unit& unit = units[i];
    std::vector<std::string> argv = {compiler()};
    argv.insert(argv.end(), flags.begin(), flags.end());
    argv.insert(argv.end(), unit.flags.begin(), unit.flags.end());
    argv.insert(argv.end(), {"-c", unit.source.string(), "-o", unit.object.string()});
    run_or_throw(argv, {.environment = faster_allocation()}, "compiling the simulation");
    progress.note(unit.source.filename().string());
  });
}

// Collects the generated files, of which each reads the same large headers, into a few: what runs
// once ("slow" files and symbol tables) apart from what runs in every cycle.
struct Sources {
  std::vector<fs::path> once, often;
};

Sources collect_sources(const fs::path& folder) {
  std::vector<fs::path> once, often;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string name = entry.path().filename().string();
    const bool is_slow =
        name.find("__Slow") != std::string::npos || name.find("__Syms") != std::string::npos;
    (is_slow ? once : often).push_back(entry.path());
  }
  const auto collect = [&](std::vector<fs::path>& sources, std::string_view stem) {
    std::sort(sources.begin(), sources.end());
    std::vector<fs::path> units;
    std::string text;
    uintmax_t size = 0;
    for (size_t i = 0; i < sources.size(); ++i) {
      text += fmt::format("#include \"{}\"\n", sources[i].filename().string());
      size += fs::file_size(sources[i]);
      if (size < kUnitBytes && i + 1 < sources.size()) continue;
      units.push_back(folder / fmt::format("{}_{}.cc", stem, units.size()));
      write_file(units.back(), text);
      text.clear();
      size = 0;
    }
    return units;
  };
  return {collect(once, "once"), collect(often, "often")};
}

std::vector<std::string> compile_flags(const fs::path& verilator) {
  return {"-std=c++20",
          "-fno-stack-protector",
          "-w",
          "-DVM_COVERAGE=0",
          "-DVM_SC=0",
          "-DVM_TIMING=0",
          "-DVM_TRACE=0",
          "-DVL_TIME_CONTEXT",
          "-I" + (verilator / "include").string(),
          "-I" + (verilator / "include" / "vltstd").string()};
}

// Where a folder of the cache is made, so that renaming it to its place is one step.
fs::path beside(const fs::path& folder) {
  return fmt::format("{}{}{}", folder.string(), kPartial, ::getpid());
}

// Moves a finished folder into the cache; a rival that was faster is as good.
void publish(const fs::path& made, const fs::path& folder) {
  std::error_code error;
  fs::rename(made, folder, error);
  if (error && !fs::exists(folder)) {
    throw Error(fmt::format("can't write '{}': {}", folder.string(), error.message()),
                "set FOLDSTREAM_CACHE to a folder that you may write to");
  }
}

// Marks an entry of the cache as used now.
void touch(const fs::path& entry) {
  std::error_code ignored;
  fs::last_write_time(entry, fs::file_time_type::clock::now(), ignored);
}

// Keeps the cache from growing for ever: the entries not used for longest go. What another process
// may still be making stays.
void prune(const fs::path& cache, size_t kept) {
  constexpr auto kLongestBuild = std::chrono::hours(24);
  const fs::file_time_type now = fs::file_time_type::clock::now();
  std::error_code ignored;
  std::vector<std::pair<fs::file_time_type, fs::path>> entries;
  for (const auto& entry : fs::directory_iterator(cache, ignored)) {
    const fs::file_time_type used = fs::last_write_time(entry.path(), ignored);
    const bool made = entry.path().filename().string().find(kPartial) == std::string::npos;
    if (made || now - used > kLongestBuild) entries.emplace_back(used, entry.path());
  }
  std::sort(entries.begin(), entries.end());
  for (size_t i = 0; i + kept < entries.size(); ++i) fs::remove_all(entries[i].second, ignored);
}

// What all simulations share: Verilator's own library, and its headers precompiled, which take
// longer to read than the code of a small design.
class Runtime {
 public:
  // Made once, in the cache.
  Runtime(const fs::path& verilator, const std::vector<std::string>& flags, Progress& progress) {
    const fs::path include = verilator / "include";
    std::string key = tool_version("verilator") + run_process({compiler(), "--version"}, {}).output;
    for (const std::string& flag : flags) key += " " + flag;
    // Some compilers refuse what they made of a header that was written anew since.
    std::error_code ignored;
    const auto written = fs::last_write_time(include / "verilated.h", ignored);
    key += fmt::format(" {}", written.time_since_epoch().count());
    folder_ = cache_folder() / "runtime" / sha256(key).substr(0, 32);
    if (fs::exists(folder_)) {
      touch(folder_);
      return;
    }
    const TemporaryFolder made(beside(folder_));
    std::vector<Unit> units;
    for (const char* name : kLibrary) {
      units.push_back({include / name, made.path() / (std::string(name) + ".o"), {kOften}});
    }
    for (const char* level : {kOften, kOnce}) {
      const fs::path header = made.path() / level / kHeader;
      write_file(header, "#include \"verilated.h\"\n");  // for whom the precompiled one won't do
      units.push_back(
          {include / "verilated.h", header.string() + ".gch", {level, "-x", "c++-header"}});
    }
    compile(units, flags, progress);
    publish(made.path(), folder_);
    prune(folder_.parent_path(), kCachedRuntimes);
  }

  std::vector<fs::path> objects() const {
    std::vector<fs::path> objects;
    for (const char* name : kLibrary) objects.push_back(folder_ / (std::string(name) + ".o"));
    return objects;
  }
  // For a unit of a design at that level of optimization.
  std::vector<std::string> flags(const std::string& level) const {
    return {level, "-include", (folder_ / level / kHeader).string()};
  }

  static constexpr const char* kOften = "-O1";  // for what runs in every cycle
  static constexpr const char* kOnce = "-O0";

 private:
  static constexpr const char* kLibrary[] = {"verilated.cpp", "verilated_threads.cpp"};
  static constexpr const char* kHeader = "headers.h";

  fs::path folder_;
};

class Reader {
 public:
  explicit Reader(std::string bytes) : bytes_(std::move(bytes)) {}
  Simulation::Trace trace() {
    Simulation::Trace trace;
    read(trace.cycles);
    read(trace.words);
    return trace;
  }

 private:
  template <typename Item>
  void read(std::vector<Item>& items) {
    int64_t count = 0;
    take(&count, sizeof count);
    FOLDSTREAM_CHECK(count >= 0 && count <= static_cast<int64_t>(bytes_.size() / sizeof(Item)));
    items.resize(static_cast<size_t>(count));
    take(items.data(), items.size() * sizeof(Item));
  }
  void take(void* to, size_t size) {
    FOLDSTREAM_CHECK(at_ + size <= bytes_.size());
    if (size > 0) std::memcpy(to, bytes_.data() + at_, size);
    at_ += size;
  }

  std::string bytes_;
  size_t at_ = 0;
};

// Whether the folder of a simulation holds all that it runs with.
bool is_whole(const fs::path& folder, const Design& design) {
  const auto has = [&](const std::string& file, const auto& fits) {
    std::error_code error;
    const auto size = fs::file_size(folder / file, error);
    return !error && fits(size);
  };
  if (!has(kProgram, [](auto size) { return size > 0; })) return false;
  return std::ranges::all_of(design.memories(), [&](const std::string& path) {
    return has(path, [&](auto size) { return size == design.files.at(path).size(); });
  });
}

}  // namespace

Simulation::Simulation(const Design& design, const BuildOptions& options)
    : design_(design), options_(options) {
  const fs::path verilator = tool_package("verilator");
  const std::string streams = streams_header(design_, options_);
  const std::string bench(embedded_file(kBench)), bus(embedded_file(kBus));
  const std::vector<std::string> sources = design_.sources(Family::generic);

  std::string key = fmt::format("{} {} {} {}\n", tool_version("verilator"), compiler(),
                                options_.assertions, design_.name);
  for (const auto& [path, text] : design_.files) key += path + "\n" + text;
  key += streams + bench + bus;
  folder_ = cache_folder() / "simulations" / sha256(key).substr(0, 32);
  was_cached_ = is_whole(folder_, design_);
  if (was_cached_) {
    touch(folder_);
    return;
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);  // what a cleaner of files left of it

  Progress progress("building the simulation");
  const TemporaryFolder work;
  const fs::path rtl = work.path() / "rtl";
  for (const auto& [path, text] : design_.files) write_file(rtl / path, text);
  const std::string top = design_.name + (options_.axi ? "_axis" : "_probe");
  if (!options_.axi) write_file(rtl / (top + ".sv"), design_.probe);
  const fs::path code = work.path() / "code";

  std::vector<std::string> argv = {(verilator / "bin" / "verilator_bin").string(),
                                   "--cc",
                                   "--top-module",
                                   top,
                                   "--prefix",
                                   "Vsimulation",
                                   "-Mdir",
                                   code.string(),
                                   "-O3",
                                   "--x-assign",
                                   "fast",
                                   "--x-initial",
                                   "fast",
                                   "--no-timing",
                                   "--output-split",
                                   std::to_string(kSplitStatements),
                                   "-Ilib"};
  if (options_.assertions) argv.push_back("--assert");
  for (const std::string& source : sources) {
    const bool plain = source == design_.name + ".sv", axi = source == design_.name + "_axis.sv";
    if (plain ? !options_.axi : axi) continue;  // the tops, of which the outermost comes last
    argv.push_back(source);
  }
  argv.push_back(top + ".sv");
  progress.note("verilator");
  std::map<std::string, std::string> environment = faster_allocation();
  environment["VERILATOR_ROOT"] = verilator.string();
  run_or_throw(argv, {.folder = rtl, .environment = environment}, "Verilator");

  write_file(code / "streams.h", streams);
  write_file(code / "simulation.cpp", bench);
  write_file(code / "simulation_bus.h", bus);
  std::vector<std::string> flags = compile_flags(verilator);
  const Runtime runtime(verilator, flags, progress);
  std::vector<Unit> units;
  const auto add = [&](const std::vector<fs::path>& sources, const char* level) {
    for (const fs::path& source : sources) {
      units.push_back({source, source.string() + ".o", runtime.flags(level)});
    }
  };
  const Sources generated = collect_sources(code);
  add(generated.often, Runtime::kOften);
  add(generated.once, Runtime::kOnce);
  flags.push_back("-I" + code.string());
  compile(units, flags, progress);

  const TemporaryFolder made(beside(folder_));
  std::vector<std::string> link = {compiler(), "-o", (made.path() / kProgram).string()};
  for (const Unit& unit : units) link.push_back(unit.object);
  for (const fs::path& object : runtime.objects()) link.push_back(object);
  link.insert(link.end(), {"-pthread", "-latomic"});
  run_or_throw(link, {}, "linking the simulation");
  for (const std::string& path : design_.memories()) {
    write_file(made.path() / path, design_.files.at(path));  // they are read when it starts
  }
  publish(made.path(), folder_);
  prune(folder_.parent_path(), kCachedSimulations);
}

Simulation::Result Simulation::run(const std::vector<std::vector<Tensor>>& frames,
                                   const Options& options) const {
  const TemporaryFolder work;
  std::string bytes;
  std::vector<BusWord> writes = design_.first_writes();
  writes.insert(writes.end(), options.writes.begin(), options.writes.end());
  for (const BusWord& write : writes) {
    const uint32_t words[] = {static_cast<uint32_t>(write.address), write.data};
    bytes.append(reinterpret_cast<const char*>(words), sizeof words);
  }
  const auto add = [&](const std::vector<uint32_t>& words) {
    bytes.append(reinterpret_cast<const char*>(words.data()), words.size() * sizeof words[0]);
  };
  std::vector<std::string> beats;
  for (size_t input = 0; input < design_.inputs.size(); ++input) {
    const Stream& stream = design_.inputs[input].stream;
    std::vector<uint32_t> words;
    for (const std::vector<Tensor>& operands : frames) {
      FOLDSTREAM_CHECK(operands.size() == design_.inputs.size());
      pack_beats(operands[input], stream, words);
    }
    add(words);
    beats.push_back(std::to_string(stream.beats * static_cast<int64_t>(frames.size())));
    beats.push_back(beats.back());
  }
  for (const DesignWeights& weights : design_.weights) {
    add(pack_words(weights.words));
    beats.push_back(std::to_string(weights.stream.beats * static_cast<int64_t>(frames.size())));
    beats.push_back(std::to_string(weights.shape.depth));
  }
  for (const DesignPort& output : design_.outputs) {
    beats.push_back(std::to_string(output.stream.beats * static_cast<int64_t>(frames.size())));
  }
  write_file(work.path() / "in", bytes);
  std::vector<std::string> argv = {
      (folder_ / kProgram).string(),          (work.path() / "in").string(),
      (work.path() / "out").string(),         std::to_string(options.seed),
      fmt::format("{}", options.input_stall), fmt::format("{}", options.output_stall),
      std::to_string(options.idle_limit),     options.watch_edges ? "1" : "0",
      std::to_string(writes.size())};
  argv.insert(argv.end(), beats.begin(), beats.end());
  const ProcessResult process = run_process(argv, {.folder = folder_});
  if (process.status == 3) {
    throw Error(fmt::format("the design '{}' is stuck: {}", design_.name, process.output));
  }
  if (process.status != 0) {
    throw Error(fmt::format("the simulation of '{}' failed (exit status {}): {}", design_.name,
                            process.status, process.output));
  }
  Reader reader(read_file(work.path() / "out"));
  Result result;
  for (size_t i = 0; i < design_.inputs.size(); ++i) result.inputs.push_back(reader.trace());
  for (size_t i = 0; i < design_.weights.size(); ++i) result.weights.push_back(reader.trace());
  for (size_t i = 0; i < design_.outputs.size(); ++i) result.outputs.push_back(reader.trace());
  for (size_t i = 0; options.watch_edges && i < design_.edges.size(); ++i) {
    result.edges.push_back(reader.trace());
  }
  for (const Trace& trace : result.outputs) {
    if (!trace.cycles.empty()) result.cycles = std::max(result.cycles, trace.cycles.back() + 1);
  }
  return result;
}

namespace {

Tensor frame_of(const Simulation::Trace& trace, const Stream& stream, const Type& type,
                int64_t frame) {
  const size_t count = static_cast<size_t>(stream.beats * words_per_beat(stream));
  const size_t begin = static_cast<size_t>(frame) * count;
  FOLDSTREAM_CHECK(begin + count <= trace.words.size());
  return unpack_beats(std::span(trace.words).subspan(begin, count), stream, type);
}

}  // namespace

std::vector<Tensor> Simulation::outputs(const Result& result, int64_t frame) const {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < design_.outputs.size(); ++i) {
    tensors.push_back(
        frame_of(result.outputs[i], design_.outputs[i].stream, design_.outputs[i].type, frame));
  }
  return tensors;
}

Tensor Simulation::edge(const Result& result, size_t edge, int64_t frame) const {
  return frame_of(result.edges.at(edge), design_.edges.at(edge).stream, design_.edges.at(edge).type,
                  frame);
}

Timing timing(const Design& design, const Simulation::Result& result, int64_t frames) {
  FOLDSTREAM_CHECK(frames >= 1);
  Timing timing{.cycles = result.cycles};
  int64_t first_in = result.cycles;
  for (const Simulation::Trace& trace : result.inputs) {
    if (!trace.cycles.empty()) first_in = std::min(first_in, trace.cycles.front());
  }
  for (size_t i = 0; i < design.outputs.size(); ++i) {
    const auto last_of = [&](int64_t frame) {
      return result.outputs[i].cycles.at(design.outputs[i].stream.beats * (frame + 1) - 1);
    };
    timing.latency = std::max(timing.latency, last_of(0) - first_in);
    if (frames > 1) {
      timing.interval = std::max(timing.interval, last_of(frames - 1) - last_of(frames - 2));
    }
  }
  return timing;
}

}  // namespace foldstream
