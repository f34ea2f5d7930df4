// SPDX-License-Identifier: MIT
// xent/detail/scalar.hpp - the arithmetic that every scalar shares: where it works, and what rounding lost.
#pragma once

#include <xent/concepts.hpp>

#include <Eigen/Core>

#include <bit>      // std::bit_cast
#include <cmath>    // std::exp, std::log, std::log1p, std::pow
#include <cstdint>  // std::uint32_t, std::uint64_t
#include <limits>
#include <type_traits>

namespace xent::detail {

/// Where exponentials are taken: floats in double, where a difference of two of them is as good as exact.
template <class Scalar>
using Work = std::conditional_t<std::is_same_v<typename ResultScalarOf<Scalar>::type, float>, double, Scalar>;

/// Where they are combined: a step wider than the result wherever there is a wider type, so that the roundings of weights,
/// sums and quotients vanish beside that of the result.
template <class Scalar>
using Wide = std::conditional_t<std::is_same_v<Scalar, double>, long double, Work<Scalar>>;

template <class Scalar>
Work<Scalar> widen(const Scalar& x) {
  if constexpr (std::is_same_v<typename ResultScalarOf<Scalar>::type, float>) {
    return static_cast<double>(static_cast<float>(x));
  } else {
    return x;
  }
}

/// Back to the scalar of the result, the last rounding; through float for the half precisions.
template <class Scalar, class W>
Scalar narrow(const W& x) {
  if constexpr (std::is_same_v<Scalar, Eigen::half> || std::is_same_v<Scalar, Eigen::bfloat16>) {
    return static_cast<Scalar>(static_cast<float>(x));
  } else {
    return static_cast<Scalar>(x);
  }
}

/// By the bits where the format is known, so that -ffast-math cannot decide it.
template <class W>
bool is_nan(const W& x) {
  if constexpr (std::is_same_v<W, double>) {
    return (std::bit_cast<std::uint64_t>(x) << 1) > (std::uint64_t{0x7FF} << 53);
  } else if constexpr (std::is_same_v<W, float>) {
    return (std::bit_cast<std::uint32_t>(x) << 1) > (std::uint32_t{0xFF} << 24);
  } else {
    return !(x == x);
  }
}

template <class W>
bool is_finite(const W& x) {
  if constexpr (std::is_same_v<W, double>) {
    return (std::bit_cast<std::uint64_t>(x) << 1) < (std::uint64_t{0x7FF} << 53);
  } else if constexpr (std::is_same_v<W, float>) {
    return (std::bit_cast<std::uint32_t>(x) << 1) < (std::uint32_t{0xFF} << 24);
  } else {
    return x - x == W(0);
  }
}

template <class W>
W infinity() {
  return W(std::numeric_limits<std::conditional_t<std::is_floating_point_v<W>, W, double>>::infinity());
}

template <class W>
W quiet_nan() {
  return W(std::numeric_limits<std::conditional_t<std::is_floating_point_v<W>, W, double>>::quiet_NaN());
}

// Translation units with and without -ffast-math must not share this body, hence the two names.
#ifdef __FAST_MATH__
inline namespace fast_math {
#else
inline namespace precise_math {
#endif

/// x, as it was rounded: what it was made of is hidden from -ffast-math, which would regroup it with what comes next.
template <class W>
W as_rounded(W x) {
#if defined(__FAST_MATH__) && defined(__GNUC__)
  if constexpr (std::is_floating_point_v<W>) asm("" : "+m"(x));
#endif
  return x;
}

}  // inline namespace

/// Built-in floating point, whose rounding errors are themselves floating-point numbers.
template <class W>
inline constexpr bool has_exact_errors = std::is_floating_point_v<W>;

/// What `sum` = a + b lost: a + b = sum + sum_error(a, b, sum) exactly (Knuth, The Art of Computer Programming 2, 4.2.2). With the
/// rules of exact numbers, which are those of -ffast-math, it would be 0.
template <class W>
W sum_error(const W& a, const W& b, const W& sum) {
  if constexpr (has_exact_errors<W>) {
    const W b_seen = as_rounded(W(as_rounded(sum) - a));
    const W a_seen = as_rounded(W(sum - b_seen));
    return as_rounded(W(a - a_seen)) + as_rounded(W(b - b_seen));
  } else {
    return W(0);
  }
}

/// A positive number in two parts, value * (1 + residual): the residual holds what the rounding of the argument lost.
template <class W>
struct Parts {
  W value;
  W residual;

  template <class V>
  V wide() const {
    return V(value) + V(V(value) * V(residual));
  }
};

/// exp(a - b) for a <= b. The difference of two wide numbers loses up to half an ulp of its own size, which the exponential
/// turns into hundreds of ulp. Or exp(a - b + lift), for a sum that is exact.
template <class W>
Parts<W> exp_difference(const W& a, const W& b, const W& lift = W(0)) {
  using std::exp;
  const W difference = a - b;
  const W value = exp(W(difference + lift));
  if constexpr (has_exact_errors<W>) {
    if (value == W(0)) return {W(0), W(0)};  // the difference may be -inf, whose error is not a number
  }
  return {value, sum_error<W>(a, W(-b), difference)};
}

/// log(1 + x). Autodiff scalars that lack it get Kahan's form, log(u) x / (u - 1) with u = 1 + x, whose derivative is right too.
template <class W>
W log1p_of(const W& x) {
  using std::log;
  using std::log1p;
  if constexpr (requires { W(log1p(x)); }) {
    return W(log1p(x));
  } else {
    const W u = W(1) + x;
    if (u == W(1)) return x;
    const W scale = x / W(u - W(1));
    return W(log(u)) * scale;
  }
}

/// base^exponent for a base >= 0 and an exponent > 0.
template <class V>
V power(const V& base, const V& exponent) {
  if (base == V(0)) return V(0);
  if constexpr (std::is_floating_point_v<V>) {
    return std::pow(base, exponent);
  } else {
    using std::exp;
    using std::log;
    return V(exp(V(exponent * V(log(base)))));
  }
}

}  // namespace xent::detail
