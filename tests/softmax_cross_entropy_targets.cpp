// SPDX-License-Identifier: MIT
// softmax_cross_entropy with targets: a distribution for each row, and what it has in common with labels.
#include "support/generators.hpp"
#include "support/oracle.hpp"
#include "support/setup.hpp"
#include "support/ulp.hpp"

#include <xent/divergence.hpp>
#include <xent/softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <limits>
#include <tuple>
#include <utility>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

template <class Logits, class Scalar>
void check_targets(Logits const& logits, Logits const& targets, Setup<Scalar> const& setup) {
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), grid(targets), setup.exact());
  auto const options = setup.softmax();
  CHECK(within(xent::softmax_cross_entropy<Reduction::none>(logits, targets, options), exact.none));
  CHECK(within(xent::softmax_cross_entropy<Reduction::sum>(logits, targets, options), exact.sum));
  Logits gradient;
  Scalar const sum = xent::softmax_cross_entropy_with_gradient<Reduction::sum>(logits, targets, gradient, options);
  CHECK(within(sum, exact.sum));
  CHECK(within(gradient, exact.gradient));
  Scalar const mean = xent::softmax_cross_entropy_with_gradient(logits, targets, gradient, options);
  CHECK(within(mean, exact.mean));
  CHECK(within(gradient, exact.mean_gradient));
}

template <class Scalar>
void check_targets_in_both_orders(Rows<Scalar> const& logits, Rows<Scalar> const& targets, Setup<Scalar> const& setup) {
  check_targets(logits, targets, setup);
  check_targets(Cols<Scalar>(logits), Cols<Scalar>(targets), setup);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("loss and gradient against targets are within 4 ulp", "[targets]", Reals32And64) {
  Random random;
  for (Index cols : {1, 2, 3, 7, 16, 33, 70, 257})
    for (double scale : {1e-3, 1.0, 30.0, 1e4}) {
      INFO(cols << " classes, logits of size " << scale);
      Index const rows = random.integer(1, 6);
      check_targets_in_both_orders(normal_rows<TestType>(random, rows, cols, scale),
                                   distributions<TestType>(random, rows, cols, 2, 0.3), Setup<TestType>{});
    }
}

TEMPLATE_LIST_TEST_CASE("targets of strips that do not fit the nearest cache, and of some that are masked", "[targets]",
                        Reals32And64) {
  Random random;
  for (auto const& [rows, cols] : {std::pair<Index, Index>{43, 210}, {37, 300}, {270, 33}}) {
    INFO(rows << " x " << cols);
    Rows<TestType> logits = normal_rows<TestType>(random, rows, cols, 3);
    for (Index i = 0; i < rows; i += 3) logits(i, random.integer(0, cols - 1)) = -infinity<TestType>();
    Rows<TestType> targets = distributions<TestType>(random, rows, cols);
    targets = (logits == -infinity<TestType>()).select(Rows<TestType>::Zero(rows, cols), targets);
    Setup<TestType> setup;
    check_targets_in_both_orders(logits, targets, setup);
    setup.label_smoothing = TestType(0.2);
    setup.class_weights = positive_weights<TestType>(random, cols);
    check_targets_in_both_orders(logits, targets, setup);
  }
}

TEMPLATE_LIST_TEST_CASE("margins beyond the largest number still give a finite loss, if it is one", "[targets][edges]",
                        Reals32And64) {
  Random random;
  TestType const big = std::numeric_limits<TestType>::max();
  for (Index cols : {2, 9, 70, 300}) {
    INFO(cols << " classes");
    Rows<TestType> logits = integer_rows<TestType>(random, 3, cols, -1, 1) * (big * TestType(0.9));
    logits.col(0).setConstant(big);
    Rows<TestType> targets = distributions<TestType>(random, 3, cols, 2, 0.3) / TestType(16);
    check_targets_in_both_orders(logits, targets, Setup<TestType>{});
    Labels const labels = Labels::Zero(3);
    Setup<TestType> setup;
    setup.label_smoothing = TestType(0.01);
    oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels), setup.exact());
    auto const rows = xent::softmax_cross_entropy_with_gradient(logits, labels, setup.softmax());
    auto const columns = xent::softmax_cross_entropy_with_gradient(Cols<TestType>(logits), labels, setup.softmax());
    CHECK(within(rows.loss, exact.mean));
    CHECK(within(rows.gradient, exact.mean_gradient));
    CHECK(within(columns.loss, exact.mean));
    CHECK(within(columns.gradient, exact.mean_gradient));
  }
}

TEMPLATE_LIST_TEST_CASE("the mean of losses beyond the largest number is finite, if it is one", "[targets][edges]",
                        Reals32And64) {
  Random random;
  for (TestType target : {TestType(3), TestType(-3)})
    for (Index cols : {2, 9, 70, 300}) {
      INFO(cols << " classes, target " << target);
      Rows<TestType> logits = normal_rows<TestType>(random, 5, cols, 2);
      logits.row(1).setConstant(std::numeric_limits<TestType>::lowest());
      logits(1, 0) = 0;
      Rows<TestType> targets = distributions<TestType>(random, 5, cols, 2, 0.3);
      targets.row(1).setZero();
      targets(1, 1) = target;
      oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), grid(targets));
      auto const rows = xent::softmax_cross_entropy_with_gradient(logits, targets);
      auto const columns = xent::softmax_cross_entropy_with_gradient(Cols<TestType>(logits), Cols<TestType>(targets));
      CHECK(std::isfinite(rows.loss));
      CHECK(within(rows.loss, exact.mean));
      CHECK(within(rows.gradient, exact.mean_gradient));
      CHECK(within(columns.loss, exact.mean));
      CHECK(within(columns.gradient, exact.mean_gradient));
    }
}

TEMPLATE_LIST_TEST_CASE("targets need not sum to 1, nor be positive", "[targets]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 6, 9, 2);
  check_targets_in_both_orders<TestType>(logits, uniform_rows<TestType>(random, 6, 9, 0, 3), {});
  check_targets_in_both_orders<TestType>(logits, uniform_rows<TestType>(random, 6, 9, -1, 1), {});
  check_targets_in_both_orders<TestType>(logits, Rows<TestType>::Zero(6, 9), {});
}

TEMPLATE_LIST_TEST_CASE("targets take all options", "[targets]", Reals32And64) {
  Random random;
  for (Index cols : {2, 5, 40}) {
    Setup<TestType> setup;
    setup.label_smoothing = TestType(0.1);
    setup.class_weights = positive_weights<TestType>(random, cols);
    setup.sample_weights = positive_weights<TestType>(random, 7);
    setup.sample_weights(2) = TestType(-0.5);
    setup.sample_weights(3) = 0;
    setup.z_loss = TestType(1e-3);
    check_targets_in_both_orders(normal_rows<TestType>(random, 7, cols, 3), distributions<TestType>(random, 7, cols),
                                 setup);
  }
}

TEMPLATE_LIST_TEST_CASE("a row of weight 0 is never read, neither its logits nor its targets", "[targets]",
                        Reals32And64) {
  Random random;
  for (Index cols : {2, 30, 200}) {
    Rows<TestType> logits = normal_rows<TestType>(random, 5, cols, 2);
    Rows<TestType> targets = distributions<TestType>(random, 5, cols);
    logits.row(2).setConstant(nan<TestType>());
    targets.row(2).setConstant(nan<TestType>());
    Setup<TestType> setup;
    setup.sample_weights = positive_weights<TestType>(random, 5);
    setup.sample_weights(2) = 0;
    check_targets_in_both_orders(logits, targets, setup);
    auto const found = xent::softmax_cross_entropy_with_gradient(logits, targets, setup.softmax());
    CHECK(all_are(found.gradient.row(2), 0));
    CHECK(found.gradient.allFinite());
  }
}

TEMPLATE_LIST_TEST_CASE("one-hot targets are labels", "[targets]", Reals32And64) {
  Random random;
  for (Index cols : {1, 2, 12, 50, 300})
    for (double scale : {1.0, 20.0}) {
      Labels const labels = random_labels(random, 9, cols);
      Rows<TestType> const logits = normal_rows<TestType>(random, 9, cols, scale);
      Rows<TestType> const targets = one_hot_rows<TestType>(labels, cols);
      auto const by_label = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
      auto const by_target = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, targets);
      // Each has its own arithmetic and its own 4 ulp; the exact results, in the line below, are the same.
      CHECK(close(by_target.loss, by_label.loss, 4));
      CHECK(close(by_target.gradient, by_label.gradient, 4));
      check_targets_in_both_orders<TestType>(logits, targets, {});
    }
}

TEMPLATE_LIST_TEST_CASE("a confident one-hot row keeps the digits of its loss and gradient", "[targets]",
                        Reals32And64) {
  for (double margin : {10.0, 20.0, 60.0}) {
    Rows<TestType> logits = Rows<TestType>::Zero(2, 4);
    logits.col(2).setConstant(static_cast<TestType>(margin));
    check_targets_in_both_orders<TestType>(logits, one_hot_rows<TestType>(Labels::Constant(2, 2), 4), {});
  }
}

TEMPLATE_LIST_TEST_CASE("smoothing labels is giving smoothed targets", "[targets]", Reals32And64) {
  Random random;
  Index const cols = 8;  // a power of two: (1 - e) + e / C and e / C are exact
  TestType const e = TestType(0.125);
  Labels const labels = random_labels(random, 10, cols);
  Rows<TestType> const logits = normal_rows<TestType>(random, 10, cols, 3);
  Rows<TestType> const smoothed = one_hot_rows<TestType>(labels, cols) * (1 - e) + e / TestType(cols);
  auto const by_label = xent::softmax_cross_entropy_with_gradient(logits, labels, {.label_smoothing = e});
  auto const by_target = xent::softmax_cross_entropy_with_gradient(logits, smoothed);
  CHECK(close(by_label.loss, by_target.loss, 4));
  TestType const unit = std::numeric_limits<TestType>::epsilon();
  CHECK(((by_label.gradient - by_target.gradient).abs() <= unit).all());
}

TEMPLATE_LIST_TEST_CASE("the loss is least where softmax meets the targets: their entropy", "[targets]", Reals32And64) {
  Random random;
  Rows<TestType> const best = normal_rows<TestType>(random, 20, 6, 2);
  Rows<TestType> const targets = xent::softmax(best);
  auto const least = xent::softmax_cross_entropy_with_gradient<Reduction::none>(best, targets);
  TestType const unit = std::numeric_limits<TestType>::epsilon();
  CHECK((least.gradient.abs() <= 4 * unit).all());
  // Targets that are off by a share d of themselves, up to 4 ulp, move the loss by the sum of t d, however small it is.
  auto const entropy = xent::entropy<Reduction::none>(targets);
  CHECK(((least.loss - entropy).abs() <= 8 * unit * (1 + entropy)).all());
  Rows<TestType> const moved = best + normal_rows<TestType>(random, 20, 6, 0.5);
  CHECK((xent::softmax_cross_entropy<Reduction::none>(moved, targets) >= least.loss).all());
}

TEMPLATE_LIST_TEST_CASE("the returned pair, the buffer and the logits' own storage hold the same bits", "[targets]",
                        Reals32And64) {
  Random random;
  for (Index cols : {1, 6, 45, 520}) {
    Rows<TestType> logits = normal_rows<TestType>(random, 11, cols, 2);
    Rows<TestType> const targets = distributions<TestType>(random, 11, cols);
    auto const [loss, gradient] = xent::softmax_cross_entropy_with_gradient(logits, targets);
    Rows<TestType> buffer;
    CHECK(identical(xent::softmax_cross_entropy_with_gradient(logits, targets, buffer), loss));
    CHECK(identical(buffer, gradient));
    CHECK(identical(xent::softmax_cross_entropy(logits, targets), loss));
    CHECK(identical(xent::softmax_cross_entropy_with_gradient(logits, targets, logits), loss));
    CHECK(identical(logits, gradient));
  }
}

TEMPLATE_LIST_TEST_CASE("a row against its targets has the same bits alone and in any batch", "[targets]",
                        Reals32And64) {
  Random random;
  for (Index cols : {2, 9, 40, 650}) {
    Rows<TestType> const logits = normal_rows<TestType>(random, 25, cols, 4);
    Rows<TestType> const targets = distributions<TestType>(random, 25, cols);
    auto const whole = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, targets);
    for (Index i : {0, 1, 9, 24}) {
      Rows<TestType> const row = logits.row(i);
      Rows<TestType> const target = targets.row(i);
      auto const alone = xent::softmax_cross_entropy_with_gradient<Reduction::none>(row, target);
      CHECK(identical(alone.loss, whole.loss.segment(i, 1)));
      CHECK(identical(alone.gradient, whole.gradient.row(i)));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("one sample: a vector of logits and a vector of targets", "[targets]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 1, 8, 2);
  Rows<TestType> const targets = distributions<TestType>(random, 1, 8);
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), grid(targets));
  Vector<TestType> const sample = logits.row(0).transpose();
  Vector<TestType> const target = targets.row(0).transpose();
  CHECK(within(xent::softmax_cross_entropy(sample, target), exact.mean));
  auto const [loss, gradient] = xent::softmax_cross_entropy_with_gradient(sample, target);
  CHECK(within(loss, exact.mean));
  CHECK(within(gradient, exact.gradient));
}

TEMPLATE_LIST_TEST_CASE("targets may be laid out otherwise than the logits, or be an expression", "[targets]",
                        Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 9, 14, 2);
  Rows<TestType> const targets = distributions<TestType>(random, 9, 14);
  Exact const exact = oracle::softmax_cross_entropy(grid(logits), grid(targets)).mean;
  Cols<TestType> const columns = targets;
  Cols<TestType> const classes_in_rows = targets.transpose();
  CHECK(within(xent::softmax_cross_entropy(logits, columns), exact));
  CHECK(within(xent::softmax_cross_entropy(logits, classes_in_rows.transpose()), exact));
  CHECK(within(xent::softmax_cross_entropy(logits, columns / 2 + columns / 2), exact));
  CHECK(within(xent::softmax_cross_entropy(Cols<TestType>(logits), targets.matrix()), exact));
}

TEST_CASE("the oracle's gradient is that of its loss, by differences", "[oracle]") {
  Random random;
  Grid const logits = grid(normal_rows<double>(random, 3, 5, 2));
  Grid const targets = grid(distributions<double>(random, 3, 5));
  oracle::Options options;
  options.label_smoothing = 0.1L;
  options.class_weights = {1, 2, 0.5L, 3, 1};
  options.sample_weights = {1, -2, 3};
  options.z_loss = 0.01L;
  Exacts const analytic = oracle::softmax_cross_entropy(logits, targets, options).gradient;
  Exacts const numeric = oracle::numeric_gradient(logits, targets, options);
  for (std::size_t j = 0; j < analytic.size(); ++j) CHECK_FALSE(!(std::abs(analytic[j].hi - numeric[j].hi) <= 1e-15L));
}

TEMPLATE_LIST_TEST_CASE("the library's gradient is that of the exact loss, by differences", "[targets]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 4, 6, 2);
  Rows<TestType> const targets = distributions<TestType>(random, 4, 6);
  auto const [loss, gradient] = xent::softmax_cross_entropy_with_gradient<Reduction::sum>(logits, targets);
  Exacts numeric = oracle::numeric_gradient(grid(logits), grid(targets));
  for (Exact& entry : numeric) entry.scale = 1;  // the gradient is a difference of two numbers below 1
  CHECK(within(gradient, numeric, 8));
  CHECK(loss > 0);
}
