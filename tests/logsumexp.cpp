// SPDX-License-Identifier: MIT
// logsumexp: max + log1p(tail), judged against max(|result|, max |z|), since it is ill conditioned near 0.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/layouts.hpp"
#include "support/oracle.hpp"
#include "support/ulp.hpp"

#include <xent/logsumexp.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <tuple>
#include <type_traits>

using namespace support;
using Reals32And64 = std::tuple<float, double>;

TEMPLATE_LIST_TEST_CASE("logsumexp is within 4 ulp of the exact result", "[logsumexp]", Reals32And64) {
  Random random;
  for (Index cols : {1, 2, 3, 6, 9, 18, 34, 65, 259})
    for (double scale : {1e-3, 1.0, 30.0, 1e4}) {
      Rows<TestType> const logits = normal_rows<TestType>(random, 4, cols, scale);
      Exacts const exact = oracle::logsumexp(grid(logits));
      CHECK(within(xent::logsumexp(logits), exact));
      CHECK(within(xent::logsumexp(Cols<TestType>(logits)), exact));
    }
}

TEMPLATE_LIST_TEST_CASE("logsumexp with maximum 0 keeps the digits of a small tail", "[logsumexp]", Reals32And64) {
  for (double margin : {20.0, 50.0, 80.0}) {
    Rows<TestType> logits = Rows<TestType>::Zero(1, 2);
    logits(0, 1) = static_cast<TestType>(-margin);
    Exact exact = oracle::logsumexp(grid(logits)).front();
    exact.scale = exact.hi;  // stricter than the promise: here max + log1p(tail) has nothing to round away
    CHECK(within(xent::logsumexp(logits), Exacts{exact}));
  }
}

TEMPLATE_LIST_TEST_CASE("logsumexp of n equal logits is their value plus log n", "[logsumexp]", Reals32And64) {
  for (Index cols : {1, 2, 7, 64, 1000})
    for (double value : {0.0, -3.0, 1e4}) {
      Rows<TestType> const logits = Rows<TestType>::Constant(2, cols, static_cast<TestType>(value));
      CHECK(within(xent::logsumexp(logits), oracle::logsumexp(grid(logits))));
    }
}

TEMPLATE_LIST_TEST_CASE("logsumexp lies between the maximum and the maximum plus log C", "[logsumexp]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 200, 15, 10);
  auto const result = xent::logsumexp(logits);
  CHECK((result >= logits.rowwise().maxCoeff()).all());
  CHECK((result <= logits.rowwise().maxCoeff() + TestType(2.7081)).all());
}

TEMPLATE_LIST_TEST_CASE("logsumexp is the same in every layout", "[logsumexp]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = integer_rows<TestType>(random, 11, 19, -30, 30);
  Exacts const exact = oracle::logsumexp(grid(logits));
  for_each_layout(logits, [&](char const* layout, auto const& array) {
    INFO(layout);
    CHECK(within(xent::logsumexp(array), exact));
  });
}

TEMPLATE_LIST_TEST_CASE("logsumexp of a row has the same bits alone and in any batch", "[logsumexp]", Reals32And64) {
  Random random;
  for (Index cols : {3, 10, 40, 700}) {
    Rows<TestType> const logits = normal_rows<TestType>(random, 37, cols, 4);
    auto const whole = xent::logsumexp(logits);
    for (Index i : {0, 1, 7, 20, 36}) {
      Rows<TestType> const alone = logits.row(i);
      CHECK(identical(xent::logsumexp(alone), whole.segment(i, 1)));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("logsumexp of one sample is a scalar; the caller's array takes a batch", "[logsumexp]",
                        Reals32And64) {
  Vector<TestType> const sample = Vector<TestType>::LinSpaced(7, 0, 3);
  auto const value = xent::logsumexp(sample);
  STATIC_REQUIRE(std::is_same_v<std::remove_const_t<decltype(value)>, TestType>);
  CHECK(within(value, oracle::logsumexp(grid(sample.transpose()))));
  Cols<TestType> const logits = Cols<TestType>::Random(5, 3);
  Vector<TestType> out;
  xent::logsumexp(logits, out);
  CHECK(identical(out, xent::logsumexp(logits)));
}

TEMPLATE_LIST_TEST_CASE("logsumexp at the edges", "[logsumexp][edges]", Reals32And64) {
  TestType const inf = infinity<TestType>();
  TestType const big = std::numeric_limits<TestType>::max();
  for (Index cols : {2, 3, 12, 260}) {
    Rows<TestType> logits = Rows<TestType>::Zero(8, cols);
    logits.row(0).setConstant(big);
    logits.row(1).setConstant(-big);
    logits.row(2).setConstant(big);
    logits(2, 1) = -big;
    logits(3, 0) = -inf;  // as if absent
    logits.row(4).setConstant(-inf);
    logits(5, cols - 1) = inf;
    logits(6, cols / 2) = nan<TestType>();
    Exacts const exact = oracle::logsumexp(grid(logits));
    for_main_layouts(logits, [&](char const* layout, auto const& array) {
      INFO(layout << " of " << cols << " classes");
      auto const result = xent::logsumexp(array);
      CHECK(within(result, exact));
      CHECK(result(4) == -inf);
      CHECK(result(5) == inf);
      CHECK(std::isnan(result(6)));
    });
  }
}

TEMPLATE_LIST_TEST_CASE("logsumexp of one class is the logit itself, of no rows empty", "[logsumexp][edges]",
                        Reals32And64) {
  Cols<TestType> one(4, 1);
  one << TestType(-5), TestType(0), std::numeric_limits<TestType>::max(), std::numeric_limits<TestType>::denorm_min();
  CHECK(identical(xent::logsumexp(one), one));
  CHECK(xent::logsumexp(Cols<TestType>(0, 4)).size() == 0);
}

TEST_CASE("logsumexp refuses no classes", "[logsumexp][errors]") {
  Cols<float> const none(3, 0);
  CHECK(refuses<std::invalid_argument>([&] { xent::logsumexp(none); }, {"xent::logsumexp: ", "logits"}));
}
