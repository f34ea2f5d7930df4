// SPDX-License-Identifier: MIT
// xent/detail/kernel/dense.inl - the kernels for rows with a coefficient for each class, once for each instruction set.
//
// The coefficient of a class is b = w (kept t + even), without `even` where the logit is -inf. Of `wide` kernels the lanes
// are classes of one row, the first of the strip; of the others they are rows, and a register is a class.

/// What the sums say of the rows: their losses, and what the gradient is made of. In double, a row in each lane.
template <int bytes>
struct DenseOutcomes {
  using L = Lanes<double, bytes>;
  using Reg = typename L::Reg;

  template <std::size_t most>
  static void outcomes(DenseStrip<float, most>& s, int rows, const DenseTerms& terms) {
    for (int row = 0; row < rows; row += L::count) {
      const RowTails<bytes> tails(s.max + row, s.moved + row, s.exponent + row, s.equal + row, L::load(s.exps + row));
      Reg loss = L::load(s.loss + row) * dense_grow<float>;
      Reg others = L::load(s.others + row);
      Reg leading = L::load(s.leading + row);
      Reg even = L::load_wider(s.even + row);
      if (terms.even) {
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
      L::store_narrower(s.scaled_kept + row, L::load_wider(s.kept + row) * scale);
      L::store_narrower(s.scaled_even + row, even * scale);
      L::store_narrower(s.rest + row, rest);
      L::store_narrower(s.led + row, leading);
      L::store_narrower(s.share + row, share);
      L::store_narrower(s.beside + row, share * tails.tail);
      Reg spread = label_weight * even;
      if (!terms.even) spread = widened<bytes>(__builtin_convertvector(spread, typename L::Narrow));  // as in the sums
      const Reg b = more + (logit == -ExpConstants<double>::infinity ? Reg{} : spread);
      const Reg elsewhere = (rest + leading) * share * ForFloat<bytes>::exp_of_minus(margin) - scale * b;
      L::store_narrower(s.at_label + row, leads ? share * (rest + (leading - b) - b * tails.tail) : elsewhere);
    }
  }
};

/// scale (a p - b) in place of the exponentials; at the maximum, where that would cancel, scale ((a - b) p - b (1 - p)). Where all
/// coefficients are `even` that is the label's business alone.
template <class T, int bytes, bool wide, Blend blend>
struct DenseGradient {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  static constexpr int block = 8;

  DenseCells<T, bytes, wide> cells;
  DenseCoefficients<T, bytes, wide, blend> coefficient;
  Reg highest, first, second, scale, kept, even, rest, leading, share, beside;

  DenseGradient(const DenseCells<T, bytes, wide>& c, const DenseStripOf<T, wide>& s)
      : cells(c),
        coefficient(c, s),
        highest(c.constant(s.highest)),
        first(c.constant(s.first)),
        second(c.constant(s.second)),
        scale(c.constant(s.scale)),
        kept(c.constant(s.scaled_kept)),
        even(c.constant(s.scaled_even)),
        rest(c.constant(s.rest)),
        leading(c.constant(s.led)),
        share(c.constant(s.share)),
        beside(c.constant(s.beside)) {}

  /// Over a row by itself, `top` as in DenseSums: p is more than 1 / 2 nowhere else.
  [[gnu::always_inline]] void run_row(std::ptrdiff_t top) const {
    const auto t = cells.place(cells.rows.t, cells.zeros);
    const auto w = cells.place(cells.rows.w, cells.ones);
    // Read before the register that it overlaps is written, it need not wait for that: soft targets 4096 x 1000 1.1 times.
    const Reg last = L::load(cells.last(cells.rows.kept));
    for (std::ptrdiff_t i = 0; i < cells.whole; i += block) {
      const std::ptrdiff_t stop = cells.whole - i < block ? cells.whole : i + block;
      if (i + block <= cells.whole && i != top) {
        for (std::ptrdiff_t k = i; k < stop; ++k) take_whole(k, t[k], w[k]);
      } else {
        for (std::ptrdiff_t k = i; k < stop; ++k) take(k);
      }
    }
    if (cells.registers() > cells.whole) {
      const Reg target = cells.rows.t == nullptr ? Reg{} : L::load(cells.last(cells.rows.t));
      const Reg weight = cells.rows.w == nullptr ? L::set(T(1)) : L::load(cells.last(cells.rows.w));
      L::store(cells.last(cells.rows.kept), slope(last, target, weight));
    }
  }

  /// The same from the logits once more, and past the caches.
  void run_row_again(Reg max, std::ptrdiff_t top) {
    const RowExp<T, bytes> exp(max);
    highest = exp(max);
    const std::ptrdiff_t last = cells.rows.classes - L::count;
    const auto t = cells.place(cells.rows.t, cells.zeros);
    const auto w = cells.place(cells.rows.w, cells.ones);
    const auto slope_from = [&](std::ptrdiff_t k) {
      const Reg logit = L::load(cells.rows.z + k);
      const Reg e = logit == -ExpConstants<T>::infinity ? Reg{} : exp(logit);
      const Reg target = L::load(t.step == 0 ? t.data : t.data + k);
      const Reg weight = L::load(w.step == 0 ? w.data : w.data + k);
      if (blend != Blend::even && any_leads(e)) [[unlikely]]
        return slope_beside(top, k, e, target, weight);
      return usual_slope(e, target, weight);
    };
    T* const out = cells.rows.kept;
    L::store(out, slope_from(0));
    for (std::ptrdiff_t k = L::lead_of(out); k <= last; k += L::count) L::store_past_caches(out + k, slope_from(k));
    L::store(out + last, slope_from(last));
    past_caches_done();
  }

  /// Over some classes of the rows of a strip.
  [[gnu::always_inline]] void run_strip() const {
    for (std::ptrdiff_t i = 0; i < cells.classes; ++i) {
      cells.prefetch_kept(i);
      take(i);
    }
  }

 private:
  /// The coefficients times scale, with three roundings less than in that order.
  template <class Mask>
  [[gnu::always_inline]] Reg scaled([[maybe_unused]] Mask masked, Reg t, [[maybe_unused]] Reg w) const {
    if constexpr (blend == Blend::targets) return t * scale;
    return w * (t * kept + (masked ? Reg{} : even));
  }

  /// A whole register without the maximum.
  [[gnu::always_inline]] void take_whole(std::ptrdiff_t i, const T* t, const T* w) const {
    T* const to = cells.rows.kept + i * L::count;
    L::store(to, usual_slope(L::load(to), L::load(t), L::load(w)));
  }

  void take(std::ptrdiff_t i) const { cells.keep(i, slope(cells.kept(i), cells.t(i), cells.w(i))); }

  [[gnu::always_inline]] Reg slope(Reg e, Reg t, Reg w) const {
    const Reg usual = usual_slope(e, t, w);
    if constexpr (blend == Blend::even) return usual;
    const Reg b = coefficient(e == T(0), t, w);
    const Reg at_maximum = as_rounded((rest + (leading - b)) * share) - b * beside;
    return e >= highest ? at_maximum : usual;
  }
  [[gnu::always_inline]] Reg usual_slope(Reg e, [[maybe_unused]] Reg t, [[maybe_unused]] Reg w) const {
    const auto masked = e == T(0);
    const Reg all = times(e, first, second);
    if constexpr (blend == Blend::even) return masked ? Reg{} : all - even;
    return all - as_rounded(scaled(masked, t, w));
  }

  bool any_leads(Reg e) const {
    using Bits = typename L::Bits;
    return L::any_sign(reinterpret_cast<Bits>(highest) - reinterpret_cast<Bits>(e) - typename L::Word(1));
  }
  /// From the k-th class on, as run_row: other classes that have the maximum, too, are as all others there.
  [[gnu::noinline]] Reg slope_beside(std::ptrdiff_t top, std::ptrdiff_t k, Reg e, Reg t, Reg w) const {
    const std::ptrdiff_t behind = cells.whole / block * block;
    const std::ptrdiff_t begin = top < 0 ? behind : top;
    const auto from = [&](std::ptrdiff_t i) { return L::from(int(i * L::count - k)); };
    return (from(begin) & ~from(begin + block)) | from(behind) ? slope(e, t, w) : usual_slope(e, t, w);
  }
};

template <class T, int bytes, bool wide>
struct DenseKernels {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Cells = DenseCells<T, bytes, wide>;
  using Strip = DenseStripOf<T, wide>;

  /// How many logits are not -inf.
  static void count(const DenseRows<T>& rows, Strip& strip, [[maybe_unused]] int j) {
    if constexpr (wide) {
      strip.unmasked[j] = L::sum(count_from(Cells(rows, j), Reg{}));
    } else {
      run<count_span>(rows, strip, Cells::span);
    }
  }

  template <Blend blend, bool keeps>
  static void sums(const DenseRows<T>& rows, Strip& strip, [[maybe_unused]] int j) {
    if constexpr (wide) {
      DenseSums<T, bytes, true, blend> sums;
      sums.template run_row<keeps>(rows, j, strip);
      sums.put(strip, Cells(rows, j));
      set_units(j, keeps, strip);
    } else {
      run<sum_span<blend>>(rows, strip, Cells::span);
      for (int row = 0; row < rows.rows; row += L::count) set_units(row, keeps, strip);
    }
  }

  template <Blend blend>
  static void gradient(const DenseRows<T>& rows, Strip& strip, [[maybe_unused]] int j) {
    if constexpr (wide) {
      DenseGradient<T, bytes, true, blend>(Cells(rows, j), strip).run_row(top_register<T, bytes>(strip));
    } else {
      run<gradient_span<blend>>(rows, strip, Cells::short_span);
    }
  }

  template <Blend blend>
  static void gradient_again(const DenseRows<T>& rows, Strip& strip, int j) {
    DenseGradient<T, bytes, true, blend> gradient(Cells(rows, j), strip);
    gradient.run_row_again(L::set(strip.max[j]), top_register<T, bytes>(strip));
  }

 private:
  using SpanPass = void(const DenseRows<T>& rows, Strip& strip, int row, std::ptrdiff_t k, std::ptrdiff_t most);

  /// Over spans of so many classes, or of all that stay in the nearest cache.
  template <SpanPass pass>
  static void run(const DenseRows<T>& rows, Strip& strip, int span) {
    const bool near = Cells::is_near(rows);
    for (int row = 0; near && row < rows.rows; row += L::count) {
      const std::ptrdiff_t most = row + L::count <= rows.rows ? rows.classes : span;
      for (std::ptrdiff_t k = 0; k < rows.classes; k += most) pass(rows, strip, row, k, most);
    }
    for (std::ptrdiff_t k = 0; !near && k < rows.classes; k += span) {
      for (int row = 0; row < rows.rows; row += L::count) pass(rows, strip, row, k, span);
    }
  }

  [[gnu::noinline]] static void count_span(const DenseRows<T>& rows, Strip& strip, int row, std::ptrdiff_t k,
                                           std::ptrdiff_t most) {
    typename Cells::Copies copies;
    const Cells cells(rows, row, k, most, copies);
    L::store(strip.unmasked + row, count_from(cells, k == 0 ? Reg{} : L::load(strip.unmasked + row)));
  }

  template <Blend blend>
  [[gnu::noinline]] static void sum_span(const DenseRows<T>& rows, Strip& strip, int row, std::ptrdiff_t k,
                                         std::ptrdiff_t most) {
    typename Cells::Copies copies;
    const Cells cells(rows, row, k, most, copies);
    DenseSums<T, bytes, false, blend> sums;
    if (k > 0) sums.take_up(strip, cells);
    sums.run_strip(cells, strip);
    sums.put(strip, cells);
    cells.finish(rows, k);
  }

  template <Blend blend>
  [[gnu::noinline]] static void gradient_span(const DenseRows<T>& rows, Strip& strip, int row, std::ptrdiff_t k,
                                              std::ptrdiff_t most) {
    typename Cells::Copies copies;
    const Cells cells(rows, row, k, most, copies);
    DenseGradient<T, bytes, false, blend>(cells, strip).run_strip();
    cells.finish(rows, k);
  }

  static Reg count_from(const Cells& cells, Reg unmasked) {
    for (std::ptrdiff_t i = 0; i < cells.registers(); ++i) {
      unmasked = cells.masked(i, cells.z(i)) ? unmasked : unmasked + T(1);
    }
    return unmasked;
  }

  /// What sums and kept exponentials of the rows from this one on are measured in.
  static void set_units(int row, bool keeps, Strip& strip) {
    const Reg max = wide ? L::set(strip.max[row]) : L::load(strip.max + row);
    const RowExp<T, bytes> exp(max);
    if (wide) L::store(strip.max + row, max);  // for so it will be read
    L::store(strip.moved + row, exp.moved);
    L::store(strip.exponent + row, exp.exponent);
    if (keeps) L::store(strip.highest + row, exp(max));
  }
};
