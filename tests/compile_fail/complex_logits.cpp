// must say: RealArray
#include <xent/softmax.hpp>

void program() {
#ifdef WRONG
  const Eigen::MatrixXcf logits = Eigen::MatrixXcf::Zero(4, 3);
#else
  const Eigen::MatrixXf logits = Eigen::MatrixXf::Zero(4, 3);
#endif
  xent::softmax(logits);
}
