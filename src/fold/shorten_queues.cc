// SPDX-License-Identifier: Apache-2.0
#include "src/fold/shorten_queues.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "src/fold/fitter.h"
#include "src/fold/rate.h"
#include "src/sim/critical_cycle.h"
#include "src/sim/cycle_model.h"
#include "src/util/parallel.h"

namespace foldstream {
namespace {

// Frames after which it is unknown whether a part of the network keeps the rate.
constexpr int64_t kPaceFrames = 16;
// Frames after which times repeat, mostly.
constexpr int64_t kFewFrames = 4;
// Steps in them at most of which each is looked at.
constexpr int64_t kTracedSteps = 5'000'000;
// Queues of which the whole network is asked together, and how many times its even share of the
// work that is left each may take.
constexpr size_t kTogether = 4;
constexpr int64_t kShares = 8;
// Steps of a frame for each LUT that is worth a trial there, and as many LUTs as are always.
constexpr double kStepsForLut = 1e6, kWorthTrying = 10;
// Steps of the cycle model that may be spent on making queues shorter and on reasons; on what is
// near one queue; and on a part of that for each length that is thought of.
constexpr int64_t kShrinkWork = 60'000'000, kNearWork = 600'000, kSoonWork = 50'000;
// Steps of blocks that may be moved in search of a schedule for shorter queues, and frames of the
// whole network for one of them: few at first, because most that is found is near. More than one
// found nothing better for ResNet-18.
constexpr int64_t kMoveWork = 150'000'000;
constexpr double kFewFramesMoved = 1.0 / 32, kFramesMoved = 1;
// Those of either where each queue is to be the least.
constexpr int64_t kLeastWork = 100'000'000'000;
// Those that may be spent on reasons alone.
constexpr int64_t kJudgeWork = 2'000'000'000;
// Beats of a queue that is never full.
constexpr int64_t kEndless = int64_t{1} << 40;

// Makes the queues of a network that has its full rate shorter, and says why they are as long as
// they are: by asking the cycle model what parts of the network do, and the whole.
class Judge {
 public:
  // `work`: steps of the cycle model that may be spent.
  Judge(QueueNetwork& network, int64_t latency, int64_t work)
      : network_(network),
        latency_(latency),
        work_(work),
        all_(network.streams().blocks.size(), true),
        connected_(connected_parts(network.streams())),
        steps_(network.steps()) {}

  // Why each queue isn't a beat shorter, in the order of the nodes.
  std::vector<QueueDepth> reasons() {
    std::vector<QueueDepth> depths = near_reasons(work_ / 2);
    for (const size_t i : spare(depths)) depths[i].reason = QueueDepth::Reason::spare;
    return depths;
  }

  // The same after each was made as short as the others let it be, the dearest first: as far as
  // `schedule`, which fits them as they are, can be moved, by `move_work` steps of blocks, and then
  // as parts of the network and the whole tell.
  std::vector<QueueDepth> shorten(Schedule schedule, int64_t move_work) {
    std::vector<QueueDepth> depths = near_reasons(near_work(network_.nodes().size()));
    // Where the whole network can be asked of each, it tells more. The first frame's latency does
    // not follow from a schedule.
    const auto open = static_cast<int64_t>(untried(depths).size());
    if (latency_ == kAnyLatency && kFewFrames * steps_ * open > kShrinkWork) {
      move_schedule(std::move(schedule), depths, move_work);
      add_near_reasons(depths, near_work(untried(depths).size()));
    }
    for (const size_t i : spare(depths)) {
      Node& node = *network_.nodes()[i];
      if (work_ > 0) depths[i] = shortest(node, depths[i]);
      network_.set(node, depths[i].beats);
    }
    return depths;
  }

 private:
  using Kept = std::vector<bool>;   // by block
  using Parts = std::vector<Kept>;  // each larger than those before it
  enum class Verdict { slower, later, enough, unknown };
  struct Trial {
    Verdict verdict = Verdict::unknown;
    // slower: of a frame, at least, or 0 when everything stops; later: of the first frame
    double cycles = 0;
    int64_t work = 0;
  };

  int64_t near_work(size_t queues) const {
    return std::min(work_ / 2, kNearWork * static_cast<int64_t>(queues));
  }

  std::vector<QueueDepth> near_reasons(int64_t work) {
    std::vector<QueueDepth> depths;
    for (const Node* node : network_.nodes())
      depths.push_back({node->name, node->integer("queue"), QueueDepth::Reason::untried, {}, 0});
    add_near_reasons(depths, work);
    return depths;
  }

  // Where there is none yet: those that need no trial, and those of which some blocks around them
  // tell; each is asked for by itself, for its share of the work.
  void add_near_reasons(std::vector<QueueDepth>& depths, int64_t work) {
    const std::vector<Node*>& nodes = network_.nodes();
    const std::vector<size_t> open = untried(depths);
    if (open.empty()) return;
    std::vector<int64_t> spent(open.size(), 0);
    const int64_t share = work / static_cast<int64_t>(open.size());
    parallel_for(open.size(), [&](size_t k) {
      const Node& node = *nodes[open[k]];
      QueueDepth& depth = depths[open[k]];
      if (depth.beats <= network_.least(node)) return give_reason(depth);
      spent[k] = one_less(parts_around(node), node, depth, share).work;
    });
    for (const int64_t steps : spent) work_ -= steps;
  }

  static std::vector<size_t> untried(const std::vector<QueueDepth>& depths) {
    std::vector<size_t> found;
    for (size_t i = 0; i < depths.size(); ++i) {
      if (depths[i].reason == QueueDepth::Reason::untried) found.push_back(i);
    }
    return found;
  }

  std::vector<size_t> dearest_untried(const std::vector<QueueDepth>& depths) const {
    std::vector<size_t> order = untried(depths);
    const auto price = [&](size_t i) {
      return network_.price(*network_.nodes()[i], depths[i].beats);
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return price(a) > price(b); });
    return order;
  }

  // Of the work that is left, what one of so many queues may take.
  static int64_t share_of(int64_t work, size_t queues) {
    return work / std::max<int64_t>(1, static_cast<int64_t>(queues) / kShares);
  }

  // Of a queue that has no more than it must have.
  static void give_reason(QueueDepth& depth) {
    depth.reason = depth.beats == 1 ? QueueDepth::Reason::one : QueueDepth::Reason::asked;
  }
  // Of what one beat less did.
  void give_reason(QueueDepth& depth, const Kept& kept, const Trial& trial) const {
    depth.reason = trial.verdict == Verdict::slower   ? QueueDepth::Reason::slower
                   : trial.verdict == Verdict::later  ? QueueDepth::Reason::later
                   : trial.verdict == Verdict::enough ? QueueDepth::Reason::spare
                                                      : QueueDepth::Reason::untried;
    depth.cycles = trial.cycles;
    depth.among.clear();
    for (size_t b = 0; b < kept.size() && trial.verdict == Verdict::slower; ++b) {
      const StreamBlock& block = network_.streams().blocks[b];
      if (kept[b] && block.kind == StreamBlock::Kind::node) depth.among.push_back(block.name);
    }
  }

  // Makes those shorter that pay, and then each to the beat.
  void move_schedule(Schedule schedule, std::vector<QueueDepth>& depths, int64_t work) {
    std::vector<int64_t> queues(network_.streams().links.size(), kEndless);
    for (const Node* node : network_.nodes()) {
      for (const size_t link : network_.block(node).out) queues[link] = node->integer("queue");
    }
    Fitter fitter(std::move(schedule), std::move(queues));
    struct Round {
      double frames;  // of the whole network, that may be moved for one trial
      bool to_the_beat;
    };
    for (const auto& [frames, to_the_beat] :
         {Round{kFewFramesMoved, false}, {kFramesMoved, false}, {kFramesMoved, true}}) {
      const auto most = static_cast<int64_t>(frames * static_cast<double>(steps_));
      const std::vector<size_t> order = dearest_untried(depths);
      for (size_t k = 0; k < order.size() && work > 0; ++k) {
        QueueDepth& depth = depths[order[k]];
        Node& node = *network_.nodes()[order[k]];
        const int64_t share = share_of(work, order.size() - k);
        int64_t left = share;
        depth = fitted(fitter, node, depth.beats, to_the_beat, most, left);
        work -= share - left;
        network_.set(node, depth.beats);
      }
    }
  }

  // A part of the network around a queue, and a number of beats of which it is known that it bears
  // them, or that it doesn't soon show that it doesn't.
  struct Near {
    Kept kept;
    int64_t bears;
  };

  // As short as the schedule can be moved to, by at most so many steps at once; between that and
  // what is too short, if that isn't next to it or doesn't pay, there may be more.
  QueueDepth fitted(Fitter& fitter, const Node& node, int64_t enough, bool to_the_beat,
                    int64_t most, int64_t& work) {
    QueueDepth least{node.name, network_.least(node), {}, {}, 0};
    give_reason(least);
    std::vector<Near> near;
    for (Kept& kept : parts_around(node)) near.push_back({std::move(kept), enough - 1});
    // What shows soon shows at little cost. The least of which nothing does is often enough; if it
    // isn't, one less than is known to be may not be, and then the middle is tried.
    for (int trial = 0; least.beats < enough; ++trial) {
      if (work > 0) leave_out_short(near, node, enough, least);
      if (least.beats == enough) break;
      if (work <= 0 || (!to_the_beat && !pays(node, least.beats, enough))) {
        least.beats = enough;
        least.reason = QueueDepth::Reason::untried;
        break;
      }
      const int64_t queue = trial == 0   ? least.beats
                            : trial == 1 ? enough - 1
                                         : least.beats + (enough - least.beats) / 2;
      int64_t left = std::min(most, work);
      work -= left;
      const bool fits = fitter.fit(network_.block(&node).out, queue, left);
      work += left;
      if (fits) {
        enough = queue;
      } else {
        least.beats = queue + 1;
        least.reason = QueueDepth::Reason::untried;
      }
    }
    return least;
  }

  // Raises `least`, up to `enough`, to the least of which no part soon shows that it is too short.
  void leave_out_short(std::vector<Near>& near, const Node& node, int64_t enough,
                       QueueDepth& least) {
    int64_t queue = least.beats;
    for (int64_t step = 1; least.beats < enough;) {
      if (is_too_short(near, node, queue, least)) {
        queue = std::min(least.beats + step, enough) - 1;
        step *= 2;
      } else {
        enough = queue;
        queue = least.beats + (enough - least.beats) / 2;
      }
    }
  }

  // Whether one of the parts soon shows that it doesn't bear so many beats; then that is why
  // `least` isn't shorter.
  bool is_too_short(std::vector<Near>& near, const Node& node, int64_t queue, QueueDepth& least) {
    for (auto& [kept, bears] : near) {
      if (queue >= bears) continue;
      const Trial trial = attempt(kept, node, queue, std::min(work_, kSoonWork));
      work_ -= trial.work;
      if (trial.verdict == Verdict::slower) {
        least.beats = queue + 1;
        give_reason(least, kept, trial);
        return true;
      }
      bears = queue;
    }
    return false;
  }

  bool pays(const Node& node, int64_t low, int64_t high) const {
    return network_.luts(node, high) - network_.luts(node, low) >=
           std::min(static_cast<double>(steps_) / kStepsForLut, kWorthTrying);
  }

  // Those which the network bears one beat shorter, each by itself, the dearest first. Where it
  // doesn't, that is the reason.
  std::vector<size_t> spare(std::vector<QueueDepth>& depths) {
    const std::vector<size_t> order = dearest_untried(depths);
    std::vector<size_t> found;
    for (size_t done = 0; done < order.size() && work_ > 0;) {
      const size_t count = std::min(kTogether, order.size() - done);
      const int64_t share = share_of(work_, order.size() - done) / static_cast<int64_t>(count);
      std::vector<Trial> trials(count);
      parallel_for(count, [&](size_t k) {
        const size_t i = order[done + k];
        const Node& node = *network_.nodes()[i];
        trials[k] = one_less(parts_up_to_all(node), node, depths[i], share);
      });
      for (size_t k = 0; k < count; ++k) {
        work_ -= trials[k].work;
        if (trials[k].verdict == Verdict::enough) found.push_back(order[done + k]);
      }
      done += count;
    }
    return found;
  }

  // What larger and larger parts of the network do with one beat less, and the reason that this is.
  Trial one_less(const Parts& parts, const Node& node, QueueDepth& depth, int64_t most_work) const {
    Trial trial;
    int64_t work = 0;
    for (size_t p = 0; p < parts.size() && work < most_work; ++p) {
      trial = attempt(parts[p], node, depth.beats - 1, most_work - work);
      work += trial.work;
      if (trial.verdict == Verdict::slower || trial.verdict == Verdict::later) {
        give_reason(depth, parts[p], trial);
        break;
      }
      if (p + 1 < parts.size()) trial.verdict = Verdict::unknown;
    }
    trial.work = work;
    return trial;
  }

  // As short as larger and larger parts of the network, and the whole, are known to let it be.
  QueueDepth shortest(const Node& node, const QueueDepth& found) {
    QueueDepth least = found;
    least.beats = network_.least(node);
    give_reason(least);
    for (const Kept& kept : parts_up_to_all(node)) lengthen(kept, node, found.beats, least);
    return least;
  }

  // The least with which a part is known to keep the rate, from `least` on and less than `most`, or
  // `most`.
  void lengthen(const Kept& kept, const Node& node, int64_t most, QueueDepth& least) {
    // Too short shows soon, enough after whole frames alone: so first whether any less will do, or
    // what is known to be too short for a smaller part; then from below, by larger and larger
    // steps.
    bool is_first = least.beats == network_.least(node);
    for (int64_t enough = most, step = 1; least.beats < enough;) {
      if (work_ <= 0) {
        least.beats = enough;
        least.reason = QueueDepth::Reason::untried;
        return;
      }
      const int64_t queue = is_first ? enough - 1 : std::min(least.beats + step, enough) - 1;
      const Trial trial = attempt(kept, node, queue, work_);
      work_ -= trial.work;
      if (trial.verdict == Verdict::enough) {
        enough = queue, step = 1;
      } else if (trial.verdict != Verdict::unknown || work_ > 0) {
        least.beats = queue + 1, step *= 2;
        give_reason(least, kept, trial);
      }
      is_first = false;
    }
  }

  // A node's block and those inside of the node.
  void keep(Kept& kept, size_t block) const {
    const StreamGraph& graph = network_.streams();
    block = graph.node_of(block);
    if (graph.blocks[block].kind != StreamBlock::Kind::node) return;
    kept[block] = true;
    for (size_t link : graph.blocks[block].in) {
      if (graph.is_ring(link)) kept[graph.links[link].from] = true;
    }
  }
  // And the nodes beside those that are kept, and those on ways between them.
  Kept wider(const Kept& inner) const {
    Kept kept = inner;
    const StreamGraph& graph = network_.streams();
    for (size_t b = 0; b < inner.size(); ++b) {
      if (!inner[b]) continue;
      for (size_t link : graph.blocks[b].in) keep(kept, graph.links[link].from);
      for (size_t link : graph.blocks[b].out) keep(kept, graph.links[link].to);
    }
    Kept behind = kept, before = kept;
    for (size_t b = 0; b < kept.size(); ++b) {
      for (size_t link : graph.blocks[b].in)
        behind[b] = behind[b] || behind[graph.links[link].from];
    }
    for (size_t b = kept.size(); b-- > 0;) {
      for (size_t link : graph.blocks[b].out) before[b] = before[b] || before[graph.links[link].to];
    }
    for (size_t b = 0; b < kept.size(); ++b) {
      if (behind[b] && before[b]) keep(kept, b);
    }
    return kept;
  }
  // Larger and larger parts of the network: a node and those that it gives to, then more and more
  // around them.
  Parts parts_around(const Node& node) const {
    Kept kept(all_.size(), false);
    keep(kept, network_.block_index(&node));
    for (size_t link : network_.block(&node).out) keep(kept, network_.streams().links[link].to);
    Parts parts{kept};
    for (const int rings : {1, 2, 4}) {
      for (int ring = 0; ring < rings; ++ring) kept = wider(kept);
      if (kept != parts.back()) parts.push_back(kept);
    }
    return parts;
  }

  Parts parts_up_to_all(const Node& node) const {
    Parts parts = parts_around(node);
    parts.push_back(all_around(node));
    return parts;
  }

  // Blocks that no stream connects are parts of their own, of which nothing outside tells.
  static Parts connected_parts(const StreamGraph& graph) {
    std::vector<size_t> part(graph.blocks.size());
    std::iota(part.begin(), part.end(), size_t{0});
    const auto find = [&](size_t block) {
      while (part[block] != block) block = part[block] = part[part[block]];
      return block;
    };
    for (const StreamLink& link : graph.links) part[find(link.from)] = find(link.to);
    std::map<size_t, Kept> by_root;
    for (size_t b = 0; b < part.size(); ++b) {
      by_root.try_emplace(find(b), part.size(), false).first->second[b] = true;
    }
    Parts parts;
    for (auto& [root, kept] : by_root) parts.push_back(std::move(kept));
    return parts;
  }
  // All that is connected with a node.
  const Kept& all_around(const Node& node) const {
    const size_t block = network_.block_index(&node);
    return *std::find_if(connected_.begin(), connected_.end(),
                         [&](const Kept& kept) { return kept[block]; });
  }

  // What some of the blocks do with so many beats behind a node.
  Trial attempt(const Kept& kept, const Node& node, int64_t queue, int64_t most_work) const {
    const StreamGraph part = network_.part(kept, node, queue);
    const bool is_whole = kept == all_around(node);
    Trial trial;
    const std::vector<size_t> blocks = pacers(part, &node, is_whole);
    for (size_t i = 0; i < 2 * blocks.size(); ++i) {
      if (trial.work >= most_work || trial.verdict != Verdict::unknown) break;
      const Pace found =
          pace(part, blocks[i % blocks.size()], network_.interval(),
               i < blocks.size() && !is_whole ? kFewFrames : kPaceFrames, most_work - trial.work);
      trial.work += found.work;
      if (found.outcome == Pace::Outcome::keeps) {
        trial.verdict = Verdict::enough;
      } else if (found.outcome == Pace::Outcome::stops) {
        trial.verdict = Verdict::slower;
      } else if (found.outcome == Pace::Outcome::late) {
        trial.verdict = Verdict::slower;
        // The circle has no more frames than were begun.
        trial.cycles = static_cast<double>(network_.interval()) +
                       static_cast<double>(found.cycles) / static_cast<double>(found.frames);
      }
    }
    if (!is_whole) return trial;
    if (trial.verdict == Verdict::unknown) run_from_empty(part, most_work, trial);
    if (trial.verdict == Verdict::slower || latency_ == kAnyLatency) return trial;
    trial.work += steps_;
    if (const auto latency = first_latency(network_.part(all_, node, queue)); latency > latency_) {
      trial.verdict = Verdict::later;
      trial.cycles = static_cast<double>(*latency);
    }
    return trial;
  }

  // What no block's pace tells in a few frames shows where the times of many repeat.
  void run_from_empty(const StreamGraph& part, int64_t most_work, Trial& trial) const {
    int64_t steps = 0;
    for (const StreamBlock& block : part.blocks) steps += block.rhythm.steps();
    if (trial.work + kRateFrames * steps > most_work) return;
    const Rate rate = rate_of(part, network_.interval(), kRateFrames);
    trial.work += rate.result.work;
    if (rate.is_known) {
      trial.verdict = rate.is_full ? Verdict::enough : Verdict::slower;
      if (!rate.is_full) trial.cycles = rate.cycles;
    } else if (kRateFrames * steps <= kTracedSteps) {
      // Behind a slow circle times may repeat late: what comes before it takes its lead first.
      trial.work += kRateFrames * steps;
      if (const auto slow = critical_cycle(part, network_.interval(), kRateFrames)) {
        trial.verdict = Verdict::slower;
        trial.cycles = static_cast<double>(slow->cycles) / static_cast<double>(slow->frames);
      }
    }
  }

  // Blocks of which the rate is asked, in order. That is first one that may never wait: the
  // nearest, where a circle shows soonest; in the whole the first, behind which all times soon
  // repeat. Then the node and those that it gives to.
  std::vector<size_t> pacers(const StreamGraph& part, const Node* near, bool is_whole) const {
    std::vector<size_t> fixed, blocks;
    size_t at = 0;
    for (size_t b = 0; b < part.blocks.size(); ++b) {
      const StreamBlock& block = part.blocks[b];
      if (block.kind == StreamBlock::Kind::source || block.kind == StreamBlock::Kind::sink)
        continue;
      if (block.rhythm.steps() == network_.interval()) fixed.push_back(b);
      if (block.kind == StreamBlock::Kind::writer || block.node != near) continue;
      at = b;
      blocks.push_back(b);
      for (const size_t link : block.out) {
        const size_t to = part.links[link].to;
        if (part.blocks[to].kind != StreamBlock::Kind::sink) blocks.push_back(to);
      }
    }
    if (is_whole) at = 0;
    const auto distance = [&](size_t b) { return b > at ? b - at : at - b; };
    const auto nearest = std::min_element(
        fixed.begin(), fixed.end(), [&](size_t a, size_t b) { return distance(a) < distance(b); });
    if (nearest != fixed.end()) blocks.insert(blocks.begin(), *nearest);
    return blocks;
  }

  QueueNetwork& network_;
  const int64_t latency_;  // most cycles of the first frame
  int64_t work_;
  const Kept all_;  // the whole network
  const Parts connected_;
  const int64_t steps_;  // of a frame of it
};

}  // namespace

std::vector<QueueDepth> shorten_queues(QueueNetwork& network, int64_t latency, Schedule schedule,
                                       QueueEffort effort) {
  const bool all = effort == QueueEffort::each_the_least;
  return Judge(network, latency, all ? kLeastWork : kShrinkWork)
      .shorten(std::move(schedule), all ? kLeastWork : kMoveWork);
}

std::vector<QueueDepth> queue_reasons(QueueNetwork& network, int64_t latency) {
  return Judge(network, latency, kJudgeWork).reasons();
}

}  // namespace foldstream
