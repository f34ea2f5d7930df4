// SPDX-License-Identifier: MIT
// Labels: any integral type, compared as the numbers they are, never wrapped or cut.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/ulp.hpp"

#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using namespace support;

TEMPLATE_TEST_CASE("labels of every integral type mean the same", "[labels]", std::int8_t, std::uint8_t, std::int16_t,
                   std::uint16_t, std::int32_t, std::uint32_t, std::int64_t, std::uint64_t, char) {
  Random random;
  Rows<float> const logits = normal_rows<float>(random, 12, 9, 2);
  Labels const labels = random_labels(random, 12, 9);
  float const expected = xent::softmax_cross_entropy(logits, labels);
  Vector<TestType> const typed = labels.cast<TestType>();
  CHECK(identical(xent::softmax_cross_entropy(logits, typed), expected));
  Eigen::Matrix<TestType, 1, Eigen::Dynamic> const row = typed.matrix().transpose();
  CHECK(identical(xent::softmax_cross_entropy(logits, row), expected));
  CHECK(identical(xent::softmax_cross_entropy(logits, typed.reverse().reverse()), expected));
}

TEMPLATE_TEST_CASE("absent rows may stand anywhere, whatever the type of the labels", "[labels]", std::int32_t,
                   std::int64_t) {
  Random random;
  for (Index rows : {1, 7, 8, 37, 300})
    for (Index cols : {2, 9, 300}) {
      INFO(rows << " x " << cols);
      Rows<float> const logits = normal_rows<float>(random, rows, cols, 2);
      Vector<float> const weights =
          Vector<float>::NullaryExpr(rows, [&] { return float(random.integer(0, 3)) * 0.75f; });
      Vector<TestType> const labels =
          Vector<TestType>::NullaryExpr(rows, [&] { return TestType(random.integer(0, 1)); });
      Vector<std::int16_t> const narrow = labels.template cast<std::int16_t>();
      xent::SoftmaxCrossEntropyOptions<float> const options{.ignore_index = 1, .sample_weights = weights};
      auto const found = xent::softmax_cross_entropy_with_gradient<xent::Reduction::none>(logits, labels, options);
      auto const expected = xent::softmax_cross_entropy_with_gradient<xent::Reduction::none>(logits, narrow, options);
      CHECK(identical(found.loss, expected.loss));
      CHECK(identical(found.gradient, expected.gradient));
      CHECK(identical(xent::softmax_cross_entropy(logits, labels, options),
                      xent::softmax_cross_entropy(logits, narrow, options)));
      for (Index i = 0; i < rows; ++i) CHECK((found.loss(i) == 0) == (labels(i) == 1 || weights(i) == 0));
    }
}

TEMPLATE_TEST_CASE("a label outside the classes is found wherever it stands, whatever its type", "[labels]",
                   std::int16_t, std::int32_t, std::int64_t) {
  using Limits = std::numeric_limits<TestType>;
  Random random;
  Rows<float> const logits = normal_rows<float>(random, 21, 4, 2);
  for (TestType const bad : {TestType(-1), TestType(4), Limits::min(), Limits::max()}) {
    for (Index i = 0; i < logits.rows(); ++i) {
      Vector<TestType> labels = Vector<TestType>::Constant(logits.rows(), 3);
      labels(i) = bad;
      auto const name = "labels[" + std::to_string(i) + "] is " + std::to_string(bad);
      CHECK(refuses<std::out_of_range>([&] { xent::softmax_cross_entropy(logits, labels); },
                                       {name.c_str(), "1 label is"}));
      CHECK(std::isfinite(xent::softmax_cross_entropy(logits, labels, {.ignore_index = bad})));
      labels((i + 5) % labels.size()) = TestType(5);
      CHECK(refuses<std::out_of_range>([&] { xent::softmax_cross_entropy(logits, labels, {.ignore_index = bad}); },
                                       {"is 5", "1 label is"}));
    }
  }
}

TEMPLATE_TEST_CASE("a label outside the classes is found in rows and columns of any number of classes", "[labels]",
                   std::int16_t, std::int32_t, std::int64_t) {
  using Limits = std::numeric_limits<TestType>;
  Random random;
  for (Index cols : {1, 2, 10, 256, 300}) {
    for (Index rows : {3, 16, 40, 2100}) {
      Rows<float> const logits = normal_rows<float>(random, rows, cols, 2);
      std::vector<TestType> all_bad{-1, TestType(cols), Limits::min(), Limits::max()};
      if (sizeof(TestType) == 8) all_bad.push_back(TestType(1) << 32U);
      if (sizeof(TestType) == 8) all_bad.push_back(TestType(1) << 31U);
      for (TestType const bad : all_bad) {
        Vector<TestType> labels = random_labels(random, rows, cols).template cast<TestType>();
        Index const at = random.integer(0, rows - 1);
        labels(at) = bad;
        auto const name = "labels[" + std::to_string(at) + "] is " + std::to_string(bad);
        CHECK(refuses<std::out_of_range>([&] { xent::softmax_cross_entropy(logits, labels); },
                                         {name.c_str(), "1 label is"}));
        CHECK(refuses<std::out_of_range>(
            [&] { xent::softmax_cross_entropy<xent::Reduction::sum>(Cols<float>(logits), labels); },
            {name.c_str(), "1 label is"}));
        Index const ignored = cols == 1 ? -100 : 0;
        CHECK(refuses<std::out_of_range>(
            [&] { xent::softmax_cross_entropy(Cols<float>(logits), labels, {.ignore_index = ignored}); },
            {name.c_str(), "1 label is"}));
        using Options = xent::SoftmaxCrossEntropyOptions<float>;
        for (Options const& options :
             {Options{.sample_weights = Vector<float>(Vector<float>::Zero(rows))},
              Options{.class_weights = Vector<float>(Vector<float>::Zero(cols))}, Options{.label_smoothing = 0.1f},
              Options{.label_smoothing = 1}, Options{.z_loss = 0.1f}, Options{.label_smoothing = 0.1f, .z_loss = 0.1f},
              Options{.ignore_index = ignored, .label_smoothing = 0.1f},
              Options{.ignore_index = ignored, .z_loss = 0.1f}})
          CHECK(refuses<std::out_of_range>([&] { xent::softmax_cross_entropy(logits, labels, options); },
                                           {name.c_str(), "1 label is"}));
      }
    }
  }
}

TEST_CASE("a NaN among the logits is no label outside the classes", "[labels]") {
  Random random;
  Rows<float> logits = normal_rows<float>(random, 50, 7, 2);
  Labels const labels = random_labels(random, 50, 7);
  logits(33, 2) = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(xent::softmax_cross_entropy(logits, labels)));
  CHECK(std::isnan(xent::softmax_cross_entropy(Cols<float>(logits), labels)));
}

TEST_CASE("bool labels name two classes", "[labels]") {
  Eigen::ArrayXXf const logits = Eigen::ArrayXXf::Random(4, 2);
  Eigen::Array<bool, 4, 1> const labels(true, false, false, true);
  CHECK(identical(xent::softmax_cross_entropy(logits, labels),
                  xent::softmax_cross_entropy(logits, Eigen::Array4i(1, 0, 0, 1))));
}

TEST_CASE("narrow labels never reach the classes beyond their type, and never wrap into them", "[labels]") {
  Eigen::ArrayXXf const logits = Eigen::ArrayXXf::Random(2, 300);
  Eigen::Array<std::uint8_t, 2, 1> const top(255, 0);
  CHECK(
      identical(xent::softmax_cross_entropy(logits, top), xent::softmax_cross_entropy(logits, Eigen::Array2i(255, 0))));
  Eigen::Array<std::int8_t, 2, 1> const negative(-1, 0);
  CHECK(refuses<std::out_of_range>([&] { xent::softmax_cross_entropy(logits, negative); }, {"labels[0] is -1"}));
}

TEST_CASE("unsigned labels and a negative ignore_index never meet", "[labels]") {
  Eigen::ArrayXXf const logits = Eigen::ArrayXXf::Random(3, 4);
  Eigen::Array<std::uint64_t, 3, 1> labels(1, 2, 3);
  CHECK(identical(xent::softmax_cross_entropy(logits, labels, {.ignore_index = -100}),
                  xent::softmax_cross_entropy(logits, labels)));
  labels(1) = static_cast<std::uint64_t>(-100);  // the bits of -100, and yet another number
  CHECK(refuses<std::out_of_range>([&] { xent::softmax_cross_entropy(logits, labels, {.ignore_index = -100}); },
                                   {"labels[1] is 18446744073709551516", "[0, 4)"}));
  labels(1) = std::numeric_limits<std::uint64_t>::max();  // the bits of -1
  CHECK(refuses<std::out_of_range>([&] { xent::softmax_cross_entropy(logits, labels, {.ignore_index = -1}); },
                                   {"labels[1] is 18446744073709551615"}));
  Eigen::Array<std::uint8_t, 3, 1> const bytes(1, 156, 3);  // 156 = -100 in eight bits
  CHECK(refuses<std::out_of_range>([&] { xent::softmax_cross_entropy(logits, bytes, {.ignore_index = -100}); },
                                   {"labels[1] is 156"}));
}

TEST_CASE("a label beyond 32 bits is refused, not cut", "[labels]") {
  Eigen::ArrayXXf const logits = Eigen::ArrayXXf::Random(2, 4);
  Eigen::Array<std::int64_t, 2, 1> const labels((std::int64_t{1} << 40) + 1, 0);
  CHECK(
      refuses<std::out_of_range>([&] { xent::softmax_cross_entropy(logits, labels); }, {"labels[0] is 1099511627777"}));
  Eigen::Array<std::uint64_t, 2, 1> const huge(0, std::numeric_limits<std::uint64_t>::max());
  CHECK(refuses<std::out_of_range>([&] { xent::softmax_cross_entropy(logits, huge); },
                                   {"labels[1] is 18446744073709551615", "[0, 4)"}));
}

TEST_CASE("labels may be an expression that is stored nowhere", "[labels]") {
  Eigen::ArrayXXf const logits = Eigen::ArrayXXf::Random(5, 5);
  CHECK(identical(xent::softmax_cross_entropy(logits, Eigen::VectorXi::Zero(5)),
                  xent::softmax_cross_entropy(logits, Eigen::VectorXi(Eigen::VectorXi::Zero(5)))));
  CHECK(identical(xent::softmax_cross_entropy(logits, Eigen::ArrayXi::LinSpaced(5, 0, 4)),
                  xent::softmax_cross_entropy(logits, Eigen::Array<int, 5, 1>(0, 1, 2, 3, 4))));
  Eigen::Array<int, 5, 1> const labels(0, 1, 2, 3, 4);
  CHECK(identical(xent::softmax_cross_entropy(logits, 4 - (4 - labels)), xent::softmax_cross_entropy(logits, labels)));
  CHECK(xent::softmax_cross_entropy(Eigen::VectorXf::Zero(1), 0) == 0);
  CHECK(xent::softmax_cross_entropy(Eigen::ArrayXXf::Zero(2, 1), Eigen::ArrayXXf::Ones(2, 1)) == 0);
}
