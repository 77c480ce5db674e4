// SPDX-License-Identifier: Apache-2.0
// Frames from and to numpy arrays.
#pragma once

#include <string>
#include <vector>

#include "src/cli/network.h"
#include "src/util/npy.h"

namespace foldstream {

// An input or output of a model, and the numpy file of what it takes or gives.
struct PortFile {
  std::string port, path;
};

// The files of the model's inputs or outputs, in their order, from what a command was given: FILE
// for the only one, or NAME=FILE for each. Throws Error where one has none or two, or a file has no
// port.
std::vector<PortFile> input_files(const Graph& model, const std::vector<std::string>& given);
std::vector<PortFile> output_files(const Graph& model, const std::vector<std::string>& given);
// Whether this is NAME=FILE of one of the model's inputs, of one of its outputs.
bool names_input(const Graph& model, const std::string& given);
bool names_output(const Graph& model, const std::string& given);

// The frames in the files of all inputs. An array has the input's own shape, or one or more frames
// along its first axis. Throws Error with both shapes, or the numbers of frames where they differ.
std::vector<Frame> frames_of(const Graph& model, const std::vector<PortFile>& files);

// As frames_of, of what the model's outputs should be for `count` frames.
std::vector<Frame> results_of(const Graph& model, const std::vector<PortFile>& files, size_t count);

// The port-th result of every frame, frames along the first axis.
NpyArray array_of(const std::vector<Frame>& frames, size_t port);

}  // namespace foldstream
