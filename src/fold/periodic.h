// SPDX-License-Identifier: Apache-2.0
// A cycle for every step of a frame, the same one interval later for the next frame, that stays
// valid while queues become shorter: or the circle of waits that forbids it.
//
// The rules of decision record 1 are differences: an event is so many cycles after another, of the
// same frame or of one so many intervals ago. Such a system has a solution if and only if no circle
// of them asks for more cycles than its frames have, and a network reaches a rate if and only if
// the system of that rate has a solution (Baccelli et al., Synchronization and Linearity, 1992).
// One place less in a queue is one more difference for each beat. What it asks for is passed on
// from event to event, as far as nothing else gives way, and no further (Cotton and Maler, 2006);
// where it comes back to where it began, it is the circle.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/fold/schedule.h"
#include "src/sim/stream_graph.h"

namespace foldstream {

class Periodic {
 public:
  // Each of these waits for the next, in so many frames altogether, longer than those take.
  struct Circle {
    int64_t frames = 0, cycles = 0;  // no frames: it would wait for itself, and stop
    std::vector<size_t> blocks;      // ascending; none: not decided, it took too much work
  };

  // Starts from a schedule of the graph, which must outlive this; the depths of its blocks may
  // fall. The queues are those of the schedule where the graph's are shorter.
  Periodic(const StreamGraph& graph, int64_t interval, const Schedule& schedule);

  // So many beats in the queues of these links. A circle: the rate is lost, and nothing changed.
  // Unless `thorough`, circles through many blocks are not looked for.
  std::optional<Circle> shorten(const std::vector<size_t>& links, int64_t beats,
                                bool thorough = true);
  // As before the last call of shorten.
  void undo();

  int64_t queue(size_t link) const { return queue_[link]; }
  // Events looked at so far: the work done, the same on every machine.
  int64_t work() const { return work_; }

 private:
  // The steps of a frame that take, free or give something. After each of them: beats so far.
  struct Events {
    int64_t steps = 0;  // of a frame
    std::vector<int32_t> place;
    std::vector<std::vector<int32_t>> needed, freed;  // by input; `freed` where not as `needed`
    std::vector<std::vector<int32_t>> given;          // by output
    std::vector<int64_t> time;
  };
  struct Event {
    uint32_t block = 0;
    int32_t at = 0;
  };
  // An event that must not be before `time`, because of one that was raised.
  struct Wait {
    int64_t time = 0;
    Event event;
    int32_t because = -1;  // in raised_
    int32_t cycles = 0, frames = 0;
  };
  struct Raised {
    Event event;
    int64_t before = 0;
    int32_t because = -1, cycles = 0, frames = 0;
  };
  // New differences of a link whose queue is being shortened: those of some beats so far.
  struct Change {
    size_t link = SIZE_MAX;
    int64_t beats = 0;
    std::vector<char> holds;  // by beat that waits for room
  };

  void list_events(size_t block);
  void find_times(size_t block, const Schedule& schedule);
  int64_t beats(size_t link) const { return graph_.links[link].stream.beats; }
  bool is_open(size_t link) const {  // from a source
    return graph_.blocks[graph_.links[link].from].kind == StreamBlock::Kind::source;
  }
  int64_t time(const Event& event) const {
    return events_[event.block].time[static_cast<size_t>(event.at)];
  }
  // Blocks whose events may be moved; empty: all.
  using Region = std::vector<char>;
  enum class Outcome { done, circle, too_much };
  // How far an attempt goes. In order, each event is moved once; else the consumer's own steps come
  // first, which is where most circles close.
  struct Reach {
    Region region;
    size_t most_raised = 0;
    bool in_order = true;
  };
  Outcome attempt(const std::vector<size_t>& links, int64_t beats, const Reach& reach,
                  Circle& circle);
  Outcome raise(const Wait& first, const Event& forbidden, const Change& change, const Reach& reach,
                Wait& last);
  template <class Visit>
  void each_waiting(const Event& event, const Change& change, const Visit& visit) const;

  const StreamGraph& graph_;
  int64_t interval_;
  std::vector<Events> events_;                               // by block
  std::vector<std::vector<int32_t>> giver_, taker_, freer_;  // events, by link and beat
  std::vector<int64_t> queue_, queue_before_;                // by link
  std::vector<Raised> raised_;  // since the last queue that was kept; to be undone
  bool left_region_ = false;    // the last attempt would have moved something outside
  int64_t work_ = 0;
};

}  // namespace foldstream
