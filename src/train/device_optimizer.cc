// SPDX-License-Identifier: Apache-2.0
#include "src/train/device_optimizer.h"

#include "src/train/muon.h"

namespace foldstream::train {
namespace {

enum Number : int64_t { kRate, kCorrection, kDecay, kMuonRate };

// All of one tensor a parameter, side by side; `part` is given the place of each.
template <class F>
torch::Tensor joined(const std::vector<Parameter>& parameters, const F& of) {
  std::vector<torch::Tensor> flat;
  for (const Parameter& parameter : parameters) flat.push_back(of(parameter).reshape({-1}));
  return torch::cat(flat);
}

}  // namespace

DeviceOptimizer::DeviceOptimizer(std::vector<Parameter>& parameters, bool half,
                                 const KernelRunner* runner)
    : half_(half), runner_(runner) {
  const torch::NoGradGuard no_gradient;
  const auto each = [&](const auto& number) {
    return joined(parameters, [&](const Parameter& parameter) {
      return torch::full_like(parameter.value, number(parameter));
    });
  };
  value_ = joined(parameters, [](const Parameter& p) { return p.value.detach(); });
  first_ = joined(parameters, [](const Parameter& p) { return p.first; });
  second_ = joined(parameters, [](const Parameter& p) { return p.second; });
  codes_ = joined(parameters, [](const Parameter& p) { return p.leaf().detach(); });
  lowest_ = each([](const Parameter& p) { return p.lowest; });
  highest_ = each([](const Parameter& p) { return p.highest; });
  decays_ = each([](const Parameter& p) { return p.weight ? 1.0 : 0.0; });
  momenta_ =
      each([](const Parameter& p) { return p.muon ? kMuonMomentum : AdamStep(0, 0, 1).beta1; });
  const auto quantizers = [&](const auto& number, double otherwise) {
    return each([&](const Parameter& p) { return p.quantizer ? number(*p.quantizer) : otherwise; });
  };
  scale_ = quantizers([](const Quantizer& q) { return q.value; }, 1);
  lowest_code_ = quantizers([](const Quantizer& q) { return q.lowest(); }, 0);
  highest_code_ = quantizers([](const Quantizer& q) { return q.highest(); }, 0);
  bipolar_ = quantizers([](const Quantizer& q) { return q.bipolar() ? 1.0 : 0.0; }, 0).gt(0);
  int64_t begin = 0;
  for (Parameter& parameter : parameters) {
    any_muon_ = any_muon_ || parameter.muon;
    if (parameter.quantizer) {
      (parameter.quantizer->bipolar() ? any_bipolar_ : any_other_) = true;
    }
    const auto place = [&](const torch::Tensor& all) { return part(all, parameter, begin); };
    parameter.first = place(first_);
    parameter.second = place(second_);
    if (parameter.codes.defined()) parameter.codes = place(codes_).detach().requires_grad_(true);
    parameter.value = place(value_).detach().requires_grad_(!parameter.codes.defined());
    begin += parameter.value.numel();
  }
}

torch::Tensor DeviceOptimizer::part(const torch::Tensor& all, const Parameter& parameter,
                                    int64_t begin) const {
  return all.narrow(0, begin, parameter.value.numel()).view(parameter.value.sizes());
}

torch::Tensor DeviceOptimizer::numbers(const AdamStep& step) {
  return torch::tensor(
      {step.rate / step.correction1, 1 / step.correction2, step.rate * step.decay, step.rate});
}

// All of a step in one pass.
void DeviceOptimizer::adam(const torch::Tensor& gradient, const torch::Tensor& numbers) {
  const AdamStep constants(0, 0, 1);
  const int64_t count = value_.numel();
  AdamWork work = {};
  work.gradient = gradient.data_ptr<float>();
  work.value = value_.data_ptr<float>();
  work.first = first_.data_ptr<float>();
  work.second = second_.data_ptr<float>();
  work.codes = codes_.data_ptr<float>();
  work.numbers = numbers.data_ptr<float>();
  work.lowest = lowest_.data_ptr<float>();
  work.highest = highest_.data_ptr<float>();
  work.decays = decays_.data_ptr<float>();
  work.scale = scale_.data_ptr<float>();
  work.lowest_code = lowest_code_.data_ptr<float>();
  work.highest_code = highest_code_.data_ptr<float>();
  work.bipolar = reinterpret_cast<const unsigned char*>(bipolar_.data_ptr<bool>());
  work.count = count;
  work.beta1 = constants.beta1;
  work.beta2 = constants.beta2;
  work.epsilon = constants.epsilon;
  runner_->run("adam", blocks_of_elements(count), work);
}

void DeviceOptimizer::step(std::vector<Parameter>& parameters, const torch::Tensor& numbers) {
  const torch::NoGradGuard no_gradient;
  const AdamStep constants(0, 0, 1);
  const torch::Tensor gradient = joined(parameters, [](const Parameter& parameter) {
    const torch::Tensor& own = parameter.leaf().grad();
    return own.defined() ? own : torch::zeros_like(parameter.value);
  });
  for (Parameter& parameter : parameters) parameter.leaf().mutable_grad().reset();
  if (runner_ != nullptr && !any_muon_) return adam(gradient, numbers);
  first_.mul_(momenta_).add_(gradient * at::rsub(momenta_, 1));
  second_.mul_(constants.beta2).add_(gradient * (1 - constants.beta2) * gradient);
  const torch::Tensor size = (second_ * numbers[kCorrection]).sqrt_().add_(constants.epsilon);
  torch::Tensor change = first_ * numbers[kRate] / size;
  int64_t begin = 0;
  for (const Parameter& parameter : parameters) {
    if (parameter.muon) {
      const torch::Tensor own = part(gradient, parameter, begin);
      part(change, parameter, begin)
          .copy_(muon_direction(own, parameter.first, half_) * numbers[kMuonRate]);
    }
    begin += parameter.value.numel();
  }
  value_.mul_(at::rsub(decays_ * numbers[kDecay], 1)).sub_(change);
  torch::minimum_out(value_, value_, highest_);
  torch::maximum_out(value_, value_, lowest_);
  if (any_other_) {
    codes_.copy_(
        torch::minimum(torch::maximum(value_ / scale_, lowest_code_), highest_code_).round_() *
        scale_);
  }
  if (any_bipolar_) {
    codes_.copy_(torch::where(bipolar_, torch::where(value_.ge(0), scale_, -scale_), codes_));
  }
}

}  // namespace foldstream::train
