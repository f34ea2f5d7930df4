// SPDX-License-Identifier: MIT
#include <xent/xent.hpp>

float loss(const Eigen::MatrixXf& logits, const Eigen::VectorXi& labels) {
  return xent::softmax_cross_entropy(logits, labels);
}
