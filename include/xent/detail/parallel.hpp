// SPDX-License-Identifier: MIT
// xent/detail/parallel.hpp - work cut into chunks that the shape alone decides, so that threads never change a bit.
#pragma once

#include <Eigen/Core>

#include <algorithm>  // std::max, std::min
#include <array>
#include <type_traits>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace xent::detail {

/// At most this many chunks, so that their results fit on the stack, of at least so many coefficients, so that each is worth
/// its beginning and end.
inline constexpr Eigen::Index max_chunks = 64;
inline constexpr Eigen::Index least_chunk = 4096;

/// How a range is cut: every chunk is as long, but for the last one.
struct Chunks {
  Eigen::Index step = 0;
  Eigen::Index count = 0;
};

/// Chunks of [0, count), multiples of `grain`, for work on so many coefficients in all.
inline Chunks chunks_of(Eigen::Index count, Eigen::Index coefficients, Eigen::Index grain) {
  if (coefficients == 0) return {};
  const Eigen::Index even = (count + max_chunks - 1) / max_chunks;
  const Eigen::Index least = (least_chunk - 1) / std::max(Eigen::Index{1}, coefficients / count) + 1;
  const Eigen::Index step = (std::max(even, least) + grain - 1) / grain * grain;
  return {step, (count + step - 1) / step};
}

/// Below this many coefficients a fork costs more than it brings (an exp takes nanoseconds, a fork microseconds).
inline constexpr Eigen::Index fork_threshold = Eigen::Index{1} << 14;

// Translation units with and without OpenMP must not share these bodies, hence the two names.
#ifdef _OPENMP
inline namespace with_openmp {
#else
inline namespace without_openmp {
#endif

/// Whether there is more than one thread for such chunks: not where they are all at work for the caller already.
inline bool several_threads() {
#ifdef _OPENMP
  return omp_get_max_threads() > 1 && !omp_in_parallel();
#else
  return false;
#endif
}

/// Calls body(chunk, begin, end) for fixed chunks of [0, count), each of a multiple of `grain`, on the threads of the user's
/// OpenMP if there is one and `coefficients`, the work in all, is worth it. `body` must not throw.
template <bool threads_allowed, class Body>
void for_chunks(Eigen::Index count, Eigen::Index coefficients, Eigen::Index grain, const Body& body) {
  const Chunks chunks = chunks_of(count, coefficients, grain);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) if (threads_allowed && coefficients >= fork_threshold && chunks.count > 1)
#endif
  for (Eigen::Index chunk = 0; chunk < chunks.count; ++chunk) {
    body(chunk, chunk * chunks.step, std::min(count, (chunk + 1) * chunks.step));
  }
}

}  // inline namespace

/// Sums what body(begin, end) returns for each chunk, always in the same order.
template <bool threads_allowed, class Total, class Body>
Total sum_chunks(Eigen::Index count, Eigen::Index coefficients, Eigen::Index grain, const Body& body) {
  const Eigen::Index chunks = chunks_of(count, coefficients, grain).count;
  if (chunks == 1) return body(Eigen::Index{0}, count);  // 32 x 10 takes 1.1 times as long without
  std::array<Total, std::size_t(max_chunks)> parts;
  for_chunks<threads_allowed>(
      count, coefficients, grain,
      [&](Eigen::Index chunk, Eigen::Index begin, Eigen::Index end) { parts[std::size_t(chunk)] = body(begin, end); });
  Total total;
  for (Eigen::Index chunk = 0; chunk < chunks; ++chunk) total.add(parts[std::size_t(chunk)]);
  return total;
}

}  // namespace xent::detail
