// SPDX-License-Identifier: MIT
// xent/softmax.hpp - logits to probabilities.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/engine.hpp>

namespace xent {

/// The softmax of each row of logits, written into `out`, which may be the logits themselves.
///
///     out_ik = exp(logits_ik) / sum_j exp(logits_ij)
///
/// formed as exp(z_k - max) / (1 + tail), so nothing overflows and small probabilities keep their digits.
///
/// Shapes: N x C in and out; a vector of C logits is one sample. `out` is resized if it can be.
/// Edges: -inf gives 0; a row that is all -inf, or has a +inf or a NaN, becomes NaN, other rows are not touched by it.
/// Errors: std::invalid_argument for C = 0 and for an `out` of a wrong shape that cannot be resized.
template <RealArray Logits, WritableArray<Logits> Out>
void softmax(const Logits& logits, Out&& out) {
  using V = detail::WideOf<Logits>;
  detail::map_logits<detail::Kept::exponentials>(
      "softmax", logits, out, [](auto& work) { work.write_probabilities(); },
      [](const auto& partition, const auto& z) { return partition.template probability<V>(z); });
}

/// The softmax of each row of logits, as a new array of their shape and scalar. See softmax(logits, out).
///
///     Eigen::ArrayXXf probs = xent::softmax(logits);
template <RealArray Logits>
auto softmax(const Logits& logits) {
  detail::PlainArray<Logits> out;
  softmax(logits, out);
  return out;
}

}  // namespace xent
