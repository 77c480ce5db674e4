// SPDX-License-Identifier: Apache-2.0
// What the kernels of device_kernels.cu are given. Read by the compiler for the device too: nothing
// is included here, and every member is of a size that both agree on.
#pragma once

namespace foldstream::train {

constexpr int kDeviceThreads = 512;    // of a block
constexpr int kDeviceLane = 8;         // neighbouring channels that a thread takes
constexpr int kDeviceChannels = 1024;  // at most; a multiple of a lane

// A quantizer with a constant scale and its estimator.
struct DeviceQuantizer {
  float lowest, highest, scale, width;
  int bipolar, triangle;
};

// Batch normalization of x, the largest of each window of it, and its quantizer; and the gradient
// of that. x is [images, height, width, channels] in memory and so is what comes of it.
struct CodesWork {
  const void* x;
  const void* gradient;  // of the codes
  void* out;             // the codes, or the gradient of x
  const float *weight, *bias;
  float *running_mean, *running_variance;
  float *mean, *deviation;     // of the batch; the deviation is one over the standard deviation
  float *of_weight, *of_bias;  // gradients
  float *slope, *offset;       // what the gradient of x has of x - mean, and of nothing
  float* partial;              // [blocks, 2, channels]
  unsigned int* finished;      // blocks that are; 0 before and after
  long long images;
  int height, width, channels;
  float momentum, epsilon;
  DeviceQuantizer quantizer;
};

// A step of Adam on `count` values side by side.
struct AdamWork {
  const float* gradient;
  float *value, *first, *second, *codes;
  const float* numbers;                    // rate / correction, 1 / correction, rate * decay
  const float *lowest, *highest, *decays;  // of each value
  const float *scale, *lowest_code, *highest_code;  // of its quantizer; the range 0 to 0 without
  const unsigned char* bipolar;
  long long count;
  float beta1, beta2, epsilon;
};

// Images moved by whole pixels and turned over, as floats.
struct SamplesWork {
  const unsigned char* samples;  // [count, channels, height, width]
  const long long* indices;      // of `images` of them
  const float* changes;          // a row of `columns` numbers an image; null for none
  float* out;
  long long images;
  int channels, height, width, columns, down, right, turned;  // the last three: of a row
  float divisor;
};

}  // namespace foldstream::train
