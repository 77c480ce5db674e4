// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/matrix.h"

#include <algorithm>
#include <limits>

#include "src/kernel/byte_dot.h"
#include "src/kernel/byte_tiles.h"
#include "src/kernel/convert.h"
#include "src/kernel/popcount_dot.h"
#include "src/kernel/tiles.h"
#include "src/util/error.h"

namespace foldstream::kernel {
namespace {

struct Values {
  int64_t least = 0, greatest = 0;
  bool zeros = false;
};

Values values_of(const Tensor& w) {
  const auto [least, greatest] = std::minmax_element(w.ints.begin(), w.ints.end());
  return {*least, *greatest, std::find(w.ints.begin(), w.ints.end(), 0) != w.ints.end()};
}

bool few_valued(const Values& values) { return values.least >= -1 && values.greatest <= 1; }

// Rows of several groups have the same tiles only where they fill them.
bool groups_fill(const MatrixSpec& spec, int64_t tile_rows) {
  return spec.groups == 1 || spec.w->type.shape[0] / spec.groups % tile_rows == 0;
}

// Vectors at these addresses, moved on by a group's step.
class Moved {
 public:
  static constexpr int64_t kMost = 256;
  const std::byte* const* operator()(const std::byte* const* vectors, int64_t count, int64_t by) {
    for (int64_t i = 0; i < count; ++i) moved_[i] = vectors[i] + by;
    return moved_;
  }

 private:
  const std::byte* moved_[kMost];
};

// Of rows; `step` bytes from one's columns to the next's.
struct Groups {
  int64_t count = 1, step = 0;
};

// Runs `of_group(vectors, outs, count, first tile, last tile)` for every group's share of a
// piece; all groups have the same number of tiles.
template <class Run>
void for_each_group(const Groups& groups, int64_t tiles, const std::byte* const* vectors,
                    std::byte* const* outs, int64_t count, int64_t piece, int64_t pieces,
                    const Run& of_group) {
  const int64_t per_group = tiles / groups.count;
  const int64_t begin = tiles * piece / pieces, end = tiles * (piece + 1) / pieces;
  if (groups.count == 1) return of_group(vectors, outs, count, begin, end);
  Moved moved;
  for (int64_t first = 0; first < count; first += Moved::kMost) {
    const int64_t some = std::min(Moved::kMost, count - first);
    for (int64_t group = begin / per_group; group * per_group < end; ++group) {
      of_group(moved(vectors + first, some, group * groups.step), outs + first, some,
               std::max(begin, group * per_group), std::min(end, (group + 1) * per_group));
    }
  }
}

class Popcount final : public Matrix {
 public:
  Popcount(const MatrixSpec& spec, const Values& values, const PopcountRoutine& routine)
      : groups_{spec.groups, spec.group_step}, run_(routine.run) {
    const int64_t rows = spec.w->type.shape[0], columns = spec.w->type.shape[1];
    const int64_t tile_rows = routine.lanes * routine.blocks;
    matrix_.zero_weights = values.zeros;
    matrix_.zero_operands = spec.in.form == Form::trits;
    const int64_t word_bytes = matrix_.zero_operands ? 16 : 8;
    bool ends_whole = false;  // the last run so far
    for (const Run& run : spec.runs) {
      const WordRun words{run.offset / 8, (run.elements + 63) / 64};
      FOLDSTREAM_CHECK(run.offset % word_bytes == 0);
      // A run that goes on where the last one ended, at a whole word, is part of it.
      if (!matrix_.runs.empty() && ends_whole &&
          matrix_.runs.back().offset + matrix_.runs.back().words * word_bytes / 8 == words.offset) {
        matrix_.runs.back().words += words.words;
      } else {
        matrix_.runs.push_back(words);
      }
      ends_whole = run.elements % 64 == 0;
      matrix_.words += words.words;
    }
    matrix_.tiles = (rows + tile_rows - 1) / tile_rows;
    staged_bytes_ = routine.vectors * matrix_.words * word_bytes;
    const int64_t planes = matrix_.zero_weights ? 2 : 1;
    matrix_.weights.assign(matrix_.tiles * matrix_.words * planes * tile_rows, 0);
    FinishSpec finish{rows, std::vector<int64_t>(rows), std::vector<Range>(rows), spec.thresholds,
                      spec.out};
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t tile = r / tile_rows, lane = r % tile_rows;
      const int64_t* w = spec.w->ints.data() + r * columns;
      int64_t word = 0, column = 0, sum = 0, nonzero = 0, negative = 0;
      for (const Run& run : spec.runs) {
        for (int64_t i = 0; i < run.elements; ++i, ++column) {
          const int64_t weight = w[column];
          const uint64_t bit = uint64_t{1} << (i % 64);
          uint64_t* at = matrix_.weights.data() +
                         ((tile * matrix_.words + word + i / 64) * planes) * tile_rows + lane;
          if (matrix_.zero_weights && matrix_.zero_operands ? weight > 0 : weight < 0) *at |= bit;
          if (planes == 2 && weight != 0) at[tile_rows] |= bit;
          sum += weight, nonzero += weight != 0, negative += weight < 0;
        }
        word += (run.elements + 63) / 64;
      }
      if (!matrix_.zero_operands) {
        // Operands are base + bit: weights of +1 give 1 where they agree with a set bit, those of
        // -1 take 1 where they don't; the raw sum is the places that agree.
        finish.addend[r] = spec.in.base * sum - negative;
        finish.raw[r] = {0, nonzero};
      } else {
        // Operands are base + 1 + a with a of -1 to 1; the raw sum is that of w * a, and with zeros
        // on both sides one for every place of a word.
        const int64_t places = matrix_.zero_weights ? 64 * matrix_.words : 0;
        finish.addend[r] = (spec.in.base + 1) * sum - places;
        finish.raw[r] = {places - nonzero, places + nonzero};
      }
    }
    if (!matrix_.zero_weights && !matrix_.zero_operands) {
      for (int64_t tile = 0; tile < matrix_.tiles; ++tile) {
        uint64_t* words = matrix_.weights.data() + tile * matrix_.words * tile_rows;
        for (int64_t word = matrix_.words % 2; word < matrix_.words; word += 2) {
          uint64_t* at = words + word * tile_rows;
          for (int64_t r = 0; r < tile_rows; ++r) at[tile_rows + r] ^= at[r];
        }
      }
    }
    matrix_.finish = Finish<int64_t>(finish, routine.lanes);
  }

  void run(const std::byte* const* vectors, std::byte* const* outs, int64_t count, int64_t piece,
           int64_t pieces, std::byte* scratch) const override {
    for_each_group(groups_, matrix_.tiles, vectors, outs, count, piece, pieces,
                   [&](const std::byte* const* x, std::byte* const* y, int64_t some, int64_t first,
                       int64_t last) {
                     run_(matrix_, reinterpret_cast<const uint64_t* const*>(x),
                          reinterpret_cast<uint8_t* const*>(y), some, first, last,
                          reinterpret_cast<uint64_t*>(scratch));
                   });
  }

  int64_t scratch_bytes() const override { return staged_bytes_; }
  Multiplier multiplier() const override {
    if (matrix_.zero_weights != matrix_.zero_operands) return Multiplier::counts;
    return matrix_.zero_weights ? Multiplier::ternary_carries : Multiplier::binary_carries;
  }

 private:
  Groups groups_;
  PopcountMatrix matrix_;
  int64_t staged_bytes_ = 0;
  PopcountRoutine::Run run_;
};

class Bytes final : public Matrix {
 public:
  Bytes(const MatrixSpec& spec, const Values& values, const ByteRoutine& routine)
      : groups_{spec.groups, spec.group_step}, run_(routine.run) {
    const int64_t rows = spec.w->type.shape[0], columns = spec.w->type.shape[1];
    const int64_t tile_rows = routine.lanes * routine.blocks;
    const int64_t operand = spec.range.hi - spec.in.base;
    const int64_t weight = std::max(-values.least, values.greatest);
    matrix_.small = 2 * operand * weight <= std::numeric_limits<int16_t>::max();
    std::vector<Run> runs;
    for (const Run& run : spec.runs) {
      if (!runs.empty() && runs.back().offset + runs.back().elements == run.offset) {
        runs.back().elements += run.elements;
      } else {
        runs.push_back(run);
      }
    }
    for (const Run& run : runs) {
      for (int64_t i = 0; i < run.elements; i += 4) matrix_.quads.push_back(run.offset + i);
      matrix_.runs.push_back({run.offset, run.elements});
    }
    // Those that are missing lie behind the last, where there is something to read.
    while (std::ssize(matrix_.quads) % routine.quads != 0) {
      matrix_.quads.push_back(matrix_.quads.back() + 4);
    }
    matrix_.tiles = (rows + tile_rows - 1) / tile_rows;
    const auto quads = static_cast<int64_t>(matrix_.quads.size());
    matrix_.weights.assign(matrix_.tiles * quads * 4 * tile_rows, 0);
    scratch_bytes_ = routine.vectors * staged_bytes(matrix_);
    FinishSpec finish{rows, std::vector<int64_t>(rows), std::vector<Range>(rows), spec.thresholds,
                      spec.out};
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t tile = r / tile_rows, lane = r % tile_rows;
      const int64_t* w = spec.w->ints.data() + r * columns;
      int64_t quad = 0, column = 0, sum = 0;
      Range raw;
      for (const Run& run : runs) {
        for (int64_t i = 0; i < run.elements; ++i, ++column) {
          const int64_t value = w[column];
          matrix_.weights[((tile * quads + quad + i / 4) * tile_rows + lane) * 4 + i % 4] =
              static_cast<int8_t>(value);
          sum += value;
          (value < 0 ? raw.lo : raw.hi) += value * operand;
        }
        quad += (run.elements + 3) / 4;
      }
      finish.addend[r] = spec.in.base * sum;
      finish.raw[r] = raw;
    }
    matrix_.finish = Finish<int32_t>(finish, routine.lanes);
  }

  void run(const std::byte* const* vectors, std::byte* const* outs, int64_t count, int64_t piece,
           int64_t pieces, std::byte* scratch) const override {
    for_each_group(groups_, matrix_.tiles, vectors, outs, count, piece, pieces,
                   [&](const std::byte* const* x, std::byte* const* y, int64_t some, int64_t first,
                       int64_t last) {
                     run_(matrix_, reinterpret_cast<const uint8_t* const*>(x),
                          reinterpret_cast<uint8_t* const*>(y), some, first, last,
                          reinterpret_cast<uint8_t*>(scratch));
                   });
  }

  int64_t scratch_bytes() const override { return scratch_bytes_; }
  Multiplier multiplier() const override { return Multiplier::bytes; }

 private:
  Groups groups_;
  ByteMatrix matrix_;
  int64_t scratch_bytes_ = 0;
  ByteRoutine::Run run_;
};

}  // namespace

Form matrix_operand(const Tensor& w, Range range, int64_t vectors) {
  if (range.hi - range.lo > 2 || !few_valued(values_of(w))) return dense_form(range);
  if (range.hi - range.lo <= 1) return Form::bits;
  // Full tiles multiply bytes in less time than it takes to count trits. A single vector waits for
  // its weights, which are smaller in bits.
  return tiles_in_force() && vectors >= kTileVectors ? Form::bytes : Form::trits;
}

std::unique_ptr<Matrix> make_matrix(const MatrixSpec& spec) {
  FinishSpec finish;
  finish.thresholds = spec.thresholds, finish.out = spec.out;
  if (!can_finish(finish)) return nullptr;
  const Values values = values_of(*spec.w);
  if (spec.in.form == Form::bits || spec.in.form == Form::trits) {
    const PopcountRoutine routine = popcount_routine(values.zeros, spec.in.form == Form::trits);
    const bool fits = few_valued(values) && groups_fill(spec, routine.lanes * routine.blocks) &&
                      spec.group_step % (spec.in.form == Form::trits ? 16 : 8) == 0;
    return fits ? std::make_unique<Popcount>(spec, values, routine) : nullptr;
  }
  if (spec.in.form != Form::bytes || values.least < -128 || values.greatest > 127) return nullptr;
  const int64_t most = (spec.range.hi - spec.in.base) * std::max(-values.least, values.greatest);
  const ByteRoutine routine = byte_routine();
  if (most > std::numeric_limits<int32_t>::max() / std::max<int64_t>(spec.w->type.shape[1], 1) ||
      !groups_fill(spec, routine.lanes * routine.blocks)) {
    return nullptr;
  }
  return std::make_unique<Bytes>(spec, values, routine);
}

}  // namespace foldstream::kernel
