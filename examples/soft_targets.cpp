// SPDX-License-Identifier: MIT
// soft_targets - labels that are distributions, and labels that are partly missing.
#include <xent/xent.hpp>

#include <cstdio>
#include <limits>

namespace {

void print_row(const char* name, const Eigen::RowVector3d& row) {
  std::printf("  %-26s %8.4f %8.4f %8.4f\n", name, row(0), row(1), row(2));
}

}  // namespace

int main() {
  // Six of ten people see a dog in this picture, four a cat, nobody a bird.
  const Eigen::RowVector3d targets{0.6, 0.4, 0.0};
  const Eigen::RowVector3d logits{2.0, 1.0, -1.0};

  std::printf("An image that is 60 %% dog and 40 %% cat\n\n  %-26s %8s %8s %8s\n", "", "dog", "cat", "bird");
  const auto [loss, gradient] = xent::softmax_cross_entropy_with_gradient(logits, targets);
  print_row("targets", targets);
  print_row("softmax of the logits", xent::softmax(logits));
  print_row("d loss / d logits", gradient);  // prediction - targets: it vanishes where the two agree
  std::printf("  loss %.4f bits = entropy of the targets %.4f + divergence %.4f\n", xent::to_bits(loss),
              xent::to_bits(xent::entropy(targets)),
              xent::to_bits(xent::kl_divergence(targets, xent::softmax(logits))));

  // The entropy is the price of the targets' own uncertainty. No prediction is cheaper, and the targets themselves
  // reach it. Logits of -inf say "impossible": a target of 0 there costs nothing.
  const Eigen::RowVector3d best = targets.array().log();
  std::printf("  loss of log(targets) as logits: %.4f bits\n",
              xent::to_bits(xent::softmax_cross_entropy(best, targets)));

  // Label smoothing makes soft targets out of hard labels, so that no logit need go to infinity.
  const Eigen::RowVector3d dog{1, 0, 0};
  std::printf("\nThe label dog, smoothed by 0.1\n\n");
  print_row("smooth_labels", xent::smooth_labels(dog, 0.1));
  std::printf("  loss %.6f nats as an option, %.6f with smoothed targets\n",
              xent::softmax_cross_entropy(logits, 0, {.label_smoothing = 0.1}),
              xent::softmax_cross_entropy(logits, xent::smooth_labels(dog, 0.1)));

  // A mask: -inf takes a class out of the race; it receives neither probability, nor gradient, nor smoothing.
  const Eigen::RowVector3d masked{2.0, 1.0, -std::numeric_limits<double>::infinity()};
  std::printf("\nThe bird ruled out by a logit of -inf\n\n");
  print_row("softmax", xent::softmax(masked));
  print_row("d loss / d logits, smoothed",
            xent::softmax_cross_entropy_with_gradient(masked, 0, {.label_smoothing = 0.1}).gradient);

  // Rows without a label keep their place in the batch, and count neither in the mean nor in the gradient.
  const Eigen::MatrixXd batch{{2.0, 1.0, -1.0}, {0.5, 0.1, 0.2}, {-1.0, 3.0, 0.0}};
  const Eigen::Vector3i labels{0, -1, 1};  // -1: nobody has labelled the second image
  const auto known = xent::softmax_cross_entropy_with_gradient(batch, labels, {.ignore_index = -1});
  std::printf("\nThree images, the second without a label: mean loss of the other two %.4f bits\n\n",
              xent::to_bits(known.loss));
  for (Eigen::Index i = 0; i < 3; ++i) print_row(i == 0 ? "d loss / d logits" : "", known.gradient.row(i));
}
