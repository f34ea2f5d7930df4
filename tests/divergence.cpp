// SPDX-License-Identifier: MIT
// entropy, cross_entropy, kl_divergence and binary_cross_entropy: functions on probabilities themselves.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/layouts.hpp"
#include "support/oracle.hpp"
#include "support/ulp.hpp"

#include <xent/divergence.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <tuple>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

template <class Scalar>
struct Pair {
  Rows<Scalar> targets;
  Rows<Scalar> probs;
};

template <class Scalar>
Pair<Scalar> random_pair(Random& random, Index rows, Index cols, double scale = 2) {
  return {distributions<Scalar>(random, rows, cols, scale, 0.2), distributions<Scalar>(random, rows, cols, scale)};
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the functions on distributions follow their formulas", "[divergence]", Reals32And64) {
  Random random;
  for (Index cols : {1, 2, 3, 17, 100})
    for (double scale : {0.01, 1.0, 10.0}) {
      INFO(cols << " classes, scale " << scale);
      auto const [targets, probs] = random_pair<TestType>(random, 6, cols, scale);
      oracle::Loss const entropy = oracle::entropy(grid(targets));
      CHECK(within(xent::entropy<Reduction::none>(targets), entropy.none));
      CHECK(within(xent::entropy<Reduction::sum>(targets), entropy.sum));
      CHECK(within(xent::entropy(targets), entropy.mean));
      oracle::Loss const cross = oracle::cross_entropy(grid(targets), grid(probs));
      CHECK(within(xent::cross_entropy<Reduction::none>(targets, probs), cross.none));
      CHECK(within(xent::cross_entropy<Reduction::sum>(targets, probs), cross.sum));
      CHECK(within(xent::cross_entropy(targets, probs), cross.mean));
      oracle::Loss const kl = oracle::kl_divergence(grid(targets), grid(probs));
      CHECK(within(xent::kl_divergence<Reduction::none>(targets, probs), kl.none));
      CHECK(within(xent::kl_divergence<Reduction::sum>(targets, probs), kl.sum));
      CHECK(within(xent::kl_divergence(targets, probs), kl.mean));
    }
}

TEMPLATE_LIST_TEST_CASE("binary cross-entropy follows its formula down to the smallest probabilities", "[divergence]",
                        Reals32And64) {
  Random random;
  Rows<TestType> targets = uniform_rows<TestType>(random, 8, 9, 0, 1);
  targets.topRows(4) = integer_rows<TestType>(random, 4, 9, 0, 1);
  Rows<TestType> probs = uniform_rows<TestType>(random, 8, 9, 0, 1);
  probs.row(1).setConstant(TestType(1e-20));
  probs.row(2).setConstant(1 - std::numeric_limits<TestType>::epsilon());
  probs.row(5).setConstant(std::numeric_limits<TestType>::denorm_min());
  oracle::Loss const exact = oracle::binary_cross_entropy(grid(targets), grid(probs));
  CHECK(within(xent::binary_cross_entropy<Reduction::none>(targets, probs), exact.none));
  CHECK(within(xent::binary_cross_entropy<Reduction::sum>(targets, probs), exact.sum));
  CHECK(within(xent::binary_cross_entropy(targets, probs), exact.mean));
}

TEMPLATE_LIST_TEST_CASE("KL is cross-entropy less entropy, and 0 for equal distributions", "[divergence]",
                        Reals32And64) {
  Random random;
  auto const [targets, probs] = random_pair<TestType>(random, 20, 9);
  Vector<TestType> const difference =
      xent::cross_entropy<Reduction::none>(targets, probs) - xent::entropy<Reduction::none>(targets);
  auto const kl = xent::kl_divergence<Reduction::none>(targets, probs);
  CHECK(((kl - difference).abs() <= 16 * std::numeric_limits<TestType>::epsilon()).all());
  CHECK((kl >= 0).all());
  CHECK(all_are(xent::kl_divergence<Reduction::none>(probs, probs), 0));
}

TEMPLATE_LIST_TEST_CASE("entropy is greatest for equal probabilities: log C", "[divergence]", Reals32And64) {
  for (Index cols : {1, 2, 8, 64}) {
    Rows<TestType> const equal = Rows<TestType>::Constant(1, cols, TestType(1) / static_cast<TestType>(cols));
    CHECK(within(xent::entropy(equal), Exact{std::log(static_cast<long double>(cols)), 0, 0}, 2));
  }
  Random random;
  CHECK((xent::entropy<Reduction::none>(distributions<TestType>(random, 50, 8)) < TestType(2.0794416)).all());
}

TEMPLATE_LIST_TEST_CASE("binary cross-entropy is cross-entropy of two classes", "[divergence]", Reals32And64) {
  Random random;
  Rows<TestType> const t = integer_rows<TestType>(random, 9, 1, 0, 64) / TestType(64);
  Rows<TestType> const p = integer_rows<TestType>(random, 9, 1, 1, 63) / TestType(64);
  Rows<TestType> targets(9, 2);
  Rows<TestType> probs(9, 2);
  targets << t, 1 - t;
  probs << p, 1 - p;
  CHECK(close(xent::binary_cross_entropy<Reduction::none>(t, p).col(0).eval(),
              xent::cross_entropy<Reduction::none>(targets, probs), 2));
}

TEMPLATE_LIST_TEST_CASE("a probability of 0: nothing without a target, +inf with one", "[divergence][edges]",
                        Reals32And64) {
  TestType const inf = infinity<TestType>();
  Rows<TestType> const targets =
      (Rows<TestType>(2, 3) << 0, TestType(0.5), TestType(0.5), TestType(0.25), TestType(0.75), 0).finished();
  Rows<TestType> const probs =
      (Rows<TestType>(2, 3) << 0, TestType(0.5), TestType(0.5), 0, TestType(0.5), TestType(0.5)).finished();
  auto const cross = xent::cross_entropy<Reduction::none>(targets, probs);
  CHECK(within(cross(0), Exact{0.693147180559945309417L, 0, 0}));
  CHECK(cross(1) == inf);
  auto const kl = xent::kl_divergence<Reduction::none>(targets, probs);
  CHECK(kl(0) == 0);
  CHECK(kl(1) == inf);
  CHECK(xent::cross_entropy(targets, probs) == inf);
  Rows<TestType> const sure = (Rows<TestType>(1, 3) << 0, 1, 0).finished();
  CHECK(xent::entropy(sure) == 0);
  Rows<TestType> const t = (Rows<TestType>(1, 4) << 0, 1, 0, 1).finished();
  Rows<TestType> const p = (Rows<TestType>(1, 4) << 0, 1, 1, 0).finished();
  auto const binary = xent::binary_cross_entropy<Reduction::none>(t, p);
  CHECK(binary(0) == 0);
  CHECK(binary(1) == 0);
  CHECK(binary(2) == inf);
  CHECK(binary(3) == inf);
}

TEMPLATE_LIST_TEST_CASE("distributions over no rows", "[divergence][edges]", Reals32And64) {
  Cols<TestType> const none(0, 3);
  CHECK(std::isnan(xent::entropy(none)));
  CHECK(xent::entropy<Reduction::sum>(none) == 0);
  CHECK(xent::entropy<Reduction::none>(none).size() == 0);
  CHECK(std::isnan(xent::kl_divergence(none, none)));
  CHECK(std::isnan(xent::cross_entropy(none, none)));
  CHECK(std::isnan(xent::binary_cross_entropy(none, none)));
  CHECK(xent::binary_cross_entropy<Reduction::sum>(Cols<TestType>(2, 0), Cols<TestType>(2, 0)) == 0);
}

TEMPLATE_LIST_TEST_CASE("distributions in several layouts, and as one sample", "[divergence]", Reals32And64) {
  Random random;
  Pair<TestType> const pair = random_pair<TestType>(random, 7, 9);
  Rows<TestType> const& targets = pair.targets;  // clang 14 captures no structured bindings
  Rows<TestType> const& probs = pair.probs;
  oracle::Loss const exact = oracle::cross_entropy(grid(targets), grid(probs));
  for_main_layouts(probs, [&](char const* layout, auto const& array) {
    INFO(layout);
    CHECK(within(xent::cross_entropy(targets, array), exact.mean));
  });
  Vector<TestType> const t = targets.row(0).transpose();
  Vector<TestType> const p = probs.row(0).transpose();
  CHECK(within(xent::cross_entropy(t, p), exact.none[0]));
  CHECK(within(xent::entropy(t), oracle::entropy(grid(targets.row(0))).mean));
  CHECK(within(xent::kl_divergence(t, p), oracle::kl_divergence(grid(targets), grid(probs)).none[0]));
}

TEST_CASE("what is no distribution is refused, and logits get a hint", "[divergence][errors]") {
  Eigen::ArrayXXf const good = Eigen::ArrayXXf::Constant(2, 2, 0.5F);
  Eigen::ArrayXXf bad = good;
  auto all_refuse = [&](std::initializer_list<char const*> words) {
    CHECK(refuses<std::invalid_argument>([&] { xent::entropy(bad); }, words));
    CHECK(refuses<std::invalid_argument>([&] { xent::cross_entropy(good, bad); }, words));
    CHECK(refuses<std::invalid_argument>([&] { xent::kl_divergence(good, bad); }, words));
  };
  bad(1, 0) = 0.6F;
  all_refuse({"probs", "1.1", "sum"});
  bad(1, 0) = -0.5F;
  bad(1, 1) = 1.5F;
  all_refuse({"probs", "-0.5", "softmax_cross_entropy"});
  CHECK(refuses<std::invalid_argument>([&] { xent::binary_cross_entropy(good, bad); },
                                       {"xent::binary_cross_entropy: ", "probs", "[0, 1]"}));
  bad(1, 0) = std::numeric_limits<float>::quiet_NaN();
  all_refuse({"probs"});
  CHECK(refuses<std::invalid_argument>([&] { xent::binary_cross_entropy(good, bad); }, {"probs"}));
  CHECK(refuses<std::invalid_argument>([&] { xent::cross_entropy(bad, good); }, {"xent::cross_entropy: ", "targets"}));
  CHECK(refuses<std::invalid_argument>([&] { xent::kl_divergence(bad, good); }, {"xent::kl_divergence: ", "targets"}));
  CHECK(refuses<std::invalid_argument>([&] { xent::binary_cross_entropy(bad, good); }, {"targets"}));
  bad = good;
  bad(0, 0) = 0.5009F;  // within 1e-3
  CHECK_NOTHROW(xent::entropy(bad));
  bad(0, 0) = 0.502F;
  all_refuse({"probs"});
  CHECK(refuses<std::invalid_argument>(
      [&] { xent::cross_entropy(good, Eigen::ArrayXXf(Eigen::ArrayXXf::Constant(3, 2, 0.5F))); }, {"probs", "3", "2"}));
  CHECK(refuses<std::invalid_argument>([&] { xent::entropy(Eigen::ArrayXXf(2, 0)); }, {"xent::entropy: ", "probs"}));
}
