// SPDX-License-Identifier: MIT
// The limits of this machine, for the very arrays of the problem: its bytes moved once and nothing else done, and its
// exponentials taken in the first-level cache and nothing else done. Compiled with -O3 -march=native.
#include "peer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <type_traits>

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace bench {

namespace {

// --- memory ------------------------------------------------------------------------------------------------------------

/// Reads everything; four running values, so that no addition waits for the one before.
std::uint64_t read(const void* from, Index bytes) {
  const auto* words = static_cast<const std::uint64_t*>(from);
  const Index count = bytes / Index(sizeof(std::uint64_t)), quarter = count / 4;
  std::uint64_t a = 0, b = 0, c = 0, d = 0;
  for (Index i = 0; i < quarter; ++i) {
    a ^= words[i];
    b ^= words[i + quarter];
    c ^= words[i + 2 * quarter];
    d ^= words[i + 3 * quarter];
  }
  return a ^ b ^ c ^ d;
}

#ifdef __SSE2__
/// Stores past the caches: no line is read before it is written. Arrays are aligned by 64.
void copy_past_caches(void* to, const void* from, Index bytes) {
  const auto* source = static_cast<const char*>(from);
  auto* target = static_cast<char*>(to);
  const Index whole = bytes / 64 * 64;
  for (Index i = 0; i < whole; i += 64) {
#ifdef __AVX512F__
    _mm512_stream_si512(reinterpret_cast<__m512i*>(target + i), _mm512_loadu_si512(source + i));
#else
    for (Index k = i; k < i + 64; k += 16) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(target + k),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + k)));
    }
#endif
  }
  std::memcpy(target + whole, source + whole, std::size_t(bytes - whole));
  _mm_sfence();
}
#endif

void update(void* data, Index bytes) {
  auto* words = static_cast<std::uint64_t*>(data);
  for (Index i = 0; i < bytes / Index(sizeof(std::uint64_t)); ++i) words[i] ^= 1;
}

// --- exp ---------------------------------------------------------------------------------------------------------------

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class Scalar>
struct Vectors;
template <>
struct Vectors<float> {
  typedef float Real __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
  typedef std::int32_t Bits __attribute__((vector_size(vector_bytes)));
  static constexpr float magic = 12582912;  // 1.5 * 2^23: adding it rounds to an integer, found in the lowest bits
  static constexpr float high = 0x1.62e4p-1f, low = 0x1.7f7d1cp-20f;  // of ln 2
  static constexpr int mantissa = 23;
  static constexpr std::array<float, 7> factors{1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1, 1};
};
template <>
struct Vectors<double> {
  typedef double Real __attribute__((vector_size(vector_bytes), aligned(8), may_alias));
  typedef std::int64_t Bits __attribute__((vector_size(vector_bytes)));
  static constexpr double magic = 6755399441055744;  // 1.5 * 2^52
  static constexpr double high = 0x1.62e42fefap-1, low = 0x1.cf79abc9e3b39p-40;
  static constexpr int mantissa = 52;
  static constexpr std::array<double, 12> factors{
      1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
      1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5,         1,          1};
};

/// exp by 2^n times a polynomial: the operations that any exp of full accuracy has to do, and no care for arguments out of
/// range. The factors are Taylor's; better ones of the same degree take as long.
template <class Scalar>
struct PolynomialExp {
  using V = Vectors<Scalar>;
  using Real = typename V::Real;

  __attribute__((always_inline)) Real operator()(Real x) const {
    constexpr Scalar log2e = Scalar(1.4426950408889634);
    const Real shifted = x * log2e + V::magic;
    const Real n = shifted - V::magic;
    const Real r = (x - n * V::high) - n * V::low;
    Real sum = r * V::factors[0] + V::factors[1];
    for (std::size_t k = 2; k < V::factors.size(); ++k) sum = sum * r + V::factors[k];
    return (Real)((typename V::Bits)sum + ((typename V::Bits)shifted << V::mantissa));
  }
};

/// The same with fewer operations where a register can be a table: 2^n in steps of 1 / lanes.
#if defined(__AVX512F__) || defined(__AVX2__)
struct TableExp {
  using V = Vectors<float>;
  static constexpr int lanes = vector_bytes / 4;
  static constexpr int step_bits = lanes == 16 ? 19 : 20;
  static constexpr float magic = 12582912.0f / lanes;

  V::Bits powers;

  TableExp() {
    for (int j = 0; j < lanes; ++j) {
      const float power = std::exp2(float(j) / lanes);
      std::int32_t bits;
      std::memcpy(&bits, &power, sizeof(bits));
      powers[j] = bits - (j << step_bits);
    }
  }

  __attribute__((always_inline)) V::Real operator()(V::Real x) const {
    const V::Real steps = x * 1.44269504f + magic;
    const V::Real n = steps - magic;
    const V::Real r = (x - n * V::high) - n * V::low;
    const auto index = (V::Bits)steps;
#ifdef __AVX512F__
    const auto power = (V::Bits)_mm512_permutexvar_ps((__m512i)index, (__m512)powers);
    const V::Real factor = r * (1.0f / 6) + 0.5f;
#else
    const auto power = (V::Bits)_mm256_permutevar8x32_ps((__m256)powers, (__m256i)index);
    const V::Real factor = (r * (1.0f / 24) + 1.0f / 6) * r + 0.5f;
#endif
    const auto unit = (V::Real)(power + (index << step_bits));
    return (r * r * factor + r) * unit + unit;
  }
};
#endif

/// The exponentials of `count` numbers that lie in the first-level cache.
template <class Scalar, class Exp>
double exponentials(const std::vector<Scalar>& block, Index count, const Exp& exp) {
  using Real = typename Vectors<Scalar>::Real;
  constexpr Index lanes = Index(vector_bytes / sizeof(Scalar)), step = 4 * lanes;
  const Index size = Index(block.size());
  Real sums[4] = {};
  for (Index done = 0; done < count; done += size) {
    const Index end = std::min(size, count - done);
    for (Index i = 0; i < end; i += step) {
      for (std::size_t k = 0; k < 4; ++k) {
        sums[k] += exp(*reinterpret_cast<const Real*>(block.data() + i + Index(k) * lanes));
      }
    }
  }
  const Real sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double total = 0;
  for (Index k = 0; k < lanes; ++k) total += double(sum[k]);
  return total;
}

}  // namespace

template <class Scalar>
Ways limit_ways(const Problem<Scalar>& p) {
  const Index bytes = p.size() * Index(sizeof(Scalar));
  const auto read_targets = [=] {
    std::uint64_t all = 0;
    if (p.labels != nullptr) all ^= read(p.labels, p.rows * Index(sizeof(std::int64_t)));
    if (p.targets != nullptr) all ^= read(p.targets, bytes);
    return double(all & 1);
  };
  const bool writes = p.gradient || p.function == Function::softmax || p.function == Function::log_softmax;
  Ways ways;
  if (!writes) {
    ways.push_back({"limit-memory:read", [=] { return double(read(p.logits, bytes) & 1) + read_targets(); }});
  } else if (p.in_place()) {
    ways.push_back({"limit-memory:update", [=] { return update(p.out, bytes), read_targets(); }});
  } else {
    ways.push_back(
        {"limit-memory:copy", [=] { return std::memcpy(p.out, p.logits, std::size_t(bytes)), read_targets(); }});
#ifdef __SSE2__
    ways.push_back({"limit-memory:stream", [=] { return copy_past_caches(p.out, p.logits, bytes), read_targets(); }});
#endif
  }
  std::vector<Scalar> block(16384 / sizeof(Scalar));
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = -Scalar(i % 64) / 8;
  ways.push_back({"limit-exp:polynomial", [=] { return exponentials(block, p.size(), PolynomialExp<Scalar>()); }});
#if defined(__AVX512F__) || defined(__AVX2__)
  if constexpr (std::is_same_v<Scalar, float>) {
    ways.push_back({"limit-exp:table", [=] { return exponentials(block, p.size(), TableExp()); }});
  }
#endif
  return ways;
}

template Ways limit_ways(const Problem<float>&);
template Ways limit_ways(const Problem<double>&);

}  // namespace bench
