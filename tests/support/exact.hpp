// SPDX-License-Identifier: MIT
// tests/support/exact.hpp - the plain types that tests and oracle exchange.
#pragma once

#include <Eigen/Core>

#include <cstddef>
#include <type_traits>
#include <vector>

namespace support {

using Eigen::Index;

template <class Scalar>
using Rows = Eigen::Array<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class Scalar>
using Cols = Eigen::Array<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
template <class Scalar>
using Vector = Eigen::Array<Scalar, Eigen::Dynamic, 1>;
using Labels = Vector<Index>;

/// A result with more digits than long double has: hi + lo. Its error is judged in ulp of `scale`, which is the
/// size of the result itself unless the problem is ill conditioned (a difference of larger terms).
struct Exact {
  long double hi = 0;
  long double lo = 0;
  long double scale = 0;
};
using Exacts = std::vector<Exact>;
using Reals = std::vector<long double>;

/// Values of any scalar up to long double, row after row. The type in which the oracle gets its inputs.
struct Grid {
  Index rows = 0;
  Index cols = 0;
  Reals values;

  long double operator()(Index i, Index k) const { return values[static_cast<std::size_t>(i * cols + k)]; }
};

inline long double widen(Eigen::half x) { return static_cast<long double>(static_cast<float>(x)); }
inline long double widen(Eigen::bfloat16 x) { return static_cast<long double>(static_cast<float>(x)); }
template <class Real>
  requires std::is_arithmetic_v<Real>
long double widen(Real x) {
  return static_cast<long double>(x);
}

template <class Derived>
Grid grid(Eigen::DenseBase<Derived> const& dense) {
  Grid result{dense.rows(), dense.cols(), {}};
  result.values.reserve(static_cast<std::size_t>(dense.size()));
  auto const& values = dense.derived();
  for (Index i = 0; i < result.rows; ++i)
    for (Index k = 0; k < result.cols; ++k) result.values.push_back(widen(values.coeff(i, k)));
  return result;
}

template <class Real>
  requires std::is_arithmetic_v<Real>
Grid grid(Real scalar) {
  return {1, 1, {widen(scalar)}};
}

template <class Derived>
Reals reals(Eigen::DenseBase<Derived> const& dense) {
  return grid(dense).values;
}

template <class Derived>
std::vector<Index> indices(Eigen::DenseBase<Derived> const& labels) {
  std::vector<Index> result;
  for (Index i = 0; i < labels.size(); ++i) result.push_back(static_cast<Index>(labels.derived().coeff(i)));
  return result;
}

}  // namespace support
