// SPDX-License-Identifier: Apache-2.0
#include "src/sim/cycle_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "src/util/error.h"

namespace foldstream {
namespace {

// A pattern that has no chance for this long is taken to have none at all.
constexpr int64_t kPatience = 1'000'000;

// The last Q beats of a stream. Slot m % Q holds when beat m becomes visible and, once it is taken,
// when that was: beat m + Q, which needs to know, is the one that overwrites it. The steps of a
// block with a store look further ahead than they take: `needed` beats so far, `popped` of them
// freed.
struct Ring {
  std::vector<int64_t> time;
  int64_t pushed = 0, needed = 0, popped = 0;

  bool has(int64_t more) const { return pushed - needed >= more; }
  bool full() const { return pushed - popped == static_cast<int64_t>(time.size()); }
  int64_t& slot(int64_t beat) { return time[static_cast<size_t>(beat) % time.size()]; }
  int64_t slot(int64_t beat) const { return time[static_cast<size_t>(beat) % time.size()]; }
};

// Where a block stands in its frame, and when it last issued.
struct State {
  int64_t frame = 0;
  size_t block = 0, phase = 0;
  int64_t repeat = 0, step = 0;
  int64_t last = -1;
  Activity activity;
};

class Model {
 public:
  Model(const StreamGraph& graph, const SimOptions& options) : graph_(graph), options_(options) {
    states_.resize(graph.blocks.size());
    rings_.resize(graph.links.size());
    ordinal_.resize(graph.blocks.size());
    for (size_t i = 0; i < graph.links.size(); ++i) {
      FOLDSTREAM_CHECK(graph.links[i].queue >= 1);
      rings_[i].time.resize(static_cast<size_t>(graph.links[i].queue));
    }
    for (size_t i = 0; i < graph.sources.size(); ++i) ordinal_[graph.sources[i]] = i;
    for (size_t i = 0; i < graph.sinks.size(); ++i) ordinal_[graph.sinks[i]] = i;
    if (options.record) {
      result_.visible.resize(graph.links.size());
      result_.taken.resize(graph.links.size());
    }
  }

  SimResult run() {
    const bool may_skip = !options_.offer && !options_.accept && !options_.record;
    for (int64_t frame = 0; frame < options_.frames; ++frame) {
      offered_frames_ = frame + 1;
      settle();
      if (!finished(frame)) {
        result_.deadlock = explain();
        break;
      }
      result_.frames = frame + 1;
      if (result_.period_frames == 0 && may_skip && find_period(frame)) {
        extrapolate();
        break;
      }
    }
    // A block that gives before it takes has begun frames that were never offered.
    result_.frame_in.resize(static_cast<size_t>(result_.frames));
    result_.frame_out.resize(static_cast<size_t>(result_.frames));
    if (result_.frames > 0) {
      result_.cycles = *std::max_element(result_.frame_out.begin(), result_.frame_out.end()) + 1;
      result_.latency_cycles = result_.frame_out[0] - result_.frame_in[0];
    }
    if (result_.frames > 1) {
      const size_t last = static_cast<size_t>(result_.frames) - 1;
      result_.interval_cycles = result_.frame_out[last] - result_.frame_out[last - 1];
    }
    if (result_.blocks.empty()) {
      for (const State& state : states_) result_.blocks.push_back(state.activity);
    }
    return std::move(result_);
  }

 private:
  // Lets every block go as far as the beats of the frames offered so far allow. The times that come
  // out don't depend on the order, which only has to visit each block again after a neighbour
  // moved.
  void settle() {
    std::vector<char> dirty(graph_.blocks.size(), 1);
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t i = 0; i < graph_.blocks.size(); ++i) {
        if (!dirty[i]) continue;
        dirty[i] = 0;
        if (!advance(i)) continue;
        moved = true;
        for (size_t link : graph_.blocks[i].in) dirty[graph_.links[link].from] = 1;
        for (size_t link : graph_.blocks[i].out) dirty[graph_.links[link].to] = 1;
      }
    }
  }

  bool advance(size_t index) {
    const StreamBlock& block = graph_.blocks[index];
    State& state = states_[index];
    bool moved = false;
    while (block.kind != StreamBlock::Kind::source || state.frame < offered_frames_) {
      const Block& outer = block.rhythm.frame[state.block];
      const Phase& phase = outer.phases[state.phase];
      if (phase.steps > 0) {
        // A block that neither takes nor gives in a whole frame would never stop.
        int64_t steps = 1;
        if (phase.take == 0 && phase.give == 0 && phase.acquire == 0 && phase.release == 0) {
          steps = phase.steps - state.step;
          state.last += steps;
        } else if (!issue(index, phase)) {
          return moved;
        }
        state.activity.busy += steps;
        state.step += steps;
        moved = true;
      }
      if (state.step == phase.steps) next_phase(block.rhythm, state);
    }
    return moved;
  }

  static void next_phase(const Rhythm& rhythm, State& state) {
    state.step = 0;
    if (++state.phase < rhythm.frame[state.block].phases.size()) return;
    state.phase = 0;
    if (++state.repeat < rhythm.frame[state.block].repeat) return;
    state.repeat = 0;
    if (++state.block < rhythm.frame.size()) return;
    state.block = 0;
    ++state.frame;
  }

  bool issue(size_t index, const Phase& phase) {
    const StreamBlock& block = graph_.blocks[index];
    State& state = states_[index];
    const int64_t earliest = state.last + 1;
    int64_t fed = earliest;
    for (size_t port = 0; port < block.in.size(); ++port) {
      const int64_t needs = block.needs(phase, port);
      if (needs == 0) continue;
      const Ring& ring = rings_[block.in[port]];
      if (!ring.has(needs)) return false;
      fed = std::max(fed, ring.slot(ring.needed + needs - 1));
    }
    int64_t cycle = fed;
    for (size_t port = 0; port < block.out.size(); ++port) {
      if (!(phase.give >> port & 1)) continue;
      const Ring& ring = rings_[block.out[port]];
      if (ring.full()) return false;
      if (ring.pushed >= static_cast<int64_t>(ring.time.size()))
        cycle = std::max(cycle, ring.slot(ring.pushed) + 1);
    }
    if (block.kind == StreamBlock::Kind::source && options_.offer)
      cycle = first_chance(options_.offer, ordinal_[index], cycle);
    if (block.kind == StreamBlock::Kind::sink && options_.accept)
      cycle = first_chance(options_.accept, ordinal_[index], cycle);

    for (size_t port = 0; port < block.in.size(); ++port) {
      rings_[block.in[port]].needed += block.needs(phase, port);
      for (int64_t beats = block.frees(phase, port); beats > 0; --beats)
        take(block.in[port], cycle);
    }
    for (size_t port = 0; port < block.out.size(); ++port) {
      if (phase.give >> port & 1) give(block.out[port], cycle + block.rhythm.depth);
    }
    if (block.kind == StreamBlock::Kind::sink) note(result_.frame_out, state.frame, cycle, false);
    state.activity.starved += fed - earliest;
    state.activity.blocked += cycle - fed;
    state.last = cycle;
    return true;
  }

  static int64_t first_chance(const std::function<bool(size_t, int64_t)>& pattern, size_t who,
                              int64_t cycle) {
    for (int64_t waited = 0; waited < kPatience; ++waited, ++cycle) {
      if (pattern(who, cycle)) return cycle;
    }
    throw Error(fmt::format("a stall pattern gives no chance for {} cycles", kPatience));
  }

  void take(size_t link, int64_t cycle) {
    Ring& ring = rings_[link];
    const StreamLink& stream = graph_.links[link];
    if (graph_.blocks[stream.from].kind == StreamBlock::Kind::source)
      note(result_.frame_in, ring.popped / stream.stream.beats, cycle, true);
    ring.slot(ring.popped++) = cycle;
    if (options_.record) result_.taken[link].push_back(cycle);
  }

  void give(size_t link, int64_t visible) {
    Ring& ring = rings_[link];
    ring.slot(ring.pushed++) = visible;
    if (options_.record) result_.visible[link].push_back(visible);
  }

  static void note(std::vector<int64_t>& times, int64_t frame, int64_t cycle, bool first) {
    if (frame >= static_cast<int64_t>(times.size()))
      times.resize(static_cast<size_t>(frame) + 1, -1);
    int64_t& time = times[static_cast<size_t>(frame)];
    if (time < 0 || (first ? cycle < time : cycle > time)) time = cycle;
  }

  bool finished(int64_t frame) const {
    return std::all_of(graph_.sinks.begin(), graph_.sinks.end(),
                       [&](size_t sink) { return states_[sink].frame > frame; });
  }

  // Everything that decides about the future, relative to one point in time. A beat taken before
  // its producer's last issue can't hold the producer up any more, so its exact time is left out.
  std::vector<int64_t> snapshot() const {
    std::vector<int64_t> image;
    const int64_t origin = states_[graph_.sinks.front()].last;
    for (const State& state : states_) {
      for (int64_t field : {static_cast<int64_t>(state.block), static_cast<int64_t>(state.phase),
                            state.repeat, state.step, state.last - origin})
        image.push_back(field);
    }
    for (size_t i = 0; i < rings_.size(); ++i) {
      const Ring& ring = rings_[i];
      const int64_t size = static_cast<int64_t>(ring.time.size());
      const int64_t last = states_[graph_.links[i].from].last;
      image.push_back(ring.pushed - ring.popped);
      image.push_back(ring.pushed - ring.needed);
      for (int64_t beat = ring.pushed - size; beat < ring.popped; ++beat)
        image.push_back((beat < 0 ? last : std::max(last, ring.slot(beat))) - origin);
      for (int64_t beat = ring.popped; beat < ring.pushed; ++beat)
        image.push_back(ring.slot(beat) - origin);
    }
    return image;
  }

  bool find_period(int64_t frame) {
    std::vector<Activity> activity;
    for (const State& state : states_) activity.push_back(state.activity);
    history_.push_back(std::move(activity));
    const auto [it, is_new] = seen_.emplace(snapshot(), frame);
    if (is_new) return false;
    result_.period_frames = frame - it->second;
    result_.period_cycles = result_.frame_out[static_cast<size_t>(frame)] -
                            result_.frame_out[static_cast<size_t>(it->second)];
    return true;
  }

  void extrapolate() {
    const int64_t period = result_.period_frames;
    for (std::vector<int64_t>* times : {&result_.frame_in, &result_.frame_out})
      times->resize(static_cast<size_t>(result_.frames));
    for (int64_t frame = result_.frames; frame < options_.frames; ++frame) {
      for (std::vector<int64_t>* times : {&result_.frame_in, &result_.frame_out})
        times->push_back((*times)[static_cast<size_t>(frame - period)] + result_.period_cycles);
    }
    // Activity of the frames left: whole periods, and the first frames of one more.
    const int64_t left = options_.frames - result_.frames;
    const std::vector<Activity>& now = history_.back();
    const std::vector<Activity>& before =
        history_[history_.size() - 1 - static_cast<size_t>(period)];
    const std::vector<Activity>& part = history_[history_.size() - 1 - static_cast<size_t>(period) +
                                                 static_cast<size_t>(left % period)];
    for (size_t i = 0; i < states_.size(); ++i) {
      const auto scaled = [&](int64_t Activity::*field) {
        return now[i].*field + left / period * (now[i].*field - before[i].*field) +
               (part[i].*field - before[i].*field);
      };
      result_.blocks.push_back(
          {scaled(&Activity::busy), scaled(&Activity::starved), scaled(&Activity::blocked)});
    }
    result_.frames = options_.frames;
  }

  // The link a stuck block waits for.
  struct Blame {
    size_t link = SIZE_MAX;
    bool full = false;
  };
  Blame blame(size_t index) const {
    const StreamBlock& block = graph_.blocks[index];
    const State& state = states_[index];
    if (block.kind == StreamBlock::Kind::source && state.frame >= offered_frames_) return {};
    const Phase& phase = block.rhythm.frame[state.block].phases[state.phase];
    for (size_t port = 0; port < block.in.size(); ++port) {
      if (!rings_[block.in[port]].has(block.needs(phase, port))) return {block.in[port], false};
    }
    for (size_t port = 0; port < block.out.size(); ++port) {
      if ((phase.give >> port & 1) && rings_[block.out[port]].full())
        return {block.out[port], true};
    }
    return {};
  }

  // Walks from a sink that misses beats along what each block waits for, until a block comes again.
  Deadlock explain() const {
    size_t at = graph_.sinks.front();
    for (size_t sink : graph_.sinks) {
      if (states_[sink].frame < offered_frames_) at = sink;
    }
    std::vector<size_t> path;
    std::vector<Blame> reasons;
    while (std::find(path.begin(), path.end(), at) == path.end()) {
      path.push_back(at);
      const Blame reason = blame(at);
      reasons.push_back(reason);
      if (reason.link == SIZE_MAX) break;
      at = reason.full ? graph_.links[reason.link].to : graph_.links[reason.link].from;
    }
    auto start = static_cast<size_t>(std::find(path.begin(), path.end(), at) - path.begin());
    if (reasons.back().link == SIZE_MAX) start = 0;  // ends at a source that has nothing to give
    Deadlock deadlock;
    for (size_t i = start; i < path.size(); ++i) {
      const StreamBlock& block = graph_.blocks[path[i]];
      std::string what = "nothing: its beats are used up";
      if (reasons[i].link != SIZE_MAX && reasons[i].full) {
        what = graph_.is_ring(reasons[i].link)
                   ? "room in its own store"
                   : fmt::format("room in its queue to '{}'", graph_.consumer(reasons[i].link));
        if (!graph_.is_ring(reasons[i].link)) deadlock.full.push_back(reasons[i].link);
      } else if (reasons[i].link != SIZE_MAX) {
        what = graph_.is_ring(reasons[i].link)
                   ? "a beat in its own store"
                   : fmt::format("a beat from '{}'", graph_.producer(reasons[i].link));
      }
      deadlock.circle.push_back({block.name, std::move(what), states_[path[i]].last + 1});
    }
    return deadlock;
  }

  const StreamGraph& graph_;
  const SimOptions& options_;
  std::vector<State> states_;
  std::vector<Ring> rings_;
  std::vector<size_t> ordinal_;  // of a source among sources, of a sink among sinks
  int64_t offered_frames_ = 0;
  std::map<std::vector<int64_t>, int64_t> seen_;  // snapshot after a frame
  std::vector<std::vector<Activity>> history_;    // by frame
  SimResult result_;
};

}  // namespace

std::string Deadlock::message() const {
  std::string text;
  for (const Wait& wait : circle) {
    text += fmt::format("{}'{}' waits from cycle {} on for {}", text.empty() ? "" : "; ",
                        wait.block, wait.since, wait.waits_for);
  }
  return text;
}

SimResult simulate(const StreamGraph& graph, const SimOptions& options) {
  if (options.frames < 1) throw Error("the number of frames must be positive");
  FOLDSTREAM_CHECK(!graph.sources.empty() && !graph.sinks.empty());
  return Model(graph, options).run();
}

}  // namespace foldstream
