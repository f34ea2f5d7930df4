#pragma once

#include <vector>

// The same call, compiled with the flags of either translation unit.
std::vector<double> plain(const std::vector<double>& logits, int classes);
std::vector<double> tuned(const std::vector<double>& logits, int classes);
