// SPDX-License-Identifier: MIT
// tests/support/oracle.hpp - every function of the library written out again, naively, in 34 digits.
//
// Nothing here calls the library or shares a line with it: two transcriptions of one formula do not fail alike.
// Inputs are exact values (long double holds each float and double), results have at least 25 good digits, where long double
// has 19. Gradients are those of the sum and of the mean.
#pragma once

#include "exact.hpp"

#include <optional>
#include <vector>

namespace oracle {

using support::Exact;
using support::Exacts;
using support::Grid;
using support::Index;
using support::Reals;

/// The options of all losses in one; a function reads those that it has.
struct Options {
  std::optional<Index> ignore_index = {};
  long double label_smoothing = 0;
  Reals class_weights = {};
  Reals sample_weights = {};
  Reals pos_weights = {};
  long double z_loss = 0;
  long double gamma = 0;
  std::optional<long double> alpha = {};
};

struct Loss {
  Exacts none;  ///< one per row, or one per element for the elementwise losses
  Exact sum;
  Exact mean;
  Exacts gradient;  ///< of the sum, N x C row after row
  Exacts mean_gradient;
};

Exacts softmax(Grid const& logits);
Exacts log_softmax(Grid const& logits);
Exacts logsumexp(Grid const& logits);

Exacts sigmoid(Grid const& x);
Exacts log_sigmoid(Grid const& x);
Exacts softplus(Grid const& x);

Loss softmax_cross_entropy(Grid const& logits, std::vector<Index> const& labels, Options const& options = {});
Loss softmax_cross_entropy(Grid const& logits, Grid const& targets, Options const& options = {});
Loss sigmoid_cross_entropy(Grid const& logits, Grid const& targets, Options const& options = {});
Loss nll_loss(Grid const& log_probs, std::vector<Index> const& labels, Options const& options = {});
Loss softmax_focal_loss(Grid const& logits, std::vector<Index> const& labels, Options const& options);
Loss sigmoid_focal_loss(Grid const& logits, Grid const& targets, Options const& options);

// On distributions: losses only, no gradients.
Loss entropy(Grid const& probs);
Loss cross_entropy(Grid const& targets, Grid const& probs);
Loss kl_divergence(Grid const& targets, Grid const& probs);
Loss binary_cross_entropy(Grid const& targets, Grid const& probs);

/// The gradient of softmax_cross_entropy's sum by central differences of the loss, in 50 digits: a check of the
/// oracle's own analytic gradient.
Exacts numeric_gradient(Grid const& logits, Grid const& targets, Options const& options = {});

/// exp(x), for tests that need one exact number.
Exact exp(long double x);

}  // namespace oracle
