// SPDX-License-Identifier: MIT
// xent/units.hpp - a loss in nats as bits and as perplexity.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/elements.hpp>

#include <cmath>
#include <concepts>

namespace xent {

namespace detail {

/// Whole numbers of nats are taken as double.
template <class Scalar>
using RealOf = std::conditional_t<std::integral<Scalar>, double, Scalar>;

}  // namespace detail

/// Nats to bits.
///
///     bits = nats / ln 2
///
/// Shapes: a scalar, or an array element by element. A coin-flip has 1 bit.
///
///     std::cout << xent::to_bits(loss) << " bits";
template <class Scalar>
  requires(!DenseArray<Scalar>)
auto to_bits(const Scalar& nats) {
  using Real = detail::RealOf<Scalar>;
  using W = detail::Work<Real>;
  using std::log;
  const W bit = log(W(2));
  return detail::narrow<Real>(W(detail::widen(static_cast<Real>(nats)) / bit));
}

/// Nats to perplexity: the number of equally likely classes that would be as hard to guess.
///
///     perplexity = exp(nats)
///
/// Shapes: a scalar, or an array element by element. Edges: +inf for a loss beyond the scalar's range.
///
///     std::cout << "perplexity " << xent::perplexity(loss);
template <class Scalar>
  requires(!DenseArray<Scalar>)
auto perplexity(const Scalar& nats) {
  using Real = detail::RealOf<Scalar>;
  using std::exp;
  return detail::narrow<Real>(detail::Work<Real>(exp(detail::widen(static_cast<Real>(nats)))));
}

template <RealArray T>
auto to_bits(const T& nats) {
  detail::PlainArray<T> out(nats.rows(), nats.cols());
  detail::map_coefficients(nats, out, [](const auto& x) { return to_bits(x); });
  return out;
}

template <RealArray T>
auto perplexity(const T& nats) {
  detail::PlainArray<T> out(nats.rows(), nats.cols());
  detail::map_coefficients(nats, out, [](const auto& x) { return perplexity(x); });
  return out;
}

}  // namespace xent
