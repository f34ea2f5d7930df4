// SPDX-License-Identifier: MIT
// xent/detail/row_partition.hpp - one row of logits reduced to {max, tail}, with all its digits.
#pragma once

#include <xent/detail/access.hpp>
#include <xent/detail/accumulate.hpp>
#include <xent/detail/kernel/constants.hpp>
#include <xent/detail/scalar.hpp>

#include <cmath>  // std::exp, std::log
#include <limits>

namespace xent::detail {

/// What the rules of the losses are told about a row and the class of its label.
template <class V>
struct RowFacts {
  V logsumexp;
  V nll;          // -log softmax of the class, (max - z) + log_sum: both >= 0, so nothing cancels
  V probability;  // softmax of the class
  V others;       // 1 - probability
};

/// max = max_k z_k, tail = sum over the other classes of exp(z_k - max), of equals all but one. Everything that has a
/// softmax in it is a few words about these two. The maximum is left out of the sum, and both are kept with the low part
/// of the sum, so that a tail of 1e-30 stays one.
///
/// A row is regular when its maximum is finite. All -inf, a +inf or a NaN (which becomes the maximum) make it irregular.
template <class W>
class RowPartition {
 public:
  RowPartition() = default;

  /// The readable truth, for every scalar and stride.
  template <class Scalar>
  explicit RowPartition(const Row<Scalar>& z) {
    find_maximum(z);
    if (!regular()) {
      tail_ = Sum<W>(is_nan(max_) ? max_ : W(double(count_of(z, max_) - 1)));
      return;
    }
    tail_ = tail_of(z, W(0));
    if constexpr (has_exact_errors<W>) {
      constexpr W least = std::numeric_limits<W>::min();
      if (tail_.high() < least / std::numeric_limits<W>::epsilon()) find_faint_tail(z);
    }
    take_logarithm();
  }

  /// From what a kernel says of a row of `Scalar` with a finite maximum.
  template <class Scalar>
  static RowPartition of(const Scalar& max, const RowSum& row) {
    using V = Wide<Scalar>;
    constexpr auto ln_2 = static_cast<V>(0.693147180559945309417232121458176568L);
    RowPartition partition;
    partition.max_ = is_nan(row.sum) ? quiet_nan<W>() : W(max);
    const V unit = std::exp(V(row.exponent) * ln_2 - (V(max) - V(row.moved)));
    const V tail = (V(row.sum) + V(row.lost)) * unit + as_rounded(V(row.equal - 1));
    partition.tail_ = Sum<W>(W(tail));
    partition.tail_.add_low(W(tail - V(partition.tail_.high())));
    partition.take_logarithm();
    return partition;
  }

  bool regular() const { return is_finite(max_); }
  const W& max() const { return max_; }
  W tail() const { return tail_.value(); }
  const W& log_sum() const { return log_sum_; }

  /// Whether class k with the logit z is left out of the tail: the first of equals, or any of them where they are the same.
  bool leads(Index k, const W& z) const { return has_exact_errors<W> ? z == max_ : k == arg_; }

  template <class Scalar>
  Index arg(const Row<Scalar>& z) const {
    Index k = 0;
    while (!leads(k, widen(z[k]))) ++k;
    return k;
  }

  /// The number of classes whose logit is not -inf.
  template <class Scalar>
  Index unmasked(const Row<Scalar>& z) const {
    return z.size - count_of(z, W(-infinity<W>()));
  }

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
    if (leads(k, z)) return tail / total<V>();
    const V rest = V(tail - exp_difference<W>(z, max_).template wide<V>()) + V(1);
    return rest / total<V>();
  }

  /// (z - max) - log_sum: both terms have the same sign, so nothing cancels.
  template <class V>
  V log_probability(const W& z) const {
    return as_rounded(V(V(z) - V(max_))) - V(log_sum_);
  }

  template <class V>
  RowFacts<V> facts(Index k, const W& z) const {
    return {logsumexp<V>(), nll<V>(z), probability<V>(z), others<V>(k, z)};
  }

 private:
  template <class V>
  V nll(const W& z) const {
    return as_rounded(V(V(max_) - V(z))) + V(log_sum_);
  }

  template <class V>
  V total() const {
    return V(1) + tail_.template wide<V>();
  }

  /// log(1 + tail), of built-in numbers from the logarithm of the rounded sum: log1p takes several times as long.
  void take_logarithm() {
    const W& tail = tail_.high();
    if constexpr (has_exact_errors<W>) {
      const W sum = as_rounded(W(W(1) + tail));
      const W seen = as_rounded(W(sum - W(1)));
      log_sum_ = std::log(sum) + ((tail - seen) + tail_.low()) / sum;
    } else {
      log_sum_ = log1p_of(tail) + W(tail_.low() / W(W(1) + tail));
    }
  }

  /// Times exp(lift).
  template <class Scalar>
  Sum<W> tail_of(const Row<Scalar>& z, const W& lift) const {
    Sum<W> tail;
    for (Index k = 0; k < z.size; ++k) {
      if (k == arg_) continue;
      const Parts<W> e = exp_difference<W>(widen(z[k]), max_, lift);
      tail.add(e.value);
      tail.add_low(W(e.value * e.residual));
    }
    return tail;
  }

  /// Of terms near the smallest normal number or below it, each of which would be rounded to a multiple of the smallest number
  /// there is: taken in the middle of the range, and rounded once. Ten of them have been off by 4.9 ulp of their sum.
  template <class Scalar>
  void find_faint_tail(const Row<Scalar>& z) {
    using V = Wide<W>;
    constexpr W lift =
        W(std::numeric_limits<W>::max_exponent / 2);  // half to twice such a difference: that sum is exact
    const V tail = tail_of(z, lift).template wide<V>() * std::exp(V(-lift));
    tail_ = Sum<W>(W(tail));
    tail_.add_low(W(tail - V(tail_.high())));
  }

  template <class Scalar>
  void find_maximum(const Row<Scalar>& z) {
    max_ = widen(z[0]);
    bool any_nan = false;
    for (Index k = 0; k < z.size; ++k) {
      const W value = widen(z[k]);
      any_nan = any_nan || is_nan(value);
      if (value > max_) {
        max_ = value;
        arg_ = k;
      }
    }
    if (any_nan) max_ = quiet_nan<W>();
  }

  template <class Scalar>
  static Index count_of(const Row<Scalar>& z, const W& value) {
    Index count = 0;
    for (Index k = 0; k < z.size; ++k) count += W(widen(z[k])) == value ? 1 : 0;
    return count;
  }

  W max_ = W(0);
  Index arg_ = 0;  // the first of equals; only the portable code knows it
  Sum<W> tail_;
  W log_sum_ = W(0);
};

}  // namespace xent::detail
