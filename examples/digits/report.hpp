// SPDX-License-Identifier: MIT
// report.hpp - what has been learnt, in text: progress, losses, the confusion matrix.
#pragma once

#include "data.hpp"
#include "network.hpp"

#include <xent/argmax.hpp>
#include <xent/softmax_cross_entropy.hpp>
#include <xent/units.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

/// Test results of a trained network.
struct Evaluation {
  Evaluation(const Network& network, const Samples& samples, Eigen::Index classes)
      : confusion(Eigen::MatrixXi::Zero(classes, classes)) {
    const Matrix logits = network.logits(samples.images);
    loss = xent::softmax_cross_entropy(logits, samples.labels);
    const auto predicted = xent::argmax(logits);
    for (Eigen::Index i = 0; i < samples.size(); ++i) ++confusion(samples.labels(i), predicted(i));
  }

  float loss = 0;             // nats
  Eigen::MatrixXi confusion;  // truth x prediction
};

inline float loss_in_bits(const Network& network, const Samples& samples) {
  return xent::to_bits(xent::softmax_cross_entropy(network.logits(samples.images), samples.labels));
}

/// One line, rewritten after every epoch and wiped at the end. Only for eyes: a file or a pipe gets nothing.
class Progress {
 public:
  explicit Progress(std::string name) : name_(std::move(name)), visible_(isatty(STDERR_FILENO) == 1) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (visible_) std::fputs("\r\033[K", stderr);
  }

  void show(int epoch, int epochs, float train_bits) const {
    if (!visible_) return;
    std::fprintf(stderr, "\r\033[K%s: epoch %d of %d, training loss %.3f bits, %.0f s", name_.c_str(), epoch, epochs,
                 static_cast<double>(train_bits), seconds());
    std::fflush(stderr);
  }

  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::string name_;
  bool visible_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

inline void print_losses(const Evaluation& test) {
  const int right = test.confusion.diagonal().sum();
  const int count = test.confusion.sum();
  std::printf("  test loss    %.4f nats = %.4f bits\n", static_cast<double>(test.loss),
              static_cast<double>(xent::to_bits(test.loss)));
  std::printf("  perplexity   %.4f\n", static_cast<double>(xent::perplexity(test.loss)));
  std::printf("  accuracy     %.2f %%, %d of %d\n", 100.0 * right / count, right, count);
}

/// Truth in rows, predictions in columns; a dot where nothing was counted, so that the mistakes stand out.
inline void print_confusion(const Eigen::MatrixXi& confusion, const std::vector<std::string>& classes) {
  std::size_t width = std::to_string(confusion.maxCoeff()).size();
  for (const std::string& name : classes) width = std::max(width, name.size());
  const auto cell = [&](const std::string& text) { std::printf(" %*s", static_cast<int>(width), text.c_str()); };

  std::printf("\n  truth down, prediction across\n ");
  cell("");
  for (const std::string& name : classes) cell(name);
  for (Eigen::Index truth = 0; truth < confusion.rows(); ++truth) {
    std::printf("\n ");
    cell(classes[static_cast<std::size_t>(truth)]);
    for (const int count : confusion.row(truth)) cell(count == 0 ? "." : std::to_string(count));
  }
  std::printf("\n\n");
}
