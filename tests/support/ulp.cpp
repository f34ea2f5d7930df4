// SPDX-License-Identifier: MIT
// tests/support/ulp.cpp - see ulp.hpp.
#include "ulp.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <sstream>

namespace support {
namespace {

constexpr long double infinity = std::numeric_limits<long double>::infinity();

long double ulp_at(long double scale, Format const& format) {
  return std::ldexp(1.0L, std::ilogb(std::min(scale, format.largest)) - (format.digits - 1));
}

std::string place(Grid const& got, std::size_t j) {
  std::ostringstream text;
  Index const position = static_cast<Index>(j);
  text << "entry (" << position / std::max<Index>(1, got.cols) << ", " << position % std::max<Index>(1, got.cols)
       << ") of " << got.rows << " x " << got.cols << ": ";
  text.precision(21);
  return text.str();
}

std::string shape(Grid const& g) { return std::to_string(g.rows) + " x " + std::to_string(g.cols); }

Verdict different_sizes(std::size_t a, std::size_t b) {
  return Verdict("sizes differ: " + std::to_string(a) + " and " + std::to_string(b));
}

std::string show(long double x) {
  std::ostringstream text;
  text.precision(21);
  text << x;
  return text.str();
}

}  // namespace

Error error_of(long double got, Exact const& exact, Format const& format) {
  if (std::isnan(exact.hi)) return {std::isnan(got) ? 0.0L : infinity, false};
  if (std::isnan(got)) return {infinity, false};
  if (std::isinf(exact.hi)) return {got == exact.hi ? 0.0L : infinity, false};
  long double const smallest_normal = std::ldexp(1.0L, format.min_exponent - 1);
  long double const scale = std::max(std::fabs(exact.hi), std::fabs(exact.scale));
  if (std::isinf(got)) {
    if ((got > 0) != (exact.hi > 0)) return {infinity, false};
    long double const beyond = format.largest + ulp_at(format.largest, format);
    if (std::fabs(exact.hi) >= beyond) return {0, false};
    return {(beyond - std::fabs(exact.hi)) / ulp_at(format.largest, format), false};
  }
  long double const difference = std::fabs((got - exact.hi) - exact.lo);
  if (scale < smallest_normal) return {difference / smallest_normal, true};
  return {difference / ulp_at(scale, format), false};
}

void Worst::add(Error const& error) {
  long double& place = error.below_normal ? below_normal : ulp;
  if (!(error.size <= place)) place = error.size;
}

void Worst::add(Worst const& other) {
  if (!(other.ulp <= ulp)) ulp = other.ulp;
  if (!(other.below_normal <= below_normal)) below_normal = other.below_normal;
}

Worst worst(Grid const& got, Exacts const& exact, Format const& format) {
  Worst result;
  if (got.values.size() != exact.size()) result.ulp = infinity;
  for (std::size_t j = 0; j < std::min(exact.size(), got.values.size()); ++j)
    result.add(error_of(got.values[j], exact[j], format));
  return result;
}

std::ostream& operator<<(std::ostream& out, Verdict const& verdict) {
  return out << (verdict.failure_.empty() ? std::string("as it should be") : verdict.failure_);
}

Verdict within_ulp(Grid const& got, Exacts const& exact, Format const& format, long double ulps,
                   long double smallest_normals) {
  if (got.values.size() != exact.size()) return different_sizes(got.values.size(), exact.size());
  long double highest = 0;
  std::string failure;
  for (std::size_t j = 0; j < exact.size(); ++j) {
    Error const error = error_of(got.values[j], exact[j], format);
    long double const share = error.size / (error.below_normal ? smallest_normals : ulps);
    if (share <= 1) continue;
    if (!failure.empty() && share <= highest) continue;
    highest = share;
    failure = place(got, j) + "got " + show(got.values[j]) + ", exact " + show(exact[j].hi) + " at scale " +
              show(exact[j].scale) + ", error " + show(error.size) +
              (error.below_normal ? " smallest normals" : " ulp");
  }
  return failure.empty() ? Verdict() : Verdict(failure);
}

Verdict same_bits(Grid const& a, Grid const& b) {
  if (a.rows != b.rows || a.cols != b.cols) return Verdict("shapes differ: " + shape(a) + " and " + shape(b));
  for (std::size_t j = 0; j < a.values.size(); ++j) {
    long double const x = a.values[j];
    long double const y = b.values[j];
    bool const same = std::isnan(x) ? std::isnan(y) : (x == y && std::signbit(x) == std::signbit(y));
    if (!same) return Verdict(place(a, j) + show(x) + " is not " + show(y));
  }
  return Verdict();
}

Verdict close_to(Grid const& a, Grid const& b, Format const& format, long double ulps) {
  if (a.values.size() != b.values.size()) return different_sizes(a.values.size(), b.values.size());
  Exacts exact;
  for (std::size_t j = 0; j < b.values.size(); ++j)
    exact.push_back({b.values[j], 0, std::max(std::fabs(a.values[j]), std::fabs(b.values[j]))});
  return within_ulp(a, exact, format, ulps, 2);
}

Verdict all_equal(Grid const& got, long double value) {
  for (std::size_t j = 0; j < got.values.size(); ++j) {
    long double const x = got.values[j];
    if (std::isnan(value) ? !std::isnan(x) : !(x == value))
      return Verdict(place(got, j) + show(x) + " is not " + show(value));
  }
  return Verdict();
}

}  // namespace support
