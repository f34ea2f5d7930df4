// SPDX-License-Identifier: MIT
// tests/support/generators.cpp - see generators.hpp.
#include "generators.hpp"

#include <catch2/catch_get_random_seed.hpp>

namespace support {
namespace {

std::uint64_t next_seed() {
  static std::uint64_t made = 0;
  return std::uint64_t{Catch::getSeed()} + (++made << 32U);
}

}  // namespace

Random::Random() : engine_(next_seed()) {}

double Random::normal() { return std::normal_distribution<double>()(engine_); }

double Random::uniform(double from, double to) { return std::uniform_real_distribution<double>(from, to)(engine_); }

Index Random::integer(Index from, Index to) { return std::uniform_int_distribution<Index>(from, to)(engine_); }

bool Random::chance(double probability) { return uniform(0, 1) < probability; }

Labels random_labels(Random& random, Index rows, Index classes) {
  Labels result(rows);
  for (Index i = 0; i < rows; ++i) result(i) = random.integer(0, classes - 1);
  return result;
}

}  // namespace support
