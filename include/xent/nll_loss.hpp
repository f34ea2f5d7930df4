// SPDX-License-Identifier: MIT
// xent/nll_loss.hpp - the negative log-likelihood of labels under given log-probabilities, and its gradient.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/reduce.hpp>
#include <xent/detail/loss.hpp>
#include <xent/detail/terms.hpp>
#include <xent/options.hpp>
#include <xent/reduction.hpp>

namespace xent {

namespace detail {

template <Reduction R, class LogProbs, class Labels, class Gradient, class Scalar>
auto nll_loss(const char* function, const LogProbs& log_probs, const Labels& labels, Gradient& gradient,
              const NllLossOptions<Scalar>& options) {
  using V = WideOf<LogProbs>;
  constexpr bool sample = is_sample<LogProbs>;
  const Index rows = row_count(log_probs);
  const Index classes = class_count(log_probs);
  check_classes(function, log_probs, "log_probs");
  check_class_weights(function, options.class_weights, classes);
  check_sample_weights(function, options.sample_weights, rows);
  check_label_count(function, labels, rows, "log_probs");
  check_labels(function, labels, classes, options.ignore_index);
  prepare_gradient(function, gradient, log_probs);

  const LabelTerms<V, Labels, NllLossOptions<Scalar>> terms(labels, options);
  const Coefficients<LogProbs> value(log_probs);
  const auto clear = [&](Index i) {
    if constexpr (!std::is_same_v<Gradient, NoGradient>) fill(cells<sample>(gradient).row(i), V(0));
  };
  const auto row_loss = [&](Index i, const V& divisor) {
    const Index label = terms.label(i);
    const V weight = terms.share(i);
    const V loss = weight == V(0) ? V(0) : V(-V(weight * V(widen(value(i, label)))));
    clear(i);
    if constexpr (!std::is_same_v<Gradient, NoGradient>) {
      if (weight != V(0))
        cells<sample>(gradient)(i, label) = narrow<typename Gradient::Scalar>(V(-V(weight / divisor)));
    }
    return loss;
  };
  return reduce_rows<R, ResultScalar<LogProbs>, V, threads_allowed<LogProbs>, RowResults<LogProbs>>(
      rows, classes, terms, row_loss, clear);
}

}  // namespace detail

/// The negative log-likelihood of each row's label under log-probabilities, such as log_softmax returns.
///
///     loss_i = -s_i w_y log_probs_iy,   y = labels_i
///     mean:    sum_i loss_i divided by sum_i s_i w_(y_i) over the rows that count
///
/// with w class_weights, s sample_weights. With log_probs = log_softmax(logits) it is softmax_cross_entropy(logits, labels).
///
/// Shapes: log_probs N x C, labels N integers of any type; a vector of C log-probabilities and one label are one sample.
/// Units:  nats. The loss has the scalar of log_probs, float for half and bfloat16.
/// Edges:  rows whose label is ignore_index or whose sample weight is 0 are never read: loss 0. Only the label's entry of a row
///         is read. -inf there: +inf. A class weight of 0: 0. The mean over nothing: NaN.
/// Errors: std::invalid_argument for shapes and option values, std::out_of_range for labels outside [0, C).
/// Source: torch.nn.functional.nll_loss.
///
///     float loss = xent::nll_loss(xent::log_softmax(logits), labels);
template <Reduction R = Reduction::mean, RealArray LogProbs, LabelsFor<LogProbs> Labels>
auto nll_loss(const LogProbs& log_probs, const Labels& labels,
              const NllLossOptions<ResultScalar<LogProbs>>& options = {}) {
  detail::NoGradient none;
  return detail::nll_loss<R>("nll_loss", log_probs, labels, none, options);
}

/// The same loss; writes its derivative with respect to the log-probabilities into `gradient`: -s_i w_y / D at the label, D the
/// divisor of the mean, and 0 elsewhere.
///
/// Shapes: gradient N x C, resized if it can be; it may be the storage of log_probs.
/// Edges:  rows that count as absent, and every row of a mean over nothing: exactly 0. Reduction::none: the gradient of the sum.
/// Errors: as nll_loss, and std::invalid_argument for a gradient of a wrong shape that cannot be resized; thrown before
///         anything is written.
///
///     float loss = xent::nll_loss_with_gradient(log_probs, labels, gradient);
template <Reduction R = Reduction::mean, RealArray LogProbs, LabelsFor<LogProbs> Labels,
          WritableArray<LogProbs> Gradient>
auto nll_loss_with_gradient(const LogProbs& log_probs, const Labels& labels, Gradient&& gradient,
                            const NllLossOptions<ResultScalar<LogProbs>>& options = {}) {
  return detail::nll_loss<R>("nll_loss_with_gradient", log_probs, labels, gradient, options);
}

/// The same with a new array for the gradient.
///
///     auto [loss, gradient] = xent::nll_loss_with_gradient(log_probs, labels);
template <Reduction R = Reduction::mean, RealArray LogProbs, LabelsFor<LogProbs> Labels>
auto nll_loss_with_gradient(const LogProbs& log_probs, const Labels& labels,
                            const NllLossOptions<ResultScalar<LogProbs>>& options = {}) {
  return detail::with_new_gradient(
      log_probs, [&](auto& gradient) { return nll_loss_with_gradient<R>(log_probs, labels, gradient, options); });
}

}  // namespace xent
