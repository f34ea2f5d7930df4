// SPDX-License-Identifier: MIT
// nll_loss: -w s log p of the label, weighted and averaged as softmax_cross_entropy does it.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/layouts.hpp"
#include "support/oracle.hpp"
#include "support/setup.hpp"
#include "support/ulp.hpp"

#include <xent/log_softmax.hpp>
#include <xent/nll_loss.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <tuple>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

template <class Scalar>
xent::NllLossOptions<Scalar> nll_options(Setup<Scalar> const& setup) {
  return {
      .ignore_index = setup.ignore_index, .class_weights = setup.class_weights, .sample_weights = setup.sample_weights};
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("nll_loss follows the formula with any options", "[nll_loss]", Reals32And64) {
  Random random;
  for (int round = 0; round < 30; ++round) {
    Index const rows = random.integer(1, 12);
    Index const cols = random.integer(1, 15);
    Rows<TestType> const log_probs = -normal_rows<TestType>(random, rows, cols, 5).abs();
    Labels const labels = random_labels(random, rows, cols);
    Setup<TestType> setup;
    if (random.chance(0.5)) setup.ignore_index = random.integer(-1, cols - 1);
    if (random.chance(0.5)) setup.class_weights = positive_weights<TestType>(random, cols);
    if (random.chance(0.5)) setup.sample_weights = positive_weights<TestType>(random, rows);
    oracle::Loss const exact = oracle::nll_loss(grid(log_probs), indices(labels), setup.exact());
    auto const options = nll_options(setup);
    CHECK(within(xent::nll_loss<Reduction::none>(log_probs, labels, options), exact.none));
    CHECK(within(xent::nll_loss<Reduction::sum>(log_probs, labels, options), exact.sum));
    CHECK(within(xent::nll_loss(Cols<TestType>(log_probs), labels, options), exact.mean));
    auto const sum = xent::nll_loss_with_gradient<Reduction::sum>(log_probs, labels, options);
    CHECK(within(sum.gradient, exact.gradient));
    Cols<TestType> gradient;
    CHECK(within(xent::nll_loss_with_gradient(log_probs, labels, gradient, options), exact.mean));
    CHECK(within(gradient, exact.mean_gradient));
  }
}

TEMPLATE_LIST_TEST_CASE("nll_loss of log_softmax is softmax_cross_entropy", "[nll_loss]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 20, 7, 3);
  Labels const labels = random_labels(random, 20, 7);
  Vector<TestType> const w = positive_weights<TestType>(random, 7);
  auto const log_probs = xent::log_softmax(logits);
  CHECK(close(xent::nll_loss<Reduction::none>(log_probs, labels),
              xent::softmax_cross_entropy<Reduction::none>(logits, labels), 2));
  CHECK(close(xent::nll_loss(log_probs, labels, {.class_weights = w}),
              xent::softmax_cross_entropy(logits, labels, {.class_weights = w}), 4));
}

TEMPLATE_LIST_TEST_CASE("nll_loss in either order, from an expression, and in place", "[nll_loss]", Reals32And64) {
  Random random;
  Rows<TestType> const log_probs = integer_rows<TestType>(random, 9, 6, -30, 0);
  Labels const labels = random_labels(random, 9, 6);
  auto const expected = xent::nll_loss_with_gradient(log_probs, labels);
  for_main_layouts(log_probs, [&](char const* layout, auto const& array) {
    INFO(layout);
    CHECK(identical(xent::nll_loss(array, labels), expected.loss));
  });
  Cols<TestType> in_place = log_probs;
  CHECK(identical(xent::nll_loss_with_gradient(in_place, labels, in_place), expected.loss));
  CHECK((in_place == expected.gradient).all());
}

TEMPLATE_LIST_TEST_CASE("nll_loss at the edges", "[nll_loss][edges]", Reals32And64) {
  TestType const inf = infinity<TestType>();
  Rows<TestType> log_probs = Rows<TestType>::Constant(4, 3, -1);
  log_probs(0, 0) = -inf;
  log_probs(1, 0) = nan<TestType>();
  log_probs(2, 1) = -inf;  // not the label's
  Labels labels = Labels::Zero(4);
  auto const found = xent::nll_loss_with_gradient<Reduction::none>(log_probs, labels);
  CHECK(found.loss(0) == inf);
  CHECK(std::isnan(found.loss(1)));
  CHECK(found.loss(2) == 1);
  CHECK(found.loss(3) == 1);
  CHECK(found.gradient(0, 0) == -1);
  CHECK(all_are(found.gradient.rightCols(2).bottomRows(2), 0));

  labels(1) = -100;
  auto const ignoring = xent::nll_loss_with_gradient<Reduction::none>(log_probs, labels, {.ignore_index = -100});
  CHECK(ignoring.loss(1) == 0);
  CHECK(all_are(ignoring.gradient.row(1), 0));
  Vector<TestType> const weights = (Vector<TestType>(3) << 0, 1, 1).finished();
  CHECK(std::isnan(
      xent::nll_loss(log_probs, labels, {.ignore_index = -100, .class_weights = weights})));  // all weights 0
  CHECK(xent::nll_loss<Reduction::sum>(log_probs.topRows(1), Labels(labels.head(1)), {.class_weights = weights}) == 0);
  auto const nothing = xent::nll_loss_with_gradient(log_probs, Labels(Labels::Constant(4, 2)), {.ignore_index = 2});
  CHECK(std::isnan(nothing.loss));
  CHECK(all_are(nothing.gradient, 0));
  CHECK(std::isnan(xent::nll_loss(Rows<TestType>(0, 3), Labels(0))));
  CHECK(xent::nll_loss<Reduction::sum>(Rows<TestType>(0, 3), Labels(0)) == 0);
}

TEMPLATE_LIST_TEST_CASE("nll_loss computes what is no log-probability, and one sample", "[nll_loss]", Reals32And64) {
  Vector<TestType> const log_probs = (Vector<TestType>(3) << 2, -1, TestType(-0.5)).finished();
  CHECK(xent::nll_loss(log_probs, 0) == -2);
  CHECK(xent::nll_loss<Reduction::none>(log_probs, 1)(0) == 1);
  auto const [loss, gradient] = xent::nll_loss_with_gradient(log_probs, 2);
  CHECK(loss == TestType(0.5));
  CHECK((gradient == Vector<TestType>((Vector<TestType>(3) << 0, 0, -1).finished())).all());
}

TEST_CASE("nll_loss's refusals", "[nll_loss][errors]") {
  Eigen::ArrayXXf const log_probs = Eigen::ArrayXXf::Constant(4, 3, -1);
  Eigen::Array4i const labels(0, 1, 2, 3);
  CHECK(refuses<std::out_of_range>([&] { xent::nll_loss(log_probs, labels); },
                                   {"xent::nll_loss: labels[3] is 3, outside [0, 3)"}));
  Eigen::ArrayXXf gradient = Eigen::ArrayXXf::Constant(2, 2, 7);
  CHECK(refuses<std::out_of_range>([&] { xent::nll_loss_with_gradient(log_probs, labels, gradient); },
                                   {"xent::nll_loss_with_gradient: ", "labels[3]"}));
  CHECK(gradient.rows() == 2);
  CHECK(all_are(gradient, 7));
  CHECK(refuses<std::invalid_argument>([&] { xent::nll_loss(log_probs, Eigen::Array3i(0, 1, 2)); },
                                       {"labels", "3", "log_probs", "4"}));
  Eigen::Array4i const good(0, 1, 2, 0);
  CHECK(refuses<std::invalid_argument>(
      [&] { xent::nll_loss(log_probs, good, {.class_weights = Eigen::Array3f(1, 1, -1)}); }, {"class_weights[2]"}));
  CHECK(refuses<std::invalid_argument>(
      [&] { xent::nll_loss(log_probs, good, {.sample_weights = Eigen::Array3f(1, 1, 1)}); }, {"sample_weights"}));
  CHECK(refuses<std::invalid_argument>([&] { xent::nll_loss(Eigen::ArrayXXf(4, 0), good); }, {"log_probs"}));
}
