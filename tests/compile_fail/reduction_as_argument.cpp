// must say: softmax_cross_entropy
#include <xent/softmax_cross_entropy.hpp>

void program() {
  const Eigen::MatrixXf logits = Eigen::MatrixXf::Zero(4, 3);
  const Eigen::VectorXi labels = Eigen::VectorXi::Zero(4);
#ifdef WRONG
  xent::softmax_cross_entropy(logits, labels, xent::Reduction::sum);
#else
  xent::softmax_cross_entropy<xent::Reduction::sum>(logits, labels);
#endif
}
