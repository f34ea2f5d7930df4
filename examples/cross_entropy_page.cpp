// SPDX-License-Identifier: MIT
// cross_entropy_page - computes every number and every curve of docs/cross-entropy.md.
//
//   cross_entropy_page                                            the page's tables
//   cross_entropy_page --curves | gnuplot - docs/pictures.gp      the page's pictures, drawn anew
#include <xent/xent.hpp>

#include <cmath>
#include <cstdio>
#include <string_view>

namespace {

using Row2 = Eigen::RowVector2d;
using Row3 = Eigen::RowVector3d;
using Row2f = Eigen::RowVector2f;

const Row2 mixed{0.6, 0.4};  // the soft label of the page: 60 % dog, 40 % cat

double cross_entropy_bits(const Row2& targets, double first) {
  return xent::to_bits(xent::cross_entropy(targets, Row2{first, 1 - first}));
}

/// Softmax first, then the log, as two layers of a network would do it.
float log_after_softmax(const Row2f& z) {
  const Row2f exponentials = (z.array() - z.maxCoeff()).exp();
  return -std::log(exponentials(0) / exponentials.sum());
}

/// Both in one, the usual way.
float log_softmax(const Row2f& z) {
  const float max = z.maxCoeff();
  return std::log((z.array() - max).exp().sum()) - (z(0) - max);
}

// --- the tables, in the order of the page --------------------------------------------------------------------------

void surprise() {
  std::printf("probability of the true label    loss in bits    loss in nats\n");
  for (const double p : {1.0, 0.99, 0.9, 0.5, 0.25, 0.1, 0.01, 0.001}) {
    const double nats = xent::cross_entropy(Row2{1, 0}, Row2{p, 1 - p});
    std::printf("%29.3f    %12.4f    %12.4f\n", p, xent::to_bits(nats), nats);
  }
}

void three_classifiers() {
  const Row3 truth{0, 1, 0};
  std::printf("                 dog     cat    bird    loss in bits\n");
  const auto row = [&](const char* name, const Row3& p) {
    std::printf("%-12s  %6.2f  %6.2f  %6.2f    %12.4f\n", name, p(0), p(1), p(2),
                xent::to_bits(xent::cross_entropy(truth, p)));
  };
  row("sure, right", {0.01, 0.98, 0.01});
  row("unsure", {0.35, 0.40, 0.25});
  row("guessing", {1.0 / 3, 1.0 / 3, 1.0 / 3});
  row("sure, wrong", {0.98, 0.01, 0.01});
}

void soft_label() {
  std::printf("P(dog)    H(P*|P)  =  H(P*)  +  D(P*|P)    in bits, for P* = (0.6, 0.4)\n");
  for (const double p : {0.01, 0.2, 0.5, 0.6, 0.7, 0.9, 0.99}) {
    std::printf("%6.2f    %7.4f  =  %6.4f  +  %7.4f\n", p, cross_entropy_bits(mixed, p),
                xent::to_bits(xent::entropy(mixed)), xent::to_bits(xent::kl_divergence(mixed, Row2{p, 1 - p})));
  }
}

void likelihood() {
  const Eigen::VectorXd heads{{1, 0, 1, 1, 1, 0, 1, 1, 0, 1}};
  std::printf("P(heads)    likelihood of the 10 throws    mean loss in bits    2^(-10 x mean loss)\n");
  for (const double p : {0.5, 0.6, 0.7, 0.8, 0.9}) {
    const double likelihood = (heads.array() * p + (1 - heads.array()) * (1 - p)).prod();
    const Eigen::VectorXd probs = Eigen::VectorXd::Constant(heads.size(), p);
    const double bits = xent::to_bits(xent::binary_cross_entropy(heads, probs));
    std::printf("%8.1f    %27.6f    %17.4f    %19.6f\n", p, likelihood, bits, std::exp2(-10 * bits));
  }
}

void softmax_table() {
  const Row3 logits{2, 1, -1};
  std::printf("                     dog     cat    bird\n");
  const auto row = [](const char* name, const Row3& r) {
    std::printf("%-16s %7.4f %7.4f %7.4f\n", name, r(0), r(1), r(2));
  };
  row("logits z", logits);
  row("softmax(z)", xent::softmax(logits));
  row("softmax(z + 100)", xent::softmax(logits.array() + 100));
  row("softmax(2 z)", xent::softmax(2 * logits));
  row("softmax(10 z)", xent::softmax(10 * logits));
}

void gradient_table() {
  const Row3 logits{2, 1, -1};
  std::printf("                     dog     cat    bird\n");
  const auto row = [](const char* name, const Row3& r) {
    std::printf("%-16s %7.4f %7.4f %7.4f\n", name, r(0), r(1), r(2));
  };
  row("softmax(z)", xent::softmax(logits));
  row("target: cat", xent::one_hot<double>(Eigen::Matrix<int, 1, 1>(1), 3).row(0));
  row("gradient", xent::softmax_cross_entropy_with_gradient(logits, 1).gradient);
}

void binary() {
  using One = Eigen::Matrix<double, 1, 1>;
  std::printf("  logit z    P(yes)        binary    logistic    softmax of (0, z)    in bits, the truth being yes\n");
  for (const double z : {10.0, 2.0, 0.0, -2.0, -10.0, -100.0, -1000.0}) {
    const double binary = xent::sigmoid_cross_entropy(One(z), One(1));
    const double logistic = xent::softplus(One(-z))(0);
    const double two_classes = xent::softmax_cross_entropy(Row2{0, z}, 1);
    std::printf("%9.0f    %-9.3g  %9.4f   %9.4f    %17.4f\n", z, xent::sigmoid(One(z))(0), xent::to_bits(binary),
                xent::to_bits(logistic), xent::to_bits(two_classes));
  }
}

void inside_the_loss() {
  std::printf("logits (float)    softmax, then log    log-softmax        xent    exact\n");
  for (const float margin : {-200.0f, -100.0f, 0.0f, 10.0f, 16.0f, 17.0f, 20.0f, 50.0f, 80.0f}) {
    const Row2f z{margin, 0};
    const long double exact = std::log1p(std::exp(-static_cast<long double>(margin)));
    std::printf("(%4.0f, 0)         %17.5g    %11.5g  %10.5g    %.5Lg\n", static_cast<double>(margin),
                static_cast<double>(log_after_softmax(z)) + 0.0,  // + 0.0: print 0, not -0
                static_cast<double>(log_softmax(z)), static_cast<double>(xent::softmax_cross_entropy(z, 0)), exact);
  }
}

void tables() {
  for (void (*const table)() :
       {surprise, three_classifiers, soft_label, likelihood, softmax_table, gradient_table, binary, inside_the_loss}) {
    table();
    std::printf("\n");
  }
}

// --- the curves, as data blocks for gnuplot ------------------------------------------------------------------------

void curves() {
  std::printf("$surprise << EOD\n");  // probability of the truth, bits
  for (int k = 1; k <= 128; ++k) std::printf("%.4f %.4f\n", k / 128.0, cross_entropy_bits({1, 0}, k / 128.0));

  std::printf("EOD\n$soft << EOD\n");  // P(dog); H for the truth dog, the soft label; entropy of the latter
  for (int k = 1; k < 128; ++k) {
    const double p = k / 128.0;
    std::printf("%.4f %.4f %.4f %.4f\n", p, cross_entropy_bits({1, 0}, p), cross_entropy_bits(mixed, p),
                xent::to_bits(xent::entropy(mixed)));
  }

  std::printf("EOD\n$softmax << EOD\n");  // factor on the logits (2, 1, -1), the three probabilities
  for (int k = 0; k <= 80; ++k) {
    const double factor = k * 0.05;
    const Row3 p = xent::softmax(factor * Row3{2, 1, -1});
    std::printf("%.2f %.4f %.4f %.4f\n", factor, p(0), p(1), p(2));
  }

  std::printf("EOD\n$confident << EOD\n");  // margin; loss of the usual form, of xent
  for (int k = -60; k <= 170; ++k) {
    const Row2f z{0.5f * static_cast<float>(k), 0};
    std::printf("%.1f %.4g %.4g\n", static_cast<double>(z(0)), static_cast<double>(log_softmax(z)),
                static_cast<double>(xent::softmax_cross_entropy(z, 0)));
  }
  std::printf("EOD\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--curves")
    curves();
  else
    tables();
}
