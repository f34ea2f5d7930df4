// SPDX-License-Identifier: MIT
// xent/detail/row_partition.hpp - one row of logits reduced to {max, tail}, with all its digits.
#pragma once

#include <xent/detail/access.hpp>
#include <xent/detail/accumulate.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/scalar.hpp>

#include <cmath>
#include <limits>
#include <type_traits>

namespace xent::detail {

/// Shorter rows are not worth the vector kernels' beginning and end; in longer ones a float could not count the ties.
inline constexpr Index least_kernel_row = 16;
inline constexpr Index most_kernel_row = Index{1} << 24;

/// The kernels for this row, null where the scalar code has to do.
template <class T>
const RowKernels<T>* row_kernels_for(const Row<const T>& z) {
  const bool fits = z.size >= least_kernel_row && z.size <= most_kernel_row;
  return z.contiguous && fits ? row_kernels<T>() : nullptr;
}

template <class Scalar, class W>
inline constexpr bool has_row_kernel =
    std::is_same_v<W, double> && (std::is_same_v<Scalar, const float> || std::is_same_v<Scalar, const double>);

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
    if (!reduce_by_kernel(z)) reduce(z);
    if (!regular()) tail_ = Sum<W>(is_nan(max_) ? max_ : W(double(count_of(z, max_) - 1)));
    log_sum_ = log1p_of(tail_.high()) + W(tail_.low() / W(W(1) + tail_.high()));
  }

  bool regular() const { return is_finite(max_); }
  const W& max() const { return max_; }

  /// The class of the maximum, the first of equals.
  template <class Scalar>
  Index arg(const Row<Scalar>& z) const {
    Index k = 0;
    if constexpr (has_exact_errors<W>) {
      while (W(widen(z[k])) != max_) ++k;
    } else {
      k = arg_;  // equal values may have different derivatives
    }
    return k;
  }

  /// The number of classes whose logit is not -inf.
  template <class Scalar>
  Index unmasked(const Row<Scalar>& z) const {
    return z.size - count_of(z, W(-infinity<W>()));
  }

  W tail() const { return tail_.value(); }
  const W& log_sum() const { return log_sum_; }

  template <class V>
  V logsumexp() const {
    return regular() ? V(V(max_) + V(log_sum_)) : V(max_);
  }

  /// exp(z - max) / (1 + tail)
  template <class V>
  V probability(const W& z) const {
    return exp_difference<W>(z, max_).template wide<V>() / total<V>();
  }

  /// out_k = factor * probability(z_k); `out` may be the row itself.
  template <class V, class Scalar, class Out>
  void write_probabilities(const Row<Scalar>& z, const V& factor, const Row<Out>& out) const {
    if constexpr (has_row_kernel<Scalar, W> && std::is_same_v<const Out, Scalar>) {
      const RowKernels<Out>* const kernels = row_kernels_for(z);
      int exponent = 0;
      const V exact = std::frexp(V(factor / V(total<V>() * static_cast<V>(unit_))), &exponent);
      const bool in_range = is_finite(factor) && exponent < std::numeric_limits<Out>::max_exponent;
      if (kernels != nullptr && out.stride == 1 && in_range) {
        const Out high = static_cast<Out>(exact);
        kernels->exps(z.data, z.size, static_cast<Out>(max_), high, static_cast<Out>(exact - V(high)), exponent,
                      out.data);
        return;
      }
    }
    for (Index k = 0; k < z.size; ++k) out[k] = narrow<Out>(V(factor * probability<V>(widen(z[k]))));
  }

  /// out_k = log_probability(z_k); `out` may be the row itself.
  template <class V, class Scalar, class Out>
  void write_log_probabilities(const Row<Scalar>& z, const Row<Out>& out) const {
    for (Index k = 0; k < z.size; ++k) out[k] = narrow<Out>(log_probability<V>(widen(z[k])));
  }

  /// 1 - probability(z_k) as the sum of the other classes, never as a difference from 1.
  template <class V>
  V others(Index k, const W& z) const {
    const V tail = tail_.template wide<V>();
    if (has_exact_errors<W> ? z == max_ : k == arg_) return tail / total<V>();
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

  /// The readable truth, for every scalar and stride.
  template <class Scalar>
  void reduce(const Row<Scalar>& z) {
    find_maximum(z);
    if (!regular()) return;
    for (Index k = 0; k < z.size; ++k) {
      if (k == arg_) continue;
      const Parts<W> e = exp_difference<W>(widen(z[k]), max_);
      tail_.add(e.value);
      tail_.add_low(W(e.value * e.residual));
    }
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

  /// The same by the vector kernels where there are some for these rows; they need not know the class of the maximum.
  template <class Scalar>
  bool reduce_by_kernel(const Row<Scalar>& z) {
    if constexpr (has_row_kernel<Scalar, W>) {
      using T = std::remove_const_t<Scalar>;
      const RowKernels<T>* const kernels = row_kernels_for(z);
      if (kernels == nullptr) return false;
      T max;
      if (!kernels->maximum(z.data, z.size, &max)) max = quiet_nan<T>();
      max_ = W(max);
      if (!regular()) return true;
      const RowSum row = kernels->sum(z.data, z.size, max);
      unit_ = unit_of<T>(row);
      const Wide<T> total = (Wide<T>(row.sum) + Wide<T>(row.lost)) / Wide<T>(unit_) + Wide<T>(row.equal - 1);
      tail_ = Sum<W>(W(total));
      tail_.add_low(W(total - Wide<T>(tail_.high())));
      return true;
    } else {
      return false;
    }
  }

  /// exp(max) in the units of the kernel.
  template <class T>
  Wide<T> unit_of(const RowSum& row) const {
    constexpr auto ln_2 = static_cast<Wide<T>>(0.693147180559945309417232121458176568L);
    return std::exp(Wide<T>(max_) - Wide<T>(row.moved) - Wide<T>(row.exponent) * ln_2);
  }

  template <class Scalar>
  static Index count_of(const Row<Scalar>& z, const W& value) {
    Index count = 0;
    for (Index k = 0; k < z.size; ++k) count += W(widen(z[k])) == value ? 1 : 0;
    return count;
  }

  W max_;
  Index arg_ = 0;
  Wide<W> unit_ = Wide<W>(1);  // exp(max) in the units of the kernel
  Sum<W> tail_;
  W log_sum_ = W(0);
};

}  // namespace xent::detail
