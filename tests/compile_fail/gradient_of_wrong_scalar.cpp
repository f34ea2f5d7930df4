// must say: WritableArray
#include <xent/softmax_cross_entropy.hpp>

void program() {
  const Eigen::MatrixXd logits = Eigen::MatrixXd::Zero(4, 3);
  const Eigen::VectorXi labels = Eigen::VectorXi::Zero(4);
#ifdef WRONG
  Eigen::MatrixXf gradient(4, 3);
#else
  Eigen::MatrixXd gradient(4, 3);
#endif
  xent::softmax_cross_entropy_with_gradient(logits, labels, gradient);
}
