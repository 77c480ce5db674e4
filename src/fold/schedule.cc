// SPDX-License-Identifier: Apache-2.0
#include "src/fold/schedule.h"

#include <algorithm>
#include <array>
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
// Sweeps over all blocks that are tried as long as each still gains.
constexpr int kSweeps = 4;

// Phases in order, or the other way round.
template <class Visit>
void for_each_phase(const Rhythm& rhythm, const Visit& visit) {
  for (const Block& block : rhythm.frame) {
    for (int64_t repeat = 0; repeat < block.repeat; ++repeat) {
      for (const Phase& phase : block.phases) visit(phase);
    }
  }
}

template <class Visit>
void for_each_phase_backwards(const Rhythm& rhythm, const Visit& visit) {
  for (auto block = rhythm.frame.rbegin(); block != rhythm.frame.rend(); ++block) {
    for (int64_t repeat = 0; repeat < block->repeat; ++repeat) {
      for (auto phase = block->phases.rbegin(); phase != block->phases.rend(); ++phase)
        visit(*phase);
    }
  }
}

// What a step of a phase asks of its ports.
struct Moves {
  struct In {
    size_t port;
    int64_t needs, frees;
  };
  std::vector<In> in;
  std::vector<size_t> out;
  bool empty() const { return in.empty() && out.empty(); }

  void read(const StreamBlock& block, const Phase& phase) {
    in.clear(), out.clear();
    for (size_t p = 0; p < block.in.size(); ++p) {
      const int64_t needs = block.needs(phase, p), frees = block.frees(phase, p);
      if (needs > 0 || frees > 0) in.push_back({p, needs, frees});
    }
    for (size_t o = 0; o < block.out.size(); ++o) {
      if (phase.give >> o & 1) out.push_back(o);
    }
  }
};

}  // namespace

Schedule::Schedule(const StreamGraph& graph, int64_t interval)
    : graph_(graph), interval_(interval) {
  given_.resize(graph.links.size());
  taken_.resize(graph.links.size());
  for (size_t b = 0; b < graph.blocks.size(); ++b) {
    const StreamBlock& block = graph.blocks[b];
    if (block.kind == StreamBlock::Kind::source || block.kind == StreamBlock::Kind::writer)
      continue;
    Unit unit{b, block.in, std::vector<int64_t>(block.in.size(), 0), block.out, false};
    for (size_t port = 0; port < block.in.size(); ++port) {
      if (!graph.is_ring(block.in[port])) continue;
      unit.room[port] = graph.links[block.in[port]].queue;
      unit.in[port] = graph.blocks[graph.links[block.in[port]].from].in[0];
    }
    unit.is_fixed = block.kind == StreamBlock::Kind::sink || block.rhythm.steps() == interval;
    FOLDSTREAM_CHECK(block.rhythm.steps() <= interval);
    Placed first;
    FOLDSTREAM_CHECK(earliest(unit, {}, first));
    place(unit, std::move(first));
    units_.push_back(std::move(unit));
  }
}

bool Schedule::earliest(const Unit& unit, const std::vector<int64_t>& caps, Placed& placed) const {
  const StreamBlock& block = graph_.blocks[unit.block];
  const size_t inputs = unit.in.size(), outputs = unit.out.size();
  placed.taken.resize(inputs), placed.given.resize(outputs);
  for (size_t p = 0; p < inputs; ++p)
    placed.taken[p].after.resize(static_cast<size_t>(graph_.links[unit.in[p]].stream.beats));
  for (size_t o = 0; o < outputs; ++o)
    placed.given[o].after.resize(static_cast<size_t>(graph_.links[unit.out[o]].stream.beats));
  // Cycles in which the beats of rings are freed: in this frame, and in the one before.
  std::vector<std::vector<int64_t>> freed(inputs), freed_before(inputs);
  std::vector<int64_t> written_before(inputs, kBefore);
  for (size_t p = 0; p < inputs; ++p) {
    if (unit.room[p] > 0) freed[p].resize(placed.taken[p].after.size());
  }
  const auto set = [](Times& times, int64_t beat, int64_t cycle) {
    if (beat == 0) times.base = cycle;
    times.after[static_cast<size_t>(beat)] = static_cast<int32_t>(cycle - times.base);
  };
  const auto visible = [&](size_t p, int64_t beat) -> int64_t {
    const size_t link = unit.in[p];
    if (from_source(link)) return 0;
    return given_[link][beat] + graph_.blocks[graph_.links[link].from].rhythm.depth;
  };
  int64_t before = -1;  // the step before
  for (int round = 0; round < kMostRounds; ++round) {
    std::vector<int64_t> needed(inputs, 0), written(inputs, 0), free(inputs, 0), gave(outputs, 0);
    std::vector<int64_t> last_write = written_before;
    int64_t t = before;
    Moves moves;
    for_each_phase(block.rhythm, [&](const Phase& phase) {
      moves.read(block, phase);
      if (moves.empty()) {
        t += phase.steps;
        return;
      }
      for (int64_t step = 0; step < phase.steps; ++step) {
        ++t;
        for (const Moves::In& move : moves.in) {
          const size_t p = move.port;
          if (move.needs == 0) continue;
          if (unit.room[p] == 0) {
            t = std::max(t, visible(p, needed[p]));
            continue;
          }
          const auto beats = static_cast<int64_t>(freed[p].size());
          for (; written[p] < needed[p] + move.needs; ++written[p]) {
            const int64_t beat = written[p], place = beat - unit.room[p];
            int64_t cycle = std::max(last_write[p] + 1, visible(p, beat));
            if (place >= 0) {
              FOLDSTREAM_CHECK(place < free[p]);
              cycle = std::max(cycle, freed[p][static_cast<size_t>(place)] + 1);
            } else if (!freed_before[p].empty()) {
              const int64_t frame = floor_div(place, beats);
              cycle = std::max(cycle, freed_before[p][static_cast<size_t>(place - frame * beats)] +
                                          frame * interval_ + 1);
            }
            set(placed.taken[p], beat, cycle);
            last_write[p] = cycle;
          }
          t = std::max(t, placed.taken[p][needed[p] + move.needs - 1] + 1);
        }
        for (const size_t o : moves.out) {
          if (caps.empty()) continue;
          const Times& taken = taken_[unit.out[o]];
          const auto beats = static_cast<int64_t>(taken.after.size());
          const int64_t place = gave[o] - caps[o];
          const int64_t frame = floor_div(place, beats);
          t = std::max(t, taken[place - frame * beats] + frame * interval_ + 1);
        }
        for (const Moves::In& move : moves.in) {
          const size_t p = move.port;
          if (unit.room[p] == 0) {
            set(placed.taken[p], needed[p]++, t);
            continue;
          }
          needed[p] += move.needs;
          for (int64_t beat = 0; beat < move.frees; ++beat)
            freed[p][static_cast<size_t>(free[p]++)] = t;
        }
        for (const size_t o : moves.out) set(placed.given[o], gave[o]++, t);
      }
    });
    // It rests when the frame before, as this one, would not have been in its way.
    bool rests = t - interval_ <= before;
    for (size_t p = 0; rests && p < inputs; ++p) {
      if (unit.room[p] == 0) continue;
      const Times& taken = placed.taken[p];
      const auto beats = static_cast<int64_t>(freed[p].size());
      rests = last_write[p] - interval_ < taken[0];
      for (int64_t beat = 0; rests && beat < std::min(beats, unit.room[p]); ++beat) {
        const int64_t place = beat - unit.room[p], frame = floor_div(place, beats);
        rests =
            freed[p][static_cast<size_t>(place - frame * beats)] + frame * interval_ < taken[beat];
      }
    }
    if (rests) return true;
    before = std::max(before, t - interval_);
    for (size_t p = 0; p < inputs; ++p) {
      if (unit.room[p] == 0) continue;
      freed_before[p] = freed[p];
      written_before[p] = last_write[p] - interval_;
    }
  }
  return false;
}

bool Schedule::latest(const Unit& unit, Placed& placed) const {
  const StreamBlock& block = graph_.blocks[unit.block];
  const size_t inputs = unit.in.size(), outputs = unit.out.size();
  placed.taken.resize(inputs), placed.given.resize(outputs);
  // Written from the last beat to the first, as distances from the last; turned round at the end.
  std::vector<std::vector<int64_t>> taken(inputs), taken_after(inputs), given(outputs);
  for (size_t p = 0; p < inputs; ++p)
    taken[p].resize(static_cast<size_t>(graph_.links[unit.in[p]].stream.beats));
  for (size_t o = 0; o < outputs; ++o)
    given[o].resize(static_cast<size_t>(graph_.links[unit.out[o]].stream.beats));
  std::vector<int64_t> written_after(inputs, kAfter);
  const int64_t depth = block.rhythm.depth;
  int64_t after = kAfter;
  for (int round = 0; round < kMostRounds; ++round) {
    std::vector<int64_t> needed(inputs), free(inputs), gives_left(outputs);
    for (size_t p = 0; p < inputs; ++p) needed[p] = free[p] = static_cast<int64_t>(taken[p].size());
    for (size_t o = 0; o < outputs; ++o) gives_left[o] = static_cast<int64_t>(given[o].size());
    std::vector<int64_t> next_write = written_after;
    // Beats of frames behind that are written into places freed in this one, and when.
    std::vector<std::vector<std::pair<int64_t, int64_t>>> reused(inputs);
    int64_t t = after;
    Moves moves;
    for_each_phase_backwards(block.rhythm, [&](const Phase& phase) {
      moves.read(block, phase);
      if (moves.empty()) {
        t -= phase.steps;
        return;
      }
      for (int64_t step = 0; step < phase.steps; ++step) {
        --t;
        for (const size_t o : moves.out)
          t = std::min(t, taken_[unit.out[o]][--gives_left[o]] - depth);
        for (const Moves::In& move : moves.in) {
          const size_t p = move.port;
          if (unit.room[p] == 0 || move.frees == 0) continue;
          free[p] -= move.frees;
          // The first beat that is written into a place freed here.
          const auto beats = static_cast<int64_t>(taken[p].size());
          const int64_t beat = free[p] + unit.room[p];
          if (beat < beats) {
            FOLDSTREAM_CHECK(beat >= needed[p]);
            t = std::min(t, taken[p][static_cast<size_t>(beat)] - 1);
          } else if (!taken_after[p].empty()) {
            const int64_t frame = beat / beats;
            t = std::min(t, taken_after[p][static_cast<size_t>(beat - frame * beats)] +
                                frame * interval_ - 1);
          }
        }
        for (const size_t o : moves.out) given[o][static_cast<size_t>(gives_left[o])] = t;
        for (const Moves::In& move : moves.in) {
          const size_t p = move.port;
          if (unit.room[p] == 0) {
            taken[p][static_cast<size_t>(--needed[p])] = t;
            continue;
          }
          for (int64_t beat = 0; beat < move.needs; ++beat) {
            next_write[p] = std::min(next_write[p], t) - 1;
            taken[p][static_cast<size_t>(--needed[p])] = next_write[p];
          }
          for (int64_t beat = 0; beat < move.frees; ++beat) {
            const int64_t user = free[p] + beat + unit.room[p];
            if (user >= static_cast<int64_t>(taken[p].size())) reused[p].emplace_back(user, t);
          }
        }
      }
    });
    // It rests when the frame behind, as this one, would not have been in its way.
    bool rests = t + interval_ >= after;
    for (size_t p = 0; rests && p < inputs; ++p) {
      if (unit.room[p] == 0) continue;
      const auto beats = static_cast<int64_t>(taken[p].size());
      rests = taken[p].back() < taken[p].front() + interval_;
      for (const auto& [beat, cycle] : reused[p]) {
        const int64_t frame = beat / beats;
        rests = rests &&
                cycle < taken[p][static_cast<size_t>(beat - frame * beats)] + frame * interval_;
      }
    }
    if (rests) {
      const auto turned = [](const std::vector<int64_t>& from, Times& to) {
        to.base = from.empty() ? 0 : from[0];
        to.after.resize(from.size());
        for (size_t i = 0; i < from.size(); ++i)
          to.after[i] = static_cast<int32_t>(from[i] - to.base);
      };
      for (size_t p = 0; p < inputs; ++p) turned(taken[p], placed.taken[p]);
      for (size_t o = 0; o < outputs; ++o) turned(given[o], placed.given[o]);
      return true;
    }
    after = std::min(after, t + interval_);
    for (size_t p = 0; p < inputs; ++p) {
      if (unit.room[p] == 0) continue;
      taken_after[p] = taken[p];
      written_after[p] = next_write[p] + interval_;
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
  // Of all beats ever, so many were taken before the cycle of an issue.
  int64_t frame = floor_div(given[0] - taken[0], interval_);
  int64_t in_frame = 0, most = 1;
  for (int64_t beat = 0; beat < beats; ++beat) {
    while (taken[in_frame] + frame * interval_ < given[beat]) {
      if (++in_frame == beats) in_frame = 0, ++frame;
    }
    most = std::max(most, beat + 1 - (frame * beats + in_frame));
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
      const size_t to = graph_.links[link].to;
      const bool is_writer = graph_.blocks[to].kind == StreamBlock::Kind::writer;
      is_due[unit_of[is_writer ? graph_.links[graph_.blocks[to].out[0]].to : to]] = 1;
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
  std::vector<Placed> early;
  for (const Unit& unit : units_) early.push_back(placed(unit));
  for (size_t u = count; u-- > 0;) {
    if (units_[u].is_fixed) continue;
    Placed late;
    if (latest(units_[u], late)) place(units_[u], std::move(late));
  }
  std::vector<size_t> sizes;
  std::vector<size_t> giver(graph_.links.size(), SIZE_MAX), port(graph_.links.size(), 0);
  for (size_t u = 0; u < count; ++u) {
    sizes.push_back(units_[u].is_fixed ? 1 : 2);
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
  std::vector<SumTerm> terms(joints.size());
  parallel_for(joints.size(), [&](size_t j) {
    const auto& [g, given_port, u, p, link] = joints[j];
    const Times* given[] = {&early[g].given[given_port], &given_[link]};
    const Times* taken[] = {&early[u].taken[p], &taken_[link]};
    terms[j].scope = {g, u};
    const int64_t depth = graph_.blocks[units_[g].block].rhythm.depth;
    for (size_t a = 0; a < sizes[g]; ++a) {
      for (size_t b = 0; b < sizes[u]; ++b) {
        bool in_time = true;
        for (size_t beat = 0; in_time && a > b && beat < given[a]->after.size(); ++beat) {
          const auto at = static_cast<int64_t>(beat);
          in_time = (*given[a])[at] + depth <= (*taken[b])[at];
        }
        terms[j].table.push_back(in_time ? price(link, queue_of(*given[a], *taken[b]))
                                         : std::numeric_limits<double>::infinity());
      }
    }
  });
  constexpr size_t kTableLimit = 1'000'000;
  const Minimum minimum = minimise(sizes, std::move(terms), kTableLimit);
  for (size_t u = 0; u < count; ++u) {
    if (minimum.value[u] == 0) place(units_[u], std::move(early[u]));
  }
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
    const double sum = before(candidate) + behind(candidate);
    if (sum >= least) return;
    least = sum;
    best = std::move(candidate);
  };
  std::vector<int64_t> low, high;
  for (size_t o = 0; o < unit.out.size(); ++o) {
    low.push_back(queue_of(late.given[o], taken_[unit.out[o]]));
    high.push_back(queue_of(early.given[o], taken_[unit.out[o]]));
  }
  consider(late);
  consider(early);
  // Between them: as early as queues of some size let it.
  for (size_t o = 0; o < unit.out.size(); ++o) {
    for (int64_t size = 1; size < high[o]; size *= 2) {
      if (size < low[o]) continue;
      if (early_before + price(unit.out[o], size) >= least) break;
      std::vector<int64_t> caps = low;
      for (size_t other = 0; other < caps.size(); ++other)
        caps[other] = std::max(low[other], other == o ? size : queue_of(unit.out[other]));
      Placed between;
      if (earliest(unit, caps, between)) consider(between);
    }
  }
  if (!best) return false;
  place(unit, std::move(*best));
  return true;
}

}  // namespace foldstream
