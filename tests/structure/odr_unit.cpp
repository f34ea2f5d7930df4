#include "odr.hpp"

#include <xent/xent.hpp>

namespace {

template <class Scalar>
void append_loss_and_gradient(const std::vector<double>& numbers, int classes, std::vector<double>& results) {
  using Logits = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Index rows = static_cast<Eigen::Index>(numbers.size()) / classes;
  const Logits logits =
      Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(numbers.data(), rows, classes)
          .template cast<Scalar>();
  const Eigen::VectorXi labels = Eigen::VectorXi::LinSpaced(rows, 0, classes - 1);
  const auto [loss, gradient] = xent::softmax_cross_entropy_with_gradient(logits, labels);
  results.push_back(static_cast<double>(loss));
  for (Eigen::Index i = 0; i < gradient.size(); ++i) results.push_back(static_cast<double>(gradient.data()[i]));
}

}  // namespace

std::vector<double> UNIT(const std::vector<double>& logits, int classes) {
  std::vector<double> results;
  append_loss_and_gradient<float>(logits, classes, results);
  append_loss_and_gradient<double>(logits, classes, results);
  return results;
}
