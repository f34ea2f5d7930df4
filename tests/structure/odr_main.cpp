#include "odr.hpp"

#include <cmath>
#include <cstddef>
#include <cstdio>

namespace {

int failures = 0;

void expect_close(const char* unit, std::size_t i, double value, double expected, double tolerance) {
  if (std::abs(value - expected) <= tolerance * std::abs(expected)) return;
  ++failures;
  std::printf("%s: result %zu is %.17g, expected %.17g\n", unit, i, value, expected);
}

}  // namespace

int main() {
  const std::vector<double> one = plain();
  const std::vector<double> other = tuned();
  const std::size_t half = one.size() / 2;  // floats first, then doubles
  for (std::size_t i = 0; i < one.size(); ++i) expect_close("tuned", i, other[i], one[i], i < half ? 1e-5 : 1e-12);

  // The plain unit was compiled for the whole of IEEE arithmetic, whatever the tuned one was compiled for.
  for (const std::size_t start : {std::size_t{0}, half}) {
    const double tolerance = start == 0 ? 1e-6 : 1e-14;
    const std::size_t row = start + rows + classes;  // behind the losses, the gradient of row 1
    expect_close("plain", start + 1, one[start + 1], 35 * std::exp(-60.0), tolerance);
    expect_close("plain", row + 1, one[row + 1], -35 * std::exp(-60.0), tolerance);
    expect_close("plain", row + 2, one[row + 2], 0, 0);
    expect_close("plain", row + 3, one[row + 3], std::exp(-60.0), tolerance);
  }
  return failures == 0 ? 0 : 1;
}
