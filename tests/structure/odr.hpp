#pragma once

#include <vector>

inline constexpr int rows = 500;
inline constexpr int classes = 37;

// The same calls, compiled with the flags of either translation unit: losses and gradient in float, then in double.
std::vector<double> plain();
std::vector<double> tuned();
