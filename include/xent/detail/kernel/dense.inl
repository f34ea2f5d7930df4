// SPDX-License-Identifier: MIT
// xent/detail/kernel/dense.inl - the kernels for rows with a coefficient for each class, once for each instruction set.
//
// The coefficient of a class is b = w (kept t + even), without `even` where the logit is -inf. Of `wide` kernels the lanes
// are classes of one row, the first of the strip; of the others they are rows, and a register is a class.

/// Where the whole registers of a row stand: one after the other, or all at the same place.
template <class T>
struct DensePlace {
  T* data;
  std::ptrdiff_t step;

  T* operator[](std::ptrdiff_t i) const { return data + i * step; }
};

template <int bytes, bool wide>
struct DenseCells {
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  alignas(64) static constexpr float zeros[16] = {};
  alignas(64) static constexpr float ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

  DenseRows rows;  // by value: what is written to might be anything
  int row;

  std::ptrdiff_t registers() const { return wide ? (rows.classes + L::count - 1) / L::count : rows.classes; }
  std::ptrdiff_t whole_registers() const { return rows.classes / L::count; }

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

  /// The whole registers of a row by itself, or where there are none what stands for them.
  template <class T>
  static DensePlace<T> place(T* x, T* without) {
    return x == nullptr ? DensePlace<T>{without, 0} : DensePlace<T>{x, L::count};
  }

  /// Asks for the next row, what will be written too: 4096 x 1000 with gradient takes 1.1 times as long without.
  [[gnu::always_inline]] void prefetch_next(std::ptrdiff_t i) const {
    if (!wide) return;
    prefetch<Cache::second>(rows.z + i * L::count, rows.classes);
    if (rows.t != nullptr) prefetch<Cache::second>(rows.t + i * L::count, rows.classes);
    if (rows.kept != nullptr) prefetch<Cache::second, true>(rows.kept + i * L::count, rows.classes);
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
  [[gnu::always_inline]] Reg read(const float* x, std::ptrdiff_t left, float fill) const {
    if (left >= L::count) return L::load(x);
    return wide && rows.classes >= L::count ? load_last(x, left, fill) : load_some(x, left, fill);
  }
  /// From the last whole register, which is faster than one by one.
  [[gnu::noinline]] static Reg load_last(const float* x, std::ptrdiff_t left, float fill) {
    float all[std::size_t(2 * L::count)];
    L::store(all, L::load(x + left - L::count));
    L::store(all + L::count, L::set(fill));
    return L::load(all + L::count - left);
  }
  [[gnu::noinline]] static Reg load_some(const float* x, std::ptrdiff_t left, float fill) {
    Reg all = L::set(fill);
    for (std::ptrdiff_t k = 0; k < left; ++k) all[k] = x[k];
    return all;
  }
  [[gnu::noinline]] static void store_some(float* to, std::ptrdiff_t left, Reg x) {
    __builtin_memcpy(to, &x, std::size_t(left) * sizeof(float));
  }
};

/// The first of the eight registers with the maximum of a row by itself, if that is not behind the last eight.
template <int bytes>
std::ptrdiff_t top_register(const DenseStrip& s) {
  return s.top < 0 ? -1 : s.top / Lanes<float, bytes>::count;
}

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

/// What a few registers add to the sums.
template <int bytes>
struct DensePart {
  using Reg = typename Lanes<float, bytes>::Reg;

  Reg exps, margins, others, leading, equal, unmasked;

  DensePart() : exps(Reg{}), margins(Reg{}), others(Reg{}), leading(Reg{}), equal(Reg{}), unmasked(Reg{}) {}
};

/// Registers whatever they hold. Without targets and weights (`bare`) the coefficients are all `even`: then it is enough to sum
/// the margins and to count, and `even` need not be known yet.
template <int bytes, bool wide, bool bare>
struct DensePass {
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  using Part = DensePart<bytes>;
  // What margins are multiplied by, since they, or the sums of four, may be no floats.
  static constexpr float shrink = 0.0625f;

  DenseCells<bytes, wide> cells;
  DenseCoefficients<bytes, wide> coefficient;
  RowExp<float, bytes> exp;
  Reg max;

  DensePass(const DenseCells<bytes, wide>& c, const DenseStrip& s)
      : cells(c), coefficient(c, s), exp(c.constant(s.max)), max(c.constant(s.max)) {}

  /// Masked classes keep 0, which no exponential is. Nothing depends on what stands in other lanes.
  [[gnu::always_inline]] void take(std::ptrdiff_t i, Part& part) const {
    const Reg logit = cells.z(i);
    cells.prefetch_next(i);
    const auto masked = cells.masked(i, logit);
    const auto leads = logit >= max;
    const Reg e = masked ? Reg{} : exp(logit);
    if (cells.rows.kept != nullptr) cells.keep(i, e);
    part.equal = leads ? part.equal + 1.0f : part.equal;
    part.exps += leads ? Reg{} : e;
    const Reg margin = max * shrink - logit * shrink;
    if constexpr (bare) {
      part.unmasked = masked ? part.unmasked : part.unmasked + 1.0f;
      part.margins += masked ? Reg{} : margin;
    } else {
      const Reg b = coefficient(masked, cells.t(i), cells.w(i));
      part.margins += b == 0.0f ? Reg{} : b * margin;
      part.others += leads ? Reg{} : b;
      part.leading += leads ? b : Reg{};
    }
  }

  /// At most four from the i-th on.
  [[gnu::always_inline]] Part take_some(std::ptrdiff_t i) const {
    const std::ptrdiff_t left = cells.registers() - i;
    const std::ptrdiff_t stop = i + (left < 4 ? left : 4);
    Part part;
    for (; i < stop; ++i) take(i, part);
    return part;
  }
};

/// Whole registers of a row by itself with finite logits.
template <int bytes, bool bare>
struct DenseBlocks : DensePass<bytes, true, bare> {
  using Base = DensePass<bytes, true, bare>;
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  using Part = DensePart<bytes>;

  DensePlace<const float> z, t, w;
  DensePlace<float> kept;

  /// Exponentials that nobody keeps are written to `unwanted`.
  DenseBlocks(const DenseCells<bytes, true>& c, const DenseStrip& s, float* unwanted)
      : Base(c, s),
        z(c.place(c.rows.z, c.zeros)),
        t(c.place(c.rows.t, c.zeros)),
        w(c.place(c.rows.w, c.ones)),
        kept(c.place(c.rows.kept, unwanted)) {}

  /// The n from the i-th on, which with `tops` may have the maximum. Nothing is done where a margin, or the sum of them, is
  /// no float: masked classes have no business here. That is seen before the exponentials are written over the logits.
  template <int n, bool tops>
  [[gnu::always_inline]] bool take(std::ptrdiff_t i, Part& part) const {
    const Pair pair = margins_of<n, tops>(i, part);
    if (!L::all_finite(pair.margins)) return false;
    part.margins = pair.margins;
    part.others = pair.others;
    part.unmasked = L::set(float(n));
    part.exps = exps_of<n, tops>(i, part);
    return true;
  }

 private:
  struct Pair {
    Reg margins, others;
    [[gnu::always_inline]] Pair operator+(const Pair& x) const { return {margins + x.margins, others + x.others}; }
  };

  /// The sums of b (max - z) and of b, as trees.
  template <int n, bool tops>
  [[gnu::always_inline]] Pair margins_of(std::ptrdiff_t i, Part& part) const {
    if constexpr (n > 1) {
      const Pair first = margins_of<n / 2, tops>(i, part);
      return first + margins_of<n / 2, tops>(i + n / 2, part);
    } else {
      const Reg logit = L::load(z[i]);
      const Reg margin = this->max - logit;
      if constexpr (bare) return {margin, Reg{}};
      const Reg b = L::load(w[i]) * (L::load(t[i]) * this->coefficient.kept + this->coefficient.even);
      if constexpr (!tops) return {b * margin, b};
      const auto leads = logit >= this->max;
      part.leading = leads ? part.leading + b : part.leading;
      return {b * margin, leads ? Reg{} : b};
    }
  }

  /// The sum of their exponentials, which are kept.
  template <int n, bool tops>
  [[gnu::always_inline]] Reg exps_of(std::ptrdiff_t i, Part& part) const {
    if constexpr (n > 1) {
      const Reg first = exps_of<n / 2, tops>(i, part);
      return first + exps_of<n / 2, tops>(i + n / 2, part);
    } else {
      this->cells.prefetch_next(i);
      const Reg logit = L::load(z[i]);
      const Reg e = this->exp(logit);
      L::store(kept[i], e);
      if constexpr (!tops) return e;
      const auto leads = logit >= this->max;
      part.equal = leads ? part.equal + 1.0f : part.equal;
      return leads ? Reg{} : e;
    }
  }
};

/// The sums over the rows, with few roundings in float before the totals in double take over.
template <int bytes, bool wide, bool bare>
struct DenseSums {
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  using Part = DensePart<bytes>;
  using Pass = DensePass<bytes, wide, bare>;
  using Cells = DenseCells<bytes, wide>;

  Total<float, bytes> exps, margins, shrunk, others, leading;
  Reg equal, unmasked;

  DenseSums() : equal(Reg{}), unmasked(Reg{}) {}

  /// Over the rows of a strip.
  [[gnu::always_inline]] void run_strip(const Cells& cells, const DenseStrip& s) {
    const Pass pass(cells, s);
    for (std::ptrdiff_t i = 0; i < cells.registers(); i += 4) {
      const Part part = pass.take_some(i);
      shrunk.add(part.margins);
      add(part);
    }
  }

  /// Over a row by itself. What blocks leave is taken by a call, so that they can keep all they need in registers.
  [[gnu::always_inline]] void run_row(const DenseRows& rows, const DenseStrip& s) {
    alignas(64) float unwanted[std::size_t(L::count)];
    const DenseBlocks<bytes, bare> blocks({rows, 0}, s, unwanted);
    const std::ptrdiff_t top = top_register<bytes>(s);
    const std::ptrdiff_t whole = rows.classes / L::count;
    const std::ptrdiff_t end = (rows.classes + L::count - 1) / L::count;
    for (std::ptrdiff_t i = 0; i < end;) {
      Part part;
      if (i % 8 == 0 && i != top && i + 8 <= whole && blocks.template take<8, false>(i, part)) {
        margins.add(part.margins);
        i += 8;
      } else if (i + 4 <= whole && blocks.template take<4, true>(i, part)) {
        margins.add(part.margins);
        i += 4;
      } else {
        part = take_any(rows, s, i);
        shrunk.add(part.margins);
        i += 4;
      }
      add(part);
    }
  }

  void finish(DenseStrip& s, const Cells& cells) {
    margins.add(shrunk, 1 / Pass::shrink);
    put(exps, s.exps, cells);
    put(margins, s.loss, cells);
    put(equal, s.equal, cells);
    put(unmasked, s.unmasked, cells);
    if (!bare) put(others, s.others, cells);
    if (!bare) put(leading, s.leading, cells);
    const RowExp<float, bytes> exp(cells.constant(s.max));
    L::store(s.moved + cells.row, exp.moved);
    L::store(s.exponent + cells.row, exp.exponent);
  }

 private:
  [[gnu::noinline]] static Part take_any(const DenseRows& rows, const DenseStrip& s, std::ptrdiff_t i) {
    return Pass({rows, 0}, s).take_some(i);
  }

  [[gnu::always_inline]] void add(const Part& part) {
    exps.add(part.exps);
    equal += part.equal;
    unmasked += part.unmasked;
    if (bare) return;
    others.add(part.others);
    leading.add(part.leading);
  }

  static void put(const Total<float, bytes>& total, double* out, [[maybe_unused]] const Cells& cells) {
    using Wide = Lanes<double, bytes>;
    if constexpr (wide) {
      out[0] = Wide::sum(total.sum + total.other);
    } else {
      Wide::store(out + cells.row, total.sum);
      Wide::store(out + cells.row + Wide::count, total.other);
    }
  }
  static void put(Reg x, float* out, [[maybe_unused]] const Cells& cells) {
    if constexpr (wide) {
      out[0] = L::sum(x);
    } else {
      L::store(out + cells.row, x);
    }
  }
};

/// What the sums say of the rows: their losses, and what the gradient is made of. In double, a row in each lane.
template <int bytes>
struct DenseOutcomes {
  using L = Lanes<double, bytes>;
  using Reg = typename L::Reg;

  static void outcomes(DenseStrip& s, int rows, const DenseTerms& terms) {
    for (int row = 0; row < rows; row += L::count) {
      const RowTails<bytes> tails(s.max + row, s.moved + row, s.exponent + row, s.equal + row, L::load(s.exps + row));
      Reg loss = L::load(s.loss + row);
      Reg others = L::load(s.others + row);
      Reg leading = L::load(s.leading + row);
      Reg even = L::load_wider(s.even + row);
      if (terms.bare) {
        const Reg equal = L::load_wider(s.equal + row);
        const Reg unmasked = L::load_wider(s.unmasked + row);
        even = terms.smoothing / unmasked;
        loss *= even;
        others = (unmasked - equal) * even;
        leading = equal * even;
        L::store_narrower(s.even + row, even);
      }
      const Reg max = L::load_wider(s.max + row);
      const Reg logit = L::load_wider(s.logit + row);
      const Reg label_weight = L::load(s.label_weight + row);
      const Reg weight = L::load(s.sample_weight + row);
      const Reg margin = max - logit;
      const auto leads = margin == 0.0;
      const Reg more = label_weight * terms.label_share;  // what the label has beyond the others
      loss += more == 0.0 ? Reg{} : more * margin;
      others += leads ? Reg{} : more;
      leading += leads ? more : Reg{};
      const Reg logsumexp = max + tails.log_sum;
      const Reg z_loss = terms.z_loss ? L::load(s.z_loss + row) * logsumexp : Reg{};
      const Reg poison = (max - max) + (tails.tail - tails.tail);  // NaN where the row is not regular
      loss = weight * (loss + (others + leading) * tails.log_sum) + z_loss * logsumexp;
      L::store(s.loss + row, loss + poison);
      if (!terms.gradient) continue;
      const Reg scale = weight * terms.scale;
      const Reg share = scale / (tails.tail + 1.0);
      const Reg rest = others + (weight == 0.0 ? Reg{} : 2.0 * z_loss / weight);
      put_factor<float, bytes>((rest + leading) * share * tails.unit, s.first + row, s.second + row);
      L::store_narrower(s.scale + row, scale);
      L::store_narrower(s.rest + row, rest);
      L::store_narrower(s.led + row, leading);
      L::store_narrower(s.share + row, share);
      L::store_narrower(s.beside + row, share * tails.tail);
      Reg spread = label_weight * even;
      if (!terms.bare) spread = widened<bytes>(__builtin_convertvector(spread, typename L::Narrow));  // as in the sums
      const Reg b = more + (logit == -ExpConstants<double>::infinity ? Reg{} : spread);
      const Reg elsewhere = (rest + leading) * share * ForFloat<bytes>::exp_of_minus(margin) - scale * b;
      L::store(s.at_label + row, leads ? share * (rest + (leading - b) - b * tails.tail) : elsewhere);
    }
  }
};

/// scale (a p - b) in place of the exponentials; at the maximum, where that would cancel, scale ((a - b) p - b (1 - p)). With
/// `bare` coefficients that is the label's business alone.
template <int bytes, bool wide, bool bare>
struct DenseGradient {
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  static constexpr int block = 8;

  DenseCells<bytes, wide> cells;
  DenseCoefficients<bytes, wide> coefficient;
  Reg highest, first, second, scale, even, rest, leading, share, beside;
  DensePlace<const float> t, w;

  DenseGradient(const DenseCells<bytes, wide>& c, const DenseStrip& s)
      : cells(c),
        coefficient(c, s),
        highest(RowExp<float, bytes>(c.constant(s.max))(c.constant(s.max))),
        first(c.constant(s.first)),
        second(c.constant(s.second)),
        scale(c.constant(s.scale)),
        even(coefficient.even * scale),
        rest(c.constant(s.rest)),
        leading(c.constant(s.led)),
        share(c.constant(s.share)),
        beside(c.constant(s.beside)),
        t(c.place(c.rows.t, c.zeros)),
        w(c.place(c.rows.w, c.ones)) {}

  /// `top` as in DenseSums: p is more than 1 / 2 nowhere else.
  [[gnu::always_inline]] void run(std::ptrdiff_t top) const {
    const std::ptrdiff_t end = cells.registers();
    const std::ptrdiff_t whole = cells.whole_registers();
    for (std::ptrdiff_t i = 0; i < end; i += block) {
      const std::ptrdiff_t stop = end - i < block ? end : i + block;
      if (wide && i + block <= whole && i != top) {
        for (std::ptrdiff_t k = i; k < stop; ++k) take_whole(k);
      } else {
        for (std::ptrdiff_t k = i; k < stop; ++k) take(k);
      }
    }
  }

 private:
  /// A whole register without the maximum.
  [[gnu::always_inline]] void take_whole(std::ptrdiff_t i) const {
    float* const kept = cells.rows.kept + i * L::count;
    const Reg e = L::load(kept);
    const Reg all = times(e, first, second);
    if constexpr (bare) {
      L::store(kept, e == 0.0f ? Reg{} : all - even);
    } else {
      L::store(kept, all - coefficient(e == 0.0f, L::load(t[i]), L::load(w[i])) * scale);
    }
  }

  void take(std::ptrdiff_t i) const {
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
    for (int row = 0; row < rows.rows; row += L::count) {
      const Cells cells{rows, row};
      DenseSums<bytes, wide, bare> pass;
      if constexpr (wide) {
        pass.run_row(rows, strip);
      } else {
        pass.run_strip(cells, strip);
      }
      pass.finish(strip, cells);
    }
  }

  template <bool bare>
  static void gradient(const DenseRows& rows, const DenseStrip& strip) {
    for (int row = 0; row < rows.rows; row += L::count) {
      const Cells cells{rows, row};
      DenseGradient<bytes, wide, bare>(cells, strip).run(top_register<bytes>(strip));
    }
  }
};
