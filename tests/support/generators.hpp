// SPDX-License-Identifier: MIT
// tests/support/generators.hpp - random inputs; Catch2's seed makes a run repeatable (--rng-seed).
#pragma once

#include "exact.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

namespace support {

/// Seeded from Catch2's seed and the number of generators made before in this process.
class Random {
 public:
  Random();
  double normal();
  double uniform(double from, double to);
  Index integer(Index from, Index to);  ///< both ends included
  bool chance(double probability);

 private:
  std::mt19937_64 engine_;
};

template <class Scalar>
Rows<Scalar> normal_rows(Random& random, Index rows, Index cols, double scale) {
  Rows<Scalar> result(rows, cols);
  for (Index i = 0; i < rows; ++i)
    for (Index k = 0; k < cols; ++k) result(i, k) = static_cast<Scalar>(scale * random.normal());
  return result;
}

template <class Scalar>
Rows<Scalar> uniform_rows(Random& random, Index rows, Index cols, double from, double to) {
  Rows<Scalar> result(rows, cols);
  for (Index i = 0; i < rows; ++i)
    for (Index k = 0; k < cols; ++k) result(i, k) = static_cast<Scalar>(random.uniform(from, to));
  return result;
}

/// Integers as logits: sums and differences of them are exact.
template <class Scalar>
Rows<Scalar> integer_rows(Random& random, Index rows, Index cols, Index from, Index to) {
  Rows<Scalar> result(rows, cols);
  for (Index i = 0; i < rows; ++i)
    for (Index k = 0; k < cols; ++k) result(i, k) = static_cast<Scalar>(random.integer(from, to));
  return result;
}

/// Rows of probabilities: the softmax of random numbers, some entries exactly 0.
template <class Scalar>
Rows<Scalar> distributions(Random& random, Index rows, Index cols, double scale = 1, double zeros = 0) {
  Rows<Scalar> result(rows, cols);
  for (Index i = 0; i < rows; ++i) {
    double sum = 0;
    Vector<double> row(cols);
    for (Index k = 0; k < cols; ++k) row(k) = k > 0 && random.chance(zeros) ? 0.0 : std::exp(scale * random.normal());
    for (Index k = 0; k < cols; ++k) sum += row(k);
    for (Index k = 0; k < cols; ++k) result(i, k) = static_cast<Scalar>(row(k) / sum);
  }
  return result;
}

template <class Scalar>
Vector<Scalar> positive_weights(Random& random, Index size) {
  Vector<Scalar> result(size);
  for (Index i = 0; i < size; ++i) result(i) = static_cast<Scalar>(random.uniform(0.25, 4.0));
  return result;
}

Labels random_labels(Random& random, Index rows, Index classes);

template <class Scalar>
Rows<Scalar> one_hot_rows(Labels const& labels, Index cols) {
  Rows<Scalar> result = Rows<Scalar>::Zero(labels.size(), cols);
  for (Index i = 0; i < labels.size(); ++i) result(i, labels(i)) = 1;
  return result;
}

template <class Scalar>
constexpr Scalar infinity() {
  return std::numeric_limits<Scalar>::infinity();
}
template <class Scalar>
constexpr Scalar nan() {
  return std::numeric_limits<Scalar>::quiet_NaN();
}

}  // namespace support
