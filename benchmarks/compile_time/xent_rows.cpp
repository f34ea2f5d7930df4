// SPDX-License-Identifier: MIT
#include <xent/xent.hpp>

using Rows = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

float loss(const Rows& logits, const Eigen::VectorXi& labels, Rows& gradient) {
  return xent::softmax_cross_entropy_with_gradient(logits, labels, gradient);
}
