// SPDX-License-Identifier: MIT
// xent/divergence.hpp - entropy, cross-entropy and Kullback-Leibler divergence of given distributions.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/elements.hpp>
#include <xent/detail/reduce.hpp>
#include <xent/reduction.hpp>

namespace xent {

namespace detail {

template <class T>
void check_probabilities(const char* function, const char* name, const T& probs) {
  using W = WorkOf<T>;
  const Coefficients<T> p(probs);
  for (Index i = 0; i < row_count(probs); ++i) {
    for (Index k = 0; k < class_count(probs); ++k) {
      const W value = widen(p(i, k));
      if (value >= W(0) && value <= W(1) && !is_nan(value)) continue;
      refuse<std::invalid_argument>(function, name, "(", i, ", ", k, ") is ", value,
                                    ", expected a probability in [0, 1]; for logits use softmax_cross_entropy or"
                                    " sigmoid_cross_entropy");
    }
  }
}

/// Rows of bfloat16, whose entries are rounded by up to 1 in 256, may miss 1 by as much.
template <class T>
void check_distributions(const char* function, const char* name, const T& probs) {
  using W = WorkOf<T>;
  check_classes(function, probs, name);
  check_probabilities(function, name, probs);
  const Coefficients<T> p(probs);
  const W slack = std::is_same_v<typename T::Scalar, Eigen::bfloat16> ? W(0.004) : W(0.001);
  for (Index i = 0; i < row_count(probs); ++i) {
    Sum<W> total;
    for (Index k = 0; k < class_count(probs); ++k) total.add(widen(p(i, k)));
    const W sum = total.value();
    if (sum >= W(1) - slack && sum <= W(1) + slack) continue;
    refuse<std::invalid_argument>(function, name, " row ", i, " sums to ", sum, ", expected 1 within ", slack,
                                  "; for logits use softmax_cross_entropy");
  }
}

/// Every row counts once.
struct EveryRow {
  bool absent(Index) const { return false; }
};

/// The mean, sum or array of sum_k term(i, k) over the rows of an array like `shape`.
template <Reduction R, class T, class Term>
auto sum_rows(const T& shape, const Term& term) {
  using V = WideOf<T>;
  const auto row_loss = [&](Index i, const V&) {
    Sum<V> total;
    for (Index k = 0; k < class_count(shape); ++k) total.add(V(term(i, k)));
    return total.value();
  };
  return reduce_rows<R, ResultScalar<T>, V, threads_allowed<T>, RowResults<T>>(row_count(shape), class_count(shape),
                                                                               EveryRow{}, row_loss, [](Index) {});
}

/// sum_rows of term(targets_ik, probs_ik), both checked.
template <Reduction R, class Targets, class Probs, class Term>
auto compare_rows(const char* function, const Targets& targets, const Probs& probs, const Term& term) {
  check_fits(function, "targets", targets, "probs", probs);
  check_distributions(function, "targets", targets);
  check_distributions(function, "probs", probs);
  const Coefficients<Targets, is_sample<Probs>> t(targets);
  const Coefficients<Probs> p(probs);
  return sum_rows<R>(probs, [&](Index i, Index k) { return term(widen(t(i, k)), widen(p(i, k))); });
}

/// -weight log(p); 0 for a weight of 0, whatever p.
template <class W>
W surprise(const W& weight, const W& p) {
  using std::log;
  return weight == W(0) ? W(0) : W(-W(weight * W(log(p))));
}

/// -weight log(1 - p), likewise.
template <class W>
W surprise_of_not(const W& weight, const W& p) {
  return weight == W(0) ? W(0) : W(-W(weight * log1p_of(W(-p))));
}

/// t log(t / p), with the difference t - p exact where the quotient is near 1.
template <class W>
W relative_surprise(const W& t, const W& p) {
  using std::log;
  if (t == W(0)) return W(0);
  if (p == W(0)) return infinity<W>();
  const W quotient = t / p;
  if (quotient > W(0.5) && quotient < W(2)) return t * log1p_of(W(W(t - p) / p));
  return t * (is_finite(quotient) ? W(log(quotient)) : W(W(log(t)) - W(log(p))));
}

template <class V>
struct BinarySurprise {
  bool empty;
  bool absent(Index, Index) const { return false; }
  bool nothing() const { return empty; }
  ElementOutcome<V> operator()(const V& p, const V& t, Index, Index) const {
    return {surprise(t, p) + surprise_of_not(V(V(1) - t), p), V(0)};
  }
};

}  // namespace detail

/// The Shannon entropy of each row of probs: the least cross-entropy that any prediction of it can reach.
///
///     loss_i = -sum_k probs_ik log probs_ik,   0 log 0 = 0
///     mean:    over the rows
///
/// Shapes: N x C; a vector of C probabilities is one sample. Units: nats. Edges: the mean over no rows is NaN.
/// Errors: std::invalid_argument for C = 0, for entries outside [0, 1], and for rows that do not sum to 1 within 0.001
///         (0.004 for bfloat16, whose entries are no better).
/// Source: Shannon, A Mathematical Theory of Communication (1948), section 6.
///
///     float bits = xent::to_bits(xent::entropy(probs));
template <Reduction R = Reduction::mean, RealArray Probs>
auto entropy(const Probs& probs) {
  detail::check_distributions("entropy", "probs", probs);
  const detail::Coefficients<Probs> p(probs);
  return detail::sum_rows<R>(probs, [&](Eigen::Index i, Eigen::Index k) {
    const auto value = detail::widen(p(i, k));
    return detail::surprise(value, value);
  });
}

/// The cross-entropy of each row of probs under the distribution of the same row of targets. For predictions that come from
/// logits softmax_cross_entropy is the better function: it does not go through rounded probabilities.
///
///     loss_i = -sum_k targets_ik log probs_ik
///     mean:    over the rows
///
/// Shapes: targets and probs N x C, or two vectors of C. Units: nats.
/// Edges:  a probability of 0 where the target is positive: +inf (nothing is clamped); a target of 0: 0. No rows: NaN.
/// Errors: std::invalid_argument for shapes, C = 0, entries outside [0, 1], and rows that do not sum to 1 within 0.001
///         (0.004 for bfloat16, whose entries are no better).
///
///     float loss = xent::cross_entropy(targets, probs);
template <Reduction R = Reduction::mean, RealArray Targets, RealArray Probs>
  requires TargetsFor<Targets, Probs>
auto cross_entropy(const Targets& targets, const Probs& probs) {
  return detail::compare_rows<R>("cross_entropy", targets, probs,
                                 [](const auto& t, const auto& p) { return detail::surprise(t, p); });
}

/// The Kullback-Leibler divergence from each row of probs to the same row of targets: cross_entropy less entropy, without the
/// cancellation. It is 0 where the two are equal.
///
///     loss_i = sum_k targets_ik log(targets_ik / probs_ik)
///     mean:    over the rows
///
/// Shapes: targets and probs N x C, or two vectors of C. Units: nats.
/// Edges:  a probability of 0 where the target is positive: +inf; a target of 0: 0. No rows: NaN.
/// Errors: std::invalid_argument for shapes, C = 0, entries outside [0, 1], and rows that do not sum to 1 within 0.001
///         (0.004 for bfloat16, whose entries are no better).
/// Source: Kullback, Leibler, On Information and Sufficiency (1951), equation 2.4.
///
///     float loss = xent::kl_divergence(targets, probs);
template <Reduction R = Reduction::mean, RealArray Targets, RealArray Probs>
  requires TargetsFor<Targets, Probs>
auto kl_divergence(const Targets& targets, const Probs& probs) {
  return detail::compare_rows<R>("kl_divergence", targets, probs,
                                 [](const auto& t, const auto& p) { return detail::relative_surprise(t, p); });
}

/// The cross-entropy of each binary target and its probability, element by element. For probabilities that come from logits
/// sigmoid_cross_entropy is the better function.
///
///     loss_ik = -(t log p + (1 - t) log(1 - p)),   t = targets_ik, p = probs_ik
///     mean:     over the elements
///
/// Shapes: targets and probs alike; the losses of Reduction::none have that shape. Units: nats.
/// Edges:  a probability of 0 where the target is positive, or of 1 where it is below 1: +inf (nothing is clamped, the loss has
///         no bound). No elements: NaN.
/// Errors: std::invalid_argument for shapes and for entries outside [0, 1].
///
///     float loss = xent::binary_cross_entropy(targets, probs);
template <Reduction R = Reduction::mean, RealArray Targets, RealArray Probs>
  requires TargetsFor<Targets, Probs>
auto binary_cross_entropy(const Targets& targets, const Probs& probs) {
  detail::check_fits("binary_cross_entropy", "targets", targets, "probs", probs);
  detail::check_probabilities("binary_cross_entropy", "targets", targets);
  detail::check_probabilities("binary_cross_entropy", "probs", probs);
  detail::NoGradient none;
  using V = detail::WideOf<Probs>;
  const detail::BinarySurprise<V> rule{probs.size() == 0};
  return detail::element_losses<R, V>(probs, targets, rule, none);
}

}  // namespace xent
