// SPDX-License-Identifier: Apache-2.0
// Drives a design under Verilator: offers the beats of a file to every input, with random pauses if
// asked, takes every output, and writes down each beat with the cycle in which it passed.
// streams.h, made for the design, lists its streams and says whether it is behind AXI and has a
// bus.
//
//   simulation IN OUT SEED INPUT_STALL OUTPUT_STALL IDLE_LIMIT EDGES WRITES BEATS...
//
// BEATS are those of each input, each with how many of them IN has (the same again and again beyond
// these), then of each output; EDGES is 1 where the streams between nodes
// are written down too. First WRITES words with which IN begins (address, data) go over the bus and
// are read back; they are read again while beats pass. A faster memory clock has an edge with each
// of the design's and others between. Cycle 0 is the first after the writes, the first out of reset
// without any. Exit status 3: nothing moved for IDLE_LIMIT cycles; 4: a word read back or a tlast
// is not what it should be.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "Vsimulation.h"
#include "streams.h"
#ifdef FST_BUS_LATENCY
#include "simulation_bus.h"
#endif

// The names of the ports.
#ifdef FST_AXIS
#define FST_CLOCK aclk
#define FST_MEMORY_CLOCK memory_aclk
#define FST_VALID_IN(prefix) prefix##_axis_tvalid
#define FST_READY_OUT(prefix) prefix##_axis_tready
#define FST_DATA_IN(prefix) prefix##_axis_tdata
#define FST_VALID_OUT(prefix) prefix##_axis_tvalid
#define FST_READY_IN(prefix) prefix##_axis_tready
#define FST_DATA_OUT(prefix) prefix##_axis_tdata
#else
#define FST_CLOCK clk_i
#define FST_MEMORY_CLOCK memory_clk_i
#define FST_VALID_IN(prefix) prefix##_valid_i
#define FST_READY_OUT(prefix) prefix##_ready_o
#define FST_DATA_IN(prefix) prefix##_data_i
#define FST_VALID_OUT(prefix) prefix##_valid_o
#define FST_READY_IN(prefix) prefix##_ready_i
#define FST_DATA_OUT(prefix) prefix##_data_o
#endif

// tlast of an input's beat, and what it must be with an output's.
#ifdef FST_AXIS
#define FST_LAST_IN(prefix, last) model->prefix##_axis_tlast = last;
#define FST_CHECK_LAST(prefix, beat, beats_a_frame)                                    \
  {                                                                                    \
    const bool last = (beat) % (beats_a_frame) + 1 == (beats_a_frame);                 \
    if (model->prefix##_axis_tlast != last) wrong("tlast of beat", beat, !last, last); \
  }
#else
#define FST_LAST_IN(prefix, last)
#define FST_CHECK_LAST(prefix, beat, beats_a_frame)
#endif

[[noreturn]] void wrong(const char* what, uint64_t where, uint32_t found, uint32_t expected) {
  std::printf("%s %llu is %x instead of %x\n", what, static_cast<unsigned long long>(where), found,
              expected);
  std::exit(4);
}

namespace {

template <typename Port>
void put(Port& port, const uint32_t* words) {
  uint64_t value = words[0];
  if constexpr (sizeof(Port) > 4) value |= uint64_t{words[1]} << 32;
  port = static_cast<Port>(value);
}

template <std::size_t Words>
void put(VlWide<Words>& port, const uint32_t* words) {
  for (std::size_t i = 0; i < Words; ++i) port[i] = words[i];
}

template <typename Port>
void get(const Port& port, std::vector<uint32_t>& words) {
  words.push_back(static_cast<uint32_t>(port));
  if constexpr (sizeof(Port) > 4) words.push_back(static_cast<uint32_t>(uint64_t{port} >> 32));
}

template <std::size_t Words>
void get(const VlWide<Words>& port, std::vector<uint32_t>& words) {
  for (std::size_t i = 0; i < Words; ++i) words.push_back(port[i]);
}

class Random {  // xorshift64*
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  bool happens(double probability) {
    if (probability <= 0) return false;
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<double>((state_ * 0x2545f4914f6cdd1du) >> 11) * 0x1p-53 < probability;
  }

 private:
  uint64_t state_;
};

struct Stream {
  int64_t beats = 0;  // that shall pass
  int64_t words = 0;  // of a beat
  int64_t kept = 0;   // beats in `data`, of an input
  std::vector<uint32_t> data;
  std::vector<int64_t> cycles;
  bool offered = false;

  int64_t passed() const { return static_cast<int64_t>(cycles.size()); }
};

void fail(const char* what) {
  std::perror(what);
  std::exit(2);
}

void save(std::FILE* file, const Stream& stream) {
  const int64_t count = stream.passed();
  if (std::fwrite(&count, sizeof count, 1, file) != 1) fail("write");
  if (std::fwrite(stream.cycles.data(), sizeof(int64_t), stream.cycles.size(), file) !=
      stream.cycles.size())
    fail("write");
  const int64_t words = static_cast<int64_t>(stream.data.size());
  if (std::fwrite(&words, sizeof words, 1, file) != 1) fail("write");
  if (std::fwrite(stream.data.data(), sizeof(uint32_t), stream.data.size(), file) !=
      stream.data.size())
    fail("write");
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kArguments = 9;
  if (argc < kArguments) return 2;
  Random random(std::strtoull(argv[3], nullptr, 10));
  const double input_stall = std::strtod(argv[4], nullptr);
  const double output_stall = std::strtod(argv[5], nullptr);
  const int64_t idle_limit = std::strtoll(argv[6], nullptr, 10);
  const bool watch_edges = std::strtol(argv[7], nullptr, 10) != 0;
  const int64_t writes = std::strtoll(argv[8], nullptr, 10);

  constexpr int64_t input_words[] = {
#define FST_STREAM(prefix, width, beats) ((width) + 31) / 32,
      FST_INPUTS(FST_STREAM)};
  constexpr int64_t output_words[] = {FST_OUTPUTS(FST_STREAM)};
#undef FST_STREAM
#define FST_STREAM(prefix, width, beats) beats,
  constexpr int64_t output_beats[] = {FST_OUTPUTS(FST_STREAM)};
  // Of each edge in a frame; behind them one that is none, for designs without any.
  constexpr int64_t edge_beats[] = {FST_EDGES(FST_STREAM) 0};
#undef FST_STREAM
  std::vector<Stream> inputs(std::size(input_words)), outputs(std::size(output_words)),
      edges(FST_EDGE_COUNT);
  if (argc != kArguments + static_cast<int>(2 * inputs.size() + outputs.size())) return 2;
  std::FILE* file = std::fopen(argv[1], "rb");
  if (file == nullptr) fail(argv[1]);
  std::vector<uint32_t> pairs(2 * writes);
  if (std::fread(pairs.data(), sizeof(uint32_t), pairs.size(), file) != pairs.size()) fail("read");
  int argument = kArguments;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    inputs[i].beats = std::strtoll(argv[argument++], nullptr, 10);
    inputs[i].kept = std::strtoll(argv[argument++], nullptr, 10);
    inputs[i].words = input_words[i];
    inputs[i].data.resize(inputs[i].kept * inputs[i].words);
    if (std::fread(inputs[i].data.data(), sizeof(uint32_t), inputs[i].data.size(), file) !=
        inputs[i].data.size())
      fail("read");
  }
  std::fclose(file);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    outputs[i].beats = std::strtoll(argv[argument++], nullptr, 10);
    outputs[i].words = output_words[i];
  }
  for (std::size_t i = 0; watch_edges && i < edges.size(); ++i) {
    edges[i].beats = outputs[0].beats / output_beats[0] * edge_beats[i];
  }
  // Where a node leaves the end of a frame out, beats move on after the last one came out.
  int64_t missing = 0;
  for (const std::vector<Stream>* group : {&inputs, &outputs, &edges}) {
    for (const Stream& stream : *group) missing += stream.beats;
  }

  const auto context = std::make_unique<VerilatedContext>();
  const auto model = std::make_unique<Vsimulation>(context.get());
  const auto clock = [&] {
#if FST_MEMORY_CLOCK_RATIO > 1
    for (int edge = 1; edge < FST_MEMORY_CLOCK_RATIO; ++edge) {
      model->FST_MEMORY_CLOCK = 1;
      model->eval();
      model->FST_MEMORY_CLOCK = 0;
      model->eval();
    }
    model->FST_MEMORY_CLOCK = 1;
#endif
    model->FST_CLOCK = 1;
    model->eval();
    model->FST_CLOCK = 0;
#if FST_MEMORY_CLOCK_RATIO > 1
    model->FST_MEMORY_CLOCK = 0;
#endif
    model->eval();
  };
  const auto reset = [&](bool active) {
#ifdef FST_AXIS
    model->aresetn = !active;
#else
    model->rst_i = active;
#endif
  };
#if FST_MEMORY_CLOCK_RATIO > 1
  model->FST_MEMORY_CLOCK = 0;
#endif
  model->FST_CLOCK = 0;
  reset(true);
#define FST_STREAM(prefix, width, beats) model->FST_VALID_IN(prefix) = 0;
  FST_INPUTS(FST_STREAM)
#undef FST_STREAM
#define FST_STREAM(prefix, width, beats) model->FST_READY_IN(prefix) = 0;
  FST_OUTPUTS(FST_STREAM)
#undef FST_STREAM
  model->eval();
  for (int i = 0; i < 4; ++i) clock();
  reset(false);
  model->eval();
#ifdef FST_BUS_LATENCY
  std::vector<BusWord> words;
  for (std::size_t i = 0; i < pairs.size(); i += 2) words.push_back({pairs[i], pairs[i + 1]});
  Bus bus(*model, std::move(words));
  // Of its own: it changes no other pause.
  Random bus_random(std::strtoull(argv[3], nullptr, 10) + 1);
  const auto bus_step = [&] { bus.step([&] { return !bus_random.happens(input_stall); }); };
  while (!bus.done()) bus_step(), clock();
#else
  if (writes > 0) return 2;
#endif

  int64_t idle = 0;
  for (int64_t cycle = 0; missing > 0; ++cycle) {
    // Every valid and ready of the design is a function of its registers, so they can be read
    // before this cycle's inputs are settled.
    bool moved = false;
    std::size_t index = 0;
#define FST_STREAM(prefix, width, beats_a_frame)                                    \
  {                                                                                 \
    Stream& stream = inputs[index++];                                               \
    const bool left = stream.passed() < stream.beats;                               \
    if (!stream.offered && left && !random.happens(input_stall)) {                  \
      stream.offered = true;                                                        \
      put(model->FST_DATA_IN(prefix),                                               \
          stream.data.data() + stream.passed() % stream.kept * stream.words);       \
      FST_LAST_IN(prefix, stream.passed() % (beats_a_frame) + 1 == (beats_a_frame)) \
    }                                                                               \
    model->FST_VALID_IN(prefix) = stream.offered;                                   \
    if (stream.offered && model->FST_READY_OUT(prefix)) {                           \
      stream.cycles.push_back(cycle);                                               \
      stream.offered = false;                                                       \
      --missing;                                                                    \
      moved = true;                                                                 \
    }                                                                               \
  }
    FST_INPUTS(FST_STREAM)
#undef FST_STREAM
    index = 0;
#define FST_STREAM(prefix, width, beats_a_frame)             \
  {                                                          \
    Stream& stream = outputs[index++];                       \
    const bool ready = !random.happens(output_stall);        \
    model->FST_READY_IN(prefix) = ready;                     \
    if (ready && model->FST_VALID_OUT(prefix)) {             \
      get(model->FST_DATA_OUT(prefix), stream.data);         \
      FST_CHECK_LAST(prefix, stream.passed(), beats_a_frame) \
      stream.cycles.push_back(cycle);                        \
      if (stream.passed() <= stream.beats) --missing;        \
      moved = true;                                          \
    }                                                        \
  }
    FST_OUTPUTS(FST_STREAM)
#undef FST_STREAM
    index = 0;
#define FST_STREAM(prefix, width, beats_a_frame)              \
  {                                                           \
    Stream& stream = edges[index++];                          \
    if (model->prefix##_valid_o && model->prefix##_ready_o) { \
      moved = true;                                           \
      if (watch_edges) {                                      \
        get(model->prefix##_data_o, stream.data);             \
        stream.cycles.push_back(cycle);                       \
        if (stream.passed() <= stream.beats) --missing;       \
      }                                                       \
    }                                                         \
  }
    FST_EDGES(FST_STREAM)
#undef FST_STREAM
#ifdef FST_BUS_LATENCY
    bus_step();
#endif
    clock();
    idle = moved ? 0 : idle + 1;
    if (idle > idle_limit) {
      std::printf("nothing moved for %lld cycles before cycle %lld;",
                  static_cast<long long>(idle_limit), static_cast<long long>(cycle));
      for (const Stream& stream : inputs) {
        std::printf(" in %lld of %lld", static_cast<long long>(stream.passed()),
                    static_cast<long long>(stream.beats));
      }
      for (const Stream& stream : outputs) {
        std::printf(" out %lld of %lld", static_cast<long long>(stream.passed()),
                    static_cast<long long>(stream.beats));
      }
      std::printf("\n");
      return 3;
    }
  }
  model->final();

  for (Stream& stream : inputs) stream.data.clear();  // the reader has it
  file = std::fopen(argv[2], "wb");
  if (file == nullptr) fail(argv[2]);
  for (const std::vector<Stream>* group : {&inputs, &outputs, &edges}) {
    for (const Stream& stream : *group) save(file, stream);
  }
  if (std::fclose(file) != 0) fail("write");
  return 0;
}
