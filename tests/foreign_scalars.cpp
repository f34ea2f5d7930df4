// SPDX-License-Identifier: MIT
// Scalars other than float and double: long double, and the half precisions, read and written as they are.
#include "support/generators.hpp"
#include "support/oracle.hpp"
#include "support/setup.hpp"
#include "support/ulp.hpp"

#include <xent/xent.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <tuple>
#include <type_traits>

using namespace support;
using xent::Reduction;
using Halves = std::tuple<Eigen::half, Eigen::bfloat16>;

namespace {

/// Random logits that the type holds exactly, with ties and a confident row.
template <class Scalar>
Rows<Scalar> logits_of(Random& random, Index rows, Index cols) {
  Rows<Scalar> logits = normal_rows<float>(random, rows, cols, 3).template cast<Scalar>();
  logits(0, 1) = logits(0, 0);
  logits(1, 0) = Scalar(12.0F);
  return logits;
}

}  // namespace

TEST_CASE("long double keeps its own precision", "[foreign_scalars]") {
  Random random;
  for (Index cols : {1, 2, 9, 100}) {
    Rows<long double> logits = normal_rows<long double>(random, 8, cols, 5);
    logits(2, 0) = 60;
    Labels const labels = random_labels(random, 8, cols);
    oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels));
    auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
    STATIC_REQUIRE(std::is_same_v<std::remove_cvref_t<decltype(found.loss)>::Scalar, long double>);
    CHECK(within(found.loss, exact.none, 8));
    CHECK(within(found.gradient, exact.gradient, 8));
    CHECK(within(xent::softmax_cross_entropy(Cols<long double>(logits), labels), exact.mean, 8));
    CHECK(within(xent::softmax(logits), oracle::softmax(grid(logits)), 8));
    CHECK(within(xent::logsumexp(logits), oracle::logsumexp(grid(logits)), 8));
  }
  Rows<long double> const z = normal_rows<long double>(random, 5, 6, 9);
  Rows<long double> const t = uniform_rows<long double>(random, 5, 6, 0, 1);
  oracle::Loss const binary = oracle::sigmoid_cross_entropy(grid(z), grid(t));
  auto const found = xent::sigmoid_cross_entropy_with_gradient(z, t);
  CHECK(within(found.loss, binary.mean, 8));
  CHECK(within(found.gradient, binary.mean_gradient, 8));
}

TEMPLATE_LIST_TEST_CASE("half precision: the loss is a float, exact for the logits as they are", "[foreign_scalars]",
                        Halves) {
  Random random;
  for (Index cols : {2, 10, 77}) {
    Rows<TestType> const logits = logits_of<TestType>(random, 6, cols);
    Labels const labels = random_labels(random, 6, cols);
    oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels));
    auto const loss = xent::softmax_cross_entropy(logits, labels);
    STATIC_REQUIRE(std::is_same_v<std::remove_const_t<decltype(loss)>, float>);
    CHECK(within(loss, exact.mean));
    auto const rows = xent::softmax_cross_entropy<Reduction::none>(Cols<TestType>(logits), labels);
    STATIC_REQUIRE(std::is_same_v<typename std::remove_cvref_t<decltype(rows)>::Scalar, float>);
    CHECK(within(rows, exact.none));
  }
}

TEMPLATE_LIST_TEST_CASE("half precision: the gradient and softmax are rounded once", "[foreign_scalars]", Halves) {
  Random random;
  Rows<TestType> const logits = logits_of<TestType>(random, 6, 20);
  Labels const labels = random_labels(random, 6, 20);
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels));
  Rows<TestType> gradient;
  float const loss = xent::softmax_cross_entropy_with_gradient<Reduction::sum>(logits, labels, gradient);
  CHECK(within(loss, exact.sum));
  CHECK(within(gradient, exact.gradient, 0.51L));
  Rows<float> wide;  // the caller may want the gradient in float
  xent::softmax_cross_entropy_with_gradient<Reduction::sum>(logits, labels, wide);
  CHECK(within(wide, exact.gradient));
  auto const probs = xent::softmax(logits);
  STATIC_REQUIRE(std::is_same_v<typename std::remove_cvref_t<decltype(probs)>::Scalar, TestType>);
  CHECK(within(probs, oracle::softmax(grid(logits)), 0.51L));
  Rows<TestType> in_place = logits;
  xent::softmax_cross_entropy_with_gradient<Reduction::sum>(in_place, labels, in_place);
  CHECK(identical(in_place, gradient));
}

TEMPLATE_LIST_TEST_CASE("half precision: options are floats, edges are edges", "[foreign_scalars]", Halves) {
  Random random;
  Rows<TestType> logits = logits_of<TestType>(random, 6, 5);
  Labels labels = random_labels(random, 6, 5);
  Setup<float> setup;
  setup.label_smoothing = 0.1F;
  setup.class_weights = positive_weights<float>(random, 5);
  setup.ignore_index = -1;
  labels(2) = -1;
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels), setup.exact());
  CHECK(within(xent::softmax_cross_entropy(logits, labels, setup.softmax()), exact.mean));
  logits(2, 0) = TestType(nan<float>());
  CHECK(within(xent::softmax_cross_entropy(logits, labels, setup.softmax()), exact.mean));
  logits(3, 1) = TestType(nan<float>());
  CHECK(std::isnan(xent::softmax_cross_entropy(logits, labels, setup.softmax())));
  logits.row(3).setConstant(TestType(-infinity<float>()));
  CHECK(std::isnan(xent::softmax_cross_entropy(logits, labels, setup.softmax())));
}

TEMPLATE_LIST_TEST_CASE("half precision: the other losses", "[foreign_scalars]", Halves) {
  Random random;
  Rows<TestType> const logits = logits_of<TestType>(random, 7, 6);
  Rows<TestType> const targets = uniform_rows<float>(random, 7, 6, 0, 1).template cast<TestType>();
  Labels const labels = random_labels(random, 7, 6);
  oracle::Loss const soft = oracle::softmax_cross_entropy(grid(logits), grid(targets));
  CHECK(within(xent::softmax_cross_entropy(logits, targets), soft.mean));
  oracle::Loss const binary = oracle::sigmoid_cross_entropy(grid(logits), grid(targets));
  CHECK(within(xent::sigmoid_cross_entropy(logits, targets), binary.mean));
  Setup<float> setup;
  setup.gamma = 2;
  oracle::Loss const focal = oracle::softmax_focal_loss(grid(logits), indices(labels), setup.exact());
  CHECK(within(xent::softmax_focal_loss(logits, labels, setup.focal()), focal.mean));
  CHECK(identical(xent::argmax(logits), xent::argmax(Rows<float>(logits.template cast<float>()))));
  CHECK(within(xent::sigmoid(logits), oracle::sigmoid(grid(logits)), 0.51L));
}
