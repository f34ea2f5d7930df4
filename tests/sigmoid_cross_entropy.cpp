// SPDX-License-Identifier: MIT
// sigmoid_cross_entropy: p t softplus(-z) + (1 - t) softplus(z), with all digits on both sides of 0.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/layouts.hpp"
#include "support/oracle.hpp"
#include "support/setup.hpp"
#include "support/ulp.hpp"

#include <xent/sigmoid_cross_entropy.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

template <class Logits, class Scalar>
void check_binary(Logits const& logits, Logits const& targets, Setup<Scalar> const& setup) {
  oracle::Loss const exact = oracle::sigmoid_cross_entropy(grid(logits), grid(targets), setup.exact());
  auto const options = setup.sigmoid();
  // A factor on a subnormal leaves as many smallest normals of error as the factor says.
  long double const factor =
      1 + static_cast<long double>(setup.pos_weights.size() ? setup.pos_weights.maxCoeff() : 1) *
              static_cast<long double>(setup.class_weights.size() ? setup.class_weights.maxCoeff() : 1) *
              static_cast<long double>(setup.sample_weights.size() ? setup.sample_weights.abs().maxCoeff() : 1);
  CHECK(within(xent::sigmoid_cross_entropy<Reduction::none>(logits, targets, options), exact.none, 4, factor));
  CHECK(within(xent::sigmoid_cross_entropy<Reduction::sum>(logits, targets, options), exact.sum));
  CHECK(within(xent::sigmoid_cross_entropy(logits, targets, options), exact.mean));
  Logits gradient;
  auto const sum = xent::sigmoid_cross_entropy_with_gradient<Reduction::sum>(logits, targets, gradient, options);
  CHECK(within(sum, exact.sum));
  CHECK(within(gradient, exact.gradient, 4, factor));
  auto const mean = xent::sigmoid_cross_entropy_with_gradient(logits, targets, gradient, options);
  CHECK(within(mean, exact.mean));
  CHECK(within(gradient, exact.mean_gradient, 4, factor));
}

template <class Scalar>
void check_both_orders(Rows<Scalar> const& logits, Rows<Scalar> const& targets, Setup<Scalar> const& setup = {}) {
  check_binary(logits, targets, setup);
  check_binary(Cols<Scalar>(logits), Cols<Scalar>(targets), setup);
}

template <class Scalar>
Rows<Scalar> hard_targets(Random& random, Index rows, Index cols) {
  return integer_rows<Scalar>(random, rows, cols, 0, 1);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("hard targets: loss and gradient are within 4 ulp", "[sigmoid_cross_entropy]", Reals32And64) {
  Random random;
  for (double scale : {1e-3, 1.0, 20.0, 1e3})
    for (Index cols : {1, 3, 20})
      check_both_orders(normal_rows<TestType>(random, 9, cols, scale), hard_targets<TestType>(random, 9, cols));
}

TEMPLATE_LIST_TEST_CASE("soft targets: loss and gradient are within 4 ulp", "[sigmoid_cross_entropy]", Reals32And64) {
  Random random;
  for (double scale : {1e-3, 1.0, 20.0, 1e3})
    check_both_orders(normal_rows<TestType>(random, 9, 12, scale), uniform_rows<TestType>(random, 9, 12, 0, 1));
  Rows<TestType> logits = Rows<TestType>::Constant(1, 2, -50);
  Rows<TestType> const targets = Rows<TestType>::Constant(1, 2, TestType(1e-7));
  check_both_orders(logits, targets);
}

TEMPLATE_LIST_TEST_CASE("a confident and right prediction keeps all digits, whichever its side",
                        "[sigmoid_cross_entropy]", Reals32And64) {
  for (double margin : {5.0, 17.0, 37.0, 80.0}) {
    Rows<TestType> logits(1, 2);
    logits << static_cast<TestType>(margin), static_cast<TestType>(-margin);
    Rows<TestType> targets(1, 2);
    targets << 1, 0;
    check_both_orders(logits, targets);
    auto const [loss, gradient] = xent::sigmoid_cross_entropy_with_gradient<Reduction::none>(logits, targets);
    CHECK((loss > 0).all());
    CHECK(loss(0) == loss(1));
    CHECK(gradient(0) == -gradient(1));
  }
}

TEMPLATE_LIST_TEST_CASE("L(z, t) is L(-z, 1 - t) to the bit", "[sigmoid_cross_entropy]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 20, 30, 10);
  Rows<TestType> const targets = integer_rows<TestType>(random, 20, 30, 0, 64) / TestType(64);  // 1 - t is exact
  Rows<TestType> const minus_logits = -logits;
  Rows<TestType> const others = 1 - targets;
  auto const one = xent::sigmoid_cross_entropy_with_gradient<Reduction::none>(logits, targets);
  auto const other = xent::sigmoid_cross_entropy_with_gradient<Reduction::none>(minus_logits, others);
  CHECK(identical(one.loss, other.loss));
  CHECK((one.gradient == -other.gradient).all());
}

TEMPLATE_LIST_TEST_CASE("pos_weights weigh the positive term alone", "[sigmoid_cross_entropy]", Reals32And64) {
  Random random;
  Setup<TestType> setup;
  setup.pos_weights = positive_weights<TestType>(random, 7);
  check_both_orders(normal_rows<TestType>(random, 8, 7, 5), uniform_rows<TestType>(random, 8, 7, 0, 1), setup);
  setup.pos_weights = Vector<TestType>::Constant(1, TestType(0.3));
  check_both_orders(normal_rows<TestType>(random, 8, 7, 200), hard_targets<TestType>(random, 8, 7), setup);
}

TEMPLATE_LIST_TEST_CASE("all options together", "[sigmoid_cross_entropy]", Reals32And64) {
  Random random;
  for (int round = 0; round < 20; ++round) {
    Index const rows = random.integer(1, 9);
    Index const cols = random.integer(1, 20);
    Setup<TestType> setup;
    if (random.chance(0.5)) setup.label_smoothing = static_cast<TestType>(random.uniform(0, 1));
    if (random.chance(0.5)) setup.pos_weights = positive_weights<TestType>(random, random.chance(0.5) ? cols : 1);
    if (random.chance(0.5)) setup.class_weights = positive_weights<TestType>(random, cols);
    if (random.chance(0.5)) setup.sample_weights = positive_weights<TestType>(random, rows);
    if (random.chance(0.3) && setup.sample_weights.size()) setup.sample_weights(0) = TestType(-2);
    if (random.chance(0.3) && setup.sample_weights.size()) setup.sample_weights(rows - 1) = 0;
    check_both_orders(normal_rows<TestType>(random, rows, cols, 4), uniform_rows<TestType>(random, rows, cols, 0, 1),
                      setup);
  }
}

TEMPLATE_LIST_TEST_CASE("every element meets its own weights, however long rows and columns are",
                        "[sigmoid_cross_entropy]", Reals32And64) {
  Random random;
  for (auto const& [rows, cols] :
       {std::pair<Index, Index>{1300, 1}, {1, 600}, {700, 2}, {170, 3}, {40, 33}, {3, 511}, {2, 1100}}) {
    Setup<TestType> setup;
    setup.pos_weights = positive_weights<TestType>(random, cols);
    setup.class_weights = positive_weights<TestType>(random, cols);
    setup.sample_weights = positive_weights<TestType>(random, rows);
    setup.sample_weights(rows / 2) = rows > 1 ? TestType(0) : TestType(2);
    Rows<TestType> logits = normal_rows<TestType>(random, rows, cols, 4);
    if (rows > 1) logits(rows / 2, cols - 1) = nan<TestType>();  // of a row that does not count
    INFO(rows << " x " << cols);
    check_both_orders(logits, uniform_rows<TestType>(random, rows, cols, 0, 1), setup);
  }
}

TEMPLATE_LIST_TEST_CASE("smoothing is (1 - e) t + e / 2", "[sigmoid_cross_entropy]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 6, 5, 3);
  Rows<TestType> const targets = hard_targets<TestType>(random, 6, 5);
  Rows<TestType> const smoothed = targets * TestType(0.75) + TestType(0.125);
  auto const found = xent::sigmoid_cross_entropy_with_gradient(logits, targets, {.label_smoothing = TestType(0.25)});
  auto const expected = xent::sigmoid_cross_entropy_with_gradient(logits, smoothed);
  CHECK(close(found.loss, expected.loss, 1));
  CHECK(close(found.gradient, expected.gradient, 2));
}

TEMPLATE_LIST_TEST_CASE("infinite logits have their limits", "[sigmoid_cross_entropy][edges]", Reals32And64) {
  TestType const inf = infinity<TestType>();
  TestType const big = std::numeric_limits<TestType>::max();
  Rows<TestType> logits(2, 6);
  logits << inf, -inf, inf, -inf, inf, -inf,  //
      big, -big, big, -big, 0, -TestType(0);
  Rows<TestType> targets(2, 6);
  targets << 1, 0, 0, 1, TestType(0.5), TestType(0.25),  //
      1, 0, 0, 1, 1, 0;
  check_both_orders(logits, targets);
  auto const [loss, gradient] = xent::sigmoid_cross_entropy_with_gradient<Reduction::none>(logits, targets);
  CHECK(loss(0, 0) == 0);
  CHECK(loss(0, 1) == 0);
  CHECK(loss(0, 2) == inf);
  CHECK(loss(0, 3) == inf);
  CHECK(gradient(0, 0) == 0);
  CHECK(gradient(0, 1) == 0);
  CHECK(gradient(0, 2) == 1);
  CHECK(gradient(0, 3) == -1);
}

TEMPLATE_LIST_TEST_CASE("losses whose sum is beyond the largest number have a finite mean",
                        "[sigmoid_cross_entropy][edges]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = Rows<TestType>::Constant(40, 33, -std::numeric_limits<TestType>::max());
  Rows<TestType> const targets = uniform_rows<TestType>(random, 40, 33, 0.5, 1);
  CHECK(within(xent::sigmoid_cross_entropy(logits, targets),
               oracle::sigmoid_cross_entropy(grid(logits), grid(targets)).mean));
  Setup<TestType> setup;
  setup.pos_weights = Vector<TestType>::Constant(1, 8);
  setup.class_weights = Vector<TestType>::Constant(33, TestType(0.03));
  CHECK(within(xent::sigmoid_cross_entropy<Reduction::none>(logits, targets, setup.sigmoid()),
               oracle::sigmoid_cross_entropy(grid(logits), grid(targets), setup.exact()).none));
}

TEMPLATE_LIST_TEST_CASE("a factor of 0 silences even an infinite loss", "[sigmoid_cross_entropy][edges]",
                        Reals32And64) {
  TestType const inf = infinity<TestType>();
  Rows<TestType> logits = Rows<TestType>::Zero(2, 3);
  logits.row(0) << -inf, inf, inf;
  Rows<TestType> const targets = (Rows<TestType>(2, 3) << 1, 0, 1, 1, 1, 0).finished();
  Setup<TestType> setup;
  setup.pos_weights = (Vector<TestType>(3) << 0, 1, 1).finished();
  setup.class_weights = (Vector<TestType>(3) << 1, 0, 1).finished();
  check_both_orders(logits, targets, setup);
  CHECK(std::isfinite(xent::sigmoid_cross_entropy(logits, targets, setup.sigmoid())));
}

TEMPLATE_LIST_TEST_CASE("sigmoid is softmax of two classes, one of them 0", "[sigmoid_cross_entropy]", Reals32And64) {
  Random random;
  Rows<TestType> const z = normal_rows<TestType>(random, 60, 1, 20);
  Rows<TestType> logits = Rows<TestType>::Zero(60, 2);
  logits.col(1) = z;
  Labels const labels = random_labels(random, 60, 2);
  Rows<TestType> const targets = labels.cast<TestType>();
  auto const binary = xent::sigmoid_cross_entropy_with_gradient<Reduction::none>(z, targets);
  auto const both = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
  CHECK(close(binary.loss.col(0).eval(), both.loss, 4));
  CHECK(close(binary.gradient.col(0).eval(), both.gradient.col(1).eval(), 4));
}

TEMPLATE_LIST_TEST_CASE("NaN stays where it is; a row of weight 0 is never read", "[sigmoid_cross_entropy][edges]",
                        Reals32And64) {
  Random random;
  Rows<TestType> logits = normal_rows<TestType>(random, 4, 9, 2);
  Rows<TestType> const targets = uniform_rows<TestType>(random, 4, 9, 0, 1);
  auto const clean = xent::sigmoid_cross_entropy_with_gradient<Reduction::none>(logits, targets);
  logits(1, 4) = nan<TestType>();
  auto const found = xent::sigmoid_cross_entropy_with_gradient<Reduction::none>(logits, targets);
  CHECK(std::isnan(found.loss(1, 4)));
  CHECK(std::isnan(found.gradient(1, 4)));
  CHECK(identical(found.gradient.row(0), clean.gradient.row(0)));
  CHECK(identical(found.gradient.row(2), clean.gradient.row(2)));
  CHECK(std::isnan(xent::sigmoid_cross_entropy(logits, targets)));
  Vector<TestType> weights = Vector<TestType>::Ones(4);
  weights(1) = 0;
  auto const skipped =
      xent::sigmoid_cross_entropy_with_gradient<Reduction::none>(logits, targets, {.sample_weights = weights});
  CHECK(all_are(skipped.loss.row(1), 0));
  CHECK(all_are(skipped.gradient.row(1), 0));
  CHECK(identical(skipped.loss.row(3), clean.loss.row(3)));
}

TEMPLATE_LIST_TEST_CASE("the mean divides by the number of elements; of none it is NaN", "[sigmoid_cross_entropy]",
                        Reals32And64) {
  Cols<TestType> const logits = Cols<TestType>::Zero(3, 5);
  Exact const log2{0.693147180559945309417L, 0, 0};
  CHECK(within(xent::sigmoid_cross_entropy(logits, logits), log2));
  for (auto const& [rows, cols] : {std::pair<Index, Index>{0, 4}, {3, 0}}) {
    Cols<TestType> const none(rows, cols);
    auto const [loss, gradient] = xent::sigmoid_cross_entropy_with_gradient(none, none);
    CHECK(std::isnan(loss));
    CHECK(gradient.rows() == rows);
    CHECK(gradient.cols() == cols);
    CHECK(xent::sigmoid_cross_entropy<Reduction::sum>(none, none) == 0);
    CHECK(xent::sigmoid_cross_entropy<Reduction::none>(none, none).size() == 0);
  }
}

TEMPLATE_LIST_TEST_CASE("binary cross entropy is the same in either order and from an expression, in place too",
                        "[sigmoid_cross_entropy]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = integer_rows<TestType>(random, 9, 13, -20, 20);
  Rows<TestType> const targets = integer_rows<TestType>(random, 9, 13, 0, 8) / TestType(8);
  auto const expected = xent::sigmoid_cross_entropy_with_gradient<Reduction::sum>(logits, targets);
  for_main_layouts(logits, [&](char const* layout, auto const& array) {
    INFO(layout);
    auto const found = xent::sigmoid_cross_entropy_with_gradient<Reduction::sum>(array, targets);
    CHECK(close(found.loss, expected.loss, 1));
    CHECK((found.gradient == expected.gradient).all());
  });
  Cols<TestType> in_place = logits;
  xent::sigmoid_cross_entropy_with_gradient<Reduction::sum>(in_place, targets, in_place);
  CHECK((in_place == expected.gradient).all());
  auto const each = xent::sigmoid_cross_entropy<Reduction::none>(logits, targets);
  using Each = std::remove_cvref_t<decltype(each)>;
  STATIC_REQUIRE(std::is_same_v<Each, typename Each::PlainObject>);
  CHECK(each.rows() == 9);
  CHECK(each.cols() == 13);
}

TEMPLATE_LIST_TEST_CASE("a vector of logits and a vector of targets", "[sigmoid_cross_entropy]", Reals32And64) {
  Random random;
  Vector<TestType> const logits = normal_rows<TestType>(random, 8, 1, 2).col(0);
  Vector<TestType> const targets = uniform_rows<TestType>(random, 8, 1, 0, 1).col(0);
  oracle::Loss const exact = oracle::sigmoid_cross_entropy(grid(logits), grid(targets));
  auto const [loss, gradient] = xent::sigmoid_cross_entropy_with_gradient(logits, targets);
  CHECK(within(loss, exact.mean));
  CHECK(within(gradient, exact.mean_gradient));
}

TEST_CASE("sigmoid_cross_entropy's refusals", "[sigmoid_cross_entropy][errors]") {
  Eigen::ArrayXXf const logits = Eigen::ArrayXXf::Zero(4, 3);
  Eigen::ArrayXXf const targets = logits;
  using Options = xent::SigmoidCrossEntropyOptions<float>;
  auto refused = [&](Options const& options, std::initializer_list<char const*> words) {
    CHECK(refuses<std::invalid_argument>([&] { xent::sigmoid_cross_entropy(logits, targets, options); }, words));
    Eigen::ArrayXXf gradient = Eigen::ArrayXXf::Constant(2, 5, 7);
    CHECK(refuses<std::invalid_argument>(
        [&] { xent::sigmoid_cross_entropy_with_gradient(logits, targets, gradient, options); }, words));
    CHECK(gradient.rows() == 2);
    CHECK(all_are(gradient, 7));
  };
  CHECK(refuses<std::invalid_argument>(
      [&] { xent::sigmoid_cross_entropy(logits, Eigen::ArrayXXf(Eigen::ArrayXXf::Zero(3, 3))); },
      {"xent::sigmoid_cross_entropy: ", "targets", "logits"}));
  CHECK(refuses<std::invalid_argument>(
      [&] { xent::sigmoid_cross_entropy(logits, Eigen::ArrayXXf(Eigen::ArrayXXf::Zero(4, 2))); }, {"targets"}));
  refused({.label_smoothing = -0.5F}, {"label_smoothing", "[0, 1]"});
  refused({.label_smoothing = std::numeric_limits<float>::quiet_NaN()}, {"label_smoothing"});
  refused({.pos_weights = Eigen::ArrayXf(Eigen::ArrayXf::Ones(2))}, {"pos_weights", "2", "3"});
  refused({.pos_weights = Eigen::Array3f(1, -1, 1)}, {"pos_weights[1]"});
  refused({.class_weights = Eigen::Array3f(1, 1, -1)}, {"class_weights[2]"});
  refused({.class_weights = Eigen::ArrayXf(Eigen::ArrayXf::Ones(4))}, {"class_weights", "4", "3"});
  refused({.sample_weights = Eigen::ArrayXf(Eigen::ArrayXf::Ones(3))}, {"sample_weights", "3", "4"});
  refused({.sample_weights = Eigen::Array4f(1, 1, 1, std::numeric_limits<float>::infinity())}, {"sample_weights[3]"});
  Eigen::Array<float, 3, 3> fixed = Eigen::Array<float, 3, 3>::Constant(7);
  CHECK(refuses<std::invalid_argument>([&] { xent::sigmoid_cross_entropy_with_gradient(logits, targets, fixed); },
                                       {"gradient"}));
  CHECK(all_are(fixed, 7));
}
