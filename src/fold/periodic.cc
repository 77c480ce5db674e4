// SPDX-License-Identifier: Apache-2.0
#include "src/fold/periodic.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <queue>
#include <set>
#include <utility>

#include "src/util/error.h"
#include "src/util/parallel.h"

namespace foldstream {
namespace {

// Events that one queue may move before it is looked at where its circle would be, and before it is
// given up.
constexpr size_t kFewRaised = 20'000;
constexpr size_t kMostRaised = 2'000'000;
// Blocks around a queue within which its circle is looked for out of order alone.
constexpr int64_t kHopsInOrder = 8;
// And those within which it is looked for at first.
constexpr int64_t kHopsAtFirst = 2;

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::min() / 4;

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

}  // namespace

Periodic::Periodic(const StreamGraph& graph, int64_t interval, const Schedule& schedule)
    : graph_(graph), interval_(interval) {
  events_.resize(graph.blocks.size());
  giver_.resize(graph.links.size()), taker_.resize(graph.links.size());
  freer_.resize(graph.links.size());
  // Each link's events are listed by the blocks at its ends.
  parallel_for(graph.blocks.size(), [&](size_t block) { list_events(block); });
  parallel_for(graph.blocks.size(), [&](size_t block) { find_times(block, schedule); });
  const std::vector<int64_t> needed = schedule.queues();
  for (size_t link = 0; link < graph.links.size(); ++link) {
    const int64_t queue = graph.links[link].queue;
    queue_.push_back(graph.is_ring(link) ? queue : std::max(queue, needed[link]));
  }
}

void Periodic::list_events(size_t index) {
  const StreamBlock& block = graph_.blocks[index];
  if (block.kind == StreamBlock::Kind::source) return;
  Events& events = events_[index];
  const size_t inputs = block.in.size(), outputs = block.out.size();
  events.needed.resize(inputs), events.freed.resize(inputs), events.given.resize(outputs);
  std::vector<int32_t> needed(inputs, 0), freed(inputs, 0), given(outputs, 0);
  for (size_t p = 0; p < inputs; ++p) {
    taker_[block.in[p]].reserve(static_cast<size_t>(beats(block.in[p])));
    if (block.stored(p)) freer_[block.in[p]].reserve(static_cast<size_t>(beats(block.in[p])));
  }
  for (size_t o = 0; o < outputs; ++o)
    giver_[block.out[o]].reserve(static_cast<size_t>(beats(block.out[o])));
  for (const Block& outer : block.rhythm.frame) {
    for (int64_t repeat = 0; repeat < outer.repeat; ++repeat) {
      for (const Phase& phase : outer.phases) {
        bool moves = false;
        for (size_t p = 0; p < inputs; ++p)
          moves = moves || block.needs(phase, p) > 0 || block.frees(phase, p) > 0;
        for (size_t o = 0; o < outputs; ++o) moves = moves || (phase.give >> o & 1) != 0;
        if (!moves) {
          events.steps += phase.steps;
          continue;
        }
        for (int64_t step = 0; step < phase.steps; ++step) {
          const auto at = static_cast<int32_t>(events.place.size());
          events.place.push_back(static_cast<int32_t>(events.steps++));
          for (size_t p = 0; p < inputs; ++p) {
            const auto needs = static_cast<int32_t>(block.needs(phase, p));
            taker_[block.in[p]].insert(taker_[block.in[p]].end(), static_cast<size_t>(needs), at);
            events.needed[p].push_back(needed[p] += needs);
            if (!block.stored(p)) continue;
            const auto frees = static_cast<int32_t>(block.frees(phase, p));
            freer_[block.in[p]].insert(freer_[block.in[p]].end(), static_cast<size_t>(frees), at);
            events.freed[p].push_back(freed[p] += frees);
          }
          for (size_t o = 0; o < outputs; ++o) {
            const bool gives = (phase.give >> o & 1) != 0;
            if (gives) giver_[block.out[o]].push_back(at);
            events.given[o].push_back(given[o] += gives ? 1 : 0);
          }
        }
      }
    }
  }
}

// From the schedule what gives or takes there; what only frees or needs what is stored, as early as
// that lets it.
void Periodic::find_times(size_t index, const Schedule& schedule) {
  const StreamBlock& block = graph_.blocks[index];
  Events& events = events_[index];
  const size_t count = events.place.size();
  events.time.assign(count, kUnknown);
  const bool is_writer = block.kind == StreamBlock::Kind::writer;
  if (!is_writer) {
    for (const size_t link : block.out) {
      for (size_t beat = 0; beat < giver_[link].size(); ++beat)
        events.time[static_cast<size_t>(giver_[link][beat])] =
            schedule.given(link, static_cast<int64_t>(beat));
    }
  }
  for (const size_t link : block.in) {
    if (graph_.is_ring(link)) continue;
    for (size_t beat = 0; beat < taker_[link].size(); ++beat)
      events.time[static_cast<size_t>(taker_[link][beat])] =
          schedule.taken(link, static_cast<int64_t>(beat));
  }
  const bool complete = std::none_of(events.time.begin(), events.time.end(),
                                     [](int64_t time) { return time == kUnknown; });
  if (complete) return;
  const std::vector<int64_t> known = events.time;
  int64_t last = kUnknown;  // of the frame before
  for (int round = 0; round < 2; ++round) {
    for (size_t e = 0; e < count; ++e) {
      if (known[e] != kUnknown) continue;
      int64_t time = kUnknown;
      if (e > 0) {
        time = events.time[e - 1] + events.place[e] - events.place[e - 1];
      } else if (last != kUnknown) {
        time = last - interval_ + events.place[0] + events.steps - events.place[count - 1];
      }
      for (size_t p = 0; p < block.in.size(); ++p) {
        const size_t link = block.in[p];
        if (!graph_.is_ring(link)) continue;
        const int32_t needed = events.needed[p][e];
        if (needed == (e > 0 ? events.needed[p][e - 1] : 0)) continue;
        const size_t before = graph_.blocks[graph_.links[link].from].in[0];
        time = std::max(time, schedule.taken(before, needed - 1) + 1);
      }
      events.time[e] = time;
    }
    last = events.time[count - 1];
  }
}

// The events that wait for this one directly: visit(event, cycles, frames) where it is at least so
// many cycles later, counted from so many frames ago.
template <class Visit>
void Periodic::each_waiting(const Event& event, const Change& change, const Visit& visit) const {
  const StreamBlock& block = graph_.blocks[event.block];
  const Events& events = events_[event.block];
  const auto at = static_cast<size_t>(event.at);
  const bool is_last = at + 1 == events.place.size();
  visit(Event{event.block, is_last ? 0 : event.at + 1},
        is_last ? events.place[0] + events.steps - events.place[at]
                : events.place[at + 1] - events.place[at],
        is_last ? 1 : 0);
  for (size_t p = 0; p < block.in.size(); ++p) {
    const size_t link = block.in[p];
    if (is_open(link)) continue;
    const std::vector<int32_t>& freed = block.stored(p) ? events.freed[p] : events.needed[p];
    for (int64_t beat = at > 0 ? freed[at - 1] : 0; beat < freed[at]; ++beat) {
      const auto room = [&](int64_t queue, bool always) {
        const int64_t user = beat + queue, frames = user / beats(link);
        const int64_t used = user - frames * beats(link);
        if (!always && change.holds[static_cast<size_t>(used)] == 0) return;
        visit(Event{static_cast<uint32_t>(graph_.links[link].from),
                    giver_[link][static_cast<size_t>(used)]},
              1, frames);
      };
      room(queue_[link], true);
      if (link == change.link) room(change.beats, false);
    }
  }
  for (size_t o = 0; o < block.out.size(); ++o) {
    const int64_t given = events.given[o][at];
    if (given == (at > 0 ? events.given[o][at - 1] : 0)) continue;
    const size_t link = block.out[o];
    visit(Event{static_cast<uint32_t>(graph_.links[link].to),
                taker_[link][static_cast<size_t>(given) - 1]},
          block.rhythm.depth, 0);
  }
}

// Passes on that an event is later; a circle if that would move `forbidden`, by which wait. All
// differences but the first hold before, so that what is raised most never has to be raised again.
Periodic::Outcome Periodic::raise(const Wait& first, const Event& forbidden, const Change& change,
                                  const Reach& reach, Wait& last) {
  const int64_t most = first.time - time(first.event);
  // By how much, the greatest first; those as great as the first one need no order.
  const auto less = [](const std::pair<int64_t, Wait>& a, const std::pair<int64_t, Wait>& b) {
    return a.first < b.first;
  };
  std::priority_queue<std::pair<int64_t, Wait>, std::vector<std::pair<int64_t, Wait>>,
                      decltype(less)>
      small(less);
  std::vector<Wait> great{first};
  while (!great.empty() || !small.empty()) {
    Wait wait;
    if (!great.empty()) {
      wait = great.back();
      great.pop_back();
    } else {
      wait = small.top().second;
      small.pop();
    }
    ++work_;
    if (raised_.size() > reach.most_raised) return Outcome::too_much;
    int64_t& now = events_[wait.event.block].time[static_cast<size_t>(wait.event.at)];
    if (wait.time <= now) continue;
    if (wait.event.block == forbidden.block && wait.event.at == forbidden.at) {
      last = wait;
      return Outcome::circle;
    }
    const auto index = static_cast<int32_t>(raised_.size());
    raised_.push_back({wait.event, now, wait.because, wait.cycles, wait.frames});
    now = wait.time;
    const bool at_consumer = !reach.in_order && wait.event.block == forbidden.block;
    std::optional<Wait> step;  // the block's own next one
    bool is_step = true;       // comes first
    each_waiting(wait.event, change, [&](const Event& event, int64_t cycles, int64_t frames) {
      const bool own = std::exchange(is_step, false);
      const int64_t after = wait.time + cycles - frames * interval_;
      const int64_t by = after - time(event);
      if (by <= 0) return;
      if (!reach.region.empty() && reach.region[event.block] == 0) {
        left_region_ = true;
        return;
      }
      const Wait next{after, event, index, static_cast<int32_t>(cycles),
                      static_cast<int32_t>(frames)};
      if (own && at_consumer) {
        step = next;
      } else if (by >= most || !reach.in_order) {
        FOLDSTREAM_CHECK(by <= most || !reach.in_order);
        great.push_back(next);
      } else {
        small.emplace(by, next);
      }
    });
    if (step) great.push_back(*step);
  }
  return Outcome::done;
}

Periodic::Outcome Periodic::attempt(const std::vector<size_t>& links, int64_t beats,
                                    const Reach& reach, Circle& circle) {
  raised_.clear();
  queue_before_ = queue_;
  for (const size_t link : links) {
    if (beats >= queue_[link]) continue;
    const int64_t count = this->beats(link);
    Change change{link, beats, std::vector<char>(static_cast<size_t>(count), 0)};
    const StreamLink& stream = graph_.links[link];
    const auto& freer =
        graph_.blocks[stream.to].stored(stream.to_port) ? freer_[link] : taker_[link];
    const auto room_for = [&](int64_t beat) -> Wait {
      const int64_t frames = -floor_div(beat - beats, count);
      const auto place = static_cast<size_t>(beat - beats + frames * count);
      const Event from{static_cast<uint32_t>(stream.to), freer[place]};
      const Event to{static_cast<uint32_t>(stream.from), giver_[link][static_cast<size_t>(beat)]};
      return {time(from) + 1 - frames * interval_, to, -1, 1, static_cast<int32_t>(frames)};
    };
    // What is latest first: it often moves the others, too.
    std::vector<std::pair<int64_t, int64_t>> late;
    for (int64_t beat = 0; beat < count; ++beat) {
      const Wait room = room_for(beat);
      const int64_t by = room.time - time(room.event);
      if (by > 0)
        late.emplace_back(-by, beat);
      else
        change.holds[static_cast<size_t>(beat)] = 1;
    }
    work_ += count;
    std::sort(late.begin(), late.end());
    for (const auto& [by, beat] : late) {
      const Wait room = room_for(beat);
      change.holds[static_cast<size_t>(beat)] = 1;
      if (room.time <= time(room.event)) continue;
      const auto place = static_cast<size_t>(beat - beats + room.frames * count);
      const Event from{static_cast<uint32_t>(stream.to), freer[place]};
      Wait last;
      const Outcome outcome = raise(room, from, change, reach, last);
      if (outcome == Outcome::done) continue;
      if (outcome == Outcome::too_much) {
        undo();
        return outcome;
      }
      circle = {last.frames, last.cycles, {}};
      std::set<size_t> blocks{last.event.block};
      for (int32_t at = last.because; at >= 0; at = raised_[static_cast<size_t>(at)].because) {
        const Raised& raised = raised_[static_cast<size_t>(at)];
        circle.frames += raised.frames, circle.cycles += raised.cycles;
        blocks.insert(raised.event.block);
      }
      circle.blocks.assign(blocks.begin(), blocks.end());
      FOLDSTREAM_CHECK(circle.cycles > circle.frames * interval_);
      undo();
      return outcome;
    }
    queue_[link] = beats;
  }
  return Outcome::done;
}

// Circles are mostly near. Those of a part of the graph, with everything around it always willing,
// are circles of the whole; that there is none is said by the whole alone.
std::optional<Periodic::Circle> Periodic::shorten(const std::vector<size_t>& links, int64_t beats,
                                                  bool thorough) {
  Circle circle;
  Outcome outcome = attempt(links, beats, {{}, kFewRaised, true}, circle);
  if (outcome == Outcome::done) return std::nullopt;
  if (outcome == Outcome::circle) return circle;
  Reach reach{Region(graph_.blocks.size(), 0), 0, false};
  for (const size_t link : links)
    reach.region[graph_.links[link].from] = reach.region[graph_.links[link].to] = 1;
  const auto widen = [&] {
    const Region before = reach.region;
    for (const StreamLink& link : graph_.links) {
      if (before[link.from] != 0 || before[link.to] != 0)
        reach.region[link.from] = reach.region[link.to] = 1;
    }
  };
  for (int64_t hops = 1;; hops *= 2) {
    if (!thorough && hops > kHopsAtFirst) return Circle{};
    size_t some = 0;  // a frame of each of these blocks
    for (size_t b = 0; b < reach.region.size(); ++b) {
      if (reach.region[b] != 0) some += events_[b].place.size();
    }
    for (const bool in_order : {false, true}) {
      if (in_order && hops < kHopsInOrder) continue;
      reach.in_order = in_order;
      reach.most_raised = in_order ? kMostRaised : std::min(some, kMostRaised);
      left_region_ = false;
      outcome = attempt(links, beats, reach, circle);
      if (outcome == Outcome::circle) return circle;
      if (outcome == Outcome::done && !left_region_) return std::nullopt;
      if (outcome == Outcome::done) undo();
      if (in_order && outcome == Outcome::too_much) return Circle{};
    }
    for (int64_t hop = 0; hop < hops; ++hop) widen();
  }
}

void Periodic::undo() {
  for (size_t r = raised_.size(); r-- > 0;) {
    const Raised& raised = raised_[r];
    events_[raised.event.block].time[static_cast<size_t>(raised.event.at)] = raised.before;
  }
  raised_.clear();
  queue_ = queue_before_;
}

}  // namespace foldstream
