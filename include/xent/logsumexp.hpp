// SPDX-License-Identifier: MIT
// xent/logsumexp.hpp - the logarithm of a sum of exponentials.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/reduce.hpp>
#include <xent/detail/row_partition.hpp>

namespace xent {

/// The log-sum-exp of each row of logits, written into the vector `out` of N results.
///
///     out_i = log sum_k exp(logits_ik) = max_k logits_ik + log1p(tail_i)
///
/// Shapes: N x C in, a vector of N out (of 1 for a vector of C logits, which is one sample). `out` is resized if it can be.
/// Units: nats. Its error is relative to max(|result|, max |logit|), since a result near 0 comes from a cancellation that is
///        in the question, not in the method.
/// Edges: -inf where every logit is, +inf where one is, NaN where one is.
/// Errors: std::invalid_argument for C = 0 and for an `out` of a wrong shape that cannot be resized.
template <RealArray Logits, WritableArray<Logits> Out>
  requires RealVector<std::remove_cvref_t<Out>>
void logsumexp(const Logits& logits, Out&& out) {
  using Result = typename std::remove_cvref_t<Out>::Scalar;
  detail::check_classes("logsumexp", logits);
  detail::check_results("logsumexp", "out", out, detail::row_count(logits));
  detail::resize_results(out, detail::row_count(logits));
  const detail::Rows<Logits> rows(logits);
  detail::for_chunks<detail::threads_allowed<Logits>>(
      detail::row_count(logits), logits.size(), [&](Eigen::Index, Eigen::Index begin, Eigen::Index end) {
        detail::RowScratch<Logits> scratch(detail::class_count(logits));
        for (Eigen::Index i = begin; i < end; ++i) {
          const detail::RowPartition<detail::WorkOf<Logits>> partition(rows(i, scratch.row()));
          out(i) = detail::narrow<Result>(partition.template logsumexp<detail::WideOf<Logits>>());
        }
      });
}

/// The log-sum-exp of each row of logits: a new array of N results, or a scalar for a vector of C logits.
/// See logsumexp(logits, out).
///
///     Eigen::ArrayXf log_partition = xent::logsumexp(logits);
template <RealArray Logits>
auto logsumexp(const Logits& logits) {
  detail::RowResults<Logits> out(detail::row_count(logits));
  logsumexp(logits, out);
  if constexpr (detail::is_sample<Logits>) {
    return ResultScalar<Logits>(out(0));
  } else {
    return out;
  }
}

}  // namespace xent
