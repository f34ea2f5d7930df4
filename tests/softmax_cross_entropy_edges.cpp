// SPDX-License-Identifier: MIT
// softmax_cross_entropy at the edges: the rows of the table of edge cases.
#include "support/generators.hpp"
#include "support/layouts.hpp"
#include "support/oracle.hpp"
#include "support/setup.hpp"
#include "support/ulp.hpp"

#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <tuple>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

/// One row for each edge, rows of ordinary logits between them; labels to match.
template <class Scalar>
struct Edges {
  enum Row : Index {
    largest,
    smallest,
    whole_range,
    masked,
    target_masked,
    all_masked,
    plus_infinity,
    with_nan,
    equal,
    rows
  };
  Rows<Scalar> logits;
  Labels labels;

  explicit Edges(Index cols) : logits(Rows<Scalar>::Zero(rows, cols)), labels(Labels::Zero(rows)) {
    Scalar const big = std::numeric_limits<Scalar>::max();
    Scalar const inf = infinity<Scalar>();
    logits.row(largest).setConstant(big);
    logits.row(smallest).setConstant(-big);
    logits.row(whole_range).setConstant(big);
    logits(whole_range, 0) = -big;
    logits(masked, 1) = -inf;
    logits(target_masked, 0) = -inf;
    logits.row(all_masked).setConstant(-inf);
    logits(plus_infinity, cols - 1) = inf;
    logits(with_nan, cols / 2) = nan<Scalar>();
    logits.row(equal).setConstant(Scalar(-3.5));
  }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("the table of edges, with labels", "[edges]", Reals32And64) {
  using E = Edges<TestType>;
  for (Index cols : {2, 3, 13, 260}) {
    E const edges(cols);
    oracle::Loss const exact = oracle::softmax_cross_entropy(grid(edges.logits), indices(edges.labels));
    for_main_layouts(edges.logits, [&](char const* layout, auto const& logits) {
      INFO(layout << " of " << cols << " classes");
      auto const [loss, gradient] = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, edges.labels);
      CHECK(within(loss, exact.none));
      CHECK(within(gradient, exact.gradient));
      CHECK(loss(E::target_masked) == infinity<TestType>());
      CHECK(gradient.row(E::target_masked).allFinite());
      CHECK(gradient(E::target_masked, 0) == -1);
      CHECK(gradient(E::masked, 1) == 0);
      CHECK(std::isnan(loss(E::all_masked)));
      CHECK(std::isnan(loss(E::plus_infinity)));
      CHECK(std::isnan(loss(E::with_nan)));
      CHECK(all_are(gradient.row(E::all_masked), nan<long double>()));
      CHECK(all_are(gradient.row(E::plus_infinity), nan<long double>()));
      CHECK(all_are(gradient.row(E::with_nan), nan<long double>()));
      CHECK(gradient.topRows(E::all_masked).allFinite());
    });
  }
}

TEMPLATE_LIST_TEST_CASE("the table of edges, with targets", "[edges]", Reals32And64) {
  using E = Edges<TestType>;
  for (Index cols : {2, 3, 13, 260}) {
    E const edges(cols);
    Rows<TestType> const targets = one_hot_rows<TestType>(edges.labels, cols);
    oracle::Loss const exact = oracle::softmax_cross_entropy(grid(edges.logits), grid(targets));
    Cols<TestType> const columns = edges.logits;
    auto const by_rows = xent::softmax_cross_entropy_with_gradient<Reduction::none>(edges.logits, targets);
    auto const by_columns =
        xent::softmax_cross_entropy_with_gradient<Reduction::none>(columns, Cols<TestType>(targets));
    CHECK(within(by_rows.loss, exact.none));
    CHECK(within(by_rows.gradient, exact.gradient));
    CHECK(within(by_columns.loss, exact.none));
    CHECK(within(by_columns.gradient, exact.gradient));
  }
}

TEMPLATE_LIST_TEST_CASE("a target of 0 at a logit of -inf contributes nothing", "[edges]", Reals32And64) {
  Random random;
  for (Index cols : {3, 10, 80}) {
    Rows<TestType> logits = normal_rows<TestType>(random, 5, cols, 2);
    Rows<TestType> targets = distributions<TestType>(random, 5, cols);
    logits.col(1).setConstant(-infinity<TestType>());
    targets.col(1).setZero();
    Setup<TestType> setup;
    for (TestType smoothing : {TestType(0), TestType(0.3)}) {
      setup.label_smoothing = smoothing;
      oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), grid(targets), setup.exact());
      auto const [loss, gradient] = xent::softmax_cross_entropy_with_gradient(logits, targets, setup.softmax());
      CHECK(std::isfinite(loss));
      CHECK(within(loss, exact.mean));
      CHECK(within(gradient, exact.mean_gradient));
      CHECK(all_are(gradient.col(1), 0));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("the mean of losses beyond the largest number is finite, if it is one", "[edges]",
                        Reals32And64) {
  Random random;
  TestType const big = std::numeric_limits<TestType>::max();
  for (Index cols : {2, 9, 70, 300}) {
    INFO(cols << " classes");
    Rows<TestType> logits = normal_rows<TestType>(random, 5, cols, 2);
    logits(1, 0) = -TestType(0.6) * big;
    logits(1, 1) = TestType(0.6) * big;
    Labels const labels = Labels::Zero(5);
    auto const check = [&](Setup<TestType> const& setup) {
      oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels), setup.exact());
      auto const rows = xent::softmax_cross_entropy_with_gradient(logits, labels, setup.softmax());
      auto const columns = xent::softmax_cross_entropy_with_gradient(Cols<TestType>(logits), labels, setup.softmax());
      CHECK(std::isfinite(rows.loss));
      CHECK(within(rows.loss, exact.mean));
      CHECK(within(rows.gradient, exact.mean_gradient));
      CHECK(within(columns.loss, exact.mean));
      CHECK(within(columns.gradient, exact.mean_gradient));
    };
    Setup<TestType> setup;
    check(setup);
    setup.z_loss = 4 / big;
    check(setup);
    setup.class_weights = Vector<TestType>::Constant(cols, TestType(0.75));
    check(setup);
  }
}

TEMPLATE_LIST_TEST_CASE("a masked target's loss is +inf with every option, its gradient finite", "[edges]",
                        Reals32And64) {
  Random random;
  for (Index cols : {2, 9, 70}) {
    Rows<TestType> logits = normal_rows<TestType>(random, 3, cols, 2);
    logits(1, 1) = -infinity<TestType>();
    Labels const labels = Labels::Constant(3, 1);
    Setup<TestType> setup;
    for (TestType smoothing : {TestType(0), TestType(0.1)}) {
      setup.label_smoothing = smoothing;
      setup.z_loss = TestType(0.01);
      oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels), setup.exact());
      auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels, setup.softmax());
      CHECK(within(found.loss, exact.none));
      CHECK(found.loss(1) == infinity<TestType>());
      CHECK(within(found.gradient, exact.gradient));
      CHECK(found.gradient.allFinite());
    }
  }
}

TEMPLATE_LIST_TEST_CASE("all of the target smoothed away leaves a masked label silent", "[edges]", Reals32And64) {
  Rows<TestType> logits = Rows<TestType>::Zero(1, 4);
  logits(0, 2) = -infinity<TestType>();
  Labels const label = Labels::Constant(1, 2);
  Setup<TestType> setup;
  setup.label_smoothing = 1;
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(label), setup.exact());
  auto const found = xent::softmax_cross_entropy_with_gradient(logits, label, setup.softmax());
  CHECK(within(found.loss, exact.mean));
  CHECK(within(found.gradient, exact.mean_gradient));
}

TEMPLATE_LIST_TEST_CASE("one class: loss and gradient are exactly 0", "[edges]", Reals32And64) {
  Cols<TestType> logits(3, 1);
  logits << TestType(-7), TestType(0), std::numeric_limits<TestType>::max();
  auto const by_label = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, Labels(Labels::Zero(3)));
  CHECK(identical(by_label.loss, Vector<TestType>(Vector<TestType>::Zero(3))));  // +0, not -0
  CHECK(all_are(by_label.gradient, 0));
  Setup<TestType> setup;
  setup.label_smoothing = 1;
  CHECK(xent::softmax_cross_entropy(logits, Labels(Labels::Zero(3)), setup.softmax()) == 0);
  logits(1) = nan<TestType>();
  CHECK(std::isnan(xent::softmax_cross_entropy(logits, Labels(Labels::Zero(3)))));
}

TEMPLATE_LIST_TEST_CASE("one class that is not finite: loss and gradient are NaN, also where all is smoothed away",
                        "[edges]", Reals32And64) {
  Cols<TestType> logits = Cols<TestType>::Zero(40, 1);
  logits(3) = infinity<TestType>();
  logits(20) = -infinity<TestType>();
  logits(37) = nan<TestType>();
  Labels const labels = Labels::Zero(40);
  for (TestType smoothing : {TestType(0), TestType(1)}) {
    auto const [loss, gradient] =
        xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels, {.label_smoothing = smoothing});
    for (Index i = 0; i < 40; ++i) {
      bool const bad = i == 3 || i == 20 || i == 37;
      INFO("row " << i << ", smoothing " << smoothing);
      CHECK(std::isnan(loss(i)) == bad);
      CHECK(std::isnan(gradient(i, 0)) == bad);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a NaN makes its row NaN wherever it stands, and no other row", "[edges]", Reals32And64) {
  Random random;
  for (Index cols : {2, 8, 17, 65, 300})
    for (Index place : {Index(0), cols / 2, cols - 1}) {
      Rows<TestType> logits = normal_rows<TestType>(random, 19, cols, 2);
      Labels const labels = random_labels(random, 19, cols);
      auto const clean = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
      Cols<TestType> columns = logits;
      auto const clean_columns = xent::softmax_cross_entropy_with_gradient<Reduction::none>(columns, labels);
      logits(7, place) = columns(7, place) = nan<TestType>();
      auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
      auto const found_columns = xent::softmax_cross_entropy_with_gradient<Reduction::none>(columns, labels);
      INFO("NaN at " << place << " of " << cols);
      CHECK(std::isnan(found.loss(7)));
      CHECK(all_are(found.gradient.row(7), nan<long double>()));
      CHECK(all_are(found_columns.gradient.row(7), nan<long double>()));
      CHECK(identical(found.loss.head(7).eval(), clean.loss.head(7).eval()));
      CHECK(identical(found.gradient.topRows(7), clean.gradient.topRows(7)));
      CHECK(identical(found.gradient.bottomRows(11), clean.gradient.bottomRows(11)));
      CHECK(identical(found_columns.gradient.topRows(7), clean_columns.gradient.topRows(7)));
      CHECK(identical(found_columns.gradient.bottomRows(11), clean_columns.gradient.bottomRows(11)));
      CHECK(std::isnan(xent::softmax_cross_entropy(logits, labels)));
    }
}

TEMPLATE_LIST_TEST_CASE("NaN and infinity win over weights and targets of 0 in a row that is read", "[edges]",
                        Reals32And64) {
  Rows<TestType> logits = Rows<TestType>::Zero(2, 3);
  logits(0, 2) = nan<TestType>();
  logits(1, 2) = infinity<TestType>();
  Rows<TestType> const no_targets = Rows<TestType>::Zero(2, 3);
  auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, no_targets);
  CHECK(all_are(found.loss, nan<long double>()));
  CHECK(all_are(found.gradient, nan<long double>()));
  Eigen::Array<TestType, 3, 1> const weights(0, 1, 1);
  auto const by_label = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, Labels(Labels::Zero(2)),
                                                                                   {.class_weights = weights});
  CHECK(all_are(by_label.loss, nan<long double>()));
  CHECK(all_are(by_label.gradient, nan<long double>()));
}

TEMPLATE_LIST_TEST_CASE("a sum that overflows is infinite, a mean that need not is finite", "[edges]", Reals32And64) {
  TestType const big = std::numeric_limits<TestType>::max();
  Rows<TestType> logits = Rows<TestType>::Zero(4, 2);
  logits.col(1).setConstant(TestType(0.75) * big);
  Labels const labels = Labels::Zero(4);
  CHECK(xent::softmax_cross_entropy<Reduction::sum>(logits, labels) == infinity<TestType>());
  CHECK((xent::softmax_cross_entropy<Reduction::none>(logits, labels) == TestType(0.75) * big).all());
}

TEMPLATE_LIST_TEST_CASE("subnormal logits and losses are exact to one smallest normal", "[edges]", Reals32And64) {
  TestType const tiny = std::numeric_limits<TestType>::min();
  Rows<TestType> logits(4, 3);
  double const fading = std::is_same_v<TestType, float> ? 87.0 : 708.0;
  logits << tiny, 0, -tiny, tiny / 4, tiny / 8, 0,                       //
      static_cast<TestType>(fading + 3), 0, 1,                           // a loss below the smallest normal
      static_cast<TestType>(fading - 2), 0, static_cast<TestType>(0.5);  // and one just above
  Labels const labels = Labels::Zero(4);
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels));
  auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
  CHECK(within(found.loss, exact.none));
  CHECK(within(found.gradient, exact.gradient));
  Cols<TestType> const columns = logits;
  CHECK(within(xent::softmax_cross_entropy<Reduction::none>(columns, labels), exact.none));
}
