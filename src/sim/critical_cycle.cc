// SPDX-License-Identifier: Apache-2.0
#include "src/sim/critical_cycle.h"

#include <algorithm>
#include <map>
#include <set>

#include "src/sim/cycle_model.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// One step of a frame that takes or gives. Beats are counted in the frame.
struct Event {
  struct Beat {
    size_t link;
    int64_t beat;
  };
  int64_t place = 0;        // among the steps of the frame
  std::vector<Beat> needs;  // the last beat needed of each input
  std::vector<Beat> gives;
};

// A step of some frame.
struct Moment {
  size_t block;
  int64_t frame, event;
  auto operator<=>(const Moment&) const = default;
};

class Tracer {
 public:
  Tracer(const StreamGraph& graph, int64_t frames) : graph_(graph), frames_(frames) {
    SimOptions options;
    options.frames = frames;
    options.record = true;
    result_ = simulate(graph, options);
    FOLDSTREAM_CHECK(!result_.deadlock);
    events_.resize(graph.blocks.size()), steps_.resize(graph.blocks.size());
    giver_.resize(graph.links.size()), taker_.resize(graph.links.size());
    for (size_t b = 0; b < graph.blocks.size(); ++b) list_events(b);
    times_.resize(graph.blocks.size());
    for (size_t b = 0; b < graph.blocks.size(); ++b) find_times(b);
  }

  std::optional<CriticalCycle> trace(int64_t interval) const {
    for (size_t sink : graph_.sinks) {
      Moment at{sink, frames_ - 1, static_cast<int64_t>(events_[sink].size()) - 1};
      std::map<std::pair<size_t, int64_t>, size_t> seen;  // place on the way, by block and event
      std::vector<Moment> way;
      std::vector<size_t> by_room;  // link of the wait before each moment; none: SIZE_MAX
      while (at.frame >= 0) {
        const auto [it, is_new] = seen.try_emplace({at.block, at.event}, way.size());
        if (!is_new) {
          const Moment& later = way[it->second];
          const int64_t turns = later.frame - at.frame, cycles = time(later) - time(at);
          if (turns > 0 && cycles > turns * interval)
            return circle(turns, cycles, it->second, way, by_room);
          it->second = way.size();
        }
        way.push_back(at);
        const auto [before, room] = waited_for(at);
        by_room.push_back(room);
        at = before;
      }
    }
    return std::nullopt;
  }

 private:
  static constexpr Moment kNothing{SIZE_MAX, -1, 0};

  void list_events(size_t b) {
    const StreamBlock& block = graph_.blocks[b];
    std::vector<int64_t> needed(block.in.size(), 0), freed(block.in.size(), 0),
        given(block.out.size(), 0);
    int64_t place = 0;
    for (const Block& outer : block.rhythm.frame) {
      for (int64_t repeat = 0; repeat < outer.repeat; ++repeat) {
        for (const Phase& phase : outer.phases) {
          for (int64_t step = 0; step < phase.steps; ++step, ++place) {
            Event event;
            event.place = place;
            const auto index = static_cast<int64_t>(events_[b].size());
            bool frees = false;
            for (size_t p = 0; p < block.in.size(); ++p) {
              const int64_t more = block.needs(phase, p);
              needed[p] += more;
              if (more > 0) event.needs.push_back({block.in[p], needed[p] - 1});
              for (int64_t beat = block.frees(phase, p); beat > 0; --beat, ++freed[p]) {
                taker_[block.in[p]].push_back(index);
                frees = true;
              }
            }
            for (size_t o = 0; o < block.out.size(); ++o) {
              if (!(phase.give >> o & 1)) continue;
              event.gives.push_back({block.out[o], given[o]++});
              giver_[block.out[o]].push_back(index);
            }
            if (frees || !event.needs.empty() || !event.gives.empty())
              events_[b].push_back(std::move(event));
          }
        }
      }
    }
    steps_[b] = place;
  }

  int64_t beats(size_t link) const { return graph_.links[link].stream.beats; }
  int64_t time(const Moment& at) const {
    return times_[at.block][static_cast<size_t>(at.frame * count(at.block) + at.event)];
  }
  int64_t count(size_t block) const { return static_cast<int64_t>(events_[block].size()); }

  // Steps between an event and the one before it.
  int64_t gap(size_t b, int64_t event) const {
    const int64_t place = events_[b][static_cast<size_t>(event)].place;
    if (event > 0) return place - events_[b][static_cast<size_t>(event) - 1].place;
    return place + steps_[b] - events_[b].back().place;
  }

  // The cycle from which a step may issue for the sake of a beat that it needs, or of the room for
  // one that it gives; -1: of none.
  int64_t shown(const Event::Beat& beat, int64_t frame) const {
    return result_.visible[beat.link][static_cast<size_t>(frame * beats(beat.link) + beat.beat)];
  }
  int64_t roomy(const Event::Beat& beat, int64_t frame) const {
    const int64_t place = frame * beats(beat.link) + beat.beat - graph_.links[beat.link].queue;
    return place < 0 ? -1 : result_.taken[beat.link][static_cast<size_t>(place)] + 1;
  }

  void find_times(size_t b) {
    int64_t last = -1;
    for (int64_t frame = 0; frame < frames_; ++frame) {
      for (int64_t e = 0; e < count(b); ++e) {
        const Event& event = events_[b][static_cast<size_t>(e)];
        int64_t at = last + (frame == 0 && e == 0 ? event.place + 1 : gap(b, e));
        for (const Event::Beat& beat : event.needs) at = std::max(at, shown(beat, frame));
        for (const Event::Beat& beat : event.gives) at = std::max(at, roomy(beat, frame));
        times_[b].push_back(last = at);
      }
    }
  }

  // What a step waited for to the last: another step, and the link if it was for room in a queue.
  // Room comes last, so that no queue is blamed that another wait would hide.
  std::pair<Moment, size_t> waited_for(const Moment& at) const {
    const Event& event = events_[at.block][static_cast<size_t>(at.event)];
    const int64_t now = time(at);
    for (const Event::Beat& beat : event.needs) {
      if (shown(beat, at.frame) != now) continue;
      const size_t from = graph_.links[beat.link].from;
      return {{from, at.frame, giver_[beat.link][static_cast<size_t>(beat.beat)]}, SIZE_MAX};
    }
    const Moment before = at.event > 0 ? Moment{at.block, at.frame, at.event - 1}
                                       : Moment{at.block, at.frame - 1, count(at.block) - 1};
    if (before.frame < 0) return {kNothing, SIZE_MAX};
    if (time(before) + gap(at.block, at.event) == now) return {before, SIZE_MAX};
    for (const Event::Beat& beat : event.gives) {
      if (roomy(beat, at.frame) != now) continue;
      const int64_t place = at.frame * beats(beat.link) + beat.beat - graph_.links[beat.link].queue;
      const int64_t frame = place / beats(beat.link);
      return {{graph_.links[beat.link].to, frame,
               taker_[beat.link][static_cast<size_t>(place % beats(beat.link))]},
              beat.link};
    }
    return {kNothing, SIZE_MAX};
  }

  CriticalCycle circle(int64_t turns, int64_t cycles, size_t start, const std::vector<Moment>& way,
                       const std::vector<size_t>& by_room) const {
    std::set<size_t> full, blocks;
    for (size_t i = start; i < way.size(); ++i) {
      blocks.insert(way[i].block);
      if (by_room[i] != SIZE_MAX) full.insert(by_room[i]);
    }
    return {turns, cycles, {full.begin(), full.end()}, {blocks.begin(), blocks.end()}};
  }

  const StreamGraph& graph_;
  int64_t frames_;
  SimResult result_;
  std::vector<std::vector<Event>> events_;           // by block
  std::vector<int64_t> steps_;                       // of a frame, by block
  std::vector<std::vector<int64_t>> giver_, taker_;  // events, by link and beat of a frame
  std::vector<std::vector<int64_t>> times_;          // by block, frame and event
};

}  // namespace

std::optional<CriticalCycle> critical_cycle(const StreamGraph& graph, int64_t interval,
                                            int64_t frames) {
  return Tracer(graph, frames).trace(interval);
}

}  // namespace foldstream
