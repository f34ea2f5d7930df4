// SPDX-License-Identifier: MIT
// xent/detail/kernel/dense_sums.inl - the sums over rows with a coefficient for each class, once for each instruction set.

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
  [[gnu::always_inline]] Part take(std::ptrdiff_t i, Part part) const {
    const Reg logit = cells.z(i);
    cells.prefetch_next(i);
    const auto masked = cells.masked(i, logit);
    const auto leads = logit >= max;
    const Reg e = masked ? Reg{} : exp(logit);
    cells.keep(i, e);
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
    return part;
  }

  /// At most four from the i-th on.
  [[gnu::always_inline]] Part take_some(std::ptrdiff_t i, std::ptrdiff_t end) const {
    const std::ptrdiff_t stop = end - i < 4 ? end : i + 4;
    Part part;
    for (; i < stop; ++i) part = take(i, part);
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
  using Wide = Lanes<double, bytes>;

  Total<float, bytes> exps, margins, shrunk, others, leading;
  Reg equal, unmasked;

  DenseSums() : equal(Reg{}), unmasked(Reg{}) {}

  /// Over some classes of the rows of a strip.
  [[gnu::always_inline]] void run_strip(const Cells& cells, const DenseStrip& s) {
    const Pass pass(cells, s);
    for (std::ptrdiff_t i = 0; i < cells.classes; i += 4) {
      const Part part = pass.take_some(i, cells.classes);
      shrunk.add(part.margins);
      add(part);
    }
  }

  /// Over a row by itself. What blocks leave is taken by a call, so that they can keep all they need in registers.
  [[gnu::always_inline]] void run_row(const DenseRows& rows, const DenseStrip& s) {
    alignas(64) float unwanted[std::size_t(L::count)];
    const DenseBlocks<bytes, bare> blocks({rows}, s, unwanted);
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

  /// On from what put() left of a strip: to the same bits as without a break.
  void take_up(const DenseStrip& s, const Cells& cells) {
    take_up(exps, s.exps, cells);
    take_up(shrunk, s.loss, cells);
    equal = L::load(s.equal + cells.row);
    if (bare) {
      unmasked = L::load(s.unmasked + cells.row);
    } else {
      take_up(others, s.others, cells);
      take_up(leading, s.leading, cells);
    }
  }

  /// The margins of strips are still shrunk.
  void put(DenseStrip& s, const Cells& cells) {
    if (wide) margins.add(shrunk, 1 / Pass::shrink);
    put(exps, s.exps, cells);
    put(wide ? margins : shrunk, s.loss, cells);
    put(equal, s.equal, cells);
    if (bare) {
      put(unmasked, s.unmasked, cells);
    } else {
      put(others, s.others, cells);
      put(leading, s.leading, cells);
    }
  }

 private:
  [[gnu::noinline]] static Part take_any(const DenseRows& rows, const DenseStrip& s, std::ptrdiff_t i) {
    const Pass pass({rows}, s);
    return pass.take_some(i, pass.cells.registers());
  }

  [[gnu::always_inline]] void add(const Part& part) {
    exps.add(part.exps);
    equal += part.equal;
    unmasked += part.unmasked;
    if (bare) return;
    others.add(part.others);
    leading.add(part.leading);
  }

  static void take_up(Total<float, bytes>& total, const double* in, const Cells& cells) {
    total.sum = Wide::load(in + cells.row);
    total.other = Wide::load(in + cells.row + Wide::count);
  }

  static void put(const Total<float, bytes>& total, double* out, [[maybe_unused]] const Cells& cells) {
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
