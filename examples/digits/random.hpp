// SPDX-License-Identifier: MIT
// random.hpp - random numbers that are the same on every machine.
#pragma once

#include <Eigen/Core>

#include <cstdint>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

/// The standard fixes the raw output of mt19937_64, but not what std::shuffle and the distributions make of it.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  /// A number in [0, 1) with 24 bits, as many as a float holds.
  float uniform() { return static_cast<float>(engine_() >> 40) * 0x1p-24f; }

  /// The numbers 0 ... size - 1 in random order (Fisher-Yates; the bias of the modulo is below size / 2^64).
  std::vector<Eigen::Index> permutation(Eigen::Index size) {
    std::vector<Eigen::Index> order(static_cast<std::size_t>(size));
    std::iota(order.begin(), order.end(), Eigen::Index{0});
    for (std::size_t rest = order.size(); rest > 1; --rest) std::swap(order[rest - 1], order[engine_() % rest]);
    return order;
  }

 private:
  std::mt19937_64 engine_;
};
