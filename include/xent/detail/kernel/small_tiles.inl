// SPDX-License-Identifier: MIT
// xent/detail/kernel/small_tiles.inl - rows of few classes to strips and back, once for each instruction set.

/// A register of rows of n classes without gaps is n registers. They are taken in units of `width` classes, a power of two, of
/// which a row has an odd number: then units of one place in the row stand in other lanes in each register, and are merged
/// before they are put in order. Of 10 classes in registers of 16 lanes these are pairs: 8 in a register, 5 in a row, and pair p of row i
/// has place (5 i + p) mod 8. 60000 x 10 takes 1.15 times as long by blocks, with gradient 1.19 times; 10^6 x 5 1.11 and 1.16
/// times where each class is picked from all registers.
template <class T, int bytes, int n>
struct PackedRows {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  template <int... i>
  using Numbers = std::integer_sequence<int, i...>;
  template <int size>
  using UpTo = std::make_integer_sequence<int, size>;
  using Lane = UpTo<L::count>;

  static constexpr int width = n & -n;
  static constexpr int units = n / width;  // of a row
  static constexpr bool fits = width <= L::count;

  [[gnu::always_inline]] static void gather(const T* z, T* strip, std::ptrdiff_t stride) {
    Reg x[std::size_t(n)];
    load(x, z, UpTo<n>());
    gather_units(x, strip, stride, UpTo<units>());
  }

  [[gnu::always_inline]] static void scatter(const T* strip, std::ptrdiff_t stride, T* out) {
    Reg x[std::size_t(n)];
    load_units(x, strip, stride, UpTo<units>());
    store(x, out, UpTo<n>());
  }

 private:
  template <int... j>
  [[gnu::always_inline]] static void load(Reg* x, const T* z, Numbers<j...>) {
    ((x[j] = L::load(z + j * L::count)), ...);
  }
  template <int... j>
  [[gnu::always_inline]] static void store(const Reg* x, T* out, Numbers<j...>) {
    (L::store(out + j * L::count, part_of<j % units>(x + j / units, UpTo<units - 1>())), ...);
  }

  template <int... p>
  [[gnu::always_inline]] static void gather_units(const Reg* x, T* strip, std::ptrdiff_t stride, Numbers<p...>) {
    (gather_unit<p>(x, strip + p * width * stride, stride, UpTo<width>()), ...);
  }
  template <int p, int... group>
  [[gnu::always_inline]] static void gather_unit(const Reg* x, T* strip, std::ptrdiff_t stride, Numbers<group...>) {
    const Reg unit[std::size_t(width)] = {unit_of<p>(x + group * units, UpTo<units - 1>())...};
    Places<width, units, p>::split(unit, strip, stride);
  }
  template <int... p>
  [[gnu::always_inline]] static void load_units(Reg* x, const T* strip, std::ptrdiff_t stride, Numbers<p...>) {
    (Places<width, units, p>::join(strip + p * width * stride, stride, x + p * width), ...);
  }

  /// Unit p of the rows that stand in as many registers, and back.
  template <int p, int... j>
  [[gnu::always_inline]] static Reg unit_of(const Reg* x, Numbers<j...>) {
    Reg unit = x[0];
    ((unit = merged<first_of(p, j + 1)>(unit, x[j + 1], Lane())), ...);
    return unit;
  }
  template <int j, int... p>
  [[gnu::always_inline]] static Reg part_of(const Reg* x, Numbers<p...>) {
    Reg part = x[0];
    ((part = merged<first_of(p + 1, j)>(part, x[(p + 1) * width], Lane())), ...);
    return part;
  }

  /// The first place of unit p in register j, of places of a unit.
  static constexpr int first_of(int p, int j) { return ((p - j * (L::count / width)) % units + units) % units; }
  /// Of b the units that stand `units` apart from there on, else a.
  template <int first, int... i>
  [[gnu::always_inline]] static Reg merged(Reg a, Reg b, Numbers<i...>) {
    return __builtin_shufflevector(a, b, (i / width % units == first ? L::count + i : i)...);
  }

  /// As many registers as a unit has classes, w, of one place p in the rows of `step` units: rows one after the other, but each
  /// `step` places after the one before, around the register.
  template <int w, int step, int p>
  struct Places {
    static constexpr int half = w > 1 ? w / 2 : 1;
    static constexpr int rows = L::count / w;  // of a register
    using HalfUnit = typename PackedRows::template Places<half, 1, 0>;

    [[gnu::always_inline]] static void split(const Reg* x, T* strip, std::ptrdiff_t stride) {
      if constexpr (w == 1) {
        L::store(strip, step == 1 ? x[0] : classes_of<0>(x[0], x[0], Lane()));
      } else {
        split(x, strip, stride, UpTo<half>());
      }
    }
    [[gnu::always_inline]] static void join(const T* strip, std::ptrdiff_t stride, Reg* x) {
      if constexpr (w == 1) {
        const Reg column = L::load(strip);
        x[0] = step == 1 ? column : rows_of<0>(column, column, Lane());
      } else {
        join(strip, stride, x, UpTo<half>());
      }
    }

   private:
    template <int... j>
    [[gnu::always_inline]] static void split(const Reg* x, T* strip, std::ptrdiff_t stride, Numbers<j...>) {
      const Reg low[std::size_t(half)] = {classes_of<0>(x[2 * j], x[2 * j + 1], Lane())...};
      const Reg high[std::size_t(half)] = {classes_of<1>(x[2 * j], x[2 * j + 1], Lane())...};
      HalfUnit::split(low, strip, stride);
      HalfUnit::split(high, strip + half * stride, stride);
    }
    template <int... j>
    [[gnu::always_inline]] static void join(const T* strip, std::ptrdiff_t stride, Reg* x, Numbers<j...>) {
      Reg low[std::size_t(half)], high[std::size_t(half)];
      HalfUnit::join(strip, stride, low);
      HalfUnit::join(strip + half * stride, stride, high);
      ((x[2 * j] = rows_of<0>(low[j], high[j], Lane())), ...);
      ((x[2 * j + 1] = rows_of<1>(low[j], high[j], Lane())), ...);
    }

    /// The low or high half of each unit, row after row.
    template <int high, int... i>
    [[gnu::always_inline]] static Reg classes_of(Reg a, Reg b, Numbers<i...>) {
      return __builtin_shufflevector(a, b, lane_of(i / half, high * half + i % half)...);
    }
    /// And back: the first rows or the others.
    template <int others, int... i>
    [[gnu::always_inline]] static Reg rows_of(Reg low, Reg high, Numbers<i...>) {
      return __builtin_shufflevector(low, high, lane_in_halves(others * rows + row_at(i / w), i % w)...);
    }

    static constexpr int lane_of(int row, int k) {
      return row / rows * L::count + (row % rows * step + p) % rows * w + k;
    }
    static constexpr int lane_in_halves(int row, int k) { return k / half * L::count + row * half + k % half; }
    static constexpr int row_at(int place) {
      int row = 0;
      while ((row * step + p) % rows != place) ++row;
      return row;
    }
  };
};

/// Whole registers of rows, of the numbers of classes that this is compiled for.
template <class T, int bytes>
struct SmallTiles {
  using L = Lanes<T, bytes>;

  /// How many rows have been dealt with: none where they have another number of classes.
  static int gather(const T* z, int classes, int rows, T* strip, std::ptrdiff_t stride, const T* next, const T* out) {
    return gather_one_of(Sizes(), z, classes, rows, strip, stride, next, out);
  }
  static int scatter(const T* strip, std::ptrdiff_t stride, int classes, int rows, T* out) {
    return scatter_one_of(Sizes(), strip, stride, classes, rows, out);
  }

 private:
  using Sizes = std::integer_sequence<int, 2, 3, 4, 5, 6, 10>;  // each takes some 0.04 s to compile

  template <int... n>
  static int gather_one_of(std::integer_sequence<int, n...>, const T* z, int classes, int rows, T* strip,
                           std::ptrdiff_t stride, const T* next, const T* out) {
    int row = 0;
    ((classes == n ? row = gather_all<n>(z, rows, strip, stride, next, out) : 0), ...);
    return row;
  }
  template <int... n>
  static int scatter_one_of(std::integer_sequence<int, n...>, const T* strip, std::ptrdiff_t stride, int classes,
                            int rows, T* out) {
    int row = 0;
    ((classes == n ? row = scatter_all<n>(strip, stride, rows, out) : 0), ...);
    return row;
  }

  template <int n>
  static int gather_all(const T* z, int rows, T* strip, std::ptrdiff_t stride, const T* next, const T* out) {
    int row = 0;
    if constexpr (PackedRows<T, bytes, n>::fits) {
      for (; row + L::count <= rows; row += L::count) {
        PackedRows<T, bytes, n>::gather(z + row * n, strip + row, stride);
        constexpr int line = 64 / int(sizeof(T));
        for (int k = 0; next != nullptr && k < n * L::count; k += line) prefetch<Cache::second>(next, row * n + k);
        for (int k = 0; out != nullptr && k < n * L::count; k += line) prefetch<Cache::second, true>(out, row * n + k);
      }
    }
    return row;
  }

  template <int n>
  static int scatter_all(const T* strip, std::ptrdiff_t stride, int rows, T* out) {
    int row = 0;
    if constexpr (PackedRows<T, bytes, n>::fits) {
      for (; row + L::count <= rows; row += L::count) {
        PackedRows<T, bytes, n>::scatter(strip + row, stride, out + row * n);
      }
    }
    return row;
  }
};
