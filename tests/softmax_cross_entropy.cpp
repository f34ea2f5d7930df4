// SPDX-License-Identifier: MIT
// softmax_cross_entropy with labels: the loss and its gradient against the oracle, and the laws they obey.
#include "support/generators.hpp"
#include "support/oracle.hpp"
#include "support/setup.hpp"
#include "support/ulp.hpp"

#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>  // std::min
#include <cmath>
#include <cstdint>
#include <limits>
#include <tuple>
#include <type_traits>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

/// All reductions of loss and gradient, of either storage order, against the oracle.
template <class Logits, class Scalar>
void check_labels(Logits const& logits, Labels const& labels, Setup<Scalar> const& setup) {
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels), setup.exact());
  auto const options = setup.softmax();
  CHECK(within(xent::softmax_cross_entropy<Reduction::none>(logits, labels, options), exact.none));
  CHECK(within(xent::softmax_cross_entropy<Reduction::sum>(logits, labels, options), exact.sum));
  CHECK(within(xent::softmax_cross_entropy<Reduction::mean>(logits, labels, options), exact.mean));
  Logits gradient;
  auto const none = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels, gradient, options);
  CHECK(within(none, exact.none));
  CHECK(within(gradient, exact.gradient));
  Scalar const sum = xent::softmax_cross_entropy_with_gradient<Reduction::sum>(logits, labels, gradient, options);
  CHECK(within(sum, exact.sum));
  CHECK(within(gradient, exact.gradient));
  Scalar const mean = xent::softmax_cross_entropy_with_gradient(logits, labels, gradient, options);
  CHECK(within(mean, exact.mean));
  CHECK(within(gradient, exact.mean_gradient));
}

template <class Scalar>
void check_both_orders(Rows<Scalar> const& logits, Labels const& labels, Setup<Scalar> const& setup) {
  check_labels(logits, labels, setup);
  check_labels(Cols<Scalar>(logits), labels, setup);
}

/// Logits in which every row's target leads by `margin`.
template <class Scalar>
Rows<Scalar> dominant_rows(Labels const& labels, Index cols, double margin) {
  Rows<Scalar> logits = Rows<Scalar>::Zero(labels.size(), cols);
  for (Index i = 0; i < labels.size(); ++i) logits(i, labels(i)) = static_cast<Scalar>(margin);
  return logits;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("loss and gradient are within 4 ulp in every reduction", "[softmax_cross_entropy]",
                        Reals32And64) {
  Random random;
  for (Index cols : {1, 2, 3, 7, 16, 33, 70, 257})
    for (double scale : {1e-3, 1.0, 30.0, 1e4}) {
      INFO(cols << " classes, logits of size " << scale);
      Index const rows = random.integer(1, 6);
      check_both_orders(normal_rows<TestType>(random, rows, cols, scale), random_labels(random, rows, cols),
                        Setup<TestType>{});
    }
}

TEMPLATE_LIST_TEST_CASE("a confident and right prediction keeps all digits of its loss", "[softmax_cross_entropy]",
                        Reals32And64) {
  Random random;
  for (Index cols : {2, 10, 100})
    for (double margin : {1.0, 8.0, 16.7, 17.0, 40.0, 80.0, 87.0}) {
      INFO(cols << " classes, margin " << margin);
      Labels const labels = random_labels(random, 3, cols);
      Rows<TestType> const logits = dominant_rows<TestType>(labels, cols, margin);
      check_both_orders(logits, labels, Setup<TestType>{});
      CHECK((xent::softmax_cross_entropy<Reduction::none>(logits, labels) > 0).all());
    }
}

TEMPLATE_LIST_TEST_CASE("terms below the smallest normal number keep the digits of a sum above it",
                        "[softmax_cross_entropy]", Reals32And64) {
  Random random;
  for (Index cols : {11, 101, 1001}) {
    INFO(cols << " classes");
    double const each = std::log(static_cast<double>(std::numeric_limits<TestType>::min()) / static_cast<double>(cols));
    Rows<TestType> logits = uniform_rows<TestType>(random, 5, cols, each + 0.2, each + 0.6);
    logits.col(0).setZero();
    check_both_orders(logits, Labels(Labels::Zero(5)), Setup<TestType>{});
  }
}

TEMPLATE_LIST_TEST_CASE("a common offset that the logits can hold exactly changes nothing", "[softmax_cross_entropy]",
                        Reals32And64) {
  Random random;
  Labels const labels = random_labels(random, 12, 9);
  Rows<TestType> const logits = integer_rows<TestType>(random, 12, 9, -40, 40);
  auto const plain = xent::softmax_cross_entropy<Reduction::none>(logits, labels);
  for (double offset : {1.0, -64.0, 4096.0, -1048576.0}) {
    Rows<TestType> const moved = logits + static_cast<TestType>(offset);
    check_both_orders(moved, labels, Setup<TestType>{});
    CHECK(close(xent::softmax_cross_entropy<Reduction::none>(moved, labels), plain, 4));
  }
}

TEMPLATE_LIST_TEST_CASE("permuting the classes permutes the gradient", "[softmax_cross_entropy]", Reals32And64) {
  Random random;
  Index const cols = 23;
  Labels const labels = random_labels(random, 15, cols);
  Rows<TestType> const logits = normal_rows<TestType>(random, 15, cols, 4);
  Rows<TestType> const reversed = logits.rowwise().reverse();
  Labels const reversed_labels = cols - 1 - labels;
  auto const [loss, gradient] = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
  auto const [other, other_gradient] =
      xent::softmax_cross_entropy_with_gradient<Reduction::none>(reversed, reversed_labels);
  CHECK(close(other, loss, 3));
  Rows<TestType> const back = other_gradient.rowwise().reverse();
  CHECK(close(back, gradient, 4));
}

TEMPLATE_LIST_TEST_CASE("each row of the gradient sums to 0", "[softmax_cross_entropy]", Reals32And64) {
  Random random;
  Labels const labels = random_labels(random, 40, 31);
  auto const [loss, gradient] = xent::softmax_cross_entropy_with_gradient<Reduction::sum>(
      normal_rows<TestType>(random, 40, 31, 3), labels, {.label_smoothing = TestType(0.125)});
  TestType const unit = std::numeric_limits<TestType>::epsilon();
  for (Index i = 0; i < 40; ++i) {
    double const sum = gradient.row(i).template cast<double>().sum();
    double const size = gradient.row(i).template cast<double>().abs().sum();
    CHECK_FALSE(!(std::abs(sum) <= 4 * static_cast<double>(unit) * size));
  }
  CHECK(loss > 0);
}

TEMPLATE_LIST_TEST_CASE("the sum is the sum of the rows, the mean that over their number", "[softmax_cross_entropy]",
                        Reals32And64) {
  Random random;
  for (Index rows : {1, 2, 63, 64, 65, 1000}) {
    Labels const labels = random_labels(random, rows, 5);
    Rows<TestType> const logits = normal_rows<TestType>(random, rows, 5, 2);
    auto const each = xent::softmax_cross_entropy<Reduction::none>(logits, labels);
    REQUIRE(each.size() == rows);
    TestType const sum = xent::softmax_cross_entropy<Reduction::sum>(logits, labels);
    Vector<long double> const wide = each.template cast<long double>();
    Exact const total{wide.sum(), 0, wide.abs().sum()};
    CHECK(within(sum, total));
    CHECK(close(xent::softmax_cross_entropy(logits, labels), sum / static_cast<TestType>(rows), 1));
  }
}

TEMPLATE_LIST_TEST_CASE("the mean of a batch is the mean of its micro-batches", "[softmax_cross_entropy]",
                        Reals32And64) {
  Random random;
  Labels const labels = random_labels(random, 32, 6);
  Cols<TestType> const logits = normal_rows<TestType>(random, 32, 6, 2);
  TestType mean = 0;
  for (Index start = 0; start < 32; start += 8)
    mean += xent::softmax_cross_entropy(logits.middleRows(start, 8), labels.segment(start, 8)) / 4;
  CHECK(close(mean, xent::softmax_cross_entropy(logits, labels), 8));
}

TEMPLATE_LIST_TEST_CASE("the loss is convex along any line", "[softmax_cross_entropy]", Reals32And64) {
  Random random;
  Labels const labels = random_labels(random, 50, 8);
  Rows<TestType> const a = integer_rows<TestType>(random, 50, 8, -20, 20);
  Rows<TestType> const b = integer_rows<TestType>(random, 50, 8, -20, 20);
  Rows<TestType> const middle = (a + b) / 2;
  auto const ends = (xent::softmax_cross_entropy<Reduction::none>(a, labels) +
                     xent::softmax_cross_entropy<Reduction::none>(b, labels))
                        .eval();
  auto const at_middle = xent::softmax_cross_entropy<Reduction::none>(middle, labels);
  CHECK((2 * at_middle <= ends * (1 + 8 * std::numeric_limits<TestType>::epsilon())).all());
}

TEMPLATE_LIST_TEST_CASE("the returned pair and the caller's buffer hold the same bits", "[softmax_cross_entropy]",
                        Reals32And64) {
  Random random;
  for (Index cols : {1, 4, 37, 600}) {
    Labels const labels = random_labels(random, 21, cols);
    Rows<TestType> const logits = normal_rows<TestType>(random, 21, cols, 3);
    Rows<TestType> buffer(21, cols);
    TestType const loss = xent::softmax_cross_entropy_with_gradient(logits, labels, buffer);
    auto const [pair_loss, pair_gradient] = xent::softmax_cross_entropy_with_gradient(logits, labels);
    CHECK(identical(pair_loss, loss));
    CHECK(identical(pair_gradient, buffer));
    CHECK(identical(xent::softmax_cross_entropy(logits, labels), loss));
    Rows<TestType> empty;
    CHECK(identical(xent::softmax_cross_entropy_with_gradient(logits, labels, empty), loss));
    CHECK(identical(empty, buffer));
  }
}

TEMPLATE_LIST_TEST_CASE("a loss has the same bits alone and beside a gradient, however near its logits are",
                        "[softmax_cross_entropy]", Reals32And64) {
  Random random;
  xent::SoftmaxCrossEntropyOptions<TestType> const smoothed{.label_smoothing = TestType(0.125)};
  for (Index cols : {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 64}) {
    // Around the steps of a table of powers, where a rounded exp may fall while its argument rises.
    Rows<TestType> logits(300, cols);
    for (Index i = 0; i < 300; ++i) {
      TestType const step = TestType(0.0216608493924982909 * double(random.integer(-3, 3)));
      for (Index k = 0; k < cols; ++k) logits(i, k) = step + TestType(1e-8 * double(random.integer(-9, 9)));
    }
    Labels const labels = random_labels(random, 300, cols);
    INFO(cols << " classes");
    auto const check = [&](auto const& z) {
      using xent::softmax_cross_entropy, xent::softmax_cross_entropy_with_gradient;
      constexpr Reduction none = Reduction::none;
      CHECK(
          identical(softmax_cross_entropy_with_gradient<none>(z, labels).loss, softmax_cross_entropy<none>(z, labels)));
      CHECK(identical(softmax_cross_entropy_with_gradient<none>(z, labels, smoothed).loss,
                      softmax_cross_entropy<none>(z, labels, smoothed)));
      for (Index i = 0; i < 300; i += 16) {
        auto const rows = z.middleRows(i, std::min<Index>(16, 300 - i));
        auto const some = labels.segment(i, rows.rows());
        CHECK(identical(softmax_cross_entropy_with_gradient(rows, some).loss, softmax_cross_entropy(rows, some)));
      }
    };
    check(logits);
    check(Cols<TestType>(logits));
  }
}

TEMPLATE_LIST_TEST_CASE("the gradient may replace the logits", "[softmax_cross_entropy]", Reals32And64) {
  Random random;
  for (Index cols : {1, 2, 17, 64, 900}) {
    Setup<TestType> setup;
    setup.label_smoothing = random.chance(0.5) ? TestType(0) : TestType(0.25);
    setup.ignore_index = 0;
    Labels const labels = random_labels(random, 35, cols);
    Rows<TestType> rows = normal_rows<TestType>(random, 35, cols, 3);
    Cols<TestType> columns = rows;
    Rows<TestType> expected_rows;
    Cols<TestType> expected_columns;
    TestType const loss = xent::softmax_cross_entropy_with_gradient(rows, labels, expected_rows, setup.softmax());
    CHECK(identical(xent::softmax_cross_entropy_with_gradient(rows, labels, rows, setup.softmax()), loss));
    CHECK(identical(rows, expected_rows));
    TestType const other =
        xent::softmax_cross_entropy_with_gradient(columns, labels, expected_columns, setup.softmax());
    CHECK(identical(xent::softmax_cross_entropy_with_gradient(columns, labels, columns, setup.softmax()), other));
    CHECK(identical(columns, expected_columns));
  }
}

TEMPLATE_LIST_TEST_CASE("a row has the same bits alone, in any batch, at any place", "[softmax_cross_entropy]",
                        Reals32And64) {
  Random random;
  for (Index cols : {2, 9, 40, 650}) {
    Labels const labels = random_labels(random, 41, cols);
    Rows<TestType> const rows = normal_rows<TestType>(random, 41, cols, 4);
    Cols<TestType> const columns = rows;
    auto const whole = xent::softmax_cross_entropy_with_gradient<Reduction::none>(rows, labels);
    auto const whole_columns = xent::softmax_cross_entropy_with_gradient<Reduction::none>(columns, labels);
    for (Index start : {0, 1, 5, 32, 40}) {
      Index const size = random.integer(1, 41 - start);
      INFO(size << " rows from " << start << " of " << cols << " classes");
      Rows<TestType> const part = rows.middleRows(start, size);
      Labels const part_labels = labels.segment(start, size);
      auto const alone = xent::softmax_cross_entropy_with_gradient<Reduction::none>(part, part_labels);
      CHECK(identical(alone.loss, whole.loss.segment(start, size)));
      CHECK(identical(alone.gradient, whole.gradient.middleRows(start, size)));
      auto const inside =
          xent::softmax_cross_entropy_with_gradient<Reduction::none>(columns.middleRows(start, size), part_labels);
      CHECK(identical(inside.loss, whole_columns.loss.segment(start, size)));
      CHECK(identical(inside.gradient, whole_columns.gradient.middleRows(start, size)));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("one sample: a vector of logits and one label", "[softmax_cross_entropy]", Reals32And64) {
  Random random;
  Rows<TestType> const batch = normal_rows<TestType>(random, 1, 8, 2);
  Labels const label = Labels::Constant(1, 5);
  Vector<TestType> const sample = batch.row(0).transpose();
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(batch), indices(label));
  auto const loss = xent::softmax_cross_entropy(sample, 5);
  STATIC_REQUIRE(std::is_same_v<std::remove_const_t<decltype(loss)>, TestType>);
  CHECK(within(loss, exact.mean));
  CHECK(within(xent::softmax_cross_entropy<Reduction::none>(sample, 5), exact.none));
  Vector<TestType> gradient;
  CHECK(within(xent::softmax_cross_entropy_with_gradient(sample, 5, gradient), exact.mean));
  REQUIRE(gradient.size() == 8);
  CHECK(within(gradient, exact.gradient));
  Eigen::Matrix<TestType, 1, Eigen::Dynamic> const row = batch.matrix();
  CHECK(within(xent::softmax_cross_entropy(row, 5), exact.mean));
  auto const pair = xent::softmax_cross_entropy_with_gradient(row, 5);
  CHECK(within(pair.gradient, exact.gradient));
}

TEMPLATE_LIST_TEST_CASE("results are plain: scalars and arrays, never expressions", "[softmax_cross_entropy]",
                        Reals32And64) {
  using Logits = Cols<TestType>;
  using None = decltype(xent::softmax_cross_entropy<Reduction::none>(std::declval<Logits const&>(),
                                                                     std::declval<Labels const&>()));
  using Mean = decltype(xent::softmax_cross_entropy(std::declval<Logits const&>(), std::declval<Labels const&>()));
  STATIC_REQUIRE(std::is_same_v<None, typename None::PlainObject>);
  STATIC_REQUIRE(std::is_same_v<Mean, TestType>);
}

TEST_CASE("the mean over millions of rows loses nothing visible", "[softmax_cross_entropy]") {
  Index const rows = 2'000'000;
  Cols<float> const logits = Cols<float>::Zero(rows, 2);
  Eigen::Array<bool, Eigen::Dynamic, 1> const labels = Eigen::Array<bool, Eigen::Dynamic, 1>::Constant(rows, true);
  Exact const log2{0.693147180559945309417L, 0, 0};
  CHECK(within(xent::softmax_cross_entropy(logits, labels), log2, 2));
}

TEST_CASE("more than 2^31 classes of one row", "[.large]") {  // minutes long: run it by its tag
  Index const cols = (Index{1} << 31) + 3;
  auto const logits = Eigen::Array<float, 1, Eigen::Dynamic>::Zero(1, cols);
  Exact const log_cols{std::log(static_cast<long double>(cols)), 0, 0};
  CHECK(within(xent::softmax_cross_entropy(logits, cols - 1), log_cols));
}

TEST_CASE("more than 2^31 rows of two classes", "[.large]") {
  Index const rows = (Index{1} << 31) + 3;
  auto const logits = Eigen::Array<float, Eigen::Dynamic, 1>::Zero(rows, 1).replicate(1, 2);
  auto const labels = Eigen::Array<std::int8_t, Eigen::Dynamic, 1>::Ones(rows);
  Exact const log2{0.693147180559945309417L, 0, 0};
  CHECK(within(xent::softmax_cross_entropy(logits, labels), log2, 2));
}
