// SPDX-License-Identifier: MIT
// Autodiff scalars go through the same templates: their derivatives are the analytic gradient, at ties and at the
// maximum too, and those of the gradient are the Hessian.
#include "support/exact.hpp"

#include <xent/focal_loss.hpp>
#include <xent/log_softmax.hpp>
#include <xent/logsumexp.hpp>
#include <xent/sigmoid_cross_entropy.hpp>
#include <xent/softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <unsupported/Eigen/AutoDiff>

#include <cmath>
#include <tuple>

#if __has_include(<ceres/jet.h>)
#include <ceres/jet.h>
#define XENT_TEST_CERES 1
#endif

using namespace support;
using xent::Reduction;

namespace {

constexpr int rows = 3;
constexpr int cols = 4;
constexpr int inputs = rows * cols;

// One way to speak of both kinds of scalar: a variable, its value, its derivatives.
using AutoDiff = Eigen::AutoDiffScalar<Eigen::Matrix<double, inputs, 1>>;
double value(AutoDiff const& x) { return x.value(); }
double derivative(AutoDiff const& x, Index j) { return x.derivatives()(j); }
AutoDiff variable(double x, int j, AutoDiff const*) { return AutoDiff(x, inputs, j); }
AutoDiff constant(double x, AutoDiff const*) { return AutoDiff(x, Eigen::Matrix<double, inputs, 1>::Zero()); }

#ifdef XENT_TEST_CERES
using Jet = ceres::Jet<double, inputs>;
double value(Jet const& x) { return x.a; }
double derivative(Jet const& x, Index j) { return x.v(j); }
Jet variable(double x, int j, Jet const*) { return Jet(x, j); }
Jet constant(double x, Jet const*) { return Jet(x); }
using Scalars = std::tuple<AutoDiff, Jet>;
#else
using Scalars = std::tuple<AutoDiff>;
#endif

using Values = Eigen::Array<double, rows, cols, Eigen::RowMajor>;

template <class Scalar>
using Variables = Eigen::Array<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class Scalar>
Variables<Scalar> variables(Values const& values) {
  Variables<Scalar> result(rows, cols);
  for (int j = 0; j < inputs; ++j)
    result(j / cols, j % cols) = variable(values(j / cols, j % cols), j, static_cast<Scalar const*>(nullptr));
  return result;
}

template <class Scalar>
Variables<Scalar> constants(Values const& values) {
  Variables<Scalar> result(rows, cols);
  for (int j = 0; j < inputs; ++j)
    result(j / cols, j % cols) = constant(values(j / cols, j % cols), static_cast<Scalar const*>(nullptr));
  return result;
}

bool near(double a, double b) { return std::abs(a - b) <= 1e-13 * std::max(1.0, std::abs(b)); }

template <class Scalar>
void check_derivatives(Scalar const& found, double expected, Values const& gradient) {
  CHECK(near(value(found), expected));
  for (int j = 0; j < inputs; ++j) {
    INFO("derivative by entry (" << j / cols << ", " << j % cols << "): " << derivative(found, j) << ", expected "
                                 << gradient(j / cols, j % cols));
    CHECK(near(derivative(found, j), gradient(j / cols, j % cols)));
  }
}

/// Ordinary logits; ties for the maximum and everywhere; a confident row; and zeros.
std::vector<Values> cases() {
  Values ordinary, ties, confident;
  ordinary << 1, -2, 0.5, 3, 0.25, 0.75, -1, 2, -3, 4, 1.5, 0;
  ties << 2, 2, 1, 2, 1, 1, 1, 1, -1, 3, 3, -1;
  confident << 20, 0, 1, 2, 0, 15, 0, 0, -5, -5, 30, 30;
  return {ordinary, ties, confident, Values(Values::Zero())};
}

Eigen::Array3i const labels(0, 3, 1);

}  // namespace

TEMPLATE_LIST_TEST_CASE("derivatives of the loss are its analytic gradient", "[autodiff]", Scalars) {
  for (Values const& values : cases()) {
    INFO("logits:\n" << values);
    auto const z = variables<TestType>(values);
    auto const mean = xent::softmax_cross_entropy_with_gradient(values, labels);
    check_derivatives(xent::softmax_cross_entropy(z, labels), mean.loss, mean.gradient);
    auto const sum = xent::softmax_cross_entropy_with_gradient<Reduction::sum>(values, labels);
    auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::sum>(z, labels);
    check_derivatives(found.loss, sum.loss, sum.gradient);
    for (int j = 0; j < inputs; ++j)
      CHECK(near(value(found.gradient(j / cols, j % cols)), sum.gradient(j / cols, j % cols)));
  }
}

TEMPLATE_LIST_TEST_CASE("derivatives with soft targets, smoothing, weights and z-loss", "[autodiff]", Scalars) {
  Values targets;
  targets << 0.5, 0.25, 0.25, 0, 0, 0, 1, 0, 0.125, 0.25, 0.5, 0.125;
  for (Values const& values : cases()) {
    INFO("logits:\n" << values);
    auto const z = variables<TestType>(values);
    auto const soft = xent::softmax_cross_entropy_with_gradient(values, targets);
    check_derivatives(xent::softmax_cross_entropy(z, constants<TestType>(targets)), soft.loss, soft.gradient);

    xent::SoftmaxCrossEntropyOptions<double> plain;
    plain.label_smoothing = 0.25;
    plain.z_loss = 0.5;
    plain.class_weights = {1.0, 2.0, 0.5, 3.0};
    xent::SoftmaxCrossEntropyOptions<TestType> options;
    auto const make = [](double x) { return constant(x, static_cast<TestType const*>(nullptr)); };
    options.label_smoothing = make(0.25);
    options.z_loss = make(0.5);
    options.class_weights = {make(1.0), make(2.0), make(0.5), make(3.0)};
    auto const expected = xent::softmax_cross_entropy_with_gradient(values, labels, plain);
    check_derivatives(xent::softmax_cross_entropy(z, labels, options), expected.loss, expected.gradient);
  }
}

TEMPLATE_LIST_TEST_CASE("derivatives of softmax, log_softmax and logsumexp are their Jacobians", "[autodiff]",
                        Scalars) {
  for (Values const& values : cases()) {
    INFO("logits:\n" << values);
    auto const z = variables<TestType>(values);
    auto const p = xent::softmax(values);
    auto const found = xent::softmax(z);
    auto const logs = xent::log_softmax(z);
    auto const sums = xent::logsumexp(z);
    for (int i = 0; i < rows; ++i) {
      Values sum_gradient = Values::Zero();
      sum_gradient.row(i) = p.row(i);
      check_derivatives(sums(i), xent::logsumexp(values)(i), sum_gradient);
      for (int k = 0; k < cols; ++k) {
        Values jacobian = Values::Zero();
        jacobian.row(i) = -p(i, k) * p.row(i);
        jacobian(i, k) += p(i, k);
        check_derivatives(found(i, k), p(i, k), jacobian);
        Values log_jacobian = Values::Zero();
        log_jacobian.row(i) = -p.row(i);
        log_jacobian(i, k) += 1;
        check_derivatives(logs(i, k), xent::log_softmax(values)(i, k), log_jacobian);
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("derivatives of the gradient are the Hessian", "[autodiff]", Scalars) {
  for (Values const& values : cases()) {
    INFO("logits:\n" << values);
    auto const p = xent::softmax(values);
    auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::sum>(variables<TestType>(values), labels);
    for (int i = 0; i < rows; ++i)
      for (int k = 0; k < cols; ++k) {
        Values hessian = Values::Zero();
        hessian.row(i) = -p(i, k) * p.row(i);
        hessian(i, k) += p(i, k);
        for (int j = 0; j < inputs; ++j) CHECK(near(derivative(found.gradient(i, k), j), hessian(j / cols, j % cols)));
      }
  }
}

TEMPLATE_LIST_TEST_CASE("derivatives of the binary and the focal losses", "[autodiff]", Scalars) {
  Values targets;
  targets << 1, 0, 0.5, 1, 0, 0, 1, 0.25, 1, 1, 0, 0;
  for (Values const& values : cases()) {
    INFO("logits:\n" << values);
    auto const z = variables<TestType>(values);
    auto const binary = xent::sigmoid_cross_entropy_with_gradient(values, targets);
    check_derivatives(xent::sigmoid_cross_entropy(z, constants<TestType>(targets)), binary.loss, binary.gradient);
    auto const focal = xent::softmax_focal_loss_with_gradient(values, labels);
    check_derivatives(xent::softmax_focal_loss(z, labels), focal.loss, focal.gradient);
    auto const binary_focal = xent::sigmoid_focal_loss_with_gradient(values, targets);
    check_derivatives(xent::sigmoid_focal_loss(z, constants<TestType>(targets)), binary_focal.loss,
                      binary_focal.gradient);
  }
}

TEMPLATE_LIST_TEST_CASE("masked classes have no derivative, and give none", "[autodiff]", Scalars) {
  Values values = cases().front();
  values(0, 1) = values(1, 0) = -std::numeric_limits<double>::infinity();
  auto const expected = xent::softmax_cross_entropy_with_gradient(values, labels);
  check_derivatives(xent::softmax_cross_entropy(variables<TestType>(values), labels), expected.loss, expected.gradient);
}
