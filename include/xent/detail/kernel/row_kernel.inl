// SPDX-License-Identifier: MIT
// xent/detail/kernel/row_kernel.inl - the kernels for one contiguous row, once for each instruction set.
//
// Included in the namespace of the set and between its target pragmas. The arithmetic is the compilers' own on vectors: no
// intrinsics. No lambdas or default member initializers either: they would not inherit the target.

template <class T, int bytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(bytes)));
};

/// A register of numbers.
template <class T, int bytes>
struct Lanes {
  using K = ExpConstants<T>;
  using Reg = typename VectorOf<T, bytes>::type;
  using Bits = typename VectorOf<std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>, bytes>::type;
  typedef T Unaligned __attribute__((vector_size(bytes), aligned(sizeof(T)), may_alias));
  static constexpr int count = bytes / int(sizeof(T));

  static Reg set(T x) { return x - Reg{}; }
  static Reg load(const T* p) { return *reinterpret_cast<const Unaligned*>(p); }
  static void store(T* p, Reg x) { *reinterpret_cast<Unaligned*>(p) = x; }
  static Reg larger(Reg a, Reg b) { return a > b ? a : b; }

  static Reg round(Reg x) {
    Reg y = x + K::to_integer;
    hide(y);
    return y - K::to_integer;
  }

  /// p 2^n for integers n, by the bits of 2^n; 0 where 2^n would be subnormal.
  static Reg scale(Reg p, Reg n) {
    const Reg biased = larger(n, set(-K::bias)) + K::to_exponent;
    return p * reinterpret_cast<Reg>(reinterpret_cast<Bits>(biased) << K::mantissa_bits);
  }

  /// Keeps -ffast-math from folding what x was made of into what comes next.
  static void hide([[maybe_unused]] Reg& x) {
#ifdef __FAST_MATH__
    asm("" : "+m"(x));
#endif
  }
};

/// exp in the units of a row's maximum: exp(z) / (exp(moved) 2^exponent), each z reduced by itself. Rounding z - max first
/// would cost up to 60 ulp in float and 500 in double.
template <class T, int bytes>
struct RowExp {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;

  Reg moved, lowest, exponent;

  explicit RowExp(T max) {
    const T offset = max > -K::reach && max < K::reach ? T(0) : max;
    moved = L::set(offset);
    lowest = L::set((max - offset) - K::range);
    exponent = L::round(L::set((max - offset) * K::log2_e));
  }

  /// first * exp(z), `first` in two parts; it takes part in the last addition, so it costs neither an operation nor a rounding.
  Reg times(Reg z, Reg first, Reg second) const {
    const Reg x = L::larger(z - moved, lowest);
    const Reg n = L::round(x * K::log2_e);
    Reg r = x - n * K::ln2_high;
    L::hide(r);
    r = r - n * K::ln2_low;
    Reg q = r * K::polynomial[0] + K::polynomial[1];
    for (int i = 2; i < K::terms; ++i) q = q * r + K::polynomial[i];
    const Reg rest = r * r * q + r;
    return L::scale((rest * first + second) + first, n - exponent);
  }

  Reg operator()(Reg z) const { return times(z, L::set(T(1)), Reg{}); }
};

/// A total in double of many registers.
template <class T, int bytes>
struct Total {
  using Reg = typename VectorOf<T, bytes>::type;
  using Wide = typename VectorOf<double, bytes>::type;

  Wide sum, other;  // of float: the sums of the halves; of double: the sum and what its rounding lost

  Total() : sum(Wide{}), other(Wide{}) {}

  void add(Reg x) {
    if constexpr (sizeof(T) == 4) {
      typename VectorOf<T, bytes / 2>::type half[2];
      __builtin_memcpy(half, &x, sizeof(x));
      sum += __builtin_convertvector(half[0], Wide);
      other += __builtin_convertvector(half[1], Wide);
    } else {
      const Wide s = sum + x;
      const Wide seen = s - sum;
      other += (sum - (s - seen)) + (x - seen);
      sum = s;
    }
  }

  static double across(Wide x) {
    double total = 0;
    for (int k = 0; k < bytes / 8; ++k) total += x[k];
    return total;
  }
};

template <class T, int bytes>
struct RowPass {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;

  RowExp<T, bytes> exp;
  Reg maximum, equal;

  explicit RowPass(T max) : exp(max), maximum(L::set(max)), equal(Reg{}) {}

  Reg below(Reg z) {
    equal += z == maximum ? L::set(T(1)) : Reg{};
    return z < maximum ? exp(z) : Reg{};
  }

  /// The sum of n registers as a tree: few roundings before the total takes over.
  template <int n>
  Reg sum(const T* z) {
    if constexpr (n == 1) {
      return below(L::load(z));
    } else {
      const Reg first = sum<n / 2>(z);
      return first + sum<n / 2>(z + n / 2 * L::count);
    }
  }
};

template <class T, int bytes>
struct RowKernel {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;

  /// The largest of z, and whether none is NaN.
  static bool maximum(const T* z, std::ptrdiff_t size, T* result) {
    Reg most = L::set(-K::infinity);
    auto nan = most != most;
    std::ptrdiff_t i = 0;
    for (; i + L::count <= size; i += L::count) {
      const Reg x = L::load(z + i);
      nan |= x != x;
      most = L::larger(x, most);
    }
    T largest = -K::infinity;
    bool clean = true;
    for (int k = 0; k < L::count; ++k) {
      clean = clean && nan[k] == 0;
      largest = most[k] > largest ? most[k] : largest;
    }
    for (; i < size; ++i) {
      clean = clean && z[i] == z[i];
      largest = z[i] > largest ? z[i] : largest;
    }
    *result = largest;
    return clean;
  }

  static RowSum sum(const T* z, std::ptrdiff_t size, T max) {
    RowPass<T, bytes> pass(max);
    const double exponent = double(pass.exp.exponent[0]);
    pass.exp.exponent -= K::lift;
    Total<T, bytes> total;
    std::ptrdiff_t i = 0;
    for (; i + 8 * L::count <= size; i += 8 * L::count) total.add(pass.template sum<8>(z + i));
    for (; i + L::count <= size; i += L::count) total.add(pass.below(L::load(z + i)));
    if (i < size) {
      T padded[L::count];
      for (int k = 0; k < L::count; ++k) padded[k] = i + k < size ? z[i + k] : -K::infinity;
      total.add(pass.below(L::load(padded)));
    }
    double equal = 0;
    for (int k = 0; k < L::count; ++k) equal += double(pass.equal[k]);
    const double high = Total<T, bytes>::across(total.sum) * K::unlift;
    const double low = Total<T, bytes>::across(total.other) * K::unlift;
    return {sizeof(T) == 4 ? high + low : high, sizeof(T) == 4 ? 0.0 : low, equal, double(pass.exp.moved[0]), exponent};
  }

  /// out_k = (factor + low) 2^power exp(z_k), in the same units; `out` may be z. With the factor in [0.5, 1) what vanishes is
  /// below the smallest normal number itself.
  static void exps(const T* z, std::ptrdiff_t size, T max, T factor, T low, int power, T* out) {
    RowExp<T, bytes> exp(max);
    exp.exponent -= T(power);
    const Reg first = L::set(factor);
    const Reg second = L::set(low);
    std::ptrdiff_t i = 0;
    for (; i + L::count <= size; i += L::count) L::store(out + i, exp.times(L::load(z + i), first, second));
    if (i < size) {
      T padded[L::count];
      for (int k = 0; k < L::count; ++k) padded[k] = i + k < size ? z[i + k] : -K::infinity;
      L::store(padded, exp.times(L::load(padded), first, second));
      for (int k = 0; i + k < size; ++k) out[i + k] = padded[k];
    }
  }

  static constexpr RowKernels<T> table{&maximum, &sum, &exps};
};
