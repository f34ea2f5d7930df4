// SPDX-License-Identifier: MIT
// xent/detail/kernel/lanes.inl - a register of numbers, its exp and log1p, once for each instruction set.
//
// The kernels are included in the namespace of their set and between its target pragmas. Their arithmetic is the
// compilers' own on vectors: no intrinsics, and three instructions spelt out. No lambdas or default member initializers
// either: they would not inherit the target.

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

/// A product that g++ would contract with what it is added to, but only where nothing else is made of it, and of two products the one
/// or the other.
template <class Reg>
[[gnu::always_inline]] inline Reg as_rounded(Reg product) {
#ifdef __x86_64__
  asm("" : "+v"(product));
#else
  asm("" : "+w"(product));
#endif
  return product;
}

/// 0, or NaN where x is not finite.
template <class Reg>
[[gnu::always_inline]] inline Reg nothing_of(Reg x) {
  Reg same = x;
  hide(same);
  Reg nothing = same - x;
  hide(nothing);
  return nothing;
}

/// Asks for what stands `ahead` scalars after p, wherever that is: into the second cache, or the nearest.
/// Inlined, for g++ takes calls for useless that do nothing else.
enum class Cache { second = 2, nearest = 3 };
template <Cache cache, bool to_write = false, class T>
[[gnu::always_inline]] inline void prefetch(const T* p, std::ptrdiff_t ahead) {
  const auto address = reinterpret_cast<std::uintptr_t>(p) + std::uintptr_t(ahead) * sizeof(T);
  __builtin_prefetch(reinterpret_cast<const void*>(address), int(to_write), int(cache));
}

/// Holds what is asked for next back until x is there. Compilers would gather all requests of a block at its beginning, where they
/// fill the queues at once and then leave them empty.
template <class Reg>
[[gnu::always_inline]] inline void in_turn([[maybe_unused]] Reg& x) {
#if defined(__x86_64__)
  asm volatile("" : "+v"(x));
#elif defined(__aarch64__)
  asm volatile("" : "+w"(x));
#endif
}

/// So that other threads see what was stored past the caches when they see what is stored next.
inline void past_caches_done() {
#ifdef __x86_64__
  __builtin_ia32_sfence();
#endif
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

/// Doubles of floats; g++ 12 needs four instructions where there is one.
template <int bytes>
[[gnu::always_inline]] inline typename VectorOf<double, bytes>::type widened(
    typename VectorOf<float, bytes / 2>::type x) {
#if defined(__x86_64__) && !defined(__clang__)
  if constexpr (bytes > 16) {
    typename VectorOf<double, bytes>::type wide;
    asm("vcvtps2pd %1, %0" : "=v"(wide) : "vm"(x));
    return wide;
  }
#endif
  return __builtin_convertvector(x, typename VectorOf<double, bytes>::type);
}

/// Two registers as one, and two of doubles as one of floats.
template <class Half, int... i>
auto joined(Half low, Half high, std::integer_sequence<int, i...>) {
  return __builtin_shufflevector(low, high, i...);
}
template <int bytes, class Wide>
[[gnu::always_inline]] inline typename VectorOf<float, bytes>::type narrowed(Wide low, Wide high) {
  using Half = typename VectorOf<float, bytes / 2>::type;
  return joined(__builtin_convertvector(low, Half), __builtin_convertvector(high, Half),
                std::make_integer_sequence<int, bytes / 4>());
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

  struct Halves {
    typename VectorOf<T, bytes / 2>::type low, high;
    explicit Halves(Reg x) { __builtin_memcpy(this, &x, sizeof(x)); }
  };

  static Reg set(T x) { return x - Reg{}; }
  static Reg load(const T* p) { return *reinterpret_cast<const Unaligned*>(p); }
  static void store(T* p, Reg x) { *reinterpret_cast<Unaligned*>(p) = x; }
  /// Past the caches, so that no line is read before it is written; p is a multiple of the register's size. To be followed by
  /// past_caches_done().
  [[gnu::always_inline]] static void store_past_caches(T* p, Reg x) {
#if defined(__clang__)
    __builtin_nontemporal_store(x, reinterpret_cast<Reg*>(p));
#elif defined(__x86_64__)
    using Floats = typename VectorOf<float, bytes>::type;
    const Floats bits = reinterpret_cast<Floats>(x);
    float* const to = reinterpret_cast<float*>(p);
    if constexpr (bytes == 64) __builtin_ia32_movntps512(to, bits);
    if constexpr (bytes == 32) __builtin_ia32_movntps256(to, bits);
    if constexpr (bytes == 16) __builtin_ia32_movntps(to, bits);
#else
    store(p, x);
#endif
  }
  /// So many scalars after p that is a multiple of the register's size.
  static int lead_of(const T* p) {
    return int(-reinterpret_cast<std::uintptr_t>(p) % std::uintptr_t(bytes) / sizeof(T));
  }
  /// Of double: from floats and to floats.
  using Narrow = typename VectorOf<float, bytes / 2>::type;
  static Reg load_wider(const float* p) {
    Narrow x;
    __builtin_memcpy(&x, p, sizeof(x));
    return widened<bytes>(x);
  }
  static Reg load_wider(const double* p) { return load(p); }
  static void store_narrower(float* p, Reg x) {
    const Narrow y = __builtin_convertvector(x, Narrow);
    __builtin_memcpy(p, &y, sizeof(y));
  }
  static void store_narrower(double* p, Reg x) { store(p, x); }

  /// b where one of them is NaN.
  static Reg larger(Reg a, Reg b) { return a > b ? a : b; }

  static Reg magnitude(Reg x) { return reinterpret_cast<Reg>(reinterpret_cast<Bits>(x) << 1 >> 1); }

  /// The sum and the largest of all lanes, as trees.
  static T sum(Reg x) {
    if constexpr (bytes > 16) {
      const Halves half(x);
      return Lanes<T, bytes / 2>::sum(half.low + half.high);
    } else {
      T total = x[0];
      for (int k = 1; k < count; ++k) total += x[k];
      return total;
    }
  }
  static T largest(Reg x) {
    if constexpr (bytes > 16) {
      const Halves half(x);
      return Lanes<T, bytes / 2>::largest(Lanes<T, bytes / 2>::larger(half.low, half.high));
    } else {
      T most = x[0];
      for (int k = 1; k < count; ++k) most = x[k] > most ? x[k] : most;
      return most;
    }
  }

  /// Neither inf nor NaN in any lane; by their bits, for -ffast-math knows neither.
  static bool all_finite(Reg x) {
    constexpr Word least = Word(1) << K::mantissa_bits;  // carries the exponent of these into the sign
    return !any_sign(reinterpret_cast<Bits>(magnitude(x)) + least);
  }
  /// |x| < limit in all lanes, which are not NaN then.
  static bool all_within(Reg x, T limit) {
    return !any_sign(reinterpret_cast<Bits>(set(limit)) - reinterpret_cast<Bits>(magnitude(x)) - Word(1));
  }
  /// Whether the sign bit of a lane is set. With g++ 256 x 50257 by columns takes 1.04 times as long by halves.
  static bool any_sign(Bits x) {
#if defined(__x86_64__) && !defined(__clang__)
    return signs_of(x) != 0;
#else
    if constexpr (bytes > 16) {
      typename Lanes<T, bytes / 2>::Bits half[2];
      __builtin_memcpy(half, &x, sizeof(x));
      return Lanes<T, bytes / 2>::any_sign(half[0] | half[1]);
    } else {
      std::uint64_t word[2];
      __builtin_memcpy(word, &x, sizeof(x));
      return ((word[0] | word[1]) & (sizeof(T) == 4 ? 0x8000000080000000u : 0x8000000000000000u)) != 0;
    }
#endif
  }

  /// Which lanes are not before the n-th.
  static auto from(int n) {
    Reg index = Reg{};
    for (int k = 0; k < count; ++k) index[k] = T(k);
    return index >= T(n);
  }

  [[gnu::always_inline]] static Reg round(Reg x) {
    Reg y = x + K::to_integer;
    hide(y);
    y = y - K::to_integer;
    hide(y);
    return y;
  }

  /// The number near x log2(e) that is left when `large` has been added and taken off again: an integer, if that is one near
  /// 2^mantissa_bits. `bits` are those of the sum.
  [[gnu::always_inline]] static Reg rounded(Reg x, Reg large, Bits& bits) {
    Reg sum = x * K::log2_e + large;
    hide(sum);
    bits = reinterpret_cast<Bits>(sum);
    Reg n = sum - large;
    hide(n);
    return n;
  }

  /// 2^n from n + to_exponent, for integers n that leave it a normal number.
  [[gnu::always_inline]] static Reg power_of_2(Reg biased) {
    return reinterpret_cast<Reg>(reinterpret_cast<Bits>(biased) << K::mantissa_bits);
  }

#if defined(__x86_64__) && !defined(__clang__)
  /// Those of all lanes, side by side.
  static int signs_of(Bits x) {
    using Ints = typename VectorOf<int, bytes>::type;
    using Longs = typename VectorOf<long long, bytes>::type;
    if constexpr (sizeof(T) == 4) {
      if constexpr (bytes == 64) return __builtin_ia32_cvtd2mask512(reinterpret_cast<Ints>(x));
      if constexpr (bytes == 32) return __builtin_ia32_movmskps256(reinterpret_cast<Reg>(x));
      if constexpr (bytes == 16) return __builtin_ia32_movmskps(reinterpret_cast<Reg>(x));
    } else {
      if constexpr (bytes == 64) return __builtin_ia32_cvtq2mask512(reinterpret_cast<Longs>(x));
      if constexpr (bytes == 32) return __builtin_ia32_movmskpd256(reinterpret_cast<Reg>(x));
      if constexpr (bytes == 16) return __builtin_ia32_movmskpd(reinterpret_cast<Reg>(x));
    }
  }
#endif

  /// The polynomial with these coefficients, highest power first.
  template <std::size_t n>
  [[gnu::always_inline]] static Reg polynomial(const T (&c)[n], Reg x) {
    return horner(c, x, std::make_index_sequence<n - 1>());
  }

  /// exp(r) - 1 for |r| <= ln(2) / 2; and without r.
  [[gnu::always_inline]] static Reg exp_rest(Reg r) { return exp_bend(r) + r; }
  [[gnu::always_inline]] static Reg exp_bend(Reg r) { return r * r * polynomial(K::polynomial, r); }

  /// x - n ln 2
  [[gnu::always_inline]] static Reg reduced(Reg x, Reg n) {
    Reg r = x - n * K::ln2_high;
    hide(r);
    return r - n * K::ln2_low;
  }

 private:
  /// Without a loop: at -O2 it would stay one.
  template <std::size_t n, std::size_t... i>
  [[gnu::always_inline]] static Reg horner(const T (&c)[n], Reg x, std::index_sequence<i...>) {
    Reg sum = set(c[0]);
    ((sum = sum * x + c[i + 1]), ...);
    return sum;
  }
};

#ifdef __x86_64__
/// Where one instruction looks up every lane, of floats in a register, of doubles in two, exp has a table of powers.
template <class T, int bytes>
inline constexpr bool has_table = bytes == 64 || (sizeof(T) == 4 && bytes > 16);

/// In each lane what the table has where the index says in its low bits.
template <class Bits>
[[gnu::always_inline]] inline Bits looked_up(Bits table, Bits index) {
  asm("vpermps %1, %2, %0" : "=v"(index) : "vm"(table), "v"(index));
  return index;
}
template <class Bits>
[[gnu::always_inline]] inline Bits looked_up(Bits table, Bits rest_of_table, Bits index) {
  asm("vpermi2pd %2, %1, %0" : "+v"(index) : "v"(table), "vm"(rest_of_table));
  return index;
}

#else
template <class T, int bytes>
inline constexpr bool has_table = false;
#endif

/// What exponentials of a row are counted in: a power of two near that of the maximum, or that itself, if there is a table.
enum class Unit { power, maximum };

/// exp in units of a row: 2^lift exp(z) / (exp(moved) 2^exponent), or 2^lift exp(z) / exp(max). Each z is reduced by itself:
/// rounding z - max first would cost up to 60 ulp in float and 500 in double. What rounds x log2(e) brings the power's bits
/// along.
template <class T, int bytes, Unit unit_of_row = Unit::power>
struct RowExp {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Bits = typename L::Bits;

  static constexpr bool of_maximum = unit_of_row == Unit::maximum && has_table<T, bytes>;
  static constexpr int registers = sizeof(T) == 4 ? 1 : 2;
  using Table = ExpTable<T, registers * L::count>;

  Reg moved;
  int any_moved;  // if not, moved is 0
  Reg lowest, exponent, to_exponent;
  Reg to_steps;  // of the table
  Reg rest_of_max;
  Bits powers[std::size_t(registers)], powers_lost[std::size_t(registers)];

  explicit RowExp(Reg max) : moved(Reg{}), any_moved(!L::all_within(max, K::reach)) {
    // A branch, so that what follows need not wait: 10^6 x 3 with gradient takes 1.15 times as long without, 60000 x 10 1.07
    // times.
    if (any_moved) moved = ((max < K::reach) & (max > -K::reach)) ? Reg{} : max;
    lowest = (max - moved) - K::range;
    exponent = L::round((max - moved) * K::log2_e);
    to_exponent = K::to_exponent + T(K::lift) - exponent;
    if constexpr (has_table<T, bytes>) {
      __builtin_memcpy(powers, Table::powers, sizeof(powers));
      __builtin_memcpy(powers_lost, Table::lost, sizeof(powers_lost));
      Reg n = exponent;
      if constexpr (of_maximum) {
        Bits steps;
        n = L::rounded(max - moved, L::set(Table::to_steps), steps);
        rest_of_max = L::reduced(max - moved, n);
      }
      to_steps = Table::to_steps + T(K::lift) - n;
    }
  }

  /// 0, or NaN where the maximum is not finite.
  Reg nothing() const { return nothing_of(lowest); }

  [[gnu::always_inline]] Reg operator()(Reg z) const { return of_moved(less_moved(z)); }

  /// Of z - moved.
  [[gnu::always_inline]] Reg of_moved(Reg z) const {
    const Reg x = L::larger(lowest, z);
    Bits bits;
    if constexpr (has_table<T, bytes>) {
      const Reg r = rest(x, bits);
      const Reg unit = reinterpret_cast<Reg>(in_table(powers, bits) + (bits << Table::step_bits));
      return (bend<false>(r) + r) * unit + unit;
    } else {
      const Reg r = L::reduced(x, L::rounded(x, to_exponent, bits));
      const Reg unit = reinterpret_cast<Reg>(bits << K::mantissa_bits);
      return L::exp_rest(r) * unit + unit;
    }
  }

  /// The same in two parts, which are not rounded to one: a power of the table and at most a twentieth of it, or, without a
  /// table, the exponential and what its rounding loses.
  [[gnu::always_inline]] Reg operator()(Reg z, Reg& low) const { return of_moved(less_moved(z), low); }
  [[gnu::always_inline]] Reg of_moved(Reg z, Reg& low) const {
    const Reg x = L::larger(lowest, z);
    Bits bits;
    if constexpr (has_table<T, bytes>) {
      const Reg r = rest(x, bits);
      const Reg unit = reinterpret_cast<Reg>(in_table(powers, bits) + (bits << Table::step_bits));
      low = as_rounded(((bend<true>(r) + reinterpret_cast<Reg>(in_table(powers_lost, bits))) + r) * unit);
      return unit;
    } else {
      const Reg n = L::rounded(x, to_exponent, bits);
      const Reg unit = reinterpret_cast<Reg>(bits << K::mantissa_bits);
      Reg r = L::reduced(x, n);
      hide(r);
      Reg reduction = (x - n * K::ln2_high) - r;
      hide(reduction);
      const Reg beyond = L::exp_bend(r) + (reduction - n * K::ln2_low);
      Reg rise = r + beyond;
      hide(rise);
      const Reg lost_of_rise = (r - rise) + beyond;
      Reg e = rise * unit + unit;
      hide(e);
      Reg missing = unit - e;
      hide(missing);
      low = (rise * unit + missing) + lost_of_rise * unit;
      return e;
    }
  }

 private:
  /// Columns of 256 x 50257 take 1.1 times as long if 0 is taken off, the focal loss of 60000 x 10 1.15 times.
  [[gnu::always_inline]] Reg less_moved(Reg z) const {
    if (any_moved) [[unlikely]]
      return z - moved;
    return z;
  }

  /// What is left of x between the steps of the table.
  [[gnu::always_inline]] Reg rest(Reg x, Bits& steps) const {
    const Reg n = L::rounded(x, to_steps, steps);
    if constexpr (!of_maximum) return L::reduced(x, n);
    Reg r = x - n * K::ln2_high;
    hide(r);
    return r - (n * K::ln2_low + rest_of_max);  // which does not wait for r
  }

  [[gnu::always_inline]] static Bits in_table(const Bits* table, Bits index) {
    if constexpr (registers == 1) return looked_up(table[0], index);
    if constexpr (registers == 2) return looked_up(table[0], table[1], index);
  }

  /// exp(r) - 1 - r for such a rest.
  template <bool careful>
  [[gnu::always_inline]] static Reg bend(Reg r) {
    if constexpr (of_maximum && careful) return r * r * L::polynomial(Table::careful_of_differences, r);
    if constexpr (of_maximum) return r * r * L::polynomial(Table::of_differences, r);
    return r * r * L::polynomial(Table::polynomial, r);
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
      sum += widened<bytes>(half[0]);
      other += widened<bytes>(half[1]);
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

  /// The sum of all lanes, and what its rounding lost; of float that is not looked at.
  struct Number {
    double sum, lost;
  };
  Number across() const {
    if constexpr (sizeof(T) == 4) {
      return {Lanes<double, bytes>::sum(sum + other), 0};
    } else {
      Number all{0, 0};
      for (int k = 0; k < bytes / 8; ++k) all.lost += other[k] + add_exactly(all.sum, sum[k]);
      return all;
    }
  }

 private:
  /// to += x; what that loses.
  static double add_exactly(double& to, double x) {
    const double next = to + x;
    double seen = next - to;
    hide(seen);
    double held = next - seen;
    hide(held);
    const double lost = (to - held) + (x - seen);
    to = next;
    return lost;
  }
};

/// Functions in double for results in float.
template <int bytes>
struct ForFloat {
  using L = Lanes<double, bytes>;
  using K = ExpConstants<double>;
  using Reg = typename L::Reg;

  /// exp(r) for |r| <= ln(2) / 2
  [[gnu::always_inline]] static Reg exp_of_rest(Reg r) {
    return r * r * L::polynomial(K::short_polynomial, r) + r + 1.0;
  }

  /// exp(-x) for x > -700; beyond 708 that of 708, which is no more than 0 to a float.
  [[gnu::always_inline]] static Reg exp_of_minus(Reg x) {
    const Reg z = L::larger(L::set(-708.0), -x);
    const Reg n = L::round(z * K::log2_e);
    return exp_of_rest(L::reduced(z, n)) * L::power_of_2(n + K::to_exponent);
  }

  /// log(1 + x) for x >= 0: k ln 2 + 2 atanh(f) with 1 + x = 2^k m, m in [0.7, 1.42), f = (m - 1) / (m + 1), where m - 1 is x
  /// itself for k = 0, so that small x keep their digits.
  [[gnu::always_inline]] static Reg log1p(Reg x) {
    using Bits = typename L::Bits;
    const auto bits = reinterpret_cast<Bits>(x + 1.0);
    const Bits biased = (bits + (0x3FF0000000000000u - 0x3FE6A09E667F3BCDu)) >> 52;
    Reg k = reinterpret_cast<Reg>(biased | 0x4330000000000000u) - (0x1p52 + 1023.0);
    hide(k);
    const Reg mantissa = reinterpret_cast<Reg>(bits - ((biased - 1023u) << 52));
    const Reg above = k == 0.0 ? x : mantissa - 1.0;
    const Reg f = above / (above + 2.0);
    return k * 0.693147180559945309417 + f * L::polynomial(K::atanh, f * f);
  }

  /// log(1 + x / y) with one division, for x >= 0 and y >= x / 2^900: as above with x + y = 2^k m y, m in [2/3, 3/2), relative
  /// error 7.2e-10.
  [[gnu::always_inline]] static Reg log1p_of_ratio(Reg x, Reg y) {
    using Bits = typename L::Bits;
    const Bits power = (reinterpret_cast<Bits>(x + y) - reinterpret_cast<Bits>(y) + (std::uint64_t(1) << 51)) >> 52;
    const Reg unit = reinterpret_cast<Reg>(0x3FF0000000000000u - (power << 52));
    Reg k = reinterpret_cast<Reg>(power | 0x4330000000000000u) - 0x1p52;
    hide(k);
    const Reg part = x * unit;
    Reg step = y * (1.0 - unit);
    hide(step);
    const Reg f = (part - step) / (part + y * (unit + 1.0));
    return k * 0.693147180559945309417 + f * L::polynomial(K::atanh, f * f);
  }
};

/// What sums in units of `from` are multiplied by to be in those of `to`, which are no smaller, in each lane; NaN where that is not
/// finite.
template <int bytes>
[[gnu::noinline]] void put_ratio(const RowExp<float, bytes>& from, const RowExp<float, bytes>& to, double* ratio) {
  using L = Lanes<float, bytes>;
  using Wide = Lanes<double, bytes>;
  alignas(64) float fall[std::size_t(L::count)], power[std::size_t(L::count)];
  L::store(fall, (to.moved - from.moved) + to.nothing());
  L::store(power, from.exponent - to.exponent);
  for (int j = 0; j < L::count; j += Wide::count) {
    const auto biased = Wide::load_wider(power + j) + ExpConstants<double>::to_exponent;
    Wide::store(ratio + j, ForFloat<bytes>::exp_of_minus(Wide::load_wider(fall + j)) * Wide::power_of_2(biased));
  }
}

/// What the sums say of rows with logits in T, one in each lane, see RowSum. For results in float.
template <int bytes>
struct RowTails {
  using L = Lanes<double, bytes>;
  using Reg = typename L::Reg;

  Reg unit, tail,
      log_sum;  // unit is the kernel's unit of exponentials in exp(max), tail and log_sum as in RowPartition

  template <class T>
  [[gnu::always_inline]] RowTails(const T* max, const T* moved, const T* exponent, const T* equal, Reg sum) {
    const Reg x = L::reduced(L::load_wider(max) - L::load_wider(moved), L::load_wider(exponent));
    unit = ForFloat<bytes>::exp_of_minus(x);
    Reg ties = L::load_wider(equal) - 1.0;
    hide(ties);
    tail = sum * ExpConstants<T>::unlift * unit + ties;
    log_sum = ForFloat<bytes>::log1p(tail);
  }
};

/// Factors for kept exponentials, which are 2^lift too large, in two parts. Multiplied one after the other they never leave the
/// range of T on the way to a product that is in it.
template <class T, int bytes>
void put_factor(typename Lanes<double, bytes>::Reg factor, T* first, T* second) {
  using L = Lanes<double, bytes>;
  constexpr double unlift = ExpConstants<T>::unlift;
  constexpr double least = double(std::numeric_limits<T>::min()) / unlift;
  const auto small = (factor < least) & (factor > -least);
  L::store_narrower(first, small ? factor : factor * unlift);
  L::store_narrower(second, small ? L::set(unlift) : L::set(1.0));
}
