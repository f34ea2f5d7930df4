// SPDX-License-Identifier: MIT
// Fifty digits go through the same templates: the library against the definitions, with so many digits that none counts.
#include "support/generators.hpp"

#include <xent/log_softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/eigen.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace support;
using xent::Reduction;

namespace {

namespace mp = boost::multiprecision;
using Fifty = mp::cpp_bin_float_50;
using Defined = mp::number<mp::cpp_bin_float<150>, mp::et_off>;

bool agrees(Fifty const& found, Defined const& expected) {
  return !(abs(Defined(Defined(found) - expected)) > Defined("1e-48") * abs(expected));
}

}  // namespace

TEST_CASE("fifty digits: loss, gradient and log_softmax agree with their definitions to 48", "[multiprecision]") {
  Random random;
  Rows<double> values = normal_rows<double>(random, 6, 7, 5);
  values(2, 3) = 200;  // a loss of 1e-85, gone long before in any sum with 1
  Labels labels = random_labels(random, 6, 7);
  labels(2) = 3;
  Rows<Fifty> const logits = values.cast<Fifty>();
  auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
  auto const log_probs = xent::log_softmax(logits);
  Defined losses = 0;
  for (Index i = 0; i < 6; ++i) {
    Rows<Defined> const exps = values.row(i).cast<Defined>().exp();
    Rows<Defined> const probs = exps / exps.sum();
    Defined const loss = -log(probs(0, labels(i)));
    losses += loss;
    CHECK(agrees(found.loss(i), loss));
    for (Index k = 0; k < 7; ++k) {
      CHECK(agrees(found.gradient(i, k), Defined(probs(0, k) - (k == labels(i) ? 1 : 0))));
      CHECK(agrees(log_probs(i, k), log(probs(0, k))));
    }
  }
  CHECK(agrees(xent::softmax_cross_entropy(logits, labels), Defined(losses / 6)));
}

TEST_CASE("fifty digits: masks and empty means keep their meaning", "[multiprecision]") {
  Fifty const inf = std::numeric_limits<Fifty>::infinity();
  Rows<Fifty> logits = Rows<Fifty>::Constant(1, 3, Fifty(0));
  logits(0, 2) = -inf;
  Labels const label = Labels::Zero(1);
  auto const found = xent::softmax_cross_entropy_with_gradient(logits, label);
  CHECK(found.gradient(0, 2) == 0);
  CHECK(found.gradient(0, 0) == Fifty(-0.5));
  CHECK((mp::isnan)(xent::softmax_cross_entropy(logits, label, {.ignore_index = 0})));
}
