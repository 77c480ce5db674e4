// SPDX-License-Identifier: Apache-2.0
#include "src/arith/shared_pairs.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <queue>
#include <utility>

namespace foldstream::arith {
namespace {

// What an adder of bits takes for each of them, about. Matrices of 2 to 8 bits come out largest
// with less than 0.4 and more than 0.7.
constexpr double kLutsOfBit = 0.55;
// Pairs of digits that are looked at together: of a larger matrix only those of columns that lie
// together. Eight times as many save 3 % of 512 by 512 weights of 4 bits for twice the time, a
// fifth as many cost 2 %.
constexpr std::int64_t kPairsTogether = 500'000;
// Bits of a word at most: no sum of a row has more.
constexpr int kMostBits = 60;

using Key = std::uint64_t;

// Counts by key, in places next to each other: they are asked for some ten million times in a large
// matrix.
class Counts {
 public:
  void clear() {
    places_.assign(1024, {kNone, 0});
    filled_ = 0;
  }
  int& operator[](Key key) {
    if (2 * filled_ >= places_.size()) grow();
    auto& [found, count] = places_[at(key)];
    if (found == kNone) found = key, ++filled_;
    return count;
  }

 private:
  static constexpr Key kNone = ~Key{0};

  std::size_t at(Key key) const {
    std::size_t place = static_cast<std::size_t>(key * 0x9e3779b97f4a7c15 >> 20);
    for (;; ++place) {
      place &= places_.size() - 1;
      if (places_[place].first == key || places_[place].first == kNone) return place;
    }
  }
  void grow() {
    std::vector<std::pair<Key, int>> old(2 * places_.size(), {kNone, 0});
    old.swap(places_);
    for (const auto& entry : old) {
      if (entry.first != kNone) places_[at(entry.first)] = entry;
    }
  }

  std::vector<std::pair<Key, int>> places_;
  std::size_t filled_ = 0;
};

class Sharing {
 public:
  Sharing(std::vector<std::vector<Digit>> rows, std::vector<int> bits, int levels)
      : rows_(std::move(rows)), bits_(std::move(bits)), levels_(levels) {
    level_.assign(bits_.size(), 0);
  }

  SharedPairs run() {
    SharedPairs shared;
    shared.rows.resize(rows_.size());
    std::vector<std::vector<Digit>> all = std::move(rows_);
    for (std::vector<Digit>& row : all) std::sort(row.begin(), row.end());
    std::vector<std::size_t> begin(all.size(), 0);
    for (const int end : ends_of_groups(all)) {
      rows_.assign(all.size(), {});
      for (std::size_t r = 0; r < all.size(); ++r) {
        while (begin[r] < all[r].size() && all[r][begin[r]].word < end)
          rows_[r].push_back(all[r][begin[r]++]);
      }
      share();
      for (std::size_t r = 0; r < all.size(); ++r)
        shared.rows[r].insert(shared.rows[r].end(), rows_[r].begin(), rows_[r].end());
    }
    shared.pairs = std::move(pairs_);
    return shared;
  }

 private:
  // Two words at a distance; the first is the smaller one, or the one less shifted.
  struct Pattern {
    int first, second, shift;
    bool opposite;  // one is added where the other is taken off
  };
  using Places = std::vector<std::pair<Digit, Digit>>;

  static Key key_of(const Pattern& p) {
    return Key(p.first) << 36 | Key(p.second) << 8 | Key(p.shift + 63) << 1 | Key(p.opposite);
  }
  static Pattern pattern_of(Key key) {
    return {static_cast<int>(key >> 36), static_cast<int>(key >> 8 & 0xfffffff),
            static_cast<int>(key >> 1 & 127) - 63, (key & 1) != 0};
  }
  static Pattern pattern_of(const Digit& a, const Digit& b) {
    const bool in_order = std::pair(a.word, a.shift) < std::pair(b.word, b.shift);
    const Digit &first = in_order ? a : b, &second = in_order ? b : a;
    return {first.word, second.word, second.shift - first.shift, first.negative != second.negative};
  }

  // Words up to which, each time, columns lie together.
  static std::vector<int> ends_of_groups(const std::vector<std::vector<Digit>>& rows) {
    int words = 0;
    for (const std::vector<Digit>& row : rows) {
      if (!row.empty()) words = std::max(words, row.back().word + 1);
    }
    std::vector<std::size_t> next(rows.size(), 0);
    std::vector<std::int64_t> digits(rows.size(), 0);
    std::vector<int> ends;
    for (int word = 0; word < words; ++word) {
      std::int64_t pairs = 0;
      for (std::size_t r = 0; r < rows.size(); ++r) {
        for (; next[r] < rows[r].size() && rows[r][next[r]].word == word; ++next[r]) ++digits[r];
        pairs += digits[r] * (digits[r] - 1) / 2;
      }
      if (word + 1 < words && pairs < kPairsTogether) continue;
      ends.push_back(word + 1);
      std::fill(digits.begin(), digits.end(), 0);
    }
    return ends;
  }

  int bits_of(const Pattern& p) const {
    const auto most = [&](int word, int shift) {
      return ((std::uint64_t{1} << bits_[static_cast<std::size_t>(word)]) - 1)
             << std::max(0, shift);
    };
    return std::bit_width(most(p.first, -p.shift) + most(p.second, p.shift));
  }
  // LUTs, with so many uses: the sum's carry chain begins where the words overlap.
  double gain(const Pattern& p, int uses) const {
    const int first = bits_[static_cast<std::size_t>(p.first)];
    const int second = bits_[static_cast<std::size_t>(p.second)];
    const int saved = first + second - bits_of(p);
    const int chain = std::max(first - std::max(0, p.shift), second - std::max(0, -p.shift));
    return uses * saved * kLutsOfBit - chain;
  }
  bool is_allowed(const Pattern& p) const {
    const auto first = static_cast<std::size_t>(p.first),
               second = static_cast<std::size_t>(p.second);
    return std::max(level_[first], level_[second]) < levels_ &&
           std::max(bits_[first] - p.shift, bits_[second] + p.shift) < kMostBits &&
           bits_of(p) < bits_[first] + bits_[second];
  }

  void count(const Digit& a, const Digit& b, int more) {
    const Pattern p = pattern_of(a, b);
    if (!is_allowed(p)) return;
    const Key key = key_of(p);
    int& uses = uses_[key];
    uses += more;
    if (more > 0 && uses == 1) fresh_.push_back(key);
  }
  // Patterns that have come up since.
  void offer_fresh() {
    for (const Key key : fresh_) offer(pattern_of(key), uses_[key]);
    fresh_.clear();
  }
  void offer(const Pattern& p, int uses) {
    const double luts = gain(p, uses);
    if (luts > 0) best_.emplace(luts, key_of(p));
  }

  void share() {
    uses_.clear();
    for (const std::vector<Digit>& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) count(row[j], row[i], 1);
      }
    }
    offer_fresh();
    while (!best_.empty()) {
      const auto [promised, key] = best_.top();
      best_.pop();
      const Pattern p = pattern_of(key);
      // Where some of its uses are gone, it has to wait for those that gain more.
      if (gain(p, uses_[key]) < promised) {
        offer(p, uses_[key]);
        continue;
      }
      std::vector<Places> places;
      int uses = 0;
      for (const std::vector<Digit>& row : rows_) {
        places.push_back(places_in(row, p));
        uses += static_cast<int>(places.back().size());
      }
      if (gain(p, uses) > 0) take(p, places);
    }
  }

  // Where in a row a pattern stands. Of a word with itself some places overlap, and those that come
  // first count.
  static Places places_in(const std::vector<Digit>& row, const Pattern& p) {
    Places found;
    const auto is_taken = [&](const Digit& digit) {
      return std::any_of(found.begin(), found.end(),
                         [&](const auto& place) { return place.second == digit; });
    };
    for (auto a = std::lower_bound(row.begin(), row.end(), p.first,
                                   [](const Digit&d, int word) { return d.word < word; });
         a != row.end() && a->word == p.first; ++a) {
      const Digit b{p.second, a->shift + p.shift, a->negative != p.opposite};
      if (std::binary_search(row.begin(), row.end(), b) && !is_taken(*a)) found.emplace_back(*a, b);
    }
    return found;
  }

  void take(const Pattern& p, const std::vector<Places>& places) {
    const auto word = static_cast<int>(bits_.size());
    pairs_.push_back({p.first, p.second, p.shift, p.opposite});
    const auto first = static_cast<std::size_t>(p.first),
               second = static_cast<std::size_t>(p.second);
    level_.push_back(std::max(level_[first], level_[second]) + 1);
    bits_.push_back(bits_of(p));
    for (std::size_t r = 0; r < places.size(); ++r) {
      std::vector<Digit>& row = rows_[r];
      for (const auto& [a, b] : places[r]) {
        for (const Digit& gone : {a, b}) {
          row.erase(std::lower_bound(row.begin(), row.end(), gone));
          for (const Digit& other : row) count(gone, other, -1);
        }
        const Digit made{word, std::min(a.shift, b.shift), a.negative};
        for (const Digit& other : row) count(other, made, 1);
        row.push_back(made);  // in order: words and shifts rise
      }
    }
    offer_fresh();
  }

  std::vector<std::vector<Digit>> rows_;  // of the columns that are looked at, in order
  std::vector<int> bits_, level_;         // by word
  int levels_;
  std::vector<SharedPair> pairs_;
  Counts uses_;
  std::vector<Key> fresh_;
  std::priority_queue<std::pair<double, Key>> best_;  // LUTs that it gained when it was counted
};

}  // namespace

SharedPairs share_pairs(std::vector<std::vector<Digit>> rows, std::vector<int> bits, int levels) {
  return Sharing(std::move(rows), std::move(bits), levels).run();
}

}  // namespace foldstream::arith
