// SPDX-License-Identifier: MIT
// xent/detail/outcome.hpp - what becomes of a row of logits once its sums are known.
#pragma once

#include <xent/detail/access.hpp>
#include <xent/detail/row_partition.hpp>

namespace xent::detail {

/// Whether the loss of a rule has a larger relative error than the sums it is made of.
enum class Magnified { not_at_all, little, much };

/// What a rule makes of the plain cross-entropy of a row: its loss, and the gradient scale * ((b + surplus) p_k - b_k),
/// b the sum of the coefficients b_k.
template <class V>
struct RowOutcome {
  V loss;
  V surplus = V(0);
  V scale = V(1);
};

/// The plain loss, and what other rules change of it.
template <class V>
struct PlainRule {
  static constexpr bool may_magnify = false;
  static constexpr bool may_smooth = false;
  static constexpr bool may_weigh = false;
  static constexpr bool plain() { return true; }
  static constexpr Magnified magnifies() { return Magnified::not_at_all; }
  static V power() { return V(0); }
  static V smoothing() { return V(0); }
  static V z_loss_of(Index) { return V(0); }

  RowOutcome<V> operator()(const RowFacts<V>&, Index, const V& cross_entropy) const { return {cross_entropy}; }
};

/// What becomes of a row in which one class alone, the label's, has a coefficient. Its gradient is factor * p_k, but at_label
/// at the label, where a p - b is surplus p - b (1 - p).
template <class V>
struct LabelOutcome {
  V loss;
  V factor;
  V at_label;
};

template <class V, class Rule>
LabelOutcome<V> label_outcome(const RowFacts<V>& facts, const V& b, const Rule& rule, Index i, const V& divisor) {
  const V cross_entropy = b == V(0) ? V(0) : V(b * facts.nll);
  const RowOutcome<V> outcome = rule(facts, i, cross_entropy);
  const V scale = outcome.scale / divisor;
  const V pull = V(outcome.surplus * facts.probability) - V(b * facts.others);
  return {outcome.loss, V(scale * V(b + outcome.surplus)), V(scale * pull)};
}

}  // namespace xent::detail
