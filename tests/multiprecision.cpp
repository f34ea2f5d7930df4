// SPDX-License-Identifier: MIT
// Fifty digits go through the same templates: the library against the oracle, beyond every built-in type.
#include "support/generators.hpp"
#include "support/oracle.hpp"

#include <xent/log_softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/eigen.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace support;
using xent::Reduction;

namespace {

using Fifty = boost::multiprecision::cpp_bin_float_50;

/// The oracle hands out two long doubles, 38 digits; both sides agree to 35.
bool agrees(Fifty const& found, Exact const& exact) {
  Fifty const expected = Fifty(exact.hi) + Fifty(exact.lo);
  return !(abs(Fifty(found - expected)) > Fifty("1e-35") * abs(expected));
}

}  // namespace

TEST_CASE("fifty digits: loss, gradient and log_softmax agree with the oracle to 35", "[multiprecision]") {
  Random random;
  Rows<double> values = normal_rows<double>(random, 6, 7, 5);
  values(2, 3) = 200;  // a loss of 1e-85, gone long before in any sum with 1
  Labels labels = random_labels(random, 6, 7);
  labels(2) = 3;
  Rows<Fifty> const logits = values.cast<Fifty>();
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(values), indices(labels));
  Exacts const logs = oracle::log_softmax(grid(values));
  auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
  auto const log_probs = xent::log_softmax(logits);
  for (Index i = 0; i < 6; ++i) {
    CHECK(agrees(found.loss(i), exact.none[static_cast<std::size_t>(i)]));
    for (Index k = 0; k < 7; ++k) {
      CHECK(agrees(found.gradient(i, k), exact.gradient[static_cast<std::size_t>(i * 7 + k)]));
      CHECK(agrees(log_probs(i, k), logs[static_cast<std::size_t>(i * 7 + k)]));
    }
  }
  CHECK(agrees(xent::softmax_cross_entropy(logits, labels), exact.mean));
}

TEST_CASE("fifty digits: masks and empty means keep their meaning", "[multiprecision]") {
  Fifty const inf = std::numeric_limits<Fifty>::infinity();
  Rows<Fifty> logits = Rows<Fifty>::Constant(1, 3, Fifty(0));
  logits(0, 2) = -inf;
  Labels const label = Labels::Zero(1);
  auto const found = xent::softmax_cross_entropy_with_gradient(logits, label);
  CHECK(found.gradient(0, 2) == 0);
  CHECK(found.gradient(0, 0) == Fifty(-0.5));
  CHECK((boost::multiprecision::isnan)(xent::softmax_cross_entropy(logits, label, {.ignore_index = 0})));
}
