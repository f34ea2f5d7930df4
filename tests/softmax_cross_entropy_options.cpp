// SPDX-License-Identifier: MIT
// softmax_cross_entropy's options: what each one means, alone and together, to the formula.
#include "support/generators.hpp"
#include "support/oracle.hpp"
#include "support/setup.hpp"
#include "support/ulp.hpp"

#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <tuple>
#include <utility>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

template <class Logits, class Scalar>
void check_options(Logits const& logits, Labels const& labels, Setup<Scalar> const& setup) {
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels), setup.exact());
  auto const options = setup.softmax();
  auto const none = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels, options);
  CHECK(within(none.loss, exact.none));
  CHECK(within(none.gradient, exact.gradient));
  auto const mean = xent::softmax_cross_entropy_with_gradient(logits, labels, options);
  CHECK(within(mean.loss, exact.mean));
  CHECK(within(mean.gradient, exact.mean_gradient));
  CHECK(within(xent::softmax_cross_entropy<Reduction::sum>(logits, labels, options), exact.sum));
  Rows<Scalar> by_rows;
  xent::softmax_cross_entropy_with_gradient(logits, labels, by_rows, options);
  CHECK(within(by_rows, exact.mean_gradient));
  Cols<Scalar> by_columns;
  xent::softmax_cross_entropy_with_gradient(logits, labels, by_columns, options);
  CHECK(within(by_columns, exact.mean_gradient));
}

template <class Scalar>
void check_options_in_both_orders(Rows<Scalar> const& logits, Labels const& labels, Setup<Scalar> const& setup) {
  check_options(logits, labels, setup);
  check_options(Cols<Scalar>(logits), labels, setup);
}

template <class Scalar>
struct RandomBatch {
  Rows<Scalar> logits;
  Labels labels;
};

template <class Scalar>
RandomBatch<Scalar> batch(Random& random, Index rows, Index cols, double scale = 3) {
  return {normal_rows<Scalar>(random, rows, cols, scale), random_labels(random, rows, cols)};
}

/// Truth is labels or targets.
template <class Logits, class Truth>
void check_without_options(Logits const& logits, Truth const& truth) {
  xent::SoftmaxCrossEntropyOptions<typename Logits::Scalar> const untouched;
  CHECK(identical(xent::softmax_cross_entropy(logits, truth), xent::softmax_cross_entropy(logits, truth, untouched)));
  auto const without = xent::softmax_cross_entropy_with_gradient(logits, truth);
  auto const with = xent::softmax_cross_entropy_with_gradient(logits, truth, untouched);
  CHECK(identical(without.loss, with.loss));
  CHECK(identical(without.gradient, with.gradient));
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("any mixture of options follows the formula", "[options]", Reals32And64) {
  Random random;
  for (int round = 0; round < 60; ++round) {
    Index const rows = random.integer(1, 9);
    Index const cols = random.chance(0.1) ? random.integer(257, 300) : random.integer(1, 40);
    Setup<TestType> setup;
    if (random.chance(0.5)) setup.ignore_index = random.integer(-100, cols - 1);
    if (random.chance(0.5)) setup.label_smoothing = static_cast<TestType>(random.uniform(0, 1));
    if (random.chance(0.5)) setup.class_weights = positive_weights<TestType>(random, cols);
    if (random.chance(0.5)) setup.sample_weights = positive_weights<TestType>(random, rows);
    if (random.chance(0.5)) setup.z_loss = static_cast<TestType>(random.uniform(0, 0.1));
    auto const [logits, labels] = batch<TestType>(random, rows, cols);
    INFO(rows << " x " << cols << ", ignoring " << setup.ignore_index.value_or(-1000) << ", smoothing "
              << setup.label_smoothing << ", z-loss " << setup.z_loss << ", " << setup.class_weights.size()
              << " class weights, " << setup.sample_weights.size() << " sample weights");
    check_options_in_both_orders(logits, labels, setup);
  }
}

TEMPLATE_LIST_TEST_CASE("smoothing from none to all of the target", "[options]", Reals32And64) {
  Random random;
  for (TestType smoothing : {TestType(0), TestType(1e-3), TestType(0.1), TestType(0.5), TestType(1)})
    for (Index cols : {1, 2, 10, 200}) {
      auto const [logits, labels] = batch<TestType>(random, 5, cols);
      Setup<TestType> setup;
      setup.label_smoothing = smoothing;
      check_options_in_both_orders(logits, labels, setup);
    }
}

TEMPLATE_LIST_TEST_CASE("ignored rows add nothing to smoothed losses", "[options]", Reals32And64) {
  Random random;
  for (Index cols : {2, 3, 10, 40, 200}) {
    INFO(cols << " classes");
    auto [logits, labels] = batch<TestType>(random, 70, cols);
    for (Index i = 1; i < 70; i += 4) labels(i) = -1;
    Setup<TestType> setup;
    setup.ignore_index = -1;
    setup.label_smoothing = TestType(0.25);
    check_options_in_both_orders(logits, labels, setup);
  }
}

TEMPLATE_LIST_TEST_CASE("smoothing gives nothing to masked classes", "[options]", Reals32And64) {
  Random random;
  for (auto [cols, smoothing, weighted] : {std::tuple(3, 0.2, true),
                                           {12, 0.2, true},
                                           {70, 0.2, true},
                                           {3, 0.2, false},
                                           {70, 0.2, false},
                                           {3, 1.0, false},
                                           {12, 1.0, true},
                                           {70, 1.0, false},
                                           {300, 1.0, false}}) {
    INFO(cols << " classes, smoothing " << smoothing);
    auto [logits, labels] = batch<TestType>(random, 6, cols);
    for (Index i = 0; i < 6; ++i)
      for (Index k = 0; k < cols; ++k)
        if (k != labels(i) && random.chance(0.5)) logits(i, k) = -infinity<TestType>();
    if (smoothing == 1) {  // then the label's own logit is not looked at
      logits(2, (labels(2) + 1) % cols) = 0;
      logits(2, labels(2)) = -infinity<TestType>();
    }
    Setup<TestType> setup;
    setup.label_smoothing = static_cast<TestType>(smoothing);
    if (weighted) setup.class_weights = positive_weights<TestType>(random, cols);
    check_options_in_both_orders(logits, labels, setup);
    auto const [loss, gradient] = xent::softmax_cross_entropy_with_gradient(logits, labels, setup.softmax());
    CHECK(std::isfinite(loss));
    for (Index i = 0; i < 6; ++i)
      for (Index k = 0; k < cols; ++k)
        if (logits(i, k) == -infinity<TestType>()) CHECK(gradient(i, k) == 0);
  }
}

TEMPLATE_LIST_TEST_CASE("a NaN makes all of its row's smoothed gradient NaN, masked classes too, and no other's",
                        "[options][edges]", Reals32And64) {
  Random random;
  for (Index cols : {3, 11, 64, 300}) {
    auto [logits, labels] = batch<TestType>(random, 37, cols);
    for (Index i : {4, 20, 36}) logits(i, 1) = -infinity<TestType>();
    logits(4, 0) = logits(36, 2) = nan<TestType>();
    labels.setZero();
    xent::SoftmaxCrossEntropyOptions<TestType> const options{.label_smoothing = TestType(0.1)};
    auto const by_rows = xent::softmax_cross_entropy_with_gradient(logits, labels, options);
    auto const by_columns = xent::softmax_cross_entropy_with_gradient(Cols<TestType>(logits), labels, options);
    CHECK(std::isnan(by_rows.loss));
    for (Index i = 0; i < 37; ++i) {
      bool const spoilt = i == 4 || i == 36;
      CHECK((spoilt ? by_rows.gradient.row(i).isNaN().all() : by_rows.gradient.row(i).allFinite()));
      CHECK((spoilt ? by_columns.gradient.row(i).isNaN().all() : by_columns.gradient.row(i).allFinite()));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("smoothed labels of logits further apart than any number", "[options][edges]", Reals32And64) {
  TestType const far = TestType(0.75) * std::numeric_limits<TestType>::max();
  for (Index cols : {2, 3, 40, 300}) {
    Rows<TestType> logits = Rows<TestType>::Zero(3, cols);
    logits.col(0).setConstant(far);
    logits.col(1).setConstant(-far);
    Setup<TestType> setup;
    setup.label_smoothing = TestType(0.25);
    check_options_in_both_orders(logits, Labels(Labels::Zero(3)), setup);
  }
}

TEMPLATE_LIST_TEST_CASE("masking a class with -inf is leaving it out", "[options]", Reals32And64) {
  Random random;
  Rows<TestType> const kept = normal_rows<TestType>(random, 5, 6, 2);
  Rows<TestType> masked = Rows<TestType>::Constant(5, 9, -infinity<TestType>());
  masked.middleCols(1, 6) = kept;
  Labels const labels = random_labels(random, 5, 6);
  Labels const moved = labels + 1;
  xent::SoftmaxCrossEntropyOptions<TestType> const options{.label_smoothing = TestType(0.25)};
  auto const without = xent::softmax_cross_entropy_with_gradient(kept, labels, options);
  auto const with = xent::softmax_cross_entropy_with_gradient(masked, moved, options);
  CHECK(close(with.loss, without.loss, 3));
  CHECK(((with.gradient.middleCols(1, 6) - without.gradient).abs() <= std::numeric_limits<TestType>::epsilon()).all());
}

TEMPLATE_LIST_TEST_CASE("ignored rows are never read: NaN and infinity in them change nothing", "[options]",
                        Reals32And64) {
  Random random;
  for (auto [cols, smoothing] :
       {std::pair{2, 0.0}, {11, 0.0}, {300, 0.0}, {2, 0.1}, {11, 0.1}, {64, 0.1}, {300, 0.1}}) {
    auto [logits, labels] = batch<TestType>(random, 11, cols);
    Setup<TestType> setup;
    setup.ignore_index = -100;
    setup.label_smoothing = TestType(smoothing);
    setup.z_loss = TestType(0.01);
    setup.sample_weights = positive_weights<TestType>(random, 11);
    labels(0) = labels(5) = labels(9) = -100;
    setup.sample_weights(2) = setup.sample_weights(10) = 0;
    setup.sample_weights(7) = -TestType(0);
    check_options_in_both_orders(logits, labels, setup);
    Rows<TestType> poisoned = logits;
    poisoned.row(0).setConstant(nan<TestType>());
    poisoned.row(5).setConstant(infinity<TestType>());
    poisoned.row(2).setConstant(-infinity<TestType>());
    poisoned(7, 1) = poisoned(9, 0) = poisoned(10, 1) = nan<TestType>();
    auto const clean = xent::softmax_cross_entropy_with_gradient(logits, labels, setup.softmax());
    auto const found = xent::softmax_cross_entropy_with_gradient(poisoned, labels, setup.softmax());
    CHECK(identical(found.loss, clean.loss));
    CHECK(identical(found.gradient, clean.gradient));
    Cols<TestType> const columns = poisoned;
    auto const by_columns =
        xent::softmax_cross_entropy_with_gradient<Reduction::none>(columns, labels, setup.softmax());
    for (Index i : {0, 2, 5, 7, 9, 10}) {
      CHECK(by_columns.loss(i) == 0);
      CHECK(all_are(by_columns.gradient.row(i), 0));
      CHECK(all_are(found.gradient.row(i), 0));
    }
    CHECK(by_columns.gradient.allFinite());
  }
}

TEMPLATE_LIST_TEST_CASE("the gradient of an ignored row is 0, whatever stands in it", "[options]", Reals32And64) {
  Random random;
  using Options = xent::SoftmaxCrossEntropyOptions<TestType>;
  for (Index cols : {2, 3, 10, 11, 64, 300}) {
    auto [logits, labels] = batch<TestType>(random, 43, cols);
    Rows<TestType> poisoned = logits;
    for (Index i : {0, 5, 16, 30, 31, 42}) labels(i) = -100;
    poisoned.row(5).setConstant(nan<TestType>());
    poisoned.row(16).setConstant(-infinity<TestType>());
    poisoned(30, 1) = infinity<TestType>();
    poisoned(31, 0) = nan<TestType>();
    poisoned(42, 1) = -infinity<TestType>();
    for (Options const& options :
         {Options{.ignore_index = -100}, Options{.ignore_index = -100, .label_smoothing = TestType(0.1)},
          Options{.ignore_index = -100, .z_loss = TestType(0.01)}}) {
      auto const clean = xent::softmax_cross_entropy_with_gradient(logits, labels, options);
      auto const found = xent::softmax_cross_entropy_with_gradient(poisoned, labels, options);
      CHECK(identical(found.loss, clean.loss));
      CHECK(identical(found.gradient, clean.gradient));
      auto const by_columns = xent::softmax_cross_entropy_with_gradient(Cols<TestType>(poisoned), labels, options);
      CHECK(by_columns.gradient.allFinite());
      for (Index i = 0; i < 43; ++i) {
        CHECK((found.gradient.row(i) == 0).all() == (labels(i) == -100));
        CHECK((by_columns.gradient.row(i) == 0).all() == (labels(i) == -100));
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("ignoring rows is leaving them out", "[options]", Reals32And64) {
  Random random;
  auto [logits, labels] = batch<TestType>(random, 10, 7);
  labels.tail(4).setConstant(3);
  for (Index i = 0; i < 6; ++i)
    if (labels(i) == 3) labels(i) = 4;
  TestType const with = xent::softmax_cross_entropy(logits, labels, {.ignore_index = 3});
  CHECK(close(with, xent::softmax_cross_entropy(logits.topRows(6), labels.head(6)), 1));
}

TEMPLATE_LIST_TEST_CASE("an ignored label may be outside the classes, whatever the weights", "[options]",
                        Reals32And64) {
  Random random;
  auto [logits, labels] = batch<TestType>(random, 6, 4);
  labels(1) = 255;
  labels(4) = 255;
  Setup<TestType> setup;
  setup.ignore_index = 255;
  setup.class_weights = positive_weights<TestType>(random, 4);
  check_options_in_both_orders(logits, labels, setup);
}

TEMPLATE_LIST_TEST_CASE("sample weights are repetitions of rows", "[options]", Reals32And64) {
  Random random;
  auto const [logits, labels] = batch<TestType>(random, 3, 5);
  Rows<TestType> repeated(6, 5);
  Labels repeated_labels(6);
  Index const source[] = {0, 1, 1, 2, 2, 2};
  for (Index i = 0; i < 6; ++i) {
    repeated.row(i) = logits.row(source[i]);
    repeated_labels(i) = labels(source[i]);
  }
  Vector<TestType> const weights = Vector<TestType>::LinSpaced(3, 1, 3);
  CHECK(close(xent::softmax_cross_entropy(logits, labels, {.sample_weights = weights}),
              xent::softmax_cross_entropy(repeated, repeated_labels), 4));
}

TEMPLATE_LIST_TEST_CASE("a call without options has the bits of one with options left as they are", "[options]",
                        Reals32And64) {
  Random random;
  for (Index const classes : {1, 2, 3, 10, 100, 300, 1200}) {
    CAPTURE(classes);
    auto const [logits, labels] = batch<TestType>(random, 37, classes);
    Rows<TestType> const targets = distributions<TestType>(random, 37, classes, 1, 0.2);
    check_without_options(logits, labels);
    check_without_options(logits, targets);
    check_without_options(Cols<TestType>(logits), labels);
    check_without_options(Cols<TestType>(logits), Cols<TestType>(targets));
  }
}

TEMPLATE_LIST_TEST_CASE("weights of 1 are no weights", "[options]", Reals32And64) {
  Random random;
  auto const [logits, labels] = batch<TestType>(random, 9, 6);
  Vector<TestType> const classes = Vector<TestType>::Ones(6);
  Vector<TestType> const samples = Vector<TestType>::Ones(9);
  auto const plain = xent::softmax_cross_entropy_with_gradient(logits, labels);
  auto const weighted =
      xent::softmax_cross_entropy_with_gradient(logits, labels, {.class_weights = classes, .sample_weights = samples});
  CHECK(identical(weighted.loss, plain.loss));
  CHECK(identical(weighted.gradient, plain.gradient));
}

TEMPLATE_LIST_TEST_CASE("the weighted mean divides by the weights of the labels met", "[options]", Reals32And64) {
  // One class with weight 3, one with 1, equal logits: each row's loss is w log 2, so the mean is log 2.
  Rows<TestType> const logits = Rows<TestType>::Zero(4, 2);
  Labels labels(4);
  labels << 0, 0, 1, 0;
  Vector<TestType> weights(2);
  weights << 3, 1;
  Exact const log2{0.693147180559945309417L, 0, 0};
  CHECK(within(xent::softmax_cross_entropy(logits, labels, {.class_weights = weights}), log2));
}

TEMPLATE_LIST_TEST_CASE("a gradient from above goes in as sample weights under a sum", "[options]", Reals32And64) {
  Random random;
  auto const [logits, labels] = batch<TestType>(random, 7, 6);
  Vector<TestType> above(7);
  above << 1, -2, TestType(0.5), 0, 4, TestType(-0.25), 8;  // powers of two, so the products are exact
  auto const rows = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
  auto const product =
      xent::softmax_cross_entropy_with_gradient<Reduction::sum>(logits, labels, {.sample_weights = above});
  Rows<TestType> expected = rows.gradient;
  for (Index i = 0; i < 7; ++i) expected.row(i) *= above(i);
  CHECK(close(product.gradient, expected, 1));
  CHECK(all_are(product.gradient.row(3), 0));
}

TEMPLATE_LIST_TEST_CASE("negative sample weights turn loss and gradient around", "[options]", Reals32And64) {
  Random random;
  auto const [logits, labels] = batch<TestType>(random, 8, 5);
  Setup<TestType> setup;
  setup.sample_weights = positive_weights<TestType>(random, 8);
  setup.sample_weights(1) = TestType(-0.75);
  setup.sample_weights(6) = TestType(-3);
  check_options_in_both_orders(logits, labels, setup);
}

TEMPLATE_LIST_TEST_CASE("a class weight of 0 silences its rows even at an infinite loss", "[options]", Reals32And64) {
  Random random;
  auto [logits, labels] = batch<TestType>(random, 4, 5);
  labels << 0, 1, 2, 1;
  Setup<TestType> setup;
  setup.class_weights = positive_weights<TestType>(random, 5);
  setup.class_weights(1) = 0;
  logits(1, 1) = -infinity<TestType>();
  check_options_in_both_orders(logits, labels, setup);
  CHECK(std::isfinite(xent::softmax_cross_entropy(logits, labels, setup.softmax())));
}

TEMPLATE_LIST_TEST_CASE("z-loss adds the square of logsumexp", "[options]", Reals32And64) {
  Random random;
  for (double scale : {0.1, 3.0, 100.0})
    for (TestType z : {TestType(1e-4), TestType(1), TestType(50)}) {
      auto const [logits, labels] = batch<TestType>(random, 6, 9, scale);
      Setup<TestType> setup;
      setup.z_loss = z;
      check_options_in_both_orders(logits, labels, setup);
      setup.label_smoothing = TestType(0.1);
      setup.class_weights = positive_weights<TestType>(random, 9);
      check_options_in_both_orders(logits, labels, setup);
    }
}

TEMPLATE_LIST_TEST_CASE("the mean over nothing is NaN and its gradient 0", "[options][edges]", Reals32And64) {
  Random random;
  auto const [logits, labels] = batch<TestType>(random, 4, 3);
  auto check_nothing = [](auto const& z, auto const& y, auto const& options) {
    auto const mean = xent::softmax_cross_entropy_with_gradient(z, y, options);
    CHECK(std::isnan(mean.loss));
    CHECK(std::isnan(xent::softmax_cross_entropy(z, y, options)));
    CHECK(all_are(mean.gradient, 0));
    CHECK(mean.gradient.rows() == z.rows());
    CHECK(mean.gradient.cols() == z.cols());
  };
  xent::SoftmaxCrossEntropyOptions<TestType> options;
  Rows<TestType> const no_rows(0, 3);
  check_nothing(no_rows, Labels(0), options);
  CHECK(xent::softmax_cross_entropy<Reduction::sum>(no_rows, Labels(0)) == 0);
  CHECK(xent::softmax_cross_entropy<Reduction::none>(no_rows, Labels(0)).size() == 0);
  check_nothing(no_rows, no_rows, options);

  options.ignore_index = 1;
  Labels const all_ignored = Labels::Constant(4, 1);
  check_nothing(logits, all_ignored, options);
  CHECK(xent::softmax_cross_entropy<Reduction::sum>(logits, all_ignored, options) == 0);
  CHECK(all_are(xent::softmax_cross_entropy<Reduction::none>(logits, all_ignored, options), 0));

  options = {};
  options.sample_weights = Vector<TestType>::Zero(4);
  check_nothing(logits, labels, options);
  check_nothing(logits, Rows<TestType>(Rows<TestType>::Ones(4, 3)), options);
  Vector<TestType> cancelling(4);
  cancelling << 1, -1, 2, -2;
  options.sample_weights = cancelling;
  check_nothing(logits, labels, options);
  options = {};
  options.class_weights = Vector<TestType>::Zero(3);
  check_nothing(logits, labels, options);
}

TEST_CASE("options compile as the reader expects, from any real vector", "[options]") {
  Eigen::ArrayXXf const logits = Eigen::ArrayXXf::Random(4, 3);
  Eigen::VectorXi const labels = Eigen::VectorXi::LinSpaced(4, 0, 2);
  Eigen::VectorXf const w = Eigen::VectorXf::Constant(3, 2);
  Eigen::RowVector3f const row = w.transpose();
  float const weighted = xent::softmax_cross_entropy(logits, labels, {.ignore_index = 0, .class_weights = w});
  CHECK(identical(xent::softmax_cross_entropy(logits, labels, {.ignore_index = 0, .class_weights = row}), weighted));
  CHECK(identical(
      xent::softmax_cross_entropy(logits, labels, {.ignore_index = 0, .class_weights = 2 * w.array() - w.array()}),
      weighted));
  CHECK(identical(xent::softmax_cross_entropy(logits, labels, {.ignore_index = 0}), weighted));  // equal weights cancel
}
