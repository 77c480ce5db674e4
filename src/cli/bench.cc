// SPDX-License-Identifier: Apache-2.0
// foldstream bench: how fast the CPU twin is on this machine, and where its time goes.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <random>

#include "src/cli/command.h"
#include "src/cli/network.h"
#include "src/exec/crew.h"
#include "src/exec/program.h"
#include "src/kernel/level.h"
#include "src/kernel/peak.h"
#include "src/util/clock.h"
#include "src/util/interrupt.h"

namespace foldstream {
namespace {

struct Options {
  std::string network;
  int64_t batch = 1024;
  double seconds = 1, scale = 255;
  bool floats = false;
  RunOptions how;
};

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double processor_seconds() { return 1e-9 * static_cast<double>(process_nanoseconds()); }

// Operands and results of a batch in memory.
class Batch {
 public:
  Batch(const exec::Program& program, int64_t frames) {
    std::mt19937_64 random(1);
    for (const exec::Port& port : program.inputs()) {
      auto& memory = in_.emplace_back(static_cast<size_t>(frames * port.storage.bytes()));
      const int64_t count = frames * port.type.count();
      for (int64_t i = 0; i < count; ++i) {
        const auto byte = static_cast<uint8_t>(random());
        switch (port.storage.form) {
          case Form::bytes:
            memory[i] = std::byte{byte};
            break;
          case Form::floats:
            reinterpret_cast<float*>(memory.data())[i] = static_cast<float>(byte) / 255.0F;
            break;
          case Form::words:
            reinterpret_cast<int32_t*>(memory.data())[i] = drawn<int32_t>(port, byte);
            break;
          default:
            reinterpret_cast<int64_t*>(memory.data())[i] = drawn<int64_t>(port, byte);
        }
      }
      from_.push_back(memory.data());
    }
    for (const exec::Port& port : program.outputs()) {
      to_.push_back(out_.emplace_back(static_cast<size_t>(frames * port.storage.bytes())).data());
    }
  }
  const std::vector<const void*>& from() const { return from_; }
  const std::vector<void*>& to() const { return to_; }

 private:
  // An element of the type, among its lowest 256.
  template <class Integer>
  static Integer drawn(const exec::Port& port, uint8_t byte) {
    const int64_t least = port.type.min();
    const uint64_t beyond = static_cast<uint64_t>(port.type.max()) - static_cast<uint64_t>(least);
    return static_cast<Integer>(least +
                                static_cast<int64_t>(byte % (std::min<uint64_t>(beyond, 255) + 1)));
  }

  std::vector<std::vector<std::byte>> in_, out_;
  std::vector<const void*> from_;
  std::vector<void*> to_;
};

struct Speed {
  double images = 0, wall = 0, processor = 0;
};

// Runs batches for at least so many seconds.
Speed measure(const exec::Program& program, const Batch& batch, int64_t frames, double seconds,
              exec::Crew& crew) {
  program.run(batch.from(), batch.to(), frames, crew);
  Speed speed;
  const double begin = wall_seconds(), used = processor_seconds();
  do {
    check_interrupt();
    program.run(batch.from(), batch.to(), frames, crew);
    speed.images += static_cast<double>(frames);
    speed.wall = wall_seconds() - begin;
  } while (speed.wall < seconds);
  speed.processor = processor_seconds() - used;
  return speed;
}

// Microseconds of single frames, sorted.
std::vector<double> latencies(const exec::Program& program, const Batch& batch, double seconds,
                              exec::Crew& crew) {
  std::vector<double> times;
  const double begin = wall_seconds();
  for (double now = begin; now - begin < seconds || times.size() < 100;) {
    check_interrupt();
    program.run(batch.from(), batch.to(), 1, crew);
    const double after = wall_seconds();
    times.push_back(1e6 * (after - now));
    now = after;
  }
  std::sort(times.begin(), times.end());
  return times;
}

int run(const Program& program, const Options& options) {
  const Network network = load_network(options.network);
  refuse_idle_options(options.how, network, Engine::cpu);
  const exec::Program compiled(
      twin_graph(network, options.how).of_model(),
      {.level = options.how.level, .byte_scale = options.floats ? 0 : options.scale});
  const Batch batch(compiled, options.batch);
  exec::Crew crew(options.how.threads);

  const Speed speed = measure(compiled, batch, options.batch, options.seconds, crew);
  const std::vector<double> times = latencies(compiled, batch, options.seconds / 4, crew);
  const auto percentile = [&](double share) {
    return times[static_cast<size_t>(share * static_cast<double>(times.size() - 1))];
  };

  // Layer by layer, on this thread, and in turns with that what the multipliers could do at most: a
  // processor's clock isn't the same at any time.
  std::vector<int64_t> nanoseconds;
  int64_t profiled = 0, turns = 0;
  std::map<Multiplier, double> peaks;  // mean
  for (const exec::StepInfo& step : compiled.steps()) peaks[step.multiplier] = 0;
  const double begin = wall_seconds();
  do {
    check_interrupt();
    compiled.profile(batch.from(), batch.to(), options.batch, nanoseconds);
    profiled += options.batch, ++turns;
    for (auto& [multiplier, peak] : peaks) {
      const double now = kernel::peak_products(multiplier, options.how.level);
      peak += (now - peak) / static_cast<double>(turns);
    }
  } while (wall_seconds() - begin < options.seconds);
  double all_time = 0, least_time = 0;
  Json steps = Json::array();
  std::string table = fmt::format("{:<28} {:<16} {:<8} {:>12} {:>10} {:>8}\n", "node", "operator",
                                  "from", "us/image", "GMAC/s", "% peak");
  for (size_t i = 0; i < nanoseconds.size(); ++i) {
    const exec::StepInfo& step = compiled.steps()[i];
    const double time = static_cast<double>(nanoseconds[i]) / static_cast<double>(profiled);
    const double products = static_cast<double>(step.products), peak = peaks[step.multiplier];
    const double least = peak > 0 ? 1e9 * products / peak : 0;
    all_time += time, least_time += least;
    Json json{{"node", step.node}, {"op", step.op}, {"from", step.how}, {"ns_per_image", time}};
    table += fmt::format("{:<28.28} {:<16.16} {:<8} {:>12.3f}", step.node, step.op, step.how,
                         time / 1000);
    if (step.products > 0) {
      json["gmac_per_second"] = products / time;
      table += fmt::format(" {:>10.1f}", products / time);
    }
    if (peak > 0) {
      json["percent_of_peak"] = 100 * least / time;
      table += fmt::format(" {:>8.1f}", 100 * least / time);
    }
    table += "\n";
    steps.push_back(std::move(json));
  }
  const double percent = all_time > 0 ? 100 * least_time / all_time : 0;
  const double rate = speed.images / speed.wall;
  if (program.json) {
    std::cout
        << Json{{"images_per_second", rate},
                {"images_per_processor_second", speed.images / speed.processor},
                {"percent_of_peak", percent},
                {"threads", crew.size()},
                {"batch", options.batch},
                {"latency_us",
                 {{"p50", percentile(0.5)}, {"p90", percentile(0.9)}, {"p99", percentile(0.99)}}},
                {"instructions",
                 options.how.level.empty() ? kernel::levels().front() : options.how.level},
                {"tile", compiled.tile_frames()},
                {"memory_bytes", compiled.memory_bytes()},
                {"steps", steps}}
               .dump(2)
        << "\n";
    return kDone;
  }
  std::cout << table
            << fmt::format(
                   "{:.0f} images/s on {} threads in batches of {}, {:.0f} a second of processor "
                   "time, {:.1f} % of the peak of its multipliers\n",
                   rate, crew.size(), options.batch, speed.images / speed.processor, percent)
            << fmt::format(
                   "latency of one image: {:.2f} us median, {:.2f} us 90 %, {:.2f} us 99 %\n",
                   percentile(0.5), percentile(0.9), percentile(0.99));
  for (const std::string& note : notes_on(compiled)) std::cout << "note: " << note << "\n";
  return kDone;
}

}  // namespace

void add_bench(Program& program) {
  const auto options = std::make_shared<Options>();
  const Command command =
      program.add_command("bench", "How fast a network runs on this machine's processor.",
                          "foldstream bench model.onnx --threads 1",
                          [&program, options] { return run(program, *options); });
  command.option("network", options->network, "a model, or a folder that build wrote").required();
  command.option("--batch", options->batch, "images handed over at once")
      .whole(1, 1 << 20)
      .shows_default();
  command.option("--seconds", options->seconds, "how long to measure").positive().shows_default();
  command.option("--scale", options->scale, "float inputs come as bytes, divided by this")
      .between(1e-30, 1e30)
      .shows_default();
  command.flag("--floats", options->floats, "float inputs come as floats");
  add_run_options(command, options->how);
}

}  // namespace foldstream
