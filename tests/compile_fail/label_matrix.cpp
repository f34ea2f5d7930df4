// must say: LabelsFor
#include <xent/softmax_cross_entropy.hpp>

void program() {
  const Eigen::MatrixXf logits = Eigen::MatrixXf::Zero(4, 3);
#ifdef WRONG
  const Eigen::MatrixXi labels = Eigen::MatrixXi::Zero(4, 1);
#else
  const Eigen::VectorXi labels = Eigen::VectorXi::Zero(4);
#endif
  xent::softmax_cross_entropy(logits, labels);
}
