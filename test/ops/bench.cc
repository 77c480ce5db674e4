// SPDX-License-Identifier: Apache-2.0
// Runs all cases side by side, first at the full rate, then with random stalls on both sides, and
// compares in each cycle every ready, valid and beat with the operator's rhythm under the stall
// policy and with the results of its meaning.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "Vbench.h"
#include "verilated.h"

namespace {

using Beat = std::vector<uint32_t>;

struct Stream {
  int64_t width = 0, beats = 0;
  std::vector<Beat> data;
  size_t done = 0;  // beats taken or given so far
  int index = 0, word = 0;
};

struct Phase {
  int64_t steps = 0;
  uint32_t take = 0, give = 0;
};

struct Output {
  int64_t credits = 0;
  std::deque<int64_t> visible_from;
};

struct Case {
  std::string label;
  int64_t depth = 1, queue = 2, frames = 0;
  std::vector<Phase> phases;
  std::vector<Stream> in, out;
  // The model's state.
  size_t phase = 0;
  int64_t step = 0;
  std::vector<Output> outputs;
  std::vector<bool> offers;
  int64_t finished = -1;

  const Phase& next() const { return phases[phase]; }
  bool credit() const {
    for (size_t o = 0; o < outputs.size(); ++o) {
      if ((next().give >> o & 1) != 0 && outputs[o].credits == 0) return false;
    }
    return true;
  }
  bool ready(size_t i) const { return (next().take >> i & 1) != 0 && credit(); }
  bool valid(size_t o, int64_t cycle) const {
    return !outputs[o].visible_from.empty() && outputs[o].visible_from.front() <= cycle;
  }
  bool done() const {
    for (const Stream& stream : out) {
      if (stream.done < stream.data.size()) return false;
    }
    return true;
  }
};

Beat parse_beat(const std::string& hex, int64_t width) {
  Beat beat((width + 31) / 32, 0);
  for (size_t digit = 0; digit < hex.size(); ++digit) {
    const char c = hex[hex.size() - 1 - digit];
    const uint32_t value = c <= '9' ? c - '0' : c - 'a' + 10;
    beat[digit / 8] |= value << digit % 8 * 4;
  }
  return beat;
}

std::vector<Case> read_cases(const char* path) {
  std::ifstream file(path);
  std::vector<Case> cases;
  std::string word;
  int inputs = 0, outputs = 0, input_words = 0, output_words = 0;
  while (file >> word) {
    Case c;
    std::getline(file, c.label);
    size_t in = 0, out = 0, phases = 0;
    file >> c.depth >> c.queue >> c.frames >> in >> out >> phases;
    c.phases.resize(phases);
    for (Phase& p : c.phases) file >> p.steps >> p.take >> p.give;
    c.in.resize(in);
    c.out.resize(out);
    for (Stream& s : c.in) {
      file >> s.width >> s.beats;
      s.index = inputs++, s.word = input_words;
      input_words += static_cast<int>((s.width + 31) / 32);
    }
    for (Stream& s : c.out) {
      file >> s.width >> s.beats;
      s.index = outputs++, s.word = output_words;
      output_words += static_cast<int>((s.width + 31) / 32);
    }
    for (int64_t frame = 0; frame < c.frames; ++frame) {
      for (auto* side : {&c.in, &c.out}) {
        for (Stream& s : *side) {
          for (int64_t beat = 0; beat < s.beats; ++beat) {
            file >> word;
            s.data.push_back(parse_beat(word, s.width));
          }
        }
      }
    }
    c.outputs.resize(out);
    for (Output& o : c.outputs) o.credits = c.queue;
    c.offers.resize(in, false);
    cases.push_back(std::move(c));
  }
  return cases;
}

template <class Port>
void put_bit(Port& port, int index, bool value) {
  port[index / 32] = (port[index / 32] & ~(1u << index % 32)) | (uint32_t{value} << index % 32);
}

template <class Port>
bool get_bit(const Port& port, int index) {
  return (port[index / 32] >> index % 32 & 1) != 0;
}

[[noreturn]] void fail(const Case& c, int64_t cycle, const std::string& what) {
  std::printf("FAILED%s\n  cycle %lld: %s\n", c.label.c_str(), static_cast<long long>(cycle),
              what.c_str());
  std::exit(1);
}

// What the rhythm says happens in this cycle.
void advance(Case& c, int64_t cycle, const std::vector<bool>& popped) {
  const Phase& step = c.next();
  bool issue = c.credit();
  for (size_t i = 0; i < c.in.size(); ++i) {
    if ((step.take >> i & 1) != 0 && !c.offers[i]) issue = false;
  }
  for (size_t o = 0; o < c.out.size(); ++o) {
    Output& output = c.outputs[o];
    if (popped[o]) {
      output.visible_from.pop_front();
      ++output.credits;
      ++c.out[o].done;
    }
    if (issue && (step.give >> o & 1) != 0) {
      output.visible_from.push_back(cycle + c.depth);
      --output.credits;
    }
  }
  if (!issue) return;
  for (size_t i = 0; i < c.in.size(); ++i) {
    if ((step.take >> i & 1) == 0) continue;
    ++c.in[i].done;
    c.offers[i] = false;
  }
  if (++c.step == step.steps) {
    c.step = 0;
    c.phase = (c.phase + 1) % c.phases.size();
  }
}

// All cases for all their frames; stalls are chances in eighths, drawn anew every 64 cycles.
int64_t simulate(std::vector<Case> cases, bool stalls, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto context = std::make_unique<VerilatedContext>();
  const auto top = std::make_unique<Vbench>(context.get());
  top->rst_i = 1;
  for (int edge = 0; edge < 6; ++edge) {
    top->clk_i = edge & 1;
    top->eval();
  }
  top->rst_i = 0;
  int64_t cycle = 0;
  size_t left = cases.size();
  std::vector<int> offer_chance(cases.size(), 8), ready_chance(cases.size(), 8);
  for (; left > 0; ++cycle) {
    if (cycle > 200000) {
      std::printf("FAILED: no end after %lld cycles\n", static_cast<long long>(cycle));
      std::exit(1);
    }
    top->clk_i = 0;
    if (stalls && cycle % 64 == 0) {
      for (int& chance : offer_chance) chance = static_cast<int>(random() % 8) + 1;
      for (int& chance : ready_chance) chance = static_cast<int>(random() % 8) + 1;
    }
    for (size_t k = 0; k < cases.size(); ++k) {
      Case& c = cases[k];
      for (size_t i = 0; i < c.in.size(); ++i) {
        Stream& s = c.in[i];
        if (!c.offers[i] && s.done < s.data.size()) {
          c.offers[i] = static_cast<int>(random() % 8) < offer_chance[k];
        }
        put_bit(top->s_valid_i, s.index, c.offers[i]);
        for (int64_t w = 0; w < (s.width + 31) / 32; ++w) {
          top->s_data_i[s.word + w] =
              c.offers[i] ? s.data[s.done][w] : static_cast<uint32_t>(random());
        }
      }
      for (Stream& s : c.out) {
        put_bit(top->m_ready_i, s.index, static_cast<int>(random() % 8) < ready_chance[k]);
      }
    }
    top->eval();
    for (Case& c : cases) {
      if (c.finished >= 0) continue;
      for (size_t i = 0; i < c.in.size(); ++i) {
        const bool ready = get_bit(top->s_ready_o, c.in[i].index);
        if (ready != c.ready(i)) {
          fail(c, cycle,
               ready ? "s_ready_o is 1, its rhythm says 0" : "s_ready_o is 0, its rhythm says 1");
        }
      }
      std::vector<bool> popped(c.out.size(), false);
      for (size_t o = 0; o < c.out.size(); ++o) {
        const Stream& s = c.out[o];
        const bool valid = get_bit(top->m_valid_o, s.index);
        if (valid != c.valid(o, cycle)) {
          fail(c, cycle,
               valid ? "m_valid_o is 1, its rhythm says 0" : "m_valid_o is 0, its rhythm says 1");
        }
        if (!valid) continue;
        for (size_t w = 0; w < s.data[s.done].size(); ++w) {
          const int low = static_cast<int>(s.width) - static_cast<int>(32 * w);
          const uint32_t mask = low >= 32 ? ~0u : (1u << low) - 1;
          const uint32_t found = top->m_data_o[s.word + w] & mask;
          if (found != s.data[s.done][w]) {
            char text[128];
            std::snprintf(text, sizeof text, "output %zu, beat %zu, word %zu: %x, expected %x", o,
                          s.done, w, found, s.data[s.done][w]);
            fail(c, cycle, text);
          }
        }
        popped[o] = get_bit(top->m_ready_i, s.index);
      }
      advance(c, cycle, popped);
      if (c.done()) {
        c.finished = cycle;
        --left;
      }
    }
    top->clk_i = 1;
    top->eval();
  }
  if (!stalls) {
    for (const Case& c : cases) {
      int64_t steps = 0;
      for (const Phase& p : c.phases) steps += p.steps;
      if (c.finished + 1 != steps * c.frames + c.depth) {
        fail(c, c.finished, "does not keep its full rate with its queue");
      }
    }
  }
  return cycle;
}

}  // namespace

int main(int, char** argv) {
  const std::vector<Case> cases = read_cases(argv[1]);
  const int64_t full = simulate(cases, false, 1);
  int64_t stalled = 0;
  for (uint64_t seed = 2; seed < 4; ++seed) stalled += simulate(cases, true, seed);
  std::printf(
      "%zu cases: hardware equals meaning and rhythm over %lld cycles at full rate and "
      "%lld with random stalls\n",
      cases.size(), static_cast<long long>(full), static_cast<long long>(stalled));
  return 0;
}
