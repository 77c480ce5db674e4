// SPDX-License-Identifier: Apache-2.0
// All legal foldings of a graph, what each costs, and the cheapest under any prices of resources.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "src/fold/min_sum.h"
#include "src/ir/graph.h"
#include "src/ir/hardware.h"
#include "src/sim/first_frame.h"

namespace foldstream {

// LUT, FF, BRAM18, URAM, DSP, streamed bits a cycle: amounts, or what one of each is worth.
inline constexpr size_t kResources = 6;
using Amounts = std::array<double, kResources>;
Amounts amounts(const Cost& cost);

inline constexpr double kInfinite = std::numeric_limits<double>::infinity();

// What a folding is judged by: the sum over resources of amount times price, and a little for each
// thing that is done in parallel, so that between equals the smaller hardware wins.
struct Worth {
  Amounts price{};
  double of_parallel = 0;
  std::vector<double> of_way =
      {};  // of a cycle more on each way through the graph (FoldSpace::Way)
  double of(const Amounts& used, double parallel) const;  // without ways
};

// Where weights may be that would take block memory inside their modules.
struct WeightPlaces {
  bool ultra = false;   // writable ones in UltraRAM
  bool loads = false;   // constant ones, too: loaded before the first frame
  double streamed = 0;  // bits that streams of weights may bring in a cycle; 0: there are none
};

class FoldSpace {
 public:
  // One legal folding of one node.
  struct Choice {
    std::vector<std::pair<std::string, int64_t>> attrs;
    std::vector<std::pair<std::string, Attr>> place;  // of its weights, where not as the node says
    std::vector<int64_t> lanes;                       // by port, inputs first
    int64_t steps = 0;
    double parallel = 1;
    Amounts used{};
    bool priced = false;  // false: `used` is a lower bound
  };
  using Allowed = std::vector<std::vector<size_t>>;  // choices by node, ascending

  struct Solution {
    std::vector<size_t> choice;  // by node; empty where nothing is allowed
    Amounts used{};              // with converters and forks
    double parallel = 0;
    double worth = kInfinite;
    bool exact = true;  // false: a cheaper one may exist, because the graph is too entangled
    std::vector<size_t> value;  // by variable
    // On request: how much more the best folding with a choice is worth, at least; by node and
    // choice allowed.
    std::vector<std::vector<double>> excess;
  };

  // A way through the graph, from beat to beat: the latency of no folding is less than what its
  // choices, and what stands between nodes, add up to on it, in cycles. Empty where it passes by.
  struct Way {
    std::vector<std::vector<double>> of_choice;  // by node and choice
    std::vector<std::vector<double>> of_entry;   // by term between nodes and entry
  };

  // Foldings of more than `limit` cycles are left out.
  FoldSpace(Graph& core, Family family, int64_t limit = INT64_MAX, const WeightPlaces& places = {});
  // Adds the foldings with weights in places that had not been allowed. Those there stay as they
  // are, with their prices and numbers.
  void allow(const WeightPlaces& places);

  // The fewest cycles any folding can reach, and the node that can't do better.
  std::pair<int64_t, const Node*> floor() const;
  // Every interval that some folding has, ascending from the floor.
  std::vector<int64_t> intervals() const;

  // Every choice of at most so many cycles that doesn't take more of a resource by itself.
  Allowed within(int64_t cycles, const Amounts& most) const;
  // The best of those allowed; nothing that takes more of a resource than `most` by itself.
  // Foldings are priced when they might be the best, never otherwise.
  Solution solve(const Allowed& allowed, const Worth& worth, const Amounts& most,
                 bool with_excess = false);

  // Takes other foldings for those of a solution, one after the other, as long as less goes over
  // `most`, what leaves least over first, then cheap ones. None where some still does in the end.
  std::optional<Solution> repaired(Solution solution, const Allowed& allowed, const Worth& worth,
                                   const Amounts& most);

  // Cycles from the first beat of a frame in to its last beat out, at a design that was idle and
  // whose queues are never full: exact for the folding, and the least that any queues can give.
  // Where that is more than `most`, it adds a way on which the folding takes so long.
  int64_t latency(const Solution& solution, int64_t most = kAnyLatency);
  const std::vector<Way>& ways() const { return ways_; }
  double delay(size_t way, const Solution& solution) const;

  const std::vector<std::vector<Choice>>& choices() const { return choices_; }
  const Node& node(size_t i) const { return *nodes_[i]; }
  // Table entries looked at so far: the work done, the same on every machine.
  int64_t work() const { return work_; }

  // Sets the folding attributes of every node of a graph that has the same nodes.
  void apply(const Solution& solution, Graph& core) const;

 private:
  // Two ports that carry the same elements: a converter stands between them when lanes differ.
  struct Joint {
    struct End {
      size_t node;
      bool is_output;
      size_t port;
    };
    End a, b;
    Type type;
  };
  // A value with several users. `end` gives the width of the fork.
  struct Fan {
    Joint::End end;
    int64_t branches;
    Type type;
  };
  // The lanes of a port: a function of one variable.
  struct PortLanes {
    size_t variable = 0;
    std::vector<int64_t> lanes;  // by value
  };
  // The variables that the lanes of a node's ports depend on, and where its choices lie among the
  // combinations of their values.
  struct Side {
    std::vector<size_t> variables;
    std::vector<PortLanes> ports;  // inputs first
    size_t entries = 1;            // combinations
    std::vector<size_t> entry;     // by choice
    std::vector<size_t> terms;     // between nodes that depend on them
  };
  // What stands between nodes, for every combination of values of one or two variables.
  struct PricedTerm {
    std::vector<size_t> scope;
    std::vector<Amounts> used;
  };

  // Where an input's beats come from: a node, or the host, by way of a fork or a converter.
  struct Feed {
    size_t node = SIZE_MAX, port = 0;         // none: the host
    size_t fan = SIZE_MAX, joint = SIZE_MAX;  // none: no fork, no converter
  };
  class FirstFrame;

  // What is enumerated: foldings with weights where the node has them, and in other places.
  struct Added {
    bool as_it_is;
    WeightPlaces places;
  };

  void connect(Graph& core);
  void enumerate(const Added& added);
  void enumerate(size_t i, const Added& added, size_t depth,
                 std::vector<std::pair<std::string, int64_t>> attrs);
  std::vector<std::vector<std::pair<std::string, Attr>>> places_of(const Node& node,
                                                                   const Added& added) const;
  void price(size_t i, size_t choice);
  void make_variables();
  bool try_groups(size_t i, const std::vector<std::vector<size_t>>& groups);
  const PortLanes& at(const Joint::End& end) const;
  void price_joints();
  size_t entry_of(const std::vector<size_t>& scope, const std::vector<size_t>& value) const;
  void set_values(size_t i, size_t entry, std::vector<size_t>& value) const;
  Amounts around(size_t i, const std::vector<size_t>& value) const;
  // Another folding of one node, and what all takes with it.
  struct Exchange {
    size_t node = SIZE_MAX, choice = 0;
    double over = 0;  // of budgets, each as a share of it
    Amounts used{};
  };
  Exchange best_exchange(const Solution& solution, const Allowed& allowed, const Worth& worth,
                         const Amounts& most, double over);
  const Rhythm& rhythm(size_t i, size_t choice);
  const Rhythm& converter(const Joint& joint, int64_t from, int64_t to);
  template <class Visit>
  void each_entry(const Joint& joint, const Visit& visit) const;

  Family family_;
  int64_t limit_;
  WeightPlaces places_;
  std::vector<Node*> nodes_;
  std::vector<std::vector<Choice>> choices_;  // by node
  std::vector<int64_t> least_;                // cycles of its fastest folding, by node
  std::vector<Joint> joints_;
  std::vector<Fan> fans_;
  std::vector<size_t> sizes_;                                // of the variables
  std::vector<Side> sides_;                                  // by node
  std::vector<PricedTerm> priced_;                           // of fans and joints
  std::optional<MinSum> sum_;                                // over nodes, then over those
  std::vector<std::vector<Feed>> feeds_;                     // by node and input
  std::vector<Feed> ends_;                                   // of the graph's outputs
  std::vector<std::vector<std::optional<Rhythm>>> rhythms_;  // by node and choice, as asked for
  std::map<std::tuple<int, int64_t, int64_t, int64_t>, Rhythm> converters_;
  std::vector<Way> ways_;
  int64_t work_ = 0;
};

}  // namespace foldstream
