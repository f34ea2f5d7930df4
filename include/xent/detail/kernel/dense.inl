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

/// What the passes see of a row by itself, the first one: register i has its classes from i times `count` on.
template <int bytes, bool wide>
struct DenseCells {
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  alignas(64) static constexpr float zeros[16] = {};
  alignas(64) static constexpr float ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

  DenseRows rows;  // by value: what is written to might be anything

  std::ptrdiff_t registers() const { return (rows.classes + L::count - 1) / L::count; }
  std::ptrdiff_t whole_registers() const { return rows.classes / L::count; }

  /// A constant of the row.
  Reg constant(const float* x) const { return L::set(x[0]); }

  [[gnu::always_inline]] Reg z(std::ptrdiff_t i) const {
    return read(rows.z + i * L::count, left(i), -ExpConstants<float>::infinity);
  }
  /// Which logits are -inf, or none at all; -ffast-math knows of no -inf, but of these.
  [[gnu::always_inline]] auto masked(std::ptrdiff_t i, Reg z) const {
    const auto infinite = z == -ExpConstants<float>::infinity;
    return left(i) < L::count ? infinite | L::from(int(left(i))) : infinite;
  }

  [[gnu::always_inline]] Reg t(std::ptrdiff_t i) const {
    return rows.t == nullptr ? Reg{} : read(rows.t + i * L::count, left(i), 0.0f);
  }
  [[gnu::always_inline]] Reg w(std::ptrdiff_t i) const {
    return rows.w == nullptr ? L::set(1.0f) : read(rows.w + i * L::count, left(i), 0.0f);
  }

  /// The whole registers of the row, or where there are none what stands for them.
  template <class T>
  static DensePlace<T> place(T* x, T* without) {
    return x == nullptr ? DensePlace<T>{without, 0} : DensePlace<T>{x, L::count};
  }

  /// Asks for the next row, what will be written too: 4096 x 1000 with gradient takes 1.1 times as long without.
  [[gnu::always_inline]] void prefetch_next(std::ptrdiff_t i) const {
    prefetch<Cache::second>(rows.z + i * L::count, rows.classes);
    if (rows.t != nullptr) prefetch<Cache::second>(rows.t + i * L::count, rows.classes);
    if (rows.kept != nullptr) prefetch<Cache::second, true>(rows.kept + i * L::count, rows.classes);
  }

  [[gnu::always_inline]] Reg kept(std::ptrdiff_t i) const { return read(rows.kept + i * L::count, left(i), 0.0f); }
  [[gnu::always_inline]] void keep(std::ptrdiff_t i, Reg x) const {
    if (rows.kept == nullptr) return;
    float* const to = rows.kept + i * L::count;
    left(i) >= L::count ? L::store(to, x) : store_some(to, left(i), x);
  }

 private:
  std::ptrdiff_t left(std::ptrdiff_t i) const { return rows.classes - i * L::count; }

  /// The first `left` of them, if that does not fill a register, then `fill`.
  [[gnu::always_inline]] Reg read(const float* x, std::ptrdiff_t left, float fill) const {
    if (left >= L::count) return L::load(x);
    return rows.classes >= L::count ? load_last(x, left, fill) : load_some(x, left, fill);
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

/// What they see of a register of rows: register i is class i. The rows of a strip are dealt with for a span of classes, then
/// for the next ones: that is how columns stand in memory. 4096 x 1000 by columns with targets takes 2.6 times as long without.
template <int bytes>
struct DenseCells<bytes, false> {
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  using Row = DenseCells<bytes, true>;
  static constexpr int span = 16;
  static constexpr int short_span = 4;  // where nothing is carried from one to the next
  using Copy = StripCopy<float, bytes, span>;

  /// Room for rows that do not fill a register.
  struct Copies {
    float z[Copy::copy_size], t[Copy::copy_size], kept[Copy::copy_size];
  };

  DensePlace<const float> logits, targets, weights;
  DensePlace<float> exps;
  int row, left;
  std::ptrdiff_t classes;
  bool near;

  /// Whether all classes stay in the nearest cache.
  static bool is_near(const DenseRows& rows) { return rows.classes * rows.z_stride <= near_size; }

  /// The rows from this one on, `most` classes from k on or what is left of them.
  [[gnu::always_inline]] DenseCells(const DenseRows& all, int from, std::ptrdiff_t k, std::ptrdiff_t most,
                                    Copies& copies)
      : logits(place<const float>(all.z, all.z_stride, k, from, copies.z)),
        targets(place<const float>(all.t, all.t_stride, k, from, Row::zeros)),
        weights(place<const float>(all.w, 1, k, 0, Row::ones)),
        exps(place<float>(all.kept, all.kept_stride, k, from, copies.kept)),
        row(from),
        left(all.rows - from),
        classes(all.classes - k < most ? all.classes - k : most),
        near(is_near(all)) {
    if (left >= L::count) return;
    copy(logits, copies.z);
    if (all.t != nullptr) copy(targets, copies.t);
    copy(exps, copies.kept);
  }

  /// Takes home what copies keep.
  void finish(const DenseRows& rows, std::ptrdiff_t k) const {
    if (left >= L::count || rows.kept == nullptr) return;
    Copy::write(exps.data, int(classes), left, rows.kept + k * rows.kept_stride + row, rows.kept_stride);
  }

  std::ptrdiff_t registers() const { return classes; }
  Reg constant(const float* x) const { return L::load(x + row); }

  [[gnu::always_inline]] Reg z(std::ptrdiff_t i) const { return L::load(logits[i]); }
  [[gnu::always_inline]] auto masked(std::ptrdiff_t, Reg z) const { return z == -ExpConstants<float>::infinity; }
  [[gnu::always_inline]] Reg t(std::ptrdiff_t i) const { return L::load(targets[i]); }
  [[gnu::always_inline]] Reg w(std::ptrdiff_t i) const { return L::set(*weights[i]); }
  [[gnu::always_inline]] Reg kept(std::ptrdiff_t i) const { return L::load(exps[i]); }
  [[gnu::always_inline]] void keep(std::ptrdiff_t i, Reg x) const { L::store(exps[i], x); }

  /// Asks for the next classes.
  [[gnu::always_inline]] void prefetch_next(std::ptrdiff_t i) const {
    if (near) return;
    prefetch<Cache::second>(logits[i], span * logits.step);
    prefetch_kept(i);
  }
  [[gnu::always_inline]] void prefetch_kept(std::ptrdiff_t i) const {
    if (near) return;
    prefetch<Cache::second>(targets[i], span * targets.step);
    prefetch<Cache::second, true>(exps[i], span * exps.step);
  }

 private:
  template <class X>
  static DensePlace<X> place(X* x, std::ptrdiff_t step, std::ptrdiff_t k, int from, X* without) {
    return x == nullptr ? DensePlace<X>{without, 0} : DensePlace<X>{x + k * step + from, step};
  }

  template <class X>
  [[gnu::always_inline]] void copy(DensePlace<X>& x, float* to) const {
    Copy::read(x.data, x.step, int(classes), left, to);
    x = {to, L::count};
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
      L::store_narrower(s.at_label + row, leads ? share * (rest + (leading - b) - b * tails.tail) : elsewhere);
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

  DenseGradient(const DenseCells<bytes, wide>& c, const DenseStrip& s)
      : cells(c),
        coefficient(c, s),
        highest(c.constant(s.highest)),
        first(c.constant(s.first)),
        second(c.constant(s.second)),
        scale(c.constant(s.scale)),
        even(coefficient.even * scale),
        rest(c.constant(s.rest)),
        leading(c.constant(s.led)),
        share(c.constant(s.share)),
        beside(c.constant(s.beside)) {}

  /// Over a row by itself, `top` as in DenseSums: p is more than 1 / 2 nowhere else.
  [[gnu::always_inline]] void run_row(std::ptrdiff_t top) const {
    const auto t = cells.place(cells.rows.t, cells.zeros);
    const auto w = cells.place(cells.rows.w, cells.ones);
    const std::ptrdiff_t end = cells.registers();
    const std::ptrdiff_t whole = cells.whole_registers();
    for (std::ptrdiff_t i = 0; i < end; i += block) {
      const std::ptrdiff_t stop = end - i < block ? end : i + block;
      if (i + block <= whole && i != top) {
        for (std::ptrdiff_t k = i; k < stop; ++k) take_whole(k, t[k], w[k]);
      } else {
        for (std::ptrdiff_t k = i; k < stop; ++k) take(k);
      }
    }
  }

  /// Over some classes of the rows of a strip.
  [[gnu::always_inline]] void run_strip() const {
    for (std::ptrdiff_t i = 0; i < cells.classes; ++i) {
      cells.prefetch_kept(i);
      take(i);
    }
  }

 private:
  /// A whole register without the maximum.
  [[gnu::always_inline]] void take_whole(std::ptrdiff_t i, const float* t, const float* w) const {
    float* const kept = cells.rows.kept + i * L::count;
    const Reg e = L::load(kept);
    const Reg all = times(e, first, second);
    if constexpr (bare) {
      L::store(kept, e == 0.0f ? Reg{} : all - even);
    } else {
      L::store(kept, all - coefficient(e == 0.0f, L::load(t), L::load(w)) * scale);
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
    if constexpr (wide) {
      strip.unmasked[0] = L::sum(count_from(Cells{rows}, Reg{}));
    } else {
      run<count_span>(rows, strip, Cells::span);
    }
  }

  template <bool bare>
  static void sums(const DenseRows& rows, DenseStrip& strip) {
    if constexpr (wide) {
      DenseSums<bytes, true, bare> sums;
      sums.run_row(rows, strip);
      sums.put(strip, {rows});
    } else {
      run<sum_span<bare>>(rows, strip, Cells::span);
    }
    set_units(rows.rows, rows.kept != nullptr, strip);
  }

  template <bool bare>
  static void gradient(const DenseRows& rows, DenseStrip& strip) {
    if constexpr (wide) {
      DenseGradient<bytes, true, bare>({rows}, strip).run_row(top_register<bytes>(strip));
    } else {
      run<gradient_span<bare>>(rows, strip, Cells::short_span);
    }
  }

 private:
  using SpanPass = void(const DenseRows& rows, DenseStrip& strip, int row, std::ptrdiff_t k, std::ptrdiff_t most);

  /// Over spans of so many classes, or of all that stay in the nearest cache.
  template <SpanPass pass>
  static void run(const DenseRows& rows, DenseStrip& strip, int span) {
    const bool near = Cells::is_near(rows);
    for (int row = 0; near && row < rows.rows; row += L::count) {
      const std::ptrdiff_t most = row + L::count <= rows.rows ? rows.classes : span;
      for (std::ptrdiff_t k = 0; k < rows.classes; k += most) pass(rows, strip, row, k, most);
    }
    for (std::ptrdiff_t k = 0; !near && k < rows.classes; k += span) {
      for (int row = 0; row < rows.rows; row += L::count) pass(rows, strip, row, k, span);
    }
  }

  [[gnu::noinline]] static void count_span(const DenseRows& rows, DenseStrip& strip, int row, std::ptrdiff_t k,
                                           std::ptrdiff_t most) {
    typename Cells::Copies copies;
    const Cells cells(rows, row, k, most, copies);
    L::store(strip.unmasked + row, count_from(cells, k == 0 ? Reg{} : L::load(strip.unmasked + row)));
  }

  template <bool bare>
  [[gnu::noinline]] static void sum_span(const DenseRows& rows, DenseStrip& strip, int row, std::ptrdiff_t k,
                                         std::ptrdiff_t most) {
    typename Cells::Copies copies;
    const Cells cells(rows, row, k, most, copies);
    DenseSums<bytes, false, bare> sums;
    if (k > 0) sums.take_up(strip, cells);
    sums.run_strip(cells, strip);
    sums.put(strip, cells);
    cells.finish(rows, k);
  }

  template <bool bare>
  [[gnu::noinline]] static void gradient_span(const DenseRows& rows, DenseStrip& strip, int row, std::ptrdiff_t k,
                                              std::ptrdiff_t most) {
    typename Cells::Copies copies;
    const Cells cells(rows, row, k, most, copies);
    DenseGradient<bytes, false, bare>(cells, strip).run_strip();
    cells.finish(rows, k);
  }

  static Reg count_from(const Cells& cells, Reg unmasked) {
    for (std::ptrdiff_t i = 0; i < cells.registers(); ++i) {
      unmasked = cells.masked(i, cells.z(i)) ? unmasked : unmasked + 1.0f;
    }
    return unmasked;
  }

  /// What sums and kept exponentials are measured in; margins as they are.
  static void set_units(int rows, bool keeps, DenseStrip& strip) {
    using Wide = Lanes<double, bytes>;
    for (int row = 0; !wide && row < rows; row += Wide::count) {
      Wide::store(strip.loss + row, Wide::load(strip.loss + row) * (1.0 / DensePass<bytes, wide, true>::shrink));
    }
    for (int row = 0; row < rows; row += L::count) {
      const Reg max = wide ? L::set(strip.max[row]) : L::load(strip.max + row);
      const RowExp<float, bytes> exp(max);
      L::store(strip.moved + row, exp.moved);
      L::store(strip.exponent + row, exp.exponent);
      if (keeps) L::store(strip.highest + row, exp(max));
    }
  }
};
