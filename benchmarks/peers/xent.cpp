// SPDX-License-Identifier: MIT
// xent as its users have it: compiled with plain -O2, nothing said about the processor.
#include "eigen_views.hpp"
#include "peer.hpp"

#include <xent/xent.hpp>

namespace bench {

namespace {

template <class View, class Scalar>
Way loss_way(const Problem<Scalar>& problem, View view) {
  if (problem.function == Function::binary) {
    if (!problem.gradient)
      return {"xent", [=] { return double(xent::sigmoid_cross_entropy(view.logits, view.targets)); }};
    return {"xent", [=]() mutable {
              return double(xent::sigmoid_cross_entropy_with_gradient(view.logits, view.targets, view.out));
            }};
  }
  const auto against = [=](const auto& target) -> Way {
    if (!problem.gradient) return {"xent", [=] { return double(xent::softmax_cross_entropy(view.logits, target)); }};
    return {"xent",
            [=]() mutable { return double(xent::softmax_cross_entropy_with_gradient(view.logits, target, view.out)); }};
  };
  return problem.labels != nullptr ? against(view.labels) : against(view.targets);
}

template <class View>
Way function_way(Function function, View view) {
  switch (function) {
    case Function::softmax:
      return {"xent", [=]() mutable { return xent::softmax(view.logits, view.out), 0.0; }};
    case Function::log_softmax:
      return {"xent", [=]() mutable { return xent::log_softmax(view.logits, view.out), 0.0; }};
    default:
      return {"xent", [=]() mutable { return xent::logsumexp(view.logits, view.out_column), 0.0; }};
  }
}

template <class View, class Scalar>
Way way(const Problem<Scalar>& problem, View view) {
  const bool loss = problem.function == Function::cross_entropy || problem.function == Function::binary;
  return loss ? loss_way(problem, view) : function_way(problem.function, view);
}

template <class View, class Options>
Way softmax_option_way(const char* name, bool gradient, View view, const Options& options) {
  if (!gradient) return {name, [=] { return double(xent::softmax_cross_entropy(view.logits, view.labels, options)); }};
  return {name, [=]() mutable {
            return double(xent::softmax_cross_entropy_with_gradient(view.logits, view.labels, view.out, options));
          }};
}

template <class View>
Way focal_way(bool gradient, View view) {
  if (!gradient) return {"focal", [=] { return double(xent::softmax_focal_loss(view.logits, view.labels)); }};
  return {"focal",
          [=]() mutable { return double(xent::softmax_focal_loss_with_gradient(view.logits, view.labels, view.out)); }};
}

}  // namespace

template <class Scalar>
Ways xent_ways(const Problem<Scalar>& problem) {
  if (problem.columns) return {way(problem, View<Scalar, Eigen::ColMajor>(problem))};
  return {way(problem, View<Scalar, Eigen::RowMajor>(problem))};
}

template <class Scalar>
Ways xent_option_ways(const Problem<Scalar>& problem) {
  const View<Scalar, Eigen::RowMajor> view(problem);
  using Options = xent::SoftmaxCrossEntropyOptions<Scalar>;
  using Vector = Eigen::Array<Scalar, Eigen::Dynamic, 1>;
  const xent::WeightVector<Scalar> class_weights = Vector::LinSpaced(problem.classes, Scalar(0.5), Scalar(2));
  const xent::WeightVector<Scalar> sample_weights = Vector::LinSpaced(problem.rows, Scalar(0.5), Scalar(2));
  const auto with = [&](const char* name, const Options& options) {
    return softmax_option_way(name, problem.gradient, view, options);
  };
  return {with("plain", {}),
          with("ignore_index", {.ignore_index = 0}),
          with("label_smoothing", {.label_smoothing = Scalar(0.1)}),
          with("class_weights", {.class_weights = class_weights}),
          with("sample_weights", {.sample_weights = sample_weights}),
          with("z_loss", {.z_loss = Scalar(1e-4)}),
          focal_way(problem.gradient, view)};
}

template Ways xent_ways(const Problem<float>&);
template Ways xent_ways(const Problem<double>&);
template Ways xent_option_ways(const Problem<float>&);
template Ways xent_option_ways(const Problem<double>&);

}  // namespace bench
