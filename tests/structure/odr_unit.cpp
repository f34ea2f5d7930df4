#include "odr.hpp"

#include <xent/xent.hpp>

#include <cmath>
#include <limits>

namespace {

template <class Scalar>
void append_results(std::vector<double>& results) {
  using Logits = Eigen::Array<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Logits logits(rows, classes);
  for (Eigen::Index i = 0; i < logits.size(); ++i) logits.data()[i] = static_cast<Scalar>(8 * std::sin(double(i)));
  // What fast-math forgets first: an infinity, and a tail far below the rounding of 1.
  logits.row(1).setConstant(-60);
  logits(1, 1) = 0;
  logits(1, 2) = -std::numeric_limits<Scalar>::infinity();
  Eigen::ArrayXi labels = Eigen::ArrayXi::LinSpaced(rows, 0, classes - 1);
  labels(1) = 1;

  Logits gradient;
  const auto losses = xent::softmax_cross_entropy_with_gradient<xent::Reduction::none>(logits, labels, gradient);
  for (Eigen::Index i = 0; i < losses.size(); ++i) results.push_back(static_cast<double>(losses(i)));
  for (Eigen::Index i = 0; i < gradient.size(); ++i) results.push_back(static_cast<double>(gradient.data()[i]));
}

}  // namespace

std::vector<double> UNIT() {
  std::vector<double> results;
  append_results<float>(results);
  append_results<double>(results);
  return results;
}
