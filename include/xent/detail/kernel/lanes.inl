// SPDX-License-Identifier: MIT
// xent/detail/kernel/lanes.inl - a register of numbers, its exp and log1p, once for each instruction set.
//
// The kernels are included in the namespace of their set and between its target pragmas. Their arithmetic is the
// compilers' own on vectors: no intrinsics. No lambdas or default member initializers either: they would not inherit the
// target.

template <class T, int bytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(bytes)));
};

/// What -ffast-math must not fold into what comes next.
template <class Reg>
inline void hide([[maybe_unused]] Reg& x) {
#ifdef __FAST_MATH__
  asm("" : "+m"(x));
#endif
}

/// Asks for what stands `ahead` scalars after p, wherever that is.
template <class T>
inline void prefetch(const T* p, std::ptrdiff_t ahead) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + std::uintptr_t(ahead) * sizeof(T)));
}

/// x * first * second, one after the other.
template <class X, class Y>
X times(X x, Y first, Y second) {
  x = x * first;
  hide(x);
  return x * second;
}

/// x - first - second, one after the other.
template <class X, class Y>
X less(X x, Y first, Y second) {
  x = x - first;
  hide(x);
  return x - second;
}

/// A register of numbers.
template <class T, int bytes>
struct Lanes {
  using K = ExpConstants<T>;
  using Reg = typename VectorOf<T, bytes>::type;
  using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  using Bits = typename VectorOf<Word, bytes>::type;
  typedef T Unaligned __attribute__((vector_size(bytes), aligned(sizeof(T)), may_alias));
  static constexpr int count = bytes / int(sizeof(T));

  static Reg set(T x) { return x - Reg{}; }
  static Reg load(const T* p) { return *reinterpret_cast<const Unaligned*>(p); }
  static void store(T* p, Reg x) { *reinterpret_cast<Unaligned*>(p) = x; }
  /// b where one of them is NaN.
  static Reg larger(Reg a, Reg b) { return a > b ? a : b; }

  /// Which lanes are not before the n-th.
  static auto from(int n) {
    Reg index = Reg{};
    for (int k = 0; k < count; ++k) index[k] = T(k);
    return index >= T(n);
  }

  /// The sum of all lanes, as a tree.
  static T sum(Reg x) {
    T lane[std::size_t(count)];
    store(lane, x);
    for (int n = count / 2; n > 0; n /= 2) {
      for (int k = 0; k < n; ++k) lane[k] += lane[k + n];
    }
    return lane[0];
  }

  [[gnu::always_inline]] static Reg round(Reg x) {
    Reg y = x + K::to_integer;
    hide(y);
    y = y - K::to_integer;
    hide(y);
    return y;
  }

  /// 2^n from n + to_exponent, for integers n that leave it a normal number.
  [[gnu::always_inline]] static Reg power_of_2(Reg biased) {
    return reinterpret_cast<Reg>(reinterpret_cast<Bits>(biased) << K::mantissa_bits);
  }

  /// The polynomial with these coefficients, highest power first. A recursion, since at -O2 a loop would stay one.
  template <std::size_t n>
  [[gnu::always_inline]] static Reg polynomial(const T (&c)[n], Reg x) {
    return horner<1>(c, x, set(c[0]));
  }

  /// exp(r) - 1 for |r| <= ln(2) / 2
  [[gnu::always_inline]] static Reg exp_rest(Reg r) { return r * r * polynomial(K::polynomial, r) + r; }

  /// x - n ln 2
  [[gnu::always_inline]] static Reg reduced(Reg x, Reg n) {
    Reg r = x - n * K::ln2_high;
    hide(r);
    return r - n * K::ln2_low;
  }

 private:
  template <std::size_t i, std::size_t n>
  [[gnu::always_inline]] static Reg horner(const T (&c)[n], Reg x, Reg sum) {
    if constexpr (i < n) {
      return horner<i + 1>(c, x, sum * x + c[i]);
    } else {
      return sum;
    }
  }
};

/// exp in the units of a row's maximum: 2^lift exp(z) / (exp(moved) 2^exponent), each z reduced by itself. Rounding z - max
/// first would cost up to 60 ulp in float and 500 in double.
template <class T, int bytes>
struct RowExp {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;

  Reg moved, lowest, exponent, to_exponent;

  explicit RowExp(Reg max) {
    moved = ((max < K::reach) & (max > -K::reach)) ? Reg{} : max;
    lowest = (max - moved) - K::range;
    exponent = L::round((max - moved) * K::log2_e);
    to_exponent = K::to_exponent + T(K::lift) - exponent;
  }

  [[gnu::always_inline]] Reg operator()(Reg z) const {
    const Reg x = L::larger(lowest, z - moved);
    const Reg n = L::round(x * K::log2_e);
    const Reg unit = L::power_of_2(n + to_exponent);
    return L::exp_rest(L::reduced(x, n)) * unit + unit;
  }
};

/// A total in double of many registers.
template <class T, int bytes>
struct Total {
  using Reg = typename VectorOf<T, bytes>::type;
  using Half = typename VectorOf<T, bytes / 2>::type;
  using Wide = typename VectorOf<double, bytes>::type;

  Wide sum, other;  // of float: the sums of the halves; of double: the sum and what its rounding lost

  Total() : sum(Wide{}), other(Wide{}) {}

  void add(Reg x) {
    if constexpr (sizeof(T) == 4) {
      Half half[2];
      __builtin_memcpy(half, &x, sizeof(x));
      sum += __builtin_convertvector(half[0], Wide);
      other += __builtin_convertvector(half[1], Wide);
    } else {
      const Wide s = sum + x;
      Wide seen = s - sum;
      hide(seen);
      Wide kept = s - seen;
      hide(kept);
      other += (sum - kept) + (x - seen);
      sum = s;
    }
  }
};

/// log(1 + x) for x >= 0: k ln 2 + 2 atanh(f) with 1 + x = 2^k m, m in [0.7, 1.42), f = (m - 1) / (m + 1), where m - 1 is x
/// itself for k = 0, so that small x keep their digits. Relative error 1e-14: for results in float.
template <int bytes>
[[gnu::always_inline]] inline typename VectorOf<double, bytes>::type log1p(typename VectorOf<double, bytes>::type x) {
  using L = Lanes<double, bytes>;
  using Bits = typename L::Bits;
  const auto bits = reinterpret_cast<Bits>(x + 1.0);
  const Bits biased = (bits + (0x3FF0000000000000u - 0x3FE6A09E667F3BCDu)) >> 52;
  const auto k = reinterpret_cast<typename L::Reg>(biased | 0x4330000000000000u) - (0x1p52 + 1023.0);
  const auto mantissa = reinterpret_cast<typename L::Reg>(bits - ((biased - 1023u) << 52));
  const auto above = k == 0.0 ? x : mantissa - 1.0;
  const auto f = above / (above + 2.0);
  const auto square = f * f;
  constexpr double atanh[8] = {2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3, 2.0};
  return k * 0.693147180559945309417 + f * L::polynomial(atanh, square);
}

/// exp(-x) for x >= 0; beyond 708 that of 708, which is no more than 0 to a float.
template <int bytes>
[[gnu::always_inline]] inline typename VectorOf<double, bytes>::type exp_of_minus(
    typename VectorOf<double, bytes>::type x) {
  using L = Lanes<double, bytes>;
  const auto z = L::larger(L::set(-708.0), -x);
  const auto n = L::round(z * L::K::log2_e);
  const auto unit = L::power_of_2(n + L::K::to_exponent);
  return L::exp_rest(L::reduced(z, n)) * unit + unit;
}
