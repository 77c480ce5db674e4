// SPDX-License-Identifier: Apache-2.0
#include "src/fold/schedule.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <limits>
#include <optional>

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
    unit.is_fixed = block.kind == StreamBlock::Kind::sink || block.rhythm.steps() == interval;
    FOLDSTREAM_CHECK(block.rhythm.steps() <= interval);
    list_moves(unit);
    Placed first;
    FOLDSTREAM_CHECK(earliest(unit, {}, first));
    place(unit, std::move(first));
    units_.push_back(std::move(unit));
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

bool Schedule::earliest(const Unit& unit, const std::vector<int64_t>& caps, Placed& placed) const {
  struct Input {
    const Times* given = nullptr;  // null: its beats are always there
    Times* taken = nullptr;
    int64_t depth = 0, beats = 0, room = 0;
    int64_t needed = 0, written = 0, free = 0;
    int64_t last_write = kBefore, written_before = kBefore;
    // Cycles in which the beats of a ring are freed: in this frame, and in the one before.
    std::vector<int64_t> freed, freed_before;
  };
  struct Output {
    Times* given = nullptr;
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
    if (from_source(link)) continue;
    input.given = &given_[link];
    input.depth = graph_.blocks[graph_.links[link].from].rhythm.depth;
  }
  for (size_t o = 0; o < outputs.size(); ++o) {
    Output& output = outputs[o];
    output.beats = graph_.links[unit.out[o]].stream.beats;
    output.given = &placed.given[o];
    output.given->after.resize(static_cast<size_t>(output.beats));
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
    while (steps > 0) {
      int64_t now = steps;
      const int32_t *seen = nullptr, *room = nullptr;
      int32_t *taken = nullptr, *given = nullptr;
      int64_t seen_base = 0, room_base = 0, first = t + 1;
      if (in != nullptr && in->given != nullptr) {
        seen = in->given->after.data() + in->needed;
        seen_base = in->given->base + in->depth;
        first = std::max(first, seen_base + seen[0]);
      }
      if (out != nullptr && out->taken != nullptr) {
        now = std::min(now, out->beats - out->place);
        room = out->taken->after.data() + out->place;
        room_base = out->taken->base + out->frame * interval_ + 1;
        first = std::max(first, room_base + room[0]);
      }
      if (in != nullptr) {
        if (in->needed == 0) in->taken->base = first;
        taken = in->taken->after.data() + in->needed;
        in->needed += now;
      }
      if (out != nullptr) {
        if (out->gave == 0) out->given->base = first;
        given = out->given->after.data() + out->gave;
        out->step(now);
      }
      const int64_t taken_base = in != nullptr ? in->taken->base : 0;
      const int64_t given_base = out != nullptr ? out->given->base : 0;
      for (int64_t step = 0; step < now; ++step) {
        ++t;
        if (seen != nullptr) t = std::max(t, seen_base + seen[step]);
        if (room != nullptr) t = std::max(t, room_base + room[step]);
        if (taken != nullptr) taken[step] = static_cast<int32_t>(t - taken_base);
        if (given != nullptr) given[step] = static_cast<int32_t>(t - given_base);
      }
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
            continue;
          }
          for (; input.written < input.needed + move.needs; ++input.written) {
            const int64_t beat = input.written, place = beat - input.room;
            int64_t cycle = std::max(input.last_write + 1, visible(input, beat));
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

bool Schedule::latest(const Unit& unit, Placed& placed) const {
  struct Input {
    Times* taken = nullptr;
    int64_t beats = 0, room = 0;
    int64_t needed = 0, free = 0;
    int64_t next_write = kAfter, written_after = kAfter;
    std::optional<Times> taken_after;  // of the frame behind
    // Beats of frames behind that are written into places freed in this one, and when.
    std::vector<std::pair<int64_t, int64_t>> reused;
  };
  struct Output {
    Times* given = nullptr;
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
  }
  for (size_t o = 0; o < outputs.size(); ++o) {
    outputs[o] = {&placed.given[o], &taken_[unit.out[o]], 0};
    outputs[o].given->after.resize(outputs[o].taken->after.size());
  }
  const int64_t depth = graph_.blocks[unit.block].rhythm.depth;
  const auto plain_steps = [&](Input* in, Output* out, int64_t steps, int64_t t) {
    const int32_t* user = nullptr;  // when the beats are taken
    int32_t *taken = nullptr, *given = nullptr;
    int64_t user_base = 0, last = t - 1;
    if (out != nullptr) {
      out->left -= steps;
      user = out->taken->after.data() + out->left;
      user_base = out->taken->base - depth;
      last = std::min(last, user_base + user[steps - 1]);
      if (out->left + steps == static_cast<int64_t>(out->given->after.size()))
        out->given->base = last;
      given = out->given->after.data() + out->left;
    }
    if (in != nullptr) {
      if (in->needed == in->beats) in->taken->base = last;
      in->needed -= steps;
      taken = in->taken->after.data() + in->needed;
    }
    const int64_t taken_base = in != nullptr ? in->taken->base : 0;
    const int64_t given_base = out != nullptr ? out->given->base : 0;
    for (int64_t step = steps; step-- > 0;) {
      --t;
      if (user != nullptr) t = std::min(t, user_base + user[step]);
      if (taken != nullptr) taken[step] = static_cast<int32_t>(t - taken_base);
      if (given != nullptr) given[step] = static_cast<int32_t>(t - given_base);
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
        for (const size_t o : moves.out)
          t = std::min(t, (*outputs[o].taken)[--outputs[o].left] - depth);
        for (const Moves::In& move : moves.in) {
          Input& input = inputs[move.port];
          if (input.room == 0 || move.frees == 0) continue;
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
            input.next_write = std::min(input.next_write, t) - 1;
            set(*input.taken, --input.needed, input.next_write);
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

void Schedule::place(const Unit& unit, Placed placed) {
  for (size_t p = 0; p < unit.in.size(); ++p) taken_[unit.in[p]] = std::move(placed.taken[p]);
  for (size_t o = 0; o < unit.out.size(); ++o) given_[unit.out[o]] = std::move(placed.given[o]);
}

int64_t Schedule::queue_of(const Times& given, const Times& taken) const {
  if (given.after.empty()) return 1;  // a source's
  const auto beats = static_cast<int64_t>(given.after.size());
  // Distances may be added up as they are.
  const auto is_near = [](int64_t cycles) { return std::abs(cycles) < kNear; };
  const bool is_short = is_near(given.after.front()) && is_near(given.after.back()) &&
                        is_near(taken.after.front()) && is_near(taken.after.back());
  // The least with which every beat is given after the one that was in its place was taken.
  int64_t most = 1;
  for (int64_t beat = 0; beat < beats;) {
    const int64_t frame = floor_div(beat - most, beats);
    const int64_t place = beat - most - frame * beats;
    const int64_t off = taken.base + frame * interval_ - given.base;
    const int32_t* gives = given.after.data() + beat;
    const int32_t* takes = taken.after.data() + place;
    const int64_t left = std::min(beats - beat, beats - place);
    int64_t fine = 0;
    if (is_short && is_near(off)) {
      const auto near = static_cast<int32_t>(off);
      for (; fine + kTogether <= left; fine += kTogether) {
        int32_t late = 0;
        for (int64_t i = fine; i < fine + kTogether; ++i)
          late |= static_cast<int32_t>(takes[i] + near >= gives[i]);
        if (late != 0) break;
      }
    }
    while (fine < left && takes[fine] + off < gives[fine]) ++fine;
    beat += fine;
    if (fine < left) ++most;
  }
  return most;
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

double Schedule::total(const QueuePrice& price) const {
  const std::vector<int64_t> beats = queues();
  double sum = 0;
  for (size_t link = 0; link < beats.size(); ++link) {
    if (!graph_.is_ring(link) && !from_source(link)) sum += price(link, beats[link]);
  }
  return sum;
}

void Schedule::improve_blocks(const QueuePrice& price) {
  std::vector<size_t> unit_of(graph_.blocks.size());
  for (size_t u = 0; u < units_.size(); ++u) unit_of[units_[u].block] = u;
  std::vector<char> is_due(units_.size(), 1);  // something beside it has moved since it was tried
  const auto visit = [&](size_t u) {
    if (!is_due[u]) return false;
    is_due[u] = 0;
    if (!improve(units_[u], price)) return false;
    for (size_t link : units_[u].in) {
      if (!from_source(link)) is_due[unit_of[graph_.links[link].from]] = 1;
    }
    for (size_t link : units_[u].out) {
      is_due[unit_of[graph_.node_of(graph_.links[link].to)]] = 1;
    }
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
    if (!unit.is_fixed && earliest(unit, {}, early)) {
      place(unit, early);
      choices[u].push_back(std::move(early));
    }
    choices[u].push_back(std::move(now));
  }
  for (size_t u = count; u-- > 0;) {
    const Unit& unit = units_[u];
    Placed late;
    if (unit.is_fixed || !latest(unit, late)) {
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
    is_placed[side] = side == 0 ? earliest(unit, {}, early) : latest(unit, late);
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
      if (!earliest(unit, caps, between)) break;
      bound_before = consider(between);
    }
  }
  if (!best) return false;
  place(unit, std::move(*best));
  return true;
}

}  // namespace foldstream
