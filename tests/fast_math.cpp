// SPDX-License-Identifier: MIT
// Compiled with -ffast-math: on finite inputs no NaN, no infinity and no 0 come out of nothing. The compiler may
// regroup (max - z) + log1p, so errors count relative to the largest logit.
#include "support/generators.hpp"
#include "support/oracle.hpp"
#include "support/setup.hpp"
#include "support/ulp.hpp"

#include <xent/focal_loss.hpp>
#include <xent/log_softmax.hpp>
#include <xent/logsumexp.hpp>
#include <xent/sigmoid.hpp>
#include <xent/sigmoid_cross_entropy.hpp>
#include <xent/softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <tuple>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

/// Errors in the exponent count: a result may be off by as many ulp as the largest logit is large.
Exacts loosened(Exacts exact, Grid const& logits, Index per_row) {
  for (std::size_t j = 0; j < exact.size(); ++j) {
    long double largest = 1;
    for (Index k = 0; k < logits.cols; ++k)
      largest = std::max(largest, std::fabs(logits(static_cast<Index>(j) / per_row, k)));
    exact[j].scale = std::max(std::fabs(exact[j].scale), largest);
  }
  return exact;
}

/// Where the exact result is above the smallest normal, ours is no 0; where nothing can be regrouped it has its size.
template <class Scalar, class Result>
Verdict nothing_lost(Result const& got, Exacts const& exact, long double least = 0.99L, long double most = 1.01L) {
  Grid const values = grid(got);
  for (std::size_t j = 0; j < exact.size(); ++j) {
    long double const size = std::fabs(exact[j].hi);
    if (size < 2 * static_cast<long double>(std::numeric_limits<Scalar>::min())) continue;
    long double const share = std::fabs(values.values[j]) / size;
    if (!(share > least && share < most))
      return Verdict("entry " + std::to_string(j) + " of size " + std::to_string(size) + " kept a share of " +
                     std::to_string(share));
  }
  return Verdict();
}

template <class Logits>
void check_labels(Logits const& logits, Labels const& labels) {
  using Scalar = typename Logits::Scalar;
  Grid const exact_logits = grid(logits);
  oracle::Loss const exact = oracle::softmax_cross_entropy(exact_logits, indices(labels));
  auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
  CHECK(within(found.loss, loosened(exact.none, exact_logits, 1)));
  CHECK(nothing_lost<Scalar>(found.loss, exact.none, 0, 1e30L));
  CHECK(within(found.gradient, loosened(exact.gradient, exact_logits, logits.cols())));
  CHECK(nothing_lost<Scalar>(found.gradient, exact.gradient));
  CHECK(nothing_lost<Scalar>(xent::softmax(logits), oracle::softmax(exact_logits)));
  Exacts const logs = oracle::log_softmax(exact_logits);
  CHECK(within(xent::log_softmax(logits), loosened(logs, exact_logits, logits.cols())));
  CHECK(nothing_lost<Scalar>(xent::log_softmax(logits), logs, 0, 1e30L));
  CHECK(within(xent::logsumexp(logits), oracle::logsumexp(exact_logits)));
}

}  // namespace

#ifndef __FAST_MATH__
TEST_CASE("this file is compiled with -ffast-math", "[fast_math]") { SKIP("it is not"); }
#endif

TEMPLATE_LIST_TEST_CASE("random logits under -ffast-math", "[fast_math]", Reals32And64) {
  Random random;
  for (double scale : {1e-3, 1.0, 10.0, 60.0})
    for (Index cols : {1, 2, 5, 40, 300}) {
      INFO(cols << " classes, scale " << scale);
      Rows<TestType> const logits = normal_rows<TestType>(random, 6, cols, scale);
      Labels const labels = random_labels(random, 6, cols);
      check_labels(logits, labels);
      check_labels(Cols<TestType>(logits), labels);
    }
}

TEMPLATE_LIST_TEST_CASE("confident predictions under -ffast-math", "[fast_math]", Reals32And64) {
  for (double margin : {10.0, 17.0, 40.0, 80.0}) {
    Rows<TestType> logits = Rows<TestType>::Zero(2, 4);
    logits.col(1).setConstant(static_cast<TestType>(margin));
    check_labels(logits, Labels(Labels::Ones(2)));
    check_labels(Cols<TestType>(logits), Labels(Labels::Zero(2)));
  }
}

TEST_CASE("labels outside the classes under -ffast-math", "[fast_math]") {
  Random random;
  for (Index rows : {5, 300}) {
    Rows<float> const logits = normal_rows<float>(random, rows, 10, 2);
    for (int bad : {-1, 10}) {
      Labels labels = random_labels(random, rows, 10);
      labels(rows / 2) = bad;
      CHECK_THROWS_AS(xent::softmax_cross_entropy(logits, labels), std::out_of_range);
      CHECK_THROWS_AS(xent::softmax_cross_entropy(Cols<float>(logits), labels), std::out_of_range);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("finite edges under -ffast-math", "[fast_math]", Reals32And64) {
  TestType const big = std::numeric_limits<TestType>::max();
  for (Index cols : {2, 9, 60}) {
    Rows<TestType> logits = Rows<TestType>::Constant(5, cols, big);
    logits.row(1) *= -1;
    logits(2, 1) = -big;
    logits.row(3).setZero();
    logits(4, 0) = 0;
    Labels const labels = Labels::Zero(5);
    oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels));
    auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
    CHECK(within(found.loss, loosened(exact.none, grid(logits), 1)));
    CHECK(within(found.gradient, exact.gradient, 16));
    CHECK(within(xent::softmax(logits), oracle::softmax(grid(logits)), 16));
  }
  Cols<TestType> const one = Cols<TestType>::Constant(2, 1, TestType(-4));
  CHECK(all_are(xent::softmax_cross_entropy_with_gradient<Reduction::none>(one, Labels(Labels::Zero(2))).gradient, 0));
}

TEMPLATE_LIST_TEST_CASE("the binary loss under -ffast-math", "[fast_math]", Reals32And64) {
  Random random;
  Rows<TestType> logits = normal_rows<TestType>(random, 6, 30, 12);
  logits(0, 0) = std::numeric_limits<TestType>::max();
  logits(0, 1) = -logits(0, 0);
  Rows<TestType> const targets = integer_rows<TestType>(random, 6, 30, 0, 1);
  oracle::Loss const exact = oracle::sigmoid_cross_entropy(grid(logits), grid(targets));
  auto const found = xent::sigmoid_cross_entropy_with_gradient<Reduction::none>(logits, targets);
  CHECK(nothing_lost<TestType>(found.loss, exact.none));
  CHECK(nothing_lost<TestType>(found.gradient, exact.gradient));
  CHECK(nothing_lost<TestType>(xent::sigmoid(logits), oracle::sigmoid(grid(logits))));
  CHECK(nothing_lost<TestType>(xent::softplus(logits), oracle::softplus(grid(logits))));
}

TEMPLATE_LIST_TEST_CASE("options under -ffast-math", "[fast_math]", Reals32And64) {
  Random random;
  for (Index cols : {8, 130, 300})
    for (bool weighted : {false, true}) {
      INFO(cols << " classes" << (weighted ? ", weighted" : ""));
      Setup<TestType> setup;
      setup.label_smoothing = TestType(0.1);
      if (weighted) setup.class_weights = positive_weights<TestType>(random, cols);
      setup.ignore_index = 2;
      Rows<TestType> const logits = normal_rows<TestType>(random, 20, cols, 3);
      Labels const labels = random_labels(random, 20, cols);
      oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels), setup.exact());
      auto const check = [&](auto const& z) {
        auto const found = xent::softmax_cross_entropy_with_gradient(z, labels, setup.softmax());
        CHECK(within(found.loss, exact.mean, 16));
        CHECK(within(found.gradient, exact.mean_gradient, 16));
      };
      check(logits);
      check(Cols<TestType>(logits));
    }
}

TEMPLATE_LIST_TEST_CASE("soft targets and focal losses under -ffast-math", "[fast_math]", Reals32And64) {
  // What takes doubles may regroup max - z: errors are those of max |z|, some 13 here.
  double const ulps = 64;
  Random random;
  for (Index cols : {8, 130, 300}) {
    INFO(cols << " classes");
    Rows<TestType> const logits = normal_rows<TestType>(random, 20, cols, 3);
    Rows<TestType> const targets = distributions<TestType>(random, 20, cols, 2, 0.2);
    oracle::Loss const soft = oracle::softmax_cross_entropy(grid(logits), grid(targets));
    Labels const labels = random_labels(random, 20, cols);
    Setup<TestType> setup;
    setup.gamma = 2;
    oracle::Loss const focal = oracle::softmax_focal_loss(grid(logits), indices(labels), setup.exact());
    auto const check = [&](auto const& z) {
      auto const found = xent::softmax_cross_entropy_with_gradient(z, targets);
      CHECK(within(found.loss, soft.mean, ulps));
      CHECK(within(found.gradient, soft.mean_gradient, ulps));
      auto const focused = xent::softmax_focal_loss_with_gradient(z, labels);
      CHECK(within(focused.loss, focal.mean, ulps));
      CHECK(within(focused.gradient, focal.mean_gradient, ulps));
    };
    check(logits);
    check(Cols<TestType>(logits));
  }
}
