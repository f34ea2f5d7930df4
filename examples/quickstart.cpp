// SPDX-License-Identifier: MIT
#include <xent/xent.hpp>

#include <iostream>

int main() {
  const Eigen::MatrixXf logits{{2.0f, 0.5f, -1.0f, 0.0f},  // one row per sample, one column per class
                               {0.1f, 0.2f, 3.0f, 0.3f},
                               {0.0f, 0.0f, 0.0f, 0.0f}};
  const Eigen::Vector3i labels{0, 2, 1};  // the right class of each sample

  const auto [loss, gradient] = xent::softmax_cross_entropy_with_gradient(logits, labels);

  const Eigen::IOFormat aligned(3, 0, "  ", "\n", "  ");
  std::cout << "loss " << loss << " nats = " << xent::to_bits(loss) << " bits\n"
            << "probabilities\n"
            << xent::softmax(logits).format(aligned) << "\n"
            << "d loss / d logits\n"
            << gradient.format(aligned) << "\n";
}
