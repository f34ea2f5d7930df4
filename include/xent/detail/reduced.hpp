// SPDX-License-Identifier: MIT
// xent/detail/reduced.hpp - rows reduced to their sums by the kernels: their losses, and what their gradients are made of.
#pragma once

#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
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
/// vectors in double, of doubles in pairs of them.
template <class Logits, class Exps, std::size_t most>
class ReducedRows {
 public:
  using T = typename Exps::T;
  using V = WideOf<Logits>;
  using W = std::conditional_t<Exps::careful, V, WorkOf<Logits>>;

  Strip<T, most> strip;
  StripOutcomes<T, most> outcomes;

  bool regular(int j) const { return is_finite(strip.max[j]) && !is_nan(strip.sum[j]); }

  RowPartition<W> partition(int j) const {
    constexpr double unlift = ExpConstants<T>::unlift;
    const double lost = sizeof(T) == sizeof(float) ? 0.0 : strip.lost[j] * unlift;
    return RowPartition<W>::of(strip.max[j], {strip.sum[j] * unlift, lost, double(strip.equal[j]),
                                              double(strip.moved[j]), double(strip.exponent[j])});
  }

  V logsumexp(int j) const { return V(strip.max[j]) + V(outcomes.log_sum[j]); }
  V factor(int j) const { return V(outcomes.factor[j]); }

  /// What becomes of a softmax, and of all that is made of it.
  void find_outcomes(int rows) {
    V loss[most];
    std::copy_n(strip.max, std::min(lanes_of(rows), int(most)), strip.logit);
    find_shaped(rows, nullptr, {}, V(1), true, loss);
  }

  /// The losses of the rows from `begin` on: what the rule makes of the weight times nll at the label.
  template <class Rule>
  void find_losses(Index begin, int rows, const V* weight, const Rule& rule, const V& divisor, bool gradient, V* loss) {
    alignas(64) double z_weight[most];
    find_shaped(rows, weight, shape_of(rule, begin, rows, z_weight), divisor, gradient, loss);
  }

 private:
  // Where errors are magnified: then floats are not summed as for the plain loss.
  static constexpr bool focuses = Exps::careful || std::is_same_v<T, double>;

  /// Of weight 1 where there are none.
  void find_shaped(int rows, const V* weight, const LossShape& shape, const V& divisor, bool gradient, V* loss) {
    if constexpr (std::is_same_v<V, long double>) {
      find_by_pairs(rows, weight, shape, divisor, gradient, loss);
    } else {
      kernels<StripOutcomeTable<T, most, focuses>>().outcomes(strip, rows, weight, shape, 1 / divisor, gradient,
                                                              outcomes);
      std::copy_n(outcomes.loss, rows, loss);
    }
  }

  void find_by_pairs(int rows, const V* weight, const LossShape& shape, const V& divisor, bool gradient, V* loss) {
    alignas(64) double high[most];
    alignas(64) double low[most];
    for (int j = 0; weight != nullptr && j < rows; ++j) {
      const TwoParts parts(weight[j]);
      high[j] = parts.high;
      low[j] = parts.low;
    }
    kernels<PairOutcomeTable<most>>().outcomes(strip, rows, weight == nullptr ? nullptr : high,
                                               weight == nullptr ? nullptr : low, shape, TwoParts(1 / divisor),
                                               gradient, outcomes);
    for (int j = 0; j < rows; ++j) loss[j] = V(outcomes.loss[j]) * V(outcomes.grow[j]);
  }
};

/// Of rows that one kernel takes all the way, what the functions need.
template <class T, std::size_t most>
struct OwnSums {
  alignas(64) T max[most];
  alignas(64) double log_sum[most];
};

}  // namespace xent::detail
