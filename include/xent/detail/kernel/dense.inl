// SPDX-License-Identifier: MIT
// xent/detail/kernel/dense.inl - the kernels for rows with a coefficient for each class, once for each instruction set.
//
// The coefficient of a class is b = w (kept t + even), without `even` where the logit is -inf. A gradient a p - b is a
// difference of two numbers that may be close, so floats are computed in double. Of `wide` kernels the lanes are classes
// of one row, the first of the strip; of the others they are rows.

template <int bytes, bool wide>
struct DensePass {
  using L = Lanes<double, bytes>;
  using Reg = typename L::Reg;

  Reg max, kept, even;

  DensePass(const DenseStrip& s, int row) : max(field(s.max, row)), kept(field(s.kept, row)), even(field(s.even, row)) {}

  static Reg field(const double* x, int row) { return wide ? L::set(x[row]) : L::load(x + row); }
  static void put(Reg x, double* out, int row) {
    if constexpr (wide) {
      out[row] = L::sum(x);
    } else {
      L::store(out + row, x);
    }
  }

  [[gnu::always_inline]] Reg coefficient(Reg z, Reg t, Reg w) const {
    return w * (t * kept + (z > -ExpConstants<double>::infinity ? even : Reg{}));
  }
};

/// How many logits are not -inf.
template <int bytes, bool wide>
struct DenseCount : DensePass<bytes, wide> {
  using Pass = DensePass<bytes, wide>;
  using Reg = typename Pass::Reg;

  Reg unmasked;

  DenseCount(const DenseStrip& s, int row) : Pass(s, row), unmasked(Reg{}) {}
  [[gnu::always_inline]] Reg take(Reg z, Reg, Reg) {
    unmasked += z > -ExpConstants<double>::infinity ? Pass::L::set(1.0) : Reg{};
    return z;
  }
  void finish(DenseStrip& s, int row) const { Pass::put(unmasked, s.unmasked, row); }
};

template <int bytes, bool wide>
struct DenseSums : DensePass<bytes, wide> {
  using Pass = DensePass<bytes, wide>;
  using Reg = typename Pass::Reg;

  Reg exps, ties, loss, others, leading;

  DenseSums(const DenseStrip& s, int row)
      : Pass(s, row), exps(Reg{}), ties(Reg{}), loss(Reg{}), others(Reg{}), leading(Reg{}) {}

  [[gnu::always_inline]] Reg take(Reg z, Reg t, Reg w) {
    const Reg margin = this->max - z;
    const Reg b = this->coefficient(z, t, w);
    const auto leads = z >= this->max;
    exps += leads ? Reg{} : exp_of_minus<bytes>(margin);
    ties += leads ? Pass::L::set(1.0) : Reg{};
    loss += b == 0.0 ? Reg{} : b * margin;
    others += leads ? Reg{} : b;
    leading += leads ? b : Reg{};
    return b;
  }

  void finish(DenseStrip& s, int row) const {
    Pass::put(exps, s.exps, row);
    Pass::put(ties, s.ties, row);
    Pass::put(loss, s.loss, row);
    Pass::put(others, s.others, row);
    Pass::put(leading, s.leading, row);
  }
};

/// scale (a p - b); at the maximum, where that would cancel, scale ((a - b) p - b (1 - p)).
template <int bytes, bool wide>
struct DenseGradient : DensePass<bytes, wide> {
  using Pass = DensePass<bytes, wide>;
  using Reg = typename Pass::Reg;

  Reg share, beside, all, rest, leading, scale;

  DenseGradient(const DenseStrip& s, int row)
      : Pass(s, row),
        share(Pass::field(s.share, row)),
        beside(Pass::field(s.beside, row)),
        all(Pass::field(s.all, row)),
        rest(Pass::field(s.rest, row)),
        leading(Pass::field(s.leading, row)),
        scale(Pass::field(s.scale, row)) {}

  [[gnu::always_inline]] Reg take(Reg z, Reg t, Reg w) const {
    const Reg b = this->coefficient(z, t, w);
    const Reg p = exp_of_minus<bytes>(this->max - z) * share;
    return scale * (z >= this->max ? (rest + (leading - b)) * p - b * beside : all * p - b);
  }
  void finish(DenseStrip&, int) const {}
};

template <int bytes>
struct DenseKernels {
  using L = Lanes<double, bytes>;
  using Reg = typename L::Reg;
  using Narrow = typename VectorOf<float, bytes / 2>::type;

  /// Over the classes of one row. t and w may be null, for coefficients without them; what the pass makes goes to `out`.
  template <template <int, bool> class Pass>
  static void row(const float* z, const float* t, const float* w, std::ptrdiff_t classes, DenseStrip& strip, float* out) {
    Pass<bytes, true> pass(strip, 0);
    for (std::ptrdiff_t k = 0; k < classes; k += L::count) {
      const std::ptrdiff_t left = classes - k;
      const Reg value = pass.take(read(z + k, left, -ExpConstants<float>::infinity),
                                  t == nullptr ? Reg{} : read(t + k, left, 0.0f),
                                  w == nullptr ? L::set(1.0) : read(w + k, left, 0.0f));
      if (out != nullptr) write(value, out + k, left);
    }
    pass.finish(strip, 0);
  }

  /// Over the rows of a strip, see strips.inl.
  template <template <int, bool> class Pass>
  static void strip(const float* z, std::ptrdiff_t z_stride, const float* t, std::ptrdiff_t t_stride, const float* w,
                    std::ptrdiff_t classes, int rows, DenseStrip& strip, float* out, std::ptrdiff_t out_stride) {
    for (int row = 0; row < rows; row += L::count) {
      Pass<bytes, false> pass(strip, row);
      for (std::ptrdiff_t k = 0; k < classes; ++k) {
        const Reg value = pass.take(read(z + k * z_stride + row, rows - row, 0.0f),
                                    t == nullptr ? Reg{} : read(t + k * t_stride + row, rows - row, 0.0f),
                                    L::set(w == nullptr ? 1.0 : double(w[k])));
        if (out != nullptr) write(value, out + k * out_stride + row, rows - row);
      }
      pass.finish(strip, row);
    }
  }

 private:
  /// The first `left` of them, if that does not fill a register, then `fill`.
  [[gnu::always_inline]] static Reg read(const float* x, std::ptrdiff_t left, float fill) {
    Narrow half;
    if (left >= L::count) {
      __builtin_memcpy(&half, x, sizeof(half));
    } else {
      for (int k = 0; k < L::count; ++k) half[k] = k < left ? x[k] : fill;
    }
    return __builtin_convertvector(half, Reg);
  }

  [[gnu::always_inline]] static void write(Reg x, float* out, std::ptrdiff_t left) {
    const Narrow half = __builtin_convertvector(x, Narrow);
    if (left >= L::count) {
      __builtin_memcpy(out, &half, sizeof(half));
    } else {
      for (int k = 0; k < left; ++k) out[k] = half[k];
    }
  }
};
