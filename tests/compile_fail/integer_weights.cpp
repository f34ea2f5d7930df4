// must say: class_weights
#include <xent/softmax_cross_entropy.hpp>

void program() {
  const Eigen::MatrixXf logits = Eigen::MatrixXf::Zero(4, 3);
  const Eigen::VectorXi labels = Eigen::VectorXi::Zero(4);
#ifdef WRONG
  const Eigen::VectorXi weights = Eigen::VectorXi::Ones(3);
#else
  const Eigen::VectorXf weights = Eigen::VectorXf::Ones(3);
#endif
  xent::softmax_cross_entropy(logits, labels, {.class_weights = weights});
}
