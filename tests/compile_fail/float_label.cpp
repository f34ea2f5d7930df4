// must say: LabelsFor
#include <xent/softmax_cross_entropy.hpp>

void program() {
  const Eigen::VectorXf logits = Eigen::VectorXf::Zero(3);
#ifdef WRONG
  xent::softmax_cross_entropy(logits, 2.0F);
#else
  xent::softmax_cross_entropy(logits, 2);
#endif
}
