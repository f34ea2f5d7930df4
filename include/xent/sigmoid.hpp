// SPDX-License-Identifier: MIT
// xent/sigmoid.hpp - the logistic function, its logarithm, and softplus.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/elements.hpp>
#include <xent/detail/logistic.hpp>

namespace xent {

namespace detail {

template <RealArray T>
using MapTableOf = MapTable<KernelScalar<T>>;

template <RealArray T, class Out, class Function>
void elementwise(const char* function, const T& x, Out& out, typename MapTableOf<T>::Map MapTableOf<T>::*kernel,
                 const Function& f) {
  check_output(function, "out", out, x);
  resize_output(out, x);
  map_elements(x, out, kernel, f);
}

}  // namespace detail

/// The logistic function of each element, written into `out`, which may be the input itself.
///
///     sigmoid(x) = 1 / (1 + exp(-x))     formed as exp(x) / (1 + exp(x)) for x < 0, so that small values keep their digits
///
/// Shapes: any, `out` alike; it is resized if it can be. Edges: 0 at -inf, 1 at +inf, NaN at NaN.
/// Errors: std::invalid_argument for an `out` of a wrong shape that cannot be resized.
template <RealArray T, WritableArray<T> Out>
void sigmoid(const T& x, Out&& out) {
  detail::elementwise("sigmoid", x, out, &detail::MapTableOf<T>::sigmoid,
                      [](const auto& z) { return detail::Logistic(z).sigmoid(); });
}

/// The sigmoid of each element as a new array. See sigmoid(x, out).
///
///     Eigen::ArrayXXf probs = xent::sigmoid(logits);
template <RealArray T>
auto sigmoid(const T& x) {
  detail::PlainArray<T> out;
  sigmoid(x, out);
  return out;
}

/// The logarithm of the sigmoid of each element, written into `out`, which may be the input itself.
///
///     log_sigmoid(x) = -log(1 + exp(-x)) = -softplus(-x)
///
/// Units: nats. Shapes: any, `out` alike; it is resized if it can be. Edges: -inf at -inf, 0 at +inf, NaN at NaN.
/// Errors: std::invalid_argument for an `out` of a wrong shape that cannot be resized.
template <RealArray T, WritableArray<T> Out>
void log_sigmoid(const T& x, Out&& out) {
  detail::elementwise("log_sigmoid", x, out, &detail::MapTableOf<T>::log_sigmoid,
                      [](const auto& z) { return detail::Logistic(z).log_sigmoid(); });
}

/// The log-sigmoid of each element as a new array. See log_sigmoid(x, out).
///
///     Eigen::ArrayXXf log_probs = xent::log_sigmoid(logits);
template <RealArray T>
auto log_sigmoid(const T& x) {
  detail::PlainArray<T> out;
  log_sigmoid(x, out);
  return out;
}

/// The softplus of each element, written into `out`, which may be the input itself.
///
///     softplus(x) = log(1 + exp(x))     formed as max(x, 0) + log1p(exp(-|x|)), exact on both sides, without a cut-off
///
/// Shapes: any, `out` alike; it is resized if it can be. Edges: 0 at -inf, +inf at +inf, NaN at NaN.
/// Errors: std::invalid_argument for an `out` of a wrong shape that cannot be resized.
template <RealArray T, WritableArray<T> Out>
void softplus(const T& x, Out&& out) {
  detail::elementwise("softplus", x, out, &detail::MapTableOf<T>::softplus,
                      [](const auto& z) { return detail::Logistic(z).softplus(); });
}

/// The softplus of each element as a new array. See softplus(x, out).
///
///     Eigen::ArrayXXf costs = xent::softplus(-logits);
template <RealArray T>
auto softplus(const T& x) {
  detail::PlainArray<T> out;
  softplus(x, out);
  return out;
}

}  // namespace xent
