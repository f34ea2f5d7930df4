// SPDX-License-Identifier: MIT
// one_hot and smooth_labels: labels as targets.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/layouts.hpp"
#include "support/ulp.hpp"

#include <xent/one_hot.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <tuple>
#include <type_traits>

using namespace support;
using Reals32And64 = std::tuple<float, double>;

TEMPLATE_LIST_TEST_CASE("one_hot holds 1 at the label and 0 elsewhere", "[one_hot]", Reals32And64) {
  Random random;
  Labels const labels = random_labels(random, 30, 7);
  auto const encoded = xent::one_hot<TestType>(labels, 7);
  STATIC_REQUIRE(std::is_same_v<typename std::remove_cvref_t<decltype(encoded)>::Scalar, TestType>);
  REQUIRE(encoded.rows() == 30);
  REQUIRE(encoded.cols() == 7);
  for (Index i = 0; i < 30; ++i)
    for (Index k = 0; k < 7; ++k) CHECK(encoded(i, k) == (k == labels(i) ? 1 : 0));
}

TEST_CASE("one_hot makes floats, and finds the number of classes, if not told", "[one_hot]") {
  auto const encoded = xent::one_hot(Eigen::Array3i(2, 0, 4));
  STATIC_REQUIRE(std::is_same_v<std::remove_cvref_t<decltype(encoded)>::Scalar, float>);
  CHECK(encoded.rows() == 3);
  CHECK(encoded.cols() == 5);
  CHECK(encoded.sum() == 3);
  CHECK(xent::one_hot(Eigen::Array2i(0, 0)).cols() == 1);
}

TEST_CASE("one_hot takes labels of any integral type", "[one_hot]") {
  auto const expected = xent::one_hot(Eigen::Array3i(1, 0, 1), 2);
  CHECK(identical(xent::one_hot(Eigen::Array<bool, 3, 1>(true, false, true), 2), expected));
  CHECK(identical(xent::one_hot(Eigen::Array<std::uint8_t, 3, 1>(1, 0, 1), 2), expected));
  CHECK(identical(xent::one_hot(Eigen::Array<std::int64_t, 3, 1>(1, 0, 1), 2), expected));
  CHECK(identical(xent::one_hot(Eigen::RowVector3i(1, 0, 1), 2), expected));
  CHECK(identical(xent::one_hot(Eigen::Vector3i(1, 0, 1).reverse(), 2), expected));
}

TEST_CASE("one_hot of no labels is empty when told the classes", "[one_hot][edges]") {
  auto const none = xent::one_hot(Eigen::ArrayXi(0), 4);
  CHECK(none.rows() == 0);
  CHECK(none.cols() == 4);
}

TEST_CASE("one_hot's refusals", "[one_hot][errors]") {
  CHECK(refuses<std::out_of_range>([] { xent::one_hot(Eigen::Array3i(0, 3, 1), 3); },
                                   {"xent::one_hot: labels[1] is 3, outside [0, 3)"}));
  CHECK(refuses<std::out_of_range>([] { xent::one_hot(Eigen::Array3i(0, -1, 1), 3); }, {"labels[1] is -1"}));
  CHECK(refuses<std::out_of_range>([] { xent::one_hot(Eigen::Array3i(0, -1, 1)); },
                                   {"xent::one_hot: ", "labels[1] is -1"}));
  CHECK(refuses<std::invalid_argument>([] { xent::one_hot(Eigen::ArrayXi(0)); }, {"xent::one_hot: "}));
  CHECK(refuses<std::invalid_argument>([] { xent::one_hot(Eigen::Array2i(0, 0), 0); }, {"num_classes"}));
  CHECK(refuses<std::invalid_argument>([] { xent::one_hot(Eigen::Array2i(0, 0), -1); }, {"num_classes", "-1"}));
}

TEMPLATE_LIST_TEST_CASE("smooth_labels is (1 - epsilon) targets + epsilon / C", "[smooth_labels]", Reals32And64) {
  Random random;
  Rows<TestType> const targets = distributions<TestType>(random, 9, 6);
  TestType const epsilon = TestType(0.1);
  auto const smoothed = xent::smooth_labels(targets, epsilon);
  Exacts exact;
  long double const e = static_cast<long double>(epsilon);
  for (long double t : grid(targets).values) exact.push_back({(1 - e) * t + e / 6, 0, 0});
  CHECK(within(smoothed, exact, 2));
  CHECK(identical(xent::smooth_labels(targets, TestType(0)), targets));
  CHECK(close(xent::smooth_labels(targets, TestType(1)),
              Rows<TestType>(Rows<TestType>::Constant(9, 6, TestType(1) / 6)), 1));
}

TEMPLATE_LIST_TEST_CASE("smooth_labels keeps each row's sum and takes either order and expressions", "[smooth_labels]",
                        Reals32And64) {
  Rows<TestType> const targets = xent::one_hot<TestType>(Eigen::Array3i(0, 2, 3), 4);
  Rows<TestType> const expected = xent::smooth_labels(targets, TestType(0.25));
  CHECK((expected.rowwise().sum() == 1).all());
  for_main_layouts(targets, [&](char const* layout, auto const& array) {
    INFO(layout);
    Rows<TestType> const found = xent::smooth_labels(array, TestType(0.25));
    CHECK(identical(found, expected));
  });
}

TEMPLATE_LIST_TEST_CASE("smooth_labels of one sample spreads over its classes", "[smooth_labels]", Reals32And64) {
  Vector<TestType> const sample = Vector<TestType>((Vector<TestType>(4) << 0, 1, 0, 0).finished());
  auto const smoothed = xent::smooth_labels(sample, TestType(0.5));
  Vector<TestType> const expected =
      (Vector<TestType>(4) << TestType(0.125), TestType(0.625), TestType(0.125), TestType(0.125)).finished();
  CHECK(identical(smoothed, expected));
}

TEST_CASE("smooth_labels' refusals", "[smooth_labels][errors]") {
  Eigen::ArrayXXf const targets = Eigen::ArrayXXf::Constant(2, 2, 0.5F);
  for (float epsilon : {-0.1F, 1.1F, std::numeric_limits<float>::quiet_NaN()})
    CHECK(refuses<std::invalid_argument>([&] { xent::smooth_labels(targets, epsilon); },
                                         {"xent::smooth_labels: ", "epsilon", "[0, 1]"}));
}
