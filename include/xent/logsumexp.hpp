// SPDX-License-Identifier: MIT
// xent/logsumexp.hpp - the logarithm of a sum of exponentials.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/engine.hpp>
#include <xent/detail/reduce.hpp>

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
  using V = detail::WideOf<Logits>;
  const auto by_rows = [&](const auto& work, Eigen::Index first, int rows) {
    for (int j = 0; j < rows; ++j) out(first + j) = detail::narrow<Result>(work.logsumexp(j));
  };
  const auto by_row = [&](Eigen::Index i, const auto& partition, const auto&) {
    out(i) = detail::narrow<Result>(partition.template logsumexp<V>());
  };
  detail::NoGradient none;
  detail::for_rows<detail::Kept::nothing>(logits, none, by_rows, by_row);
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
