// must say: WritableArray
#include <xent/softmax_cross_entropy.hpp>

void program() {
  const Eigen::MatrixXf logits = Eigen::MatrixXf::Zero(4, 3);
  const Eigen::VectorXi labels = Eigen::VectorXi::Zero(4);
  Eigen::MatrixXf gradient(4, 6);
#ifdef WRONG
  xent::softmax_cross_entropy_with_gradient(logits, labels, 2.0F * gradient.leftCols(3));
#else
  xent::softmax_cross_entropy_with_gradient(logits, labels, gradient.leftCols(3));
#endif
}
