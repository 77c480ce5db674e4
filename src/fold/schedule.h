// SPDX-License-Identifier: Apache-2.0
// Periodic schedules of a stream graph: a cycle for every step of a frame, and the same again
// `interval` cycles later for the next one. A schedule that keeps every rule of decision record 1
// proves that rate: hardware that issues each step as soon as it may is never later than any
// schedule with the same queues. How long a queue must be follows from the schedule, beat by beat;
// how long all of them are together depends on which of the many schedules is taken.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "src/sim/stream_graph.h"

namespace foldstream {

// What a queue of so many beats behind a link's producer is worth; never less for more beats.
using QueuePrice = std::function<double(size_t link, int64_t beats)>;

class Schedule {
 public:
  // Every step as early as its inputs let it, with queues without end: the rings inside of nodes
  // alone have their sizes. The graph must outlive it. `interval` is at least the steps of every
  // block.
  Schedule(const StreamGraph& graph, int64_t interval);

  // Each block as early or as late as the blocks that never pause let it, or as it is, so that all
  // queues together are cheapest: the exact minimum over these choices.
  void choose_sides(const QueuePrice& price);
  // Moves one block after the other, between its earliest and its latest, as long as the price
  // falls.
  void improve_blocks(const QueuePrice& price);

  // After depths of blocks changed: what is behind them moves, by as little as that takes.
  void follow_depths();

  // Of all queues together.
  double total(const QueuePrice& price) const;

  // Moves blocks that are beside `links`, and what these have in their way, all later or all
  // earlier, each by as little as it takes, until queues of so many beats by link do, of which
  // those behind `links` alone may be too short for the schedule as it is. Returns what was moved.
  // None, and nothing is moved, where `work` steps of blocks don't get there, a block would be
  // moved too often, or it isn't wanted any more. Steps that were looked at are taken off `work`.
  enum class Direction { later, earlier };
  std::optional<std::vector<size_t>> move(Direction direction, const std::vector<int64_t>& queues,
                                          const std::vector<size_t>& links, int64_t& work,
                                          const std::atomic<bool>& is_wanted);
  // What `move` of another schedule of the same graph, equal before it, moved.
  void take_over(const Schedule& other, const std::vector<size_t>& moved);

  // By link: the fewest beats its queue must hold for this schedule; 1 for links from sources and
  // those inside of nodes.
  std::vector<int64_t> queues() const;

 private:
  // Cycles of a stream's beats in a frame, as distances from one cycle; they never fall.
  struct Times {
    int64_t base = 0;
    std::vector<int32_t> after;
    int64_t operator[](int64_t beat) const { return base + after[static_cast<size_t>(beat)]; }
    // The first that is set, after none or before none, is the base.
    void set_first(int64_t beat, int64_t cycle) {
      base = cycle;
      after[static_cast<size_t>(beat)] = 0;
    }
    void set(int64_t beat, int64_t cycle) {
      after[static_cast<size_t>(beat)] = static_cast<int32_t>(cycle - base);
    }
  };
  // Equal steps, and what each of them asks of the ports of a unit.
  struct Moves {
    struct In {
      size_t port;
      int64_t needs, frees;
    };
    int64_t steps = 0;
    std::vector<In> in;
    std::vector<size_t> out;
    bool is_plain = false;  // at most one beat in, past no ring, and at most one out
    bool empty() const { return in.empty() && out.empty(); }
  };
  struct Repeated {
    int64_t repeat = 1;
    std::vector<Moves> phases;
  };
  // When a unit takes the beats of its inputs and issues those of its outputs, by port.
  struct Placed {
    std::vector<Times> taken, given;
  };

  // A node with its writers, or a sink: what is scheduled as one.
  struct Unit {
    size_t block = 0;
    std::vector<size_t> in;     // links from other units, by port
    std::vector<int64_t> room;  // places of the ring behind each input; 0: none
    std::vector<size_t> out;
    std::vector<size_t> beside;             // units at the other ends of these
    int64_t depth = 1;                      // that it is scheduled with
    bool never_pauses = false;              // its steps fill the interval
    bool is_fixed = false;                  // never pauses, or is a sink
    std::vector<Repeated> frame;            // its rhythm
    int64_t idle_first = 0, idle_last = 0;  // steps before the first that moves, after the last
    Placed spare;                           // memory for the next place
  };
  void list_moves(Unit& unit) const;
  // The least schedule of a unit with the others as they are, nowhere before `floor`, and the
  // greatest, nowhere behind `ceiling`. `caps` are sizes of the queues behind its outputs, or of
  // those before its inputs; empty: without end. False: there is none.
  bool earliest(const Unit& unit, const std::vector<int64_t>& caps, const Placed* floor,
                Placed& placed) const;
  bool latest(const Unit& unit, const std::vector<int64_t>& caps, const Placed* ceiling,
              Placed& placed) const;

  Placed placed(const Unit& unit) const;
  Placed take_out(const Unit& unit);  // what isn't there until it is placed again
  void place(const Unit& unit, Placed placed);
  // So many of `beats` beats, in order, come in one stream, moved by `off` cycles, sooner than in
  // another.
  static int64_t sooner(const Times& first, int64_t at_first, const Times& second,
                        int64_t at_second, int64_t off, int64_t beats);
  // The first beat, from one on, that isn't given after the one that was in its place in a queue of
  // so many was taken; the number of beats where all are.
  int64_t first_without_place(const Times& given, const Times& taken, int64_t beat,
                              int64_t queue) const;
  // Beats a queue needs between those issues and those takes.
  int64_t queue_of(const Times& given, const Times& taken) const;
  int64_t queue_of(size_t link) const { return queue_of(given_[link], taken_[link]); }
  // The better of a unit's schedules; true if that changed something.
  bool improve(const Unit& unit, const QueuePrice& price);

  // Whether every beat is visible when it is taken, and has a place when it is given.
  bool in_time(size_t link) const;
  bool has_room(size_t link, int64_t queue) const;

  bool from_source(size_t link) const {
    return graph_.blocks[graph_.links[link].from].kind == StreamBlock::Kind::source;
  }

  const StreamGraph& graph_;
  int64_t interval_;
  std::vector<Unit> units_;           // topological order
  std::vector<Times> given_, taken_;  // by link; `given_` stays empty behind a source
};

}  // namespace foldstream
