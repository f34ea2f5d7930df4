// SPDX-License-Identifier: MIT
// stability - what floating-point numbers do to a cross-entropy, and what xent does about it.
//
// Three formulas that are equal on paper, for the logits (margin, 0) and the first class as the right one:
//
//   naive     -log(exp(z_y) / sum_k exp(z_k))                          the definition, typed in
//   shifted   -((z_y - max) - log(sum_k exp(z_k - max)))               what PyTorch and most others compute
//   xent      (max - z_y) + log1p(sum_k exp(z_k - max) without the maximum's own 1)
//
// The exact loss is log(1 + exp(-margin)).
#include <xent/xent.hpp>

#include <cmath>
#include <cstdio>

namespace {

using Row = Eigen::RowVector2f;

float naive_loss(const Row& z) { return -std::log(std::exp(z(0)) / (std::exp(z(0)) + std::exp(z(1)))); }

float shifted_loss(const Row& z) {
  const float max = z.maxCoeff();
  return -((z(0) - max) - std::log(std::exp(z(0) - max) + std::exp(z(1) - max)));
}

/// The logits are taken as they are stored, so this is what a perfect float loss would round.
long double exact_loss(const Row& z) { return std::log1p(std::exp(static_cast<long double>(z(1)) - z(0))); }

void print_losses(const Row& z) {
  std::printf("  %13.8g %10.8g   %-11.5g %-11.5g %-11.5g %.5Lg\n", static_cast<double>(z(0)), static_cast<double>(z(1)),
              static_cast<double>(naive_loss(z)) + 0.0, static_cast<double>(shifted_loss(z)) + 0.0,
              static_cast<double>(xent::softmax_cross_entropy(z, 0)), exact_loss(z));
}

void print_gradient(const Row& z) {
  const auto [loss, gradient] = xent::softmax_cross_entropy_with_gradient(z, 0);
  const float subtracted = std::exp(z(0) - z.maxCoeff()) / (1 + std::exp(z.minCoeff() - z.maxCoeff())) - 1;
  const long double exact = -1 / (1 + std::exp(static_cast<long double>(z(0)) - z(1)));
  std::printf("  %13g   %-11.5g %-11.5g %.5Lg\n", static_cast<double>(z(0)), static_cast<double>(subtracted),
              static_cast<double>(gradient(0)), exact);
}

void print_heading(const char* text) {
  std::printf("\n%s\n\n  %13s %10s   %-11s %-11s %-11s %s\n", text, "z_0", "z_1", "naive", "shifted", "xent", "exact");
}

}  // namespace

int main() {
  std::printf("Cross-entropy of float logits (z_0, z_1), label 0\n");

  // A float's exp overflows above 88.7 and falls to 0 below -104: the quotient is then inf / inf or 0 / 0.
  print_heading("Overflow: the exponentials leave the range, the loss does not");
  print_losses({80, 82});
  print_losses({90, 92});
  print_losses({-120, -118});
  print_losses({1000, 2000});

  // In float 1 + exp(-17) rounds to 1, whose log is 0: the small term is lost before the log can see it.
  print_heading("Confident and right: the loss is small, but it is not 0");
  for (const float margin : {1.0f, 8.0f, 13.0f, 16.0f, 17.0f, 20.0f, 40.0f, 80.0f}) print_losses({margin, 0});

  // A number added to all logits cancels on paper. Taking the maximum away first makes it cancel here, too.
  print_heading("Common offset: the loss depends on differences only");
  for (const float offset : {0.0f, 80.0f, 10'000.0f, 10'000'000.0f}) print_losses({offset + 8, offset});

  // Where the gradient is 0, learning stops. Its entry for the right class is p - 1, but subtracting 1 from a p that
  // was rounded to 1 leaves nothing; xent sums up the other classes instead.
  std::printf("\nd loss / d z_0 = p - 1, for the logits (z_0, 0)\n\n  %13s   %-11s %-11s %s\n", "z_0", "p minus 1",
              "xent", "exact");
  for (const float margin : {1.0f, 8.0f, 13.0f, 16.0f, 17.0f, 20.0f, 40.0f, 80.0f}) print_gradient({margin, 0});
}
