// SPDX-License-Identifier: Apache-2.0
// Drives a design under Verilator: offers the beats of a file to every input, with random pauses if
// asked, takes every output, and writes down each beat with the cycle in which it passed.
// streams.h, made for the design, lists its streams.
//
//   simulation IN OUT SEED INPUT_STALL OUTPUT_STALL IDLE_LIMIT EDGES BEATS...
//
// BEATS are those of each input, then of each output; EDGES is 1 where the streams between nodes
// are written down too. A faster memory clock has an edge with each of clk_i's and others between.
// Cycle 0 is the first with rst_i low. Exit status 3: nothing moved for IDLE_LIMIT cycles.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "Vsimulation.h"
#include "streams.h"

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
  constexpr int kArguments = 8;
  if (argc < kArguments) return 2;
  Random random(std::strtoull(argv[3], nullptr, 10));
  const double input_stall = std::strtod(argv[4], nullptr);
  const double output_stall = std::strtod(argv[5], nullptr);
  const int64_t idle_limit = std::strtoll(argv[6], nullptr, 10);
  const bool watch_edges = std::strtol(argv[7], nullptr, 10) != 0;

  constexpr int64_t input_words[] = {
#define FST_STREAM(prefix, width) ((width) + 31) / 32,
      FST_INPUTS(FST_STREAM)};
  constexpr int64_t output_words[] = {FST_OUTPUTS(FST_STREAM)};
#undef FST_STREAM
  std::vector<Stream> inputs(std::size(input_words)), outputs(std::size(output_words)),
      edges(FST_EDGE_COUNT);
  if (argc != kArguments + static_cast<int>(inputs.size() + outputs.size())) return 2;
  std::FILE* file = std::fopen(argv[1], "rb");
  if (file == nullptr) fail(argv[1]);
  int argument = kArguments;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    inputs[i].beats = std::strtoll(argv[argument++], nullptr, 10);
    inputs[i].words = input_words[i];
    inputs[i].data.resize(inputs[i].beats * inputs[i].words);
    if (std::fread(inputs[i].data.data(), sizeof(uint32_t), inputs[i].data.size(), file) !=
        inputs[i].data.size())
      fail("read");
  }
  std::fclose(file);
  int64_t missing = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    outputs[i].beats = std::strtoll(argv[argument++], nullptr, 10);
    outputs[i].words = output_words[i];
    missing += outputs[i].beats;
  }

  const auto context = std::make_unique<VerilatedContext>();
  const auto model = std::make_unique<Vsimulation>(context.get());
  const auto clock = [&] {
#if FST_MEMORY_CLOCK_RATIO > 1
    for (int edge = 1; edge < FST_MEMORY_CLOCK_RATIO; ++edge) {
      model->memory_clk_i = 1;
      model->eval();
      model->memory_clk_i = 0;
      model->eval();
    }
    model->memory_clk_i = 1;
#endif
    model->clk_i = 1;
    model->eval();
    model->clk_i = 0;
#if FST_MEMORY_CLOCK_RATIO > 1
    model->memory_clk_i = 0;
#endif
    model->eval();
  };
#if FST_MEMORY_CLOCK_RATIO > 1
  model->memory_clk_i = 0;
#endif
  model->clk_i = 0;
  model->rst_i = 1;
#define FST_STREAM(prefix, width) model->prefix##_valid_i = 0;
  FST_INPUTS(FST_STREAM)
#undef FST_STREAM
#define FST_STREAM(prefix, width) model->prefix##_ready_i = 0;
  FST_OUTPUTS(FST_STREAM)
#undef FST_STREAM
  model->eval();
  for (int i = 0; i < 4; ++i) clock();
  model->rst_i = 0;
  model->eval();

  int64_t idle = 0;
  for (int64_t cycle = 0; missing > 0; ++cycle) {
    // Every valid and ready of the design is a function of its registers, so they can be read
    // before this cycle's inputs are settled.
    bool moved = false;
    std::size_t index = 0;
#define FST_STREAM(prefix, width)                                                       \
  {                                                                                     \
    Stream& stream = inputs[index++];                                                   \
    const bool left = stream.passed() < stream.beats;                                   \
    if (!stream.offered && left && !random.happens(input_stall)) {                      \
      stream.offered = true;                                                            \
      put(model->prefix##_data_i, stream.data.data() + stream.passed() * stream.words); \
    }                                                                                   \
    model->prefix##_valid_i = stream.offered;                                           \
    if (stream.offered && model->prefix##_ready_o) {                                    \
      stream.cycles.push_back(cycle);                                                   \
      stream.offered = false;                                                           \
      moved = true;                                                                     \
    }                                                                                   \
  }
    FST_INPUTS(FST_STREAM)
#undef FST_STREAM
    index = 0;
#define FST_STREAM(prefix, width)                     \
  {                                                   \
    Stream& stream = outputs[index++];                \
    const bool ready = !random.happens(output_stall); \
    model->prefix##_ready_i = ready;                  \
    if (ready && model->prefix##_valid_o) {           \
      get(model->prefix##_data_o, stream.data);       \
      stream.cycles.push_back(cycle);                 \
      if (stream.passed() <= stream.beats) --missing; \
      moved = true;                                   \
    }                                                 \
  }
    FST_OUTPUTS(FST_STREAM)
#undef FST_STREAM
    index = 0;
#define FST_STREAM(prefix, width)                             \
  {                                                           \
    Stream& stream = edges[index++];                          \
    if (model->prefix##_valid_o && model->prefix##_ready_o) { \
      moved = true;                                           \
      if (watch_edges) {                                      \
        get(model->prefix##_data_o, stream.data);             \
        stream.cycles.push_back(cycle);                       \
      }                                                       \
    }                                                         \
  }
    FST_EDGES(FST_STREAM)
#undef FST_STREAM
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
