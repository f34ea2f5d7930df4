// SPDX-License-Identifier: MIT
// xent/focal_loss.hpp - cross-entropies that turn away from what is already predicted well.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/element_terms.hpp>
#include <xent/detail/elements.hpp>
#include <xent/detail/engine.hpp>
#include <xent/detail/logistic.hpp>
#include <xent/detail/loss.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/detail/terms.hpp>
#include <xent/options.hpp>
#include <xent/reduction.hpp>

#include <type_traits>  // std::type_identity

namespace xent {

namespace detail {

/// The terms of the label, but the mean is over the sample weights alone.
template <class V, class Labels, class Options>
class FocalTerms : public LabelTerms<V, Labels, Options> {
 public:
  using LabelTerms<V, Labels, Options>::LabelTerms;
  V share(Index i) const { return this->sample_weight(i); }
  V sum_of_shares(Index first, int count) const {
    V sum(0);
    for (Index i = first; i < first + count; ++i) sum = sum + (this->absent(i) ? V(0) : share(i));
    return sum;
  }
};

/// With q = 1 - p_y the loss is q^gamma nll, its gradient f (p_k - [k = y]) with f = q^gamma (1 + gamma p_y nll / q):
/// the plain gradient scaled, since nll / q tends to 1 where q vanishes.
template <class V>
struct FocalRule : PlainRule<V> {
  V gamma;

  explicit FocalRule(const V& focus) : gamma(focus) {}

  static constexpr bool may_magnify = true;
  static constexpr bool may_weigh = true;
  bool plain() const { return gamma == V(0); }
  /// A power multiplies the error of its base.
  Magnified magnifies() const {
    return plain() ? Magnified::not_at_all : gamma <= V(3) ? Magnified::little : Magnified::much;
  }
  V power() const { return gamma; }

  RowOutcome<V> operator()(const RowFacts<V>& row, Index, const V& cross_entropy) const {
    if (plain()) return {cross_entropy};
    const V& p = row.probability;
    const V& q = row.others;
    const V factor = detail::power(q, gamma);
    const V pull = p == V(0) || q == V(0) ? V(0) : V(V(gamma * p) * V(row.nll / q));
    return {factor * cross_entropy, V(0), factor * V(V(1) + pull)};
  }
};

template <Reduction R, class W, class Logits, class Labels, class Gradient, class Scalar>
auto softmax_focal_losses(const Logits& logits, const Labels& labels, Gradient& gradient,
                          const SoftmaxFocalLossOptions<Scalar>& options) {
  using V = WideOf<Logits>;
  const FocalTerms<V, Labels, SoftmaxFocalLossOptions<Scalar>> terms(labels, options);
  return softmax_losses<R, W>(logits, terms, FocalRule<V>(V(widen(options.gamma))), gradient);
}

template <Reduction R, class Logits, class Labels, class Gradient, class Scalar>
auto softmax_focal_loss(const char* function, const Logits& logits, const Labels& labels, Gradient& gradient,
                        const SoftmaxFocalLossOptions<Scalar>& options) {
  check_classes(function, logits);
  check_not_negative(function, "gamma", options.gamma);
  check_class_weights(function, options.class_weights, class_count(logits));
  check_sample_weights(function, options.sample_weights, row_count(logits));
  check_label_count(function, labels, row_count(logits));
  check_labels(function, labels, class_count(logits), options.ignore_index);
  prepare_gradient(function, gradient, logits);
  // The power multiplies the error of its base; without it the loss is the plain one, to the bit.
  if (options.gamma == Scalar(0)) return softmax_focal_losses<R, WorkOf<Logits>>(logits, labels, gradient, options);
  return softmax_focal_losses<R, WideOf<Logits>>(logits, labels, gradient, options);
}

template <class W, class V, class Scalar>
struct SigmoidFocalRule {
  const SigmoidFocalLossOptions<Scalar>& options;
  ElementWeights<V, Scalar> sample_weights;

  bool absent(Index i, Index k) const { return sample_weights.absent(i, k); }
  bool nothing() const { return sample_weights.nothing(); }

  /// Without power and balance this is the plain loss, by its kernel, to the bit.
  bool by_kernel() const { return options.gamma == Scalar(0) && !options.alpha; }
  bool weighted() const { return !sample_weights.values().empty(); }
  WeightVector<Scalar> pos_weights() const { return {}; }
  WeightVector<Scalar> class_weights() const { return {}; }
  Scalar smoothing() const { return Scalar(0); }
  V smoothed(const V& target) const { return target; }

  V balance(const V& target) const {
    if (!options.alpha) return V(1);
    const V alpha = widen(*options.alpha);
    return V(alpha * target) + V(V(V(1) - alpha) * V(V(1) - target));
  }

  ElementOutcome<V> operator()(const W& z, const V& target, Index i, Index k) const {
    if (is_nan(z)) return {V(z), V(z)};
    const V weight = sample_weights(i, k) * balance(target);
    if (weight == V(0)) return {V(0), V(0)};
    const BinaryLoss<W, V> binary(z, target, V(V(1) - target));
    const V gamma = widen(options.gamma);
    if (gamma == V(0)) return {weight * binary.loss(), weight * binary.slope()};
    return {weight * binary.focal_loss(gamma), weight * binary.focal_slope(gamma)};
  }
};

template <Reduction R, class Logits, class Targets, class Gradient, class Scalar>
auto sigmoid_focal_loss(const char* function, const Logits& logits, const Targets& targets, Gradient& gradient,
                        const SigmoidFocalLossOptions<Scalar>& options) {
  using V = WideOf<Logits>;
  check_fits(function, "targets", targets, "logits", logits);
  check_not_negative(function, "gamma", options.gamma);
  if (options.alpha) check_unit_interval(function, "alpha", *options.alpha);
  const ElementWeights<V, Scalar> sample_weights(function, logits, options.sample_weights);
  prepare_gradient(function, gradient, logits);
  const auto run = [&]<class W>(std::type_identity<W>) {
    return element_losses<R, W>(logits, targets, SigmoidFocalRule<W, V, Scalar>{options, sample_weights}, gradient);
  };
  if (options.gamma == Scalar(0)) return run(std::type_identity<WorkOf<Logits>>());
  return run(std::type_identity<V>());
}

}  // namespace detail

/// The focal loss of each row's label under the softmax of its logits.
///
///     loss_i = s_i w_y (1 - p_y)^gamma nll_iy,   p = softmax(logits)_i, y = labels_i
///     mean:    sum_i loss_i divided by sum_i s_i over the rows that count
///
/// with w class_weights, s sample_weights. 1 - p_y is the sum of the other probabilities, so it keeps its digits where p_y is
/// nearly 1. gamma = 0 is the plain cross-entropy, exactly.
///
/// Shapes: logits N x C, labels N integers of any type; a vector of C logits and one label are one sample.
/// Units:  nats. The loss has the logits' scalar, float for half and bfloat16.
/// Edges:  as softmax_cross_entropy; no NaN at p_y = 0 or 1, whatever gamma.
/// Errors: std::invalid_argument for shapes and option values, std::out_of_range for labels outside [0, C).
/// Source: Lin et al., Focal Loss for Dense Object Detection (arXiv 1708.02002), equation 4.
///
///     float loss = xent::softmax_focal_loss(logits, labels, {.gamma = 1.5f});
template <Reduction R = Reduction::mean, RealArray Logits, LabelsFor<Logits> Labels>
auto softmax_focal_loss(const Logits& logits, const Labels& labels,
                        const SoftmaxFocalLossOptions<ResultScalar<Logits>>& options = {}) {
  detail::NoGradient none;
  return detail::softmax_focal_loss<R>("softmax_focal_loss", logits, labels, none, options);
}

/// The same loss; writes its derivative with respect to the logits into `gradient`.
///
///     gradient_ik = s_i w_y (1 - p_y)^gamma (1 + gamma p_y nll_iy / (1 - p_y)) (p_k - [k = y]) / D
///
/// Shapes, edges and errors: as softmax_cross_entropy_with_gradient.
///
///     float loss = xent::softmax_focal_loss_with_gradient(logits, labels, gradient);
template <Reduction R = Reduction::mean, RealArray Logits, LabelsFor<Logits> Labels, WritableArray<Logits> Gradient>
auto softmax_focal_loss_with_gradient(const Logits& logits, const Labels& labels, Gradient&& gradient,
                                      const SoftmaxFocalLossOptions<ResultScalar<Logits>>& options = {}) {
  return detail::softmax_focal_loss<R>("softmax_focal_loss_with_gradient", logits, labels, gradient, options);
}

/// The same with a new array for the gradient.
///
///     auto [loss, gradient] = xent::softmax_focal_loss_with_gradient(logits, labels);
template <Reduction R = Reduction::mean, RealArray Logits, LabelsFor<Logits> Labels>
auto softmax_focal_loss_with_gradient(const Logits& logits, const Labels& labels,
                                      const SoftmaxFocalLossOptions<ResultScalar<Logits>>& options = {}) {
  return detail::with_new_gradient(
      logits, [&](auto& gradient) { return softmax_focal_loss_with_gradient<R>(logits, labels, gradient, options); });
}

/// The focal loss of each binary target under the sigmoid of its logit.
///
///     loss_ik = s_i alpha_t (1 - p_t)^gamma [t softplus(-z) + (1 - t) softplus(z)],   z = logits_ik, t = targets_ik
///     p_t = p t + (1 - p)(1 - t), p = sigmoid(z);   alpha_t = alpha t + (1 - alpha)(1 - t), 1 without alpha
///     mean:     sum_ik loss_ik divided by the number of elements
///
/// gamma = 0 without alpha is the plain cross-entropy, exactly.
///
/// Shapes: logits and targets N x C, or vectors; targets in [0, 1].
/// Units:  nats. The loss has the logits' scalar, float for half and bfloat16.
/// Edges:  as sigmoid_cross_entropy; no NaN at p = 0 or 1, whatever gamma.
/// Errors: std::invalid_argument for shapes and option values.
/// Source: Lin et al. (arXiv 1708.02002), equation 5, for soft targets as torchvision.ops.sigmoid_focal_loss.
///
///     float loss = xent::sigmoid_focal_loss(logits, targets, {.gamma = 2, .alpha = 0.25f});
template <Reduction R = Reduction::mean, RealArray Logits, TargetsFor<Logits> Targets>
auto sigmoid_focal_loss(const Logits& logits, const Targets& targets,
                        const SigmoidFocalLossOptions<ResultScalar<Logits>>& options = {}) {
  detail::NoGradient none;
  return detail::sigmoid_focal_loss<R>("sigmoid_focal_loss", logits, targets, none, options);
}

/// The same loss; writes its derivative with respect to the logits into `gradient`.
///
/// Shapes, edges and errors: as sigmoid_cross_entropy_with_gradient.
///
///     float loss = xent::sigmoid_focal_loss_with_gradient(logits, targets, gradient);
template <Reduction R = Reduction::mean, RealArray Logits, TargetsFor<Logits> Targets, WritableArray<Logits> Gradient>
auto sigmoid_focal_loss_with_gradient(const Logits& logits, const Targets& targets, Gradient&& gradient,
                                      const SigmoidFocalLossOptions<ResultScalar<Logits>>& options = {}) {
  return detail::sigmoid_focal_loss<R>("sigmoid_focal_loss_with_gradient", logits, targets, gradient, options);
}

/// The same with a new array for the gradient.
///
///     auto [loss, gradient] = xent::sigmoid_focal_loss_with_gradient(logits, targets);
template <Reduction R = Reduction::mean, RealArray Logits, TargetsFor<Logits> Targets>
auto sigmoid_focal_loss_with_gradient(const Logits& logits, const Targets& targets,
                                      const SigmoidFocalLossOptions<ResultScalar<Logits>>& options = {}) {
  return detail::with_new_gradient(
      logits, [&](auto& gradient) { return sigmoid_focal_loss_with_gradient<R>(logits, targets, gradient, options); });
}

}  // namespace xent
