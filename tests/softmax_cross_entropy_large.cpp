// SPDX-License-Identifier: MIT
// What is too large for the caches, rows of long strips, and columns that stand pages apart: the same bits as in small batches.
#include "support/generators.hpp"
#include "support/oracle.hpp"
#include "support/ulp.hpp"

#include <xent/focal_loss.hpp>
#include <xent/log_softmax.hpp>
#include <xent/logsumexp.hpp>
#include <xent/softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <tuple>
#include <vector>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

/// Rows of all kinds, some of them without a loss that is a number.
template <class Scalar>
Rows<Scalar> large_rows(Random& random, Index rows, Index cols) {
  Rows<Scalar> const some = normal_rows<Scalar>(random, 61, cols, 3);
  Rows<Scalar> logits(rows, cols);
  for (Index i = 0; i < rows; ++i) logits.row(i) = some.row(i % 61);
  logits(1, 7 % cols) = nan<Scalar>();
  logits(2, cols - 1) = infinity<Scalar>();
  logits.row(3).setConstant(-infinity<Scalar>());
  logits(4, cols / 2) += 40;
  logits.row(5) += Scalar(3000);
  logits(6, std::max(cols - 5, Index(0))) = -infinity<Scalar>();
  return logits;
}

/// Row i of the batch, once more in a batch of 16 rows of the same layout.
template <class Logits>
void check_rows(Logits const& logits, Labels const& labels) {
  Logits gradient;
  auto const loss = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels, gradient);
  Logits overwritten = logits;
  CHECK(identical(xent::softmax_cross_entropy_with_gradient<Reduction::none>(overwritten, labels, overwritten), loss));
  CHECK(identical(overwritten, gradient));
  overwritten.resize(0, 0);
  Logits const probs = xent::softmax(logits);
  Logits const log_probs = xent::log_softmax(logits);
  auto const log_sums = xent::logsumexp(logits);
  for (Index first : {Index(0), Index(17), Index(logits.rows() - 16)}) {
    INFO("rows from " << first << " on, of " << logits.rows() << " x " << logits.cols());
    Logits const few = logits.middleRows(first, 16);
    Labels const few_labels = labels.segment(first, 16);
    auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::none>(few, few_labels);
    CHECK(identical(Vector<typename Logits::Scalar>(loss.segment(first, 16)), found.loss));
    CHECK(identical(Logits(gradient.middleRows(first, 16)), found.gradient));
    CHECK(identical(Logits(probs.middleRows(first, 16)), Logits(xent::softmax(few))));
    CHECK(identical(Logits(log_probs.middleRows(first, 16)), Logits(xent::log_softmax(few))));
    CHECK(identical(Vector<typename Logits::Scalar>(log_sums.segment(first, 16)), xent::logsumexp(few)));
  }
  oracle::Loss const exact =
      oracle::softmax_cross_entropy(grid(logits.middleRows(8, 4)), indices(labels.segment(8, 4)));
  CHECK(within(Vector<typename Logits::Scalar>(loss.segment(8, 4)), exact.none));
  CHECK(within(Logits(gradient.middleRows(8, 4)), exact.gradient));
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("gradients that no cache holds have the bits of small ones", "[large]", Reals32And64) {
  Random random;
  constexpr Index cols = 5003;
  // More than 24 MiB. Columns that begin at multiples of 64 bytes, and others.
  for (Index rows : {Index(25 << 20) / Index(sizeof(TestType)) / cols / 16 * 16, Index(1301)}) {
    Rows<TestType> const logits = large_rows<TestType>(random, rows, cols);
    Labels const labels = random_labels(random, rows, cols);
    check_rows(logits, labels);
    check_rows(Cols<TestType>(logits), labels);
  }
}

TEST_CASE("options and targets that no cache holds have the bits of small ones", "[large]") {
  Random random;
  constexpr Index cols = 5003;
  constexpr Index rows = Index(25 << 20) / 4 / cols;
  Rows<float> logits = large_rows<float>(random, rows, cols);
  for (Index k : {Index(9), Index(1200), cols - 1}) logits(8, k) = logits(24, k) = 30;  // all of them the largest
  Labels labels = random_labels(random, rows, cols);
  labels(24) = 1200;
  Rows<float> const some = distributions<float>(random, 37, cols, 1, 0.1);
  Rows<float> targets(rows, cols);
  for (Index i = 0; i < rows; ++i) targets.row(i) = some.row(i % 37);
  Vector<float> const weights = positive_weights<float>(random, cols);
  auto const check = [&](char const* what, auto const& answers, auto const& loss_of) {
    INFO(what);
    Rows<float> gradient;
    auto const loss = loss_of(logits, answers, gradient);
    Rows<float> overwritten = logits;
    CHECK(identical(loss_of(overwritten, answers, overwritten), loss));
    CHECK(identical(Rows<float>(overwritten.topRows(16)), Rows<float>(gradient.topRows(16))));
    std::size_t const bytes = static_cast<std::size_t>((rows - 16) * cols) * sizeof(float);  // of numbers alone
    CHECK(std::memcmp(overwritten.data() + 16 * cols, gradient.data() + 16 * cols, bytes) == 0);
    for (Index first : {Index(0), Index(17), Index(rows - 16)}) {
      Rows<float> const few = logits.middleRows(first, 16);
      Rows<float> few_gradient;
      auto const few_losses = loss_of(few, answers.middleRows(first, 16).eval(), few_gradient);
      CHECK(identical(Vector<float>(loss.segment(first, 16)), few_losses));
      CHECK(identical(Rows<float>(gradient.middleRows(first, 16)), few_gradient));
    }
  };
  auto const with = [](xent::SoftmaxCrossEntropyOptions<float> const& options) {
    return [=](auto const& z, auto const& answers, auto& gradient) {
      return xent::softmax_cross_entropy_with_gradient<Reduction::none>(z, answers, gradient, options);
    };
  };
  check("smoothed labels", labels, with({.label_smoothing = 0.2f}));
  check("weighted classes", labels, with({.label_smoothing = 0.2f, .class_weights = weights}));
  check("targets", targets, with({}));
  check("smoothed targets", targets, with({.label_smoothing = 0.2f}));
  check("focal", labels, [](auto const& z, auto const& y, auto& gradient) {
    return xent::softmax_focal_loss_with_gradient<Reduction::none>(z, y, gradient, {.gamma = 2.5f});
  });
}

TEMPLATE_LIST_TEST_CASE("rows of few classes, many of them, have the bits of few rows", "[large]", Reals32And64) {
  Random random;
  for (Index cols : {2, 3, 4, 5, 6, 8, 10, 16, 31}) {
    Rows<TestType> const logits = large_rows<TestType>(random, 2113, cols);
    Labels const labels = random_labels(random, 2113, cols);
    check_rows(logits, labels);
    check_rows(Cols<TestType>(logits), labels);
  }
}

TEMPLATE_LIST_TEST_CASE("short rows that are not near have the bits of near ones", "[large]", Reals32And64) {
  Random random;
  for (Index cols : {Index(3), Index(10), Index(43), Index(128)}) {
    Index const rows = Index(9 << 20) / Index(sizeof(TestType)) / cols;  // more than 8 MiB
    check_rows(large_rows<TestType>(random, rows, cols), random_labels(random, rows, cols));
  }
}

TEMPLATE_LIST_TEST_CASE("a large gradient has the same bits wherever its memory begins", "[large]", Reals32And64) {
  Random random;
  constexpr Index cols = 5003;
  constexpr Index rows = Index(25 << 20) / Index(sizeof(TestType)) / cols / 16 * 16;
  Labels const labels = random_labels(random, rows, cols);
  Cols<TestType> const logits = large_rows<TestType>(random, rows, cols);
  auto const [loss, expected] = xent::softmax_cross_entropy_with_gradient<Reduction::sum>(logits, labels);
  std::vector<TestType> memory(static_cast<std::size_t>(rows * cols + 16));
  for (std::ptrdiff_t shift : {0, 1, 4, 12, 15}) {
    Eigen::Map<Cols<TestType>> gradient(memory.data() + shift, rows, cols);
    INFO("shifted by " << shift);
    xent::softmax_cross_entropy_with_gradient<Reduction::sum>(logits, labels, gradient);
    CHECK(identical(Cols<TestType>(gradient), expected));
  }
}

TEMPLATE_LIST_TEST_CASE("columns that stand pages apart have the bits of others", "[large]", Reals32And64) {
  Random random;
  for (Index cols : {300, 517}) {
    Rows<TestType> logits = large_rows<TestType>(random, 1024, cols);
    // Maxima that rise by more than a sum could follow without another unit, near 0 and far from it.
    for (Index i = 17; i < 33; ++i) {
      TestType const from = i % 2 == 0 ? TestType(-40) : TestType(-700);
      for (Index k = 0; k < cols; ++k) logits(i, k) += from + TestType(k * (i - 16)) / 8;
    }
    check_rows(Cols<TestType>(logits), random_labels(random, 1024, cols));
  }
}

TEMPLATE_LIST_TEST_CASE("an ignored row of a large batch is never read, and has no gradient", "[large]", Reals32And64) {
  Random random;
  constexpr Index cols = 5003;
  Index const rows = Index(25 << 20) / Index(sizeof(TestType)) / cols;
  Rows<TestType> logits = large_rows<TestType>(random, rows, cols);
  Labels labels = random_labels(random, rows, cols);
  for (Index i : {1, 2, 3}) labels(i) = -100;
  auto const check = [&](auto const& z) {
    auto const [loss, gradient] = xent::softmax_cross_entropy_with_gradient(z, labels, {.ignore_index = -100});
    CHECK(std::isfinite(loss));
    for (Index i : {1, 2, 3}) CHECK((gradient.row(i) == 0).all());
    CHECK(gradient.isFinite().all());
  };
  check(logits);
  check(Cols<TestType>(logits));
}
