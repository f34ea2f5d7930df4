// SPDX-License-Identifier: MIT
// xent/detail/elements.hpp - functions and losses that look at one element at a time.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/accumulate.hpp>
#include <xent/detail/parallel.hpp>
#include <xent/detail/reduce.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/reduction.hpp>

#include <Eigen/Core>

#include <algorithm>  // std::min

namespace xent::detail {

/// Calls body(i, k) for the coefficients [begin, end) of an array of N x C, counted in its storage order.
template <bool by_rows, class Body>
void for_coefficients(Index rows, Index classes, Index begin, Index end, const Body& body) {
  const Index length = by_rows ? classes : rows;
  for (Index at = begin; at < end;) {
    const Index outer = at / length;
    const Index stop = std::min(end, (outer + 1) * length);
    for (Index inner = at - outer * length; at < stop; ++at, ++inner) {
      by_rows ? body(outer, inner) : body(inner, outer);
    }
  }
}

/// out = f(in), coefficient by coefficient; `out` may be the input itself.
template <RealArray T, class Out, class Function>
void map_coefficients(const T& in, Out& out, const Function& f) {
  using OutScalar = typename Out::Scalar;
  const Coefficients<T> source(in);
  const auto target = cells<is_sample<T>>(out);
  for_chunks<threads_allowed<T>>(in.size(), in.size(), [&](Index, Index begin, Index end) {
    for_coefficients<is_sample<T> || row_major<T>>(row_count(in), class_count(in), begin, end, [&](Index i, Index k) {
      target(i, k) = narrow<OutScalar>(WorkOf<T>(f(widen(source(i, k)))));
    });
  });
}

/// What an elementwise loss says of one element.
template <class V>
struct ElementOutcome {
  V loss;
  V slope;
};

/// Every loss that stands on single elements: rule(z, t, i, k) gives the loss of an element and its derivative.
/// Each logit and each target is evaluated once, in the storage order of the logits.
template <Reduction R, class W, RealArray Logits, RealArray Targets, class Rule, class Gradient>
auto element_losses(const Logits& logits, const Targets& targets, const Rule& rule, Gradient& gradient) {
  using V = WideOf<Logits>;
  using Result = ResultScalar<Logits>;
  constexpr bool with_gradient = !std::is_same_v<Gradient, NoGradient>;
  constexpr bool by_rows = is_sample<Logits> || row_major<Logits>;
  const Coefficients<Logits> z(logits);
  const Coefficients<Targets, is_sample<Logits>> t(targets);
  const V divisor = R == Reduction::mean ? V(double(logits.size())) : V(1);
  const auto element = [&](Index i, Index k) {
    const ElementOutcome<V> outcome =
        rule.absent(i, k) ? ElementOutcome<V>{V(0), V(0)} : rule(W(widen(z(i, k))), V(widen(t(i, k))), i, k);
    if constexpr (with_gradient) {
      cells<is_sample<Logits>>(gradient)(i, k) = narrow<typename Gradient::Scalar>(V(outcome.slope / divisor));
    }
    return outcome.loss;
  };
  const auto run = [&](Index begin, Index end, const auto& take) {
    for_coefficients<by_rows>(row_count(logits), class_count(logits), begin, end,
                              [&](Index i, Index k) { take(i, k, element(i, k)); });
  };
  if constexpr (R == Reduction::none) {
    PlainArray<Logits, Result> losses(logits.rows(), logits.cols());
    const auto loss_cells = cells<is_sample<Logits>>(losses);
    for_chunks<threads_allowed<Logits>>(logits.size(), logits.size(), [&](Index, Index begin, Index end) {
      run(begin, end, [&](Index i, Index k, const V& loss) { loss_cells(i, k) = narrow<Result>(loss); });
    });
    return losses;
  } else {
    const Sum<V> total =
        sum_chunks<threads_allowed<Logits>, Sum<V>>(logits.size(), logits.size(), [&](Index begin, Index end) {
          Sum<V> part;
          run(begin, end, [&](Index, Index, const V& loss) { part.add(loss); });
          return part;
        });
    if (R == Reduction::mean && rule.nothing()) return narrow<Result>(quiet_nan<V>());
    return narrow<Result>(V(total.value() / divisor));
  }
}

}  // namespace xent::detail
