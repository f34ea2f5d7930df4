// SPDX-License-Identifier: MIT
// binary - yes-or-no questions: logistic regression, and several questions about one thing at once.
#include <xent/xent.hpp>

#include <cstdio>
#include <vector>

namespace {

/// O-rings of the space shuttle's boosters in the 23 flights before the Challenger's last: the temperature at launch
/// in degrees Fahrenheit, and whether an O-ring showed thermal distress (Dalal, Fowlkes and Hoadley 1989).
struct Flights {
  Eigen::VectorXd temperature =
      Eigen::VectorXd{{66, 70, 69, 68, 67, 72, 73, 70, 57, 63, 70, 78, 67, 53, 67, 75, 70, 81, 76, 79, 75, 76, 58}};
  Eigen::VectorXd distress = Eigen::VectorXd{{0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1}};
};

/// Logistic regression: logit = weights(0) + weights(1) (temperature - 70) / 10, by plain gradient descent.
Eigen::Vector2d fit(const Flights& flights) {
  Eigen::MatrixX2d features(flights.temperature.size(), 2);
  features << Eigen::VectorXd::Ones(features.rows()), (flights.temperature.array() - 70) / 10;
  Eigen::Vector2d weights = Eigen::Vector2d::Zero();
  Eigen::VectorXd gradient;
  for (int step = 0; step < 2000; ++step) {
    const double loss = xent::sigmoid_cross_entropy_with_gradient(features * weights, flights.distress, gradient);
    if (step == 0 || step == 10 || step == 100 || step == 1999)
      std::printf("  step %4d   loss %.4f bits\n", step, xent::to_bits(loss));
    weights -= features.transpose() * gradient;
  }
  return weights;
}

void logistic_regression() {
  const Flights flights;
  std::printf("Does an O-ring suffer? Logistic regression on %td flights\n\n", flights.distress.size());
  const Eigen::Vector2d weights = fit(flights);

  const Eigen::Array4d degrees{31, 50, 65, 80};  // 31: the morning of the Challenger's last launch
  const Eigen::Array4d risk = xent::sigmoid(weights(0) + weights(1) * (degrees - 70) / 10);
  std::printf("\n  at (deg F)  probability of distress\n");
  for (Eigen::Index i = 0; i < degrees.size(); ++i) std::printf("  %10.0f  %.4f\n", degrees(i), risk(i));

  // The same question put to softmax: two classes whose logits are 0 and z. One loss, two names.
  const Eigen::RowVector2d two{0, 1.5};
  const Eigen::Matrix<double, 1, 1> one{1.5}, yes{1};
  std::printf("\n  z = 1.5, yes: sigmoid_cross_entropy %.6f, softmax_cross_entropy of (0, z) %.6f nats\n",
              xent::sigmoid_cross_entropy(one, yes), xent::softmax_cross_entropy(two, 1));
}

void multi_label() {
  // Each picture may show a dog, a person, a car, or several of them: one yes-or-no question per column.
  const Eigen::MatrixXd logits{{2.0, -1.0, -3.0}, {-2.0, 1.5, -2.0}, {0.5, 3.0, -1.0}};
  const Eigen::MatrixXd targets{{1, 0, 0}, {0, 1, 0}, {1, 1, 1}};
  std::printf("\nWhat does the picture show? Three independent questions\n\n");

  // Cars are rare. A positive weight of 5 makes overlooking one as dear as five false alarms.
  const Eigen::Vector3d pos_weights{1, 1, 5};
  const auto plain = xent::sigmoid_cross_entropy_with_gradient(logits, targets);
  const auto weighted = xent::sigmoid_cross_entropy_with_gradient(logits, targets, {.pos_weights = pos_weights});
  std::printf("  %-24s %8s   %s\n", "", "loss", "d loss / d logits of picture 3: dog, person, car");
  const auto row = [](const char* name, double loss, const Eigen::RowVector3d& gradient) {
    std::printf("  %-24s %8.4f   %8.4f %8.4f %8.4f\n", name, loss, gradient(0), gradient(1), gradient(2));
  };
  row("plain", plain.loss, plain.gradient.row(2));
  row("a car counts five times", weighted.loss, weighted.gradient.row(2));
}

}  // namespace

int main() {
  logistic_regression();
  multi_label();
}
