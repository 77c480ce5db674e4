// SPDX-License-Identifier: Apache-2.0
// What a GPU does in one pass over memory where tensor operations take many: all that lies between
// two products of a few-bit network, Adam, and changes of images. libtorch's CUDA brings the
// compiler that makes them ready at run time (NVRTC); tests run them on a processor.
//
// Every sum is added up in the same order each time.
#include "src/train/device_work.h"

namespace foldstream::train {
namespace {

struct Half {  // bfloat16
  unsigned short bits;
};

struct alignas(16) FourWords {
  unsigned int words[4];
};

__device__ float as_float(unsigned int bits) { return __uint_as_float(bits); }

__device__ unsigned int rounded_half(float value) {
  const unsigned int bits = __float_as_uint(value);
  if (value != value) return 0x7fc0;
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

__device__ void load(const Half* from, float (&to)[kDeviceLane]) {
  const FourWords all = *reinterpret_cast<const FourWords*>(from);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    to[2 * i] = as_float(all.words[i] << 16);
    to[2 * i + 1] = as_float(all.words[i] & 0xffff0000U);
  }
}

__device__ void load(const float* from, float (&to)[kDeviceLane]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const FourWords all = *reinterpret_cast<const FourWords*>(from + 4 * half);
#pragma unroll
    for (int i = 0; i < 4; ++i) to[4 * half + i] = as_float(all.words[i]);
  }
}

__device__ void store(Half* to, const float (&from)[kDeviceLane]) {
  FourWords all;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    all.words[i] = rounded_half(from[2 * i]) | (rounded_half(from[2 * i + 1]) << 16);
  }
  *reinterpret_cast<FourWords*>(to) = all;
}

__device__ void store(float* to, const float (&from)[kDeviceLane]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    FourWords all;
#pragma unroll
    for (int i = 0; i < 4; ++i) all.words[i] = __float_as_uint(from[4 * half + i]);
    *reinterpret_cast<FourWords*>(to + 4 * half) = all;
  }
}

// What is no number stays so.
__device__ float clamped(float value, float lowest, float highest) {
  return value < lowest ? lowest : value > highest ? highest : value;
}

__device__ float quantized(float value, const DeviceQuantizer& quantizer) {
  if (quantizer.bipolar) return value >= 0 ? quantizer.scale : -quantizer.scale;
  return rintf(clamped(value / quantizer.scale, quantizer.lowest, quantizer.highest)) *
         quantizer.scale;
}

// The gradient that the estimator says the step at `value` has.
__device__ float estimate(float value, const DeviceQuantizer& q) {
  if (!q.triangle) {
    const float reach = q.width * q.scale;
    return value >= q.lowest * reach && value <= q.highest * reach ? 1.0F : 0.0F;
  }
  float distance = fabsf(value), reach = q.width * q.scale, step = 2 * q.scale;
  if (!q.bipolar) {
    const float t = value / q.scale;
    const float below = clamped(rintf(clamped(t, q.lowest + 0.5F, q.highest - 0.5F) - 0.5F),
                                q.lowest, q.highest - 1);
    distance = fabsf(t - (below + 0.5F));
    reach = q.width / 2;
    step = 1;
  }
  const float height = (1 - distance / reach) * (step / reach);
  return height < 0 ? 0.0F : height;
}

// A thread's place: it takes the lane of channels from `channel` in every `stride`-th row from
// `row`. Threads left over take no row.
struct Place {
  int channel;
  long long row, stride;
};

__device__ Place place(int channels, long long rows) {
  const int lanes = channels / kDeviceLane, at_once = kDeviceThreads / lanes;
  const int line = static_cast<int>(threadIdx.x) / lanes;
  return {static_cast<int>(threadIdx.x) % lanes * kDeviceLane,
          line < at_once ? static_cast<long long>(blockIdx.x) * at_once + line : rows,
          static_cast<long long>(gridDim.x) * at_once};
}

// sums[0, width) = the sums of `count` lines of `width` numbers, which lie one after the other. In
// `sums` is room for kDeviceSums; it may be read when all threads have been at a barrier.
template <class Load>
__device__ void add_lines(int count, int width, float* sums, const Load& load_quad) {
  // Four numbers a thread, and several threads share a sum where there are more of them than sums.
  const int thread = static_cast<int>(threadIdx.x), quads = width / 4;
  const int sharing = quads < kDeviceThreads ? kDeviceThreads / quads : 1;
  for (int at = thread; at < quads * sharing; at += kDeviceThreads) {
    const int quad = at % quads, first = at / quads;
    float sum[4] = {};
#pragma unroll 8
    for (int line = first; line < count; line += sharing) {
      const uint4 all = load_quad(line * width + 4 * quad);
      sum[0] += as_float(all.x);
      sum[1] += as_float(all.y);
      sum[2] += as_float(all.z);
      sum[3] += as_float(all.w);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) sums[first * width + 4 * quad + i] = sum[i];
  }
  __syncthreads();
  for (int at = thread; at < width; at += kDeviceThreads) {
    float sum = 0;
    for (int i = 0; i < sharing; ++i) sum += sums[i * width + at];
    sums[at] = sum;
  }
}

constexpr int kDeviceSums = 4 * kDeviceThreads;
static_assert(2 * kDeviceChannels <= kDeviceSums);

// Adds up two numbers a channel over all threads of all blocks. In the last block to finish this is
// true, and sums[0, channels) and sums[channels, 2 channels) have them.
__device__ bool add_up(const CodesWork& work, const float (&one)[kDeviceLane],
                       const float (&other)[kDeviceLane], float* sums) {
  alignas(16) __shared__ float lines[2 * kDeviceThreads * kDeviceLane];
  __shared__ bool last;
  const int channels = work.channels, lanes = channels / kDeviceLane;
  const int at_once = kDeviceThreads / lanes;
  const int thread = static_cast<int>(threadIdx.x), line = thread / lanes;
  const int width = 2 * channels;
  if (line < at_once) {
    float* mine = lines + line * width + thread % lanes * kDeviceLane;
    store(mine, one);
    store(mine + channels, other);
  }
  __syncthreads();
  add_lines(at_once, width, sums,
            [&](int at) { return *reinterpret_cast<const uint4*>(lines + at); });
  float* partial = work.partial + static_cast<long long>(blockIdx.x) * width;
  for (int at = thread; at < width; at += kDeviceThreads) partial[at] = sums[at];
  __threadfence();
  __syncthreads();
  if (thread == 0) last = atomicAdd(work.finished, 1U) + 1 == gridDim.x;
  __syncthreads();
  if (!last) return false;
  __threadfence();
  add_lines(static_cast<int>(gridDim.x), width, sums,
            [&](int at) { return __ldcg(reinterpret_cast<const uint4*>(work.partial + at)); });
  if (thread == 0) *work.finished = 0;
  __syncthreads();
  return true;
}

template <class T>
__device__ void moments(const CodesWork& work) {
  __shared__ float sums[kDeviceSums];
  const T* __restrict__ x = static_cast<const T*>(work.x);
  const long long rows = work.images * work.height * work.width;
  const Place at = place(work.channels, rows);
  // About the running mean, which is close: the squares of what is left don't cancel.
  float about[kDeviceLane], sum[kDeviceLane] = {}, squares[kDeviceLane] = {};
  load(work.running_mean + at.channel, about);
#pragma unroll 4
  for (long long row = at.row; row < rows; row += at.stride) {
    float values[kDeviceLane];
    load(x + row * work.channels + at.channel, values);
#pragma unroll
    for (int i = 0; i < kDeviceLane; ++i) {
      const float value = values[i] - about[i];
      sum[i] += value;
      squares[i] += value * value;
    }
  }
  if (!add_up(work, sum, squares, sums)) return;
  const float count = static_cast<float>(rows);
  for (int c = static_cast<int>(threadIdx.x); c < work.channels; c += kDeviceThreads) {
    const float mean = sums[c] / count;
    float variance = sums[work.channels + c] / count - mean * mean;
    if (variance < 0) variance = 0;
    const float running = work.running_mean[c];
    work.mean[c] = running + mean;
    work.deviation[c] = 1 / sqrtf(variance + work.epsilon);
    work.running_mean[c] = running + work.momentum * mean;
    work.running_variance[c] = work.running_variance[c] * (1 - work.momentum) +
                               variance * (count / (count - 1)) * work.momentum;
  }
}

// The normalization of a thread's channels.
struct Line {
  float mean[kDeviceLane], factor[kDeviceLane], bias[kDeviceLane];
};

__device__ void load(const CodesWork& work, int channel, Line& line) {
  float weight[kDeviceLane], deviation[kDeviceLane];
  load(work.mean + channel, line.mean);
  load(work.bias + channel, line.bias);
  load(work.weight + channel, weight);
  load(work.deviation + channel, deviation);
#pragma unroll
  for (int i = 0; i < kDeviceLane; ++i) line.factor[i] = weight[i] * deviation[i];
}

// The largest normalized value of each channel in a window, and where it is: of equal ones the
// first, or the last that is no number.
struct Largest {
  float value[kDeviceLane], offset[kDeviceLane];  // normalized; x - mean
  int index[kDeviceLane];
};

// The row of x where window `row` of size x size begins.
template <int size>
__device__ long long first_row(const CodesWork& work, long long row) {
  if constexpr (size == 1) return row;
  const unsigned int width = work.width / size, height = work.height / size;
  const unsigned int line = static_cast<unsigned int>(row) / width;
  const unsigned int column = static_cast<unsigned int>(row) - line * width;
  const unsigned int image = line / height, down = line - image * height;
  return (static_cast<long long>(image) * work.height + down * size) * work.width + column * size;
}

// What a thread does of windows of size x size: `rows` of them, as in `at`.
template <int size>
struct Windows {
  long long rows;
  Place at;
  Line line;

  __device__ explicit Windows(const CodesWork& work)
      : rows(work.images * (work.height / size) * (work.width / size)),
        at(place(work.channels, rows)) {
    load(work, at.channel, line);
  }
};

template <class T, int size>
__device__ Largest find_largest(const CodesWork& work, const Windows<size>& windows,
                                long long row) {
  const T* __restrict__ x = static_cast<const T*>(work.x) +
                            first_row<size>(work, row) * work.channels + windows.at.channel;
  const Line& line = windows.line;
  Largest largest = {};
#pragma unroll
  for (int window = 0; window < size * size; ++window) {
    float values[kDeviceLane];
    load(x + static_cast<long long>(window / size * work.width + window % size) * work.channels,
         values);
#pragma unroll
    for (int i = 0; i < kDeviceLane; ++i) {
      const float offset = values[i] - line.mean[i];
      const float value = offset * line.factor[i] + line.bias[i];
      if (window == 0 || !(value <= largest.value[i])) {
        largest.value[i] = value;
        largest.offset[i] = offset;
        largest.index[i] = window;
      }
    }
  }
  return largest;
}

template <class T, int size>
__device__ void codes(const CodesWork& work) {
  T* __restrict__ out = static_cast<T*>(work.out);
  const Windows<size> windows(work);
  const Place& at = windows.at;
#pragma unroll 2
  for (long long row = at.row; row < windows.rows; row += at.stride) {
    const Largest largest = find_largest<T>(work, windows, row);
    float result[kDeviceLane];
#pragma unroll
    for (int i = 0; i < kDeviceLane; ++i) result[i] = quantized(largest.value[i], work.quantizer);
    store(out + row * work.channels + at.channel, result);
  }
}

// Each channel's largest normalized value in window `row`, and its gradient.
template <class T, int size>
__device__ Largest largest_gradient(const CodesWork& work, const Windows<size>& windows,
                                    long long row, float (&gradient)[kDeviceLane]) {
  load(static_cast<const T*>(work.gradient) + row * work.channels + windows.at.channel, gradient);
  const Largest largest = find_largest<T>(work, windows, row);
#pragma unroll
  for (int i = 0; i < kDeviceLane; ++i) gradient[i] *= estimate(largest.value[i], work.quantizer);
  return largest;
}

template <class T, int size>
__device__ void gradient_sums(const CodesWork& work) {
  __shared__ float sums[kDeviceSums];
  const Windows<size> windows(work);
  const Place& at = windows.at;
  float sum[kDeviceLane] = {}, products[kDeviceLane] = {};
#pragma unroll 2
  for (long long row = at.row; row < windows.rows; row += at.stride) {
    float gradient[kDeviceLane];
    const Largest largest = largest_gradient<T>(work, windows, row, gradient);
#pragma unroll
    for (int i = 0; i < kDeviceLane; ++i) {
      sum[i] += gradient[i];
      products[i] += gradient[i] * largest.offset[i];
    }
  }
  if (!add_up(work, sum, products, sums)) return;
  const float count = static_cast<float>(work.images * work.height * work.width);
  for (int c = static_cast<int>(threadIdx.x); c < work.channels; c += kDeviceThreads) {
    const float deviation = work.deviation[c], factor = work.weight[c] * deviation;
    const float of_weight = sums[work.channels + c] * deviation;
    work.of_weight[c] = of_weight;
    work.of_bias[c] = sums[c];
    work.slope[c] = -factor * deviation * of_weight / count;
    work.offset[c] = -factor * sums[c] / count;
  }
}

template <class T, int size>
__device__ void gradient(const CodesWork& work) {
  const T* __restrict__ x = static_cast<const T*>(work.x);
  T* __restrict__ out = static_cast<T*>(work.out);
  const Windows<size> windows(work);
  const Place& at = windows.at;
  const Line& line = windows.line;
  float slope[kDeviceLane], offset[kDeviceLane];
  load(work.slope + at.channel, slope);
  load(work.offset + at.channel, offset);
  for (long long row = at.row; row < windows.rows; row += at.stride) {
    float own[kDeviceLane];
    const Largest largest = largest_gradient<T>(work, windows, row, own);
    const long long first = first_row<size>(work, row);
#pragma unroll
    for (int window = 0; window < size * size; ++window) {
      const long long place =
          (first + window / size * work.width + window % size) * work.channels + at.channel;
      float values[kDeviceLane];
      load(x + place, values);
#pragma unroll
      for (int i = 0; i < kDeviceLane; ++i) {
        values[i] = (values[i] - line.mean[i]) * slope[i] + offset[i] +
                    (window == largest.index[i] ? own[i] * line.factor[i] : 0.0F);
      }
      store(out + place, values);
    }
  }
}

}  // namespace

extern "C" {

// `beside`: blocks that a multiprocessor is to have room for, which limits their registers.
#define FOLDSTREAM_KERNEL(name, beside, ...)                                       \
  __global__ void __launch_bounds__(kDeviceThreads, beside) name(CodesWork work) { \
    __VA_ARGS__(work);                                                             \
  }
FOLDSTREAM_KERNEL(moments_float, 2, moments<float>)
FOLDSTREAM_KERNEL(moments_half, 2, moments<Half>)
FOLDSTREAM_KERNEL(codes_float, 2, codes<float, 1>)
FOLDSTREAM_KERNEL(codes_half, 2, codes<Half, 1>)
FOLDSTREAM_KERNEL(pooled_codes_half, 2, codes<Half, 2>)
FOLDSTREAM_KERNEL(gradient_sums_float, 1, gradient_sums<float, 1>)
FOLDSTREAM_KERNEL(gradient_sums_half, 1, gradient_sums<Half, 1>)
FOLDSTREAM_KERNEL(pooled_gradient_sums_half, 1, gradient_sums<Half, 2>)
FOLDSTREAM_KERNEL(gradient_float, 2, gradient<float, 1>)
FOLDSTREAM_KERNEL(gradient_half, 2, gradient<Half, 1>)
FOLDSTREAM_KERNEL(pooled_gradient_half, 1, gradient<Half, 2>)
#undef FOLDSTREAM_KERNEL

__global__ void __launch_bounds__(kDeviceThreads) adam(AdamWork work) {
  const float rate = work.numbers[0], correction = work.numbers[1], decay = work.numbers[2];
  const long long stride = static_cast<long long>(gridDim.x) * kDeviceThreads;
  for (long long i = static_cast<long long>(blockIdx.x) * kDeviceThreads + threadIdx.x;
       i < work.count; i += stride) {
    const float gradient = work.gradient[i];
    const float first = work.first[i] * work.beta1 + gradient * (1 - work.beta1);
    const float second = work.second[i] * work.beta2 + gradient * (1 - work.beta2) * gradient;
    work.first[i] = first;
    work.second[i] = second;
    float value = work.value[i] * (1 - work.decays[i] * decay);
    value -= first * rate / (sqrtf(second * correction) + work.epsilon);
    value = clamped(value, work.lowest[i], work.highest[i]);
    work.value[i] = value;
    const DeviceQuantizer quantizer = {
        work.lowest_code[i], work.highest_code[i], work.scale[i], 1, work.bipolar[i], 0};
    work.codes[i] = quantized(value, quantizer);
  }
}

__global__ void __launch_bounds__(kDeviceThreads) samples(SamplesWork work) {
  const long long plane = static_cast<long long>(work.height) * work.width;
  const long long count = work.images * work.channels * plane;
  const long long stride = static_cast<long long>(gridDim.x) * kDeviceThreads;
  for (long long i = static_cast<long long>(blockIdx.x) * kDeviceThreads + threadIdx.x; i < count;
       i += stride) {
    const long long image = i / (work.channels * plane), pixel = i % plane;
    const long long channel = i / plane % work.channels;
    int row = static_cast<int>(pixel / work.width), column = static_cast<int>(pixel % work.width);
    if (work.changes) {
      const float* change = work.changes + image * work.columns;
      row -= static_cast<int>(change[work.down]);
      column -= static_cast<int>(change[work.right]);
      if (change[work.turned] < 0) column = work.width - 1 - column;
    }
    float value = 0;
    if (row >= 0 && row < work.height && column >= 0 && column < work.width) {
      const long long from = (work.indices[image] * work.channels + channel) * plane;
      value = static_cast<float>(work.samples[from + row * work.width + column]) / work.divisor;
    }
    work.out[i] = value;
  }
}

}  // extern "C"

}  // namespace foldstream::train
