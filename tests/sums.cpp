// SPDX-License-Identifier: MIT
// Sums and means of losses: whatever of them is worked out together keeps its digits, and its rows apart.
#include "support/generators.hpp"
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

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

/// Around the ends of registers, of the rows that are taken together, and of strips.
constexpr Index row_counts[] = {1, 7, 16, 17, 63, 65, 130, 300, 1030};
/// Only of few classes a strip has more than 256 rows.
bool worth_it(Index rows, Index cols) { return rows <= 300 || cols <= 10; }

template <class Logits, class Exact>
void check_loss(Logits const& logits, Labels const& labels, Exact const& exact) {
  CHECK(within(xent::softmax_cross_entropy<Reduction::sum>(logits, labels), exact.sum));
  auto const [mean, gradient] = xent::softmax_cross_entropy_with_gradient(logits, labels);
  CHECK(within(mean, exact.mean));
  CHECK(within(gradient, exact.mean_gradient, 4, 2));
  CHECK(identical(xent::softmax_cross_entropy(logits, labels), mean));
  auto overwritten = logits;
  CHECK(identical(xent::softmax_cross_entropy_with_gradient(overwritten, labels, overwritten), mean));
  CHECK(identical(overwritten, gradient));
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the sum of many losses keeps its digits, however small they are", "[sums]", Reals32And64) {
  Random random;
  for (Index cols : {2, 3, 10, 129, 256}) {
    for (Index rows : row_counts) {
      if (rows * cols > 20000) continue;
      Rows<TestType> logits = normal_rows<TestType>(random, rows, cols, 2);
      Labels const labels = random_labels(random, rows, cols);
      for (double margin : {0.0, 30.0}) {
        for (Index i = 0; i < rows; ++i) logits(i, labels(i)) += TestType(margin > 0 ? margin + double(i % 7) : 0);
        INFO(rows << " x " << cols << ", margin " << margin);
        oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels));
        check_loss(logits, labels, exact);
        check_loss(Cols<TestType>(logits), labels, exact);
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("the mean over rows without a preference is that of one, however many there are", "[sums]",
                        Reals32And64) {
  for (Index cols : {2, 5, 8, 16, 32, 33, 256}) {
    for (double everywhere : {0.0, 7.3, -3000.0}) {
      Rows<TestType> const logits = Rows<TestType>::Constant(2100, cols, TestType(everywhere));
      Labels const labels = Labels::LinSpaced(2100, 0, 2099).unaryExpr([=](Index i) { return i % cols; });
      INFO(cols << " classes, all " << everywhere);
      Rows<TestType> const first = logits.topRows(1);
      auto const exact = oracle::softmax_cross_entropy(grid(first), indices(labels.head(1))).mean;
      CHECK(within(xent::softmax_cross_entropy(logits, labels), exact));
      CHECK(within(xent::softmax_cross_entropy(Cols<TestType>(logits), labels), exact));
      CHECK(within(xent::softmax_cross_entropy_with_gradient(logits, labels).loss, exact));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("margins count though their sum is beyond the largest number", "[sums]", Reals32And64) {
  TestType const big = std::numeric_limits<TestType>::max();
  for (Index cols : {2, 5, 100}) {
    Rows<TestType> logits = Rows<TestType>::Zero(1030, cols);
    Labels const labels = Labels::Zero(1030);
    for (Index i = 0; i < 1030; i += 4) {
      logits(i, 0) = -big / 2;
      logits(i, 1) = big;
    }
    oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels));
    INFO(cols << " classes");
    CHECK(within(xent::softmax_cross_entropy(logits, labels), exact.mean));
    CHECK(within(xent::softmax_cross_entropy(Cols<TestType>(logits), labels), exact.mean));
  }
}

TEMPLATE_LIST_TEST_CASE("ignored rows are not in the sum, whatever stands in them", "[sums]", Reals32And64) {
  Random random;
  for (Index cols : {2, 10, 200}) {
    for (Index rows : row_counts) {
      if (!worth_it(rows, cols)) continue;
      Rows<TestType> logits = normal_rows<TestType>(random, rows, cols, 3);
      Labels labels = random_labels(random, rows, cols);
      for (Index i = 0; i < rows; ++i) {
        if (i % 3 != 1) continue;
        labels(i) = -100;
        if (i % 2 == 0) logits.row(i).setConstant(i % 4 == 0 ? nan<TestType>() : -infinity<TestType>());
      }
      Setup<TestType> setup;
      setup.ignore_index = -100;
      INFO(rows << " x " << cols);
      oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels), setup.exact());
      auto const check = [&](auto const& z) {
        CHECK(within(xent::softmax_cross_entropy<Reduction::sum>(z, labels, setup.softmax()), exact.sum));
        auto const [mean, gradient] = xent::softmax_cross_entropy_with_gradient(z, labels, setup.softmax());
        CHECK(within(mean, exact.mean));
        CHECK(within(gradient, exact.mean_gradient));
      };
      check(logits);
      check(Cols<TestType>(logits));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("every row gets its weights, however many rows and classes there are", "[sums]", Reals32And64) {
  Random random;
  for (Index cols : {2, 8, 9, 16, 17, 40}) {
    for (Index rows : row_counts) {
      if (!worth_it(rows, cols)) continue;
      Rows<TestType> const logits = normal_rows<TestType>(random, rows, cols, 2);
      Labels labels = random_labels(random, rows, cols);
      Setup<TestType> setup;
      auto const check = [&](char const* what) {
        INFO(rows << " x " << cols << ", weights of " << what);
        oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels), setup.exact());
        CHECK(within(xent::softmax_cross_entropy<Reduction::none>(logits, labels, setup.softmax()), exact.none));
        CHECK(within(xent::softmax_cross_entropy<Reduction::sum>(logits, labels, setup.softmax()), exact.sum));
        CHECK(within(xent::softmax_cross_entropy(logits, labels, setup.softmax()), exact.mean));
      };
      setup.sample_weights = positive_weights<TestType>(random, rows);
      check("rows");
      for (Index i = 1; i < rows; i += 5) labels(i) = -1;
      setup.ignore_index = -1;
      setup.class_weights = positive_weights<TestType>(random, cols);
      check("both");
      setup.sample_weights = {};
      check("classes");
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a row that is not regular makes the mean NaN, and no other row's gradient", "[sums]",
                        Reals32And64) {
  Random random;
  for (Index cols : {2, 10, 200}) {
    for (Index rows : row_counts) {
      if (!worth_it(rows, cols)) continue;
      Rows<TestType> logits = normal_rows<TestType>(random, rows, cols, 3);
      Labels const labels = random_labels(random, rows, cols);
      Index const bad = random.integer(0, rows - 1);
      logits(bad, random.integer(0, cols - 1)) = rows % 2 == 0 ? nan<TestType>() : infinity<TestType>();
      INFO(rows << " x " << cols << ", row " << bad);
      auto const check = [&](auto const& z) {
        auto const [mean, gradient] = xent::softmax_cross_entropy_with_gradient(z, labels);
        CHECK(std::isnan(mean));
        for (Index i = 0; i < rows; ++i) {
          CHECK(gradient.row(i).isNaN().all() == (i == bad));
          CHECK(gradient.row(i).isNaN().any() == (i == bad));
        }
      };
      check(logits);
      check(Cols<TestType>(logits));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a label without probability makes the sum infinite, and the gradient stays finite", "[sums]",
                        Reals32And64) {
  Random random;
  Rows<TestType> logits = normal_rows<TestType>(random, 70, 5, 1);
  Labels const labels = random_labels(random, 70, 5);
  logits(33, labels(33)) = -infinity<TestType>();
  auto const [sum, gradient] = xent::softmax_cross_entropy_with_gradient<Reduction::sum>(logits, labels);
  CHECK(sum == infinity<TestType>());
  CHECK(within(gradient, oracle::softmax_cross_entropy(grid(logits), indices(labels)).gradient));
}

TEMPLATE_LIST_TEST_CASE("the sum of binary losses keeps its digits, however many and small they are", "[sums]",
                        Reals32And64) {
  Random random;
  for (Index size : {1, 15, 16, 63, 64, 65, 130, 511, 512, 1100}) {
    for (double scale : {0.01, 2.0, 30.0}) {
      Rows<TestType> const logits = normal_rows<TestType>(random, 1, size, scale);
      Rows<TestType> const agreeing = (logits > 0).template cast<TestType>();
      Rows<TestType> const soft = uniform_rows<TestType>(random, 1, size, 0, 1);
      for (auto const& targets : {agreeing, soft}) {
        INFO(size << " elements, scale " << scale);
        oracle::Loss const exact = oracle::sigmoid_cross_entropy(grid(logits), grid(targets));
        CHECK(within(xent::sigmoid_cross_entropy<Reduction::sum>(logits, targets), exact.sum));
        auto const [mean, gradient] = xent::sigmoid_cross_entropy_with_gradient(logits, targets);
        CHECK(within(mean, exact.mean));
        CHECK(identical(xent::sigmoid_cross_entropy(logits, targets), mean));
        CHECK(within(gradient, exact.mean_gradient, 4, 2));
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("no element hides a NaN among binary losses", "[sums]", Reals32And64) {
  Random random;
  for (Index size : {1, 16, 70, 600}) {
    for (Index k = 0; k < size; k += 1 + size / 40) {
      Rows<TestType> logits = normal_rows<TestType>(random, 1, size, 2);
      Rows<TestType> const targets = uniform_rows<TestType>(random, 1, size, 0, 1);
      logits(0, k) = nan<TestType>();
      INFO("element " << k << " of " << size);
      CHECK(std::isnan(xent::sigmoid_cross_entropy(logits, targets)));
    }
  }
}
