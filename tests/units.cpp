// SPDX-License-Identifier: MIT
// to_bits and perplexity: a loss in nats, in other units.
#include "support/oracle.hpp"
#include "support/ulp.hpp"

#include <xent/units.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>
#include <tuple>

using namespace support;
using Reals32And64 = std::tuple<float, double>;

TEMPLATE_LIST_TEST_CASE("to_bits divides by log 2", "[units]", Reals32And64) {
  for (double nats : {0.0, 1e-30, 0.3, 1.0, 7.25, 1e6}) {
    TestType const value = static_cast<TestType>(nats);
    Exact const bits{static_cast<long double>(value) * 1.442695040888963407359924681L, 0, 0};
    CHECK(within(xent::to_bits(value), bits, 2));
  }
  CHECK(xent::to_bits(std::numeric_limits<TestType>::infinity()) == std::numeric_limits<TestType>::infinity());
}

TEMPLATE_LIST_TEST_CASE("perplexity is the exponential", "[units]", Reals32And64) {
  for (double nats : {0.0, 1e-30, 0.3, 1.0, 7.25, 80.0}) {
    TestType const value = static_cast<TestType>(nats);
    CHECK(within(xent::perplexity(value), oracle::exp(static_cast<long double>(value)), 2));
  }
  CHECK(xent::perplexity(std::numeric_limits<TestType>::infinity()) == std::numeric_limits<TestType>::infinity());
  CHECK(std::isnan(xent::perplexity(std::numeric_limits<TestType>::quiet_NaN())));
}

TEMPLATE_LIST_TEST_CASE("a uniform guess among C classes has log2 C bits and perplexity C", "[units]", Reals32And64) {
  TestType const log8 = std::log(TestType(8));
  CHECK(close(xent::to_bits(log8), TestType(3), 2));
  CHECK(close(xent::perplexity(log8), TestType(8), 8));
}
