// SPDX-License-Identifier: MIT
// xent/units.hpp - a loss in nats as bits and as perplexity.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/engine.hpp>

#include <cmath>
#include <concepts>

namespace xent {

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
  if constexpr (std::integral<Scalar>) {
    return to_bits(static_cast<double>(nats));
  } else {
    using W = detail::Work<Scalar>;
    using std::log;
    const W bit = log(W(2));
    return detail::narrow<Scalar>(W(detail::widen(nats) / bit));
  }
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
  if constexpr (std::integral<Scalar>) {
    return perplexity(static_cast<double>(nats));
  } else {
    using std::exp;
    return detail::narrow<Scalar>(detail::Work<Scalar>(exp(detail::widen(nats))));
  }
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
