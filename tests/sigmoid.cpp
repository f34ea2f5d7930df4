// SPDX-License-Identifier: MIT
// sigmoid, log_sigmoid and softplus: elementwise, with all digits on both sides and no cut-off.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/layouts.hpp"
#include "support/oracle.hpp"
#include "support/ulp.hpp"

#include <xent/sigmoid.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <tuple>
#include <type_traits>

using namespace support;
using Reals32And64 = std::tuple<float, double>;

namespace {

/// Points over the whole range: every size from the smallest to the largest, both signs, and where results fade out.
template <class Scalar>
Rows<Scalar> sweep(Random& random) {
  Rows<Scalar> x(8, 200);
  double const fading = std::is_same_v<Scalar, float> ? 104 : 746;
  for (Index k = 0; k < 200; ++k) {
    x(0, k) = static_cast<Scalar>(random.uniform(-1, 1));
    x(1, k) = static_cast<Scalar>(random.uniform(-20, 20));
    x(2, k) = static_cast<Scalar>(random.uniform(-fading, fading));
    x(3, k) = static_cast<Scalar>(-random.uniform(0.8 * fading, fading));
    x(4, k) = static_cast<Scalar>(random.normal() * 1e-6);
    x(5, k) = static_cast<Scalar>(random.normal() * 1e5);
    x(6, k) = static_cast<Scalar>(std::ldexp(random.normal(), static_cast<int>(random.integer(-140, 120))));
    x(7, k) = static_cast<Scalar>(-random.uniform(7, 20));
  }
  return x;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("sigmoid, log_sigmoid and softplus are within 4 ulp everywhere", "[sigmoid]", Reals32And64) {
  Random random;
  Rows<TestType> const x = sweep<TestType>(random);
  CHECK(within(xent::sigmoid(x), oracle::sigmoid(grid(x))));
  CHECK(within(xent::log_sigmoid(x), oracle::log_sigmoid(grid(x))));
  CHECK(within(xent::softplus(x), oracle::softplus(grid(x))));
}

TEMPLATE_LIST_TEST_CASE("sigmoid(x) + sigmoid(-x) is 1; log_sigmoid(x) is -softplus(-x)", "[sigmoid]", Reals32And64) {
  Random random;
  Rows<TestType> const x = sweep<TestType>(random);
  Rows<TestType> const minus_x = -x;
  Rows<TestType> const sum = xent::sigmoid(x) + xent::sigmoid(minus_x);
  CHECK(close(sum, Rows<TestType>(Rows<TestType>::Ones(8, 200)), 2));
  Rows<TestType> const negative = -xent::softplus(minus_x);
  CHECK(identical(xent::log_sigmoid(x), negative));
}

TEMPLATE_LIST_TEST_CASE("sigmoid and its family have their limits at the infinities", "[sigmoid][edges]",
                        Reals32And64) {
  TestType const inf = infinity<TestType>();
  TestType const big = std::numeric_limits<TestType>::max();
  Rows<TestType> x(1, 7);
  x << -inf, -big, 0, -TestType(0), big, inf, nan<TestType>();
  CHECK(within(xent::sigmoid(x), oracle::sigmoid(grid(x))));
  CHECK(within(xent::log_sigmoid(x), oracle::log_sigmoid(grid(x))));
  CHECK(within(xent::softplus(x), oracle::softplus(grid(x))));
  auto const s = xent::sigmoid(x);
  CHECK(s(0) == 0);
  CHECK(s(2) == TestType(0.5));
  CHECK(s(5) == 1);
  CHECK(std::isnan(s(6)));
}

TEMPLATE_LIST_TEST_CASE("an element has the same bits in every layout and at any place", "[sigmoid]", Reals32And64) {
  Random random;
  Rows<TestType> const x = integer_rows<TestType>(random, 11, 13, -20, 20);
  Rows<TestType> const expected = xent::sigmoid(x);
  Rows<TestType> const expected_softplus = xent::softplus(x);
  for_each_layout(x, [&](char const* layout, auto const& array) {
    INFO(layout);
    Rows<TestType> const found = xent::sigmoid(array);
    CHECK(identical(found, expected));
    Rows<TestType> const found_softplus = xent::softplus(array);
    CHECK(identical(found_softplus, expected_softplus));
  });
}

TEMPLATE_LIST_TEST_CASE("the elementwise functions write into the caller's array, the input itself included",
                        "[sigmoid]", Reals32And64) {
  Random random;
  Cols<TestType> const x = normal_rows<TestType>(random, 7, 9, 5);
  Cols<TestType> out;
  xent::sigmoid(x, out);
  CHECK(identical(out, xent::sigmoid(x)));
  Cols<TestType> in_place = x;
  xent::sigmoid(in_place, in_place);
  CHECK(identical(in_place, out));
  in_place = x;
  xent::softplus(in_place, in_place);
  CHECK(identical(in_place, xent::softplus(x)));
  in_place = x;
  xent::log_sigmoid(in_place, in_place);
  CHECK(identical(in_place, xent::log_sigmoid(x)));
}

TEMPLATE_LIST_TEST_CASE("the elementwise functions keep the shape: vectors, matrices, nothing at all", "[sigmoid]",
                        Reals32And64) {
  Eigen::Matrix<TestType, 1, Eigen::Dynamic> const row = Eigen::Matrix<TestType, 1, Eigen::Dynamic>::Zero(5);
  auto const s = xent::sigmoid(row);
  CHECK(s.rows() == 1);
  CHECK(s.cols() == 5);
  CHECK(all_are(s, TestType(0.5)));
  for (auto const& [rows, cols] : {std::pair<Index, Index>{0, 4}, {3, 0}, {0, 0}}) {
    auto const nothing = xent::softplus(Cols<TestType>(rows, cols));
    CHECK(nothing.rows() == rows);
    CHECK(nothing.cols() == cols);
  }
}

TEST_CASE("the elementwise functions refuse an output of a wrong shape", "[sigmoid][errors]") {
  Eigen::ArrayXXf const x = Eigen::ArrayXXf::Zero(3, 4);
  Eigen::Array<float, 2, 2> small = Eigen::Array<float, 2, 2>::Constant(7);
  CHECK(refuses<std::invalid_argument>([&] { xent::sigmoid(x, small); }, {"xent::sigmoid: "}));
  CHECK(refuses<std::invalid_argument>([&] { xent::log_sigmoid(x, small); }, {"xent::log_sigmoid: "}));
  CHECK(refuses<std::invalid_argument>([&] { xent::softplus(x, small); }, {"xent::softplus: "}));
  CHECK(all_are(small, 7));
}
