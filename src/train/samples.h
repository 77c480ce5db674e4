// SPDX-License-Identifier: Apache-2.0
// Samples in memory, and batches of them with random changes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/data/data_set.h"
#include "src/train/recipe.h"

namespace foldstream::train {

// Random numbers that follow from (seed, stream) alone, on every machine. SplitMix64.
class Random {
 public:
  Random(uint64_t seed, uint64_t stream);
  uint64_t next();
  double uniform();              // [0, 1)
  int64_t below(int64_t count);  // 0 to count - 1
  double between(double lo, double hi) { return lo + (hi - lo) * uniform(); }

 private:
  uint64_t state_;
};

// A permutation of 0 to count - 1.
std::vector<int64_t> shuffled(int64_t count, Random& random);

// A warp moves the points of a grid of kWarpCells by kWarpCells cells over the image, and one more
// line of points beyond each border, and with them the places between by uniform cubic B-splines
// (Rueckert et al., "Nonrigid registration using free-form deformations", 1999, equation 1).
inline constexpr int64_t kWarpCells = 4, kWarpPoints = kWarpCells + 3;

// [size, kWarpPoints]: the share of each line of points at each of `size` places.
std::vector<float> warp_shares(int64_t size);

// What moves the pixels of one image: the place (y, x) of the result is read from
//   (yy * v + yx * u + warp_y, xy * v + xx * u + warp_x), where v = y - down and u = x - right,
// both counted from the image's centre, by linear interpolation; outside is 0.
struct Change {
  Change(const Augmentation& augment, Random& random);
  bool whole = true;  // whole pixels: a shift and perhaps a flip
  bool flip = false;
  int64_t down = 0, right = 0;
  float yy = 1, yx = 0, xy = 0, xx = 1;
  std::vector<float> warp;  // [2, kWarpPoints, kWarpPoints]: down, right; empty without a warp
};

// Writes samples `indices` of `data`, divided by `divisor` in float32, one after the other into
// `out`; with `augment`, each changed by random numbers.
void fill_batch(const DataSet& data, std::span<const int64_t> indices, float divisor,
                const Augmentation* augment, Random& random, float* out);

}  // namespace foldstream::train
