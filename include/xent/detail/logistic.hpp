// SPDX-License-Identifier: MIT
// xent/detail/logistic.hpp - sigmoid and softplus of one number, from one exponential.
#pragma once

#include <xent/detail/scalar.hpp>

namespace xent::detail {

/// Everything logistic about z: with e = exp(-|z|), which neither overflows nor loses digits,
///
///     sigmoid(|z|) = 1 / (1 + e)     sigmoid(-|z|) = e / (1 + e)
///     softplus(|z|) = |z| + log1p(e)     softplus(-|z|) = log1p(e)
template <class W>
class Logistic {
 public:
  explicit Logistic(const W& z) : positive_(z >= W(0)), magnitude_(positive_ ? z : W(-z)), e_(exp_of(W(-magnitude_))) {}

  bool positive() const { return positive_; }
  const W& e() const { return e_; }
  W sigmoid() const { return positive_ ? upper() : lower(); }
  W upper() const { return W(1) / W(W(1) + e_); }
  W lower() const { return e_ / W(W(1) + e_); }
  W softplus_upper() const { return magnitude_ + log1p_of(e_); }
  W softplus_lower() const { return log1p_of(e_); }
  W softplus() const { return positive_ ? softplus_upper() : softplus_lower(); }
  W log_sigmoid() const { return positive_ ? W(-softplus_lower()) : W(-softplus_upper()); }

 private:
  static W exp_of(const W& x) {
    using std::exp;
    return W(exp(x));
  }

  bool positive_;
  W magnitude_;
  W e_;
};

/// The binary cross-entropy of a logit, weights on both sides:
///
///     loss  = pos softplus(-z) + neg softplus(z)
///     slope = neg sigmoid(z) - pos sigmoid(-z)
///
/// seen from |z|, where `agreeing` is the weight of the side the logit speaks for and `opposing` the other. The mirrored problem,
/// z -> -z with the sides swapped, runs through the same operations and so gives the same bits.
template <class W>
struct BinaryLoss {
  Logistic<W> logistic;
  W sign;
  W agreeing;
  W opposing;

  BinaryLoss(const W& z, const W& pos, const W& neg) : BinaryLoss(z, pos, neg, z < W(0) || (z == W(0) && pos < neg)) {}

  /// A side whose weight is 0 contributes 0, even where its softplus is infinite.
  W loss() const {
    const W agreeing_part = agreeing == W(0) ? W(0) : W(agreeing * logistic.softplus_lower());
    return opposing == W(0) ? agreeing_part : W(agreeing_part + W(opposing * logistic.softplus_upper()));
  }
  /// The slope along |z|; the sign turns it into the slope along z.
  W inner_slope() const { return W(opposing - W(agreeing * logistic.e())) / W(W(1) + logistic.e()); }
  W slope() const { return sign * inner_slope(); }

 private:
  BinaryLoss(const W& z, const W& pos, const W& neg, bool mirrored)
      : logistic(mirrored ? W(-z) : z),
        sign(mirrored ? -1 : 1),
        agreeing(mirrored ? neg : pos),
        opposing(mirrored ? pos : neg) {}
};

}  // namespace xent::detail
