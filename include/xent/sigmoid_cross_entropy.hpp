// SPDX-License-Identifier: MIT
// xent/sigmoid_cross_entropy.hpp - the binary cross-entropy of logits, element by element, and its gradient.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/element_terms.hpp>
#include <xent/detail/engine.hpp>
#include <xent/detail/logistic.hpp>
#include <xent/detail/loss.hpp>
#include <xent/options.hpp>
#include <xent/reduction.hpp>

namespace xent {

namespace detail {

template <class W, class Scalar>
struct SigmoidRule {
  const SigmoidCrossEntropyOptions<Scalar>& options;
  ElementWeights<W, Scalar> sample_weights;

  template <class Logits>
  SigmoidRule(const char* function, const Logits& logits, const SigmoidCrossEntropyOptions<Scalar>& o)
      : options(o), sample_weights(function, logits, o.sample_weights) {
    check_unit_interval(function, "label_smoothing", o.label_smoothing);
    check_class_weights(function, o.class_weights, class_count(logits));
    if (o.pos_weights.size() == 1) {
      check_weight_values(function, "pos_weights", o.pos_weights, Sign::not_negative);
    } else {
      check_weights(function, "pos_weights", o.pos_weights, class_count(logits), "class (or a single one)",
                    Sign::not_negative);
    }
  }

  bool absent(Index i, Index k) const { return sample_weights.absent(i, k); }
  bool nothing() const { return sample_weights.nothing(); }

  W smoothed(const W& target) const {
    const W e = widen(options.label_smoothing);
    return e == W(0) ? target : W(W(W(W(1) - e) * target) + W(e / W(2)));
  }

  ElementOutcome<W> operator()(const W& z, const W& target, Index i, Index k) const {
    const W weight = sample_weights(i, k) * weight_at<W>(options.class_weights, k);
    if (weight == W(0) && !is_nan(z)) return {W(0), W(0)};
    const W pos = weight_at<W>(options.pos_weights, options.pos_weights.size() == 1 ? 0 : k) * smoothed(target);
    const W neg = smoothed(W(W(1) - target));
    const BinaryLoss<W> binary(z, pos, neg);
    if (is_nan(z)) return {z, z};
    return {weight * binary.loss(), weight * binary.slope()};
  }
};

template <Reduction R, class Logits, class Targets, class Gradient, class Scalar>
auto sigmoid_cross_entropy(const char* function, const Logits& logits, const Targets& targets, Gradient& gradient,
                           const SigmoidCrossEntropyOptions<Scalar>& options) {
  check_fits(function, "targets", targets, "logits", logits);
  const SigmoidRule<WorkOf<Logits>, Scalar> rule(function, logits, options);
  prepare_gradient(function, gradient, logits);
  return element_losses<R, WorkOf<Logits>>(logits, targets, rule, gradient);
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
