// SPDX-License-Identifier: MIT
// xent/one_hot.hpp - labels as distributions, hard and smoothed.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/elements.hpp>

#include <Eigen/Core>

#include <algorithm>  // std::max

namespace xent {

/// Labels as targets: row i is 1 at labels_i and 0 elsewhere, the distribution of one who is certain.
///
///     out_ik = 1 if k = labels_i else 0
///
/// Shapes: N labels of any integral type; N x num_classes out.
/// Errors: std::out_of_range for a label outside [0, num_classes), std::invalid_argument for num_classes < 1.
///
///     Eigen::ArrayXXf targets = xent::one_hot(labels, 10);
template <class Scalar = float, LabelVector Labels>
auto one_hot(const Labels& labels, Eigen::Index num_classes) {
  if (num_classes < 1) {
    detail::refuse<std::invalid_argument>("one_hot", "num_classes is ", num_classes, ", expected at least one class");
  }
  detail::check_labels("one_hot", labels, num_classes);
  const detail::LabelReader<Labels> label(labels);
  using Out = Eigen::Array<Scalar, int(Labels::SizeAtCompileTime), Eigen::Dynamic>;
  Out out = Out::Zero(labels.size(), num_classes);
  for (Eigen::Index i = 0; i < labels.size(); ++i) out(i, label(i)) = Scalar(1);
  return out;
}

/// The same with num_classes = the largest label + 1.
///
/// Errors: std::out_of_range for a negative label; std::invalid_argument for no labels, which name no number of classes.
template <class Scalar = float, LabelVector Labels>
auto one_hot(const Labels& labels) {
  if (labels.size() == 0) {
    detail::refuse<std::invalid_argument>("one_hot", "labels is empty, expected num_classes to be given");
  }
  const detail::LabelReader<Labels> label(labels);
  Eigen::Index most = 0;
  for (Eigen::Index i = 0; i < labels.size(); ++i) most = std::max(most, label(i));
  return one_hot<Scalar>(labels, most + 1);
}

/// One label as a vector of targets.
template <class Scalar = float, Label Integer>
auto one_hot(const Integer& label, Eigen::Index num_classes) {
  return Eigen::Array<Scalar, Eigen::Dynamic, 1>(
      one_hot<Scalar>(Eigen::Array<Integer, 1, 1>::Constant(label), num_classes).transpose());
}

/// Targets mixed with the even distribution over the C classes, so that certainty is never rewarded without end.
///
///     out_ik = (1 - epsilon) targets_ik + epsilon / C
///
/// Shapes: N x C; a vector of C targets is one sample. Errors: std::invalid_argument for epsilon outside [0, 1] and for C = 0.
/// Source: Szegedy et al., Rethinking the Inception Architecture (arXiv 1512.00567), section 7.
///
///     Eigen::ArrayXXf targets = xent::smooth_labels(xent::one_hot(labels, 10), 0.1f);
template <RealArray Targets>
auto smooth_labels(const Targets& targets, const std::type_identity_t<ResultScalar<Targets>>& epsilon) {
  using W = detail::WorkOf<Targets>;
  detail::check_classes("smooth_labels", targets, "targets");
  detail::check_unit_interval("smooth_labels", "epsilon", epsilon);
  const W kept = W(1) - detail::widen(epsilon);
  const W even = detail::widen(epsilon) / W(double(detail::class_count(targets)));
  detail::PlainArray<Targets> out(targets.rows(), targets.cols());
  detail::map_coefficients(targets, out, [&](const W& target) { return W(W(kept * target) + even); });
  return out;
}

}  // namespace xent
