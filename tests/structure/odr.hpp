#pragma once

#include <vector>

// The same calls, compiled with the flags of either translation unit.
std::vector<double> plain();
std::vector<double> tuned();
