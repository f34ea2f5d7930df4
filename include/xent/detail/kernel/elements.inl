// SPDX-License-Identifier: MIT
// xent/detail/kernel/elements.inl - the kernels for single elements in float, once for each instruction set.

template <int bytes>
struct ElementKernels {
  using L = Lanes<float, bytes>;
  using K = ExpConstants<float>;
  using Reg = typename L::Reg;

  enum class Function { sigmoid, log_sigmoid, softplus };

  /// out = f(x); out may be x.
  template <Function f>
  static void map(const float* x, std::ptrdiff_t size, float* out) {
    std::ptrdiff_t i = 0;
    for (; i + L::count <= size; i += L::count) L::store(out + i, value<f>(L::load(x + i)));
    if (i == size) return;
    float rest[std::size_t(L::count)] = {};
    for (std::ptrdiff_t k = i; k < size; ++k) rest[k - i] = x[k];
    L::store(rest, value<f>(L::load(rest)));
    for (std::ptrdiff_t k = i; k < size; ++k) out[k] = rest[k - i];
  }

  /// The binary cross-entropy, see BinaryLoss, of logits z and targets t with the weights that `terms` says: the sum of the
  /// losses. They are written to `loss` and their derivatives times the scale to `slope`, where these are not null.
  static double binary(const float* z, const float* t, int size, const BinaryTerms& terms, float* slope, float* loss) {
    Total<float, bytes> total;  // each by itself: a few losses may be more than the largest float
    int i = 0;
    for (; i + L::count <= size; i += L::count) {
      total.add(losses(z + i, t + i, i, terms, slope == nullptr ? nullptr : slope + i, loss == nullptr ? nullptr : loss + i));
    }
    if (i < size) {
      float rest[4][std::size_t(L::count)] = {};  // logits, targets, slopes, losses
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
  /// exp(-x) for x >= 0; 0 where that is not a normal number.
  [[gnu::always_inline]] static Reg exp_of_minus(Reg x) {
    const Reg n = L::round(x * -K::log2_e);
    const Reg unit = L::power_of_2(n + K::to_exponent);
    return x > 87.33654f ? Reg{} : L::exp_rest(L::reduced(-x, n)) * unit + unit;
  }

  /// log(1 + x) for x in [0, 1]
  [[gnu::always_inline]] static Reg log1p(Reg x) { return x * x * L::polynomial(K::log1p, x) + x; }

  template <Function f>
  [[gnu::always_inline]] static Reg value(Reg z) {
    const Reg magnitude = L::magnitude(z);
    const Reg e = exp_of_minus(magnitude);
    if constexpr (f == Function::sigmoid) {
      return (z < 0.0f ? e : L::set(1.0f)) / (e + 1.0f);  // e is NaN where z is
    } else {
      const Reg x = f == Function::softplus ? z : -z;
      const Reg result = (x > 0.0f ? x : Reg{}) + log1p(e);
      return f == Function::softplus ? result : -result;
    }
  }

  [[gnu::always_inline]] static Reg losses(const float* logit, const float* target, int i, const BinaryTerms& terms,
                                           float* slope, float* loss) {
    const Reg z = L::load(logit);
    const Reg t = L::load(target);
    Reg pos = t * terms.kept + terms.even;
    Reg neg = (1.0f - t) * terms.kept + terms.even;
    if (terms.pos_weight != nullptr) pos = pos * L::load(terms.pos_weight + i);
    if (terms.neg_weight != nullptr) neg = neg * L::load(terms.neg_weight + i);
    const auto mirrored = z < 0.0f;
    const Reg magnitude = L::magnitude(z);
    const Reg opposing = mirrored ? pos : neg;
    const Reg e = exp_of_minus(magnitude);
    // pos + neg does not change with the side, so that the mirrored problem has the same bits at z = 0 too.
    const Reg far = opposing == 0.0f ? Reg{} : opposing * magnitude;
    const Reg value = (pos + neg) * log1p(e) + far;
    if (loss != nullptr) L::store(loss, value);
    if (slope != nullptr) {
      const Reg scale = L::set(terms.scale);
      const Reg agreeing = mirrored ? neg : pos;
      L::store(slope, (mirrored ? -scale : scale) * ((opposing - agreeing * e) / (e + 1.0f)));
    }
    return value;
  }
};
