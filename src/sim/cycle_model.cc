// SPDX-License-Identifier: Apache-2.0
#include "src/sim/cycle_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <deque>
#include <map>

#include "src/util/error.h"

namespace foldstream {
namespace {

// A pattern that has no chance for this long is taken to have none at all.
constexpr int64_t kPatience = 1'000'000;

// The last beats of a stream. Slot m holds when beat m becomes visible and, once it is taken, when
// that was, as long as beat m + Q may still ask. The steps of a block with a store look further
// ahead than they take: `needed` beats so far, `popped` of them freed.
struct Ring {
  std::vector<int64_t> time;  // a power of two, at least Q
  int64_t mask = 0, queue = 1;
  int64_t pushed = 0, needed = 0, popped = 0;
  bool ready = false;        // every beat pushed is visible before its consumer can look for it
  bool from_source = false;  // the first beat taken begins a frame
  int64_t first_taken = -1, last_visible = -1;

  void resize(int64_t beats) {
    time.resize(std::bit_ceil(static_cast<size_t>(beats)));
    mask = static_cast<int64_t>(time.size()) - 1;
  }
  void push(int64_t visible) { slot(pushed++) = last_visible = visible; }
  bool has(int64_t more) const { return pushed - needed >= more; }
  bool full() const { return pushed - popped == queue; }
  int64_t& slot(int64_t beat) { return time[static_cast<size_t>(beat & mask)]; }
  int64_t slot(int64_t beat) const { return time[static_cast<size_t>(beat & mask)]; }
};

// How full a queue is over one interval of the steady state: beats issued and taken in each of the
// parts of the interval, and the cycles that beats spent in it.
class Fill {
 public:
  Fill(int64_t interval, int parts) : interval_(interval), change_(static_cast<size_t>(parts)) {}
  void issued(int64_t cycle) { move(cycle, 1); }
  void popped(int64_t cycle) { move(cycle, -1); }
  // Beats waiting in each part. Their changes leave a constant open, which the mean settles: beats
  // times cycles waited (Little's law).
  std::vector<double> means() const {
    const double mean = -static_cast<double>(stay_) / static_cast<double>(interval_);
    std::vector<double> result;
    double now = 0, sum = 0;
    for (int64_t change : change_) {
      now += static_cast<double>(change);
      result.push_back(now);
      sum += now;
    }
    for (double& value : result)
      value = std::max(0.0, value + mean - sum / static_cast<double>(result.size()));
    return result;
  }

 private:
  void move(int64_t cycle, int64_t beats) {
    const auto parts = static_cast<int64_t>(change_.size());
    change_[static_cast<size_t>(cycle % interval_ * parts / interval_)] += beats;
    stay_ += beats * cycle;
  }

  int64_t interval_, stay_ = 0;
  std::vector<int64_t> change_;
};

// One phase of a block with its rings looked up.
struct Moves {
  struct In {
    size_t link;
    int64_t needs, frees;
  };
  int64_t steps = 0;
  std::vector<In> in;
  std::vector<size_t> out;
  bool is_plain = false;  // at most one beat taken and at most one given
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
    // A frame begins with its operands, not with weights.
    frame_in_.resize(graph.sources.size() - graph.weights);
    frame_out_.resize(graph.sinks.size());
    for (size_t i = 0; i < graph.sources.size(); ++i) ordinal_[graph.sources[i]] = i;
    for (size_t i = 0; i < graph.sinks.size(); ++i) ordinal_[graph.sinks[i]] = i;
    // A source that always offers never keeps anyone waiting.
    const bool always = !options.offer && !options.record;
    for (size_t i = 0; i < graph.links.size(); ++i) {
      FOLDSTREAM_CHECK(graph.links[i].queue >= 1);
      rings_[i].from_source = graph.blocks[graph.links[i].from].kind == StreamBlock::Kind::source;
      rings_[i].ready = rings_[i].from_source && always;
      rings_[i].queue = graph.links[i].queue;
      if (!rings_[i].ready) rings_[i].resize(graph.links[i].queue);
    }
    for (const StreamBlock& block : graph.blocks) {
      moves_.push_back(moves_of(block));
      for (std::vector<Moves>& phases : moves_.back()) {
        for (Moves& moves : phases) moves.is_plain = is_plain(moves);
      }
    }
    if (options.fill_times > 0) {
      FOLDSTREAM_CHECK(options.interval > 0);
      fills_.assign(graph.links.size(), {options.interval, options.fill_times});
    }
    watches_ = options.record || !fills_.empty();
    if (options.record) {
      result_.visible.resize(graph.links.size());
      result_.taken.resize(graph.links.size());
    }
  }

  SimResult run() {
    const bool may_skip = !options_.offer && !options_.accept && !options_.record && fills_.empty();
    for (int64_t frame = 0; frame < options_.frames; ++frame) {
      offered_frames_ = frame + 1;
      settle();
      if (frame == 0) {
        for (const Ring& ring : rings_) result_.last_visible.push_back(ring.last_visible);
      }
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
    const auto combined = [&](const std::vector<std::vector<int64_t>>& all, bool first) {
      std::vector<int64_t> times(static_cast<size_t>(result_.frames), first ? INT64_MAX : 0);
      for (const std::vector<int64_t>& one : all) {
        for (size_t frame = 0; frame < std::min(times.size(), one.size()); ++frame)
          times[frame] =
              first ? std::min(times[frame], one[frame]) : std::max(times[frame], one[frame]);
      }
      return times;
    };
    result_.frame_in = combined(frame_in_, true);
    result_.frame_out = combined(frame_out_, false);
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
    for (const Fill& fill : fills_) result_.fill.push_back(fill.means());
    for (const Ring& ring : rings_) {
      result_.first_taken.push_back(ring.first_taken);
    }
    return std::move(result_);
  }

 private:
  static std::vector<std::vector<Moves>> moves_of(const StreamBlock& block) {
    std::vector<std::vector<Moves>> program;
    for (const Block& outer : block.rhythm.frame) {
      std::vector<Moves>& phases = program.emplace_back();
      for (const Phase& phase : outer.phases) {
        Moves& moves = phases.emplace_back();
        moves.steps = phase.steps;
        for (size_t port = 0; port < block.in.size(); ++port) {
          const int64_t needs = block.needs(phase, port), frees = block.frees(phase, port);
          if (needs > 0 || frees > 0) moves.in.push_back({block.in[port], needs, frees});
        }
        for (size_t port = 0; port < block.out.size(); ++port) {
          if (phase.give >> port & 1) moves.out.push_back(block.out[port]);
        }
      }
    }
    return program;
  }

  bool is_plain(const Moves& moves) const {
    if (moves.in.size() > 1 || moves.out.size() > 1) return false;
    for (const Moves::In& in : moves.in) {
      if (in.needs != 1 || in.frees != 1 || rings_[in.link].from_source) return false;
    }
    return true;
  }

  // Lets every block go as far as the beats of the frames offered so far allow. The times that come
  // out don't depend on the order, which only has to visit each block again after a neighbour
  // moved.
  void settle() {
    std::deque<size_t> todo;
    std::vector<char> waits(graph_.blocks.size(), 1);
    for (size_t i = 0; i < graph_.blocks.size(); ++i) todo.push_back(i);
    const auto again = [&](size_t i) {
      if (waits[i]) return;
      waits[i] = 1;
      todo.push_back(i);
    };
    while (!todo.empty()) {
      const size_t i = todo.front();
      todo.pop_front();
      waits[i] = 0;
      if (!advance(i)) continue;
      for (size_t link : graph_.blocks[i].in) again(graph_.links[link].from);
      for (size_t link : graph_.blocks[i].out) again(graph_.links[link].to);
    }
  }

  bool advance(size_t index) {
    const StreamBlock& block = graph_.blocks[index];
    State& state = states_[index];
    const bool is_source = block.kind == StreamBlock::Kind::source;
    if (is_source && rings_[block.out[0]].ready) {
      const int64_t frames = offered_frames_ - state.frame;
      state.frame += frames;
      rings_[block.out[0]].pushed += frames * graph_.links[block.out[0]].stream.beats;
      return frames > 0;
    }
    bool moved = false;
    while (!is_source || state.frame < offered_frames_) {
      const Moves& moves = moves_[index][state.block][state.phase];
      const int64_t before = state.step;
      if (moves.in.empty() && moves.out.empty()) {
        // A block that neither takes nor gives in a whole frame would never stop.
        state.last += moves.steps - state.step;
        state.step = moves.steps;
      } else {
        issue(index, moves);
      }
      state.activity.busy += state.step - before;
      if (!moves.in.empty() || !moves.out.empty()) result_.work += state.step - before;
      moved = moved || state.step > before;
      if (state.step < moves.steps) return moved;
      next_phase(block.rhythm, state);
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

  // As many steps of the phase as can issue.
  void issue(size_t index, const Moves& moves) {
    State& state = states_[index];
    // Until other blocks move, so many beats are there to take, and so much room to give.
    int64_t steps = moves.steps - state.step;
    for (const Moves::In& in : moves.in) {
      const Ring& ring = rings_[in.link];
      if (in.needs > 0) steps = std::min(steps, (ring.pushed - ring.needed) / in.needs);
    }
    for (size_t link : moves.out) {
      const Ring& ring = rings_[link];
      steps = std::min(steps, ring.queue - (ring.pushed - ring.popped));
    }
    if (steps == 0) return;
    const int64_t first = state.last;
    int64_t fed = 0, freed = 0;  // cycles waited for beats, and for room
    if (moves.is_plain && !watches_ && !stalls(index)) {
      if (moves.out.empty()) {
        fed = take_only(rings_[moves.in[0].link], steps, state.last);
      } else if (moves.in.empty()) {
        freed = give_only(rings_[moves.out[0]], steps, depth_of(index), state.last);
      } else {
        take_and_give(rings_[moves.in[0].link], rings_[moves.out[0]], steps, depth_of(index),
                      state.last, fed, freed);
      }
    } else {
      step_by_step(index, moves, steps, fed, freed);
    }
    state.step += steps;
    state.activity.starved += fed;
    state.activity.blocked += freed;
    FOLDSTREAM_CHECK(state.last - first == steps + fed + freed);
    if (graph_.blocks[index].kind != StreamBlock::Kind::sink) return;
    std::vector<int64_t>& times = frame_out_[ordinal_[index]];
    times.resize(static_cast<size_t>(state.frame) + 1);
    times.back() = state.last;
  }

  int64_t depth_of(size_t index) const { return graph_.blocks[index].rhythm.depth; }
  bool stalls(size_t index) const {
    const StreamBlock::Kind kind = graph_.blocks[index].kind;
    return (kind == StreamBlock::Kind::source && options_.offer) ||
           (kind == StreamBlock::Kind::sink && options_.accept);
  }

  // The three most common kinds of steps; each gives the cycles it waited.
  static int64_t take_only(Ring& in, int64_t steps, int64_t& last) {
    int64_t cycle = last, waited = 0;
    for (int64_t step = 0; step < steps; ++step) {
      const int64_t visible = in.slot(in.needed + step);
      ++cycle;
      if (visible > cycle) waited += visible - cycle, cycle = visible;
      in.slot(in.popped + step) = cycle;
      if (in.popped + step == 0) in.first_taken = cycle;
    }
    in.needed += steps, in.popped += steps;
    last = cycle;
    return waited;
  }

  static int64_t give_only(Ring& out, int64_t steps, int64_t depth, int64_t& last) {
    int64_t cycle = last, waited = 0;
    for (int64_t step = 0; step < steps; ++step) {
      ++cycle;
      if (out.pushed >= out.queue) {
        const int64_t room = out.slot(out.pushed - out.queue) + 1;
        if (room > cycle) waited += room - cycle, cycle = room;
      }
      out.push(cycle + depth);
    }
    last = cycle;
    return waited;
  }

  static void take_and_give(Ring& in, Ring& out, int64_t steps, int64_t depth, int64_t& last,
                            int64_t& fed, int64_t& freed) {
    int64_t cycle = last;
    for (int64_t step = 0; step < steps; ++step) {
      const int64_t visible = in.slot(in.needed + step);
      ++cycle;
      if (visible > cycle) fed += visible - cycle, cycle = visible;
      if (out.pushed >= out.queue) {
        const int64_t room = out.slot(out.pushed - out.queue) + 1;
        if (room > cycle) freed += room - cycle, cycle = room;
      }
      out.push(cycle + depth);
      in.slot(in.popped + step) = cycle;
      if (in.popped + step == 0) in.first_taken = cycle;
    }
    in.needed += steps, in.popped += steps;
    last = cycle;
  }

  void step_by_step(size_t index, const Moves& moves, int64_t steps, int64_t& waited_for_beats,
                    int64_t& waited_for_room) {
    const StreamBlock& block = graph_.blocks[index];
    State& state = states_[index];
    const bool is_stalled = stalls(index);
    for (int64_t step = 0; step < steps; ++step) {
      const int64_t earliest = state.last + 1;
      int64_t fed = earliest;
      for (const Moves::In& in : moves.in) {
        Ring& ring = rings_[in.link];
        if (in.needs == 0 || ring.ready) continue;
        const int64_t visible = ring.slot(ring.needed + in.needs - 1);
        fed = std::max(fed, visible);
      }
      int64_t cycle = fed;
      for (size_t link : moves.out) {
        Ring& ring = rings_[link];
        if (ring.pushed < ring.queue) continue;
        const int64_t free = ring.slot(ring.pushed - ring.queue) + 1;
        cycle = std::max(cycle, free);
      }
      if (is_stalled) {
        const bool source = block.kind == StreamBlock::Kind::source;
        cycle = first_chance(source ? options_.offer : options_.accept, ordinal_[index], cycle);
      }
      for (const Moves::In& in : moves.in) {
        rings_[in.link].needed += in.needs;
        for (int64_t beats = in.frees; beats > 0; --beats) take(in.link, cycle);
      }
      for (size_t link : moves.out) {
        Ring& ring = rings_[link];
        const int64_t visible = cycle + block.rhythm.depth;
        ring.push(visible);
        if (watches_) watch_give(link, cycle, visible);
      }
      waited_for_beats += fed - earliest;
      waited_for_room += cycle - fed;
      state.last = cycle;
    }
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
    if (ring.from_source && ring.popped % graph_.links[link].stream.beats == 0) {
      const size_t source = ordinal_[graph_.links[link].from];
      if (source < frame_in_.size()) frame_in_[source].push_back(cycle);
    }
    if (ring.popped == 0) ring.first_taken = cycle;
    if (ring.ready)
      ++ring.popped;
    else
      ring.slot(ring.popped++) = cycle;
    if (!watches_) return;
    if (!fills_.empty() && in_last_frame(link, ring.popped - 1)) fills_[link].popped(cycle);
    if (options_.record) result_.taken[link].push_back(cycle);
  }

  // Beats of the last frame that all sinks see whole.
  bool in_last_frame(size_t link, int64_t beat) const {
    return beat / graph_.links[link].stream.beats == options_.frames - 1;
  }

  void watch_give(size_t link, int64_t issued, int64_t visible) {
    if (!fills_.empty() && in_last_frame(link, rings_[link].pushed - 1))
      fills_[link].issued(issued);
    if (options_.record) result_.visible[link].push_back(visible);
  }

  bool finished(int64_t frame) const {
    return std::all_of(graph_.sinks.begin(), graph_.sinks.end(),
                       [&](size_t sink) { return states_[sink].frame > frame; });
  }

  // Everything that decides about the future, relative to one point in time. Of a beat that is
  // visible before its consumer's next step, or was taken before its producer's next, the exact
  // time makes no difference and is left out.
  std::vector<int64_t> snapshot() const {
    std::vector<int64_t> image;
    const int64_t origin = states_[graph_.sinks.front()].last;
    for (size_t i = 0; i < states_.size(); ++i) {
      const State& state = states_[i];
      if (is_ready_source(i)) continue;
      for (int64_t field : {static_cast<int64_t>(state.block), static_cast<int64_t>(state.phase),
                            state.repeat, state.step, state.last - origin})
        image.push_back(field);
    }
    for (size_t i = 0; i < rings_.size(); ++i) {
      const Ring& ring = rings_[i];
      image.push_back(ring.pushed - ring.popped);
      image.push_back(ring.pushed - ring.needed);
      if (ring.ready) continue;
      const int64_t producer = states_[graph_.links[i].from].last;
      const int64_t consumer = states_[graph_.links[i].to].last;
      for (int64_t beat = ring.pushed; beat-- > ring.needed && ring.slot(beat) > consumer + 1;)
        image.push_back(ring.slot(beat) - origin);
      image.push_back(INT64_MIN);
      for (int64_t beat = ring.popped;
           beat-- > std::max<int64_t>(0, ring.pushed - ring.queue) && ring.slot(beat) > producer;)
        image.push_back(ring.slot(beat) - origin);
      image.push_back(INT64_MIN);
    }
    return image;
  }

  bool is_ready_source(size_t block) const {
    return graph_.blocks[block].kind == StreamBlock::Kind::source &&
           rings_[graph_.blocks[block].out[0]].ready;
  }

  bool find_period(int64_t frame) {
    std::vector<Activity>& activity = history_.emplace_back();
    for (const State& state : states_) activity.push_back(state.activity);
    origins_.push_back(states_[graph_.sinks.front()].last);
    const auto [it, is_new] = seen_.emplace(snapshot(), frame);
    if (is_new) return false;
    result_.period_frames = frame - it->second;
    result_.period_cycles = origins_.back() - origins_[static_cast<size_t>(it->second)];
    return true;
  }

  void extrapolate() {
    const int64_t period = result_.period_frames;
    for (size_t i = 0; i < graph_.sinks.size(); ++i)  // a frame that has only begun is not known
      frame_out_[i].resize(static_cast<size_t>(states_[graph_.sinks[i]].frame));
    // What came after the earlier of the equal states comes again.
    for (auto* side : {&frame_in_, &frame_out_}) {
      for (std::vector<int64_t>& times : *side) {
        while (static_cast<int64_t>(times.size()) < options_.frames)
          times.push_back(times[times.size() - static_cast<size_t>(period)] +
                          result_.period_cycles);
      }
    }
    // Activity of the frames left: whole periods, and the first frames of one more.
    const int64_t left = options_.frames - result_.frames;
    const size_t start = history_.size() - 1 - static_cast<size_t>(period);
    const std::vector<Activity>& now = history_.back();
    const std::vector<Activity>& before = history_[start];
    const std::vector<Activity>& part = history_[start + static_cast<size_t>(left % period)];
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
  std::vector<std::vector<std::vector<Moves>>> moves_;  // by block, then as in its rhythm
  std::vector<size_t> ordinal_;  // of a source among sources, of a sink among sinks
  std::vector<Fill> fills_;      // by link; none when not wanted
  bool watches_ = false;         // single beats are recorded or counted
  int64_t offered_frames_ = 0;
  std::map<std::vector<int64_t>, int64_t> seen_;  // snapshot after a frame
  std::vector<std::vector<Activity>> history_;    // by frame
  std::vector<int64_t> origins_;                  // of the snapshots' times, by frame
  // First beat taken from each source and last beat into each sink, by frame.
  std::vector<std::vector<int64_t>> frame_in_, frame_out_;
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
