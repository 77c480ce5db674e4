// SPDX-License-Identifier: Apache-2.0
// Runs all cases side by side, first at the full rate, then with random stalls on both sides, and
// compares in each cycle every ready, valid and beat with the operator's rhythm under the stall
// policy and with the results of its meaning. Every stream stalls on its own.
#include <algorithm>
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
  int64_t acquire = 0, release = 0;
};

// An input: beats come straight from the stream, or out of a ring of `places`, a store or a holding
// register, into which they are written in any cycle.
struct Input {
  int64_t places = 0;
  bool offers = false;
  int64_t needed = 0;  // by the steps so far, of the beats in `visible_from`
  std::deque<int64_t> visible_from;

  bool has(int64_t more, int64_t cycle) const {
    if (more == 0) return true;
    if (places == 0) return offers;
    const auto count = static_cast<size_t>(needed + more);
    return visible_from.size() >= count && visible_from[count - 1] <= cycle;
  }
};

struct Output {
  int64_t credits = 0;
  std::deque<int64_t> visible_from;
};

struct Case {
  std::string label;
  int64_t depth = 1, queue = 2, interval = 0, frames = 0;
  bool stores = false;  // input 0 is a store, whose beats phases acquire and release
  std::vector<Phase> phases;
  std::vector<Stream> in, out;
  // The model's state.
  size_t phase = 0;
  int64_t step = 0;
  std::vector<Input> inputs;
  std::vector<Output> outputs;
  std::vector<int64_t> frame_end;  // cycle of the last beat out, by frame
  int64_t finished = -1;

  const Phase& next() const { return phases[phase]; }
  bool credit() const {
    for (size_t o = 0; o < outputs.size(); ++o) {
      if ((next().give >> o & 1) != 0 && outputs[o].credits == 0) return false;
    }
    return true;
  }
  int64_t needs(size_t i) const { return i == 0 && stores ? next().acquire : next().take >> i & 1; }
  int64_t frees(size_t i) const { return i == 0 && stores ? next().release : next().take >> i & 1; }
  bool ready(size_t i) const {
    if (inputs[i].places > 0)
      return static_cast<int64_t>(inputs[i].visible_from.size()) < inputs[i].places;
    return needs(i) != 0 && credit();
  }
  bool valid(size_t o, int64_t cycle) const {
    return !outputs[o].visible_from.empty() && outputs[o].visible_from.front() <= cycle;
  }
  int64_t frames_done() const {
    int64_t least = frames;
    for (const Stream& stream : out)
      least = std::min(least, static_cast<int64_t>(stream.done) / stream.beats);
    return least;
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
    file >> c.depth >> c.queue >> c.interval >> c.stores >> c.frames >> in >> out >> phases;
    c.phases.resize(phases);
    for (Phase& p : c.phases) file >> p.steps >> p.take >> p.give >> p.acquire >> p.release;
    c.inputs.resize(in);
    for (Input& input : c.inputs) file >> input.places;
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
  std::printf("FAILED%s\n  cycle %lld, phase %zu, step %lld of its frame's list: %s\n",
              c.label.c_str(), static_cast<long long>(cycle), c.phase,
              static_cast<long long>(c.step), what.c_str());
  std::exit(1);
}

// "s_ready_o", or "s1_ready_o" where there are several.
std::string port_name(const char* side, const char* signal, size_t index, size_t count) {
  return side + (count == 1 ? std::string() : std::to_string(index)) + signal;
}

void expect_control(const Case& c, int64_t cycle, const std::string& port, bool found,
                    bool expected) {
  if (found != expected)
    fail(c, cycle, port + (found ? " is 1, its rhythm says 0" : " is 0, its rhythm says 1"));
}

// What the rhythm says happens in this cycle.
void advance(Case& c, int64_t cycle, const std::vector<bool>& popped) {
  const Phase& step = c.next();
  bool issue = c.credit();
  for (size_t i = 0; i < c.in.size(); ++i) issue = issue && c.inputs[i].has(c.needs(i), cycle);
  for (size_t i = 0; i < c.in.size(); ++i) {
    Input& input = c.inputs[i];
    const bool written = input.places > 0 && input.offers && c.ready(i);
    if (written) input.visible_from.push_back(cycle + 1);
    if (issue && input.places > 0) {
      input.needed += c.needs(i) - c.frees(i);
      for (int64_t beat = c.frees(i); beat > 0; --beat) input.visible_from.pop_front();
    }
    if (written || (input.places == 0 && issue && c.needs(i) != 0)) {
      ++c.in[i].done;
      input.offers = false;
    }
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
  std::vector<std::vector<int>> offer_chance, ready_chance;  // by case and stream
  for (const Case& c : cases) {
    offer_chance.emplace_back(c.in.size(), 8);
    ready_chance.emplace_back(c.out.size(), 8);
  }
  for (; left > 0; ++cycle) {
    if (cycle > 5000000) {
      std::printf("FAILED: no end after %lld cycles\n", static_cast<long long>(cycle));
      std::exit(1);
    }
    top->clk_i = 0;
    if (stalls && cycle % 64 == 0) {
      for (auto* chances : {&offer_chance, &ready_chance}) {
        for (std::vector<int>& streams : *chances) {
          for (int& chance : streams) chance = static_cast<int>(random() % 8) + 1;
        }
      }
    }
    for (size_t k = 0; k < cases.size(); ++k) {
      Case& c = cases[k];
      for (size_t i = 0; i < c.in.size(); ++i) {
        Stream& s = c.in[i];
        bool& offers = c.inputs[i].offers;
        if (!offers && s.done < s.data.size())
          offers = static_cast<int>(random() % 8) < offer_chance[k][i];
        put_bit(top->s_valid_i, s.index, offers);
        for (int64_t w = 0; w < (s.width + 31) / 32; ++w) {
          top->s_data_i[s.word + w] = offers ? s.data[s.done][w] : static_cast<uint32_t>(random());
        }
      }
      for (size_t o = 0; o < c.out.size(); ++o) {
        put_bit(top->m_ready_i, c.out[o].index,
                static_cast<int>(random() % 8) < ready_chance[k][o]);
      }
    }
    top->eval();
    for (Case& c : cases) {
      if (c.finished >= 0) continue;
      for (size_t i = 0; i < c.in.size(); ++i) {
        expect_control(c, cycle, port_name("s", "_ready_o", i, c.in.size()),
                       get_bit(top->s_ready_o, c.in[i].index), c.ready(i));
      }
      std::vector<bool> popped(c.out.size(), false);
      for (size_t o = 0; o < c.out.size(); ++o) {
        const Stream& s = c.out[o];
        const bool valid = get_bit(top->m_valid_o, s.index);
        expect_control(c, cycle, port_name("m", "_valid_o", o, c.out.size()), valid,
                       c.valid(o, cycle));
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
      for (int64_t done = c.frames_done(); static_cast<int64_t>(c.frame_end.size()) < done;)
        c.frame_end.push_back(cycle);
      if (c.frames_done() == c.frames) {
        c.finished = cycle;
        --left;
      }
    }
    top->clk_i = 1;
    top->eval();
  }
  if (!stalls) {
    for (const Case& c : cases) {
      // From the half on, since a store needs time to fill.
      const int64_t half = c.frames / 2;
      const int64_t cycles = c.frame_end.back() - c.frame_end[half - 1];
      if (cycles != c.interval * (c.frames - half)) {
        fail(c, c.finished,
             "does not keep its full rate with its queue and its store: " + std::to_string(cycles) +
                 " cycles for " + std::to_string(c.frames - half) + " frames of " +
                 std::to_string(c.interval));
      }
      // Nothing but the pipeline and the register behind each input comes before the first step.
      const bool holds = !c.stores && !c.inputs.empty() && c.inputs[0].places > 0;
      int64_t behind = 0;  // steps of a frame that only take, after the last beat out
      for (size_t p = c.phases.size(); p-- > 0 && c.phases[p].give == 0;) {
        behind += c.phases[p].steps;
      }
      const int64_t expected = c.interval * c.frames - behind + c.depth + (holds ? 1 : 0);
      if (!c.stores && c.finished + 1 != expected) fail(c, c.finished, "begins late");
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
