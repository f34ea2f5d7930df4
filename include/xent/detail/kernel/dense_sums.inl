// SPDX-License-Identifier: MIT
// xent/detail/kernel/dense_sums.inl - the sums over rows with a coefficient for each class, once for each instruction set.

/// The first of the eight registers with the maximum of a row by itself, if that is not behind the last eight.
template <class T, int bytes>
std::ptrdiff_t top_register(const DenseStripOf<T, true>& s) {
  return s.top < 0 ? -1 : s.top / Lanes<T, bytes>::count;
}

/// What the rows are told about their coefficients.
template <class T, int bytes, bool wide, Blend blend>
struct DenseCoefficients {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;

  Reg kept, even;

  DenseCoefficients(const DenseCells<T, bytes, wide>& cells, const DenseStripOf<T, wide>& s)
      : kept(cells.constant(s.kept)), even(cells.constant(s.even)) {}

  template <class Mask>
  [[gnu::always_inline]] Reg operator()([[maybe_unused]] Mask masked, Reg t, [[maybe_unused]] Reg w) const {
    if constexpr (blend == Blend::targets) return t;
    return w * (t * kept + (masked ? Reg{} : even));
  }
  /// Of classes none of which is masked.
  [[gnu::always_inline]] Reg of_unmasked(Reg t, [[maybe_unused]] Reg w) const {
    if constexpr (blend == Blend::targets) return t;
    return w * (t * kept + even);
  }
};

/// What a few registers add to the sums.
template <class T, int bytes>
struct DensePart {
  using Reg = typename Lanes<T, bytes>::Reg;

  Reg exps, margins, others, leading, equal, unmasked;

  DensePart() : exps(Reg{}), margins(Reg{}), others(Reg{}), leading(Reg{}), equal(Reg{}), unmasked(Reg{}) {}
};

/// Registers whatever they hold. Where all coefficients are `even`, it is enough to sum the margins and to count, and `even` need
/// not be known yet.
template <class T, int bytes, bool wide, Blend blend>
struct DensePass {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Part = DensePart<T, bytes>;
  // What margins are multiplied by, see dense_grow.
  static constexpr T shrink = T(1 / dense_grow<T>);

  DenseCells<T, bytes, wide> cells;
  DenseCoefficients<T, bytes, wide, blend> coefficient;
  RowExp<T, bytes> exp;
  Reg max;

  DensePass(const DenseCells<T, bytes, wide>& c, const DenseStripOf<T, wide>& s)
      : cells(c), coefficient(c, s), exp(c.constant(s.max)), max(c.constant(s.max)) {}

  /// Masked classes keep 0, which no exponential is. Nothing depends on what stands in other lanes.
  [[gnu::always_inline]] Part take(std::ptrdiff_t i, Part part) const {
    const Reg logit = cells.z(i);
    cells.prefetch_next(i);
    const auto masked = cells.masked(i, logit);
    const auto leads = logit >= max;
    const Reg e = masked ? Reg{} : exp(logit);
    cells.keep(i, e);
    part.equal = leads ? part.equal + T(1) : part.equal;
    part.exps += leads ? Reg{} : e;
    const Reg margin = max * shrink - logit * shrink;
    if constexpr (blend == Blend::even) {
      part.unmasked = masked ? part.unmasked : part.unmasked + T(1);
      part.margins += masked ? Reg{} : margin;
    } else {
      const Reg b = coefficient(masked, cells.t(i), cells.w(i));
      part.margins += b == T(0) ? Reg{} : b * margin;
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

/// Whole registers of a row by itself with finite logits. The next row is read for its maximum meanwhile, as in RowPass.
template <class T, int bytes, Blend blend, bool keeps>
struct DenseBlocks {
  using K = ExpConstants<T>;
  using Cells = DenseCells<T, bytes, true>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Part = DensePart<T, bytes>;

  DenseRows<T> rows;
  DenseCoefficients<T, bytes, true, blend> coefficient;
  RowExp<T, bytes> exp;
  T largest;
  Reg max;  // as the logits are read: less what is moved
  bool moves;
  DensePlace<const T> t, w;
  const T* next;
  RowTops<T, bytes> tops_of_next;
  Reg seen;

  DenseBlocks(const Cells& c, const DenseStripOf<T, true>& s)
      : rows(c.rows),
        coefficient(c, s),
        exp(c.constant(s.max)),
        largest(s.max[c.row]),
        max(c.constant(s.max) - exp.moved),
        moves(largest >= K::reach || largest <= -K::reach),
        t(c.place(rows.t, c.zeros)),
        w(c.place(rows.w, c.ones)),
        next(rows.next != nullptr ? rows.next : rows.z),
        seen(Reg{}) {
    if constexpr (blend == Blend::targets) t.step = L::count;  // as the compiler then knows
  }

  /// The n from the i-th on, which with `tops` may have the maximum. Nothing is done where a margin, or the sum of them, is
  /// not finite: masked classes have no business here. That is seen before the exponentials are written over the logits.
  template <int n, bool tops>
  [[gnu::always_inline]] bool take(std::ptrdiff_t i, Part& part) {
    alignas(64) T moved[std::size_t(n * L::count)];
    const std::ptrdiff_t at = i * L::count;
    const T* const z = moves ? moved_block<T, bytes, n>(rows.z + at, largest, moved) : rows.z + at;
    const Pair pair = margins_of<n, tops>(z, t[i], w[i], part);
    if (!L::all_finite(pair.margins)) return false;
    part.margins = pair.margins;
    part.others = pair.others;
    part.unmasked = L::set(T(n));
    seen = L::set(-K::infinity);
    part.exps = exps_of<n, tops>(z, t[i], at, part);
    return true;
  }

  /// What the n registers from the i-th on have seen of the next row.
  template <int n>
  [[gnu::always_inline]] void look(std::ptrdiff_t i, std::ptrdiff_t whole) {
    if constexpr (n < 8) {
      seen = L::set(-K::infinity);
      for (std::ptrdiff_t k = i; k < whole && k < i + n; ++k) see(k * L::count);
      if (i / 8 * 8 + 8 > whole) return tops_of_next.take_rest(seen);
    }
    tops_of_next.take(seen, i * L::count);
  }

  RowTop<T> top_of_next() {
    tops_of_next.take_rest(L::load(next + rows.classes - L::count));
    return tops_of_next.top();
  }

 private:
  struct Pair {
    Reg margins, others;
    [[gnu::always_inline]] Pair operator+(const Pair& x) const { return {margins + x.margins, others + x.others}; }
  };

  [[gnu::always_inline]] void see(std::ptrdiff_t at) {
    seen = L::larger(L::load(next + at), seen);
    prefetch<Cache::second>(next + at, 8192 / int(sizeof(T)));
  }

  /// The sums of b (max - z) and of b, as trees.
  template <int n, bool tops>
  [[gnu::always_inline]] Pair margins_of(const T* z, const T* target, const T* weight, Part& part) const {
    if constexpr (n > 1) {
      constexpr int half = n / 2;
      const Pair first = margins_of<half, tops>(z, target, weight, part);
      return first + margins_of<half, tops>(z + half * L::count, target + half * t.step, weight + half * w.step, part);
    } else {
      const Reg logit = L::load(z);
      const Reg margin = max - logit;
      if constexpr (blend == Blend::even) return {margin, Reg{}};
      const Reg b = coefficient.of_unmasked(L::load(target), L::load(weight));
      if constexpr (!tops) return {b * margin, b};
      const auto leads = logit >= max;
      part.leading = leads ? part.leading + b : part.leading;
      return {b * margin, leads ? Reg{} : b};
    }
  }

  /// The sum of their exponentials. Asks for the targets of the row after the next, and where the next will be kept.
  template <int n, bool tops>
  [[gnu::always_inline]] Reg exps_of(const T* z, const T* target, std::ptrdiff_t at, Part& part) {
    if constexpr (n > 1) {
      constexpr int half = n / 2;
      const Reg first = exps_of<half, tops>(z, target, at, part);
      return first + exps_of<half, tops>(z + half * L::count, target + half * t.step, at + half * L::count, part);
    } else {
      const Reg logit = L::load(z);
      const Reg e = exp.of_moved(logit);
      if constexpr (blend != Blend::even) prefetch<Cache::second>(target, 2 * rows.classes);
      if constexpr (keeps) {
        prefetch<Cache::second, true>(rows.kept + at, rows.classes);
        L::store(rows.kept + at, e);
      }
      if constexpr (!tops) see(at);
      if constexpr (!tops) return e;
      const auto leads = logit >= max;
      part.equal = leads ? part.equal + T(1) : part.equal;
      return leads ? Reg{} : e;
    }
  }
};

/// The sums over the rows, with few roundings in T before the totals take over.
template <class T, int bytes, bool wide, Blend blend>
struct DenseSums {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Part = DensePart<T, bytes>;
  using Pass = DensePass<T, bytes, wide, blend>;
  using Cells = DenseCells<T, bytes, wide>;
  using Wide = Lanes<double, bytes>;
  using Strip = DenseStripOf<T, wide>;

  Total<T, bytes> exps, shrunk, others, leading;  // shrunk: the margins
  Reg equal, unmasked;

  DenseSums() : equal(Reg{}), unmasked(Reg{}) {}

  /// Over some classes of the rows of a strip.
  [[gnu::always_inline]] void run_strip(const Cells& cells, const Strip& s) {
    const Pass pass(cells, s);
    for (std::ptrdiff_t i = 0; i < cells.classes; i += 4) {
      const Part part = pass.take_some(i, cells.classes);
      shrunk.add(part.margins);
      add<true>(part);
    }
  }

  /// Over a row by itself. What blocks leave is taken by a call, so that they can keep all they need in registers.
  template <bool keeps>
  [[gnu::always_inline]] void run_row(const DenseRows<T>& rows, int row, Strip& s) {
    DenseBlocks<T, bytes, blend, keeps> blocks(Cells(rows, row), s);
    const std::ptrdiff_t top = top_register<T, bytes>(s);
    const std::ptrdiff_t whole = rows.classes / L::count;
    const std::ptrdiff_t end = (rows.classes + L::count - 1) / L::count;
    for (std::ptrdiff_t i = 0; i < end;) {
      Part part;
      if (i % 8 == 0 && i != top && i + 8 <= whole && blocks.template take<8, false>(i, part)) {
        shrunk.add(part.margins * Pass::shrink);
        add<false>(part);
        blocks.template look<8>(i, whole);
        i += 8;
        continue;
      }
      if (i + 4 <= whole && blocks.template take<4, true>(i, part)) {
        shrunk.add(part.margins * Pass::shrink);
      } else {
        take_any(rows, row, s, i, part);
        shrunk.add(part.margins);
      }
      add<true>(part);
      blocks.template look<4>(i, whole);
      i += 4;
    }
    s.next_top = blocks.top_of_next();
  }

  /// On from what put() left of a strip: to the same bits as without a break.
  void take_up(const Strip& s, const Cells& cells) {
    take_up(exps, s.exps, s.lost[0], cells);
    take_up(shrunk, s.loss, s.lost[1], cells);
    equal = L::load(s.equal + cells.row);
    if constexpr (blend == Blend::even) {
      unmasked = L::load(s.unmasked + cells.row);
    } else {
      take_up(others, s.others, s.lost[2], cells);
      take_up(leading, s.leading, s.lost[3], cells);
    }
  }

  void put(Strip& s, const Cells& cells) {
    put(exps, s.exps, s.lost[0], cells);
    put(shrunk, s.loss, s.lost[1], cells);
    put(equal, s.equal, cells);
    if constexpr (blend == Blend::even) {
      put(unmasked, s.unmasked, cells);
    } else {
      put(others, s.others, s.lost[2], cells);
      put(leading, s.leading, s.lost[3], cells);
    }
  }

 private:
  [[gnu::noinline]] static void take_any(const DenseRows<T>& rows, int row, const Strip& s, std::ptrdiff_t i,
                                         Part& part) {
    const Pass pass(Cells(rows, row), s);
    part = pass.take_some(i, pass.cells.registers());
  }

  template <bool tops>
  [[gnu::always_inline]] void add(const Part& part) {
    exps.add(part.exps);
    if constexpr (tops) equal += part.equal;
    if constexpr (blend == Blend::even) {
      unmasked += part.unmasked;
    } else {
      others.add(part.others);
      if constexpr (tops) leading.add(part.leading);
    }
  }

  /// Where the second part of a total stands: the other half of the rows for float, what was lost for double.
  template <class D>
  static D* other(D* sum, [[maybe_unused]] D* lost, const Cells& cells) {
    return sizeof(T) == 4 ? sum + cells.row + Wide::count : lost + cells.row;
  }

  static void take_up(Total<T, bytes>& total, const double* sum, const double* lost, const Cells& cells) {
    total.sum = Wide::load(sum + cells.row);
    total.other = Wide::load(other(sum, lost, cells));
  }

  /// Of a row by itself whole registers too, for so they will be read.
  static void put(const Total<T, bytes>& total, double* sum, double* lost, const Cells& cells) {
    if constexpr (wide) {
      const auto all = total.across();
      Wide::store(sum + cells.row, Wide::set(all.sum));
      if (sizeof(T) == sizeof(double)) lost[cells.row] = all.lost;
    } else {
      Wide::store(sum + cells.row, total.sum);
      Wide::store(other(sum, lost, cells), total.other);
    }
  }
  static void put(Reg x, T* out, const Cells& cells) { L::store(out + cells.row, wide ? L::set(L::sum(x)) : x); }
};
