// must say: LabelVector
#include <xent/one_hot.hpp>

void program() {
#ifdef WRONG
  const Eigen::VectorXf labels = Eigen::VectorXf::Zero(4);
#else
  const Eigen::VectorXi labels = Eigen::VectorXi::Zero(4);
#endif
  xent::one_hot(labels, 3);
}
