// SPDX-License-Identifier: MIT
// xent/detail/kernel/dispatch.hpp - the vector kernels of every instruction set, and the choice among them at run time.
#pragma once

#include <xent/detail/kernel/constants.hpp>

#include <cstddef>  // std::ptrdiff_t, std::size_t
#include <cstdint>
#include <cstdlib>  // std::getenv
#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <utility>  // std::integer_sequence

namespace xent::detail {

/// At most so many rows make a strip.
inline constexpr int strip_rows = 256;

/// A strip of rows in the making, see RowSum. Of float, lost is not used.
template <class T>
struct Strip {
  alignas(64) T max[strip_rows];
  alignas(64) T equal[strip_rows];
  alignas(64) T moved[strip_rows];
  alignas(64) T exponent[strip_rows];
  alignas(64) double sum[strip_rows];
  alignas(64) double lost[strip_rows];
};

/// What becomes of the rows of a strip, see StripKernels::outcomes and Factor.
template <class T>
struct StripOutcomes {
  alignas(64) double log_sum[strip_rows];
  alignas(64) double loss[strip_rows];
  alignas(64) T first[strip_rows];
  alignas(64) T second[strip_rows];
  alignas(64) T at_label[strip_rows];
};

/// The kernels, see rows.inl, strips.inl and tiles.inl.
template <class T>
struct Kernels {
  T (*row_maximum)(const T* z, std::ptrdiff_t size);
  RowSum (*row_sum)(const T* z, std::ptrdiff_t size, T max, T* kept);
  void (*row_scale)(T* kept, std::ptrdiff_t size, T first, T second);
  void (*row_shift)(const T* z, std::ptrdiff_t size, T max, T log_sum, T* out);
  void (*strip_maximum)(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, T* max);
  void (*strip_sums)(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, Strip<T>& strip, T* kept,
                     std::ptrdiff_t kept_stride);
  void (*strip_scale)(T* kept, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, const T* first,
                      const T* second);
  void (*strip_shift)(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, const T* max,
                      const T* log_sum, T* out, std::ptrdiff_t out_stride);
  void (*strip_outcomes)(const Strip<T>& strip, int rows, const T* z, const double* b, double scale, bool gradient,
                         StripOutcomes<T>& outcomes);
  void (*gather)(const T* z, std::ptrdiff_t row_stride, int classes, int rows, T* strip, std::ptrdiff_t stride);
  void (*scatter)(const T* strip, std::ptrdiff_t stride, int classes, int rows, T* out, std::ptrdiff_t row_stride);
};

/// Rows with a coefficient for each class, see dense.inl. What the passes are told, and what they find:
struct DenseStrip {
  alignas(64) double max[strip_rows];
  alignas(64) double kept[strip_rows];
  alignas(64) double even[strip_rows];
  alignas(64) double unmasked[strip_rows];  // the number of logits that are not -inf
  alignas(64) double exps[strip_rows];      // the sum of exp(z - max) over all z < max
  alignas(64) double ties[strip_rows];      // the number of z = max
  alignas(64) double loss[strip_rows];      // the sum of b (max - z)
  alignas(64) double others[strip_rows];    // the sum of b over all z < max
  alignas(64) double leading[strip_rows];   // the sum of b over all z = max
  alignas(64) double share[strip_rows];     // 1 / (1 + tail), and for the gradient scale (all p - b):
  alignas(64) double beside[strip_rows];    // tail / (1 + tail)
  alignas(64) double all[strip_rows];
  alignas(64) double rest[strip_rows];  // all without `leading`
  alignas(64) double scale[strip_rows];
};

struct DenseTable {
  using Row = void (*)(const float* z, const float* t, const float* w, std::ptrdiff_t classes, DenseStrip& strip,
                       float* out);
  using Strip = void (*)(const float* z, std::ptrdiff_t z_stride, const float* t, std::ptrdiff_t t_stride,
                         const float* w, std::ptrdiff_t classes, int rows, DenseStrip& strip, float* out,
                         std::ptrdiff_t out_stride);
  Row row_count;
  Row row_sums;
  Row row_gradient;
  Strip strip_count;
  Strip strip_sums;
  Strip strip_gradient;
};

/// What the kernel of the binary cross-entropy is told about a block of elements: targets become kept t + even, and the
/// elements' weights, all 1 where there are none.
struct BinaryTerms {
  double kept;
  double even;
  const double* weight;
  const double* pos_weight;
};

/// The kernels for single elements in float, see elements.inl.
struct BinaryKernels {
  using Map = void (*)(const float* x, std::ptrdiff_t size, float* out);
  Map sigmoid;
  Map log_sigmoid;
  Map softplus;
  double (*binary)(const float* z, const float* t, int size, const BinaryTerms& terms, double scale, float* slope,
                   float* loss);
};

// Code that depends on flags carries them in its name, so that a linker never takes one unit's for another's.
#if defined(__AVX512F__)
inline namespace flags_avx512 {
#elif defined(__AVX2__)
inline namespace flags_avx2 {
#else
inline namespace flags_baseline {
#endif
#ifdef __FAST_MATH__
inline namespace flags_fast_math {
#else
inline namespace flags_precise_math {
#endif

#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)

#if defined(__x86_64__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), \
                                 apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")
#endif
namespace avx512 {
#include <xent/detail/kernel/kernels.inl>
}
#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#include <xent/detail/kernel/kernels.inl>
}
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__

/// 16 bytes: SSE2 on x86-64, NEON on AArch64, whatever the compiler makes of it elsewhere.
namespace baseline {
#include <xent/detail/kernel/kernels.inl>
}

/// The kernels of a named set, null if the machine lacks it or there is no such set.
template <class Table>
const Table* table_of(std::string_view set) {
#if defined(__x86_64__)
  if (set == "avx512" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    return &avx512::TableOf<Table, 64>::value;
  }
  if (set == "avx2" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return &avx2::TableOf<Table, 32>::value;
  }
#endif
  const bool sixteen_bytes = set == "baseline" || set == "sse2" || set == "neon";
  return sixteen_bytes ? &baseline::TableOf<Table, 16>::value : nullptr;
}

/// The widest set of the machine. The environment variable XENT_FORCE_ISA asks for another, for tests and measurements:
/// avx512, avx2, baseline (which is sse2 or neon), or portable for the scalar code.
template <class Table>
const Table* choose_table() {
  const char* forced = std::getenv("XENT_FORCE_ISA");
  if (forced != nullptr && std::string_view(forced) == "portable") return nullptr;
  for (const char* set : {forced != nullptr ? forced : "avx512", "avx512", "avx2"}) {
    if (const Table* table = table_of<Table>(set)) return table;
  }
  return table_of<Table>("baseline");
}

#else

template <class Table>
const Table* choose_table() {
  return nullptr;
}

#endif

/// The kernels for this machine, or null for the scalar code. Looked up once.
template <class Table>
const Table* kernel_table() {
  static const Table* const table = choose_table<Table>();
  return table;
}

template <class T>
const Kernels<T>* kernels() {
  return kernel_table<Kernels<T>>();
}

}  // inline namespace
}  // inline namespace

}  // namespace xent::detail
