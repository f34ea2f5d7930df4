// SPDX-License-Identifier: MIT
// argmax: the class of the largest logit, the first of equals, -1 for a row with a NaN.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/layouts.hpp"
#include "support/ulp.hpp"

#include <xent/argmax.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <tuple>
#include <type_traits>

using namespace support;
using Reals32And64 = std::tuple<float, double>;

TEMPLATE_LIST_TEST_CASE("argmax finds the first of the largest, in every layout", "[argmax]", Reals32And64) {
  Random random;
  for (Index cols : {1, 2, 9, 33, 300}) {
    Rows<TestType> const logits = integer_rows<TestType>(random, 20, cols, -6, 6);  // with many ties
    Labels expected(20);
    for (Index i = 0; i < 20; ++i) {
      Index best = 0;
      for (Index k = 1; k < cols; ++k)
        if (logits(i, k) > logits(i, best)) best = k;
      expected(i) = best;
    }
    for_each_layout(logits, [&](char const* layout, auto const& array) {
      INFO(layout << " of " << cols << " classes");
      CHECK(identical(xent::argmax(array), expected));
    });
  }
}

TEST_CASE("argmax gives Eigen's indices as a plain array, a single one for one sample", "[argmax]") {
  using Result = decltype(xent::argmax(std::declval<Eigen::ArrayXXf const&>()));
  STATIC_REQUIRE(std::is_same_v<Result::Scalar, Eigen::Index>);
  STATIC_REQUIRE(std::is_same_v<Result, Result::PlainObject>);
  auto const one = xent::argmax(Eigen::Vector3f(1, 4, 2));
  CHECK(one == 1);
}

TEMPLATE_LIST_TEST_CASE("argmax at the edges", "[argmax][edges]", Reals32And64) {
  TestType const inf = infinity<TestType>();
  for (Index cols : {2, 9, 70})
    for (Index place : {Index(0), cols / 2, cols - 1}) {
      Rows<TestType> logits = Rows<TestType>::Zero(5, cols);
      logits(0, place) = nan<TestType>();
      logits.row(1).setConstant(-inf);
      logits.row(2).setConstant(-std::numeric_limits<TestType>::max());
      logits(3, place) = inf;
      logits.row(4).setConstant(-inf);
      logits(4, place) = -5;
      Cols<TestType> const columns = logits;
      for (auto const& found : {xent::argmax(logits), xent::argmax(columns)}) {
        CHECK(found(0) == -1);
        CHECK(found(1) == 0);
        CHECK(found(2) == 0);
        CHECK(found(3) == place);
        CHECK(found(4) == place);
      }
    }
  CHECK(xent::argmax(Cols<TestType>(0, 3)).size() == 0);
}

TEST_CASE("argmax refuses no classes", "[argmax][errors]") {
  CHECK(refuses<std::invalid_argument>([] { xent::argmax(Eigen::ArrayXXf(3, 0)); }, {"xent::argmax: ", "logits"}));
}
