// SPDX-License-Identifier: Apache-2.0
// The device that trains, and steps on it without the cost of starting each of their operations.
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>

namespace foldstream::train {

// While it lives, convolutions of floats round their operands to TensorFloat32, whose 11 bits short
// codes fit in, and are a few times faster.
class ShortFloats {
 public:
  ShortFloats();
  ~ShortFloats();
  ShortFloats(const ShortFloats&) = delete;
  ShortFloats& operator=(const ShortFloats&) = delete;
};

// "cpu" or "cuda". Sets what makes results on it exact and repeatable: no TensorFloat32, and
// convolutions that add in a fixed order. Throws Error for another name, and where libtorch finds
// no such device.
torch::Device open_device(const std::string& name);

// Waits until the device has done all that was begun.
void synchronize(const torch::Device& device);

// What a device does one after the other. Those of different lanes may overlap.
class Lane {
 public:
  explicit Lane(const torch::Device& device);
  ~Lane();
  // From now on the calling thread's operations go here.
  void use() const;

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;  // none on a processor
};

// Work that is the same operations on the same tensors each time. On a CUDA device it is recorded
// as a CUDA graph and replayed: a step of a small network is hundreds of kernels that take less
// time than their launches.
class Replay {
 public:
  // `work` reads and writes tensors that outlive this object, and waits for nothing.
  Replay(const torch::Device& device, std::function<void()> work);
  ~Replay();
  // Runs the work a few times and records it, in a lane; nothing else may use the device meanwhile.
  void record();
  // Once more, what was recorded.
  void run();

 private:
  struct Recording;
  std::function<void()> work_;
  std::unique_ptr<Recording> recording_;  // none where nothing can be recorded
};

}  // namespace foldstream::train
