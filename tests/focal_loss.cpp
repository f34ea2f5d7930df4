// SPDX-License-Identifier: MIT
// softmax_focal_loss and sigmoid_focal_loss: cross-entropy times (1 - p)^gamma, with no NaN at p = 0 or 1.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/oracle.hpp"
#include "support/setup.hpp"
#include "support/ulp.hpp"

#include <xent/focal_loss.hpp>
#include <xent/sigmoid_cross_entropy.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>
#include <tuple>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

/// The power must not magnify the rounding of 1 - p: 4 ulp for every gamma.
constexpr long double ulps = 4;

template <class Logits, class Scalar>
void check_softmax(Logits const& logits, Labels const& labels, Setup<Scalar> const& setup) {
  oracle::Loss const exact = oracle::softmax_focal_loss(grid(logits), indices(labels), setup.exact());
  auto const none = xent::softmax_focal_loss_with_gradient<Reduction::none>(logits, labels, setup.focal());
  CHECK(within(none.loss, exact.none, ulps, 4));
  CHECK(within(none.gradient, exact.gradient, ulps, 4));
  Logits gradient;
  CHECK(within(xent::softmax_focal_loss_with_gradient(logits, labels, gradient, setup.focal()), exact.mean, ulps));
  CHECK(within(gradient, exact.mean_gradient, ulps, 4));
  CHECK(within(xent::softmax_focal_loss<Reduction::sum>(logits, labels, setup.focal()), exact.sum, ulps));
  Rows<Scalar> by_rows;
  xent::softmax_focal_loss_with_gradient(logits, labels, by_rows, setup.focal());
  CHECK(within(by_rows, exact.mean_gradient, ulps, 4));
  Cols<Scalar> by_columns;
  xent::softmax_focal_loss_with_gradient(logits, labels, by_columns, setup.focal());
  CHECK(within(by_columns, exact.mean_gradient, ulps, 4));
}

template <class Logits, class Scalar>
void check_sigmoid(Logits const& logits, Logits const& targets, Setup<Scalar> const& setup) {
  oracle::Loss const exact = oracle::sigmoid_focal_loss(grid(logits), grid(targets), setup.exact());
  auto const options = setup.sigmoid_focal();
  auto const none = xent::sigmoid_focal_loss_with_gradient<Reduction::none>(logits, targets, options);
  CHECK(within(none.loss, exact.none, ulps, 4));
  CHECK(within(none.gradient, exact.gradient, ulps, 4));
  Logits gradient;
  CHECK(within(xent::sigmoid_focal_loss_with_gradient(logits, targets, gradient, options), exact.mean, ulps));
  CHECK(within(gradient, exact.mean_gradient, ulps, 4));
  CHECK(within(xent::sigmoid_focal_loss<Reduction::sum>(logits, targets, options), exact.sum, ulps));
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the softmax focal loss and its gradient follow the formula", "[focal_loss]", Reals32And64) {
  Random random;
  for (TestType gamma : {TestType(0), TestType(0.5), TestType(1), TestType(1.5), TestType(2), TestType(5)})
    for (double scale : {0.1, 2.0, 30.0})
      for (Index cols : {2, 7, 40, 260}) {
        INFO("gamma " << gamma << ", scale " << scale << ", " << cols << " classes");
        Setup<TestType> setup;
        setup.gamma = gamma;
        Rows<TestType> const logits = normal_rows<TestType>(random, 4, cols, scale);
        Labels const labels = random_labels(random, 4, cols);
        check_softmax(logits, labels, setup);
        setup.class_weights = positive_weights<TestType>(random, cols);
        setup.sample_weights = positive_weights<TestType>(random, 4);
        setup.ignore_index = 1;
        check_softmax(Cols<TestType>(logits), labels, setup);
      }
}

TEMPLATE_LIST_TEST_CASE("the sigmoid focal loss and its gradient follow the formula", "[focal_loss]", Reals32And64) {
  Random random;
  for (TestType gamma : {TestType(0), TestType(0.5), TestType(1), TestType(1.5), TestType(2), TestType(5)})
    for (double scale : {0.1, 2.0, 30.0}) {
      INFO("gamma " << gamma << ", scale " << scale);
      Setup<TestType> setup;
      setup.gamma = gamma;
      Rows<TestType> const logits = normal_rows<TestType>(random, 5, 6, scale);
      Rows<TestType> const hard = integer_rows<TestType>(random, 5, 6, 0, 1);
      check_sigmoid(logits, hard, setup);
      check_sigmoid(logits, uniform_rows<TestType>(random, 5, 6, 0, 1), setup);
      setup.alpha = TestType(0.25);
      setup.sample_weights = positive_weights<TestType>(random, 5);
      check_sigmoid(Cols<TestType>(logits), Cols<TestType>(hard), setup);
    }
}

TEMPLATE_LIST_TEST_CASE("gamma = 0 is plain cross-entropy, to the bit", "[focal_loss]", Reals32And64) {
  Random random;
  for (Index cols : {1, 2, 9, 70}) {
    Rows<TestType> const logits = normal_rows<TestType>(random, 12, cols, 5);
    Labels const labels = random_labels(random, 12, cols);
    auto const focal = xent::softmax_focal_loss_with_gradient(logits, labels, {.gamma = 0});
    auto const plain = xent::softmax_cross_entropy_with_gradient(logits, labels);
    CHECK(identical(focal.loss, plain.loss));
    CHECK(identical(focal.gradient, plain.gradient));
    Rows<TestType> const targets = uniform_rows<TestType>(random, 12, cols, 0, 1);
    auto const binary_focal = xent::sigmoid_focal_loss_with_gradient(logits, targets, {.gamma = 0});
    auto const binary = xent::sigmoid_cross_entropy_with_gradient(logits, targets);
    CHECK(identical(binary_focal.loss, binary.loss));
    CHECK(identical(binary_focal.gradient, binary.gradient));
  }
}

TEMPLATE_LIST_TEST_CASE("the focal loss is never above cross-entropy", "[focal_loss]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 100, 5, 2);
  Labels const labels = random_labels(random, 100, 5);
  auto const focal = xent::softmax_focal_loss<Reduction::none>(logits, labels);
  auto const plain = xent::softmax_cross_entropy<Reduction::none>(logits, labels);
  CHECK((focal <= plain).all());
  CHECK((focal >= 0).all());
}

TEMPLATE_LIST_TEST_CASE("two classes of softmax are one of sigmoid", "[focal_loss]", Reals32And64) {
  Random random;
  Rows<TestType> const z = integer_rows<TestType>(random, 20, 1, -30, 30);
  Rows<TestType> logits = Rows<TestType>::Zero(20, 2);
  logits.col(1) = z;
  Labels const labels = random_labels(random, 20, 2);
  Rows<TestType> const targets = labels.cast<TestType>();
  CHECK(close(xent::softmax_focal_loss<Reduction::sum>(logits, labels),
              xent::sigmoid_focal_loss<Reduction::sum>(z, targets), 8));
}

TEMPLATE_LIST_TEST_CASE("no NaN where p is 0 or 1, for any gamma", "[focal_loss][edges]", Reals32And64) {
  TestType const big = std::numeric_limits<TestType>::max();
  TestType const inf = infinity<TestType>();
  for (TestType gamma : {TestType(0), TestType(0.25), TestType(1), TestType(2), TestType(50)}) {
    INFO("gamma " << gamma);
    Setup<TestType> setup;
    setup.gamma = gamma;
    Rows<TestType> logits(4, 2);
    logits << big, -big, -big, big, 0, -inf, -inf, 0;
    Labels const labels = Labels::Zero(4);
    auto const found = xent::softmax_focal_loss_with_gradient<Reduction::none>(logits, labels, setup.focal());
    CHECK(within(found.loss, oracle::softmax_focal_loss(grid(logits), indices(labels), setup.exact()).none));
    CHECK(within(found.gradient, oracle::softmax_focal_loss(grid(logits), indices(labels), setup.exact()).gradient));
    CHECK(found.loss(0) == 0);
    CHECK(found.loss(2) == 0);
    CHECK(found.loss(3) == inf);

    Rows<TestType> const z = (Rows<TestType>(1, 8) << big, -big, big, -big, inf, -inf, inf, -inf).finished();
    Rows<TestType> const t = (Rows<TestType>(1, 8) << 1, 0, 0, 1, 1, 0, 0, 1).finished();
    auto const binary = xent::sigmoid_focal_loss_with_gradient<Reduction::none>(z, t, setup.sigmoid_focal());
    CHECK(within(binary.loss, oracle::sigmoid_focal_loss(grid(z), grid(t), setup.exact()).none));
    CHECK(within(binary.gradient, oracle::sigmoid_focal_loss(grid(z), grid(t), setup.exact()).gradient));
  }
}

TEMPLATE_LIST_TEST_CASE("nor where 1 - p is below the smallest normal number", "[focal_loss][edges]", Reals32And64) {
  TestType const edge = -std::log(std::numeric_limits<TestType>::min());
  for (TestType gamma : {TestType(0.01), TestType(0.5), TestType(1), TestType(1.5), TestType(2), TestType(3)})
    for (TestType beyond : {TestType(-2), TestType(0.01), TestType(2), TestType(12), TestType(40)}) {
      INFO("gamma " << gamma << ", margin " << edge + beyond);
      Setup<TestType> setup;
      setup.gamma = gamma;
      Rows<TestType> logits = Rows<TestType>::Zero(3, 2);
      logits.col(1).setConstant(-edge - beyond);
      check_softmax(logits, Labels(Labels::Zero(3)), setup);
      check_softmax(logits, Labels(Labels::Ones(3)), setup);
    }
}

TEMPLATE_LIST_TEST_CASE("one class: nothing to lose at any gamma", "[focal_loss][edges]", Reals32And64) {
  for (TestType gamma : {TestType(0), TestType(0.5), TestType(2)}) {
    Rows<TestType> const one = Rows<TestType>::Constant(3, 1, 4);
    auto const found = xent::softmax_focal_loss_with_gradient(one, Labels(Labels::Zero(3)), {.gamma = gamma});
    CHECK(found.loss == 0);
    CHECK(all_are(found.gradient, 0));
  }
}

TEMPLATE_LIST_TEST_CASE("ignored focal rows are never read; the mean runs over the kept", "[focal_loss][edges]",
                        Reals32And64) {
  Random random;
  Rows<TestType> logits = normal_rows<TestType>(random, 5, 4, 2);
  logits.row(3).setConstant(nan<TestType>());
  Labels labels = random_labels(random, 5, 4);
  labels(2) = labels(3) = -1;
  auto const found = xent::softmax_focal_loss_with_gradient(logits, labels, {.ignore_index = -1});
  CHECK(std::isfinite(found.loss));
  CHECK(all_are(found.gradient.middleRows(2, 2), 0));
  auto const nothing =
      xent::softmax_focal_loss_with_gradient(logits, Labels(Labels::Constant(5, -1)), {.ignore_index = -1});
  CHECK(std::isnan(nothing.loss));
  CHECK(all_are(nothing.gradient, 0));
  logits(0, 1) = nan<TestType>();
  auto const rows = xent::softmax_focal_loss_with_gradient<Reduction::none>(logits, labels, {.ignore_index = -1});
  CHECK(std::isnan(rows.loss(0)));
  CHECK(all_are(rows.gradient.row(0), nan<long double>()));
  CHECK(rows.gradient.row(1).allFinite());
}

TEMPLATE_LIST_TEST_CASE("focal gradients: pair, buffer and in place hold the same bits", "[focal_loss]", Reals32And64) {
  Random random;
  Rows<TestType> logits = normal_rows<TestType>(random, 9, 11, 2);
  Labels const labels = random_labels(random, 9, 11);
  Rows<TestType> const targets = uniform_rows<TestType>(random, 9, 11, 0, 1);
  auto const pair = xent::softmax_focal_loss_with_gradient(logits, labels);
  CHECK(identical(xent::softmax_focal_loss(logits, labels), pair.loss));
  auto const binary = xent::sigmoid_focal_loss_with_gradient(logits, targets);
  Rows<TestType> copy = logits;
  CHECK(identical(xent::softmax_focal_loss_with_gradient(copy, labels, copy), pair.loss));
  CHECK(identical(copy, pair.gradient));
  copy = logits;
  CHECK(identical(xent::sigmoid_focal_loss_with_gradient(copy, targets, copy), binary.loss));
  CHECK(identical(copy, binary.gradient));
}

TEMPLATE_LIST_TEST_CASE("a focal loss has the same bits alone and beside a gradient", "[focal_loss]", Reals32And64) {
  Random random;
  for (auto [rows, cols] : {std::tuple(10000, 3), std::tuple(3000, 10), std::tuple(300, 300)}) {
    INFO(rows << " x " << cols);
    auto const check = [](auto const& logits, Labels const& labels) {
      CHECK(identical(xent::softmax_focal_loss_with_gradient<Reduction::none>(logits, labels).loss,
                      xent::softmax_focal_loss<Reduction::none>(logits, labels)));
    };
    Rows<TestType> const logits = normal_rows<TestType>(random, rows, cols, 1);
    Labels const labels = random_labels(random, rows, cols);
    check(logits, labels);
    check(Cols<TestType>(logits), labels);
  }
}

TEST_CASE("the focal losses' refusals", "[focal_loss][errors]") {
  Eigen::ArrayXXf const logits = Eigen::ArrayXXf::Zero(2, 3);
  Eigen::Array2i const labels(0, 2);
  for (float gamma : {-1.0F, std::numeric_limits<float>::quiet_NaN()}) {
    CHECK(refuses<std::invalid_argument>([&] { xent::softmax_focal_loss(logits, labels, {.gamma = gamma}); },
                                         {"xent::softmax_focal_loss: ", "gamma"}));
    CHECK(refuses<std::invalid_argument>([&] { xent::sigmoid_focal_loss(logits, logits, {.gamma = gamma}); },
                                         {"xent::sigmoid_focal_loss: ", "gamma"}));
  }
  for (float alpha : {-0.1F, 1.1F, std::numeric_limits<float>::quiet_NaN()})
    CHECK(refuses<std::invalid_argument>([&] { xent::sigmoid_focal_loss(logits, logits, {.alpha = alpha}); },
                                         {"alpha", "[0, 1]"}));
  CHECK(
      refuses<std::out_of_range>([&] { xent::softmax_focal_loss(logits, Eigen::Array2i(0, 3)); }, {"labels[1] is 3"}));
  CHECK(refuses<std::invalid_argument>(
      [&] { xent::softmax_focal_loss(logits, labels, {.class_weights = Eigen::Array2f(1, 1)}); }, {"class_weights"}));
  CHECK(refuses<std::invalid_argument>(
      [&] { xent::sigmoid_focal_loss(logits, logits, {.sample_weights = Eigen::Array3f(1, 1, 1)}); },
      {"sample_weights"}));
  CHECK(refuses<std::invalid_argument>(
      [&] { xent::sigmoid_focal_loss(logits, Eigen::ArrayXXf(Eigen::ArrayXXf::Zero(2, 2))); }, {"targets"}));
  Eigen::Array<float, 3, 3> fixed = Eigen::Array<float, 3, 3>::Constant(7);
  CHECK(refuses<std::invalid_argument>([&] { xent::softmax_focal_loss_with_gradient(logits, labels, fixed); },
                                       {"gradient"}));
  CHECK(refuses<std::invalid_argument>([&] { xent::sigmoid_focal_loss_with_gradient(logits, logits, fixed); },
                                       {"gradient"}));
  CHECK(all_are(fixed, 7));
}
