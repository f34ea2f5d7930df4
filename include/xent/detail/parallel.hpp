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

/// Chunks of [0, count), multiples of `grain` or all of it, for work on so many coefficients in all.
inline Chunks chunks_of(Eigen::Index count, Eigen::Index coefficients, Eigen::Index grain) {
  if (coefficients <= least_chunk) return {count, std::min(count, Eigen::Index{1})};
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

/// As OpenMP has it.
inline int most_threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/// Whether there is more than one thread for the chunks: not where they are all at work for the caller already.
inline bool several_threads() {
#ifdef _OPENMP
  return most_threads() > 1 && !omp_in_parallel();
#else
  return false;
#endif
}

/// Calls body(begin, end) for the parts of [0, count) that the threads of the user's OpenMP get, if there is one and
/// `coefficients`, the work in all, is worth it. A part is some chunks, one after the other. `body` must not throw.
template <bool threads_allowed, class Body>
void for_parts(Eigen::Index count, const Chunks& chunks, Eigen::Index coefficients, const Body& body) {
  const Eigen::Index threads = threads_allowed && coefficients >= fork_threshold ? most_threads() : 1;
  const Eigen::Index parts = std::min(threads, chunks.count);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) if (parts > 1)
#endif
  for (Eigen::Index part = 0; part < parts; ++part) {
    const Eigen::Index first = part * chunks.count / parts;
    const Eigen::Index last = (part + 1) * chunks.count / parts;
    body(first * chunks.step, std::min(count, last * chunks.step));
  }
}

}  // inline namespace

/// The total of the chunk with i; with a step of 0 there is one.
template <class Total>
struct ChunkTotals {
  Total* totals;
  Eigen::Index step;

  Total& operator()(Eigen::Index i) const { return totals[step == 0 ? 0 : i / step]; }
};

/// What is added to total_of(i) goes to the total of the chunk with i, and these are summed, always in the same order.
/// body(begin, end, total_of) is called as by for_parts.
template <bool threads_allowed, class Total, class Body>
Total sum_parts(Eigen::Index count, const Chunks& chunks, Eigen::Index coefficients, const Body& body) {
  Total sum;
  if (chunks.count == 1) {  // 32 x 10 takes 1.1 times as long without
    body(Eigen::Index{0}, count, ChunkTotals<Total>{&sum, 0});
    return sum;
  }
  std::array<Total, std::size_t(max_chunks)> totals;
  for_parts<threads_allowed>(count, chunks, coefficients, [&](Eigen::Index begin, Eigen::Index end) {
    body(begin, end, ChunkTotals<Total>{totals.data(), chunks.step});
  });
  for (Eigen::Index chunk = 0; chunk < chunks.count; ++chunk) sum.add(totals[std::size_t(chunk)]);
  return sum;
}

}  // namespace xent::detail
