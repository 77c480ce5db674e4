// SPDX-License-Identifier: Apache-2.0
#include "src/sim/first_frame.h"

#include <algorithm>

#include "src/util/error.h"

namespace foldstream {
namespace {

// Places of the ring behind an input; 0: it has none.
int64_t room_of(const Rhythm& rhythm, size_t port) {
  return port == 0 && rhythm.store ? rhythm.store->room : rhythm.hold;
}
bool is_stored(const Rhythm& rhythm, size_t port) { return port == 0 && rhythm.store.has_value(); }
int64_t needs(const Rhythm& rhythm, const Phase& phase, size_t port) {
  return is_stored(rhythm, port) ? phase.acquire : phase.take >> port & 1;
}
int64_t frees(const Rhythm& rhythm, const Phase& phase, size_t port) {
  return is_stored(rhythm, port) ? phase.release : phase.take >> port & 1;
}

// Walks through the steps of one frame.
class Walk {
 public:
  Walk(const Rhythm& rhythm, const Inputs& in, const std::vector<int64_t>& beats_out)
      : rhythm_(rhythm), in_(in), inputs_(in.size()), visible_(beats_out.size()) {
    for (size_t p = 0; p < in.size(); ++p) inputs_[p].room = room_of(rhythm, p);
    for (size_t o = 0; o < beats_out.size(); ++o)
      visible_[o].reserve(static_cast<size_t>(beats_out[o]));
  }

  // Traced: keeps what cause() reads.
  void run(bool traced) {
    int64_t now = -1, place = -1;
    for (const Block& block : rhythm_.frame) {
      for (int64_t repeat = 0; repeat < block.repeat; ++repeat) {
        for (const Phase& phase : block.phases) {
          if (!moves(phase)) {
            now += phase.steps, place += phase.steps;
            continue;
          }
          for (int64_t step = 0; step < phase.steps; ++step) {
            ++place;
            issue(phase, ++now);
            if (traced) steps_.push_back({place, now, given_});
            for (size_t p = 0; p < inputs_.size(); ++p) {
              Input& input = inputs_[p];
              if (input.room == 0) continue;
              const auto index = static_cast<int64_t>(steps_.size()) - 1;
              for (int64_t beat = frees(rhythm_, phase, p); beat > 0; --beat) {
                input.freed.push_back(now);
                if (traced) input.freed_by.push_back(index);
              }
            }
          }
        }
      }
    }
  }

  std::vector<Arrivals> take_visible() { return std::move(visible_); }

  Cause cause(size_t output, int64_t beat) const {
    const int64_t end = visible_[output][static_cast<size_t>(beat)];
    // The step that gives it.
    int64_t count = 0;
    size_t at = 0;
    for (;; ++at) {
      if ((steps_[at].give >> output & 1) && count++ == beat) break;
    }
    while (true) {
      const Step& step = steps_[at];
      if (at > 0 && step.cycle - steps_[at - 1].cycle == step.place - steps_[at - 1].place) {
        --at;
        continue;
      }
      std::optional<std::pair<size_t, int64_t>> write;  // input and beat that it waited for
      for (const Wait& wait : waits_of(at)) {
        const Input& input = inputs_[wait.port];
        if (input.room == 0) {
          if (in_[wait.port] != nullptr && arrival(wait.port, wait.beat) == step.cycle)
            return {{wait.port, wait.beat}, end - step.cycle};
        } else if (input.written[static_cast<size_t>(wait.beat)] + 1 == step.cycle) {
          write = {wait.port, wait.beat};
        }
      }
      if (!write) {
        FOLDSTREAM_CHECK(at == 0 && step.cycle == step.place);
        return {{}, end};
      }
      auto [port, written] = *write;
      const Input& input = inputs_[port];
      bool by_step = false;
      while (!by_step) {
        const int64_t cycle = input.written[static_cast<size_t>(written)];
        if (in_[port] != nullptr && arrival(port, written) == cycle)
          return {{port, written}, end - cycle};
        const int64_t place = written - input.room;
        if (written > 0 && input.written[static_cast<size_t>(written) - 1] + 1 == cycle) {
          --written;
        } else if (place >= 0 && input.freed[static_cast<size_t>(place)] + 1 == cycle) {
          at = static_cast<size_t>(input.freed_by[static_cast<size_t>(place)]);
          by_step = true;
        } else {
          FOLDSTREAM_CHECK(written == 0 && cycle == 0);
          return {{port, 0}, end};
        }
      }
    }
  }

 private:
  struct Input {
    int64_t room = 0;
    int64_t needed = 0;
    std::vector<int64_t> written, freed;  // cycles, of a ring
    std::vector<int64_t> freed_by;        // steps
  };
  struct Step {
    int64_t place, cycle;
    uint32_t give;
  };
  struct Wait {
    size_t port;
    int64_t beat;
  };

  int64_t arrival(size_t port, int64_t beat) const {
    return in_[port] == nullptr ? 0 : (*in_[port])[static_cast<size_t>(beat)];
  }
  bool moves(const Phase& phase) const {
    if (phase.give != 0) return true;
    for (size_t p = 0; p < inputs_.size(); ++p) {
      if (needs(rhythm_, phase, p) > 0 || frees(rhythm_, phase, p) > 0) return true;
    }
    return false;
  }

  void issue(const Phase& phase, int64_t& now) {
    for (size_t p = 0; p < inputs_.size(); ++p) {
      const int64_t more = needs(rhythm_, phase, p);
      if (more == 0) continue;
      Input& input = inputs_[p];
      input.needed += more;
      if (input.room == 0) {
        now = std::max(now, arrival(p, input.needed - 1));
        continue;
      }
      while (static_cast<int64_t>(input.written.size()) < input.needed) {
        const auto beat = static_cast<int64_t>(input.written.size());
        const int64_t after = input.written.empty() ? 0 : input.written.back() + 1;
        int64_t cycle = std::max(after, arrival(p, beat));
        if (beat >= input.room) {
          FOLDSTREAM_CHECK(beat - input.room < static_cast<int64_t>(input.freed.size()));
          cycle = std::max(cycle, input.freed[static_cast<size_t>(beat - input.room)] + 1);
        }
        input.written.push_back(cycle);
      }
      now = std::max(now, input.written.back() + 1);
    }
    given_ = 0;
    for (size_t o = 0; o < visible_.size(); ++o) {
      if ((phase.give >> o & 1) == 0) continue;
      visible_[o].push_back(now + rhythm_.depth);
      given_ |= uint32_t{1} << o;
    }
  }

  // The last beat of each input that a traced step needed first.
  std::vector<Wait> waits_of(size_t at) const {
    std::vector<Wait> waits;
    int64_t place = -1;
    std::vector<int64_t> needed(inputs_.size(), 0);
    const int64_t wanted = steps_[at].place;
    for (const Block& block : rhythm_.frame) {
      int64_t length = 0;
      for (const Phase& phase : block.phases) length += phase.steps;
      // Whole repetitions before it.
      const int64_t whole =
          std::min(block.repeat, (wanted - place - 1) / std::max<int64_t>(1, length));
      place += whole * length;
      for (size_t p = 0; p < needed.size(); ++p) {
        for (const Phase& phase : block.phases)
          needed[p] += whole * phase.steps * needs(rhythm_, phase, p);
      }
      if (whole == block.repeat) continue;
      for (const Phase& phase : block.phases) {
        if (place + phase.steps < wanted) {
          place += phase.steps;
          for (size_t p = 0; p < needed.size(); ++p)
            needed[p] += phase.steps * needs(rhythm_, phase, p);
          continue;
        }
        for (size_t p = 0; p < needed.size(); ++p) {
          const int64_t more = needs(rhythm_, phase, p);
          if (more > 0) waits.push_back({p, needed[p] + (wanted - place) * more - 1});
        }
        return waits;
      }
    }
    FOLDSTREAM_CHECK(false);
    return waits;
  }

  const Rhythm& rhythm_;
  const Inputs& in_;
  std::vector<Input> inputs_;
  std::vector<Arrivals> visible_;
  std::vector<Step> steps_;  // those that move something, when traced
  uint32_t given_ = 0;
};

// The place of the step that moves an amount beyond `count`, where each step of a phase moves
// amount(phase); none when the frame moves less.
template <class Amount>
std::optional<int64_t> place_of(const Rhythm& rhythm, int64_t count, const Amount& amount) {
  int64_t place = 0, moved = 0;
  for (const Block& block : rhythm.frame) {
    int64_t length = 0, each = 0;
    for (const Phase& phase : block.phases)
      length += phase.steps, each += phase.steps * amount(phase);
    if (moved + block.repeat * each <= count) {
      moved += block.repeat * each, place += block.repeat * length;
      continue;
    }
    const int64_t whole = (count - moved) / each;
    moved += whole * each, place += whole * length;
    for (const Phase& phase : block.phases) {
      const int64_t here = phase.steps * amount(phase);
      if (moved + here > count) return place + (count - moved) / amount(phase);
      moved += here, place += phase.steps;
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<Arrivals> first_frame(const Rhythm& rhythm, const Inputs& in,
                                  const std::vector<int64_t>& beats_out) {
  Walk walk(rhythm, in, beats_out);
  walk.run(false);
  return walk.take_visible();
}

Cause cause_of(const Rhythm& rhythm, const Inputs& in, const std::vector<int64_t>& beats_out,
               size_t output, int64_t beat) {
  Walk walk(rhythm, in, beats_out);
  walk.run(true);
  return walk.cause(output, beat);
}

std::optional<int64_t> least_delay(const Rhythm& rhythm, const WayIn& from, size_t output,
                                   int64_t beat) {
  const auto gives = [&](const Phase& phase) -> int64_t { return phase.give >> output & 1; };
  const std::optional<int64_t> end = place_of(rhythm, beat, gives);
  FOLDSTREAM_CHECK(end.has_value());
  if (!from.port) return *end + rhythm.depth;
  const size_t port = *from.port;
  const auto takes = [&](const Phase& phase) { return needs(rhythm, phase, port); };
  std::optional<int64_t> longest;
  // By the step that needs a beat: at that step if it waits for the beat itself, else so many
  // writes later.
  const auto consider = [&](int64_t needed, int64_t place) {
    if (needed < from.beat || place > *end) return;
    const int64_t way =
        (room_of(rhythm, port) > 0 ? needed - from.beat + 1 : 0) + *end - place + rhythm.depth;
    longest = std::max(longest.value_or(way), way);
  };
  const std::optional<int64_t> first = place_of(rhythm, from.beat, takes);
  FOLDSTREAM_CHECK(first.has_value());
  consider(from.beat, *first);
  if (!is_stored(rhythm, port)) return longest;
  // Steps may need several beats at once: the ends of phases, of the first repetitions and the
  // last.
  int64_t place = 0, needed = 0;
  for (const Block& block : rhythm.frame) {
    int64_t length = 0, each = 0;
    for (const Phase& phase : block.phases)
      length += phase.steps, each += phase.steps * takes(phase);
    for (const int64_t repeat : {int64_t{0}, int64_t{1}, block.repeat - 1}) {
      if (repeat >= block.repeat) continue;
      int64_t at = place + repeat * length, so_far = needed + repeat * each;
      for (const Phase& phase : block.phases) {
        if (const int64_t more = takes(phase); more > 0) {
          consider(so_far + more - 1, at);
          consider(so_far + phase.steps * more - 1, at + phase.steps - 1);
        }
        at += phase.steps, so_far += phase.steps * takes(phase);
      }
    }
    place += block.repeat * length, needed += block.repeat * each;
  }
  return longest;
}

int64_t first_take(const Rhythm& rhythm, size_t input) {
  if (room_of(rhythm, input) > 0) return 0;
  return place_of(rhythm, 0, [&](const Phase& phase) { return needs(rhythm, phase, input); })
      .value_or(0);
}

}  // namespace foldstream
