// SPDX-License-Identifier: MIT
// xent/detail/kernel/pairs.inl - what becomes of rows of doubles, in numbers of twice their digits, once for each set.

/// A register of numbers high + low, |low| within a few of the last digits of high.
template <int bytes>
struct Pair {
  using L = Lanes<double, bytes>;
  using K = ExpConstants<double>;
  using Reg = typename L::Reg;
  using Bits = typename L::Bits;

  Reg high, low;

  [[gnu::always_inline]] static Pair of(Reg x) { return {x, Reg{}}; }
  [[gnu::always_inline]] static Pair of(double x) { return of(L::set(x)); }
  [[gnu::always_inline]] static Pair load(const double* p) { return of(L::load(p)); }
  template <class Mask>
  [[gnu::always_inline]] static Pair choice(Mask where, Pair a, Pair b) {
    return {where ? a.high : b.high, where ? a.low : b.low};
  }

  /// a + b exactly (Knuth, The Art of Computer Programming 2, 4.2.2).
  [[gnu::always_inline]] static Pair sum(Reg a, Reg b) {
    Reg high = a + b;
    hide(high);
    Reg seen = high - a;
    hide(seen);
    Reg kept = high - seen;
    hide(kept);
    Reg rest = a - kept;
    hide(rest);
    return {high, rest + (b - seen)};
  }

  /// The same for |a| >= |b|.
  [[gnu::always_inline]] static Pair ordered_sum(Reg a, Reg b) {
    Reg high = a + b;
    hide(high);
    Reg seen = high - a;
    hide(seen);
    return {high, b - seen};
  }

  /// a * b exactly, unless that is near the smallest numbers (Dekker, A floating-point technique for extending the available
  /// precision, 1971).
  [[gnu::always_inline]] static Pair product(Reg a, Reg b) {
    Reg high = a * b;
    hide(high);
    const Reg a_top = top(a);
    const Reg b_top = top(b);
    const Reg a_rest = a - a_top;
    const Reg b_rest = b - b_top;
    Reg low = a_top * b_top - high;
    hide(low);
    low += a_top * b_rest;
    hide(low);
    low += a_rest * b_top;
    hide(low);
    low += a_rest * b_rest;
    return {high, low};
  }

  [[gnu::always_inline]] Pair operator+(Pair b) const {
    const Pair all = sum(high, b.high);
    return {all.high, all.low + (low + b.low)};
  }
  [[gnu::always_inline]] Pair operator-() const { return {-high, -low}; }
  [[gnu::always_inline]] Pair operator*(Pair b) const {
    const Pair all = product(high, b.high);
    return {all.high, all.low + (high * b.low + low * b.high)};
  }

  /// Times a power of two.
  [[gnu::always_inline]] Pair scaled(Reg power) const { return {high * power, low * power}; }

  /// 1 / x
  [[gnu::always_inline]] Pair inverse() const {
    Reg near = 1.0 / high;
    hide(near);
    const Pair one = product(high, near);
    Reg rest = 1.0 - one.high;
    hide(rest);
    return {near, near * (rest - one.low - low * near)};
  }

  /// Where it is not finite, high: then low is NaN. By its bits, for -ffast-math knows no such numbers.
  [[gnu::always_inline]] Reg value() const {
    return reinterpret_cast<Bits>(L::magnitude(high)) < 0x7FF0000000000000u ? high + low : high;
  }

  /// exp(x) for x < 1; 0 where that is not a normal number.
  [[gnu::always_inline]] static Pair exp(Pair x) {
    const auto vanishes = x.high < -K::fading;
    const Reg z = vanishes ? Reg{} : x.high;
    Bits bits;
    const Reg n = L::rounded(z, L::set(K::to_exponent), bits);
    const Pair rest = reduced(z, n);
    const Reg power = reinterpret_cast<Reg>(bits << K::mantissa_bits);
    return choice(vanishes, of(0.0), exp_of_rest({rest.high, rest.low + x.low}).scaled(power));
  }

  /// exp(x) for |x| <= ln(2) / 2
  [[gnu::always_inline]] static Pair exp_of_rest(Pair x) {
    const Reg bend = L::exp_bend(x.high);
    const Pair rise = ordered_sum(x.high, (x.low * (bend + x.high) + x.low) + bend);
    const Pair all = ordered_sum(L::set(1.0), rise.high);
    return {all.high, all.low + rise.low};
  }

  /// x - n ln 2
  [[gnu::always_inline]] static Pair reduced(Reg x, Reg n) {
    Reg most = x - n * K::ln2_high;
    hide(most);
    Reg high = most - n * K::ln2_low;
    hide(high);
    Reg low = most - high;
    hide(low);
    return {high, low - n * K::ln2_low};
  }

  /// log(1 + x) for x >= 0: k ln 2 + log(1 + f) with 1 + x = 2^k (1 + f), f in [-0.3, 0.42), log(1 + f) as fdlibm has it: f
  /// but for terms whose errors are small beside it.
  [[gnu::always_inline]] static Pair log1p(Pair x) {
    const Pair all = x + of(1.0);
    const auto bits = reinterpret_cast<Bits>(all.high);
    const Bits biased = (bits + (0x3FF0000000000000u - 0x3FE6A09E667F3BCDu)) >> 52;
    Reg k = reinterpret_cast<Reg>(biased | 0x4330000000000000u) - (0x1p52 + 1023.0);
    hide(k);
    const Reg mantissa = reinterpret_cast<Reg>(bits - ((biased - 1023u) << 52));
    const Reg unit = reinterpret_cast<Reg>((2046u - biased) << 52);
    const Reg f = k == 0.0 ? x.high : mantissa - 1.0;
    const Reg rest = k == 0.0 ? x.low : all.low * unit;
    const Reg s = f / (f + 2.0);
    const Reg half = 0.5 * f * f;
    Reg bend = half - s * (s * s * L::polynomial(K::atanh_rest, s * s) + half);
    hide(bend);
    const Pair most = sum(k * K::ln2_high, f);
    const Pair result = ordered_sum(most.high, -bend);
    const Reg slope = (2.0 * s - 2.0) * s + 1.0;  // 1 / (1 + f), near enough for the rest
    return ordered_sum(result.high, result.low + (most.low + (k * K::ln2_low + rest * slope)));
  }

 private:
  /// The upper half of the digits.
  [[gnu::always_inline]] static Reg top(Reg x) {
    return reinterpret_cast<Reg>(reinterpret_cast<Bits>(x) & (~std::uint64_t(0) << 27));
  }
};
