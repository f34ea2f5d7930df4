// SPDX-License-Identifier: MIT
// xent/sigmoid_cross_entropy.hpp - the binary cross-entropy of logits, element by element, and its gradient.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/element_terms.hpp>
#include <xent/detail/elements.hpp>
#include <xent/detail/logistic.hpp>
#include <xent/detail/loss.hpp>
#include <xent/options.hpp>
#include <xent/reduction.hpp>

namespace xent {

namespace detail {

template <class W, class V, class Scalar>
struct SigmoidRule {
  const SigmoidCrossEntropyOptions<Scalar>& options;
  ElementWeights<V, Scalar> sample_weights;

  bool absent(Index i, Index k) const { return sample_weights.absent(i, k); }
  bool nothing() const { return sample_weights.nothing(); }

  V smoothed(const V& target) const {
    const V e = widen(options.label_smoothing);
    return e == V(0) ? target : V(V(V(V(1) - e) * target) + V(e / V(2)));
  }

  V weight(Index i, Index k) const { return sample_weights(i, k) * weight_at<V>(options.class_weights, k); }
  V pos(const V& target, Index k) const {
    return smoothed(target) * weight_at<V>(options.pos_weights, options.pos_weights.size() == 1 ? 0 : k);
  }
  V neg(const V& target) const { return smoothed(V(V(1) - target)); }

  bool by_kernel() const { return true; }
  /// What the kernels need to know: whether elements have weights, and what all have in common.
  bool weighted() const {
    return !sample_weights.values().empty() || !options.class_weights.empty() || !options.pos_weights.empty();
  }
  const WeightVector<Scalar>& pos_weights() const { return options.pos_weights; }
  const WeightVector<Scalar>& class_weights() const { return options.class_weights; }
  Scalar smoothing() const { return options.label_smoothing; }

  ElementOutcome<V> operator()(const W& z, const V& target, Index i, Index k) const {
    if (is_nan(z)) return {V(z), V(z)};
    const V weight = this->weight(i, k);
    if (weight == V(0)) return {V(0), V(0)};
    const BinaryLoss<W, V> binary(z, pos(target, k), neg(target));
    return {weight * binary.loss(), weight * binary.slope()};
  }
};

template <class Logits, class Scalar>
void check_sigmoid_options(const char* function, const Logits& logits,
                           const SigmoidCrossEntropyOptions<Scalar>& options) {
  check_unit_interval(function, "label_smoothing", options.label_smoothing);
  check_class_weights(function, options.class_weights, class_count(logits));
  if (options.pos_weights.size() == 1) {
    check_weight_values(function, "pos_weights", options.pos_weights, Sign::not_negative);
  } else {
    check_weights(function, "pos_weights", options.pos_weights, class_count(logits), "class (or a single one)",
                  Sign::not_negative);
  }
}

template <Reduction R, class Logits, class Targets, class Gradient, class Scalar>
auto sigmoid_cross_entropy(const char* function, const Logits& logits, const Targets& targets, Gradient& gradient,
                           const SigmoidCrossEntropyOptions<Scalar>& options) {
  using W = WorkOf<Logits>;
  using V = WideOf<Logits>;
  check_fits(function, "targets", targets, "logits", logits);
  check_sigmoid_options(function, logits, options);
  const SigmoidRule<W, V, Scalar> rule{options, ElementWeights<V, Scalar>(function, logits, options.sample_weights)};
  prepare_gradient(function, gradient, logits);
  return element_losses<R, W>(logits, targets, rule, gradient);
}

}  // namespace detail

/// The cross-entropy between each binary target and the sigmoid of its logit; also known as logistic loss or log loss.
///
///     loss_ik = s_i w_k [p_k t softplus(-z) + (1 - t) softplus(z)],   z = logits_ik, t = (1 - e) targets_ik + e / 2
///     mean:     sum_ik loss_ik divided by the number of elements
///
/// with e label_smoothing, p pos_weights, w class_weights, s sample_weights. Both softplus are >= 0 and accurate on both
/// sides, so a confident loss keeps its digits; without pos_weights the loss of (z, t) is that of (-z, 1 - t), bit for bit.
///
/// Shapes: logits and targets N x C (multi-label), or vectors; the losses of Reduction::none have the logits' shape. The
///         sample_weights of a vector are one number, or one for each element.
/// Units:  nats. The loss has the logits' scalar, float for half and bfloat16.
/// Edges:  a factor of exactly 0 contributes exactly 0: the loss at (+inf, 1) is 0, at (-inf, 1) it is +inf. A NaN logit
///         makes its element NaN. Rows of sample weight 0 are never read: loss 0. The mean over nothing: NaN.
/// Errors: std::invalid_argument for shapes and option values.
/// Source: the formula of torch.nn.functional.binary_cross_entropy_with_logits, in a form without cancellation.
///
///     float loss = xent::sigmoid_cross_entropy(logits, targets, {.pos_weights = w});
template <Reduction R = Reduction::mean, RealArray Logits, TargetsFor<Logits> Targets>
auto sigmoid_cross_entropy(const Logits& logits, const Targets& targets,
                           const SigmoidCrossEntropyOptions<ResultScalar<Logits>>& options = {}) {
  detail::NoGradient none;
  return detail::sigmoid_cross_entropy<R>("sigmoid_cross_entropy", logits, targets, none, options);
}

/// The same loss; writes its derivative with respect to the logits into `gradient`.
///
///     gradient_ik = s_i w_k [(1 - t) sigmoid(z) - p_k t sigmoid(-z)], divided by the number of elements for the mean
///
/// Shapes: gradient like logits, resized if it can be; it may be the logits' own storage.
/// Edges:  0 at (+inf, 1), -1 at (-inf, 1). Rows that count as absent: exactly 0. Reduction::none: the gradient of the sum.
/// Errors: as sigmoid_cross_entropy, and std::invalid_argument for a gradient of a wrong shape that cannot be resized; thrown
///         before anything is written.
/// Cost:   no heap allocation once `gradient` has its shape.
///
///     float loss = xent::sigmoid_cross_entropy_with_gradient(logits, targets, gradient);
template <Reduction R = Reduction::mean, RealArray Logits, TargetsFor<Logits> Targets, WritableArray<Logits> Gradient>
auto sigmoid_cross_entropy_with_gradient(const Logits& logits, const Targets& targets, Gradient&& gradient,
                                         const SigmoidCrossEntropyOptions<ResultScalar<Logits>>& options = {}) {
  return detail::sigmoid_cross_entropy<R>("sigmoid_cross_entropy_with_gradient", logits, targets, gradient, options);
}

/// The same with a new array for the gradient.
///
///     auto [loss, gradient] = xent::sigmoid_cross_entropy_with_gradient(logits, targets);
template <Reduction R = Reduction::mean, RealArray Logits, TargetsFor<Logits> Targets>
auto sigmoid_cross_entropy_with_gradient(const Logits& logits, const Targets& targets,
                                         const SigmoidCrossEntropyOptions<ResultScalar<Logits>>& options = {}) {
  return detail::with_new_gradient(logits, [&](auto& gradient) {
    return sigmoid_cross_entropy_with_gradient<R>(logits, targets, gradient, options);
  });
}

}  // namespace xent
