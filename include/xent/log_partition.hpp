// SPDX-License-Identifier: MIT
// xent/log_partition.hpp - {max, tail}: the log-partition of a set of logits, without its maximum, ready to merge.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/row_partition.hpp>
#include <xent/detail/scalar.hpp>

namespace xent {

/// The value on which every multiclass function stands:
///
///     max  = max_k z_k
///     tail = (number of k with z_k = max) - 1 + sum over z_k < max of exp(z_k - max)
///
/// The maximum's own 1 is left out of the sum, so a tail far below machine precision survives. A default-constructed
/// value is that of no logits at all: {-inf, -1}.
///
/// Units: max in nats like the logits, tail a pure number.
/// Source: the recurrence of LogExpFunctions.jl; error analysis in Blanchard, Higham, Higham, IMA J. Numer. Anal. 41 (2021).
template <class Scalar>
struct LogPartition {
  Scalar max = -detail::infinity<Scalar>();
  Scalar tail = Scalar(-1);

  /// log1p(tail), the logsumexp of the logits less their maximum; -inf for no logits.
  Scalar log_sum() const { return detail::narrow<Scalar>(detail::log1p_of(detail::widen(tail))); }

  /// log sum_k exp(z_k) = max + log_sum(). -inf when every logit is, +inf when one is, NaN when one is.
  Scalar logsumexp() const {
    if (!detail::is_finite(max)) return max;
    return detail::narrow<Scalar>(detail::Work<Scalar>(detail::widen(max) + detail::log1p_of(detail::widen(tail))));
  }
};

/// The partition of both sets together. Associative and commutative up to rounding; the empty one changes nothing.
///
///     {a.max, a.tail + (1 + b.tail) exp(b.max - a.max)}    for a.max > b.max
///     {a.max, a.tail + 1 + b.tail}                         for equal maxima
///
/// Edges: a NaN maximum makes the result NaN.
template <class Scalar>
LogPartition<Scalar> merge(const LogPartition<Scalar>& a, const LogPartition<Scalar>& b) {
  using W = detail::Work<Scalar>;
  if (detail::is_nan(a.max)) return a;
  if (detail::is_nan(b.max)) return b;
  const bool a_leads = a.max >= b.max;
  const LogPartition<Scalar>& high = a_leads ? a : b;
  const LogPartition<Scalar>& low = a_leads ? b : a;
  const W rest = W(1) + detail::widen(low.tail);
  W scale = W(1);
  if (!detail::is_finite(high.max)) {
    scale = low.max == high.max ? W(1) : W(0);
  } else {
    scale = detail::exp_difference<W>(detail::widen(low.max), detail::widen(high.max)).template wide<W>();
  }
  return {high.max, detail::narrow<Scalar>(W(detail::widen(high.tail) + W(rest * scale)))};
}

/// The log-partition of one row of logits. Half and bfloat16 give a LogPartition<float>.
///
/// Shapes: a vector of C logits, any storage or expression. Errors: std::invalid_argument for C = 0.
/// Edges: all -inf {-inf, C - 1}; a +inf {+inf, 0}; a NaN {NaN, NaN}.
///
///     LogPartition<float> left = log_partition(z.head(500)), right = log_partition(z.tail(500));
///     float all = merge(left, right).logsumexp();
template <RealVector Logits>
LogPartition<ResultScalar<Logits>> log_partition(const Logits& logits) {
  using Result = ResultScalar<Logits>;
  detail::check_classes("log_partition", logits);
  const detail::Rows<Logits> rows(logits);
  detail::RowScratch<Logits> scratch(logits.size());
  const detail::RowPartition<detail::Work<Result>> partition(rows(0, scratch.row()));
  return {detail::narrow<Result>(partition.max()), detail::narrow<Result>(partition.tail())};
}

}  // namespace xent
