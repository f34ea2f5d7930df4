// SPDX-License-Identifier: MIT
// tests/support/ulp.hpp - how far results are from the exact ones, in ulp; comparisons that explain themselves.
//
// In the normal range an error counts in ulp of the result's scale, below it in smallest normals. Every comparison is
// written !(error <= bound): a NaN never passes.
#pragma once

#include "exact.hpp"

#include <limits>
#include <ostream>
#include <string>

namespace support {

struct Format {
  int digits;
  int min_exponent;
  long double largest;
};

template <class Scalar>
Format format_of() {
  using limits = std::numeric_limits<Scalar>;
  return {limits::digits, limits::min_exponent, widen(limits::max())};
}

struct Error {
  long double size = 0;       ///< in ulp, or in smallest normals
  bool below_normal = false;  ///< which of the two
};

Error error_of(long double got, Exact const& exact, Format const& format);

/// The worst errors of many results.
struct Worst {
  long double ulp = 0;
  long double below_normal = 0;
  void add(Error const& error);
  void add(Worst const& other);
};

Worst worst(Grid const& got, Exacts const& exact, Format const& format);

/// True or false, with the reason: CHECK(within(...)) prints it.
class Verdict {
 public:
  Verdict() = default;
  explicit Verdict(std::string failure) : failure_(std::move(failure)) {}
  explicit operator bool() const { return failure_.empty(); }
  friend std::ostream& operator<<(std::ostream& out, Verdict const& verdict);

 private:
  std::string failure_;
};

Verdict within_ulp(Grid const& got, Exacts const& exact, Format const& format, long double ulps,
                   long double smallest_normals);
Verdict same_bits(Grid const& a, Grid const& b);
Verdict close_to(Grid const& a, Grid const& b, Format const& format, long double ulps);
Verdict all_equal(Grid const& got, long double value);

template <class Result>
struct ScalarOf {
  using type = typename Result::Scalar;
};
template <class Result>
  requires std::is_floating_point_v<Result>
struct ScalarOf<Result> {
  using type = Result;
};

/// The results are within so many ulp of the exact ones (below the smallest normal: within smallest normals).
template <class Result>
Verdict within(Result const& got, Exacts const& exact, long double ulps = 4, long double smallest_normals = 1) {
  return within_ulp(grid(got), exact, format_of<typename ScalarOf<Result>::type>(), ulps, smallest_normals);
}
template <class Result>
Verdict within(Result const& got, Exact const& exact, long double ulps = 4, long double smallest_normals = 1) {
  return within(got, Exacts{exact}, ulps, smallest_normals);
}

/// Equal shapes and equal values to the sign of zero; NaN equals NaN.
template <class A, class B>
Verdict identical(A const& a, B const& b) {
  return same_bits(grid(a), grid(b));
}

/// Entry by entry within so many ulp of the larger one; infinities and NaN in the same places.
template <class A, class B>
Verdict close(A const& a, B const& b, long double ulps) {
  return close_to(grid(a), grid(b), format_of<typename ScalarOf<A>::type>(), ulps);
}

/// Every entry is this value, to the sign of zero unless it is 0 itself.
template <class A>
Verdict all_are(A const& got, long double value) {
  return all_equal(grid(got), value);
}

}  // namespace support
