// SPDX-License-Identifier: MIT
// softmax_cross_entropy in every layout of logits and gradient.
#include "support/generators.hpp"
#include "support/layouts.hpp"
#include "support/oracle.hpp"
#include "support/ulp.hpp"

#include <xent/logsumexp.hpp>
#include <xent/softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <Eigen/Dense>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <tuple>
#include <vector>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

TEMPLATE_LIST_TEST_CASE("loss and gradient are the same in every layout", "[layouts]", Reals32And64) {
  Random random;
  for (Index cols : {5, 31, 270}) {
    Rows<TestType> const values = integer_rows<TestType>(random, 17, cols, -30, 30);
    Labels const labels = random_labels(random, 17, cols);
    oracle::Loss const exact = oracle::softmax_cross_entropy(grid(values), indices(labels));
    for_each_layout(values, [&](char const* layout, auto const& logits) {
      INFO(layout << " of " << cols << " classes");
      auto const [loss, gradient] = xent::softmax_cross_entropy_with_gradient(logits, labels);
      CHECK(within(loss, exact.mean));
      CHECK(within(gradient, exact.mean_gradient));
    });
  }
}

TEMPLATE_LIST_TEST_CASE("the gradient goes into blocks, maps and the other storage order", "[layouts]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = integer_rows<TestType>(random, 9, 14, -20, 20);
  Labels const labels = random_labels(random, 9, 14);
  Exacts const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels)).mean_gradient;
  TestType const untouched = 77;

  Cols<TestType> columns;
  xent::softmax_cross_entropy_with_gradient(logits, labels, columns);
  CHECK(within(columns, exact));

  Cols<TestType> frame = Cols<TestType>::Constant(12, 17, untouched);
  xent::softmax_cross_entropy_with_gradient(logits, labels, frame.block(2, 1, 9, 14));
  CHECK(within(frame.block(2, 1, 9, 14), exact));
  CHECK(all_are(frame.topRows(2), untouched));
  CHECK(all_are(frame.bottomRows(1), untouched));
  CHECK(all_are(frame.leftCols(1), untouched));
  CHECK(all_are(frame.rightCols(2), untouched));

  std::vector<TestType> memory(2 * 9 * 14 + 5, untouched);
  using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  Eigen::Map<Rows<TestType>, 0, Strides> strided(memory.data() + 1, 9, 14, Strides(28, 2));
  xent::softmax_cross_entropy_with_gradient(logits, labels, strided);
  CHECK(within(strided, exact));
  for (std::size_t j = 0; j < memory.size(); j += 2) CHECK(memory[j] == untouched);

  Cols<TestType> classes_in_rows(14, 9);
  auto transposed = classes_in_rows.transpose();
  xent::softmax_cross_entropy_with_gradient(logits, labels, transposed);
  CHECK(within(classes_in_rows.transpose(), exact));

  Eigen::Matrix<TestType, 9, 14> fixed;
  xent::softmax_cross_entropy_with_gradient(logits, labels, fixed);
  CHECK(within(fixed, exact));
  Eigen::Ref<Cols<TestType>> reference = columns;
  columns.setZero();
  xent::softmax_cross_entropy_with_gradient(logits, labels, reference);
  CHECK(within(columns, exact));
}

TEST_CASE("a layer's output goes in as the expression it is", "[layouts]") {
  Random random;
  Eigen::MatrixXd const x = integer_rows<double>(random, 10, 4, -3, 3).matrix();
  Eigen::MatrixXd const w = integer_rows<double>(random, 4, 6, -3, 3).matrix();
  Eigen::RowVectorXd const b = integer_rows<double>(random, 1, 6, -3, 3).matrix();
  Labels const labels = random_labels(random, 10, 6);
  Eigen::MatrixXd const logits = (x * w).rowwise() + b;  // integers: exact, in whatever order
  auto const expected = xent::softmax_cross_entropy_with_gradient(logits, labels);
  auto const found = xent::softmax_cross_entropy_with_gradient((x * w).rowwise() + b, labels);
  CHECK(close(found.loss, expected.loss, 1));
  CHECK(close(found.gradient, expected.gradient, 4));
  CHECK(within(xent::softmax_cross_entropy(x * w, labels),
               oracle::softmax_cross_entropy(grid((x * w).eval()), indices(labels)).mean));
}

TEMPLATE_LIST_TEST_CASE("sizes known at compile time", "[layouts]", Reals32And64) {
  Random random;
  Rows<TestType> const values = normal_rows<TestType>(random, 5, 7, 2);
  Labels const labels = random_labels(random, 5, 7);
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(values), indices(labels));
  Eigen::Matrix<TestType, 5, 7> const fixed = values.matrix();
  Eigen::Array<TestType, Eigen::Dynamic, 7> const classes_fixed = values;
  Eigen::Array<TestType, 5, Eigen::Dynamic> const rows_fixed = values;
  Eigen::Array<int, 5, 1> const fixed_labels = labels.cast<int>();
  CHECK(within(xent::softmax_cross_entropy(fixed, fixed_labels), exact.mean));
  CHECK(within(xent::softmax_cross_entropy_with_gradient(fixed, fixed_labels).gradient, exact.mean_gradient));
  CHECK(within(xent::softmax_cross_entropy_with_gradient(classes_fixed, labels).gradient, exact.mean_gradient));
  CHECK(within(xent::softmax_cross_entropy_with_gradient(rows_fixed, labels).gradient, exact.mean_gradient));
}

TEST_CASE("a product among the logits or the targets is computed once, however many rows it has", "[layouts]") {
  Index const rows = 1500;
  Index reads = 0;
  auto const counted = Eigen::MatrixXf::NullaryExpr(rows, 2, [&reads](Index i, Index k) {
    ++reads;
    return float(i % 7) - float(k);
  });
  Eigen::MatrixXf const weights = Eigen::MatrixXf::Constant(2, 3, 0.25f);
  Eigen::MatrixXf const product = counted * weights;
  Index const reads_of_one_product = reads;
  Eigen::VectorXi const labels = Eigen::VectorXi::Zero(rows);
  auto const reads_of = [&](auto const& call) {
    reads = 0;
    call();
    return reads;
  };
  CHECK(reads_of([&] { xent::softmax_cross_entropy(counted * weights, labels); }) == reads_of_one_product);
  CHECK(reads_of([&] { xent::softmax_cross_entropy(counted * weights, labels, {.label_smoothing = 0.1f}); }) ==
        reads_of_one_product);
  CHECK(reads_of([&] { xent::softmax_cross_entropy(product, counted * weights); }) == reads_of_one_product);
  CHECK(reads_of([&] { xent::softmax(counted * weights); }) == reads_of_one_product);
  CHECK(reads_of([&] { xent::logsumexp(counted * weights); }) == reads_of_one_product);
}
