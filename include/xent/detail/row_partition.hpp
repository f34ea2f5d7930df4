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
    total_.add(tail_.high());
    total_.add_low(tail_.low());
    log_sum_ = log1p_of(tail_.high()) + W(tail_.low() / total_.high());
  }

  bool regular() const { return is_finite(max_); }
  const W& max() const { return max_; }
  Index arg() const { return arg_; }
  /// The classes whose logit is not -inf.
  Index unmasked() const { return unmasked_; }
  W tail() const { return tail_.value(); }
  const W& log_sum() const { return log_sum_; }
  W logsumexp() const { return regular() ? W(max_ + log_sum_) : max_; }

  /// exp(z - max) / (1 + tail)
  W probability(const W& z) const {
    const Parts<W> e = exp_difference<W>(z, max_);
    const W quotient = e.value / total_.high();
    return quotient + W(quotient * W(e.residual - W(total_.low() / total_.high())));
  }

  /// 1 - probability(z_k) as the sum of the other classes, never as a difference from 1.
  Parts<W> others(Index k, const W& z) const {
    Sum<W> rest = tail_;
    if (k != arg_) {
      const Parts<W> e = exp_difference<W>(z, max_);
      rest.add(W(-e.value));
      rest.add(W(1));
      rest.add_low(W(-W(e.value * e.residual)));
    }
    return divide(rest.high(), rest.low(), total_.high(), total_.low());
  }

  /// (z - max) - log_sum: both terms have the same sign, so nothing cancels.
  W log_probability(const W& z) const {
    const W difference = z - max_;
    if constexpr (has_exact_errors<W>) {
      if (!is_finite(difference)) return difference;
    }
    return difference + W(sum_error<W>(z, W(-max_), difference) - log_sum_);
  }

 private:
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
  Sum<W> total_ = Sum<W>(W(1));  // 1 + tail
  W log_sum_ = W(0);
};

}  // namespace xent::detail
