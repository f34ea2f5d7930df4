// SPDX-License-Identifier: MIT
// xent/detail/kernel/rows.inl - the kernels for one contiguous row, once for each instruction set.
//
// A row has at least one register of logits. Its last register, which may overlap the one before, is read before anything
// is written over it.

/// The maximum of a row, and the first block that has it.
template <class T, int bytes>
struct RowTops {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  static constexpr int block = 8 * L::count;

  Reg most, number, rest;

  RowTops() : most(L::set(-ExpConstants<T>::infinity)), number(Reg{}), rest(most) {}

  /// The block from the `at`-th logit on has these maxima.
  void take(Reg tops, std::ptrdiff_t at) {
    number = tops > most ? L::set(T(at / block)) : number;
    most = L::larger(tops, most);
  }

  /// Logits behind the last whole block.
  void take_rest(Reg z) { rest = L::larger(z, rest); }

  RowTop<T> top() const {
    const T largest = L::largest(most);
    const T beyond = L::largest(rest);
    if (beyond > largest) return {beyond, -1};
    const T minus_first = L::largest(most >= largest ? -number : L::set(-ExpConstants<T>::infinity));
    return {largest, std::ptrdiff_t(-minus_first) * block};
  }
};

/// z - max of n registers, for the few rows that need it: all others are spared a subtraction.
template <class T, int bytes, int n>
[[gnu::noinline]] inline const T* moved_block(const T* z, T max, T* moved) {
  using L = Lanes<T, bytes>;
  for (int k = 0; k < n * L::count; k += L::count) L::store(moved + k, L::load(z + k) - max);
  return moved;
}

/// The exponentials of a row. While the processor computes, it reads the next row for its maximum: that costs nothing,
/// where a pass of its own would wait for memory (a quarter of the time of 4096 x 1000).
template <class T, int bytes, bool careful, Kept what>
struct RowPass {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Bits = decltype(Reg{} < Reg{});
  static constexpr int tree = careful ? 1 : K::tree;  // what their sum would lose

  RowExp<T, bytes> exp;
  Reg maximum, equal, tops, lows;
  Total<T, bytes> total;
  // Where what is read, or written, later is asked for, register by register: with gaps it does harm.
  std::ptrdiff_t ahead, ahead_of_kept;

  RowPass(T max, std::ptrdiff_t to_read, std::ptrdiff_t to_write)
      : exp(L::set(max)),
        maximum(L::set(max)),
        equal(Reg{}),
        tops(Reg{}),
        lows(Reg{}),
        ahead(to_read),
        ahead_of_kept(to_write) {}

  /// A block of x = z - moved without the maximum.
  template <int at = 0>
  [[gnu::always_inline]] void take_block(const T* x, T* kept, const T* next) {
    if constexpr (at < 8) {
      total.add(sum<tree, at>(x, kept, next));
      take_block<at + tree>(x, kept, next);
    } else if constexpr (careful) {
      add_lows();
    }
  }

  void add_lows() {
    total.add(lows);
    lows = Reg{};
  }

  /// At most four registers, which may have the maximum: there it counts as 0.
  void take_some(int count, const T* z, T* kept, const T* next) {
    Reg part = Reg{};
    for (int k = 0; k < count * L::count; k += L::count) {
      const Reg logit = L::load(z + k);
      tops = L::larger(L::load(next + k), tops);
      ask(next + k, kept + k);
      const Reg e = take(logit - exp.moved, kept + k, logit >= maximum);
      equal = logit >= maximum ? equal + T(1) : equal;
      part += logit >= maximum ? Reg{} : e;
      if (careful) total.add(part);
      if (careful) part = Reg{};
    }
    if (!careful) total.add(part);
  }

  /// The last register, of which only the last lanes are new.
  void take_last(Reg last, int fresh, T* kept) {
    const auto counts = L::from(L::count - fresh);
    const auto leads = counts & (last >= maximum);
    const auto hidden = leads | ~counts;
    const Reg e = take(last - exp.moved, kept, hidden);
    equal = leads ? equal + T(1) : equal;
    total.add(hidden ? Reg{} : e);
  }

 private:
  [[gnu::always_inline]] void ask(const T* next, const T* kept) const {
    prefetch<Cache::second>(next, ahead);
    if constexpr (what != Kept::nothing) prefetch<Cache::second, true>(kept, ahead_of_kept);
  }

  /// The exponential of x = z - moved, which is kept, or z - max is; what its rounding loses is added up, where it does not
  /// count as 0.
  template <class Mask>
  [[gnu::always_inline]] Reg take(Reg x, T* kept, [[maybe_unused]] Mask hidden) {
    Reg e;
    Reg low = Reg{};
    if constexpr (careful) {
      e = exp.of_moved(x, low);
      lows += hidden ? Reg{} : low;
    } else {
      e = exp.of_moved(x);
      if constexpr (what == Kept::exponentials) in_turn(e);
    }
    if constexpr (what == Kept::margins) L::store(kept, x - (maximum - exp.moved));
    if constexpr (what == Kept::exponentials) L::store(kept, careful ? e + low : e);
    return e;
  }

  /// The sum of n registers from the `at`-th on, as a tree: few roundings before the total takes over.
  template <int n, int at>
  [[gnu::always_inline]] Reg sum(const T* x, T* kept, const T* next) {
    if constexpr (n == 1) {
      tops = L::larger(L::load(next + at * L::count), tops);
      ask(next + at * L::count, kept + at * L::count);
      return take(L::load(x + at * L::count), kept + at * L::count, Bits{});
    } else {
      const Reg first = sum<n / 2, at>(x, kept, next);
      return first + sum<n / 2, at + n / 2>(x, kept, next);
    }
  }
};

template <class T, int bytes, bool careful, Kept what>
struct RowSums {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Wide = Lanes<double, bytes>;
  static constexpr int block = RowTops<T, bytes>::block;

  /// The sum of row j of the strip, and its logit at the label, if that is not negative; `what` is kept of it goes to `kept`,
  /// which may be z or null. next_top becomes that of `next`, as long a row, which is read before anything is written over it.
  static void sum(const T* z, std::ptrdiff_t size, const RowTop<T>& top, T* kept, const T* next, RowTop<T>& next_top,
                  std::ptrdiff_t label, Strip<T, wide_capacity>& strip, int j) {
    L::store(strip.logit + j, L::set(label < 0 ? T(0) : z[label]));
    alignas(64) T unwanted[std::size_t(block)];
    alignas(64) T moved[std::size_t(block)];
    const bool moves = top.max >= K::reach || top.max <= -K::reach;
    T* const out = kept != nullptr ? kept : unwanted;
    const std::ptrdiff_t step = kept != nullptr ? 1 : 0;
    // Two pages on. Beside writing whole rows, as many as that: 8000 x 600 takes 1.3 times as long with the next one, 4096 x 1000
    // 1.07 times. And what will be written to, if rows are longer than the processor sees by itself: 4096 x 1000 takes 1.08 times
    // as long without.
    constexpr std::ptrdiff_t pages = 8192 / int(sizeof(T));
    const std::ptrdiff_t rows = size < pages ? pages / size * size : size;
    const bool asks = kept != nullptr && size > pages / 4;
    RowPass<T, bytes, careful, what> pass(top.max, kept != nullptr ? rows : pages, asks ? rows : 0);
    RowTops<T, bytes> tops;
    const Reg last = L::load(z + size - L::count);
    const Reg last_of_next = L::load(next + size - L::count);
    std::ptrdiff_t i = 0;
    for (; i + block <= size; i += block) {
      pass.tops = L::set(-K::infinity);
      if (i == top.block) {
        pass.take_some(4, z + i, out + i * step, next + i);
        const std::ptrdiff_t half = i + block / 2;
        pass.take_some(4, z + half, out + half * step, next + half);
      } else {
        pass.take_block(moves ? moved_block<T, bytes, 8>(z + i, top.max, moved) : z + i, out + i * step, next + i);
      }
      tops.take(pass.tops, i);
    }
    pass.tops = last_of_next;
    while (size - i >= L::count) {
      const std::ptrdiff_t left = (size - i) / L::count;
      const int count = left < 4 ? int(left) : 4;
      pass.take_some(count, z + i, out + i * step, next + i);
      i += count * L::count;
    }
    tops.take_rest(pass.tops);
    if (i < size) pass.take_last(last, int(size - i), out + (size - L::count) * step);
    next_top = tops.top();
    if constexpr (careful) pass.add_lows();
    const auto total = pass.total.across();
    L::store(strip.max + j, L::set(top.max));
    L::store(strip.equal + j, L::set(L::sum(pass.equal)));
    L::store(strip.moved + j, pass.exp.moved);
    L::store(strip.exponent + j, pass.exp.exponent);
    Wide::store(strip.sum + j, Wide::set(total.sum));
    if constexpr (sizeof(T) == sizeof(double)) Wide::store(strip.lost + j, Wide::set(total.lost));
  }
};

template <class T, int bytes>
struct RowKernels {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  static constexpr int block = RowTops<T, bytes>::block;

  /// The largest of z; NaN are passed over.
  static RowTop<T> maximum(const T* z, std::ptrdiff_t size) {
    RowTops<T, bytes> tops;
    std::ptrdiff_t i = 0;
    for (; i + block <= size; i += block) {
      Reg a = L::load(z + i);
      Reg b = L::load(z + i + L::count);
      for (int k = 2; k < 8; k += 2) {
        a = L::larger(L::load(z + i + k * L::count), a);
        b = L::larger(L::load(z + i + (k + 1) * L::count), b);
      }
      tops.take(L::larger(a, b), i);
    }
    for (; i + L::count <= size; i += L::count) tops.take_rest(L::load(z + i));
    tops.take_rest(L::load(z + size - L::count));
    return tops.top();
  }

  /// kept *= first * second, one after the other, so that what is in range in the end was so on the way.
  static void scale(T* kept, std::ptrdiff_t size, T first, T second) {
    const Reg last = times(L::load(kept + size - L::count), first, second);
    for (std::ptrdiff_t i = 0; i + L::count <= size; i += L::count) {
      L::store(kept + i, times(L::load(kept + i), first, second));
    }
    L::store(kept + size - L::count, last);
  }

  /// kept -= log_sum
  static void shift(T* kept, std::ptrdiff_t size, T log_sum) {
    const Reg last = L::load(kept + size - L::count) - log_sum;
    for (std::ptrdiff_t i = 0; i + L::count <= size; i += L::count) L::store(kept + i, L::load(kept + i) - log_sum);
    L::store(kept + size - L::count, last);
  }
};
