// SPDX-License-Identifier: MIT
// xent/detail/loss.hpp - what every loss with a gradient does around its kernel.
#pragma once

#include <xent/detail/check.hpp>
#include <xent/detail/reduce.hpp>

#include <utility>  // std::move

namespace xent {

/// A loss (scalar, or an array of losses for Reduction::none) with its gradient, for auto [loss, gradient] = ...
template <class Loss, class Gradient>
struct LossWithGradient {
  Loss loss;
  Gradient gradient;
};

namespace detail {

/// The last check, then the first write: the gradient gets its shape.
template <class Gradient, class Logits>
void prepare_gradient(const char* function, Gradient& gradient, const Logits& logits) {
  if constexpr (!std::is_same_v<Gradient, NoGradient>) {
    check_output(function, "gradient", gradient, logits);
    resize_output(gradient, logits);
  }
}

/// Runs loss(gradient) on a new gradient and returns both.
template <class Logits, class Loss>
auto with_new_gradient(const Logits& logits, const Loss& loss) {
  PlainArray<Logits> gradient(logits.rows(), logits.cols());
  auto value = loss(gradient);
  return LossWithGradient<decltype(value), PlainArray<Logits>>{std::move(value), std::move(gradient)};
}

}  // namespace detail

}  // namespace xent
