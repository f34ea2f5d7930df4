// SPDX-License-Identifier: MIT
// xent/detail/engine.hpp - the one door to the kernels: every pass over rows of logits goes through here.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/accumulate.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/parallel.hpp>
#include <xent/detail/reduce.hpp>
#include <xent/detail/row_partition.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/reduction.hpp>

#include <type_traits>

namespace xent::detail {

/// What a rule makes of the plain cross-entropy of a row: its loss, and the gradient scale * ((b + surplus) p_k - b_k),
/// b the sum of the coefficients b_k.
template <class V>
struct RowOutcome {
  V loss;
  V surplus = V(0);
  V scale = V(1);
};

/// g_k = scale * (a p_k - b_k) / divisor with a = sum of b + surplus. At the maximum, where a p - b would cancel for a
/// confident row, it is (the others' b + surplus) p - b (1 - p), with 1 - p the sum of the other probabilities.
template <class W, class V, class Scalar, class Out, class RowTerms>
void write_gradient(const RowPartition<W>& partition, const Row<Scalar>& z, const RowTerms& coefficient,
                    const V& others, const RowOutcome<V>& outcome, const V& divisor, const Row<Out>& gradient) {
  const Index arg = partition.arg();
  const V at_maximum = coefficient(arg, false);
  const V rest = others + outcome.surplus;
  const V all = rest + at_maximum;
  for (Index k = 0; k < z.size; ++k) {
    const W logit = widen(z[k]);
    const V p = partition.template probability<V>(logit);
    const V core = k == arg ? V(V(rest * p) - V(at_maximum * partition.template others<V>(k, logit)))
                            : V(V(all * p) - coefficient(k, logit == W(-infinity<W>())));
    gradient[k] = narrow<Out>(V(V(outcome.scale * core) / divisor));
  }
}

/// The loss of one row, sum_k b_k nll_k as the rule sees it, and its gradient where `gradient` is a row.
template <class W, class V, class Scalar, class Terms, class Rule, class GradientRow>
V softmax_row(const Row<Scalar>& z, const Terms& terms, const Rule& rule, Index i, const V& divisor,
              const GradientRow& gradient) {
  constexpr bool with_gradient = !std::is_same_v<GradientRow, NoGradient>;
  const RowPartition<W> partition(z);
  if (!partition.regular()) {
    if constexpr (with_gradient) fill(gradient, quiet_nan<V>());
    return quiet_nan<V>();
  }
  const auto coefficient = terms.row(i, partition.unmasked());
  Sum<V> cross_entropy;
  Sum<V> others;
  for (Index k = 0; k < z.size; ++k) {
    const W logit = widen(z[k]);
    const V b = coefficient(k, logit == W(-infinity<W>()));
    if (b == V(0)) continue;  // a factor of 0 contributes 0, whatever the logit
    if (k != partition.arg()) others.add(b);
    cross_entropy.add(V(-V(b * partition.template log_probability<V>(logit))));
  }
  const RowOutcome<V> outcome = rule(partition, z, i, cross_entropy.value());
  if constexpr (with_gradient) write_gradient(partition, z, coefficient, others.value(), outcome, divisor, gradient);
  return outcome.loss;
}

/// Row i of the gradient, or nothing.
template <bool sample, class Gradient>
auto gradient_row(Gradient& gradient, Index i) {
  if constexpr (std::is_same_v<Gradient, NoGradient>) {
    return NoGradient{};
  } else {
    return cells<sample>(gradient).row(i);
  }
}

/// Every loss of the softmax family: sum_k b_k nll_k for each row, with b from `terms`, shaped by `rule`.
/// `gradient` has the right shape by now, or is NoGradient. It may be the logits' own storage: z_k is read before g_k is
/// written. Logits that are an expression are evaluated once, into the row of the gradient where there is one.
template <Reduction R, class W, RealArray Logits, class Terms, class Rule, class Gradient>
auto softmax_losses(const Logits& logits, const Terms& terms, const Rule& rule, Gradient& gradient) {
  using V = WideOf<Logits>;
  using Result = ResultScalar<Logits>;
  constexpr bool with_gradient = !std::is_same_v<Gradient, NoGradient>;
  constexpr bool sample = is_sample<Logits>;
  const Rows<Logits> logit_rows(logits);
  const auto row_loss = [&](Index i, const V& divisor) {
    const auto g = gradient_row<sample>(gradient, i);
    if constexpr (with_gradient) {
      return softmax_row<W, V>(logit_rows(i, g), terms, rule, i, divisor, g);
    } else {
      RowScratch<Logits> scratch(class_count(logits));
      return softmax_row<W, V>(logit_rows(i, scratch.row()), terms, rule, i, divisor, g);
    }
  };
  const auto clear = [&](Index i) {
    if constexpr (with_gradient) fill(gradient_row<sample>(gradient, i), V(0));
  };
  return reduce_rows<R, Result, V, threads_allowed<Logits>, RowResults<Logits>>(row_count(logits), class_count(logits),
                                                                                terms, row_loss, clear);
}

/// out_ik = f(partition_i, logits_ik), the functions that a softmax is made of; rows without a finite maximum become NaN.
template <RealArray Logits, class Out, class Function>
void map_logits(const char* function, const Logits& logits, Out& out, const Function& f) {
  using W = WorkOf<Logits>;
  check_classes(function, logits);
  check_output(function, "out", out, logits);
  resize_output(out, logits);
  const Rows<Logits> logit_rows(logits);
  for_chunks<threads_allowed<Logits>>(row_count(logits), logits.size(), [&](Index, Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const auto out_row = cells<is_sample<Logits>>(out).row(i);
      const auto z = logit_rows(i, out_row);
      const RowPartition<W> partition(z);
      if (!partition.regular()) {
        fill(out_row, quiet_nan<W>());
        continue;
      }
      for (Index k = 0; k < z.size; ++k) out_row[k] = narrow<typename Out::Scalar>(f(partition, widen(z[k])));
    }
  });
}

}  // namespace xent::detail
