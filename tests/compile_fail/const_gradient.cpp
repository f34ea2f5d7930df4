// must say: WritableArray
#include <xent/softmax_cross_entropy.hpp>

void program() {
  const Eigen::MatrixXf logits = Eigen::MatrixXf::Zero(4, 3);
  const Eigen::VectorXi labels = Eigen::VectorXi::Zero(4);
#ifdef WRONG
  const Eigen::MatrixXf gradient(4, 3);
#else
  Eigen::MatrixXf gradient(4, 3);
#endif
  xent::softmax_cross_entropy_with_gradient(logits, labels, gradient);
}
