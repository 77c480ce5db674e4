// SPDX-License-Identifier: Apache-2.0
// What the operators have in common that compute each element from the same element of their one
// operand with constants of its channel: channels along the attribute `axis` (absent: the last),
// `pe` elements of the last axis at once.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "src/ir/folding.h"
#include "src/ir/graph.h"
#include "src/ir/hardware.h"
#include "src/rtl/block.h"
#include "src/rtl/rom.h"

namespace foldstream::pointwise {

// Throws Error unless the node has one integer operand of at least one dimension.
void check_operand(const Node& node);

// Throws Error when `axis` is no dimension of the operand.
size_t channel_axis(const Node& node);
int64_t channels(const Node& node);
// Whether some constant differs from channel to channel.
bool per_channel(const Node& node);
// Elements in a row that share a channel.
int64_t inner(const Node& node);

// Integer constants of shape [channels] or [1], of at most `bits` bits; throws Error on others.
const Tensor& constants(const Node& node, std::string_view key, int bits);

// visit(channel, first, count) for every run of elements of one channel, in order.
template <class Visit>
void for_each_run(const Node& node, const Visit& visit) {
  const int64_t count = channels(node), run = inner(node), all = node.in_type(0).count();
  for (int64_t first = 0; first < all;) {
    for (int64_t c = 0; c < count; ++c, first += run) visit(c, first, run);
  }
}

// `tensor` as an operand that ONNX broadcasts along the channels' axis.
Tensor along_axis(const Node& node, const Tensor& tensor);

std::vector<Fold> folds(const Node& node);
// Throws Error on illegal folding, and where channels that differ aren't along the last axis.
Ports ports(const Node& node);
// Beats after which the channels come again; 1 when all are alike.
int64_t channel_folds(const Node& node);
// A beat in and a beat out every cycle, `stages` registers between them and the queue.
Rhythm rhythm(const Node& node, int64_t stages);

// What the block needs beside its computation: the issue with its registers, the beat in one, the
// fold of its channels, the queue.
Cost frame_cost(const Node& node, const Rhythm& rhythm);

// A module of the frame that is common to all: ports, issue, the beat in a register, the fold of
// its channels, the queue. `compute` adds what gives the result in the signal it returns, `latency`
// registers after the beat, and the modules it instantiates; `summary` says what the module does.
struct Computation {
  std::string value;   // the beat
  std::string fold;    // index of its channels, valid with it; empty when there is one
  int fold_width = 0;  // bits of the index
  std::string word;    // of `words`, valid with the beat; empty when there are none
};
using Compute = std::function<std::string(SvModule& module, const Computation& computation,
                                          std::vector<TextFile>& modules)>;
// With `words`, one for each fold, a memory of them is read instead of the fold.
Hardware emit(const Node& node, const Rhythm& rhythm, const std::string& instance,
              const std::string& summary, int64_t latency, const std::vector<RomWord>& words,
              const Compute& compute);

// The constant of a lane's channel in each fold, out of one for all or one for each channel.
std::vector<int64_t> lane_constants(const Node& node, const std::vector<int64_t>& values,
                                    int64_t lane);
// A word for each fold: so many bits of each lane's constant, lane 0 in the low bits.
std::vector<RomWord> constant_words(const Node& node, const std::vector<int64_t>& values, int bits);
// A lane of the beat, and of a word of constants of that type, with that many bits, by its sign.
std::string lane_value(const Node& node, const Computation& computation, int64_t lane, int bits);
std::string lane_value(const Type& constants, int64_t lanes, const Computation& computation,
                       int64_t lane, int bits);

}  // namespace foldstream::pointwise
