// SPDX-License-Identifier: MIT
// xent/detail/reduced.hpp - rows reduced to their sums by the kernels: their losses, and what their gradients are made of.
#pragma once

#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/outcome.hpp>
#include <xent/detail/reduce.hpp>
#include <xent/detail/row_partition.hpp>
#include <xent/detail/scalar.hpp>

#include <algorithm>  // std::copy_n, std::min
#include <cstddef>    // std::size_t
#include <type_traits>

namespace xent::detail {

/// What a rule makes of losses by labels, for the kernels. z_weight has room for that of each row.
template <class Rule>
LossShape shape_of(const Rule& rule, [[maybe_unused]] Index begin, [[maybe_unused]] int rows,
                   [[maybe_unused]] double* z_weight) {
  if (rule.plain()) return {.smoothing = double(rule.smoothing())};
  if constexpr (requires { rule.z_loss; }) {
    const bool weighted = rule.terms.sample_weighted();
    for (int j = 0; weighted && j < rows; ++j) z_weight[j] = double(rule.terms.sample_weight(begin + j));
    return {.z_loss = double(rule.z_loss), .z_weight = weighted ? z_weight : nullptr};
  } else {
    return {.gamma = double(rule.power())};
  }
}

/// At most so many rows that a work deals with together, with sums in T = Exps::T. What they say of floats is worked out by
/// vectors in double, of doubles row by row in long double. With `with_factors` the factors of their softmax are kept too.
template <class Logits, class Exps, std::size_t most, bool with_factors>
class ReducedRows {
 public:
  using T = typename Exps::T;
  using V = WideOf<Logits>;
  using W = std::conditional_t<Exps::careful, V, WorkOf<Logits>>;

  Strip<T, most> strip;
  StripOutcomes<T, most> outcomes;

  bool regular(int j) const { return is_finite(strip.max[j]) && !is_nan(strip.sum[j]); }

  RowPartition<W> partition(int j, bool all_digits = false) const {
    constexpr double unlift = ExpConstants<T>::unlift;
    const double lost = sizeof(T) == sizeof(float) ? 0.0 : strip.lost[j] * unlift;
    return RowPartition<W>::of(
        strip.max[j],
        {strip.sum[j] * unlift, lost, double(strip.equal[j]), double(strip.moved[j]), double(strip.exponent[j])},
        all_digits);
  }

  V logsumexp(int j) const { return V(strip.max[j]) + V(outcomes.log_sum[j]); }
  const V& factor(int j) const { return factor_[j]; }

  /// What becomes of a softmax, and of all that is made of it.
  void find_outcomes(int rows) {
    V loss[most];
    std::copy_n(strip.max, std::min(lanes_of(rows), int(most)), strip.logit);
    find_plain(rows, nullptr, V(1), true, loss);
  }

  /// The losses of the rows from `begin` on: what the rule makes of the weight times nll at the label.
  template <class Rule>
  void find_losses(Index begin, int rows, const V* weight, const Rule& rule, const V& divisor, bool gradient, V* loss) {
    if (rule.plain()) return find_plain(rows, weight, divisor, gradient, loss);
    if constexpr (in_long_double) {
      const auto outcome_of = [&](const RowPartition<W>& reduced, int j) {
        return label_outcome(reduced.template facts<V>(0, strip.logit[j]), weight == nullptr ? V(1) : weight[j], rule,
                             begin + j, divisor);
      };
      find_by_row<true>(rows, outcome_of, gradient, loss);  // for a power magnifies errors
    } else {
      alignas(64) double z_weight[most] = {};
      find_by_vectors(rows, weight, shape_of(rule, begin, rows, z_weight), divisor, gradient, loss);
    }
  }

 private:
  static constexpr bool in_long_double = std::is_same_v<V, long double>;
  // Where errors are magnified: then floats are not summed as for the plain loss.
  static constexpr bool focuses = Exps::careful || std::is_same_v<T, double>;

  /// Of weight 1 where there are none.
  void find_plain(int rows, const V* weights, const V& divisor, bool gradient, V* loss) {
    if constexpr (in_long_double) {
      const auto outcome_of = [&](const RowPartition<W>& reduced, int j) {
        const V weight = weights == nullptr ? V(1) : weights[j];
        const V nll = reduced.template label_loss<V>(strip.logit[j], weight);
        if (!gradient) return LabelOutcome<V>{nll, V(0), V(0)};
        const V factor = weight / divisor;
        return LabelOutcome<V>{nll, factor, -V(factor * reduced.template others<V>(0, strip.logit[j]))};
      };
      find_by_row<false>(rows, outcome_of, gradient, loss);
    } else {
      find_by_vectors(rows, weights, {}, divisor, gradient, loss);
    }
  }

  void find_by_vectors(int rows, const double* weight, const LossShape& shape, double divisor, bool gradient,
                       double* loss) {
    kernels<StripOutcomeTable<T, most, focuses>>().outcomes(strip, rows, weight, shape, 1 / divisor, gradient,
                                                            outcomes);
    std::copy_n(outcomes.loss, rows, loss);
    if constexpr (with_factors) std::copy_n(outcomes.factor, rows, factor_);
  }

  template <bool all_digits, class OutcomeOf>
  void find_by_row(int rows, const OutcomeOf& outcome_of, bool gradient, V* loss) {
    for (int j = 0; j < rows; ++j) {
      const RowPartition<W> reduced = partition(j, all_digits);
      const LabelOutcome<V> outcome = outcome_of(reduced, j);
      loss[j] = regular(j) ? outcome.loss : quiet_nan<V>();
      outcomes.log_sum[j] = static_cast<double>(reduced.log_sum());
      if (!gradient) continue;
      const Factor<T> parts(V(outcome.factor * reduced.template unit<V>()));
      if constexpr (with_factors) factor_[j] = outcome.factor;
      outcomes.first[j] = parts.first;
      outcomes.second[j] = parts.second;
      outcomes.at_label[j] = static_cast<T>(outcome.at_label);
    }
  }

  V factor_[with_factors ? most : 1];
};

}  // namespace xent::detail
