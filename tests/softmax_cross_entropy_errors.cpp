// SPDX-License-Identifier: MIT
// softmax_cross_entropy's refusals: type and text, before anything is written.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/ulp.hpp"

#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>
#include <optional>
#include <string>

using namespace support;
using FloatOptions = xent::SoftmaxCrossEntropyOptions<float>;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

struct Batch {
  Eigen::ArrayXXf logits = Eigen::ArrayXXf::Zero(4, 3);
  Eigen::VectorXi labels = Eigen::VectorXi::Zero(4);
  Eigen::ArrayXXf targets = Eigen::ArrayXXf::Constant(4, 3, 1.0F / 3);
};

/// Loss and loss with gradient refuse alike, and a gradient of another size is neither resized nor written.
template <class Exception, class Target>
void check_refused(Eigen::ArrayXXf const& logits, Target const& target, FloatOptions const& options,
                   std::initializer_list<char const*> words) {
  CHECK(refuses<Exception>([&] { xent::softmax_cross_entropy(logits, target, options); }, words));
  CHECK(refuses<Exception>([&] { xent::softmax_cross_entropy(logits, target, options); },
                           {"xent::softmax_cross_entropy: "}));
  Eigen::ArrayXXf gradient = Eigen::ArrayXXf::Constant(2, 5, 7);
  CHECK(
      refuses<Exception>([&] { xent::softmax_cross_entropy_with_gradient(logits, target, gradient, options); }, words));
  CHECK(gradient.rows() == 2);
  CHECK(gradient.cols() == 5);
  CHECK(all_are(gradient, 7));
  CHECK(refuses<Exception>([&] { xent::softmax_cross_entropy_with_gradient(logits, target, options); },
                           {"xent::softmax_cross_entropy_with_gradient: "}));
  Eigen::ArrayXXf in_place = logits;
  CHECK(refuses<Exception>([&] { xent::softmax_cross_entropy_with_gradient(in_place, target, in_place, options); },
                           words));
  CHECK(identical(in_place, logits));
}

}  // namespace

TEST_CASE("a label outside the classes: the first is named, all are counted", "[errors]") {
  Eigen::ArrayXXf const logits = Eigen::ArrayXXf::Zero(60, 10);
  Eigen::VectorXi labels = Eigen::VectorXi::Zero(60);
  labels(42) = 17;
  labels(50) = -1;
  labels(59) = 10;
  CHECK(refuses<std::out_of_range>(
      [&] { xent::softmax_cross_entropy(logits, labels); },
      {"xent::softmax_cross_entropy: labels[42] is 17, outside [0, 10); 3 labels are out of range"}));
  check_refused<std::out_of_range>(logits, labels, {}, {"labels[42] is 17", "[0, 10)", "3 labels are out of range"});
  check_refused<std::out_of_range>(logits, labels, {.ignore_index = 17}, {"labels[50] is -1", "2 labels are"});
}

TEST_CASE("a single bad label of a single sample", "[errors]") {
  Eigen::VectorXf const logits = Eigen::VectorXf::Zero(3);
  CHECK(refuses<std::out_of_range>([&] { xent::softmax_cross_entropy(logits, 3); },
                                   {"xent::softmax_cross_entropy: ", "3", "[0, 3)"}));
  CHECK(refuses<std::out_of_range>([&] { xent::softmax_cross_entropy(logits, -1); }, {"-1", "[0, 3)"}));
}

TEST_CASE("numbers of rows that differ: both are named", "[errors]") {
  Batch const batch;
  check_refused<std::invalid_argument>(batch.logits, Eigen::VectorXi(Eigen::VectorXi::Zero(5)), {},
                                       {"labels", "5", "4", "logits"});
  check_refused<std::invalid_argument>(batch.logits, Eigen::ArrayXXf(Eigen::ArrayXXf::Zero(5, 3)), {},
                                       {"targets", "5", "4", "logits"});
  check_refused<std::invalid_argument>(batch.logits, Eigen::ArrayXXf(Eigen::ArrayXXf::Zero(4, 2)), {},
                                       {"targets", "2", "3"});
}

TEST_CASE("no classes at all", "[errors]") {
  check_refused<std::invalid_argument>(Eigen::ArrayXXf(4, 0), Eigen::VectorXi(Eigen::VectorXi::Zero(4)), {},
                                       {"logits"});
  check_refused<std::invalid_argument>(Eigen::ArrayXXf(0, 0), Eigen::VectorXi(0), {}, {"logits"});
  check_refused<std::invalid_argument>(Eigen::ArrayXXf(4, 0), Eigen::ArrayXXf(4, 0), {}, {"logits"});
}

TEST_CASE("smoothing outside [0, 1]", "[errors]") {
  Batch const batch;
  for (float smoothing : {-0.1F, 1.01F, inf, not_a_number}) {
    check_refused<std::invalid_argument>(batch.logits, batch.labels, {.label_smoothing = smoothing},
                                         {"label_smoothing", "[0, 1]"});
    check_refused<std::invalid_argument>(batch.logits, batch.targets, {.label_smoothing = smoothing},
                                         {"label_smoothing"});
  }
  CHECK(refuses<std::invalid_argument>(
      [&] { xent::softmax_cross_entropy(batch.logits, batch.labels, {.label_smoothing = 1.5F}); }, {"1.5"}));
}

TEST_CASE("class weights of a wrong length, negative, not finite", "[errors]") {
  Batch const batch;
  check_refused<std::invalid_argument>(batch.logits, batch.labels,
                                       {.class_weights = Eigen::ArrayXf(Eigen::ArrayXf::Ones(2))},
                                       {"class_weights", "2", "3"});
  for (float bad : {-1.0F, inf, -inf, not_a_number}) {
    Eigen::Array3f const weights(1, bad, 1);
    check_refused<std::invalid_argument>(batch.logits, batch.labels, {.class_weights = weights}, {"class_weights[1]"});
    check_refused<std::invalid_argument>(batch.logits, batch.targets, {.class_weights = weights}, {"class_weights[1]"});
  }
}

TEST_CASE("sample weights of a wrong length or not finite; negative ones pass", "[errors]") {
  Batch const batch;
  check_refused<std::invalid_argument>(batch.logits, batch.labels,
                                       {.sample_weights = Eigen::ArrayXf(Eigen::ArrayXf::Ones(3))},
                                       {"sample_weights", "3", "4"});
  for (float bad : {inf, -inf, not_a_number}) {
    Eigen::Array4f const weights(1, 1, bad, 1);
    check_refused<std::invalid_argument>(batch.logits, batch.labels, {.sample_weights = weights},
                                         {"sample_weights[2]"});
    check_refused<std::invalid_argument>(batch.logits, batch.targets, {.sample_weights = weights},
                                         {"sample_weights[2]"});
  }
  CHECK_NOTHROW(
      xent::softmax_cross_entropy(batch.logits, batch.labels, {.sample_weights = Eigen::Array4f(-1, 1, 1, 1)}));
}

TEMPLATE_TEST_CASE("the first of many bad weights is named, wherever it stands", "[errors]", float, double) {
  using Weights = Eigen::Array<TestType, Eigen::Dynamic, 1>;
  constexpr TestType largest = std::numeric_limits<TestType>::max();
  constexpr TestType least = std::numeric_limits<TestType>::denorm_min();
  Eigen::Index const size = 37;  // two blocks of 16, and some
  Weights good = Weights::Ones(size);
  good(2) = good(33) = largest;
  good(3) = good(34) = least;
  good(5) = good(35) = TestType(-0.0);
  Eigen::Array<TestType, Eigen::Dynamic, Eigen::Dynamic> const square = good.matrix().asDiagonal().toDenseMatrix();
  Eigen::VectorXi const labels = Eigen::VectorXi::Zero(size);
  CHECK_NOTHROW(xent::softmax_cross_entropy(square, labels, {.class_weights = good, .sample_weights = good}));
  constexpr TestType infinite = std::numeric_limits<TestType>::infinity();
  for (TestType bad : {-least, -largest, infinite, -infinite, std::numeric_limits<TestType>::quiet_NaN()}) {
    bool const finite = std::abs(bad) <= largest;
    for (Eigen::Index i = 0; i < size; ++i) {
      Weights weights = good;
      weights(i) = bad;
      if (i < 12) weights(i + 16) = bad;
      std::string const named = "_weights[" + std::to_string(i) + "]";
      INFO(bad << " at " << i);
      CHECK(refuses<std::invalid_argument>(
          [&] { xent::softmax_cross_entropy(square, labels, {.class_weights = weights}); }, {named.c_str()}));
      auto const by_sample = [&] { xent::softmax_cross_entropy(square, labels, {.sample_weights = weights}); };
      if (finite) {
        CHECK_NOTHROW(by_sample());
      } else {
        CHECK(refuses<std::invalid_argument>(by_sample, {named.c_str()}));
      }
    }
  }
}

TEST_CASE("z_loss negative or not finite", "[errors]") {
  Batch const batch;
  for (float bad : {-1e-4F, inf, not_a_number})
    check_refused<std::invalid_argument>(batch.logits, batch.labels, {.z_loss = bad}, {"z_loss"});
}

TEST_CASE("a gradient that has a wrong shape and cannot be resized", "[errors]") {
  Batch const batch;
  Eigen::Array<float, 3, 3> fixed = Eigen::Array<float, 3, 3>::Constant(7);
  CHECK(refuses<std::invalid_argument>(
      [&] { xent::softmax_cross_entropy_with_gradient(batch.logits, batch.labels, fixed); },
      {"xent::softmax_cross_entropy_with_gradient: ", "gradient", "3 x 3", "4 x 3"}));
  CHECK(all_are(fixed, 7));
  Eigen::ArrayXXf frame = Eigen::ArrayXXf::Constant(6, 6, 7);
  CHECK(refuses<std::invalid_argument>(
      [&] { xent::softmax_cross_entropy_with_gradient(batch.logits, batch.labels, frame.block(0, 0, 4, 4)); },
      {"gradient"}));
  Eigen::Map<Eigen::ArrayXXf> map(frame.data(), 5, 3);
  CHECK(refuses<std::invalid_argument>(
      [&] { xent::softmax_cross_entropy_with_gradient(batch.logits, batch.targets, map); }, {"gradient"}));
  CHECK(all_are(frame, 7));
}
