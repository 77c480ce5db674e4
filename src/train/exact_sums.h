// SPDX-License-Identifier: Apache-2.0
// Whether float32 holds every sum of products that a trained network computes.
#pragma once

#include "src/train/network.h"

namespace foldstream::train {

// Whether each product is one of integers at scales that are powers of two, and all sums of it stay
// within the 24 bits that a float32 is exact for: then every order of adding up gives the same
// scores. By the network's own weights and scales; activations are taken at their largest.
bool has_exact_sums(const Network& network);

// Whether that is so whatever the weights become, with operands of convolutions that fit in the 11
// bits of TensorFloat32.
bool has_short_codes(const Recipe& recipe);

}  // namespace foldstream::train
