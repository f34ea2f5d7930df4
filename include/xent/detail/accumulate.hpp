// SPDX-License-Identifier: MIT
// xent/detail/accumulate.hpp - sums that lose nothing visible.
#pragma once

#include <xent/detail/scalar.hpp>

namespace xent::detail {

/// A running sum of W: high() + low() is the sum as if carried with twice the digits (plain addition for scalars whose
/// rounding errors are not numbers of their own kind).
template <class W>
class Sum {
 public:
  Sum() = default;
  explicit Sum(const W& start) : high_(start) {}

  void add(const W& term) {
    const W sum = high_ + term;
    low_ = low_ + sum_error<W>(high_, term, sum);
    high_ = sum;
  }

  /// A term so small beside the sum that it only matters to the low part.
  void add_low(const W& term) { low_ = low_ + term; }

  void add(const Sum& other) {
    add(other.high_);
    add_low(other.low_);
  }

  const W& high() const { return high_; }
  /// Meaningless once the sum is infinite or NaN, when value() is the high part alone.
  const W& low() const { return low_; }
  W value() const { return wide<W>(); }

  template <class V>
  V wide() const {
    return is_finite(high_) ? V(V(high_) + V(low_)) : V(high_);
  }

 private:
  W high_ = W(0);
  W low_ = W(0);
};

}  // namespace xent::detail
