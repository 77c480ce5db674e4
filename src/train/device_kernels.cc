// SPDX-License-Identifier: Apache-2.0
#include "src/train/device_kernels.h"

#include <fmt/format.h>
#include <torch/autograd.h>

#include <algorithm>
#include <map>
#include <vector>

#include "src/util/embedded.h"
#include "src/util/error.h"

#ifdef FOLDSTREAM_CUDA
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <nvrtc.h>
#endif

namespace foldstream::train {
namespace {

// Blocks of the kernels that add up: each leaves a line for the last one to add. All begin with
// what their channels are normalized by, which takes as long as some rows.
constexpr int64_t kMostAdding = 132, kMostBlocks = 264, kRowsEach = 4;

int64_t blocks_of(int64_t rows, int64_t rows_each, int64_t most) {
  return std::clamp<int64_t>((rows + rows_each - 1) / rows_each, 1, most);
}

torch::Tensor in_order(const torch::Tensor& x) {
  return x.dim() == 4 ? x.contiguous(torch::MemoryFormat::ChannelsLast) : x.contiguous();
}

struct Codes : torch::autograd::Function<Codes> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& /*bias*/,
                               const KernelRunner* runner, const NormalizedCodes* how) {
    const int64_t window = how->window, channels = x.size(1);
    const torch::Tensor mean = torch::empty_like(weight), deviation = torch::empty_like(weight);
    torch::Tensor out =
        x.dim() == 4 ? torch::empty({x.size(0), channels, x.size(2) / window, x.size(3) / window},
                                    x.options(), torch::MemoryFormat::ChannelsLast)
                     : torch::empty_like(x);
    CodesWork work = work_of(x, *how);
    work.out = out.data_ptr();
    work.mean = mean.data_ptr<float>();
    work.deviation = deviation.data_ptr<float>();
    add_up_and_pass(*runner, {"moments" + type_of(x), x.numel() / channels},
                    {pooled(window) + "codes" + type_of(x), out.numel() / channels}, work, weight);
    context->save_for_backward({x, weight, mean, deviation});
    // Both outlive the graph.
    context->saved_data["runner"] = reinterpret_cast<int64_t>(runner);
    context->saved_data["how"] = reinterpret_cast<int64_t>(how);
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &weight = saved[1];
    const auto* runner =
        reinterpret_cast<const KernelRunner*>(context->saved_data["runner"].toInt());
    const auto* how = reinterpret_cast<const NormalizedCodes*>(context->saved_data["how"].toInt());
    const torch::Tensor gradient = in_order(gradients[0]);
    FOLDSTREAM_CHECK(gradient.scalar_type() == x.scalar_type());
    const int64_t window = how->window, channels = x.size(1);
    const torch::Tensor of_weight = torch::empty_like(weight);
    const torch::Tensor of_bias = torch::empty_like(weight);
    const torch::Tensor slope = torch::empty_like(weight);
    const torch::Tensor offset = torch::empty_like(weight);
    const torch::Tensor out = torch::empty_like(x);
    CodesWork work = work_of(x, *how);
    work.gradient = gradient.data_ptr();
    work.out = out.data_ptr();
    work.mean = saved[2].data_ptr<float>();
    work.deviation = saved[3].data_ptr<float>();
    work.of_weight = of_weight.data_ptr<float>();
    work.of_bias = of_bias.data_ptr<float>();
    work.slope = slope.data_ptr<float>();
    work.offset = offset.data_ptr<float>();
    const int64_t rows = gradient.numel() / channels;
    add_up_and_pass(*runner, {pooled(window) + "gradient_sums" + type_of(x), rows},
                    {pooled(window) + "gradient" + type_of(x), rows}, work, weight);
    return {out, of_weight, of_bias, torch::Tensor(), torch::Tensor()};
  }

 private:
  struct Kernel {
    std::string name;
    int64_t rows;
  };
  // A kernel that adds up over its rows and one that goes over them with what came of it. `like`
  // is a vector of the channels.
  static void add_up_and_pass(const KernelRunner& runner, const Kernel& sums, const Kernel& pass,
                              CodesWork& work, const torch::Tensor& like) {
    const int64_t channels = like.numel(), at_once = kDeviceThreads / (channels / kDeviceLane);
    const int64_t adding = blocks_of(sums.rows, at_once * kRowsEach, kMostAdding);
    const torch::Tensor partial = torch::empty({adding, 2, channels}, like.options());
    work.partial = partial.data_ptr<float>();
    runner.run(sums.name, adding, work);
    runner.run(pass.name, blocks_of(pass.rows, at_once * 2, kMostBlocks), work);
  }
  static std::string type_of(const torch::Tensor& x) {
    return x.scalar_type() == torch::kBFloat16 ? "_half" : "_float";
  }
  static std::string pooled(int64_t window) { return window > 1 ? "pooled_" : ""; }

  static CodesWork work_of(const torch::Tensor& x, const NormalizedCodes& how) {
    const Quantizer& quantizer = *how.quantizer;
    CodesWork work = {};
    work.x = x.data_ptr();
    work.weight = how.by.weight.data_ptr<float>();
    work.bias = how.by.bias.data_ptr<float>();
    work.running_mean = how.by.running_mean.data_ptr<float>();
    work.running_variance = how.by.running_variance.data_ptr<float>();
    work.finished = reinterpret_cast<unsigned int*>(how.finished.data_ptr<int>());
    work.images = x.size(0);
    work.height = x.dim() == 4 ? static_cast<int>(x.size(2)) : 1;
    work.width = x.dim() == 4 ? static_cast<int>(x.size(3)) : 1;
    work.channels = static_cast<int>(x.size(1));
    work.momentum = static_cast<float>(how.by.momentum);
    work.epsilon = static_cast<float>(how.by.epsilon);
    work.quantizer = {static_cast<float>(quantizer.lowest()),
                      static_cast<float>(quantizer.highest()),
                      static_cast<float>(quantizer.value),
                      static_cast<float>(quantizer.width),
                      quantizer.bipolar() ? 1 : 0,
                      quantizer.estimator == Estimator::triangle ? 1 : 0};
    return work;
  }
};

#ifdef FOLDSTREAM_CUDA

void check(nvrtcResult result) {
  if (result != NVRTC_SUCCESS) {
    throw Error(fmt::format("the compiler for the GPU: {}", nvrtcGetErrorString(result)));
  }
}

void check(CUresult result) {
  if (result == CUDA_SUCCESS) return;
  const char* text = "unknown";
  cuGetErrorString(result, &text);
  throw Error(fmt::format("the GPU's driver: {}", text));
}

void check(cudaError_t result) {
  if (result != cudaSuccess) {
    throw Error(fmt::format("the GPU: {}", cudaGetErrorString(result)));
  }
}

class CudaRunner : public KernelRunner {
 public:
  CudaRunner() {
    const std::string code = compiled();
    check(cudaFree(nullptr));  // the device is ready from here on
    check(cuModuleLoadData(&module_, code.data()));
    for (const char* name :
         {"moments_float", "moments_half", "codes_float", "codes_half", "pooled_codes_half",
          "gradient_sums_float", "gradient_sums_half", "pooled_gradient_sums_half",
          "gradient_float", "gradient_half", "pooled_gradient_half", "adam", "samples"}) {
      check(cuModuleGetFunction(&functions_[name], module_, name));
    }
  }

 private:
  // For the device's own instructions.
  static std::string compiled() {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, c10::cuda::current_device()));
    const std::string architecture =
        fmt::format("--gpu-architecture=sm_{}{}", properties.major, properties.minor);
    constexpr const char* kSource = "src/train/device_kernels.cu";
    constexpr const char* kHeader = "src/train/device_work.h";
    const std::string source(embedded_file(kSource)), header(embedded_file(kHeader));
    const char* headers[] = {header.c_str()};
    const char* names[] = {kHeader};
    nvrtcProgram program;
    check(nvrtcCreateProgram(&program, source.c_str(), kSource, 1, headers, names));
    const char* options[] = {architecture.c_str(), "--std=c++17"};
    const nvrtcResult result = nvrtcCompileProgram(program, 2, options);
    if (result != NVRTC_SUCCESS) {
      size_t size = 0;
      check(nvrtcGetProgramLogSize(program, &size));
      std::string log(size, '\0');
      check(nvrtcGetProgramLog(program, log.data()));
      throw Error(fmt::format("the compiler for the GPU refuses {}:\n{}", kSource, log.c_str()));
    }
    size_t size = 0;
    check(nvrtcGetCUBINSize(program, &size));
    std::string code(size, '\0');
    check(nvrtcGetCUBIN(program, code.data()));
    check(nvrtcDestroyProgram(&program));
    return code;
  }

  void launch(const std::string& kernel, int64_t blocks, const void* work) const override {
    void* arguments[] = {const_cast<void*>(work)};
    check(cuLaunchKernel(functions_.at(kernel), static_cast<unsigned>(blocks), 1, 1, kDeviceThreads,
                         1, 1, 0, c10::cuda::getCurrentCUDAStream().stream(), arguments, nullptr));
  }

  CUmodule module_ = nullptr;  // as long as the process
  std::map<std::string, CUfunction, std::less<>> functions_;
};

#endif

}  // namespace

int64_t blocks_of_elements(int64_t count) {
  constexpr int64_t kMost = 1056;
  return std::clamp<int64_t>(count / kDeviceThreads, 1, kMost);
}

bool kernels_take(const torch::Tensor& x, int64_t window) {
  const int64_t channels = x.size(1);
  if (channels % kDeviceLane != 0 || channels > kDeviceChannels) return false;
  if (x.dim() == 2) return window == 1 && x.scalar_type() == torch::kFloat && x.is_contiguous();
  return x.dim() == 4 && x.scalar_type() == torch::kBFloat16 && window <= 2 &&
         x.size(2) % window == 0 && x.size(3) % window == 0 &&
         x.is_contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor normalized_codes(const KernelRunner& runner, const torch::Tensor& x,
                               const NormalizedCodes& how) {
  return Codes::apply(x, how.by.weight, how.by.bias, &runner, &how);
}

const KernelRunner* kernel_runner(const torch::Device& device) {
#ifdef FOLDSTREAM_CUDA
  if (device.is_cuda()) {
    static const CudaRunner runner;
    return &runner;
  }
#endif
  FOLDSTREAM_CHECK(!device.is_cuda());
  return nullptr;
}

}  // namespace foldstream::train
