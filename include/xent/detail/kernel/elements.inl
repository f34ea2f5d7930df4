// SPDX-License-Identifier: MIT
// xent/detail/kernel/elements.inl - the kernels for single elements, once for each instruction set.

template <class T, int bytes>
struct ElementKernels {
  using L = Lanes<T, bytes>;
  using K = ExpConstants<T>;
  using Reg = typename L::Reg;

  enum class Function { sigmoid, log_sigmoid, softplus };

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
  /// and their derivatives by the divisor to `slope`, where these are not null. Returns the sum of the losses, which of
  /// doubles is not finite where that would be more than the largest of them.
  static double binary(const T* z, const T* t, int size, const BinaryTerms<T>& terms, T* slope, T* loss) {
    Total<T, bytes> total;  // each by itself: a few losses may be more than the largest float
    int i = 0;
    for (; i + L::count <= size; i += L::count) {
      total.add(
          losses(z + i, t + i, i, terms, slope == nullptr ? nullptr : slope + i, loss == nullptr ? nullptr : loss + i));
    }
    if (i < size) {
      T rest[4][std::size_t(L::count)] = {};  // logits, targets, slopes, losses
      for (int k = i; k < size; ++k) {
        rest[0][k - i] = z[k];
        rest[1][k - i] = t[k];
      }
      const Reg last = losses(rest[0], rest[1], i, terms, rest[2], rest[3]);
      total.add(L::from(size - i) ? Reg{} : last);
      for (int k = i; k < size; ++k) {
        if (slope != nullptr) slope[k] = rest[2][k - i];
        if (loss != nullptr) loss[k] = rest[3][k - i];
      }
    }
    return Lanes<double, bytes>::sum(total.sum + total.other);
  }

 private:
  /// e = exp(-x) for x >= 0; 0 where that is not a normal number, elsewhere unit + unit rest.
  struct ExpOfMinus {
    Reg unit, rest, e;

    [[gnu::always_inline]] explicit ExpOfMinus(Reg x) {
      typename L::Bits bits;
      rest = L::exp_rest(L::reduced(-x, L::rounded(-x, L::set(K::to_exponent), bits)));
      unit = reinterpret_cast<Reg>(bits << K::mantissa_bits);
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

  [[gnu::always_inline]] static Reg losses(const T* logit, const T* target, int i, const BinaryTerms<T>& terms,
                                           T* slope, T* loss) {
    const Reg z = L::load(logit);
    Reg pos, neg, both;
    if (terms.pos != nullptr) {
      pos = L::load(terms.pos + i);
      neg = L::load(terms.neg + i);
      both = L::load(terms.both + i);
    } else {
      const Reg t = L::load(target);
      pos = t + (T(0.5) - t) * terms.smoothing;
      neg = (T(1) - t) + (t - T(0.5)) * terms.smoothing;
      both = pos + neg;
    }
    const auto mirrored = z < T(0);
    const Reg magnitude = L::magnitude(z);
    const Reg opposing = mirrored ? pos : neg;
    const ExpOfMinus exp(magnitude);
    // What stands at log1p does not change with the side, so that the mirrored problem has the same bits at z = 0 too.
    const Reg far = opposing == T(0) ? Reg{} : opposing * magnitude;
    const Reg value = both * exp.log1p() + far;
    if (loss != nullptr) L::store(loss, value);
    if (slope != nullptr) {
      const Reg divisor = mirrored ? L::set(-terms.divisor) : L::set(terms.divisor);
      const Reg unit = (mirrored ? neg : pos) * exp.unit;  // exact, so that agreeing e is rounded only once
      const Reg near = exp.e == T(0) ? Reg{} : unit * exp.rest + unit;
      L::store(slope, (opposing - near) / (exp.e * divisor + divisor));
    }
    return value;
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
