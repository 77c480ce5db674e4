// SPDX-License-Identifier: Apache-2.0
// An accelerator between a memory behind its AXI4 ports and a driver behind its AXI4-Lite port, both
// with random pauses. The driver speaks on standard input: what is below under `commands`. Every
// breach of AXI4 that the movers could commit ends the program with a line on standard error.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "Vtop.h"
#include "ports.h"  // READ_PORTS and WRITE_PORTS of the design, HAS_MEMORY_CLOCK, MEMORY_CLOCK_RATIO
#include "verilated.h"

namespace {

constexpr uint64_t kBase = 0x1'2345'0000'0000;  // the high half of an address counts, too
constexpr uint64_t kPage = 4096;
constexpr unsigned kWordBytes = WORD_BYTES;
constexpr int kOkay = 0, kDecodeError = 3;

std::mt19937_64 random_bits;
double pause_chance = 0;
bool pauses() { return std::uniform_real_distribution<>(0, 1)(random_bits) < pause_chance; }

[[noreturn]] void breach(const std::string& what) {
  std::fprintf(stderr, "breach: %s\n", what.c_str());
  std::exit(3);
}

// Memory is what was allocated, whole pages each; between allocations a page is left out.
struct Memory {
  std::vector<std::pair<uint64_t, std::vector<uint8_t>>> blocks;
  uint64_t next = kBase;

  uint64_t allocate(uint64_t size) {
    const uint64_t address = next;
    std::vector<uint8_t> bytes((size + kWordBytes - 1) / kWordBytes * kWordBytes);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random_bits());
    next += (bytes.size() + kPage - 1) / kPage * kPage + kPage;
    blocks.emplace_back(address, std::move(bytes));
    return address;
  }
  uint8_t* at(uint64_t address, uint64_t size) {
    for (auto& [first, bytes] : blocks) {
      if (address >= first && address + size <= first + bytes.size()) {
        return bytes.data() + (address - first);
      }
    }
    return nullptr;
  }
  bool free(uint64_t address) {
    for (size_t i = 0; i < blocks.size(); ++i) {
      if (blocks[i].first != address) continue;
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(i));
      return true;
    }
    return false;
  }
} memory;

// The signals of a channel, whatever their type in the model is.
template <class Data>
uint8_t* bytes_of(Data& data) {
  return reinterpret_cast<uint8_t*>(&data);
}

struct Address {
  uint64_t next = 0;
  unsigned left = 0;  // words
};

Address begin_burst(uint64_t address, unsigned length, unsigned size, unsigned kind) {
  const unsigned words = length + 1;
  if (1u << size != kWordBytes) breach("a burst of narrow words");
  if (kind != 1) breach("a burst that is not INCR");
  if (address % kWordBytes != 0) breach("an address inside a word");
  if (address / kPage != (address + words * kWordBytes - 1) / kPage) breach("a burst across a page");
  if (words > 16) breach("a burst of more than 16 words");
  return {address, words};
}

// Both kinds: set() before the clock's edge what the memory offers, take() what went over there.
struct Port {
  std::function<void()> set, take;
};

template <class Top>
std::vector<Port> ports(Top& top) {
  std::vector<Port> all;
#define READ_PORT(name)                                                                         \
  {                                                                                             \
    auto bursts = std::make_shared<std::deque<Address>>();                                      \
    auto offered = std::make_shared<bool>(false);                                               \
    all.push_back({[&top, bursts, offered] {                                                    \
                     top.name##_arready = bursts->size() < 5 && !pauses();                      \
                     if (!*offered && !bursts->empty() && !pauses()) {                          \
                       const Address& burst = bursts->front();                                  \
                       const uint8_t* from = memory.at(burst.next, kWordBytes);                 \
                       for (unsigned i = 0; i < kWordBytes; ++i) {                              \
                         bytes_of(top.name##_rdata)[i] = from ? from[i] : 0xee;                 \
                       }                                                                        \
                       top.name##_rresp = from ? kOkay : kDecodeError;                          \
                       top.name##_rlast = burst.left == 1;                                      \
                       *offered = true;                                                         \
                     }                                                                          \
                     top.name##_rvalid = *offered;                                              \
                   },                                                                           \
                   [&top, bursts, offered] {                                                    \
                     if (*offered && top.name##_rready) {                                       \
                       *offered = false;                                                        \
                       bursts->front().next += kWordBytes;                                      \
                       if (--bursts->front().left == 0) bursts->pop_front();                    \
                     }                                                                          \
                     if (top.name##_arvalid && top.name##_arready) {                            \
                       bursts->push_back(begin_burst(top.name##_araddr, top.name##_arlen,       \
                                                     top.name##_arsize, top.name##_arburst));   \
                     }                                                                          \
                   }});                                                                         \
  }
#define WRITE_PORT(name)                                                                        \
  {                                                                                             \
    struct State {                                                                              \
      std::deque<Address> bursts;                                                               \
      std::deque<std::vector<uint8_t>> words; /* of a burst whose address is not there yet */   \
      std::deque<bool> lasts;                                                                   \
      std::deque<int> answers;                                                                  \
      bool offered = false, failed = false;                                                     \
    };                                                                                          \
    auto state = std::make_shared<State>();                                                     \
    all.push_back({[&top, state] {                                                              \
                     top.name##_awready = state->bursts.size() < 3 && !pauses();                \
                     top.name##_wready = state->words.size() < 20 && !pauses();                 \
                     if (!state->offered && !state->answers.empty() && !pauses()) {             \
                       state->offered = true;                                                   \
                       top.name##_bresp = state->answers.front();                               \
                     }                                                                          \
                     top.name##_bvalid = state->offered;                                        \
                   },                                                                           \
                   [&top, state] {                                                              \
                     if (state->offered && top.name##_bready) {                                 \
                       state->offered = false;                                                  \
                       state->answers.pop_front();                                              \
                     }                                                                          \
                     if (top.name##_awvalid && top.name##_awready) {                            \
                       state->bursts.push_back(begin_burst(top.name##_awaddr, top.name##_awlen, \
                                                           top.name##_awsize,                   \
                                                           top.name##_awburst));                \
                     }                                                                          \
                     if (top.name##_wvalid && top.name##_wready) {                              \
                       uint64_t strobes = 0;                                                    \
                       for (unsigned i = 0; i < sizeof top.name##_wstrb && i < 8; ++i) {        \
                         strobes |= uint64_t{bytes_of(top.name##_wstrb)[i]} << 8 * i;           \
                       }                                                                        \
                       if (~strobes << (64 - kWordBytes)) breach("a word in parts");            \
                       const uint8_t* data = bytes_of(top.name##_wdata);                        \
                       state->words.emplace_back(data, data + kWordBytes);                      \
                       state->lasts.push_back(top.name##_wlast);                                \
                     }                                                                          \
                     while (!state->words.empty() && !state->bursts.empty()) {                  \
                       Address& burst = state->bursts.front();                                  \
                       uint8_t* to = memory.at(burst.next, kWordBytes);                         \
                       if (to) std::copy_n(state->words.front().begin(), kWordBytes, to);       \
                       state->failed |= to == nullptr;                                          \
                       burst.next += kWordBytes;                                                \
                       const bool last = --burst.left == 0;                                     \
                       if (last != state->lasts.front()) breach("wlast at a wrong word");       \
                       state->words.pop_front();                                                \
                       state->lasts.pop_front();                                                \
                       if (!last) continue;                                                     \
                       state->answers.push_back(state->failed ? kDecodeError : kOkay);          \
                       state->failed = false;                                                   \
                       state->bursts.pop_front();                                               \
                     }                                                                          \
                   }});                                                                         \
  }
  PORTS
  return all;
}

class Bench {
 public:
  Bench() : ports_(ports(top_)) {
    top_.aresetn = 0;
    top_.s_axilite_awvalid = top_.s_axilite_wvalid = top_.s_axilite_arvalid = 0;
    top_.s_axilite_bready = top_.s_axilite_rready = 0;
    for (int i = 0; i < 8; ++i) tick();
    top_.aresetn = 1;
    for (int i = 0; i < 8; ++i) tick();
  }

  void tick() {
    for (Port& port : ports_) port.set();
    top_.eval();
    for (Port& port : ports_) port.take();
    handshake();
    edge();
    ++cycles_;
  }

  // Whether the design took it.
  bool write(uint32_t address, uint32_t data) {
    top_.s_axilite_awaddr = address;
    top_.s_axilite_wdata = data;
    top_.s_axilite_wstrb = 15;
    top_.s_axilite_awvalid = top_.s_axilite_wvalid = 1;
    top_.s_axilite_bready = 1;
    wait([&] { return answered_; });
    return response_ == kOkay;
  }

  bool read(uint32_t address, uint32_t& data) {
    top_.s_axilite_araddr = address;
    top_.s_axilite_arvalid = 1;
    top_.s_axilite_rready = 1;
    wait([&] { return answered_; });
    data = data_;
    return response_ == kOkay;
  }

  void idle(int cycles) {
    for (int i = 0; i < cycles; ++i) tick();
  }

 private:
  void wait(const std::function<bool()>& done) {
    answered_ = false;
    for (int i = 0; !done(); ++i) {
      if (i > 1000) breach("no answer over AXI4-Lite");
      tick();
    }
    top_.s_axilite_bready = top_.s_axilite_rready = 0;
  }

  // Before the edge: what goes over at it.
  void handshake() {
    taken_aw_ = top_.s_axilite_awvalid && top_.s_axilite_awready;
    taken_w_ = top_.s_axilite_wvalid && top_.s_axilite_wready;
    taken_ar_ = top_.s_axilite_arvalid && top_.s_axilite_arready;
    if (top_.s_axilite_bvalid && top_.s_axilite_bready) {
      answered_ = true, response_ = top_.s_axilite_bresp;
    }
    if (top_.s_axilite_rvalid && top_.s_axilite_rready) {
      answered_ = true, response_ = top_.s_axilite_rresp, data_ = top_.s_axilite_rdata;
    }
  }

  void edge() {
#if MEMORY_CLOCK_RATIO > 1
    // The edges of the design's clock are among those of the memories'.
    for (int i = 0; i < MEMORY_CLOCK_RATIO; ++i) {
      top_.memory_aclk = 0;
      if (i * 2 >= MEMORY_CLOCK_RATIO) top_.aclk = 0;
      top_.eval();
      if (i + 1 == MEMORY_CLOCK_RATIO) top_.aclk = 1;
      top_.memory_aclk = 1;
      top_.eval();
    }
#else
    top_.aclk = 0;
    top_.eval();
    top_.aclk = 1;
    top_.eval();
#endif
    if (taken_aw_) top_.s_axilite_awvalid = 0;
    if (taken_w_) top_.s_axilite_wvalid = 0;
    if (taken_ar_) top_.s_axilite_arvalid = 0;
  }

  Vtop top_;
  std::vector<Port> ports_;
  uint64_t cycles_ = 0;
  bool taken_aw_ = false, taken_w_ = false, taken_ar_ = false, answered_ = false;
  int response_ = 0;
  uint32_t data_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Verilated::commandArgs(argc, argv);
  random_bits.seed(std::strtoull(argv[1], nullptr, 10));
  pause_chance = std::strtod(argv[2], nullptr);
  Bench bench;
  char command = 0;
  unsigned long long a = 0, b = 0;
  // commands: read a word, write a word, allocate bytes, free, put bytes at an address, get them
  while (std::scanf(" %c %llx %llx%*1[\n]", &command, &a, &b) == 3) {
    uint32_t data = 0;
    if (command == 'r') {
      bench.idle(50);
      const bool taken = bench.read(static_cast<uint32_t>(a), data);
      std::printf("%s %x\n", taken ? "okay" : "refused", data);
    } else if (command == 'w') {
      std::printf("%s 0\n", bench.write(static_cast<uint32_t>(a), static_cast<uint32_t>(b)) ? "okay" : "refused");
    } else if (command == 'a') {
      std::printf("okay %llx\n", static_cast<unsigned long long>(memory.allocate(a)));
    } else if (command == 'f') {
      std::printf("%s 0\n", memory.free(a) ? "okay" : "refused");
    } else if (command == 'p' || command == 'g') {
      uint8_t* at = memory.at(a, b);
      if (at == nullptr) breach("the driver reaches outside of its buffers");
      if (command == 'p' && std::fread(at, 1, b, stdin) != b) return 1;
      std::printf("okay 0\n");
      if (command == 'g') std::fwrite(at, 1, b, stdout);
    }
    std::fflush(stdout);
  }
  return 0;
}
