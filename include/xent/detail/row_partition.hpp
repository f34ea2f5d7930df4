// SPDX-License-Identifier: MIT
// xent/detail/row_partition.hpp - one row of logits reduced to {max, tail}, with all its digits.
#pragma once

#include <xent/detail/access.hpp>
#include <xent/detail/accumulate.hpp>
#include <xent/detail/scalar.hpp>

namespace xent::detail {

/// max = max_k z_k at class `arg` (the first of equals), tail = sum over the other classes of exp(z_k - max). Everything
/// that has a softmax in it is a few words about these two. The maximum is left out of the sum, and both are kept with
/// the low part of the sum, so that a tail of 1e-30 stays one.
///
/// A row is regular when its maximum is finite. All -inf, a +inf or a NaN (which becomes the maximum) make it irregular.
template <class W>
class RowPartition {
 public:
  template <class Scalar>
  explicit RowPartition(const Row<Scalar>& z) {
    find_maximum(z);
    if (!regular()) {
      tail_ = Sum<W>(is_nan(max_) ? max_ : W(double(times_at(z, max_) - 1)));
      return;
    }
    for (Index k = 0; k < z.size; ++k) {
      if (k == arg_) continue;
      const Parts<W> e = exp_difference<W>(widen(z[k]), max_);
      tail_.add(e.value);
      tail_.add_low(W(e.value * e.residual));
    }
    log_sum_ = log1p_of(tail_.high()) + W(tail_.low() / W(W(1) + tail_.high()));
  }

  bool regular() const { return is_finite(max_); }
  const W& max() const { return max_; }
  Index arg() const { return arg_; }
  /// The classes whose logit is not -inf.
  Index unmasked() const { return unmasked_; }
  W tail() const { return tail_.value(); }

  template <class V>
  V logsumexp() const {
    return regular() ? V(V(max_) + V(log_sum_)) : V(max_);
  }

  /// exp(z - max) / (1 + tail)
  template <class V>
  V probability(const W& z) const {
    return exp_difference<W>(z, max_).template wide<V>() / total<V>();
  }

  /// 1 - probability(z_k) as the sum of the other classes, never as a difference from 1.
  template <class V>
  V others(Index k, const W& z) const {
    const V tail = tail_.template wide<V>();
    if (k == arg_) return tail / total<V>();
    const V rest = V(tail - exp_difference<W>(z, max_).template wide<V>()) + V(1);
    return rest / total<V>();
  }

  /// (z - max) - log_sum: both terms have the same sign, so nothing cancels.
  template <class V>
  V log_probability(const W& z) const {
    return as_rounded(V(V(z) - V(max_))) - V(log_sum_);
  }

 private:
  template <class V>
  V total() const {
    return V(1) + tail_.template wide<V>();
  }

  template <class Scalar>
  void find_maximum(const Row<Scalar>& z) {
    const W lowest = -infinity<W>();
    max_ = widen(z[0]);
    bool any_nan = false;
    for (Index k = 0; k < z.size; ++k) {
      const W value = widen(z[k]);
      any_nan = any_nan || is_nan(value);
      unmasked_ += value != lowest ? 1 : 0;
      if (value > max_) {
        max_ = value;
        arg_ = k;
      }
    }
    if (any_nan) max_ = quiet_nan<W>();
  }

  template <class Scalar>
  static Index times_at(const Row<Scalar>& z, const W& value) {
    Index times = 0;
    for (Index k = 0; k < z.size; ++k) times += widen(z[k]) == value ? 1 : 0;
    return times;
  }

  W max_;
  Index arg_ = 0;
  Index unmasked_ = 0;
  Sum<W> tail_;
  W log_sum_ = W(0);
};

}  // namespace xent::detail
