// SPDX-License-Identifier: MIT
// log_softmax: (z - max) - log1p(tail), both parts of one sign, so the small logarithms keep their digits.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/layouts.hpp"
#include "support/oracle.hpp"
#include "support/ulp.hpp"

#include <xent/log_softmax.hpp>
#include <xent/softmax.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <tuple>
#include <type_traits>

using namespace support;
using Reals32And64 = std::tuple<float, double>;

TEMPLATE_LIST_TEST_CASE("log_softmax is within 4 ulp of the exact result", "[log_softmax]", Reals32And64) {
  Random random;
  for (Index cols : {1, 2, 3, 6, 9, 18, 34, 65, 259})
    for (double scale : {1e-3, 1.0, 30.0, 1e4}) {
      Rows<TestType> const logits = normal_rows<TestType>(random, 4, cols, scale);
      Exacts const exact = oracle::log_softmax(grid(logits));
      CHECK(within(xent::log_softmax(logits), exact));
      CHECK(within(xent::log_softmax(Cols<TestType>(logits)), exact));
    }
}

TEMPLATE_LIST_TEST_CASE("log_softmax of a dominant class keeps its digits", "[log_softmax]", Reals32And64) {
  for (double margin : {5.0, 17.0, 40.0, 80.0}) {
    Rows<TestType> logits = Rows<TestType>::Zero(1, 3);
    logits(0, 1) = static_cast<TestType>(margin);
    auto const log_probs = xent::log_softmax(logits);
    CHECK(within(log_probs, oracle::log_softmax(grid(logits))));
    CHECK(log_probs(0, 1) < 0);
  }
}

TEMPLATE_LIST_TEST_CASE("log_softmax never exceeds 0", "[log_softmax]", Reals32And64) {
  Random random;
  CHECK((xent::log_softmax(normal_rows<TestType>(random, 100, 19, 20)) <= 0).all());
}

TEMPLATE_LIST_TEST_CASE("the exponential of log_softmax is softmax", "[log_softmax]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 10, 13, 1);
  Rows<TestType> const log_probs = xent::log_softmax(logits);
  Rows<TestType> const probs = log_probs.unaryExpr([](TestType x) { return std::exp(x); });
  CHECK(close(probs, xent::softmax(logits), 20));  // an error of x ulp in the logarithm grows with its size
}

TEMPLATE_LIST_TEST_CASE("log_softmax is the same in every layout", "[log_softmax]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = integer_rows<TestType>(random, 11, 19, -30, 30);
  Exacts const exact = oracle::log_softmax(grid(logits));
  for_each_layout(logits, [&](char const* layout, auto const& array) {
    INFO(layout);
    CHECK(within(xent::log_softmax(array), exact));
  });
}

TEMPLATE_LIST_TEST_CASE("log_softmax of a row has the same bits alone and in any batch", "[log_softmax]",
                        Reals32And64) {
  Random random;
  for (Index cols : {3, 10, 40, 700}) {
    Rows<TestType> const logits = normal_rows<TestType>(random, 37, cols, 4);
    Rows<TestType> const whole = xent::log_softmax(logits);
    for (Index i : {0, 1, 7, 20, 36}) {
      Rows<TestType> const alone = logits.row(i);
      CHECK(identical(xent::log_softmax(alone), whole.row(i)));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("log_softmax writes into the caller's array, the input itself included", "[log_softmax]",
                        Reals32And64) {
  Random random;
  for (Index cols : {4, 29, 513}) {
    Rows<TestType> const logits = normal_rows<TestType>(random, 9, cols, 2);
    Rows<TestType> out;
    xent::log_softmax(logits, out);
    CHECK(identical(out, xent::log_softmax(logits)));
    Rows<TestType> in_place = logits;
    xent::log_softmax(in_place, in_place);
    CHECK(identical(in_place, out));
    Cols<TestType> columns = logits;
    Cols<TestType> const expected = xent::log_softmax(columns);
    xent::log_softmax(columns, columns);
    CHECK(identical(columns, expected));
  }
}

TEMPLATE_LIST_TEST_CASE("log_softmax returns a plain array, of one sample too", "[log_softmax]", Reals32And64) {
  using Result = decltype(xent::log_softmax(std::declval<Cols<TestType> const&>()));
  STATIC_REQUIRE(std::is_same_v<Result, typename Result::PlainObject>);
  Vector<TestType> const sample = Vector<TestType>::LinSpaced(7, 0, 3);
  auto const log_probs = xent::log_softmax(sample);
  CHECK(within(log_probs, oracle::log_softmax(grid(sample.transpose()))));
}

TEMPLATE_LIST_TEST_CASE("log_softmax at the edges", "[log_softmax][edges]", Reals32And64) {
  TestType const inf = infinity<TestType>();
  TestType const big = std::numeric_limits<TestType>::max();
  for (Index cols : {2, 3, 12, 260}) {
    Rows<TestType> logits = Rows<TestType>::Zero(8, cols);
    logits.row(0).setConstant(big);
    logits.row(1).setConstant(-big);
    logits.row(2).setConstant(big);
    logits(2, 1) = -big;  // the exact result is below -max: it is -inf, correctly rounded
    logits(3, 0) = -inf;  // masked
    logits.row(4).setConstant(-inf);
    logits(5, cols - 1) = inf;
    logits(6, cols / 2) = nan<TestType>();
    Exacts const exact = oracle::log_softmax(grid(logits));
    for_main_layouts(logits, [&](char const* layout, auto const& array) {
      INFO(layout << " of " << cols << " classes");
      CHECK(within(xent::log_softmax(array), exact));
    });
  }
}

TEMPLATE_LIST_TEST_CASE("log_softmax of one class is 0, of no rows empty", "[log_softmax][edges]", Reals32And64) {
  Cols<TestType> one(3, 1);
  one << TestType(-5), TestType(0), std::numeric_limits<TestType>::max();
  CHECK(all_are(xent::log_softmax(one), 0));
  auto const empty = xent::log_softmax(Cols<TestType>(0, 4));
  CHECK(empty.rows() == 0);
  CHECK(empty.cols() == 4);
}

TEST_CASE("log_softmax refuses no classes and outputs of a wrong shape", "[log_softmax][errors]") {
  Cols<float> const none(3, 0);
  CHECK(refuses<std::invalid_argument>([&] { xent::log_softmax(none); }, {"xent::log_softmax: ", "logits"}));
  Cols<float> const logits = Cols<float>::Zero(3, 4);
  Eigen::Array<float, 2, 2> small = Eigen::Array<float, 2, 2>::Constant(7);
  CHECK(refuses<std::invalid_argument>([&] { xent::log_softmax(logits, small); }, {"xent::log_softmax: "}));
  CHECK(all_are(small, 7));
}
