// must say: RealArray
#include <xent/divergence.hpp>

void program() {
  const Eigen::MatrixXf probs = Eigen::MatrixXf::Constant(4, 2, 0.5F);
#ifdef WRONG
  const Eigen::VectorXi targets = Eigen::VectorXi::Zero(4);
#else
  const Eigen::MatrixXf targets = Eigen::MatrixXf::Constant(4, 2, 0.5F);
#endif
  xent::kl_divergence(targets, probs);
}
