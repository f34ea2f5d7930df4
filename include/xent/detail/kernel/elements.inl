// SPDX-License-Identifier: MIT
// xent/detail/kernel/elements.inl - the kernels for single elements, once for each instruction set.

template <class T, int bytes>
struct ElementKernels {
  using L = Lanes<T, bytes>;
  using K = ExpConstants<T>;
  using Reg = typename L::Reg;

  enum class Function { sigmoid, log_sigmoid, softplus };
  /// What the sides of an element weigh: what their targets say, smoothed or not, or whatever the terms say.
  enum class Sides { plain, smoothed, any };

  /// out = f(x); out may be x.
  template <Function f>
  static void map(const T* x, std::ptrdiff_t size, T* out) {
    std::ptrdiff_t i = 0;
    for (; i + L::count <= size; i += L::count) L::store(out + i, value<f>(L::load(x + i)));
    if (i == size) return;
    T rest[std::size_t(L::count)] = {};
    for (std::ptrdiff_t k = i; k < size; ++k) rest[k - i] = x[k];
    L::store(rest, value<f>(L::load(rest)));
    for (std::ptrdiff_t k = i; k < size; ++k) out[k] = rest[k - i];
  }

  /// The binary cross-entropy, see BinaryLoss, of logits z and targets t on the terms given. The losses are written to `loss`
  /// if that is not null, and their derivatives by the divisor to `slope`, if it `slopes`. Returns the sum of the losses, which of
  /// doubles is not finite where that would be more than the largest of them.
  template <bool slopes>
  static double binary(const T* z, const T* t, int size, const BinaryTerms<T>& terms, T* slope, T* loss) {
    using Elements = ElementsWith<Sides::any>;
    if constexpr (sizeof(T) == sizeof(float)) {
      if (terms.pos == nullptr && loss == nullptr) {
        return terms.smoothing == T(0) ? plain_sum<Sides::plain, slopes>(z, t, size, terms, slope)
                                       : plain_sum<Sides::smoothed, slopes>(z, t, size, terms, slope);
      }
    }
    Total<T, bytes> total;  // each by itself: a few losses may be more than the largest float
    int i = 0;
    for (; i + L::count <= size; i += L::count) {
      const Elements of(z + i, t + i, i, terms);
      const Reg value = of.loss();
      if (loss != nullptr) L::store(loss + i, value);
      if constexpr (slopes) L::store(slope + i, of.slope(terms.divisor));
      total.add(value);
    }
    if (i < size) {
      const Rest rest(z + i, t + i, size - i);
      const Elements of(rest.z, rest.t, i, terms);
      const Reg value = of.loss();
      if (loss != nullptr) rest.put(value, loss + i);
      if constexpr (slopes) rest.put(of.slope(terms.divisor), slope + i);
      total.add(L::from(size - i) ? Reg{} : value);
    }
    const auto all = total.across();
    return all.sum + all.lost;
  }

 private:
  /// e = exp(-x) for x >= 0; 0 where that is not a normal number, elsewhere unit + unit rest.
  struct ExpOfMinus {
    static constexpr bool by_table = sizeof(T) == sizeof(float) && has_table<T, bytes>;
    // With one of 16 numbers a gradient is up to 3.9 ulp off, with this 3.1.
    using Table = ExpTable<float, 8>;

    Reg unit, rest, e;

    [[gnu::always_inline]] explicit ExpOfMinus(Reg x) {
      typename L::Bits bits;
      if constexpr (by_table) {
        const Reg r = L::reduced(-x, L::rounded(-x, L::set(Table::to_steps), bits));
        typename L::Bits powers;
        __builtin_memcpy(&powers, Table::powers, sizeof(powers));
        unit = reinterpret_cast<Reg>(looked_up(powers, bits) + (bits << Table::step_bits));
        rest = r * r * L::polynomial(Table::polynomial, r) + r;
      } else {
        rest = L::exp_rest(L::reduced(-x, L::rounded(-x, L::set(K::to_exponent), bits)));
        unit = reinterpret_cast<Reg>(bits << K::mantissa_bits);
      }
      e = x > K::fading ? Reg{} : rest * unit + unit;
    }

    /// log(1 + e); of double as fdlibm has it, where the terms with errors are small beside e.
    [[gnu::always_inline]] Reg log1p() const {
      if constexpr (sizeof(T) == 4) {
        return e * e * L::polynomial(K::log1p, e) + e;
      } else {
        const Reg half = T(0.5) * e * e;
        const Reg s = e / (e + T(2));
        const Reg square = s * s;
        Reg bend = half - s * (square * L::polynomial(K::atanh_rest, square) + half);
        hide(bend);
        return e - bend;
      }
    }
  };

  template <Function f>
  [[gnu::always_inline]] static Reg value(Reg z) {
    const ExpOfMinus exp(L::magnitude(z));
    if constexpr (f == Function::sigmoid) {
      return (z < T(0) ? exp.e : L::set(T(1))) / (exp.e + T(1));  // NaN where z is
    } else {
      const Reg x = f == Function::softplus ? z : -z;
      const Reg result = (x > T(0) ? x : Reg{}) + exp.log1p();
      return f == Function::softplus ? result : -result;
    }
  }

  /// A register of elements. `opposing` is the weight of the side that the logit speaks against.
  template <Sides sides>
  struct ElementsWith {
    Reg z, opposing, agreeing, both, magnitude;
    ExpOfMinus exp;

    [[gnu::always_inline]] ElementsWith(const T* logit, const T* target, int i, const BinaryTerms<T>& terms)
        : z(L::load(logit)), magnitude(L::magnitude(z)), exp(magnitude) {
      Reg pos, neg;
      if (sides == Sides::any && terms.pos != nullptr) {
        pos = L::load(terms.pos + i);
        neg = L::load(terms.neg + i);
        both = L::load(terms.both + i);
      } else {
        const Reg t = L::load(target);
        pos = t;
        neg = T(1) - t;
        if (sides == Sides::smoothed || (sides == Sides::any && terms.smoothing != T(0))) {
          pos += (T(0.5) - t) * terms.smoothing;
          neg += (t - T(0.5)) * terms.smoothing;
        }
        both = pos + neg;
      }
      opposing = z < T(0) ? pos : neg;
      agreeing = z < T(0) ? neg : pos;
    }

    /// Its part of a loss that is not log(1 + e), times `scale`.
    [[gnu::always_inline]] Reg far(T scale) const { return opposing == T(0) ? Reg{} : opposing * (magnitude * scale); }

    /// What stands at log1p does not change with the side, so that the mirrored problem has the same bits at z = 0 too.
    [[gnu::always_inline]] Reg loss() const { return both * exp.log1p() + far(T(1)); }

    [[gnu::always_inline]] Reg slope(T mean) const {
      const Reg divisor = z < T(0) ? L::set(-mean) : L::set(mean);
      const Reg unit = agreeing * exp.unit;  // exact, so that agreeing e is rounded only once
      const Reg near = exp.e == T(0) ? Reg{} : unit * exp.rest + unit;
      return (opposing - near) / (exp.e * divisor + divisor);
    }
  };

  /// The last elements, which do not fill a register.
  struct Rest {
    T z[std::size_t(L::count)];
    T t[std::size_t(L::count)];
    int count;

    Rest(const T* logits, const T* targets, int some) : z(), t(), count(some) {
      for (int k = 0; k < count; ++k) {
        z[k] = logits[k];
        t[k] = targets[k];
      }
    }
    void put(Reg x, T* out) const {
      for (int k = 0; k < count; ++k) out[k] = x[k];
    }
  };

  /// The sum of losses without weights: that of log(1 + e) is the logarithm of a product. What that is more than 1 keeps its
  /// digits, for all its terms are positive: 10^7 take 1.4 times as long with a logarithm for each.
  struct PlainSum {
    using Wide = Lanes<double, bytes>;
    static constexpr int span = 4;
    static constexpr T scale = T(1) / span;  // a few `far` together may be more than the largest float

    Total<T, bytes> far;
    typename Wide::Reg low, high;  // the products less 1, of the halves of the registers

    PlainSum() : low(typename Wide::Reg{}), high(typename Wide::Reg{}) {}

    /// The same of n registers: their product less 1, and the sum of their `far`.
    struct Part {
      Reg product, far;
    };

    [[gnu::always_inline]] void add(const Part& part) {
      const typename L::Halves half(part.product);
      multiply(low, widened<bytes>(half.low));
      multiply(high, widened<bytes>(half.high));
      far.add(part.far);
    }
    double value() const {
      typename Wide::Reg product = low;  // of no more than 512 factors, each at most 2, in a lane
      multiply(product, high);
      return Wide::sum(ForFloat<bytes>::log1p(product) + (far.sum + far.other) * double(span));
    }

   private:
    template <class X>
    [[gnu::always_inline]] static void multiply(X& product, X by) {
      product = product * by + (product + by);
    }
  };

  /// So many elements ahead they are asked for: 10^7 take 1.07 times as long without, with gradient 1.13.
  static constexpr int ahead = 4096;

  template <int n, Sides sides, bool slopes>
  [[gnu::always_inline]] static typename PlainSum::Part plain_part(const T* z, const T* t, const BinaryTerms<T>& terms,
                                                                   T* slope) {
    if constexpr (n == 1) {
      prefetch<Cache::second>(z, ahead);
      prefetch<Cache::second>(t, ahead);
      if constexpr (slopes) prefetch<Cache::second, true>(slope, ahead);
      const ElementsWith<sides> of(z, t, 0, terms);
      if constexpr (slopes) L::store(slope, of.slope(terms.divisor));
      Reg e = of.exp.e;
      in_turn(e);
      return {e, of.far(PlainSum::scale)};
    } else {
      constexpr int half = n / 2 * L::count;
      const auto a = plain_part<n / 2, sides, slopes>(z, t, terms, slope);
      const auto b = plain_part<n / 2, sides, slopes>(z + half, t + half, terms, slopes ? slope + half : nullptr);
      return {a.product * b.product + (a.product + b.product), a.far + b.far};
    }
  }

  template <Sides sides, bool slopes>
  static double plain_sum(const T* z, const T* t, int size, const BinaryTerms<T>& terms, T* slope) {
    constexpr int step = PlainSum::span * L::count;
    PlainSum sum;
    int i = 0;
    for (; i + step <= size; i += step) {
      sum.add(plain_part<PlainSum::span, sides, slopes>(z + i, t + i, terms, slopes ? slope + i : nullptr));
    }
    for (; i + L::count <= size; i += L::count) {
      sum.add(plain_part<1, sides, slopes>(z + i, t + i, terms, slopes ? slope + i : nullptr));
    }
    if (i < size) {
      const Rest rest(z + i, t + i, size - i);
      const ElementsWith<sides> of(rest.z, rest.t, i, terms);
      if constexpr (slopes) rest.put(of.slope(terms.divisor), slope + i);
      const auto hidden = L::from(size - i);
      sum.add({hidden ? Reg{} : of.exp.e, hidden ? Reg{} : of.far(PlainSum::scale)});
    }
    return sum.value();
  }
};

template <int bytes>
struct WeightKernels {
  /// The weights of both sides of targets t and their sums, rounded once. The arrays are read, and written, up to whole registers.
  static void weigh(const float* t, int size, float smoothing, const ElementFactors<float>& factors, float* pos,
                    float* neg, float* both) {
    using Wide = Lanes<double, bytes>;
    for (int i = 0; i < size; i += Wide::count) {
      const typename Wide::Reg target = Wide::load_wider(t + i);
      typename Wide::Reg p = target + (0.5 - target) * double(smoothing);
      typename Wide::Reg n = (1.0 - target) + (target - 0.5) * double(smoothing);
      if (factors.pos != nullptr) p *= Wide::load_wider(factors.pos + i);
      if (factors.of_class != nullptr) {
        p *= Wide::load_wider(factors.of_class + i);
        n *= Wide::load_wider(factors.of_class + i);
      }
      if (factors.sample != nullptr) {
        p *= Wide::load_wider(factors.sample + i);
        n *= Wide::load_wider(factors.sample + i);
      }
      Wide::store_narrower(pos + i, p);
      Wide::store_narrower(neg + i, n);
      Wide::store_narrower(both + i, p + n);
    }
  }
};
