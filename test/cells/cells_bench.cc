// SPDX-License-Identifier: Apache-2.0
// Drives every stream cell with random stalls on both sides and compares each valid, ready and
// lane, in each cycle, with the stall policy: a step issues when its beat is there and, if it
// gives, every branch has a credit; a beat given in cycle t is visible from t + depth; a credit
// returned by a pop counts in the next cycle.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "Vcells_bench.h"
#include "verilated.h"

namespace {

struct Case {
  const char* name;
  int lane_bits, lanes_in, lanes_out, branches, depth, capacity;
};

constexpr Case kCases[] = {
#include "cells_cases.inc"
};

uint64_t lane_value(uint64_t index, int bits) {
  return (index * 0x9E3779B97F4A7C15u >> 23) & (~uint64_t{0} >> (64 - bits));
}

// The beat of `lanes` lanes that starts at lane `first` of the stream.
uint64_t beat(uint64_t first, int lanes, int bits) {
  uint64_t value = 0;
  for (int lane = 0; lane < lanes; ++lane) value |= lane_value(first + lane, bits) << (lane * bits);
  return value;
}

// One cell as the stall policy describes it. It knows when, and which lanes; nothing of the cell's
// insides.
class Model {
 public:
  explicit Model(const Case& cell) : case_(cell), branches_(cell.branches) {
    for (Branch& branch : branches_) branch.credits = cell.capacity;
  }

  bool ready() const { return takes() && (!gives() || credit()); }
  bool valid(int branch, int64_t cycle) const {
    const auto& pending = branches_[branch].visible_from;
    return !pending.empty() && pending.front() <= cycle;
  }
  uint64_t offered() const { return beat(lanes_taken_, case_.lanes_in, case_.lane_bits); }
  uint64_t head(int branch) const {
    return beat(branches_[branch].lanes_popped, case_.lanes_out, case_.lane_bits);
  }
  uint64_t beats_out() const { return branches_[0].lanes_popped / case_.lanes_out; }

  void advance(int64_t cycle, bool valid_in, uint32_t ready_out) {
    const bool take = takes(), give = gives();
    const bool issue = (!take || valid_in) && (!give || credit());
    for (int index = 0; index < case_.branches; ++index) {
      Branch& branch = branches_[index];
      if (valid(index, cycle) && (ready_out >> index & 1)) {
        branch.visible_from.pop_front();
        branch.lanes_popped += case_.lanes_out;
        ++branch.credits;
      }
      if (issue && give) {
        branch.visible_from.push_back(cycle + case_.depth);
        --branch.credits;
      }
    }
    if (issue && take) lanes_taken_ += case_.lanes_in;
    if (issue) residue_ += (take ? case_.lanes_in : 0) - (give ? case_.lanes_out : 0);
  }

 private:
  struct Branch {
    int credits = 0;
    std::deque<int64_t> visible_from;
    uint64_t lanes_popped = 0;
  };

  bool widens() const { return case_.lanes_in <= case_.lanes_out; }
  bool takes() const { return widens() || residue_ < case_.lanes_out; }
  bool gives() const { return !widens() || residue_ + case_.lanes_in >= case_.lanes_out; }
  bool credit() const {
    for (const Branch& branch : branches_) {
      if (branch.credits == 0) return false;
    }
    return true;
  }

  Case case_;
  std::vector<Branch> branches_;
  int64_t residue_ = 0;
  uint64_t lanes_taken_ = 0;
};

template <typename Port>
void put_bit(Port& port, int index, bool value) {
  if constexpr (std::is_integral_v<Port>) {
    port = static_cast<Port>((port & ~(Port{1} << index)) | (Port{value} << index));
  } else {
    port[index / 32] = (port[index / 32] & ~(1u << index % 32)) | (uint32_t{value} << index % 32);
  }
}

template <typename Port>
bool get_bit(const Port& port, int index) {
  if constexpr (std::is_integral_v<Port>) {
    return port >> index & 1;
  } else {
    return port[index / 32] >> index % 32 & 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t cycles = argc > 1 ? std::atoll(argv[1]) : 100000;
  constexpr int kCount = sizeof(kCases) / sizeof(kCases[0]);
  // A stall pattern is a chance of 0..8 eighths, drawn anew for each stream every 512 cycles.
  std::mt19937_64 random(1);
  VerilatedContext context;
  Vcells_bench top(&context);
  std::vector<Model> models(kCases, kCases + kCount);
  std::vector<int> source_chance(kCount), sink_chance;
  std::vector<bool> offers(kCount, false);

  top.rst_i = 1;
  for (int edge = 0; edge < 4; ++edge) {
    top.clk_i = edge & 1;
    top.eval();
  }
  top.rst_i = 0;
  for (int64_t cycle = 0; cycle < cycles; ++cycle) {
    top.clk_i = 0;
    if (cycle % 512 == 0) {
      sink_chance.clear();
      for (int index = 0; index < kCount; ++index) {
        source_chance[index] = static_cast<int>(random() % 9);
        for (int branch = 0; branch < kCases[index].branches; ++branch) {
          sink_chance.push_back(static_cast<int>(random() % 9));
        }
      }
    }
    int output = 0;
    std::vector<uint32_t> ready_out(kCount, 0);
    for (int index = 0; index < kCount; ++index) {
      // A source that has offered a beat keeps it; before that its data are noise.
      if (!offers[index]) offers[index] = static_cast<int>(random() % 8) < source_chance[index];
      const uint64_t data = offers[index] ? models[index].offered() : random();
      top.s_data_i[2 * index] = static_cast<uint32_t>(data);
      top.s_data_i[2 * index + 1] = static_cast<uint32_t>(data >> 32);
      put_bit(top.s_valid_i, index, offers[index]);
      for (int branch = 0; branch < kCases[index].branches; ++branch, ++output) {
        const bool ready = static_cast<int>(random() % 8) < sink_chance[output];
        put_bit(top.m_ready_i, output, ready);
        ready_out[index] |= uint32_t{ready} << branch;
      }
    }
    top.eval();
    output = 0;
    for (int index = 0; index < kCount; ++index) {
      Model& model = models[index];
      const bool ready_in = get_bit(top.s_ready_o, index);
      if (ready_in != model.ready()) {
        std::printf("%s: cycle %lld: s_ready_o is %d, the policy says %d\n", kCases[index].name,
                    static_cast<long long>(cycle), ready_in, model.ready());
        return 1;
      }
      for (int branch = 0; branch < kCases[index].branches; ++branch, ++output) {
        const bool valid = get_bit(top.m_valid_o, output);
        const uint64_t data = top.m_data_o[2 * output] | uint64_t{top.m_data_o[2 * output + 1]}
                                                             << 32;
        if (valid != model.valid(branch, cycle)) {
          std::printf("%s: cycle %lld: m_valid_o[%d] is %d, the policy says %d\n",
                      kCases[index].name, static_cast<long long>(cycle), branch, valid, !valid);
          return 1;
        }
        if (valid && data != model.head(branch)) {
          std::printf("%s: cycle %lld: m_data_o[%d] is %llx, expected %llx\n", kCases[index].name,
                      static_cast<long long>(cycle), branch, static_cast<unsigned long long>(data),
                      static_cast<unsigned long long>(model.head(branch)));
          return 1;
        }
      }
      const bool taken = offers[index] && ready_in;
      model.advance(cycle, offers[index], ready_out[index]);
      if (taken) offers[index] = false;
    }
    top.clk_i = 1;
    top.eval();
  }
  for (int index = 0; index < kCount; ++index) {
    std::printf("ok   %s: %llu beats out\n", kCases[index].name,
                static_cast<unsigned long long>(models[index].beats_out()));
  }
  std::printf("cells: %d cells equal to the stall policy over %lld cycles of random stalls\n",
              kCount, static_cast<long long>(cycles));
  return 0;
}
