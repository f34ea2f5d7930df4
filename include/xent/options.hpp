// SPDX-License-Identifier: MIT
// xent/options.hpp - what the losses can be told beyond logits and labels.
#pragma once

#include <xent/concepts.hpp>

#include <Eigen/Core>

#include <initializer_list>
#include <optional>

namespace xent {

/// A list of weights that owns its values, made from any Eigen real vector or from a braced list. Empty means all 1.
/// Copying is the price of options that never dangle: where a call must not allocate, build the options once.
template <class Scalar>
class WeightVector {
 public:
  WeightVector() = default;

  WeightVector(std::initializer_list<Scalar> weights) : values_(Eigen::Index(weights.size())) {
    Eigen::Index i = 0;
    for (const Scalar& weight : weights) values_[i++] = weight;
  }

  template <RealVector Vector>
  WeightVector(const Vector& weights) : values_(weights.size()) {  // implicit: `.class_weights = w`
    // One by one: of Eigen's assignments g++ 12 warns wherever it looks closely, that they may free twice, or read too far.
    const auto& given = weights.derived().eval();
    for (Eigen::Index i = 0; i < given.size(); ++i) values_[i] = static_cast<Scalar>(given[i]);
  }

  bool empty() const { return values_.size() == 0; }
  Eigen::Index size() const { return values_.size(); }
  const Scalar& operator[](Eigen::Index i) const { return values_[i]; }
  const Scalar* data() const { return empty() ? nullptr : values_.data(); }  ///< null where there are none

 private:
  Eigen::Array<Scalar, Eigen::Dynamic, 1> values_;
};

/// Options of softmax_cross_entropy. `Scalar` is the logits' own, float for half and bfloat16 (ResultScalar).
template <class Scalar>
struct SoftmaxCrossEntropyOptions {
  std::optional<Eigen::Index> ignore_index = {};  ///< rows with this label count as absent
  Scalar label_smoothing = Scalar(0);             ///< in [0, 1]: the share of the target spread evenly over the classes
  WeightVector<Scalar> class_weights = {};        ///< C, not negative
  WeightVector<Scalar> sample_weights = {};       ///< N, may be negative; a row of weight 0 counts as absent
  Scalar z_loss = Scalar(0);                      ///< adds z_loss * logsumexp^2 to the loss of each row
};

/// Options of sigmoid_cross_entropy.
template <class Scalar>
struct SigmoidCrossEntropyOptions {
  Scalar label_smoothing = Scalar(0);        ///< in [0, 1]: targets become (1 - e) t + e / 2
  WeightVector<Scalar> pos_weights = {};     ///< 1 or C, not negative: factor on the positive term
  WeightVector<Scalar> class_weights = {};   ///< C, not negative
  WeightVector<Scalar> sample_weights = {};  ///< N, may be negative; a row of weight 0 counts as absent
};

/// Options of nll_loss: those of softmax_cross_entropy that need no logits.
template <class Scalar>
struct NllLossOptions {
  std::optional<Eigen::Index> ignore_index = {};  ///< rows with this label count as absent
  WeightVector<Scalar> class_weights = {};        ///< C, not negative
  WeightVector<Scalar> sample_weights = {};       ///< N, may be negative; a row of weight 0 counts as absent
};

/// Options of softmax_focal_loss.
template <class Scalar>
struct SoftmaxFocalLossOptions {
  std::optional<Eigen::Index> ignore_index = {};  ///< rows with this label count as absent
  Scalar gamma = Scalar(2);                       ///< not negative: the focus, 0 is plain cross-entropy
  WeightVector<Scalar> class_weights = {};        ///< C, not negative
  WeightVector<Scalar> sample_weights = {};       ///< N, may be negative; a row of weight 0 counts as absent
};

/// Options of sigmoid_focal_loss.
template <class Scalar>
struct SigmoidFocalLossOptions {
  Scalar gamma = Scalar(2);                  ///< not negative: the focus, 0 is plain cross-entropy
  std::optional<Scalar> alpha = {};          ///< in [0, 1]: factor alpha on positives, 1 - alpha on negatives
  WeightVector<Scalar> sample_weights = {};  ///< N, may be negative; a row of weight 0 counts as absent
};

}  // namespace xent
