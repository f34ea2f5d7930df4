// SPDX-License-Identifier: MIT
// xent/detail/element_terms.hpp - the weight of each element of an elementwise loss.
#pragma once

#include <xent/detail/access.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/terms.hpp>
#include <xent/options.hpp>

namespace xent::detail {

/// Sample weights of an N x C array of elements: one for each row. Beside a vector, which is one sample of C elements, one
/// for each element will do too, so that a vector of N binary samples can be weighted as such.
template <class V, class Scalar>
class ElementWeights {
 public:
  template <class Logits>
  ElementWeights(const char* function, const Logits& logits, const WeightVector<Scalar>& weights)
      : weights_(weights), by_element_(is_sample<Logits> && weights.size() == logits.size()), size_(logits.size()) {
    check_sample_weights(function, weights, by_element_ ? logits.size() : row_count(logits));
  }

  const WeightVector<Scalar>& values() const { return weights_; }
  bool by_element() const { return by_element_; }
  bool absent(Index i, Index k) const { return !weights_.empty() && weights_[by_element_ ? k : i] == Scalar(0); }
  V operator()(Index i, Index k) const { return weight_at<V>(weights_, by_element_ ? k : i); }

  bool any_zero() const {
    for (Index i = 0; i < weights_.size(); ++i) {
      if (weights_[i] == Scalar(0)) return true;
    }
    return false;
  }

  /// No element at all, or none that counts.
  bool nothing() const {
    for (Index i = 0; i < weights_.size(); ++i) {
      if (weights_[i] != Scalar(0)) return size_ == 0;
    }
    return size_ == 0 || !weights_.empty();
  }

 private:
  const WeightVector<Scalar>& weights_;
  bool by_element_;
  Index size_;
};

}  // namespace xent::detail
