#include <xent/xent.hpp>

#include <cmath>

int main() {
  const Eigen::MatrixXf logits = Eigen::MatrixXf::Zero(4, 3);
  const Eigen::VectorXi labels = Eigen::VectorXi::Zero(4);
  const auto [loss, gradient] = xent::softmax_cross_entropy_with_gradient(logits, labels);
  const bool right = std::abs(loss - std::log(3.0F)) < 1e-6F && gradient.rows() == 4 && gradient.cols() == 3;
  return right ? 0 : 1;
}
