// SPDX-License-Identifier: Apache-2.0
// Frames from and to numpy arrays.
#pragma once

#include <string>
#include <vector>

#include "src/cli/network.h"
#include "src/util/npy.h"

namespace foldstream {

// The frames of an array for a model of one input. The array has the input's own shape, or one or
// more frames along its first axis. Throws Error with both shapes.
std::vector<Frame> frames_of(const Graph& model, const NpyArray& array, const std::string& name);

// As frames_of, for an array of what a model of one output should give for `count` frames.
std::vector<Frame> results_of(const Graph& model, const NpyArray& array, size_t count,
                              const std::string& name);

// The port-th result of every frame, frames along the first axis.
NpyArray array_of(const std::vector<Frame>& frames, size_t port);

}  // namespace foldstream
