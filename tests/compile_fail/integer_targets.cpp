// must say: TargetsFor
#include <xent/sigmoid_cross_entropy.hpp>

void program() {
  const Eigen::MatrixXf logits = Eigen::MatrixXf::Zero(4, 3);
#ifdef WRONG
  const Eigen::MatrixXi targets = Eigen::MatrixXi::Zero(4, 3);
#else
  const Eigen::MatrixXf targets = Eigen::MatrixXf::Zero(4, 3);
#endif
  xent::sigmoid_cross_entropy(logits, targets);
}
