// must say: LabelsFor
#include <xent/softmax_cross_entropy.hpp>

void program() {
#ifdef WRONG
  const Eigen::MatrixXf logits = Eigen::MatrixXf::Zero(1, 3);
#else
  const Eigen::VectorXf logits = Eigen::VectorXf::Zero(3);
#endif
  xent::softmax_cross_entropy(logits, 2);
}
