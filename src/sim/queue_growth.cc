// SPDX-License-Identifier: Apache-2.0
#include "src/sim/queue_growth.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "src/sim/cycle_model.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

class Search {
 public:
  explicit Search(const StreamGraph& graph) : graph_(graph), grown_(graph) {}

  QueueGrowth run(int64_t frames) {
    // One stop after the other: the frame that doesn't end first, then those after it.
    for (SimResult now = at(grown_, frames); now.deadlock; now = at(grown_, frames)) {
      frames_ = now.frames + 1;
      if (!grow_until_ended()) return {};
    }
    trim();
    QueueGrowth result;
    for (size_t link = 0; link < graph_.links.size(); ++link) {
      const int64_t more = grown_.links[link].queue - graph_.links[link].queue;
      if (more > 0) result.queues.push_back({link, more}), result.added += more;
    }
    if (!result.queues.empty()) result.least = least_of(result.queues);
    return result;
  }

 private:
  static SimResult at(const StreamGraph& graph, int64_t frames) {
    SimOptions options;
    options.frames = frames;
    return simulate(graph, options);
  }
  SimResult now() const { return at(grown_, frames_); }
  bool ends() const { return !now().deadlock; }

  // No queue ever holds more.
  int64_t all_beats(size_t link) const {
    return std::max(graph_.links[link].queue, frames_ * graph_.links[link].stream.beats);
  }

  template <class Enough>
  static int64_t halve(int64_t low, int64_t high, const Enough& enough) {
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (enough(middle))
        high = middle;
      else
        low = middle + 1;
    }
    return high;
  }

  // A queue's least size with which `enough` holds; it does with all beats.
  template <class Enough>
  int64_t least_size(size_t link, const Enough& enough) {
    int64_t& queue = grown_.links[link].queue;
    const int64_t before = queue;
    const int64_t least = halve(before, all_beats(link), [&](int64_t size) {
      queue = size;
      return enough();
    });
    queue = before;
    return least;
  }

  // Of the full queues in the circle of waits the one that alone lets the frames end, by the fewest
  // beats; where none does, the one with which the most steps are made before all stops again.
  bool grow_until_ended() {
    for (SimResult stopped = now(); stopped.deadlock; stopped = now()) {
      size_t best = SIZE_MAX;
      int64_t steps = stopped.work, size = 0, fewest = INT64_MAX;
      for (const size_t link : stopped.deadlock->full) {
        int64_t& queue = grown_.links[link].queue;
        const int64_t before = queue;
        queue = all_beats(link);
        const SimResult most = now();
        queue = before;
        if (!most.deadlock) {
          const int64_t least = least_size(link, [&] { return ends(); });
          if (least - before >= fewest) continue;
          best = link, size = least, fewest = least - before;
        } else if (fewest == INT64_MAX && most.work > steps) {
          best = link, size = 0, steps = most.work;
        }
      }
      if (best == SIZE_MAX) return false;
      if (size == 0) size = least_size(best, [&] { return now().work >= steps; });
      grown_.links[best].queue = size;
    }
    return true;
  }

  // What one queue was given may be more than it needs now that others grew too.
  void trim() {
    for (size_t link = 0; link < graph_.links.size(); ++link) {
      int64_t& queue = grown_.links[link].queue;
      queue = halve(graph_.links[link].queue, queue, [&](int64_t size) {
        queue = size;
        return ends();
      });
    }
  }

  // Beats that any growth adds: as many as are too few for every queue at once, and what each of
  // these queues lacks when all others hold whatever comes.
  int64_t least_of(const std::vector<QueueGrowth::Queue>& queues) {
    int64_t most = 0, alone = 0;
    for (const QueueGrowth::Queue& queue : queues) most += queue.beats;
    const int64_t each = halve(1, most, [&](int64_t beats) {
      for (size_t link = 0; link < graph_.links.size(); ++link)
        grown_.links[link].queue = graph_.links[link].queue + (graph_.is_ring(link) ? 0 : beats);
      return ends();
    });
    for (size_t link = 0; link < graph_.links.size(); ++link)
      grown_.links[link].queue = graph_.is_ring(link) ? graph_.links[link].queue : all_beats(link);
    for (const auto& [link, beats] : queues) {
      const int64_t size = graph_.links[link].queue;
      grown_.links[link].queue = size;
      alone += least_size(link, [&] { return ends(); }) - size;
      grown_.links[link].queue = all_beats(link);
    }
    return std::max(each, alone);
  }

  const StreamGraph& graph_;
  StreamGraph grown_;
  int64_t frames_ = 1;
};

}  // namespace

QueueGrowth queue_growth(const StreamGraph& graph, int64_t frames) {
  return Search(graph).run(frames);
}

std::string remedy(const StreamGraph& graph, int64_t frames) {
  const QueueGrowth growth = queue_growth(graph, frames);
  if (growth.queues.empty()) return "longer queues don't help";
  std::string text;
  for (const auto& [link, beats] : growth.queues) {
    text += fmt::format("{}the queue from '{}' to '{}' must hold {} beats, {} more",
                        text.empty() ? "" : ", ", graph.producer(link), graph.consumer(link),
                        graph.links[link].queue + beats, beats);
  }
  return text + (growth.least == growth.added
                     ? "; no growth of fewer beats is enough"
                     : fmt::format("; with a beat less in any of them it stops, and no growth of "
                                   "fewer than {} beats is enough",
                                   growth.least));
}

}  // namespace foldstream
