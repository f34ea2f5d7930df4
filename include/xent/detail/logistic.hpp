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

  const W& e() const { return e_; }
  W sigmoid() const { return (positive_ ? W(1) : e_) / W(W(1) + e_); }
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

/// The binary cross-entropy of a logit, with weights on both sides:
///
///     loss  = pos softplus(-z) + neg softplus(z)
///     slope = neg sigmoid(z) - pos sigmoid(-z)
///
/// seen from |z|, where `agreeing` is the weight of the side the logit speaks for and `opposing` the other. The mirrored
/// problem, z -> -z with the sides swapped, runs through the same operations and so gives the same bits.
/// The exponential is taken in W, the rest in V.
template <class W, class V>
class BinaryLoss {
 public:
  BinaryLoss(const W& z, const V& pos, const V& neg) : BinaryLoss(z, pos, neg, z < W(0) || (z == W(0) && pos < neg)) {}

  /// A side whose weight is 0 contributes 0, even where its softplus is infinite.
  V loss() const {
    const V log_term = V(logistic_.softplus_lower());
    const V near_part = agreeing_ == V(0) ? V(0) : V(agreeing_ * log_term);
    return opposing_ == V(0) ? near_part : V(near_part + V(opposing_ * V(V(magnitude_) + log_term)));
  }

  V slope() const { return sign_ * inner_slope(); }

  /// q^gamma times the loss, and the slope of that, with q = (opposing + agreeing e) / (1 + e) the probability given to the
  /// wrong side. q' / q stays within [-1, 1], so nothing is ever divided by a q that vanished.
  V focal_loss(const V& gamma) const { return power(wrong(), gamma) * loss(); }
  V focal_slope(const V& gamma) const {
    const V ratio =
        opposing_ == V(0) ? V(V(-1) / total()) : V(V(V(opposing_ - agreeing_) * e()) / V(mixture() * total()));
    const V pull = ratio == V(0) ? V(0) : V(V(gamma * ratio) * loss());
    return V(sign_ * power(wrong(), gamma)) * V(pull + inner_slope());
  }

 private:
  BinaryLoss(const W& z, const V& pos, const V& neg, bool mirrored)
      : magnitude_(mirrored ? W(-z) : z),
        logistic_(magnitude_),
        sign_(mirrored ? -1 : 1),
        agreeing_(mirrored ? neg : pos),
        opposing_(mirrored ? pos : neg) {}

  V e() const { return V(logistic_.e()); }
  V total() const { return V(1) + e(); }
  V mixture() const { return opposing_ + V(agreeing_ * e()); }
  V wrong() const { return mixture() / total(); }
  V inner_slope() const { return V(opposing_ - V(agreeing_ * e())) / total(); }

  W magnitude_;
  Logistic<W> logistic_;
  V sign_;
  V agreeing_;
  V opposing_;
};

}  // namespace xent::detail
