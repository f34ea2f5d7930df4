// SPDX-License-Identifier: MIT
// xent/softmax_cross_entropy.hpp - the cross-entropy of logits against labels or targets, and its gradient.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/engine.hpp>
#include <xent/detail/loss.hpp>
#include <xent/detail/terms.hpp>
#include <xent/options.hpp>
#include <xent/reduction.hpp>

namespace xent {

namespace detail {

/// The plain loss, and z_loss * logsumexp^2 on top.
template <class V, class Terms>
struct ZLossRule : PlainRule<V> {
  const Terms& terms;
  V z_loss;

  ZLossRule(const Terms& all, const V& factor) : terms(all), z_loss(factor) {}

  static constexpr bool may_smooth = true;
  static constexpr bool may_weigh = true;
  bool plain() const { return z_loss == V(0); }
  V smoothing() const { return terms.smoothing(); }
  V z_loss_of(Index i) const { return terms.sample_weight(i) * z_loss; }

  RowOutcome<V> operator()(const RowFacts<V>& row, Index i, const V& cross_entropy) const {
    if (plain()) return {cross_entropy};
    const V slope = z_loss_of(i) * row.logsumexp;
    return {cross_entropy + V(slope * row.logsumexp), V(2) * slope};
  }
};

template <class Logits, class Scalar>
void check_options(const char*, const Logits&, const NoOptions<Scalar>&) {}

template <class Logits, class Scalar>
void check_options(const char* function, const Logits& logits, const SoftmaxCrossEntropyOptions<Scalar>& options) {
  check_unit_interval(function, "label_smoothing", options.label_smoothing);
  check_class_weights(function, options.class_weights, class_count(logits));
  check_sample_weights(function, options.sample_weights, row_count(logits));
  check_not_negative(function, "z_loss", options.z_loss);
}

template <class Logits, class Target, class Options>
void check_softmax_arguments(const char* function, const Logits& logits, const Target& target, const Options& options) {
  check_classes(function, logits);
  check_options(function, logits, options);
  if constexpr (LabelsFor<Target, Logits>) {
    check_label_count(function, target, row_count(logits));
  } else {
    check_fits(function, "targets", target, "logits", logits);
  }
}

template <class V, class Logits, class Target, class Options>
auto softmax_terms(const Target& target, const Options& options) {
  if constexpr (LabelsFor<Target, Logits>) {
    return LabelTerms<V, Target, Options>(target, options);
  } else {
    return TargetTerms<V, Target, is_sample<Logits>, Options>(target, options);
  }
}

template <class Scalar>
constexpr bool shows_bad_labels(const NoOptions<Scalar>&) {
  return true;
}

/// Whether a label outside the classes shows in the loss: not where a weight or smoothing may leave its logit out, nor of
/// smoothed labels with z_loss, which other kernels take.
template <class Scalar>
bool shows_bad_labels(const SoftmaxCrossEntropyOptions<Scalar>& options) {
  const bool smoothed = options.label_smoothing != Scalar(0);
  return options.class_weights.empty() && options.sample_weights.empty() && options.label_smoothing != Scalar(1) &&
         !(smoothed && options.z_loss != Scalar(0));
}

template <Reduction R, class V, class Logits, class Terms, class Options, class Gradient>
auto value_of_softmax_losses(const Logits& logits, const Terms& terms, const Options& options, Gradient& gradient) {
  if constexpr (std::is_same_v<Options, NoOptions<ResultScalar<Logits>>>) {
    return softmax_losses<R, WorkOf<Logits>>(logits, terms, PlainRule<V>(), gradient);
  } else {
    const ZLossRule rule(terms, V(widen(options.z_loss)));
    // logsumexp is ill conditioned near 0, so where it enters the loss its exponentials are taken a step wider.
    if (!rule.plain()) return softmax_losses<R, V>(logits, terms, rule, gradient);
    return softmax_losses<R, WorkOf<Logits>>(logits, terms, rule, gradient);
  }
}

template <Reduction R, class Logits, class Target, class Gradient, class Options>
auto softmax_cross_entropy(const char* function, const Logits& logits, const Target& target, Gradient& gradient,
                           const Options& options) {
  using V = WideOf<Logits>;
  const Index classes = class_count(logits);
  check_softmax_arguments(function, logits, target, options);
  const auto check_each_label = [&] {
    if constexpr (LabelsFor<Target, Logits>) check_labels(function, target, classes, options.ignore_index);
  };
  const bool later = shows_bad_labels(options) && notices_labels<R, Logits, Target, Gradient>(classes);
  if (!later) check_each_label();
  prepare_gradient(function, gradient, logits);
  const auto loss = value_of_softmax_losses<R, V>(logits, softmax_terms<V, Logits>(target, options), options, gradient);
  if constexpr (R != Reduction::none) {
    if (later && is_nan(loss)) check_each_label();
  }
  return loss;
}

}  // namespace detail

/// The cross-entropy between each row's target distribution and the softmax of its logits.
///
///     nll_ik = -log softmax(logits)_ik = (max_i - logits_ik) + log1p(tail_i)
///     labels:   loss_i = s_i [(1 - e) w_y nll_iy + (e / C') sum_k w_k nll_ik + z_loss logsumexp_i^2]     y = labels_i
///     targets:  loss_i = s_i [sum_k w_k ((1 - e) targets_ik + e / C') nll_ik + z_loss logsumexp_i^2]
///     mean:     sum_i loss_i divided by sum_i s_i w_(y_i) for labels, by sum_i s_i for targets, over the rows that count
///
/// with e label_smoothing, w class_weights, s sample_weights. C' and the smoothing run over the C' classes whose logit is
/// not -inf: masked classes take no part. Both parts of nll are >= 0, so a loss of 1e-30 comes out as 1e-30.
///
/// Shapes: logits N x C; labels N integers of any type, or targets N x C (rows need not sum to 1). A vector of C logits is
///         one sample, with one label or a vector of C targets.
/// Units:  nats; see to_bits and perplexity. The loss has the logits' scalar, float for half and bfloat16.
/// Edges:  rows whose label is ignore_index or whose sample weight is 0 are never read: loss 0. A factor of exactly 0 (a
///         target, a class weight) contributes exactly 0. -inf on the label's class: +inf. A row that is all -inf or has a
///         +inf or a NaN: NaN. The mean over nothing: NaN.
/// Errors: std::invalid_argument for shapes and option values, std::out_of_range for labels outside [0, C).
/// Cost:   two passes over each row, the second mostly from the caches, or one; an expression is never evaluated as a whole.
/// Source: Blanchard, Higham, Higham, IMA J. Numer. Anal. 41 (2021) for the shifted form; the options' formulas are those
///         of torch.nn.functional.cross_entropy where no logit is -inf; z_loss as in PaLM (arXiv 2204.02311, section 5).
///
///     float loss = xent::softmax_cross_entropy(logits, labels, {.ignore_index = 0, .class_weights = w});
///     Eigen::ArrayXf each = xent::softmax_cross_entropy<xent::Reduction::none>(logits, targets);
template <Reduction R = Reduction::mean, RealArray Logits, LabelsFor<Logits> Labels>
auto softmax_cross_entropy(const Logits& logits, const Labels& labels,
                           const SoftmaxCrossEntropyOptions<ResultScalar<Logits>>& options) {
  detail::NoGradient none;
  return detail::softmax_cross_entropy<R>("softmax_cross_entropy", logits, labels, none, options);
}

template <Reduction R = Reduction::mean, RealArray Logits, TargetsFor<Logits> Targets>
auto softmax_cross_entropy(const Logits& logits, const Targets& targets,
                           const SoftmaxCrossEntropyOptions<ResultScalar<Logits>>& options) {
  detail::NoGradient none;
  return detail::softmax_cross_entropy<R>("softmax_cross_entropy", logits, targets, none, options);
}

/// Without options, to the same bits. What only they need is not compiled: half of the kernels.
template <Reduction R = Reduction::mean, RealArray Logits, class Truth>
  requires LabelsFor<Truth, Logits> || TargetsFor<Truth, Logits>
auto softmax_cross_entropy(const Logits& logits, const Truth& labels_or_targets) {
  detail::NoGradient none;
  return detail::softmax_cross_entropy<R>("softmax_cross_entropy", logits, labels_or_targets, none,
                                          detail::NoOptions<ResultScalar<Logits>>());
}

/// The same loss; writes its derivative with respect to the logits into `gradient`.
///
///     gradient_ik = (a_i softmax(logits)_ik - b_ik) / D,   b_ik the factor of nll_ik above, D the divisor of the mean,
///                   a_i = sum_k b_ik + 2 s_i z_loss logsumexp_i
///
/// formed without subtracting from a rounded 1: where the label has the largest logit it is -tail / (1 + tail).
///
/// Shapes: gradient N x C, resized if it can be; it may be the logits' own storage, then the gradient replaces them.
/// Edges:  rows that count as absent: exactly 0. Reduction::none: the gradient of the sum. The mean over nothing: exactly 0,
///         so that it never poisons parameters. A NaN row: NaN in that row only.
/// Errors: as softmax_cross_entropy, and std::invalid_argument for a gradient of a wrong shape that cannot be resized; thrown
///         before anything is written.
/// Cost:   no heap allocation once `gradient` has its shape.
///
///     float loss = xent::softmax_cross_entropy_with_gradient(logits, labels, gradient);
template <Reduction R = Reduction::mean, RealArray Logits, LabelsFor<Logits> Labels, WritableArray<Logits> Gradient>
auto softmax_cross_entropy_with_gradient(const Logits& logits, const Labels& labels, Gradient&& gradient,
                                         const SoftmaxCrossEntropyOptions<ResultScalar<Logits>>& options) {
  return detail::softmax_cross_entropy<R>("softmax_cross_entropy_with_gradient", logits, labels, gradient, options);
}

template <Reduction R = Reduction::mean, RealArray Logits, TargetsFor<Logits> Targets, WritableArray<Logits> Gradient>
auto softmax_cross_entropy_with_gradient(const Logits& logits, const Targets& targets, Gradient&& gradient,
                                         const SoftmaxCrossEntropyOptions<ResultScalar<Logits>>& options) {
  return detail::softmax_cross_entropy<R>("softmax_cross_entropy_with_gradient", logits, targets, gradient, options);
}

/// Without options, as above.
template <Reduction R = Reduction::mean, RealArray Logits, class Truth, WritableArray<Logits> Gradient>
  requires LabelsFor<Truth, Logits> || TargetsFor<Truth, Logits>
auto softmax_cross_entropy_with_gradient(const Logits& logits, const Truth& labels_or_targets, Gradient&& gradient) {
  return detail::softmax_cross_entropy<R>("softmax_cross_entropy_with_gradient", logits, labels_or_targets, gradient,
                                          detail::NoOptions<ResultScalar<Logits>>());
}

/// The same with a new array for the gradient.
///
///     auto [loss, gradient] = xent::softmax_cross_entropy_with_gradient(logits, labels);
template <Reduction R = Reduction::mean, RealArray Logits, LabelsFor<Logits> Labels>
auto softmax_cross_entropy_with_gradient(const Logits& logits, const Labels& labels,
                                         const SoftmaxCrossEntropyOptions<ResultScalar<Logits>>& options) {
  return detail::with_new_gradient(logits, [&](auto& gradient) {
    return softmax_cross_entropy_with_gradient<R>(logits, labels, gradient, options);
  });
}

template <Reduction R = Reduction::mean, RealArray Logits, TargetsFor<Logits> Targets>
auto softmax_cross_entropy_with_gradient(const Logits& logits, const Targets& targets,
                                         const SoftmaxCrossEntropyOptions<ResultScalar<Logits>>& options) {
  return detail::with_new_gradient(logits, [&](auto& gradient) {
    return softmax_cross_entropy_with_gradient<R>(logits, targets, gradient, options);
  });
}

template <Reduction R = Reduction::mean, RealArray Logits, class Truth>
  requires LabelsFor<Truth, Logits> || TargetsFor<Truth, Logits>
auto softmax_cross_entropy_with_gradient(const Logits& logits, const Truth& labels_or_targets) {
  return detail::with_new_gradient(logits, [&](auto& gradient) {
    return softmax_cross_entropy_with_gradient<R>(logits, labels_or_targets, gradient);
  });
}

}  // namespace xent
