// must say: RealArray
#include <xent/softmax_cross_entropy.hpp>

void program() {
#ifdef WRONG
  const Eigen::MatrixXi logits = Eigen::MatrixXi::Zero(4, 3);
#else
  const Eigen::MatrixXf logits = Eigen::MatrixXf::Zero(4, 3);
#endif
  const Eigen::VectorXi labels = Eigen::VectorXi::Zero(4);
  xent::softmax_cross_entropy(logits, labels);
}
