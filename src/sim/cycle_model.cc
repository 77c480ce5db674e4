// SPDX-License-Identifier: Apache-2.0
#include "src/sim/cycle_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <map>

#include "src/util/error.h"

namespace foldstream {
namespace {

// A pattern that has no chance for this long is taken to have none at all.
constexpr int64_t kPatience = 1'000'000;

// Times before all others, and those that only such ones led to.
constexpr int64_t kLongAgo = std::numeric_limits<int64_t>::min() / 4;
constexpr bool is_long_ago(int64_t cycle) { return cycle < kLongAgo / 2; }

// The last beats of a stream. Slot m holds when beat m becomes visible and, once it is taken, when
// that was, as long as beat m + Q may still ask. The steps of a block with a store look further
// ahead than they take: `needed` beats so far, `popped` of them freed.
struct Ring {
  std::vector<int64_t> time;  // a power of two, at least Q
  int64_t mask = 0, queue = 1;
  int64_t pushed = 0, needed = 0, popped = 0;
  size_t giver = 0, taker = 0;  // blocks
  bool giver_waits = false;     // until beats are taken
  bool taker_waits = false;     // until beats are given
  bool ready = false;           // every beat pushed is visible before its consumer can look for it
  bool from_source = false;     // the first beat taken begins a frame
  int64_t first_taken = -1, last_visible = -1;

  void resize(int64_t beats) {
    time.resize(std::bit_ceil(static_cast<size_t>(beats)));
    mask = static_cast<int64_t>(time.size()) - 1;
  }
  void push(int64_t visible) { slot(pushed++) = last_visible = visible; }
  // So many beats were needed and freed at once, when their slots say.
  void taken(int64_t beats) {
    if (popped == 0) first_taken = slot(0);
    needed += beats, popped += beats;
  }
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
  // The kinds that take at most one beat and give at most one are done without a look at the rest.
  enum class Kind { idle, take, give, take_and_give, other };
  Kind kind = Kind::other;
  int64_t steps = 0;
  Ring *take = nullptr, *give = nullptr;  // of the other kinds
  std::vector<In> in;
  std::vector<size_t> out;
  const Phase* phase = nullptr;
  // Of the last phase of phases that are repeated: how often, and the place of the first; else 0.
  int64_t repeat = 0;
  size_t first = 0;
};

// Where a block stands in its frame, and when it last issued.
struct State {
  int64_t frame = 0;
  size_t at = 0;  // phase
  int64_t repeat = 0, step = 0;
  int64_t last = -1;
  Activity activity;
};

// Blocks to visit, each at most once, the one that waits the longest first.
class Todo {
 public:
  explicit Todo(size_t blocks = 1) : at_(std::bit_ceil(blocks)) {}
  bool empty() const { return first_ == end_; }
  void push(size_t block) { at_[end_++ & (at_.size() - 1)] = block; }
  size_t pop() { return at_[first_++ & (at_.size() - 1)]; }
  void clear() { first_ = end_; }

 private:
  std::vector<size_t> at_;
  size_t first_ = 0, end_ = 0;
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
      // No more beats than those of all frames and, given before any was taken, of one.
      rings_[i].queue =
          std::min(graph.links[i].queue, (options.frames + 1) * graph.links[i].stream.beats);
      rings_[i].giver = graph.links[i].from, rings_[i].taker = graph.links[i].to;
      if (!rings_[i].ready) rings_[i].resize(rings_[i].queue);
    }
    todo_ = Todo(graph.blocks.size());
    if (options.fill_times > 0) {
      FOLDSTREAM_CHECK(options.interval > 0);
      fills_.assign(graph.links.size(), {options.interval, options.fill_times});
    }
    watches_ = options.record || !fills_.empty();
    for (size_t i = 0; i < graph.blocks.size(); ++i) moves_.push_back(moves_of(i));
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

  Pace run_at_pace(size_t block, int64_t interval, int64_t most_work) {
    pacer_ = block, interval_ = interval, most_work_ = most_work;
    spare_ = interval - graph_.blocks[block].rhythm.steps();
    FOLDSTREAM_CHECK(spare_ >= 0);
    for (size_t i = 0; i < states_.size(); ++i) {
      if (i != block) states_[i].last = kLongAgo;
    }
    Pace pace;
    for (int64_t frame = 0; frame < options_.frames && pace.outcome == Pace::Outcome::unknown;
         ++frame) {
      offered_frames_ = pace.frames = frame + 1;
      settle();
      if (spare_ < 0) {
        pace.outcome = Pace::Outcome::late;
        pace.cycles = -spare_;
      } else if (result_.work >= most_work_) {
        break;
      } else if (!finished(frame)) {
        pace.outcome = Pace::Outcome::stops;
      } else if (find_period(frame) && has_reached_all()) {
        pace.outcome = Pace::Outcome::keeps;
      }
    }
    pace.work = result_.work;
    return pace;
  }

 private:
  std::vector<Moves> moves_of(size_t index) {
    const StreamBlock& block = graph_.blocks[index];
    std::vector<Moves> program;
    for (const Block& outer : block.rhythm.frame) {
      const size_t first = program.size();
      for (const Phase& phase : outer.phases) {
        Moves& moves = program.emplace_back();
        moves.steps = phase.steps, moves.phase = &phase;
        for (size_t port = 0; port < block.in.size(); ++port) {
          const int64_t needs = block.needs(phase, port), frees = block.frees(phase, port);
          if (needs > 0 || frees > 0) moves.in.push_back({block.in[port], needs, frees});
        }
        for (size_t port = 0; port < block.out.size(); ++port) {
          if (phase.give >> port & 1) moves.out.push_back(block.out[port]);
        }
        moves.kind = kind_of(index, moves);
        if (!moves.in.empty()) moves.take = &rings_[moves.in[0].link];
        if (!moves.out.empty()) moves.give = &rings_[moves.out[0]];
      }
      program.back().repeat = outer.repeat, program.back().first = first;
    }
    return program;
  }

  Moves::Kind kind_of(size_t index, const Moves& moves) const {
    if (moves.in.empty() && moves.out.empty()) return Moves::Kind::idle;
    if (watches_ || stalls(index) || moves.in.size() > 1 || moves.out.size() > 1)
      return Moves::Kind::other;
    for (const Moves::In& in : moves.in) {
      if (in.needs != 1 || in.frees != 1 || rings_[in.link].from_source) return Moves::Kind::other;
    }
    return moves.out.empty()  ? Moves::Kind::take
           : moves.in.empty() ? Moves::Kind::give
                              : Moves::Kind::take_and_give;
  }

  // Lets every block go as far as the beats of the frames offered so far allow. The times that come
  // out don't depend on the order, which only has to visit a block again after its neighbour at the
  // link that it waits for moved.
  void settle() {
    for (size_t i = 0; i < graph_.blocks.size(); ++i) todo_.push(i);
    for (Ring& ring : rings_) ring.giver_waits = ring.taker_waits = false;
    while (!todo_.empty() && spare_ >= 0 && result_.work < most_work_) advance(todo_.pop());
    todo_.clear();
  }

  // Beats of the ring were given, or taken: who waits for that goes on.
  void given(Ring& ring) {
    if (!ring.taker_waits) return;
    ring.taker_waits = false;
    todo_.push(ring.taker);
  }
  void taken(Ring& ring) {
    if (!ring.giver_waits) return;
    ring.giver_waits = false;
    todo_.push(ring.giver);
  }

  void advance(size_t index) {
    const StreamBlock& block = graph_.blocks[index];
    State& state = states_[index];
    const bool is_source = block.kind == StreamBlock::Kind::source;
    if (is_source && rings_[block.out[0]].ready) {
      const int64_t frames = offered_frames_ - state.frame;
      state.frame += frames;
      rings_[block.out[0]].pushed += frames * graph_.links[block.out[0]].stream.beats;
      if (frames > 0) given(rings_[block.out[0]]);
      return;
    }
    const std::vector<Moves>& program = moves_[index];
    while (!is_source || state.frame < offered_frames_) {
      const Moves& moves = program[state.at];
      int64_t steps = moves.steps - state.step;
      bool is_stuck = false;
      if (moves.kind == Moves::Kind::idle) {
        // A block that neither takes nor gives in a whole frame would never stop.
        state.last += steps;
      } else {
        is_stuck = issue(index, moves, state, steps);
        if (spare_ < 0) return;
        result_.work += steps;
      }
      state.step += steps;
      state.activity.busy += steps;
      if (is_stuck) return;
      next_phase(program, state);
      if (index == pacer_ && at_start(state)) {
        spare_ = interval_ - block.rhythm.steps();
        state.last = state.frame * interval_ - 1;
      }
    }
  }

  static bool at_start(const State& state) {
    return state.step == 0 && state.at == 0 && state.repeat == 0;
  }

  static void next_phase(const std::vector<Moves>& program, State& state) {
    const Moves& moves = program[state.at];
    state.step = 0;
    if (moves.repeat > 0) {
      if (++state.repeat < moves.repeat) {
        state.at = moves.first;
        return;
      }
      state.repeat = 0;
    }
    if (++state.at < program.size()) return;
    state.at = 0;
    ++state.frame;
  }

  // As many of these steps as can issue; true where a ring is in the way of more, which then knows.
  bool issue(size_t index, const Moves& moves, State& state, int64_t& steps) {
    // Until other blocks move, so many beats are there to take, and so much room to give.
    bool* waits = nullptr;
    const auto allow = [&](int64_t most, bool& waits_here) {
      if (most < steps) steps = most, waits = &waits_here;
    };
    const int64_t first = state.last;
    int64_t fed = 0, freed = 0;  // cycles waited for beats, and for room
    if (moves.kind != Moves::Kind::other) {
      Ring *const in = moves.take, *const out = moves.give;
      if (moves.kind != Moves::Kind::give) allow(in->pushed - in->needed, in->taker_waits);
      if (moves.kind != Moves::Kind::take)
        allow(out->queue - (out->pushed - out->popped), out->giver_waits);
      if (waits != nullptr) *waits = true;
      if (steps == 0) return waits != nullptr;
      if (moves.kind == Moves::Kind::take) {
        fed = take_only(*in, steps, state.last);
        taken(*in);
      } else if (moves.kind == Moves::Kind::give) {
        freed = give_only(*out, steps, depth_of(index), state.last);
        given(*out);
      } else {
        take_and_give(*in, *out, steps, depth_of(index), state.last, fed, freed);
        taken(*in);
        given(*out);
      }
    } else {
      for (const Moves::In& in : moves.in) {
        Ring& ring = rings_[in.link];
        if (in.needs == 1)
          allow(ring.pushed - ring.needed, ring.taker_waits);
        else if (in.needs > 0)
          allow((ring.pushed - ring.needed) / in.needs, ring.taker_waits);
      }
      for (size_t link : moves.out) {
        Ring& ring = rings_[link];
        allow(ring.queue - (ring.pushed - ring.popped), ring.giver_waits);
      }
      if (waits != nullptr) *waits = true;
      if (steps == 0) return waits != nullptr;
      step_by_step(index, moves, steps, fed, freed);
      for (const Moves::In& in : moves.in) taken(rings_[in.link]);
      for (size_t link : moves.out) given(rings_[link]);
    }
    state.activity.starved += fed;
    state.activity.blocked += freed;
    FOLDSTREAM_CHECK(state.last - first == steps + fed + freed);
    if (index == pacer_) spare_ -= fed + freed;
    if (graph_.blocks[index].kind == StreamBlock::Kind::sink) {
      std::vector<int64_t>& times = frame_out_[ordinal_[index]];
      times.resize(static_cast<size_t>(state.frame) + 1);
      times.back() = state.last;
    }
    return waits != nullptr;
  }

  int64_t depth_of(size_t index) const { return graph_.blocks[index].rhythm.depth; }
  bool stalls(size_t index) const {
    const StreamBlock::Kind kind = graph_.blocks[index].kind;
    return (kind == StreamBlock::Kind::source && options_.offer) ||
           (kind == StreamBlock::Kind::sink && options_.accept);
  }

  // The three most common kinds of steps; each gives the cycles it waited.
  static int64_t take_only(Ring& in, int64_t steps, int64_t& last) {
    int64_t cycle = last;
    for (int64_t step = 0; step < steps; ++step) {
      cycle = std::max(cycle + 1, in.slot(in.needed + step));
      in.slot(in.popped + step) = cycle;
    }
    in.taken(steps);
    return waited(last, cycle, steps);
  }

  static int64_t give_only(Ring& out, int64_t steps, int64_t depth, int64_t& last) {
    int64_t cycle = last;
    for (int64_t step = 0; step < steps; ++step) {
      ++cycle;
      if (out.pushed >= out.queue) cycle = std::max(cycle, out.slot(out.pushed - out.queue) + 1);
      out.push(cycle + depth);
    }
    return waited(last, cycle, steps);
  }

  static void take_and_give(Ring& in, Ring& out, int64_t steps, int64_t depth, int64_t& last,
                            int64_t& fed, int64_t& freed) {
    int64_t cycle = last;
    for (int64_t step = 0; step < steps; ++step) {
      const int64_t visible = in.slot(in.needed + step);
      ++cycle;
      if (visible > cycle) fed += visible - cycle, cycle = visible;
      if (out.pushed >= out.queue) cycle = std::max(cycle, out.slot(out.pushed - out.queue) + 1);
      out.push(cycle + depth);
      in.slot(in.popped + step) = cycle;
    }
    in.taken(steps);
    freed = waited(last, cycle, steps) - fed;
  }

  static int64_t waited(int64_t& last, int64_t cycle, int64_t steps) {
    const int64_t cycles = cycle - last - steps;
    last = cycle;
    return cycles;
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

  // Whether there is a way of waits from the pacer to each block.
  bool has_reached_all() const {
    for (size_t i = 0; i < states_.size(); ++i) {
      if (!is_ready_source(i) && is_long_ago(states_[i].last)) return false;
    }
    return true;
  }

  // Everything that decides about the future, relative to one point in time. Of a beat that is
  // visible before its consumer's next step, or was taken before its producer's next, the exact
  // time makes no difference and is left out.
  std::vector<int64_t> snapshot() const {
    std::vector<int64_t> image;
    const int64_t origin = this->origin();
    const auto relative = [&](int64_t cycle) {
      return is_long_ago(cycle) ? kLongAgo : cycle - origin;
    };
    for (size_t i = 0; i < states_.size(); ++i) {
      const State& state = states_[i];
      if (is_ready_source(i)) continue;
      for (int64_t field :
           {static_cast<int64_t>(state.at), state.repeat, state.step, relative(state.last)})
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
        image.push_back(relative(ring.slot(beat)));
      image.push_back(INT64_MIN);
      for (int64_t beat = ring.popped;
           beat-- > std::max<int64_t>(0, ring.pushed - ring.queue) && ring.slot(beat) > producer;)
        image.push_back(relative(ring.slot(beat)));
      image.push_back(INT64_MIN);
    }
    return image;
  }

  // The last beat out of a whole graph; when the frame of the block that sets the pace began.
  int64_t origin() const {
    return pacer_ == SIZE_MAX ? states_[graph_.sinks.front()].last
                              : states_[pacer_].frame * interval_;
  }

  bool is_ready_source(size_t block) const {
    return graph_.blocks[block].kind == StreamBlock::Kind::source &&
           rings_[graph_.blocks[block].out[0]].ready;
  }

  bool find_period(int64_t frame) {
    std::vector<Activity>& activity = history_.emplace_back();
    for (const State& state : states_) activity.push_back(state.activity);
    origins_.push_back(origin());
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
    const Phase& phase = *moves_[index][state.at].phase;
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
  std::vector<std::vector<Moves>> moves_;  // by block, then as in its rhythm
  Todo todo_;
  std::vector<size_t> ordinal_;  // of a source among sources, of a sink among sinks
  std::vector<Fill> fills_;      // by link; none when not wanted
  bool watches_ = false;         // single beats are recorded or counted
  size_t pacer_ = SIZE_MAX;      // the block whose frames begin every `interval_` cycles
  int64_t interval_ = 0;
  int64_t spare_ = 0;  // cycles for which it may still wait in the frame; negative: it is late
  int64_t most_work_ = std::numeric_limits<int64_t>::max();
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

Pace pace(const StreamGraph& graph, size_t block, int64_t interval, int64_t frames,
          int64_t most_work) {
  SimOptions options;
  options.frames = frames;
  return Model(graph, options).run_at_pace(block, interval, most_work);
}

}  // namespace foldstream
