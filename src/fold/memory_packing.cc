// SPDX-License-Identifier: Apache-2.0
#include "src/fold/memory_packing.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "src/rtl/rom.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr int64_t kBlockBits = 18 * 1024;
constexpr int64_t kPorts = 2;

constexpr BlockMode kModes[] = {{18, 1024}, {9, 2048}, {4, 4096}, {2, 8192}, {1, 16384}};
constexpr std::string_view kArchitectures[] = {"7series", "ultrascale_plus", "ecp5", "gowin"};
// Its ports are 9 bits wide at least.
constexpr std::string_view kWideArchitecture = "versal";

// Limits of work, in steps about as long as one entry of the pattern search's table.
constexpr int64_t kCutSteps = 400'000'000;
constexpr int64_t kRepairSteps = 400'000'000;
constexpr int64_t kIdleRepairs = 400;  // without a block less
constexpr int64_t kExactNodes = 200'000;
constexpr int64_t kExactStrips = 24;  // instances of more are not searched exactly
constexpr int64_t kMostPieces = 16;   // of a column

int64_t divided_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Some columns of some words of a memory.
struct Piece {
  int64_t memory = 0, first_bit = 0, columns = 0;
  int64_t first_word = 0, words = 0;
};

// Pieces of one size, which are placed one after the other.
struct Segment {
  int64_t words = 0, columns = 0;  // of each
  std::vector<Piece> pieces;

  int64_t total() const { return columns * static_cast<int64_t>(pieces.size()); }
  // Of the piece that is placed next when so many columns of all are left.
  int64_t of_piece(int64_t left) const { return (left - 1) % columns + 1; }
  // Strips of a width that make up what is left; none serves two pieces.
  int64_t strips(int64_t left, int64_t width) const {
    if (left <= 0) return 0;
    const int64_t first = of_piece(left);
    return divided_up(first, width) + (left - first) / columns * divided_up(columns, width);
  }
  // What is left after so many more.
  int64_t after(int64_t left, int64_t strips, int64_t width) const {
    while (left > 0 && strips > 0) {
      const int64_t first = of_piece(left), needed = divided_up(first, width);
      if (strips < needed) return left - strips * width;
      left -= first, strips -= needed;
    }
    return left;
  }
};

// What the parts of one block are: so many strips of a mode's width of each of some segments.
struct Pattern {
  size_t mode = 0;
  std::vector<std::pair<size_t, int64_t>> strips;  // segment, count
};

struct Use {
  Pattern pattern;
  int64_t blocks = 0;
};

using Packing = std::vector<Use>;

int64_t blocks_of(const Packing& packing) {
  int64_t blocks = 0;
  for (const Use& use : packing) blocks += use.blocks;
  return blocks;
}

class Random {  // xorshift64
 public:
  int64_t below(int64_t limit) {
    state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
    return static_cast<int64_t>(state_ % static_cast<uint64_t>(limit));
  }

 private:
  uint64_t state_ = 0x9e3779b97f4a7c15u;
};

// Sixteenths of a column's price that are for its bits; the rest is for the port that reads it.
constexpr int64_t kShares[] = {16, 14, 12, 8, 4, 1};

class Packer {
 public:
  Packer(const std::vector<Segment>& segments, std::span<const BlockMode> modes, int64_t slots,
         int64_t bound)
      : segments_(segments), modes_(modes), slots_(slots), bound_(bound) {
    for (const Segment& segment : segments_) columns_.push_back(segment.total());
  }

  // Blocks filled one after the other, each with what is worth most, by several ideas of worth.
  Packing greedy() {
    Packing best;
    for (const int64_t share : kShares) {
      Packing packing;
      fill(columns_, prices_for(share, false), packing);
      prune(packing);
      if (best.empty() || blocks_of(packing) < blocks_of(best)) {
        best = std::move(packing);
        share_ = share;
      }
      if (blocks_of(best) <= bound_) break;
    }
    return best;
  }

  // Takes some blocks apart and fills them anew, again and again; keeps what is not worse.
  Packing repair(Packing packing) {
    const int64_t limit = steps_ + kRepairSteps;
    int64_t blocks = blocks_of(packing), concentrated = concentration(packing);
    for (int64_t idle = 0; idle < kIdleRepairs && steps_ < limit && blocks > bound_; ++idle) {
      Packing kept = packing;
      int64_t take = 2 + random_.below(14);
      for (int tries = 0; tries < 64 && take > 0 && !kept.empty(); ++tries) {
        Use& use = kept[random_.below(static_cast<int64_t>(kept.size()))];
        // Full blocks are rarely worth it.
        if (kBlockBits - used_bits(use.pattern) < random_.below(kBlockBits / 4)) continue;
        const int64_t taken = std::min(use.blocks, 1 + random_.below(take));
        use.blocks -= taken, take -= taken;
        if (use.blocks == 0) std::swap(use, kept.back()), kept.pop_back();
      }
      const int64_t share = random_.below(2) == 0 ? share_ : kShares[random_.below(6)];
      fill(missing(kept), prices_for(share, true), kept);
      prune(kept);
      const int64_t now = blocks_of(kept), now_concentrated = concentration(kept);
      if (now < blocks) idle = 0;
      if (now < blocks || (now == blocks && now_concentrated >= concentrated)) {
        packing = std::move(kept), blocks = now, concentrated = now_concentrated;
      }
    }
    return packing;
  }

  int64_t steps() const { return steps_; }

  // Tries every way to share that takes less than `most` blocks. False when there are too many.
  bool exact(int64_t most, std::optional<Packing>& best) {
    nodes_ = 0, best_blocks_ = most;
    seen_.clear();
    Packing taken;
    return descend(columns_, taken, best);
  }

 private:
  std::vector<int64_t> prices_for(int64_t bits_share, bool noisy) {
    constexpr int64_t kUnit = int64_t{1} << 30;
    std::vector<int64_t> prices;
    for (const Segment& segment : segments_) {
      const int64_t by_bits = kUnit / kBlockBits * segment.words;
      const int64_t by_port = kUnit / (slots_ * modes_[0].width);
      int64_t price = (bits_share * by_bits + (16 - bits_share) * by_port) / 16;
      // Between equals the longer segment first: it is the harder one to place.
      price += price * segment.words / 65536;
      if (noisy) price += price / 256 * random_.below(64);
      prices.push_back(price);
    }
    return prices;
  }

  // The most valuable pattern of a mode for what is left; its value.
  int64_t best_pattern(size_t mode, const std::vector<int64_t>& left,
                       const std::vector<int64_t>& prices, Pattern& pattern) {
    const auto [width, words] = modes_[mode];
    std::vector<size_t> able;
    int64_t unit = 0;
    for (size_t j = 0; j < segments_.size(); ++j) {
      const Segment& segment = segments_[j];
      if (left[j] <= 0 || segment.words > words) continue;
      // Narrow ports are for what nothing wider suits.
      if (mode > 1 && segment.columns >= modes_[1].width && segment.words <= modes_[1].words) {
        continue;
      }
      able.push_back(j);
      unit = std::gcd(unit, segment.words);
    }
    if (able.empty()) return 0;
    const int64_t room = words / unit, row = room + 1;
    const auto size = static_cast<size_t>((slots_ + 1) * row);
    value_.assign(size, 0);
    chosen_.assign(able.size() * size, 0);
    for (size_t i = 0; i < able.size(); ++i) {
      const size_t j = able[i];
      const int64_t length = segments_[j].words / unit;
      const int64_t most = std::min(slots_, segments_[j].strips(left[j], width));
      uint8_t* const choice = chosen_.data() + i * size;
      for (int64_t s = slots_; s > 0; --s) {
        for (int64_t count = 1; count <= std::min(most, s) && count * length <= room; ++count) {
          const int64_t worth = prices[j] * (left[j] - segments_[j].after(left[j], count, width));
          const int64_t skip = count * length;
          // Rows of fewer slots are still those before this segment.
          const int64_t* const from = value_.data() + (s - count) * row;
          int64_t* const to = value_.data() + s * row;
          for (int64_t r = skip; r <= room; ++r) {
            const int64_t sum = from[r - skip] + worth;
            if (sum > to[r]) to[r] = sum, choice[s * row + r] = static_cast<uint8_t>(count);
          }
          steps_ += row - skip;
        }
      }
    }
    int64_t s = slots_, r = room;
    const int64_t total = value_[s * row + r];
    pattern = {mode, {}};
    for (size_t i = able.size(); i-- > 0;) {
      const int64_t count = chosen_[i * size + s * row + r];
      if (count == 0) continue;
      pattern.strips.emplace_back(able[i], count);
      s -= count, r -= count * (segments_[able[i]].words / unit);
    }
    return total;
  }

  // Places all that is left, the most valuable block first.
  void fill(std::vector<int64_t> left, const std::vector<int64_t>& prices, Packing& packing) {
    while (std::any_of(left.begin(), left.end(), [](int64_t columns) { return columns > 0; })) {
      int64_t most = 0;
      Pattern best, candidate;
      for (size_t mode = 0; mode < modes_.size(); ++mode) {
        const int64_t value = best_pattern(mode, left, prices, candidate);
        if (value > most) most = value, std::swap(best, candidate);
      }
      FOLDSTREAM_CHECK(most > 0);
      int64_t blocks = INT64_MAX;
      for (const auto& [j, count] : best.strips) {
        blocks = std::min(blocks, segments_[j].strips(left[j], modes_[best.mode].width) / count);
      }
      packing.push_back({std::move(best), blocks});
      take(packing.back(), left);
    }
  }

  void take(const Use& use, std::vector<int64_t>& left) const {
    for (const auto& [j, count] : use.pattern.strips) {
      left[j] = segments_[j].after(left[j], count * use.blocks, modes_[use.pattern.mode].width);
    }
  }

  std::vector<int64_t> missing(const Packing& packing) const {
    std::vector<int64_t> left = columns_;
    for (const Use& use : packing) take(use, left);
    return left;
  }

  // Drops blocks that others make superfluous.
  void prune(Packing& packing) {
    for (Use& use : packing) {
      while (use.blocks > 0) {
        --use.blocks;
        const std::vector<int64_t> left = missing(packing);
        steps_ += static_cast<int64_t>(8 * packing.size());
        if (std::all_of(left.begin(), left.end(), [](int64_t columns) { return columns <= 0; })) {
          continue;
        }
        ++use.blocks;
        break;
      }
    }
    std::erase_if(packing, [](const Use& use) { return use.blocks == 0; });
  }

  int64_t used_bits(const Pattern& pattern) const {
    int64_t bits = 0;
    for (const auto& [j, count] : pattern.strips) {
      bits +=
          count * segments_[j].words * std::min(modes_[pattern.mode].width, segments_[j].columns);
    }
    return bits;
  }

  // Space in few blocks is better than the same space in many.
  int64_t concentration(const Packing& packing) const {
    int64_t sum = 0;
    for (const Use& use : packing) {
      const int64_t space = (kBlockBits - used_bits(use.pattern)) / 64;
      sum += use.blocks * space * space;
    }
    return sum;
  }

  int64_t bound_of(const std::vector<int64_t>& left) const {
    int64_t bits = 0, strips = 0;
    for (size_t j = 0; j < segments_.size(); ++j) {
      if (left[j] <= 0) continue;
      bits += left[j] * segments_[j].words;
      strips += segments_[j].strips(left[j], modes_[0].width);
    }
    return std::max(divided_up(bits, kBlockBits), divided_up(strips, slots_));
  }

  // Every block that holds a strip of the longest segment left, and what can follow it. False when
  // it takes too many steps.
  bool descend(const std::vector<int64_t>& left, Packing& taken, std::optional<Packing>& best) {
    if (++nodes_ > kExactNodes) return false;
    const auto used = static_cast<int64_t>(taken.size());
    size_t longest = segments_.size();
    for (size_t j = 0; j < segments_.size(); ++j) {
      if (left[j] > 0 &&
          (longest == segments_.size() || segments_[j].words > segments_[longest].words)) {
        longest = j;
      }
    }
    if (longest == segments_.size()) {
      if (used < best_blocks_) best_blocks_ = used, best = taken;
      return true;
    }
    if (used + bound_of(left) >= best_blocks_) return true;
    const auto [known, added] = seen_.try_emplace(left, used);
    if (!added && known->second <= used) return true;
    known->second = used;
    for (size_t mode = 0; mode < modes_.size(); ++mode) {
      if (segments_[longest].words > modes_[mode].words) continue;
      Pattern pattern{mode, {}};
      if (!extend(longest, 0, slots_, modes_[mode].words, left, pattern, taken, best)) return false;
    }
    return true;
  }

  // Chooses how many strips a block gets of each segment, the longest first, which gets one at
  // least. Only blocks to which nothing can be added are tried: more never does harm.
  bool extend(size_t longest, size_t place, int64_t slots, int64_t room,
              const std::vector<int64_t>& left, Pattern& pattern, Packing& taken,
              std::optional<Packing>& best) {
    const int64_t width = modes_[pattern.mode].width;
    if (place == segments_.size()) {
      std::vector<int64_t> rest = left;
      take({pattern, 1}, rest);
      for (size_t j = 0; j < segments_.size(); ++j) {
        if (slots > 0 && segments_[j].words <= room && rest[j] > 0) return true;
      }
      taken.push_back({pattern, 1});
      const bool complete = descend(rest, taken, best);
      taken.pop_back();
      return complete;
    }
    const size_t j = place == 0 ? longest : place <= longest ? place - 1 : place;
    const int64_t words = segments_[j].words;
    const int64_t most = std::min({slots, room / words, segments_[j].strips(left[j], width)});
    for (int64_t count = most; count >= (place == 0 ? 1 : 0); --count) {
      if (count > 0) pattern.strips.emplace_back(j, count);
      const bool complete = extend(longest, place + 1, slots - count, room - count * words, left,
                                   pattern, taken, best);
      if (count > 0) pattern.strips.pop_back();
      if (!complete) return false;
    }
    return true;
  }

  const std::vector<Segment>& segments_;
  const std::span<const BlockMode> modes_;
  const int64_t slots_, bound_;
  std::vector<int64_t> columns_;
  std::vector<int64_t> value_;
  std::vector<uint8_t> chosen_;
  int64_t steps_ = 0, share_ = kShares[0];
  int64_t nodes_ = 0, best_blocks_ = 0;
  std::map<std::vector<int64_t>, int64_t> seen_;  // least blocks with which this was left
  Random random_;
};

// Columns of a memory whose words are cut alike, after every `words`.
struct Slab {
  int64_t memory = 0, first_bit = 0, columns = 0, depth = 0, words = 0;
};

// Columns that would leave most of a port idle are slabs of their own; `deep_mode` is that of the
// port for memories that don't fit the widest mode whole. A wide and deep
// memory is several, so that some of its columns can be cut and others not.
std::vector<Slab> slabs_of(std::span<const ConstantMemory> memories,
                           std::span<const BlockMode> modes, size_t deep_mode) {
  constexpr int64_t kSlabStrips = 4, kMostSlabs = 4;
  std::vector<Slab> slabs;
  for (size_t m = 0; m < memories.size(); ++m) {
    const auto [width, depth] = memories[m];
    const int64_t port = modes[depth > modes[0].words ? deep_mode : 0].width;
    const int64_t rest = width % port, strips = width / port;
    const bool is_apart = rest * 4 < port * 3 && strips > 0;
    const int64_t most = depth > modes[0].words / 2 ? kMostSlabs : 1;
    const int64_t count = std::clamp<int64_t>(strips / kSlabStrips, 1, most);
    const int64_t end = is_apart ? width - rest : width;
    // Deep memories are first cut where blocks end that lose no bits.
    const auto add = [&](int64_t first, int64_t columns) {
      slabs.push_back(
          {static_cast<int64_t>(m), first, columns, depth, std::min(depth, modes[1].words)});
    };
    for (int64_t i = 0; i < count; ++i) {
      const int64_t first = strips * i / count * port;
      add(first, (i + 1 == count ? end : strips * (i + 1) / count * port) - first);
    }
    if (end < width) add(end, width - end);
  }
  return slabs;
}

std::vector<Segment> segments_of(const std::vector<Slab>& slabs) {
  std::map<std::pair<int64_t, int64_t>, std::vector<Piece>> pieces;  // by words, columns
  for (const Slab& slab : slabs) {
    for (int64_t word = 0; word < slab.depth; word += slab.words) {
      const int64_t words = std::min(slab.words, slab.depth - word);
      pieces[{words, slab.columns}].push_back(
          {slab.memory, slab.first_bit, slab.columns, word, words});
    }
  }
  std::vector<Segment> segments;
  for (auto& [size, of_size] : pieces) {
    segments.push_back({size.first, size.second, std::move(of_size)});
  }
  return segments;
}

std::vector<MemoryBank> lay_out(const Packing& packing, const std::vector<Segment>& segments,
                                std::span<const BlockMode> modes) {
  std::vector<MemoryBank> banks;
  std::vector<int64_t> left;
  for (const Segment& segment : segments) left.push_back(segment.total());
  for (const Use& use : packing) {
    const BlockMode& mode = modes[use.pattern.mode];
    // Of each strip in a block, what it holds in each of the blocks.
    std::vector<std::vector<MemoryPart>> strips;
    int64_t offset = 0;
    for (const auto& [j, count] : use.pattern.strips) {
      const Segment& segment = segments[j];
      for (int64_t strip = 0; strip < count; ++strip) {
        std::vector<MemoryPart>& parts = strips.emplace_back();
        for (int64_t block = 0; block < use.blocks && left[j] > 0; ++block) {
          const int64_t columns = segment.of_piece(left[j]);
          const Piece& piece = segment.pieces[(segment.total() - left[j]) / segment.columns];
          const int64_t bits = std::min(columns, mode.width);
          parts.push_back({piece.memory, piece.first_bit + segment.columns - columns, bits,
                           piece.first_word, piece.words, offset});
          left[j] -= bits;
        }
        offset += segment.words;
      }
    }
    // Blocks in which every strip goes on where it ended in the one before make a bank.
    for (int64_t block = 0; block < use.blocks; ++block) {
      bool goes_on = block > 0;
      for (const std::vector<MemoryPart>& parts : strips) {
        const auto size = static_cast<int64_t>(parts.size());
        if (block == 0 || block > size) continue;
        goes_on = goes_on && block < size && parts[block].memory == parts[block - 1].memory &&
                  parts[block].first_word == parts[block - 1].first_word &&
                  parts[block].first_bit == parts[block - 1].first_bit + mode.width;
      }
      if (!goes_on) {
        MemoryBank& bank = banks.emplace_back(MemoryBank{mode, 0, {}});
        for (const std::vector<MemoryPart>& parts : strips) {
          if (block < static_cast<int64_t>(parts.size())) bank.parts.push_back(parts[block]);
        }
      } else {
        size_t part = 0;
        for (const std::vector<MemoryPart>& parts : strips) {
          if (block < static_cast<int64_t>(parts.size())) {
            banks.back().parts[part++].bits += parts[block].bits;
          }
        }
      }
      ++banks.back().blocks;
    }
  }
  for (const int64_t columns : left) FOLDSTREAM_CHECK(columns == 0);
  return banks;
}

// Chooses where memories are cut, then packs.
class Search {
 public:
  Search(std::span<const ConstantMemory> memories, std::span<const BlockMode> modes,
         size_t deep_mode, int64_t slots, int64_t bound)
      : modes_(modes), slots_(slots), bound_(bound), slabs_(slabs_of(memories, modes, deep_mode)) {
    for (const Slab& slab : slabs_) depths_.insert(slab.depth);
  }

  void run() {
    segments = segments_of(slabs_);
    packing = Packer(segments, modes_, slots_, bound_).greedy();
    cost_ = cost_of(packing, slabs_);
    // All memories of a depth, then each memory, then each slab.
    const auto by_depth = [](const Slab& slab) { return slab.depth; };
    const auto by_memory = [](const Slab& slab) { return slab.memory; };
    const auto by_place = [](const Slab& slab) { return slab.memory << 32 | slab.first_bit; };
    while (cut(by_depth) || cut(by_memory) || cut(by_place)) {
    }
    segments = segments_of(slabs_);
    Packer packer(segments, modes_, slots_, bound_);
    packing = packer.repair(std::move(packing));
    int64_t strips = 0;
    for (const Segment& segment : segments)
      strips += segment.strips(segment.total(), modes_[0].width);
    if (strips > kExactStrips || blocks_of(packing) == bound_) return;
    std::optional<Packing> fewer;
    optimal = packer.exact(blocks_of(packing), fewer);
    if (fewer) packing = std::move(*fewer);
  }

  std::vector<Segment> segments;
  Packing packing;
  bool optimal = false;

 private:
  // Tries other cuts, the same for all slabs with the same key, the deepest first. True when one
  // was better.
  template <class Key>
  bool cut(const Key& key) {
    std::map<int64_t, std::vector<size_t>> groups;
    for (size_t i = 0; i < slabs_.size(); ++i) groups[key(slabs_[i])].push_back(i);
    std::vector<std::vector<size_t>> order;
    for (auto& [value, group] : groups) order.push_back(std::move(group));
    std::stable_sort(order.begin(), order.end(), [&](const auto& a, const auto& b) {
      return slabs_[a[0]].depth > slabs_[b[0]].depth;
    });
    bool better = false;
    for (const std::vector<size_t>& group : order) {
      for (const int64_t words : candidates(slabs_[group[0]].depth)) {
        if (blocks_of(packing) <= bound_ || steps_ > kCutSteps) return false;
        std::vector<Slab> slabs = slabs_;
        for (const size_t i : group) slabs[i].words = words;
        const std::vector<Segment> other = segments_of(slabs);
        Packer packer(other, modes_, slots_, bound_);
        Packing found = packer.greedy();
        steps_ += packer.steps();
        const double cost = cost_of(found, slabs);
        if (cost < cost_) {
          cost_ = cost, slabs_ = std::move(slabs), packing = std::move(found);
          better = true;
        }
      }
    }
    return better;
  }

  // What a design pays: blocks, and a multiplexer behind each column that is cut.
  static double cost_of(const Packing& found, const std::vector<Slab>& slabs) {
    double luts = kLutsOfBlock * static_cast<double>(blocks_of(found));
    for (const Slab& slab : slabs) {
      const auto pieces = static_cast<double>(divided_up(slab.depth, slab.words));
      const double each = pieces == 1 ? 0 : pieces == 2 ? 0.5 : (pieces - 1) / 3;
      luts += each * static_cast<double>(slab.columns);
    }
    return luts;
  }

  // Words after which memories of a depth may be cut: where a block ends, in equal parts, and where
  // a block's other parts leave off.
  std::vector<int64_t> candidates(int64_t depth) const {
    std::vector<int64_t> words;
    const auto add = [&](int64_t count) {
      if (count > 0 && count <= std::min(depth, modes_.back().words) &&
          divided_up(depth, count) <= kMostPieces)
        words.push_back(count);
    };
    for (const BlockMode& mode : modes_) add(std::min(depth, mode.words));
    // Multiples of a power of two keep the pattern search's table small.
    constexpr int64_t kGrain = 16;
    for (const int64_t parts : {2, 3, 4}) add(divided_up(depth, parts * kGrain) * kGrain);
    for (const int64_t other : depths_) {
      for (int64_t count = 1; count < slots_; ++count) add(modes_[0].words - count * other);
    }
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    return words;
  }

  const std::span<const BlockMode> modes_;
  const int64_t slots_, bound_;
  std::vector<Slab> slabs_;
  std::set<int64_t> depths_;
  double cost_ = 0;
  int64_t steps_ = 0;
};

}  // namespace

std::span<const BlockMode> block_modes(std::string_view architecture) {
  const std::span<const BlockMode> all(kModes);
  if (architecture == kWideArchitecture) return all.first(2);
  for (const std::string_view known : kArchitectures) {
    if (architecture == known) return all;
  }
  throw Error(
      fmt::format("memories can't share the block memories of a part of architecture '{}'",
                  architecture),
      "they need block memories of 18 Kbit with two ports to read: choose another part, or leave "
      "out --pack-memories");
}

double MemoryPacking::efficiency() const {
  return blocks == 0 ? 1.0 : static_cast<double>(bits) / static_cast<double>(blocks * kBlockBits);
}

int64_t block_bound(std::span<const ConstantMemory> memories, int64_t ratio) {
  int64_t bits = 0, reads = 0;
  for (const ConstantMemory& memory : memories) {
    bits += memory.width * memory.depth;
    // A read serves 18 columns of fewer than 1024 words at most, 9 of fewer than 2048 and so on; a
    // part with all words of its block leaves the other reads idle. So 18 columns take a read for
    // each 1024 words, rounded down, and one more.
    const int64_t of_columns = memory.depth / kModes[0].words + 1;
    reads += divided_up(memory.width * of_columns, kModes[0].width);
  }
  return std::max(divided_up(bits, kBlockBits), divided_up(reads, kPorts * ratio));
}

MemoryPacking pack_memories(std::span<const ConstantMemory> memories,
                            std::span<const BlockMode> modes, int64_t ratio) {
  if (ratio < 1) {
    throw Error(fmt::format("the memory clock is {} times the compute clock", ratio),
                "it must be 1 or more times as fast");
  }
  MemoryPacking result;
  for (const ConstantMemory& memory : memories) {
    if (memory.width < 1 || memory.depth < 1) {
      throw Error(fmt::format("a memory of {} words of {} bits", memory.depth, memory.width),
                  "it must have one of each at least");
    }
    result.bits += memory.width * memory.depth;
  }
  if (memories.empty()) {
    result.optimal = true;
    return result;
  }
  result.bound = block_bound(memories, ratio);
  for (const size_t deep_mode : {0, 1}) {
    Search search(memories, modes, deep_mode, kPorts * ratio, result.bound);
    search.run();
    const int64_t blocks = blocks_of(search.packing);
    if (deep_mode > 0 && blocks >= result.blocks) continue;
    result.banks = lay_out(search.packing, search.segments, modes);
    result.blocks = blocks;
    result.optimal = search.optimal || blocks == result.bound;
    if (blocks == result.bound) break;
  }
  return result;
}

}  // namespace foldstream
