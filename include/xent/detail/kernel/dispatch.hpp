// SPDX-License-Identifier: MIT
// xent/detail/kernel/dispatch.hpp - the row kernels of every instruction set, and the choice among them at run time.
#pragma once

#include <xent/detail/kernel/exp_constants.hpp>

#include <cstddef>  // std::ptrdiff_t
#include <cstdint>
#include <cstdlib>  // std::getenv
#include <initializer_list>
#include <string_view>
#include <type_traits>

namespace xent::detail {

/// The kernels for one contiguous row of T, see row_kernel.inl.
template <class T>
struct RowKernels {
  bool (*maximum)(const T* z, std::ptrdiff_t size, T* result);
  RowSum (*sum)(const T* z, std::ptrdiff_t size, T max);
  void (*exps)(const T* z, std::ptrdiff_t size, T max, T factor, T low, int exponent, T* out);
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
#include <xent/detail/kernel/row_kernel.inl>
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
#include <xent/detail/kernel/row_kernel.inl>
}
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__

/// 16 bytes: SSE2 on x86-64, NEON on AArch64, whatever the compiler makes of it elsewhere.
namespace baseline {
#include <xent/detail/kernel/row_kernel.inl>
}

/// The row kernels of a named set, null if the machine lacks it or there is no such set.
template <class T>
const RowKernels<T>* row_kernels_of(std::string_view set) {
#if defined(__x86_64__)
  if (set == "avx512" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    return &avx512::RowKernel<T, 64>::table;
  }
  if (set == "avx2" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return &avx2::RowKernel<T, 32>::table;
  }
#endif
  const bool sixteen_bytes = set == "baseline" || set == "sse2" || set == "neon";
  return sixteen_bytes ? &baseline::RowKernel<T, 16>::table : nullptr;
}

/// The widest set of the machine. The environment variable XENT_FORCE_ISA asks for another, for tests and measurements:
/// avx512, avx2, baseline (which is sse2 or neon), or portable for the scalar code.
template <class T>
const RowKernels<T>* choose_row_kernels() {
  const char* forced = std::getenv("XENT_FORCE_ISA");
  if (forced != nullptr && std::string_view(forced) == "portable") return nullptr;
  for (const char* set : {forced != nullptr ? forced : "avx512", "avx512", "avx2"}) {
    if (const RowKernels<T>* kernels = row_kernels_of<T>(set)) return kernels;
  }
  return row_kernels_of<T>("baseline");
}

#else

template <class T>
const RowKernels<T>* choose_row_kernels() {
  return nullptr;
}

#endif

/// The kernels for this machine, or null for the scalar code. Looked up once.
template <class T>
const RowKernels<T>* row_kernels() {
  static const RowKernels<T>* const kernels = choose_row_kernels<T>();
  return kernels;
}

}  // inline namespace
}  // inline namespace

}  // namespace xent::detail
