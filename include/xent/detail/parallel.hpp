// SPDX-License-Identifier: MIT
// xent/detail/parallel.hpp - work cut into chunks that the shape alone decides, so that threads never change a bit.
#pragma once

#include <Eigen/Core>

#include <algorithm>  // std::min
#include <array>
#include <type_traits>

namespace xent::detail {

/// At most this many chunks, so that their results fit on the stack and each is worth a thread's while.
inline constexpr Eigen::Index max_chunks = 64;

/// Below this many coefficients a fork costs more than it brings (an exp takes nanoseconds, a fork microseconds).
inline constexpr Eigen::Index fork_threshold = Eigen::Index{1} << 14;

// Translation units with and without OpenMP must not share these bodies, hence the two names.
#ifdef _OPENMP
inline namespace with_openmp {
#else
inline namespace without_openmp {
#endif

/// Calls body(chunk, begin, end) for fixed chunks of [0, count), each of a multiple of `grain`, on the threads of the user's
/// OpenMP if there is one and `coefficients`, the work in all, is worth it. `body` must not throw.
template <bool threads_allowed, class Body>
void for_chunks(Eigen::Index count, [[maybe_unused]] Eigen::Index coefficients, Eigen::Index grain, const Body& body) {
  const Eigen::Index even = (count + max_chunks - 1) / max_chunks;
  const Eigen::Index step = (even + grain - 1) / grain * grain;
  const Eigen::Index chunks = step == 0 ? 0 : (count + step - 1) / step;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) if (threads_allowed && coefficients >= fork_threshold && chunks > 1)
#endif
  for (Eigen::Index chunk = 0; chunk < chunks; ++chunk) {
    body(chunk, chunk * step, std::min(count, (chunk + 1) * step));
  }
}

}  // inline namespace

/// Sums what body(begin, end) returns for each chunk, always in the same order.
template <bool threads_allowed, class Total, class Body>
Total sum_chunks(Eigen::Index count, Eigen::Index coefficients, Eigen::Index grain, const Body& body) {
  std::array<Total, std::size_t(max_chunks)> parts{};
  const auto sum_chunk = [&](Eigen::Index chunk, Eigen::Index begin, Eigen::Index end) {
    parts[std::size_t(chunk)] = body(begin, end);
  };
  for_chunks<threads_allowed>(count, coefficients, grain, sum_chunk);
  Total total;
  for (const Total& part : parts) total.add(part);
  return total;
}

}  // namespace xent::detail
