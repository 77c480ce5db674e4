// SPDX-License-Identifier: Apache-2.0
#include "src/fold/schedule.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "src/fold/min_sum.h"
#include "src/util/error.h"
#include "src/util/floor_div.h"
#include "src/util/parallel.h"

namespace foldstream {
namespace {

// Before and after everything, with room to add.
constexpr int64_t kBefore = std::numeric_limits<int64_t>::min() / 4;
constexpr int64_t kAfter = std::numeric_limits<int64_t>::max() / 4;
// Frames after which a block that still moves will not come to rest.
constexpr int kMostRounds = 64;
// Steps of a frame from which on work is shared between threads.
constexpr int64_t kManySteps = 20'000;
// Distances so small that three of them can be added up, and how many are compared at once.
constexpr int64_t kNear = int64_t{1} << 29;
constexpr int64_t kTogether = 32;
// Sweeps over all blocks that are tried as long as each still gains.
constexpr int kSweeps = 4;
// How often a search may move a block, and one that never pauses, with which all that it paces
// moves. Where it has to be moved again, it is in a circle that takes too long, mostly: of 2,014
// searches that were given up in a test, none could have ended well.
constexpr int kMostMoves = 32, kMostPacerMoves = 3;

// Phases in order, or the other way round.
template <class Frame, class Visit>
void for_each_phase(const Frame& frame, Visit&& visit) {
  for (const auto& block : frame) {
    for (int64_t repeat = 0; repeat < block.repeat; ++repeat) {
      for (const auto& phase : block.phases) visit(phase);
    }
  }
}

template <class Frame, class Visit>
void for_each_phase_backwards(const Frame& frame, Visit&& visit) {
  for (auto block = frame.rbegin(); block != frame.rend(); ++block) {
    for (int64_t repeat = 0; repeat < block->repeat; ++repeat) {
      for (auto phase = block->phases.rbegin(); phase != block->phases.rend(); ++phase)
        visit(*phase);
    }
  }
}

// Cycles of steps, as distances from one.
struct Distances {
  const int32_t* after;
  int64_t base;
};

// Steps that are placed at once.
constexpr int64_t kChunk = 256;
using Chunk = std::array<int32_t, kChunk>;

// Each of up to kChunk steps behind the one before, the first behind `t`, and none before its
// cycles in `bounds`: cycles from `t` on. False where they are too far for that.
template <size_t kBounds>
bool place_behind(int64_t t, int64_t steps, const std::array<Distances, kBounds>& bounds,
                  Chunk& cycles) {
  std::fill_n(cycles.begin(), steps, 0);
  for (const Distances& bound : bounds) {
    if (bound.after == nullptr) continue;
    const int64_t off = std::max(bound.base - t, -kNear);
    if (off > kNear || bound.after[steps - 1] > kNear || bound.after[0] < -kNear) return false;
    const auto near = static_cast<int32_t>(off);
    for (int64_t step = 0; step < steps; ++step)
      cycles[static_cast<size_t>(step)] =
          std::max(cycles[static_cast<size_t>(step)], bound.after[step] + near);
  }
  int32_t last = 0;
  for (int64_t step = 0; step < steps; ++step) {
    last = std::max(last + 1, cycles[static_cast<size_t>(step)]);
    cycles[static_cast<size_t>(step)] = last;
  }
  return true;
}

// The same the other way round: each before the one behind, the last before `t`, none behind its
// cycles in `bounds`.
template <size_t kBounds>
bool place_before(int64_t t, int64_t steps, const std::array<Distances, kBounds>& bounds,
                  Chunk& cycles) {
  std::fill_n(cycles.begin(), steps, 0);
  for (const Distances& bound : bounds) {
    if (bound.after == nullptr) continue;
    const int64_t off = std::min(bound.base - t, kNear);
    if (off < -kNear || bound.after[steps - 1] > kNear || bound.after[0] < -kNear) return false;
    const auto near = static_cast<int32_t>(off);
    for (int64_t step = 0; step < steps; ++step)
      cycles[static_cast<size_t>(step)] =
          std::min(cycles[static_cast<size_t>(step)], bound.after[step] + near);
  }
  int32_t first = 0;
  for (int64_t step = steps; step-- > 0;) {
    first = std::min(first - 1, cycles[static_cast<size_t>(step)]);
    cycles[static_cast<size_t>(step)] = first;
  }
  return true;
}

}  // namespace

Schedule::Schedule(const StreamGraph& graph, int64_t interval)
    : graph_(graph), interval_(interval) {
  given_.resize(graph.links.size());
  taken_.resize(graph.links.size());
  for (size_t b = 0; b < graph.blocks.size(); ++b) {
    const StreamBlock& block = graph.blocks[b];
    if (block.kind == StreamBlock::Kind::source || block.kind == StreamBlock::Kind::writer)
      continue;
    Unit unit;
    unit.block = b;
    unit.in = block.in, unit.out = block.out;
    unit.depth = block.rhythm.depth;
    unit.room.assign(block.in.size(), 0);
    for (size_t port = 0; port < block.in.size(); ++port) {
      if (!graph.is_ring(block.in[port])) continue;
      unit.room[port] = graph.links[block.in[port]].queue;
      unit.in[port] = graph.blocks[graph.links[block.in[port]].from].in[0];
    }
    unit.never_pauses = block.rhythm.steps() == interval;
    unit.is_fixed = unit.never_pauses || block.kind == StreamBlock::Kind::sink;
    FOLDSTREAM_CHECK(block.rhythm.steps() <= interval);
    list_moves(unit);
    Placed first;
    FOLDSTREAM_CHECK(earliest(unit, {}, nullptr, first));
    place(unit, std::move(first));
    units_.push_back(std::move(unit));
  }
  std::vector<size_t> unit_of(graph.blocks.size());
  for (size_t u = 0; u < units_.size(); ++u) unit_of[units_[u].block] = u;
  for (Unit& unit : units_) {
    for (size_t link : unit.in) {
      if (!from_source(link)) unit.beside.push_back(unit_of[graph.links[link].from]);
    }
    for (size_t link : unit.out)
      unit.beside.push_back(unit_of[graph.node_of(graph.links[link].to)]);
  }
}

void Schedule::list_moves(Unit& unit) const {
  const StreamBlock& block = graph_.blocks[unit.block];
  for (const Block& outer : block.rhythm.frame) {
    Repeated& repeated = unit.frame.emplace_back();
    repeated.repeat = outer.repeat;
    for (const Phase& phase : outer.phases) {
      if (phase.steps == 0) continue;
      Moves& moves = repeated.phases.emplace_back();
      moves.steps = phase.steps;
      for (size_t p = 0; p < block.in.size(); ++p) {
        const int64_t needs = block.needs(phase, p), frees = block.frees(phase, p);
        if (needs > 0 || frees > 0) moves.in.push_back({p, needs, frees});
      }
      for (size_t o = 0; o < block.out.size(); ++o) {
        if (phase.give >> o & 1) moves.out.push_back(o);
      }
      moves.is_plain = moves.in.size() <= 1 && moves.out.size() <= 1 &&
                       (moves.in.empty() || unit.room[moves.in[0].port] == 0);
    }
  }
  const auto count_idle = [](int64_t& idle) {
    return [&idle, found = false](const Moves& moves) mutable {
      found = found || !moves.empty();
      if (!found) idle += moves.steps;
    };
  };
  for_each_phase(unit.frame, count_idle(unit.idle_first));
  for_each_phase_backwards(unit.frame, count_idle(unit.idle_last));
}

bool Schedule::earliest(const Unit& unit, const std::vector<int64_t>& caps, const Placed* floor,
                        Placed& placed) const {
  struct Input {
    const Times* given = nullptr;  // null: its beats are always there
    const Times* floor = nullptr;  // null: however early
    Times* taken = nullptr;
    int64_t depth = 0, beats = 0, room = 0;
    int64_t needed = 0, written = 0, free = 0;
    int64_t last_write = kBefore, written_before = kBefore;
    // Cycles in which the beats of a ring are freed: in this frame, and in the one before.
    std::vector<int64_t> freed, freed_before;
  };
  struct Output {
    Times* given = nullptr;
    const Times* floor = nullptr;
    const Times* taken = nullptr;  // null: a queue without end
    int64_t beats = 0, gave = 0;
    int64_t place = 0, frame = 0;  // the beat that must have been taken

    void start(int64_t cap) {
      gave = 0;
      if (taken == nullptr) return;
      frame = floor_div(-cap, beats);
      place = -cap - frame * beats;
    }
    void step(int64_t steps) {
      gave += steps, place += steps;
      if (place == beats) place = 0, ++frame;
    }
  };
  std::vector<Input> inputs(unit.in.size());
  std::vector<Output> outputs(unit.out.size());
  placed.taken.resize(inputs.size()), placed.given.resize(outputs.size());
  for (size_t p = 0; p < inputs.size(); ++p) {
    Input& input = inputs[p];
    const size_t link = unit.in[p];
    input.beats = graph_.links[link].stream.beats;
    input.room = unit.room[p];
    input.taken = &placed.taken[p];
    input.taken->after.resize(static_cast<size_t>(input.beats));
    if (input.room > 0) input.freed.resize(static_cast<size_t>(input.beats));
    if (floor != nullptr) input.floor = &floor->taken[p];
    if (from_source(link)) continue;
    input.given = &given_[link];
    input.depth = graph_.blocks[graph_.links[link].from].rhythm.depth;
  }
  for (size_t o = 0; o < outputs.size(); ++o) {
    Output& output = outputs[o];
    output.beats = graph_.links[unit.out[o]].stream.beats;
    output.given = &placed.given[o];
    output.given->after.resize(static_cast<size_t>(output.beats));
    if (floor != nullptr) output.floor = &floor->given[o];
    if (!caps.empty()) output.taken = &taken_[unit.out[o]];
  }
  const auto visible = [](const Input& input, int64_t beat) {
    return input.given == nullptr ? 0 : (*input.given)[beat] + input.depth;
  };
  const auto roomy = [&](const Output& output) {
    return (*output.taken)[output.place] + output.frame * interval_ + 1;
  };
  const auto set = [](Times& times, int64_t beat, int64_t cycle) {
    if (beat == 0)
      times.set_first(beat, cycle);
    else
      times.set(beat, cycle);
  };
  const auto plain_steps = [&](Input* in, Output* out, int64_t steps, int64_t t) {
    Chunk cycles;
    while (steps > 0) {
      int64_t now = std::min(steps, kChunk);
      // When the beats are visible, their places are free, and the steps were.
      std::array<Distances, 3> bounds{};
      if (in != nullptr && in->given != nullptr)
        bounds[0] = {in->given->after.data() + in->needed, in->given->base + in->depth};
      if (out != nullptr && out->taken != nullptr) {
        now = std::min(now, out->beats - out->place);
        bounds[1] = {out->taken->after.data() + out->place,
                     out->taken->base + out->frame * interval_ + 1};
      }
      if (in != nullptr && in->floor != nullptr) {
        bounds[2] = {in->floor->after.data() + in->needed, in->floor->base};
      } else if (out != nullptr && out->floor != nullptr) {
        bounds[2] = {out->floor->after.data() + out->gave, out->floor->base};
      }
      if (!place_behind(t, now, bounds, cycles)) {
        now = 1;
        int64_t cycle = t + 1;
        for (const Distances& bound : bounds) {
          if (bound.after != nullptr) cycle = std::max(cycle, bound.base + bound.after[0]);
        }
        t = cycle - 1, cycles[0] = 1;
      }
      const auto store = [&](Times& times, int64_t beat) {
        if (beat == 0) times.base = t + cycles[0];
        const auto off = static_cast<int32_t>(t - times.base);
        int32_t* after = times.after.data() + beat;
        for (int64_t step = 0; step < now; ++step)
          after[step] = cycles[static_cast<size_t>(step)] + off;
      };
      if (in != nullptr) {
        store(*in->taken, in->needed);
        in->needed += now;
      }
      if (out != nullptr) {
        store(*out->given, out->gave);
        out->step(now);
      }
      t += cycles[static_cast<size_t>(now - 1)];
      steps -= now;
    }
    return t;
  };
  int64_t before = -1;  // the step before
  for (int round = 0; round < kMostRounds; ++round) {
    for (Input& input : inputs) {
      input.needed = input.written = input.free = 0;
      input.last_write = input.written_before;
    }
    for (size_t o = 0; o < outputs.size(); ++o) outputs[o].start(caps.empty() ? 0 : caps[o]);
    int64_t t = before, first = kAfter;
    for_each_phase(unit.frame, [&](const Moves& moves) {
      if (moves.empty()) {
        t += moves.steps;
        return;
      }
      int64_t left = moves.steps;
      if (moves.is_plain) {
        Input* in = moves.in.empty() ? nullptr : &inputs[moves.in[0].port];
        Output* out = moves.out.empty() ? nullptr : &outputs[moves.out[0]];
        if (first == kAfter) {
          t = first = plain_steps(in, out, 1, t);
          --left;
        }
        t = plain_steps(in, out, left, t);
        return;
      }
      for (; left > 0; --left) {
        ++t;
        for (const Moves::In& move : moves.in) {
          Input& input = inputs[move.port];
          if (move.needs == 0) continue;
          if (input.room == 0) {
            t = std::max(t, visible(input, input.needed));
            if (input.floor != nullptr) t = std::max(t, (*input.floor)[input.needed]);
            continue;
          }
          for (; input.written < input.needed + move.needs; ++input.written) {
            const int64_t beat = input.written, place = beat - input.room;
            int64_t cycle = std::max(input.last_write + 1, visible(input, beat));
            if (input.floor != nullptr) cycle = std::max(cycle, (*input.floor)[beat]);
            if (place >= 0) {
              FOLDSTREAM_CHECK(place < input.free);
              cycle = std::max(cycle, input.freed[static_cast<size_t>(place)] + 1);
            } else if (!input.freed_before.empty()) {
              const int64_t frame = floor_div(place, input.beats);
              cycle = std::max(
                  cycle, input.freed_before[static_cast<size_t>(place - frame * input.beats)] +
                             frame * interval_ + 1);
            }
            set(*input.taken, beat, cycle);
            input.last_write = cycle;
          }
          t = std::max(t, (*input.taken)[input.needed + move.needs - 1] + 1);
        }
        for (const size_t o : moves.out) {
          if (outputs[o].taken != nullptr) t = std::max(t, roomy(outputs[o]));
          if (outputs[o].floor != nullptr) t = std::max(t, (*outputs[o].floor)[outputs[o].gave]);
        }
        first = std::min(first, t);
        for (const Moves::In& move : moves.in) {
          Input& input = inputs[move.port];
          if (input.room == 0) {
            set(*input.taken, input.needed++, t);
            continue;
          }
          input.needed += move.needs;
          for (int64_t beat = 0; beat < move.frees; ++beat)
            input.freed[static_cast<size_t>(input.free++)] = t;
        }
        for (const size_t o : moves.out) {
          set(*outputs[o].given, outputs[o].gave, t);
          outputs[o].step(1);
        }
      }
    });
    // It rests when the frame before, as this one, would not have been in its way.
    bool rests = t - interval_ + unit.idle_first + 1 <= first;
    for (const Input& input : inputs) {
      if (!rests || input.room == 0) continue;
      rests = input.last_write - interval_ < (*input.taken)[0];
      for (int64_t beat = 0; rests && beat < std::min(input.beats, input.room); ++beat) {
        const int64_t place = beat - input.room, frame = floor_div(place, input.beats);
        rests = input.freed[static_cast<size_t>(place - frame * input.beats)] + frame * interval_ <
                (*input.taken)[beat];
      }
    }
    if (rests) return true;
    before = std::max(before, t - interval_);
    for (Input& input : inputs) {
      if (input.room == 0) continue;
      input.freed_before = input.freed;
      input.written_before = input.last_write - interval_;
    }
  }
  return false;
}

bool Schedule::latest(const Unit& unit, const std::vector<int64_t>& caps, const Placed* ceiling,
                      Placed& placed) const {
  struct Input {
    Times* taken = nullptr;
    const Times* ceiling = nullptr;  // null: however late
    const Times* given = nullptr;    // null: a queue without end
    int64_t beats = 0, room = 0, cap = 0;
    int64_t needed = 0, free = 0;
    int64_t next_write = kAfter, written_after = kAfter;
    std::optional<Times> taken_after;  // of the frame behind
    // Beats of frames behind that are written into places freed in this one, and when.
    std::vector<std::pair<int64_t, int64_t>> reused;

    // The beat that is given into the place of this one, and how many frames behind.
    std::pair<int64_t, int64_t> next_in_place(int64_t beat) const {
      const int64_t frame = (beat + cap) / beats;
      return {beat + cap - frame * beats, frame};
    }
  };
  struct Output {
    Times* given = nullptr;
    const Times* ceiling = nullptr;
    const Times* taken = nullptr;
    int64_t left = 0;
  };
  std::vector<Input> inputs(unit.in.size());
  std::vector<Output> outputs(unit.out.size());
  placed.taken.resize(inputs.size()), placed.given.resize(outputs.size());
  for (size_t p = 0; p < inputs.size(); ++p) {
    Input& input = inputs[p];
    input.beats = graph_.links[unit.in[p]].stream.beats;
    input.room = unit.room[p];
    input.taken = &placed.taken[p];
    input.taken->after.resize(static_cast<size_t>(input.beats));
    if (ceiling != nullptr) input.ceiling = &ceiling->taken[p];
    if (caps.empty() || from_source(unit.in[p])) continue;
    input.given = &given_[unit.in[p]];
    input.cap = caps[p];
  }
  for (size_t o = 0; o < outputs.size(); ++o) {
    outputs[o] = {&placed.given[o], ceiling != nullptr ? &ceiling->given[o] : nullptr,
                  &taken_[unit.out[o]], 0};
    outputs[o].given->after.resize(outputs[o].taken->after.size());
  }
  const int64_t depth = graph_.blocks[unit.block].rhythm.depth;
  const auto has_place = [&](const Input& input, int64_t beat) {
    const auto [place, frame] = input.next_in_place(beat);
    return (*input.given)[place] + frame * interval_ - 1;
  };
  const auto plain_steps = [&](Input* in, Output* out, int64_t steps, int64_t t) {
    Chunk cycles;
    while (steps > 0) {
      int64_t now = std::min(steps, kChunk);
      // When the beats are taken, their places are needed, and the steps were.
      std::array<Distances, 3> bounds{};
      if (in != nullptr && in->given != nullptr) {
        const auto [beat, frame] = in->next_in_place(in->needed - 1);
        now = std::min(now, beat + 1);
        bounds[0] = {in->given->after.data() + beat + 1 - now,
                     in->given->base + frame * interval_ - 1};
      }
      const auto place = [&] {
        if (out != nullptr)
          bounds[1] = {out->taken->after.data() + out->left - now, out->taken->base - depth};
        if (in != nullptr && in->ceiling != nullptr) {
          bounds[2] = {in->ceiling->after.data() + in->needed - now, in->ceiling->base};
        } else if (out != nullptr && out->ceiling != nullptr) {
          bounds[2] = {out->ceiling->after.data() + out->left - now, out->ceiling->base};
        }
      };
      place();
      if (!place_before(t, now, bounds, cycles)) {
        if (bounds[0].after != nullptr) bounds[0].after += now - 1;
        now = 1;
        place();
        int64_t cycle = t - 1;
        for (const Distances& bound : bounds) {
          if (bound.after != nullptr) cycle = std::min(cycle, bound.base + bound.after[0]);
        }
        t = cycle + 1, cycles[0] = -1;
      }
      const auto store = [&](Times& times, int64_t end) {
        if (end == static_cast<int64_t>(times.after.size()))
          times.base = t + cycles[static_cast<size_t>(now - 1)];
        const auto off = static_cast<int32_t>(t - times.base);
        int32_t* after = times.after.data() + end - now;
        for (int64_t step = 0; step < now; ++step)
          after[step] = cycles[static_cast<size_t>(step)] + off;
      };
      if (in != nullptr) {
        store(*in->taken, in->needed);
        in->needed -= now;
      }
      if (out != nullptr) {
        store(*out->given, out->left);
        out->left -= now;
      }
      t += cycles[0];
      steps -= now;
    }
    return t;
  };
  const auto set = [](Times& times, int64_t beat, int64_t cycle) {
    if (beat + 1 == static_cast<int64_t>(times.after.size()))
      times.set_first(beat, cycle);
    else
      times.set(beat, cycle);
  };
  int64_t after = kAfter;
  for (int round = 0; round < kMostRounds; ++round) {
    for (Input& input : inputs) {
      input.needed = input.free = input.beats;
      input.next_write = input.written_after;
      input.reused.clear();
    }
    for (Output& output : outputs) output.left = static_cast<int64_t>(output.given->after.size());
    int64_t t = after, last = kBefore;
    for_each_phase_backwards(unit.frame, [&](const Moves& moves) {
      if (moves.empty()) {
        t -= moves.steps;
        return;
      }
      int64_t left = moves.steps;
      if (moves.is_plain) {
        Input* in = moves.in.empty() ? nullptr : &inputs[moves.in[0].port];
        Output* out = moves.out.empty() ? nullptr : &outputs[moves.out[0]];
        if (last == kBefore) {
          t = last = plain_steps(in, out, 1, t);
          --left;
        }
        if (left > 0) t = plain_steps(in, out, left, t);
        return;
      }
      for (; left > 0; --left) {
        --t;
        for (const size_t o : moves.out) {
          Output& output = outputs[o];
          t = std::min(t, (*output.taken)[--output.left] - depth);
          if (output.ceiling != nullptr) t = std::min(t, (*output.ceiling)[output.left]);
        }
        for (const Moves::In& move : moves.in) {
          Input& input = inputs[move.port];
          if (input.room == 0) {
            if (input.given != nullptr) t = std::min(t, has_place(input, input.needed - 1));
            if (input.ceiling != nullptr) t = std::min(t, (*input.ceiling)[input.needed - 1]);
            continue;
          }
          if (move.frees == 0) continue;
          input.free -= move.frees;
          // The first beat that is written into a place freed here.
          const int64_t beat = input.free + input.room;
          if (beat < input.beats) {
            FOLDSTREAM_CHECK(beat >= input.needed);
            t = std::min(t, (*input.taken)[beat] - 1);
          } else if (input.taken_after) {
            const int64_t frame = beat / input.beats;
            t = std::min(t,
                         (*input.taken_after)[beat - frame * input.beats] + frame * interval_ - 1);
          }
        }
        last = std::max(last, t);
        for (const size_t o : moves.out) set(*outputs[o].given, outputs[o].left, t);
        for (const Moves::In& move : moves.in) {
          Input& input = inputs[move.port];
          if (input.room == 0) {
            set(*input.taken, --input.needed, t);
            continue;
          }
          for (int64_t beat = 0; beat < move.needs; ++beat) {
            const int64_t written = --input.needed;
            input.next_write = std::min(input.next_write, t) - 1;
            if (input.given != nullptr)
              input.next_write = std::min(input.next_write, has_place(input, written));
            if (input.ceiling != nullptr)
              input.next_write = std::min(input.next_write, (*input.ceiling)[written]);
            set(*input.taken, written, input.next_write);
          }
          for (int64_t beat = 0; beat < move.frees; ++beat) {
            const int64_t user = input.free + beat + input.room;
            if (user >= input.beats) input.reused.emplace_back(user, t);
          }
        }
      }
    });
    // It rests when the frame behind, as this one, would not have been in its way.
    bool rests = t + interval_ - unit.idle_last - 1 >= last;
    for (const Input& input : inputs) {
      if (!rests || input.room == 0) continue;
      rests = (*input.taken)[input.beats - 1] < (*input.taken)[0] + interval_;
      for (const auto& [beat, cycle] : input.reused) {
        const int64_t frame = beat / input.beats;
        rests = rests && cycle < (*input.taken)[beat - frame * input.beats] + frame * interval_;
      }
    }
    if (rests) return true;
    after = std::min(after, t + interval_);
    for (Input& input : inputs) {
      if (input.room == 0) continue;
      input.taken_after = *input.taken;
      input.written_after = input.next_write + interval_;
    }
  }
  return false;
}

Schedule::Placed Schedule::placed(const Unit& unit) const {
  Placed result;
  for (size_t link : unit.in) result.taken.push_back(taken_[link]);
  for (size_t link : unit.out) result.given.push_back(given_[link]);
  return result;
}

Schedule::Placed Schedule::take_out(const Unit& unit) {
  Placed result;
  for (size_t link : unit.in) result.taken.push_back(std::move(taken_[link]));
  for (size_t link : unit.out) result.given.push_back(std::move(given_[link]));
  return result;
}

void Schedule::place(const Unit& unit, Placed placed) {
  for (size_t p = 0; p < unit.in.size(); ++p) taken_[unit.in[p]] = std::move(placed.taken[p]);
  for (size_t o = 0; o < unit.out.size(); ++o) given_[unit.out[o]] = std::move(placed.given[o]);
}

int64_t Schedule::sooner(const Times& first, int64_t at_first, const Times& second,
                         int64_t at_second, int64_t off, int64_t beats) {
  // Distances may be added up as they are.
  const auto is_near = [](int64_t cycles) { return std::abs(cycles) < kNear; };
  const auto are_near = [&](const Times& times) {
    return is_near(times.after.front()) && is_near(times.after.back());
  };
  off += first.base - second.base;
  const int32_t* before = first.after.data() + at_first;
  const int32_t* behind = second.after.data() + at_second;
  int64_t fine = 0;
  if (is_near(off) && are_near(first) && are_near(second)) {
    const auto near = static_cast<int32_t>(off);
    for (; fine + kTogether <= beats; fine += kTogether) {
      int32_t late = 0;
      for (int64_t i = fine; i < fine + kTogether; ++i)
        late |= static_cast<int32_t>(before[i] + near >= behind[i]);
      if (late != 0) break;
    }
  }
  while (fine < beats && before[fine] + off < behind[fine]) ++fine;
  return fine;
}

int64_t Schedule::first_without_place(const Times& given, const Times& taken, int64_t beat,
                                      int64_t queue) const {
  const auto beats = static_cast<int64_t>(given.after.size());
  while (beat < beats) {
    // So many from here on and those before them in their places are in one frame each.
    const int64_t frame = floor_div(beat - queue, beats);
    const int64_t place = beat - queue - frame * beats;
    const int64_t run = std::min(beats - beat, beats - place);
    const int64_t fine = sooner(taken, place, given, beat, frame * interval_, run);
    beat += fine;
    if (fine < run) break;
  }
  return beat;
}

int64_t Schedule::queue_of(const Times& given, const Times& taken) const {
  if (given.after.empty()) return 1;  // a source's
  const auto beats = static_cast<int64_t>(given.after.size());
  int64_t most = 1;
  for (int64_t beat = 0; (beat = first_without_place(given, taken, beat, most)) < beats;) ++most;
  return most;
}

bool Schedule::has_room(size_t link, int64_t queue) const {
  const auto beats = static_cast<int64_t>(given_[link].after.size());
  return first_without_place(given_[link], taken_[link], 0, queue) == beats;
}

bool Schedule::in_time(size_t link) const {
  const auto beats = static_cast<int64_t>(given_[link].after.size());
  const int64_t depth = graph_.blocks[graph_.links[link].from].rhythm.depth;
  return sooner(given_[link], 0, taken_[link], 0, depth - 1, beats) == beats;
}

std::vector<int64_t> Schedule::queues() const {
  std::vector<int64_t> result(graph_.links.size(), 1);
  for (size_t link = 0; link < result.size(); ++link) {
    if (!graph_.is_ring(link)) result[link] = queue_of(link);
  }
  return result;
}

void Schedule::follow_depths() {
  std::vector<int64_t> later(graph_.links.size(), 0);  // by link, when its beats are visible
  for (Unit& unit : units_) {
    std::optional<int64_t> by;
    for (const size_t link : unit.in) {
      if (!from_source(link)) by = std::max(by.value_or(later[link]), later[link]);
    }
    const int64_t cycles = by.value_or(0);
    for (const size_t link : unit.in) taken_[link].base += cycles;
    const int64_t depth = graph_.blocks[unit.block].rhythm.depth;
    for (const size_t link : unit.out) {
      given_[link].base += cycles;
      later[link] = cycles + depth - unit.depth;
    }
    unit.depth = depth;
  }
}

std::optional<std::vector<size_t>> Schedule::move(Direction direction,
                                                  const std::vector<int64_t>& queues,
                                                  const std::vector<size_t>& links, int64_t& work,
                                                  const std::atomic<bool>& is_wanted) {
  const bool is_later = direction == Direction::later;
  std::vector<std::optional<Placed>> before(units_.size());  // what was moved, as it was
  // The first of those that are due, where later, and the last, where earlier: what leads back and
  // forth between few blocks comes to rest before any of it goes on through the whole network.
  std::set<size_t> due;
  for (size_t u = 0; u < units_.size(); ++u) {
    const std::vector<size_t>& ends = is_later ? units_[u].out : units_[u].in;
    if (std::find_first_of(ends.begin(), ends.end(), links.begin(), links.end()) != ends.end())
      due.insert(u);
  }
  std::vector<int> moves(units_.size(), 0);
  const auto in_time = [&](size_t link) { return from_source(link) || this->in_time(link); };
  const auto has_room = [&](size_t link) {
    return from_source(link) || this->has_room(link, queues[link]);
  };
  const auto is_in_place = [&](const Unit& unit) {
    const std::vector<size_t>&timed = is_later ? unit.in : unit.out,
          &roomy = is_later ? unit.out : unit.in;
    return std::all_of(timed.begin(), timed.end(), in_time) &&
           std::all_of(roomy.begin(), roomy.end(), has_room);
  };
  bool fits = true;
  while (!due.empty() && fits) {
    const size_t u = *(is_later ? due.begin() : std::prev(due.end()));
    due.erase(u);
    Unit& unit = units_[u];
    if (is_in_place(unit)) continue;
    std::vector<int64_t> caps;
    for (size_t link : is_later ? unit.out : unit.in) caps.push_back(queues[link]);
    work -= graph_.blocks[unit.block].rhythm.steps();
    Placed now = take_out(unit);
    fits =
        is_wanted && work > 0 && ++moves[u] <= (unit.never_pauses ? kMostPacerMoves : kMostMoves) &&
        (is_later ? earliest(unit, caps, &now, unit.spare) : latest(unit, caps, &now, unit.spare));
    if (!fits) {
      place(unit, std::move(now));
      break;
    }
    place(unit, std::exchange(unit.spare, {}));
    (before[u] ? unit.spare : before[u].emplace()) = std::move(now);
    due.insert(unit.beside.begin(), unit.beside.end());
  }
  std::vector<size_t> moved;
  for (size_t u = 0; u < units_.size(); ++u) {
    if (!before[u]) continue;
    moved.push_back(u);
    if (fits) {
      units_[u].spare = std::move(*before[u]);
    } else {
      units_[u].spare = take_out(units_[u]);
      place(units_[u], std::move(*before[u]));
    }
  }
  if (!fits) return std::nullopt;
  return moved;
}

void Schedule::take_over(const Schedule& other, const std::vector<size_t>& moved) {
  for (const size_t u : moved) {
    for (const size_t link : units_[u].in) taken_[link] = other.taken_[link];
    for (const size_t link : units_[u].out) given_[link] = other.given_[link];
  }
}

double Schedule::total(const QueuePrice& price) const {
  const std::vector<int64_t> beats = queues();
  double sum = 0;
  for (size_t link = 0; link < beats.size(); ++link) {
    if (!graph_.is_ring(link) && !from_source(link)) sum += price(link, beats[link]);
  }
  return sum;
}

void Schedule::improve_blocks(const QueuePrice& price) {
  std::vector<char> is_due(units_.size(), 1);  // something beside it has moved since it was tried
  const auto visit = [&](size_t u) {
    if (!is_due[u]) return false;
    is_due[u] = 0;
    if (!improve(units_[u], price)) return false;
    for (const size_t beside : units_[u].beside) is_due[beside] = 1;
    return true;
  };
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    bool any = false;
    for (size_t u = units_.size(); u-- > 0;) any |= visit(u);
    for (size_t u = 0; u < units_.size(); ++u) any |= visit(u);
    if (!any) return;
  }
}

// Beats that wait for a block which never pauses can wait at any of the links before it. A block is
// either as early or as late as such blocks let it; where one is early, so is all that feeds it.
void Schedule::choose_sides(const QueuePrice& price) {
  const size_t count = units_.size();
  // Early, as it is, and late: by unit, each no later than the next.
  std::vector<std::vector<Placed>> choices(count);
  for (size_t u = 0; u < count; ++u) {
    const Unit& unit = units_[u];
    Placed now = placed(unit), early;
    if (!unit.is_fixed && earliest(unit, {}, nullptr, early)) {
      place(unit, early);
      choices[u].push_back(std::move(early));
    }
    choices[u].push_back(std::move(now));
  }
  for (size_t u = count; u-- > 0;) {
    const Unit& unit = units_[u];
    Placed late;
    if (unit.is_fixed || !latest(unit, {}, nullptr, late)) {
      place(unit, choices[u].back());
    } else {
      place(unit, late);
      choices[u].push_back(std::move(late));
    }
  }
  std::vector<size_t> sizes;
  std::vector<size_t> giver(graph_.links.size(), SIZE_MAX), port(graph_.links.size(), 0);
  for (size_t u = 0; u < count; ++u) {
    sizes.push_back(choices[u].size());
    for (size_t o = 0; o < units_[u].out.size(); ++o)
      giver[units_[u].out[o]] = u, port[units_[u].out[o]] = o;
  }
  struct Joint {
    size_t giver, port, taker, input, link;
  };
  std::vector<Joint> joints;
  for (size_t u = 0; u < count; ++u) {
    for (size_t p = 0; p < units_[u].in.size(); ++p) {
      const size_t link = units_[u].in[p];
      if (!from_source(link)) joints.push_back({giver[link], port[link], u, p, link});
    }
  }
  std::vector<MinSum::Scope> scopes(joints.size());
  std::vector<MinSum::Table> tables(joints.size());
  parallel_for(joints.size(), [&](size_t j) {
    const auto& [g, given_port, u, p, link] = joints[j];
    scopes[j] = {g, u};
    const int64_t depth = graph_.blocks[units_[g].block].rhythm.depth;
    for (const Placed& giving : choices[g]) {
      for (const Placed& taking : choices[u]) {
        const Times &given = giving.given[given_port], &taken = taking.taken[p];
        bool in_time = true;
        for (size_t beat = 0; in_time && beat < given.after.size(); ++beat) {
          const auto at = static_cast<int64_t>(beat);
          in_time = given[at] + depth <= taken[at];
        }
        tables[j].push_back(in_time ? price(link, queue_of(given, taken))
                                    : std::numeric_limits<double>::infinity());
      }
    }
  });
  constexpr size_t kTableLimit = 1'000'000;
  const Minimum minimum = MinSum(sizes, std::move(scopes), kTableLimit).minimise(tables);
  for (size_t u = 0; u < count; ++u) place(units_[u], std::move(choices[u][minimum.value[u]]));
}

bool Schedule::improve(const Unit& unit, const QueuePrice& price) {
  if (graph_.blocks[unit.block].kind == StreamBlock::Kind::sink) return false;
  const auto sum_of = [&](const std::vector<size_t>& links, const auto& queue) {
    double sum = 0;
    for (size_t i = 0; i < links.size(); ++i) {
      if (!from_source(links[i])) sum += price(links[i], queue(i));
    }
    return sum;
  };
  const auto before = [&](const Placed& placed) {
    return sum_of(unit.in, [&](size_t p) { return queue_of(given_[unit.in[p]], placed.taken[p]); });
  };
  const auto behind = [&](const Placed& placed) {
    return sum_of(unit.out,
                  [&](size_t o) { return queue_of(placed.given[o], taken_[unit.out[o]]); });
  };
  double least = sum_of(unit.in, [&](size_t p) { return queue_of(unit.in[p]); }) +
                 sum_of(unit.out, [&](size_t o) { return queue_of(unit.out[o]); });
  const auto one = [](size_t) -> int64_t { return 1; };
  const double least_before = sum_of(unit.in, one), least_behind = sum_of(unit.out, one);
  if (least_before + least_behind >= least) return false;
  Placed late, early;
  std::array<bool, 2> is_placed{};
  const auto try_side = [&](size_t side) {
    is_placed[side] =
        side == 0 ? earliest(unit, {}, nullptr, early) : latest(unit, {}, nullptr, late);
  };
  // Threads are worth their start for long frames alone.
  if (graph_.blocks[unit.block].rhythm.steps() >= kManySteps) {
    parallel_for(2, try_side);
  } else {
    try_side(0), try_side(1);
  }
  if (!is_placed[0] || !is_placed[1]) return false;
  // No schedule has less before it than the earliest, nor less behind it than the latest.
  const double early_before = before(early), late_behind = behind(late);
  if (early_before + late_behind >= least) return false;
  std::optional<Placed> best;
  const auto consider = [&](Placed& candidate) {
    const double candidate_before = before(candidate), sum = candidate_before + behind(candidate);
    if (sum < least) {
      least = sum;
      best = std::move(candidate);
    }
    return candidate_before;
  };
  std::vector<int64_t> low, high;
  for (size_t o = 0; o < unit.out.size(); ++o) {
    low.push_back(queue_of(late.given[o], taken_[unit.out[o]]));
    high.push_back(queue_of(early.given[o], taken_[unit.out[o]]));
  }
  consider(late);
  consider(early);
  // Between them: as early as queues of some size let it. The longer they are, the less is before.
  for (size_t o = 0; o < unit.out.size(); ++o) {
    double bound_before = early_before;
    for (auto size = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(high[o] - 1)));
         size >= low[o] && size > 0; size /= 2) {
      if (bound_before + late_behind >= least) break;
      if (bound_before + late_behind - price(unit.out[o], low[o]) + price(unit.out[o], size) >=
          least)
        continue;
      std::vector<int64_t> caps = low;
      for (size_t other = 0; other < caps.size(); ++other)
        caps[other] = std::max(low[other], other == o ? size : queue_of(unit.out[other]));
      Placed between;
      if (!earliest(unit, caps, nullptr, between)) break;
      bound_before = consider(between);
    }
  }
  if (!best) return false;
  place(unit, std::move(*best));
  return true;
}

}  // namespace foldstream
