// SPDX-License-Identifier: MIT
// xent/detail/kernel/dense_cells.inl - what the passes of dense.inl see of the rows, once for each instruction set.

/// Where the whole registers of a row stand: one after the other, or all at the same place.
template <class T>
struct DensePlace {
  T* data;
  std::ptrdiff_t step;

  T* operator[](std::ptrdiff_t i) const { return data + i * step; }
};

/// What the passes see of a row by itself, of at least a register of classes: register i has those from i times
/// `count` on. The last one may overlap the one before, whose classes it hides.
template <class T, int bytes, bool wide>
struct DenseCells {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  alignas(64) static constexpr T zeros[16] = {};
  alignas(64) static constexpr T ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

  DenseRows<T> rows;  // by value: what is written to might be anything
  int row;
  std::ptrdiff_t whole;

  DenseCells(const DenseRows<T>& all, int j) : rows(all), row(j), whole(all.classes / L::count) {}

  std::ptrdiff_t registers() const { return (rows.classes + L::count - 1) / L::count; }

  /// A constant of the row.
  Reg constant(const T* x) const { return L::set(x[row]); }

  /// Of what belongs to the row, the last register: it may overlap the one before.
  template <class X>
  X* last(X* x) const {
    return x + rows.classes - L::count;
  }

  [[gnu::always_inline]] Reg z(std::ptrdiff_t i) const { return read(rows.z, i, -ExpConstants<T>::infinity); }
  /// Which logits are -inf, or none at all; -ffast-math knows of no -inf, but of these.
  [[gnu::always_inline]] auto masked(std::ptrdiff_t i, Reg z) const {
    const auto infinite = z == -ExpConstants<T>::infinity;
    return i < whole ? infinite : infinite | ~fresh();
  }

  [[gnu::always_inline]] Reg t(std::ptrdiff_t i) const { return rows.t == nullptr ? Reg{} : read(rows.t, i, T(0)); }
  [[gnu::always_inline]] Reg w(std::ptrdiff_t i) const {
    return rows.w == nullptr ? L::set(T(1)) : read(rows.w, i, T(0));
  }

  /// The whole registers of the row, or where there are none what stands for them.
  template <class X>
  static DensePlace<X> place(X* x, X* without) {
    return x == nullptr ? DensePlace<X>{without, 0} : DensePlace<X>{x, L::count};
  }

  /// Asks for the next row, what will be written too: 4096 x 1000 with gradient takes 1.1 times as long without.
  [[gnu::always_inline]] void prefetch_next(std::ptrdiff_t i) const {
    prefetch<Cache::second>(rows.z + i * L::count, 2 * rows.classes);
    if (rows.t != nullptr) prefetch<Cache::second>(rows.t + i * L::count, 2 * rows.classes);
    if (rows.kept != nullptr) prefetch<Cache::second, true>(rows.kept + i * L::count, rows.classes);
  }

  [[gnu::always_inline]] Reg kept(std::ptrdiff_t i) const { return L::load(rows.kept + start(i)); }
  [[gnu::always_inline]] void keep(std::ptrdiff_t i, Reg x) const {
    if (rows.kept == nullptr) return;
    T* const to = rows.kept + start(i);
    if (i >= whole) x = fresh() ? x : L::load(to);
    L::store(to, x);
  }

 private:
  std::ptrdiff_t start(std::ptrdiff_t i) const { return i < whole ? i * L::count : rows.classes - L::count; }

  /// What of the last register is not in the one before.
  auto fresh() const { return L::from(int((whole + 1) * L::count - rows.classes)); }

  [[gnu::always_inline]] Reg read(const T* x, std::ptrdiff_t i, T hidden) const {
    const Reg all = L::load(x + start(i));
    if (i < whole) return all;
    return fresh() ? all : L::set(hidden);
  }
};

/// What they see of a register of rows: register i is class i. The rows of a strip are dealt with for a span of classes, then
/// for the next ones: that is how columns stand in memory. 4096 x 1000 by columns with targets takes 2.6 times as long without.
template <class T, int bytes>
struct DenseCells<T, bytes, false> {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Row = DenseCells<T, bytes, true>;
  static constexpr int span = 16;
  static constexpr int short_span = 4;  // where nothing is carried from one to the next
  using Copy = StripCopy<T, bytes>;

  /// Room for rows that do not fill a register.
  struct Copies {
    T z[Copy::size_of(span)], t[Copy::size_of(span)], kept[Copy::size_of(span)];
  };

  DensePlace<const T> logits, targets, weights;
  DensePlace<T> exps;
  int row, left;
  std::ptrdiff_t classes;
  bool near;

  /// Whether all classes stay in the nearest cache.
  static bool is_near(const DenseRows<T>& rows) { return rows.classes * rows.z_stride <= near_size; }

  /// The rows from this one on, `most` classes from k on or what is left of them.
  [[gnu::always_inline]] DenseCells(const DenseRows<T>& all, int from, std::ptrdiff_t k, std::ptrdiff_t most,
                                    Copies& copies)
      : logits(place<const T>(all.z, all.z_stride, k, from, copies.z)),
        targets(place<const T>(all.t, all.t_stride, k, from, Row::zeros)),
        weights(place<const T>(all.w, 1, k, 0, Row::ones)),
        exps(place<T>(all.kept, all.kept_stride, k, from, copies.kept)),
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
  void finish(const DenseRows<T>& rows, std::ptrdiff_t k) const {
    if (left >= L::count || rows.kept == nullptr) return;
    Copy::write(exps.data, int(classes), left, rows.kept + k * rows.kept_stride + row, rows.kept_stride);
  }

  std::ptrdiff_t registers() const { return classes; }
  Reg constant(const T* x) const { return L::load(x + row); }

  [[gnu::always_inline]] Reg z(std::ptrdiff_t i) const { return L::load(logits[i]); }
  [[gnu::always_inline]] auto masked(std::ptrdiff_t, Reg z) const { return z == -ExpConstants<T>::infinity; }
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
  [[gnu::always_inline]] void copy(DensePlace<X>& x, T* to) const {
    Copy::read(x.data, x.step, int(classes), left, to);
    x = {to, L::count};
  }
};
