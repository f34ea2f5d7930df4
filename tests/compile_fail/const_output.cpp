// must say: WritableArray
#include <xent/softmax.hpp>

void program() {
  const Eigen::MatrixXf logits = Eigen::MatrixXf::Zero(4, 3);
#ifdef WRONG
  const Eigen::MatrixXf probs(4, 3);
#else
  Eigen::MatrixXf probs(4, 3);
#endif
  xent::softmax(logits, probs);
}
