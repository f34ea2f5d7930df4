// SPDX-License-Identifier: MIT
// xent/detail/kernel/elements.inl - the kernels for single elements, once for each instruction set.
//
// Floats are computed in double: the slope of a soft target is a difference, which float could not carry.

template <int bytes>
struct ElementKernels {
  using L = Lanes<double, bytes>;
  using Reg = typename L::Reg;
  using Narrow = typename VectorOf<float, bytes / 2>::type;

  enum class Function { sigmoid, log_sigmoid, softplus };

  /// out = f(x), x in float; out may be x.
  template <Function f>
  static void map(const float* x, std::ptrdiff_t size, float* out) {
    std::ptrdiff_t i = 0;
    for (; i + L::count <= size; i += L::count) write(value<f>(read(x + i)), out + i);
    if (i == size) return;
    float rest[std::size_t(L::count)] = {};
    for (std::ptrdiff_t k = i; k < size; ++k) rest[k - i] = x[k];
    write(value<f>(read(rest)), rest);
    for (std::ptrdiff_t k = i; k < size; ++k) out[k] = rest[k - i];
  }

  /// The binary cross-entropy, see BinaryLoss, of logits z and targets t with the weights that `terms` says: the sum of the
  /// losses. They are written to `loss` and their derivatives times `scale` to `slope`, where these are not null.
  static double binary(const float* z, const float* t, int size, const BinaryTerms& terms, double scale, float* slope,
                       float* loss) {
    Reg sum = Reg{};
    int i = 0;
    for (; i + L::count <= size; i += L::count) {
      sum += losses(z + i, t + i, i, terms, scale, slope == nullptr ? nullptr : slope + i,
                    loss == nullptr ? nullptr : loss + i);
    }
    if (i < size) {
      float rest[4][std::size_t(L::count)] = {};  // logits, targets, slopes, losses
      for (int k = i; k < size; ++k) {
        rest[0][k - i] = z[k];
        rest[1][k - i] = t[k];
      }
      const Reg last = losses(rest[0], rest[1], i, terms, scale, rest[2], rest[3]);
      sum += L::from(size - i) ? Reg{} : last;
      for (int k = i; k < size; ++k) {
        if (slope != nullptr) slope[k] = rest[2][k - i];
        if (loss != nullptr) loss[k] = rest[3][k - i];
      }
    }
    return L::sum(sum);
  }

 private:
  [[gnu::always_inline]] static Reg read(const float* x) {
    Narrow half;
    __builtin_memcpy(&half, x, sizeof(half));
    return __builtin_convertvector(half, Reg);
  }

  [[gnu::always_inline]] static void write(Reg x, float* out) {
    const Narrow half = __builtin_convertvector(x, Narrow);
    __builtin_memcpy(out, &half, sizeof(half));
  }

  template <Function f>
  [[gnu::always_inline]] static Reg value(Reg z) {
    const Reg magnitude = z < 0.0 ? -z : z;
    const Reg e = exp_of_minus<bytes>(magnitude);
    if constexpr (f == Function::sigmoid) {
      return (z < 0.0 ? e : L::set(1.0)) / (e + 1.0);  // e is NaN where z is
    } else {
      const Reg x = f == Function::softplus ? z : -z;
      const Reg result = (x > 0.0 ? x : Reg{}) + log1p<bytes>(e);
      return z == z ? (f == Function::softplus ? result : -result) : z;
    }
  }

  [[gnu::always_inline]] static Reg losses(const float* logit, const float* target, int i, const BinaryTerms& terms, double scale, float* slope,
                    float* loss) {
    const Reg z = read(logit);
    const Reg t = read(target);
    const Reg weight = terms.weight == nullptr ? L::set(1.0) : L::load(terms.weight + i);
    const Reg up = terms.pos_weight == nullptr ? L::set(1.0) : L::load(terms.pos_weight + i);
    const Reg pos = up * (t * terms.kept + terms.even);
    const Reg neg = (1.0 - t) * terms.kept + terms.even;
    const auto mirrored = (z < 0.0) | ((z == 0.0) & (pos < neg));
    const Reg magnitude = mirrored ? -z : z;
    const Reg agreeing = mirrored ? neg : pos;
    const Reg opposing = mirrored ? pos : neg;
    const Reg e = exp_of_minus<bytes>(magnitude);
    const Reg log_term = log1p<bytes>(e);
    const Reg near = agreeing == 0.0 ? Reg{} : agreeing * log_term;
    const Reg far = opposing == 0.0 ? Reg{} : opposing * (magnitude + log_term);
    const Reg value = z == z ? (weight == 0.0 ? Reg{} : weight * (near + far)) : z;
    if (loss != nullptr) write(value, loss);
    if (slope != nullptr) {
      const Reg inner = weight * scale * (opposing - agreeing * e) / (e + 1.0);
      write(z == z ? (mirrored ? -inner : inner) : z, slope);
    }
    return value;
  }
};
