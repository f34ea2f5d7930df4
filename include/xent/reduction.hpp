// SPDX-License-Identifier: MIT
// xent/reduction.hpp - how the losses of many rows become one.
#pragma once

namespace xent {

/// What a loss over N rows (or elements) returns; the template parameter of every loss, `mean` by default.
///
///     none   every loss of its own, as an array; its gradient is that of the sum
///     sum    sum_i loss_i
///     mean   sum_i loss_i divided by the total weight; each loss says what its weight is
///
/// Edges: over nothing (no row, every row ignored, weights that sum to 0) the sum is 0 and the mean NaN, since
///        nothing was measured; the gradient is exactly 0 either way.
enum class Reduction { none, sum, mean };

}  // namespace xent
