// SPDX-License-Identifier: MIT
// libtorch at its best: by its kernels, into arrays that are kept, and by the calls its users write, with autograd.
// Memory that it frees is kept by the allocator (see main.cpp), so neither pays for page faults.
#include "peer.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/version.h>

#include <memory>
#include <type_traits>

namespace bench {

namespace {

struct Tensors {
  at::Tensor logits, labels, targets, out;
};

template <class Scalar>
constexpr at::ScalarType scalar_type = std::is_same_v<Scalar, float> ? at::kFloat : at::kDouble;

/// N x C; where columns are contiguous, as one image of a row of N pixels with C channels: 1 x C x 1 x N, which torch
/// takes faster than N x C with strides, and which its kernels that write into given arrays take right.
template <class Scalar>
at::Tensor tensor(const Scalar* data, const Problem<Scalar>& p) {
  if (data == nullptr) return {};
  const auto shape =
      p.columns ? std::vector<std::int64_t>{1, p.classes, 1, p.rows} : std::vector<std::int64_t>{p.rows, p.classes};
  return at::from_blob(const_cast<Scalar*>(data), shape, scalar_type<Scalar>);
}

template <class Scalar>
Tensors tensors(const Problem<Scalar>& p) {
  Tensors t{tensor(p.logits, p), {}, tensor(p.targets, p), tensor<Scalar>(p.out, p)};
  if (p.labels == nullptr) return t;
  const auto shape = p.columns ? std::vector<std::int64_t>{1, 1, p.rows} : std::vector<std::int64_t>{p.rows};
  t.labels = at::from_blob(const_cast<std::int64_t*>(p.labels), shape, at::kLong);
  return t;
}

/// The same as N x C, with strides where columns are contiguous.
Tensors as_matrices(const Tensors& t) { return {t.logits.squeeze().t(), t.labels.squeeze(), {}, t.out.squeeze().t()}; }

// --- kernels -----------------------------------------------------------------------------------------------------------

constexpr std::int64_t mean = at::Reduction::Mean;
constexpr std::int64_t ignore_index = -100;

template <class Scalar>
std::function<double()> label_kernels(const Tensors& t, const Problem<Scalar>& p) {
  auto log_probs = at::empty_like(t.logits);
  auto loss = at::empty({}, t.logits.options());
  auto weight = at::empty({}, t.logits.options());
  const bool image = p.columns;
  auto forward = [=]() mutable {
    at::_log_softmax_out(log_probs, t.logits, 1, false);
    auto& nll_loss_out = image ? at::nll_loss2d_forward_out : at::nll_loss_forward_out;
    nll_loss_out(loss, weight, log_probs, t.labels, {}, mean, ignore_index);
    return double(*loss.template data_ptr<Scalar>());
  };
  if (!p.gradient) return forward;
  auto slope = at::empty_like(t.logits);
  const auto one = at::ones({}, t.logits.options());
  auto out = t.out;
  return [=]() mutable {
    const double value = forward();
    auto& nll_loss_backward_out = image ? at::nll_loss2d_backward_out : at::nll_loss_backward_out;
    nll_loss_backward_out(slope, one, log_probs, t.labels, {}, mean, ignore_index, weight);
    at::_log_softmax_backward_data_out(out, slope, log_probs, 1, scalar_type<Scalar>);
    return value;
  };
}

template <class Scalar>
std::function<double()> target_kernels(const Tensors& t, const Problem<Scalar>& p) {
  auto log_probs = at::empty_like(t.logits);
  auto products = at::empty_like(t.logits);
  auto loss = at::empty({}, t.logits.options());
  const double share = 1.0 / double(p.rows);
  auto forward = [=]() mutable {
    at::_log_softmax_out(log_probs, t.logits, 1, false);
    at::mul_out(products, log_probs, t.targets);
    at::sum_out(loss, products, at::IntArrayRef{0, 1});
    return -share * double(*loss.template data_ptr<Scalar>());
  };
  if (!p.gradient) return forward;
  auto out = t.out;
  return [=]() mutable {
    const double value = forward();
    at::exp_out(out, log_probs);
    out.sub_(t.targets).mul_(share);
    return value;
  };
}

template <class Scalar>
std::function<double()> binary_kernels(const Tensors& t, const Problem<Scalar>& p) {
  const auto forward = [=] {
    return double(*at::binary_cross_entropy_with_logits(t.logits, t.targets).template data_ptr<Scalar>());
  };
  if (!p.gradient) return forward;
  auto out = t.out;
  return [=]() mutable {
    const double value = forward();
    at::sigmoid_out(out, t.logits);
    out.sub_(t.targets).mul_(1.0 / double(p.size()));
    return value;
  };
}

std::function<double()> function_kernel(const Tensors& t, Function function) {
  auto out = t.out;
  if (function == Function::softmax) return [=]() mutable { return at::_softmax_out(out, t.logits, 1, false), 0.0; };
  if (function == Function::log_softmax) {
    return [=]() mutable { return at::_log_softmax_out(out, t.logits, 1, false), 0.0; };
  }
  auto column = at::from_blob(out.data_ptr(), {out.size(0)}, out.options());
  return [=]() mutable { return at::logsumexp_out(column, t.logits, at::IntArrayRef{1}), 0.0; };
}

template <class Scalar>
std::function<double()> kernel_calls(const Tensors& t, const Problem<Scalar>& p) {
  if (p.function == Function::binary) return binary_kernels<Scalar>(t, p);
  if (p.function != Function::cross_entropy) return function_kernel(t, p.function);
  return p.labels != nullptr ? label_kernels<Scalar>(t, p) : target_kernels<Scalar>(t, p);
}

template <class Scalar>
Way kernels(const Tensors& t, const Problem<Scalar>& p) {
  return {"torch:kernels", [calls = kernel_calls(t, p)] {
            c10::InferenceMode no_autograd;
            return calls();
          }};
}

// --- the usual calls ---------------------------------------------------------------------------------------------------

at::Tensor loss_of(const Tensors& t, Function function) {
  if (function == Function::binary) return at::binary_cross_entropy_with_logits(t.logits, t.targets);
  return at::cross_entropy_loss(t.logits, t.labels.defined() ? t.labels : t.targets);
}

template <class Scalar>
Way autograd(const char* name, Tensors t, const Problem<Scalar>& p) {
  const Function function = p.function;
  if (!p.gradient) {
    return {name, [=] {
              c10::InferenceMode no_autograd;
              return loss_of(t, function).template item<double>();
            }};
  }
  t.logits = t.logits.detach().set_requires_grad(true);  // the kernels' tensor stays as it is
  auto gradient = std::make_shared<at::Tensor>();
  const auto run = [=] {
    gradient->reset();  // before the call, so that its memory can be used again
    const at::Tensor loss = loss_of(t, function);
    *gradient = torch::autograd::grad({loss}, {t.logits})[0];
    return loss.template item<double>();
  };
  return {name, run, [=]() mutable { t.out.copy_(*gradient); }};
}

}  // namespace

template <class Scalar>
Ways torch_ways(const Problem<Scalar>& problem) {
  at::set_num_threads(1);
  const Tensors all = tensors(problem);
  if (problem.function != Function::cross_entropy && problem.function != Function::binary)
    return {kernels(all, problem)};
  Ways ways{kernels(all, problem), autograd("torch:autograd", all, problem)};
  if (problem.columns) ways.push_back(autograd("torch:strided", as_matrices(all), problem));
  return ways;
}

std::string torch_version() { return TORCH_VERSION; }

template Ways torch_ways(const Problem<float>&);
template Ways torch_ways(const Problem<double>&);

}  // namespace bench
