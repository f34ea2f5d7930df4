// SPDX-License-Identifier: MIT
// Many classes: where the maximum stands, how it rises along the classes, and what stands beside it.
#include "support/generators.hpp"
#include "support/oracle.hpp"
#include "support/setup.hpp"
#include "support/ulp.hpp"

#include <xent/focal_loss.hpp>
#include <xent/log_softmax.hpp>
#include <xent/logsumexp.hpp>
#include <xent/softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <tuple>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

template <class Scalar>
void check_both_orders(Rows<Scalar> const& logits, Labels const& labels) {
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels));
  auto const check = [&](auto const& z) {
    auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::none>(z, labels);
    CHECK(within(found.loss, exact.none));
    CHECK(within(found.gradient, exact.gradient));
    CHECK(identical(xent::softmax_cross_entropy<Reduction::none>(z, labels), found.loss));
    auto overwritten = z;
    xent::softmax_cross_entropy_with_gradient<Reduction::none>(overwritten, labels, overwritten);
    CHECK(identical(overwritten, found.gradient));
    CHECK(within(xent::softmax(z), oracle::softmax(grid(z))));
  };
  check(logits);
  check(Cols<Scalar>(logits));
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the maximum may stand anywhere, alone or not", "[wide]", Reals32And64) {
  Random random;
  for (Index cols : {16, 127, 129, 300}) {
    Rows<TestType> logits = normal_rows<TestType>(random, 24, cols, 1);
    Labels const labels = random_labels(random, 24, cols);
    for (Index i = 0; i < 24; ++i) {
      // Confident rows: beside 30 the others are a tail of 1e-13 times their number.
      for (Index k = 0; k <= i % 3; ++k) logits(i, random.integer(0, cols - 1)) = 30;
      if (i % 2 == 0) logits(i, labels(i)) = 30;
    }
    INFO(cols << " classes");
    check_both_orders(logits, labels);
  }
}

TEMPLATE_LIST_TEST_CASE("the maximum may rise along the classes, by little and by much", "[wide]", Reals32And64) {
  Random random;
  constexpr TestType infinity = std::numeric_limits<TestType>::infinity();
  for (Index cols : {257, 520})
    for (Index rows : {3, 21}) {
      Rows<TestType> const noise = normal_rows<TestType>(random, rows, cols, 2);
      Labels const labels = random_labels(random, rows, cols);
      for (TestType slope : {TestType(0.05), TestType(3), TestType(-3), TestType(50)}) {
        Rows<TestType> logits = noise;
        for (Index k = 0; k < cols; ++k) logits.col(k) += slope * TestType(k) - TestType(700);
        INFO(rows << " x " << cols << ", slope " << slope);
        check_both_orders(logits, labels);
        for (Index k = 0; k < 130; ++k) logits.col(k) = -infinity;
        logits.row(0) = noise.row(0);
        check_both_orders(logits, (labels >= 130).select(labels, Labels::Constant(rows, 130)).eval());
      }
    }
}

TEMPLATE_LIST_TEST_CASE("the largest logit of a very wide row may come late, and again and again", "[wide]",
                        Reals32And64) {
  Random random;
  constexpr TestType infinity = std::numeric_limits<TestType>::infinity();
  for (Index cols : {4096, 4173}) {
    Rows<TestType> logits = normal_rows<TestType>(random, 8, cols, 2);
    logits(0, cols - 1) = 30;
    logits(1, 4000) = 60;
    for (Index k : {70, 74, 78, 102, 4090})
      logits(2, k) = 28;  // of equal ones one is left out, wherever registers have them
    for (Index k = 0; k < cols; ++k) {
      logits(3, k) += TestType(17 * (k / 1024));       // a few steps
      logits(4, k) += TestType(18 * (k / 128) - 200);  // one for each few registers, beyond what is near 0
      logits(5, k) += TestType(k < 2000 ? 240 : 270);  // from there to what is not
      logits(6, k) -= TestType(3000 - k / 40);         // far below
    }
    logits.row(7).head(3001).setConstant(-infinity);
    Labels labels = random_labels(random, 8, cols);
    labels(0) = labels(7) = cols - 1;
    INFO(cols << " classes");
    check_both_orders(logits, labels);
  }
}

TEMPLATE_LIST_TEST_CASE("a NaN early among masked classes is not lost when the maximum rises", "[wide]", Reals32And64) {
  constexpr TestType infinity = std::numeric_limits<TestType>::infinity();
  Cols<TestType> logits = Cols<TestType>::Constant(5, 400, -infinity);
  logits.rightCols(100).setZero();
  logits(2, 3) = std::numeric_limits<TestType>::quiet_NaN();
  Labels const labels = Labels::Constant(5, 350);
  auto const [loss, gradient] = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
  for (Index i = 0; i < 5; ++i) {
    CHECK(std::isnan(loss(i)) == (i == 2));
    CHECK(gradient.row(i).isNaN().any() == (i == 2));
  }
}

TEMPLATE_LIST_TEST_CASE("wide rows have the same losses side by side, alone, and beside a gradient", "[wide]",
                        Reals32And64) {
  Random random;
  for (Index cols : {257, 300, 650, 4100}) {
    Rows<TestType> logits = normal_rows<TestType>(random, 21, cols, 3);
    logits(3, 17) = nan<TestType>();
    logits(6, cols - 1) = infinity<TestType>();
    logits.row(7).setConstant(-infinity<TestType>());
    logits(8, 20) = logits(15, 0) = -infinity<TestType>();
    logits.row(20).setConstant(-infinity<TestType>());
    Labels const labels = random_labels(random, 21, cols);
    Rows<TestType> const targets = distributions<TestType>(random, 21, cols);
    Setup<TestType> smoothed;
    smoothed.label_smoothing = TestType(0.125);
    Setup<TestType> weighted = smoothed;
    weighted.class_weights = Vector<TestType>(Vector<TestType>::LinSpaced(cols, TestType(0.5), 2));
    auto const losses = [&](auto const& z, auto const& y, auto const& t) {
      return std::array<Vector<TestType>, 7>{xent::softmax_cross_entropy<Reduction::none>(z, y),
                                             xent::softmax_cross_entropy<Reduction::none>(z, y, smoothed.softmax()),
                                             xent::softmax_cross_entropy<Reduction::none>(z, y, weighted.softmax()),
                                             xent::softmax_cross_entropy<Reduction::none>(z, t),
                                             xent::softmax_cross_entropy<Reduction::none>(z, t, weighted.softmax()),
                                             xent::softmax_focal_loss<Reduction::none>(z, y),
                                             xent::logsumexp(z)};
    };
    auto const all = losses(logits, labels, targets);
    for (Index i = 0; i < 21; ++i) {
      INFO("row " << i << " of " << cols << " classes");
      Labels const label = labels.segment(i, 1);
      auto const alone = losses(Rows<TestType>(logits.row(i)), label, Rows<TestType>(targets.row(i)));
      for (std::size_t k = 0; k < all.size(); ++k) {
        INFO("loss " << k);
        CHECK(identical(alone[k], all[k].segment(i, 1)));
      }
    }
    CHECK(identical(xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels).loss, all[0]));
    CHECK(identical(xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, targets).loss, all[3]));
    for (Index i : {3, 6, 7, 20}) CHECK(std::isnan(all[0](i)));
    CHECK(std::isfinite(all[0](4)));
  }
}

TEMPLATE_LIST_TEST_CASE("wide columns have the same bits many rows at a time as a few", "[wide]", Reals32And64) {
  Random random;
  Index const rows = 1131;
  Cols<TestType> logits = normal_rows<TestType>(random, rows, 261, 3);
  for (Index i : {5, 300, 777, 1030, 1130}) {
    logits.row(i) += Vector<TestType>::LinSpaced(261, -400, 600).transpose();  // rises again and again
    logits(i - 1, 200) = nan<TestType>();
    logits(i - 2, 0) = infinity<TestType>();
    logits.row(i - 3).setConstant(-infinity<TestType>());
  }
  Labels labels = random_labels(random, rows, 261);
  for (Index i : {1, 290, 1025}) labels(i) = -1;
  auto const results = [](auto const& z, Labels const& y) {
    auto [loss, gradient] =
        xent::softmax_cross_entropy_with_gradient<Reduction::none>(z, y, {.ignore_index = -1, .z_loss = TestType(0.1)});
    return std::tuple(Vector<TestType>(loss), Cols<TestType>(gradient), Cols<TestType>(xent::softmax(z)),
                      Cols<TestType>(xent::log_softmax(z)), Vector<TestType>(xent::logsumexp(z)),
                      Vector<TestType>(xent::softmax_focal_loss<Reduction::none>(z, y, {.ignore_index = -1})));
  };
  auto const [loss, gradient, softmax, log_softmax, logsumexp, focal] = results(logits, labels);
  for (Index first = 0; first < rows; first += 97) {
    Index const some = std::min<Index>(97, rows - first);
    auto const part = results(Cols<TestType>(logits.middleRows(first, some)), labels.segment(first, some));
    INFO("rows from " << first);
    CHECK(identical(std::get<0>(part), loss.segment(first, some)));
    CHECK(identical(std::get<1>(part), gradient.middleRows(first, some)));
    CHECK(identical(std::get<2>(part), softmax.middleRows(first, some)));
    CHECK(identical(std::get<3>(part), log_softmax.middleRows(first, some)));
    CHECK(identical(std::get<4>(part), logsumexp.segment(first, some)));
    CHECK(identical(std::get<5>(part), focal.segment(first, some)));
  }
  CHECK(std::isfinite(loss(1130)));
  CHECK(std::isnan(loss(1129)));
  CHECK(loss(1025) == 0);
}
