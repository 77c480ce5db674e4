// SPDX-License-Identifier: Apache-2.0
#include "src/train/device.h"

#include <fmt/format.h>
#include <torch/cuda.h>

#include <utility>

#include "src/util/error.h"

#ifdef FOLDSTREAM_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace foldstream::train {

#ifdef FOLDSTREAM_CUDA

struct Lane::Stream {
  c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool();
};

Lane::Lane(const torch::Device& device) : stream_(device.is_cuda() ? new Stream : nullptr) {}

void Lane::use() const {
  if (stream_) c10::cuda::setCurrentCUDAStream(stream_->stream);
}

struct Replay::Recording {
  at::cuda::CUDAGraph graph;
};

Replay::Replay(const torch::Device& device, std::function<void()> work)
    : work_(std::move(work)), recording_(device.is_cuda() ? new Recording : nullptr) {}

void Replay::record() {
  if (!recording_) return;
  // The first runs choose algorithms and take workspaces, which can't be recorded.
  constexpr int kUnrecorded = 3;
  for (int i = 0; i < kUnrecorded; ++i) work_();
  torch::cuda::synchronize();
  recording_->graph.capture_begin();
  work_();
  recording_->graph.capture_end();
}

void Replay::run() {
  if (!recording_) return work_();
  recording_->graph.replay();
}

#else

struct Lane::Stream {};

Lane::Lane(const torch::Device&) {}

void Lane::use() const {}

struct Replay::Recording {};

Replay::Replay(const torch::Device&, std::function<void()> work) : work_(std::move(work)) {}

void Replay::record() {}

void Replay::run() { work_(); }

#endif

Lane::~Lane() = default;
Replay::~Replay() = default;

ShortFloats::ShortFloats() { at::globalContext().setAllowTF32CuDNN(true); }
ShortFloats::~ShortFloats() { at::globalContext().setAllowTF32CuDNN(false); }

void synchronize(const torch::Device& device) {
  if (device.is_cuda()) torch::cuda::synchronize();
}

torch::Device open_device(const std::string& name) {
  if (name == "cpu") return torch::kCPU;
  if (name != "cuda") {
    throw Error(fmt::format("there is no device '{}'", name), "known are cpu and cuda");
  }
  if (!torch::cuda::is_available()) {
    throw Error("this libtorch finds no CUDA device",
                "train on the processor, or build against a libtorch made for CUDA");
  }
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setDeterministicCuDNN(true);
  return torch::kCUDA;
}

}  // namespace foldstream::train
