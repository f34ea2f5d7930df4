// SPDX-License-Identifier: MIT
// xent/detail/kernel/dense.inl - the kernels for rows with a coefficient for each class, once for each instruction set.
//
// The coefficient of a class is b = w (kept t + even), without `even` where the logit is -inf. Of `wide` kernels the lanes
// are classes of one row, the first of the strip; of the others they are rows, and a register is a class.

template <int bytes, bool wide>
struct DenseCells {
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;

  const DenseRows& rows;
  int row;

  std::ptrdiff_t registers() const { return wide ? (rows.classes + L::count - 1) / L::count : rows.classes; }

  /// A constant of each row.
  Reg constant(const float* x) const { return wide ? L::set(x[row]) : L::load(x + row); }

  [[gnu::always_inline]] Reg z(std::ptrdiff_t i) const {
    return read(rows.z + at(i, rows.z_stride), left(i), -ExpConstants<float>::infinity);
  }
  /// Which logits are -inf, or none at all; -ffast-math knows of no -inf, but of these.
  [[gnu::always_inline]] auto masked(std::ptrdiff_t i, Reg z) const {
    const auto infinite = z == -ExpConstants<float>::infinity;
    return wide && left(i) < L::count ? infinite | L::from(int(left(i))) : infinite;
  }

  [[gnu::always_inline]] Reg t(std::ptrdiff_t i) const {
    return rows.t == nullptr ? Reg{} : read(rows.t + at(i, rows.t_stride), left(i), 0.0f);
  }
  [[gnu::always_inline]] Reg w(std::ptrdiff_t i) const {
    if (rows.w == nullptr) return L::set(1.0f);
    if constexpr (wide) return read(rows.w + i * L::count, left(i), 0.0f);
    return L::set(i < rows.classes ? rows.w[i] : 0.0f);
  }

  /// Asks for the next row.
  [[gnu::always_inline]] void prefetch_next(std::ptrdiff_t i) const {
    if (!wide) return;
    prefetch<Cache::second>(rows.z + i * L::count, rows.classes);
    if (rows.t != nullptr) prefetch<Cache::second>(rows.t + i * L::count, rows.classes);
  }

  [[gnu::always_inline]] Reg kept(std::ptrdiff_t i) const {
    return read(rows.kept + at(i, rows.kept_stride), left(i), 0.0f);
  }
  [[gnu::always_inline]] void keep(std::ptrdiff_t i, Reg x) const {
    float* const to = rows.kept + at(i, rows.kept_stride);
    left(i) >= L::count ? L::store(to, x) : store_some(to, left(i), x);
  }

 private:
  std::ptrdiff_t at(std::ptrdiff_t i, std::ptrdiff_t stride) const { return wide ? i * L::count : i * stride + row; }
  std::ptrdiff_t left(std::ptrdiff_t i) const {
    if (wide) return rows.classes - i * L::count;
    return i < rows.classes ? rows.rows - row : 0;
  }

  /// The first `left` of them, if that does not fill a register, then `fill`.
  [[gnu::always_inline]] static Reg read(const float* x, std::ptrdiff_t left, float fill) {
    return left >= L::count ? L::load(x) : load_some(x, left, fill);
  }
  [[gnu::noinline]] static Reg load_some(const float* x, std::ptrdiff_t left, float fill) {
    Reg all = L::set(fill);
    for (std::ptrdiff_t k = 0; k < left; ++k) all[k] = x[k];
    return all;
  }
  [[gnu::noinline]] static void store_some(float* to, std::ptrdiff_t left, Reg x) {
    for (std::ptrdiff_t k = 0; k < left; ++k) to[k] = x[k];
  }
};

/// What the rows are told about their coefficients.
template <int bytes, bool wide>
struct DenseCoefficients {
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;

  Reg kept, even;

  DenseCoefficients(const DenseCells<bytes, wide>& cells, const DenseStrip& s)
      : kept(cells.constant(s.kept)), even(cells.constant(s.even)) {}

  template <class Mask>
  [[gnu::always_inline]] Reg operator()(Mask masked, Reg t, Reg w) const {
    return w * (t * kept + (masked ? Reg{} : even));
  }
};

/// The sums over the rows. Without targets and weights (`bare`) the coefficients are all `even`: then it is enough to sum
/// the margins and to count, and `even` need not be known yet.
template <int bytes, bool wide, bool bare>
struct DenseSums {
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;

  struct Part {
    Reg exps, others;
    [[gnu::always_inline]] void operator+=(const Part& x) {
      exps += x.exps;
      if (!bare) others += x.others;
    }
  };

  const DenseCells<bytes, wide>& cells;
  DenseCoefficients<bytes, wide> coefficient;
  RowExp<float, bytes> exp;
  Reg max, equal, unmasked, leading;
  Total<float, bytes> exps, others, leaders;
  MarginTotal<bytes> loss;

  DenseSums(const DenseCells<bytes, wide>& c, const DenseStrip& s)
      : cells(c),
        coefficient(c, s),
        exp(c.constant(s.max)),
        max(c.constant(s.max)),
        equal(Reg{}),
        unmasked(Reg{}),
        leading(Reg{}),
        loss(c.constant(s.max)) {}

  /// Masked classes keep 0, which no exponential is.
  [[gnu::always_inline]] Part take(std::ptrdiff_t i) {
    const Reg z = cells.z(i);
    cells.prefetch_next(i);
    const auto masked = cells.masked(i, z);
    const auto leads = z >= max;
    const Reg e = masked ? Reg{} : exp(z);
    if (cells.rows.kept != nullptr) cells.keep(i, e);
    equal = leads ? equal + 1.0f : equal;
    const Reg below = leads ? Reg{} : e;
    if constexpr (bare) {
      unmasked = masked ? unmasked : unmasked + 1.0f;
      loss.add_margins(masked ? max : z);
      return {below, Reg{}};
    } else {
      const Reg b = coefficient(masked, cells.t(i), cells.w(i));
      leading = leads ? leading + b : leading;
      loss.add_margins(b == 0.0f ? max : z, b);
      return {below, leads ? Reg{} : b};
    }
  }

  /// Four registers at a time, with three roundings, before the totals in double take over. Inlined, so that what the pass
  /// holds is in registers.
  [[gnu::always_inline]] void run() {
    const std::ptrdiff_t end = cells.registers();
    for (std::ptrdiff_t i = 0; i < end; i += 4) {
      const std::ptrdiff_t stop = end - i < 4 ? end : i + 4;
      Part part{Reg{}, Reg{}};
      for (std::ptrdiff_t k = i; k < stop; ++k) part += take(k);
      exps.add(part.exps);
      if (bare) continue;
      others.add(part.others);
      leaders.add(leading);
      leading = Reg{};
    }
  }

  void finish(DenseStrip& s) const {
    put(exps, s.exps);
    put(loss, s.loss);
    put(equal, s.equal);
    put(unmasked, s.unmasked);
    if (!bare) put(others, s.others);
    if (!bare) put(leaders, s.leading);
    L::store(s.moved + cells.row, exp.moved);
    L::store(s.exponent + cells.row, exp.exponent);
  }

 private:
  void put(const Total<float, bytes>& total, double* out) const {
    using Wide = Lanes<double, bytes>;
    if constexpr (wide) {
      out[0] = Wide::sum(total.sum + total.other);
    } else {
      Wide::store(out + cells.row, total.sum);
      Wide::store(out + cells.row + Wide::count, total.other);
    }
  }
  void put(Reg x, float* out) const {
    if constexpr (wide) {
      out[0] = L::sum(x);
    } else {
      L::store(out + cells.row, x);
    }
  }
};

template <int bytes, bool wide>
struct DenseKernels {
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  using Cells = DenseCells<bytes, wide>;

  /// How many logits are not -inf.
  static void count(const DenseRows& rows, DenseStrip& strip) {
    for (int row = 0; row < rows.rows; row += L::count) {
      const Cells cells{rows, row};
      Reg unmasked = Reg{};
      for (std::ptrdiff_t i = 0; i < cells.registers(); ++i) {
        unmasked = cells.masked(i, cells.z(i)) ? unmasked : unmasked + 1.0f;
      }
      if constexpr (wide) {
        strip.unmasked[0] = L::sum(unmasked);
      } else {
        L::store(strip.unmasked + row, unmasked);
      }
    }
  }

  template <bool bare>
  static void sums(const DenseRows& rows, DenseStrip& strip) {
    using Wide = Lanes<double, bytes>;
    for (int row = 0; row < rows.rows; row += L::count) {
      const Cells cells{rows, row};
      DenseSums<bytes, wide, bare> pass(cells, strip);
      pass.run();
      pass.finish(strip);
    }
    for (int row = 0; row < rows.rows; row += Wide::count) {
      const RowTails<bytes> tails(strip.max + row, strip.moved + row, strip.exponent + row, strip.equal + row,
                                  Wide::load(strip.exps + row));
      Wide::store(strip.unit + row, tails.unit);
      Wide::store(strip.tail + row, tails.tail);
      Wide::store(strip.log_sum + row, tails.log_sum);
    }
  }

  /// scale (a p - b) in place of the exponentials; at the maximum, where that would cancel, scale ((a - b) p - b (1 - p)).
  /// With `bare` coefficients that is the label's business alone.
  template <bool bare>
  static void gradient(const DenseRows& rows, const DenseStrip& strip) {
    for (int row = 0; row < rows.rows; row += L::count) {
      const Cells cells{rows, row};
      const DenseCoefficients<bytes, wide> coefficient(cells, strip);
      const Reg max = cells.constant(strip.max);
      const Reg highest = RowExp<float, bytes>(max)(max);
      const Reg first = cells.constant(strip.first);
      const Reg second = cells.constant(strip.second);
      const Reg scale = cells.constant(strip.scale);
      const Reg even = coefficient.even * scale;
      const Reg rest = cells.constant(strip.rest);
      const Reg leading = cells.constant(strip.led);
      const Reg share = cells.constant(strip.share);
      const Reg beside = cells.constant(strip.beside);
      for (std::ptrdiff_t i = 0; i < cells.registers(); ++i) {
        const Reg e = cells.kept(i);
        const auto masked = e == 0.0f;
        const Reg all = times(e, first, second);
        if constexpr (bare) {
          cells.keep(i, masked ? Reg{} : all - even);
        } else {
          const Reg b = coefficient(masked, cells.t(i), cells.w(i));
          const Reg at_maximum = (rest + (leading - b)) * share - b * beside;
          cells.keep(i, e >= highest ? at_maximum : all - b * scale);
        }
      }
    }
  }
};
