// SPDX-License-Identifier: MIT
// xent/log_softmax.hpp - logits to log-probabilities.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/engine.hpp>

namespace xent {

/// The logarithm of the softmax of each row of logits, written into `out`, which may be the logits themselves.
///
///     out_ik = logits_ik - log sum_j exp(logits_ij)
///
/// formed as (z_k - max) - log1p(tail): two terms of one sign, so that a log-probability of -1e-30 comes out as one.
///
/// Shapes: N x C in and out; a vector of C logits is one sample. `out` is resized if it can be.
/// Units: nats.
/// Edges: -inf gives -inf; a row that is all -inf, or has a +inf or a NaN, becomes NaN, other rows are not touched by it.
/// Errors: std::invalid_argument for C = 0 and for an `out` of a wrong shape that cannot be resized.
template <RealArray Logits, WritableArray<Logits> Out>
void log_softmax(const Logits& logits, Out&& out) {
  using V = detail::WideOf<Logits>;
  detail::map_logits<detail::Kept::margins>(
      "log_softmax", logits, out, [](auto& work) { work.write_log_probabilities(); },
      [](const auto& partition, const auto& z) { return partition.template log_probability<V>(z); });
}

/// The log-softmax of each row of logits, as a new array of their shape and scalar. See log_softmax(logits, out).
///
///     auto log_probs = xent::log_softmax(logits);
template <RealArray Logits>
auto log_softmax(const Logits& logits) {
  detail::PlainArray<Logits> out;
  log_softmax(logits, out);
  return out;
}

}  // namespace xent
