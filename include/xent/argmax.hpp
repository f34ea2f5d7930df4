// SPDX-License-Identifier: MIT
// xent/argmax.hpp - the predicted class.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/reduce.hpp>

#include <Eigen/Core>

namespace xent {

namespace detail {

template <class RowReader>
Index argmax_of(Index classes, const RowReader& z) {
  Index best = 0;
  auto maximum = z(0);
  bool any_nan = is_nan(widen(maximum));
  for (Index k = 1; k < classes; ++k) {
    const auto value = z(k);
    any_nan = any_nan || is_nan(widen(value));
    if (value > maximum) {
      maximum = value;
      best = k;
    }
  }
  return any_nan ? -1 : best;
}

}  // namespace detail

/// The class with the largest value in each row: the first of equals.
///
///     out_i = min { k : logits_ik = max_j logits_ij }
///
/// Shapes: N x C in, an array of N Eigen::Index out; a vector of C logits gives one Eigen::Index.
/// Edges: -1 for a row with a NaN, which predicts nothing; 0 for a row that is all -inf.
/// Errors: std::invalid_argument for C = 0.
///
///     double accuracy = (xent::argmax(logits) == labels.cast<Eigen::Index>()).cast<double>().mean();
template <RealArray Logits>
auto argmax(const Logits& logits) {
  detail::check_classes("argmax", logits);
  const detail::Coefficients<Logits> z(logits);
  const auto of_row = [&](Eigen::Index i) {
    return detail::argmax_of(detail::class_count(logits), [&](Eigen::Index k) { return z(i, k); });
  };
  if constexpr (detail::is_sample<Logits>) {
    return of_row(0);
  } else {
    Eigen::Array<Eigen::Index, int(Logits::RowsAtCompileTime), 1> out(logits.rows());
    const auto chunks = detail::chunks_of(logits.rows(), logits.size(), 1);
    detail::for_parts<detail::threads_allowed<Logits>>(logits.rows(), chunks, logits.size(),
                                                       [&](Eigen::Index begin, Eigen::Index end) {
                                                         for (Eigen::Index i = begin; i < end; ++i) out(i) = of_row(i);
                                                       });
    return out;
  }
}

}  // namespace xent
